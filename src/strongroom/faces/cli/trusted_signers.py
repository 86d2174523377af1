"""Whose signature of a model is believed: a key, certificates, or an identity through Sigstore."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from strongroom.engines.crypto import dsse, model_signature
from strongroom.engines.crypto.certificate_chain import Roots
from strongroom.engines.crypto.model_signature import Manifest, Resource, Serialization
from strongroom.engines.crypto.signing import VerifyingKey
from strongroom.errors import TamperedError, UsageError
from strongroom.faces.cli.signers import read_file

Opened = tuple[Manifest, str, datetime | None]
"""What was signed, who signed it, and when, where somebody vouches for that."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Trusted:
    """What the command line says of whom to believe.

    Attributes:
        public_key: the key, in PEM.
        chains: certificates, in PEM; whoever they certify is believed.
        moment: RFC 3339; when the certificates must have been valid, else now.
        uses_sigstore: the signer is an identity.
        identity: as the certificate has it.
        identity_provider: URL of the provider that vouched for it.
        trust_config: trusted root of the Sigstore deployment, or its client trust configuration.
    """

    public_key: Path | None = None
    chains: Sequence[Path] = ()
    moment: str | None = None
    uses_sigstore: bool = False
    identity: str | None = None
    identity_provider: str | None = None
    trust_config: Path | None = None

    def open(self, content: bytes) -> Opened:
        """What a signature says of the files, once it is by whom it should be.

        Raises:
            UsageError: nobody is named, or two.
            TamperedError: it is not.
        """
        if (self.public_key is not None) + bool(self.chains) + self.uses_sigstore != 1:
            raise UsageError(
                "a model is verified against a key, certificates or an identity that you trust",
                next_step="give one of --public-key, --certificate-chain and --sigstore",
            )
        if self.uses_sigstore:
            return self._by_identity(content)
        if self.identity or self.identity_provider or self.trust_config:
            raise UsageError(
                "an identity signs through Sigstore", next_step="add --sigstore, or leave it out"
            )
        if self.public_key is not None:
            key = VerifyingKey.from_pem(read_file(self.public_key))
            with _advice():
                if model_signature.is_bundle(content):
                    manifest = model_signature.verify_by_key(content, key)
                else:
                    manifest = _stated(dsse.verify(content, [key]))
            return manifest, f"key {key.key_id[:16]}", None
        roots = Roots(b"\n".join(read_file(chain) for chain in self.chains))
        at = _moment(self.moment)
        with _advice():
            manifest, who = model_signature.verify_by_certificates(content, roots, at)
        return manifest, who.name, None

    def _by_identity(self, content: bytes) -> Opened:
        if self.identity is None or self.identity_provider is None or self.trust_config is None:
            raise UsageError(
                "who must have signed, and whom you trust to say so, is not said",
                next_step="give --identity, --identity-provider and --trust-config",
            )
        if self.moment is not None:
            raise UsageError("--at is for certificates: Sigstore's own have a time of their own")
        from strongroom.engines.crypto.sigstore_bundle import Identity, TrustedRoot

        root = TrustedRoot.read(read_file(self.trust_config))
        found = root.verify(content, Identity(self.identity, self.identity_provider))
        who = f"{found.identity.name} ({found.identity.provider})"
        return found.manifest, who, found.moment


@contextmanager
def _advice() -> Iterator[None]:
    """A signature that is not good says nothing of a server: there is no backup to go back to."""
    try:
        yield
    except TamperedError as error:
        if error.next_step != TamperedError.next_step:
            raise
        raise TamperedError(
            error.message,
            next_step="get the signature again from where the model comes from, and make sure that "
            "the key or certificate is its signer's",
        ) from None


def _stated(statement: dsse.Statement) -> Manifest:
    """What a statement says whose subjects are files, such as provenance."""
    resources = tuple(Resource(one.name, one.sha256) for one in statement.subjects)
    return Manifest(statement.predicate_type, resources, Serialization(ignored=("model.sig",)))


def _moment(text: str | None) -> datetime:
    if text is None:
        return datetime.now(UTC)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise UsageError("--at is a moment such as 2026-11-27T08:00:00Z") from None
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
