"""Signatures of models as the OpenSSF model-signing specification has them (OMS, v1.0).

A Sigstore bundle v0.3 holds a DSSE envelope with one in-toto Statement v1: its subject is the
model's name with a digest over all digests, its predicate names each file with its digest. So a
verifier needs nothing but the files, this bundle and the public key or the certificates.

Source: sigstore/model-transparency, `docs/model_signing_format.md`; sigstore/protobuf-specs,
`sigstore_bundle.proto`.
"""

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256

from strongroom.engines.crypto import dsse
from strongroom.engines.crypto.certificate_chain import Roots, Signer
from strongroom.engines.crypto.dsse import Statement, Subject
from strongroom.engines.crypto.signing import Signs, VerifyingKey
from strongroom.errors import TamperedError, ValidationError

MEDIA_TYPE = "application/vnd.dev.sigstore.bundle.v0.3+json"
PREDICATE_TYPE = "https://model_signing/signature/v1.0"
GIT_PATHS = (".git", ".gitattributes", ".github", ".gitignore")
"""What the stock tool leaves out unless it is told not to."""
WHOLE_FILE = "."
"""Name of the one resource where the model is a single file."""

MAX_BUNDLE_BYTES = 64 << 20
_MAX_RESOURCES = 200_000
_MAX_NAME = 4_096
_MAX_IGNORED = 1_000
_DIGEST_BYTES = {"sha256": 32, "blake2b": 64, "blake3": 32}
_MIN_SHARD_BYTES = 1 << 16
_NO_PARTS = frozenset(("", ".", ".."))


@dataclass(frozen=True, slots=True)
class Resource:
    """A file with its digest in hex; of a sharded file the bytes from `start` to before `end`."""

    path: str
    digest: str
    start: int = 0
    end: int | None = None

    @property
    def name(self) -> str:
        """As it stands in the signature."""
        return self.path if self.end is None else f"{self.path}:{self.start}:{self.end}"


@dataclass(frozen=True, slots=True)
class Serialization:
    """How the digests came about, so that a verifier can repeat it.

    Attributes:
        algorithm: `sha256`, `blake2b` or `blake3`.
        follows_links: links stand for what they point at; else there may be none.
        ignored: paths that are not covered, with all below them.
        shard_bytes: length of the pieces of a file; None: files are whole.
    """

    algorithm: str = "sha256"
    follows_links: bool = False
    ignored: tuple[str, ...] = ()
    shard_bytes: int | None = None

    def covers(self, path: str) -> bool:
        """Whether a file of that path is under the signature."""
        return path not in self.ignored and not path.startswith(_below(self.ignored))

    def fields(self) -> dict[str, object]:
        """As the predicate has them."""
        found: dict[str, object] = {
            "method": "files" if self.shard_bytes is None else "shards",
            "hash_type": self.algorithm,
            "allow_symlinks": self.follows_links,
        }
        if self.shard_bytes is not None:
            found["shard_size"] = self.shard_bytes
        if self.ignored:
            found["ignore_paths"] = list(self.ignored)
        return found


@lru_cache(maxsize=8)
def _below(ignored: tuple[str, ...]) -> tuple[str, ...]:
    """How paths begin that lie below `ignored`; asked for once a file."""
    return tuple(f"{one}/" for one in ignored)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What is signed of a model; `model` is a name for people, nothing hangs on it."""

    model: str
    resources: tuple[Resource, ...]
    serialization: Serialization = Serialization()

    def statement(self) -> Statement:
        """As an in-toto statement, resources in the order of their paths, part by part.

        Raises:
            ValidationError: there is nothing to sign, or too much.
        """
        if not 0 < len(self.resources) <= _MAX_RESOURCES:
            raise ValidationError(f"a signed model has 1 to {_MAX_RESOURCES:,} files")
        if len({resource.name for resource in self.resources}) != len(self.resources):
            raise ValidationError("two files of the model have one name")
        ordered = sorted(self.resources, key=_order)
        algorithm = self.serialization.algorithm
        return Statement(
            subjects=(Subject(self.model, _root_digest(ordered)),),
            predicate_type=PREDICATE_TYPE,
            predicate={
                "serialization": self.serialization.fields(),
                "resources": [
                    {"name": one.name, "algorithm": algorithm, "digest": one.digest}
                    for one in ordered
                ],
            },
        )


def _order(resource: Resource) -> tuple[tuple[str, ...], int]:
    return tuple(resource.path.split("/")), resource.start


def _root_digest(resources: Iterable[Resource]) -> str:
    return sha256(b"".join(bytes.fromhex(one.digest) for one in resources)).hexdigest()


# ---- signing ----


def require_usable(key: VerifyingKey) -> None:
    """Return if stock verifiers know the kind of key.

    Raises:
        ValidationError: they do not.
    """
    if key.algorithm == "ed25519":
        raise ValidationError(
            "a model is signed with ECDSA P-256 or P-384: the stock `model_signing` cannot "
            "verify Ed25519",
            next_step="make a key with `openssl ecparam -name prime256v1 -genkey -noout`",
        )


def sign(
    manifest: Manifest,
    key: Signs,
    certificates: Sequence[bytes] = (),
    *,
    is_repeatable: bool = False,
) -> bytes:
    """The bundle as JSON.

    Args:
        certificates: DER; the signer's first, then those up to the root, if one signs by them.
        is_repeatable: the same manifest gives the same bytes.

    Raises:
        ValidationError: a key that stock verifiers do not know, one that the certificate does not
            certify, or a manifest without files.
    """
    require_usable(key.verifying_key)
    material: dict[str, object]
    if certificates:
        if Signer.named_by(certificates[0]).key != key.verifying_key:
            raise ValidationError("the certificate is of another key")
        chain = [{"rawBytes": b64encode(one).decode()} for one in certificates]
        material = {"x509CertificateChain": {"certificates": chain}}
    else:
        material = {"publicKey": {"hint": _hint(key.verifying_key)}}
    envelope = dsse.sign(manifest.statement(), [key], is_repeatable=is_repeatable)
    bundle = {
        "mediaType": MEDIA_TYPE,
        "verificationMaterial": {**material, "tlogEntries": []},
        "dsseEnvelope": json.loads(envelope),
    }
    return json.dumps(bundle, separators=(",", ":")).encode()


def _hint(key: VerifyingKey) -> str:
    """As the stock tool names a key: SHA-256 of its PEM."""
    return sha256(key.pem()).hexdigest()


# ---- verifying ----


def is_bundle(content: bytes) -> bool:
    """Whether it seems to be a Sigstore bundle; nothing is proven by that."""
    return content.lstrip()[:1] == b"{" and b"application/vnd.dev.sigstore.bundle" in content


def verify_by_key(bundle: bytes, key: VerifyingKey) -> Manifest:
    """What the bundle says of the model, signed by `key`.

    Raises:
        TamperedError: not signed by the key, or not of this form.
    """
    fields, material = _opened(bundle)
    public = material.get("publicKey")
    if not isinstance(public, dict):
        raise TamperedError(
            "the model was signed by a certificate",
            next_step="give the certificates that you trust with --certificate-chain",
        )
    hint = public.get("hint")
    if hint and hint != _hint(key):
        raise TamperedError("the model was signed by another key")
    return _manifest(_statement(fields, key))


def verify_by_certificates(
    bundle: bytes, roots: Roots, moment: datetime
) -> tuple[Manifest, Signer]:
    """What the bundle says of the model, and who signed it by a certificate under `roots`.

    Args:
        moment: when the certificates must have been valid.

    Raises:
        TamperedError: no chain leads to a root, it was not valid at that moment, it may not sign,
            its key did not sign, or the bundle is not of this form.
    """
    fields, material = _opened(bundle)
    chain = material.get("x509CertificateChain")
    if not isinstance(chain, dict):
        raise TamperedError(
            "the model was not signed by a certificate chain",
            next_step="give the public key that you trust with --public-key",
        )
    try:
        presented = [b64decode(one["rawBytes"], validate=True) for one in chain["certificates"]]
    except (KeyError, TypeError, ValueError):
        raise TamperedError("the bundle is not of this form") from None
    signer = roots.signer(presented, moment)
    return _manifest(_statement(fields, signer.key)), signer


def _opened(bundle: bytes) -> tuple[Mapping[str, object], Mapping[str, object]]:
    """The fields of a bundle and its verification material."""
    if len(bundle) > MAX_BUNDLE_BYTES:
        raise TamperedError("the bundle is too long")
    try:
        fields = json.loads(bundle)
        media, material = fields["mediaType"], fields["verificationMaterial"]
    except (ValueError, KeyError, TypeError, RecursionError):
        raise TamperedError("it is not a Sigstore bundle") from None
    if media != MEDIA_TYPE or not isinstance(material, dict):
        raise TamperedError("it is not a Sigstore bundle of version 0.3")
    if "certificate" in material:
        raise TamperedError(
            "the model was signed by an identity, through Sigstore",
            next_step="give --sigstore, and the identity that you trust",
        )
    return fields, material


def _statement(fields: Mapping[str, object], key: VerifyingKey) -> Statement:
    envelope = fields.get("dsseEnvelope")
    signatures = envelope.get("signatures") if isinstance(envelope, dict) else None
    if not isinstance(signatures, list) or len(signatures) != 1:
        raise TamperedError("the bundle does not hold one signature")
    require_usable(key)
    return dsse.verify(json.dumps(envelope).encode(), [key])


def read_manifest(payload: bytes) -> Manifest:
    """What a payload says of the model, whose signature was verified before.

    Raises:
        TamperedError: it is not of this form.
    """
    return _manifest(dsse.read_statement(payload))


def _manifest(statement: Statement) -> Manifest:
    """What a verified statement says; still checked, for a signer may err too."""
    if statement.predicate_type != PREDICATE_TYPE or len(statement.subjects) != 1:
        raise TamperedError("what was signed is not a model")
    try:
        serialization = _serialization(statement.predicate["serialization"])
        listed = statement.predicate["resources"]
        if not isinstance(listed, list) or not 0 < len(listed) <= _MAX_RESOURCES:
            raise TamperedError("the signature covers no file, or too many")
        resources = tuple(_resource(one, serialization) for one in listed)
    except (KeyError, TypeError, ValueError, AttributeError):
        raise TamperedError("what was signed is not of this form") from None
    if len({one.name for one in resources}) != len(resources):
        raise TamperedError("the signature names a file twice")
    subject = statement.subjects[0]
    if subject.sha256 != _root_digest(resources):
        raise TamperedError("the signed digests do not make the digest of the model")
    return Manifest(subject.name, resources, serialization)


def _serialization(fields: object) -> Serialization:
    if not isinstance(fields, dict):
        raise TypeError
    method, ignored = fields["method"], fields.get("ignore_paths", [])
    algorithm, links = fields["hash_type"], fields["allow_symlinks"]
    shard = fields["shard_size"] if method == "shards" else None
    known = (
        method in {"files", "shards"}
        and algorithm in _DIGEST_BYTES
        and isinstance(links, bool)
        and isinstance(ignored, list)
        and len(ignored) <= _MAX_IGNORED
        and all(isinstance(one, str) and one not in {"", "."} for one in ignored)
    )
    if not known:
        raise ValueError
    if shard is not None:
        shard = int(shard)  # protobuf's JSON makes a number with a fraction of it
        if shard < _MIN_SHARD_BYTES:
            raise ValueError
    return Serialization(algorithm, links, tuple(ignored), shard)


def _resource(fields: Mapping[str, str], serialization: Serialization) -> Resource:
    name, digest = fields["name"], fields["digest"]
    # The stock tool names a sharded digest by its length too.
    algorithm = fields["algorithm"].partition("-")[0]
    if algorithm != serialization.algorithm or not 0 < len(name) <= _MAX_NAME:
        raise ValueError
    if len(bytes.fromhex(digest)) != _DIGEST_BYTES[algorithm] or digest != digest.lower():
        raise ValueError
    if serialization.shard_bytes is None:
        return Resource(_inside(name), digest)
    path, start, end = name.rsplit(":", 2)
    piece = Resource(_inside(path), digest, int(start), int(end))
    if not 0 <= piece.start < int(end) <= piece.start + serialization.shard_bytes:
        raise ValueError
    return piece


def _inside(path: str) -> str:
    """A path that stays in the model's folder, in its one spelling."""
    if "\0" in path or (path != WHOLE_FILE and not _NO_PARTS.isdisjoint(path.split("/"))):
        raise ValueError
    return path
