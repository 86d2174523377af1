"""Sign and verify with Ed25519 (RFC 8032), ECDSA P-256 with SHA-256 or P-384 with SHA-384.

ECDSA is that of FIPS 186-5; its signatures are DER.

A key id is the SHA-256 of the public key's SubjectPublicKeyInfo in hex, so that it names the
algorithm too and two keys of different kinds never share one.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, Protocol, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256, SHA384
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from strongroom.errors import TamperedError, ValidationError

Algorithm = Literal["ed25519", "ecdsa-p256", "ecdsa-p384"]

_CURVES: dict[str, tuple[Algorithm, ec.EllipticCurve]] = {
    "secp256r1": ("ecdsa-p256", ec.SECP256R1()),
    "secp384r1": ("ecdsa-p384", ec.SECP384R1()),
}
_ECDSA = {"secp256r1": ec.ECDSA(SHA256()), "secp384r1": ec.ECDSA(SHA384())}
# RFC 6979: one key and one message give one signature.
_REPEATABLE = {
    "secp256r1": ec.ECDSA(SHA256(), deterministic_signing=True),
    "secp384r1": ec.ECDSA(SHA384(), deterministic_signing=True),
}
_OTHER_KIND = "a key must be Ed25519, ECDSA P-256 or P-384"
_MAX_PEM_LENGTH = 1 << 14


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """The public half. Make it with `from_pem`, `from_raw` or `SigningKey.verifying_key`."""

    _key: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Read a SubjectPublicKeyInfo PEM.

        Raises:
            ValidationError: no public key, or of another kind.
        """
        if len(pem) > _MAX_PEM_LENGTH:
            raise ValidationError("a public key in PEM is at most 16 KiB")
        try:
            key = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm):
            raise ValidationError("no public key in PEM") from None
        return cls.of(key)

    @classmethod
    def of(cls, key: object) -> Self:
        """A public key of `cryptography`, such as a certificate holds.

        Raises:
            ValidationError: it is of another kind.
        """
        if isinstance(key, ed25519.Ed25519PublicKey) or (
            isinstance(key, ec.EllipticCurvePublicKey) and key.curve.name in _CURVES
        ):
            return cls(key)
        raise ValidationError(_OTHER_KIND)

    @classmethod
    def from_raw(cls, raw: bytes) -> Self:
        """Read the 32 bytes of an Ed25519 public key."""
        try:
            return cls(ed25519.Ed25519PublicKey.from_public_bytes(raw))
        except ValueError:
            raise ValidationError("an Ed25519 public key has 32 bytes") from None

    @property
    def algorithm(self) -> Algorithm:
        """Which of the kinds it is."""
        if isinstance(self._key, ed25519.Ed25519PublicKey):
            return "ed25519"
        return _CURVES[self._key.curve.name][0]

    @property
    def key_id(self) -> str:
        """SHA-256 of the SubjectPublicKeyInfo, 64 hex digits."""
        return sha256(
            self._key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)
        ).hexdigest()

    def pem(self) -> bytes:
        """SubjectPublicKeyInfo in PEM."""
        return self._key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)

    def raw(self) -> bytes:
        """32 bytes for Ed25519 (as notes need them), else the uncompressed point."""
        if isinstance(self._key, ed25519.Ed25519PublicKey):
            return self._key.public_bytes_raw()
        return self._key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)

    def verify(self, message: bytes, signature: bytes) -> None:
        """Return if the signature is good.

        Raises:
            TamperedError: it is not.
        """
        try:
            if isinstance(self._key, ed25519.Ed25519PublicKey):
                self._key.verify(signature, message)
            else:
                self._key.verify(signature, message, _ECDSA[self._key.curve.name])
        except InvalidSignature:
            raise TamperedError("the signature does not fit") from None


class Signs(Protocol):
    """A private key, in memory or in a device that does not give it away."""

    @property
    def verifying_key(self) -> VerifyingKey:
        """The public half."""

    def sign(self, message: bytes) -> bytes:
        """64 bytes for Ed25519, else DER."""


@dataclass(frozen=True, slots=True, repr=False)
class SigningKey:
    """The private half. Its text form never shows it."""

    _key: ed25519.Ed25519PrivateKey | ec.EllipticCurvePrivateKey

    def __repr__(self) -> str:
        return f"SigningKey({self.algorithm}, {self.verifying_key.key_id[:16]})"

    @classmethod
    def from_seed(cls, seed: bytes) -> Self:
        """The Ed25519 key of a 32-byte seed (RFC 8032, section 5.1.5)."""
        if len(seed) != 32:
            raise ValueError("an Ed25519 seed has 32 bytes")
        return cls(ed25519.Ed25519PrivateKey.from_private_bytes(seed))

    @classmethod
    def generate(cls, algorithm: Algorithm = "ed25519") -> Self:
        """A new key from the operating system's randomness."""
        if algorithm == "ed25519":
            return cls(ed25519.Ed25519PrivateKey.generate())
        curve = next(curve for name, curve in _CURVES.values() if name == algorithm)
        return cls(ec.generate_private_key(curve))

    @classmethod
    def from_pem(cls, pem: bytes, passphrase: bytes | None = None) -> Self:
        """Read a PKCS #8 or SEC 1 PEM; `passphrase` for one that is encrypted, and only then.

        Raises:
            ValidationError: no private key, of another kind, or not opened by the passphrase.
        """
        if len(pem) > _MAX_PEM_LENGTH:
            raise ValidationError("a private key in PEM is at most 16 KiB")
        try:
            key = load_pem_private_key(pem, password=passphrase)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            if passphrase is not None:
                raise ValidationError("the passphrase does not open a private key") from None
            raise ValidationError("no unencrypted private key in PEM") from None
        if isinstance(key, ed25519.Ed25519PrivateKey) or (
            isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name in _CURVES
        ):
            return cls(key)
        raise ValidationError(_OTHER_KIND)

    @property
    def algorithm(self) -> Algorithm:
        """Which of the kinds it is."""
        return self.verifying_key.algorithm

    @property
    def verifying_key(self) -> VerifyingKey:
        """The public half."""
        return VerifyingKey(self._key.public_key())

    def pem(self) -> bytes:
        """PKCS #8 in PEM, not encrypted: seal it before it is stored."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, message: bytes) -> bytes:
        """64 bytes for Ed25519, else DER."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(message)
        return self._key.sign(message, _ECDSA[self._key.curve.name])

    def sign_repeatably(self, message: bytes) -> bytes:
        """As `sign`; one message always gives the same bytes (RFC 6979, as Ed25519 anyway)."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(message)
        return self._key.sign(message, _REPEATABLE[self._key.curve.name])
