"""Who signs a model: a key in a file, a key in a device, or an identity through Sigstore."""

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, Self

from strongroom.engines.crypto import model_signature
from strongroom.engines.crypto.certificate_chain import certificates_in
from strongroom.engines.crypto.model_signature import Manifest
from strongroom.engines.crypto.signing import SigningKey, Signs
from strongroom.errors import CallerError, UsageError
from strongroom.faces.cli import options
from strongroom.vault.roots import read_passphrase, read_private_file

MAX_PEM_BYTES = 4 << 20
_MAX_KEY_BYTES = 1 << 14
CLIENT = "sigstore"
"""Whom identity tokens are for, where nothing else was agreed on."""


class Signer(Protocol):
    """Makes the bundle of a model."""

    def sign(self, manifest: Manifest) -> tuple[bytes, dict[str, str]]:
        """The bundle, and who signed it, for people."""


@dataclass(frozen=True, slots=True)
class KeySigner:
    """Signs with a key, by a certificate where there is one.

    Attributes:
        certificates: DER; the signer's first, then those up to the root; may be empty.
    """

    key: Signs
    certificates: Sequence[bytes] = ()

    @classmethod
    def of(cls, key: Signs, certificates: Path | None) -> Self:
        """A signer with a key that stock verifiers know. Raises ValidationError."""
        model_signature.require_usable(key.verifying_key)
        given = certificates_in(read_file(certificates)) if certificates is not None else ()
        return cls(key, given)

    def sign(self, manifest: Manifest) -> tuple[bytes, dict[str, str]]:
        """The bundle, and the key's id. Raises ValidationError: the certificate is another's."""
        bundle = model_signature.sign(manifest, self.key, self.certificates)
        return bundle, {"key_id": self.key.verifying_key.key_id}


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the command line says of who signs.

    Attributes:
        key: file with the private key in PEM, or `-` for stdin.
        passphrase_file: of an encrypted key; else it is asked for.
        certificate: PEM; the signer's first, then those up to the root.
        device_key: PKCS #11 URI of a key in a device.
        driver: of the device.
        pin_file: with its PIN, or `-` for stdin; else it is asked for.
        uses_sigstore: signs by an identity.
        trust_config: the client trust configuration of a Sigstore deployment.
        token_file: with the identity token, or `-` for stdin; else it is asked for.
        is_ambient: takes the identity that the CI run has.
        client_id: whom the identity token is for.
    """

    key: str | None = None
    passphrase_file: str | None = None
    certificate: Path | None = None
    device_key: str | None = None
    driver: Path | None = None
    pin_file: str | None = None
    uses_sigstore: bool = False
    trust_config: Path | None = None
    token_file: str | None = None
    is_ambient: bool = False
    client_id: str = CLIENT

    @contextmanager
    def signer(self) -> Iterator[Signer]:
        """The signer; a device is let go of at the end.

        Raises:
            UsageError: none was named, or two, or what only another needs.
            StrongroomError: as the reading of keys, devices and trust configurations.
        """
        self._require_one()
        if self.device_key is not None:
            from strongroom.vault.hardware_keys import KeyUri, open_key

            uri = KeyUri.parse(self.device_key)
            with open_key(uri, partial(_pin, self.pin_file, uri.pin_file), self.driver) as key:
                yield KeySigner.of(key, self.certificate)
        elif self.key is not None:
            yield KeySigner.of(_key_in(self.key, self.passphrase_file), self.certificate)
        else:
            yield self._identity()

    def _require_one(self) -> None:
        """Return if one signer is named, with nothing that belongs to another."""
        if (self.key is not None) + (self.device_key is not None) + self.uses_sigstore != 1:
            raise UsageError(
                "a model is signed by a key, a key in a device or an identity",
                next_step="give one of --key, --pkcs11-uri and --sigstore",
            )
        foreign = {
            "--passphrase-file": self.passphrase_file is not None and self.key is None,
            "--certificate": self.certificate is not None and self.uses_sigstore,
            "--pkcs11-module": self.driver is not None and self.device_key is None,
            "--pin-file": self.pin_file is not None and self.device_key is None,
            "--trust-config": self.trust_config is not None and not self.uses_sigstore,
            "--identity-token-file": self.token_file is not None and not self.uses_sigstore,
            "--ambient-identity": self.is_ambient and not self.uses_sigstore,
        }
        for option, is_foreign in foreign.items():
            if is_foreign:
                raise UsageError(f"{option} does not belong to this way of signing")

    def _identity(self) -> Signer:
        if self.trust_config is None:
            raise UsageError(
                "no Sigstore deployment is taken unless you name it",
                next_step="give its client trust configuration with --trust-config",
            )
        if self.is_ambient and self.token_file is not None:
            raise UsageError("the identity comes from a token or from the CI run, not from both")
        from strongroom.faces.cli.sigstore_signing import SigstoreSigner, ambient_token

        content = read_file(self.trust_config)
        if self.is_ambient:
            # At the end, for such a token lives some minutes.
            return SigstoreSigner(content, partial(ambient_token, self.client_id), self.client_id)
        token = options.secret("identity_token", self.token_file)
        return SigstoreSigner(content, lambda: token, self.client_id)


def _pin(given: str | None, named: Path | None) -> str:
    """The PIN; a file on the command line goes before the one that the URI names."""
    if given is None and named is not None:
        return read_passphrase(named).decode("utf-8", "replace")
    return options.secret("pin", given)


def _key_in(given: str, passphrase_file: str | None) -> SigningKey:
    pem = sys.stdin.buffer.read(_MAX_KEY_BYTES) if given == "-" else read_private_file(Path(given))
    if b"ENCRYPTED" not in pem:
        return SigningKey.from_pem(pem)
    return SigningKey.from_pem(pem, options.secret("passphrase", passphrase_file).encode())


def read_file(path: Path, most: int = MAX_PEM_BYTES) -> bytes:
    """A file that the command line names.

    Raises:
        CallerError: it cannot be read, or has more than `most` bytes.
    """
    try:
        with path.open("rb") as file:
            content = file.read(most + 1)
    except OSError as error:
        raise CallerError(f"cannot read `{path}`: {error.strerror}") from None
    if len(content) > most:
        raise CallerError(f"`{path}` is too long")
    return content
