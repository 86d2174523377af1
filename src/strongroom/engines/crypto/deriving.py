"""Derive keys from a key (HKDF, RFC 5869) or from a passphrase (Argon2id, RFC 9106)."""

from typing import Literal

from cryptography.hazmat.primitives.hashes import SHA256, SHA384, SHA512, HashAlgorithm
from cryptography.hazmat.primitives.kdf.argon2 import Argon2id
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

Hash = Literal["sha256", "sha384", "sha512"]

_HASHES: dict[str, type[HashAlgorithm]] = {"sha256": SHA256, "sha384": SHA384, "sha512": SHA512}


def derive(
    key: bytes,
    purpose: bytes,
    *,
    length: int = 32,
    salt: bytes | None = None,
    hash_name: Hash = "sha384",
) -> bytes:
    """A key for one purpose from a key with full entropy.

    Args:
        key: input key material, never a passphrase.
        purpose: HKDF's info; different purposes give unrelated keys.
        length: bytes to derive, 1 to 255 times the hash's length.
        salt: public random bytes, or none.
        hash_name: the hash under HMAC.
    """
    algorithm = _HASHES[hash_name]()
    if not 0 < length <= 255 * algorithm.digest_size:
        raise ValueError(f"HKDF with {hash_name} cannot give {length} bytes")
    return HKDF(algorithm, length, salt, purpose).derive(key)


def derive_from_passphrase(
    passphrase: bytes, salt: bytes, *, memory_kib: int = 1 << 16, passes: int = 3, lanes: int = 4
) -> bytes:
    """A 32-byte key from a passphrase, slow on purpose.

    Args:
        passphrase: as typed, not empty.
        salt: 16 random bytes, stored beside what the key wraps.
        memory_kib: KiB of memory; 64 MiB, 3 passes and 4 lanes are RFC 9106's second
            recommendation, for where memory is scarce.
        passes: passes over the memory.
        lanes: degree of parallelism.
    """
    if not passphrase:
        raise ValueError("an empty passphrase protects nothing")
    return Argon2id(
        salt=salt, length=32, iterations=passes, lanes=lanes, memory_cost=memory_kib
    ).derive(passphrase)
