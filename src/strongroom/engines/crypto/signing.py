"""Sign and verify with Ed25519 (RFC 8032) or ECDSA P-256 with SHA-256 (FIPS 186-5).

A key id is the SHA-256 of the public key's SubjectPublicKeyInfo in hex, so that it names the
algorithm too and two keys of different kinds never share one.
"""

from dataclasses import dataclass
from hashlib import sha256
from typing import Literal, Self

from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from strongroom.errors import TamperedError, ValidationError

Algorithm = Literal["ed25519", "ecdsa-p256"]

_ECDSA = ec.ECDSA(SHA256())
_MAX_PEM_LENGTH = 1 << 14


@dataclass(frozen=True, slots=True)
class VerifyingKey:
    """The public half. Make it with `from_pem`, `from_raw` or `SigningKey.verifying_key`."""

    _key: ed25519.Ed25519PublicKey | ec.EllipticCurvePublicKey

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Read a SubjectPublicKeyInfo PEM.

        Raises:
            ValidationError: no public key, or not Ed25519 nor P-256.
        """
        if len(pem) > _MAX_PEM_LENGTH:
            raise ValidationError("a public key in PEM is at most 16 KiB")
        try:
            key = load_pem_public_key(pem)
        except (ValueError, UnsupportedAlgorithm):
            raise ValidationError("no public key in PEM") from None
        if isinstance(key, ed25519.Ed25519PublicKey) or (
            isinstance(key, ec.EllipticCurvePublicKey) and isinstance(key.curve, ec.SECP256R1)
        ):
            return cls(key)
        raise ValidationError("a key must be Ed25519 or ECDSA P-256")

    @classmethod
    def from_raw(cls, raw: bytes) -> Self:
        """Read the 32 bytes of an Ed25519 public key."""
        try:
            return cls(ed25519.Ed25519PublicKey.from_public_bytes(raw))
        except ValueError:
            raise ValidationError("an Ed25519 public key has 32 bytes") from None

    @property
    def algorithm(self) -> Algorithm:
        """Which of the two it is."""
        return "ed25519" if isinstance(self._key, ed25519.Ed25519PublicKey) else "ecdsa-p256"

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
        """32 bytes for Ed25519 (as notes need them), the 65-byte uncompressed point for P-256."""
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
                self._key.verify(signature, message, _ECDSA)
        except InvalidSignature:
            raise TamperedError("the signature does not fit") from None


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
        return cls(ec.generate_private_key(ec.SECP256R1()))

    @classmethod
    def from_pem(cls, pem: bytes) -> Self:
        """Read an unencrypted PKCS #8 PEM.

        Raises:
            ValidationError: no private key, encrypted, or not Ed25519 nor P-256.
        """
        if len(pem) > _MAX_PEM_LENGTH:
            raise ValidationError("a private key in PEM is at most 16 KiB")
        try:
            key = load_pem_private_key(pem, password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm):
            raise ValidationError("no unencrypted private key in PEM") from None
        if isinstance(key, ed25519.Ed25519PrivateKey) or (
            isinstance(key, ec.EllipticCurvePrivateKey) and isinstance(key.curve, ec.SECP256R1)
        ):
            return cls(key)
        raise ValidationError("a key must be Ed25519 or ECDSA P-256")

    @property
    def algorithm(self) -> Algorithm:
        """Which of the two it is."""
        return "ed25519" if isinstance(self._key, ed25519.Ed25519PrivateKey) else "ecdsa-p256"

    @property
    def verifying_key(self) -> VerifyingKey:
        """The public half."""
        return VerifyingKey(self._key.public_key())

    def pem(self) -> bytes:
        """PKCS #8 in PEM, not encrypted: seal it before it is stored."""
        return self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())

    def sign(self, message: bytes) -> bytes:
        """64 bytes for Ed25519, DER for P-256."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(message)
        return self._key.sign(message, _ECDSA)
