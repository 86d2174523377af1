"""Wrap a key with a key: AES-256-GCM, bound to what the wrapped key is for.

    wrapped = version (1) | nonce (12) | ciphertext | tag (16)

A random 96-bit nonce is safe for 2**32 wraps under one key (NIST SP 800-38D, section 8.3); a
workspace key that nears this is rotated long before.
"""

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from strongroom.engines.crypto.floe import KEY_LENGTH, RandomBytes
from strongroom.errors import TamperedError

WRAP_OVERHEAD = 29

_VERSION = b"\x01"
_NONCE_LENGTH = 12
_MAX_SECRET_LENGTH = 1 << 16


def wrap(
    wrapping_key: bytes,
    secret: bytes,
    context: bytes,
    *,
    random_bytes: RandomBytes = secrets.token_bytes,
) -> bytes:
    """Wrap `secret`, 1 byte to 64 KiB, under a 32-byte key.

    Args:
        wrapping_key: 32 bytes.
        secret: the key or secret to keep.
        context: what it is for; unwrapping demands the same.
        random_bytes: gives the nonce.
    """
    _check_key(wrapping_key)
    if not 0 < len(secret) <= _MAX_SECRET_LENGTH:
        raise ValueError("a secret has 1 byte to 64 KiB")
    nonce = random_bytes(_NONCE_LENGTH)
    return _VERSION + nonce + AESGCM(wrapping_key).encrypt(nonce, secret, _VERSION + context)


def unwrap(wrapping_key: bytes, wrapped: bytes, context: bytes) -> bytes:
    """The secret that `wrap` took.

    Raises:
        TamperedError: it was changed, or is of another key, context or version.
    """
    _check_key(wrapping_key)
    if not WRAP_OVERHEAD < len(wrapped) <= WRAP_OVERHEAD + _MAX_SECRET_LENGTH:
        raise TamperedError("a wrapped key is cut off")
    if wrapped[:1] != _VERSION:
        raise TamperedError("a wrapped key has an unknown version")
    nonce, ciphertext = wrapped[1 : 1 + _NONCE_LENGTH], wrapped[1 + _NONCE_LENGTH :]
    try:
        return AESGCM(wrapping_key).decrypt(nonce, ciphertext, _VERSION + context)
    except InvalidTag:
        raise TamperedError("a wrapped key was changed or belongs elsewhere") from None


def bind(*parts: str | int) -> bytes:
    """A context from its parts, so that no two lists of parts give the same bytes.

    Each part is written as its kind, its length and itself.
    """
    context = b""
    for part in parts:
        kind = b"i" if isinstance(part, int) else b"s"
        text = str(part).encode()
        context += kind + len(text).to_bytes(4, "big") + text
    return context


def _check_key(key: bytes) -> None:
    if len(key) != KEY_LENGTH:
        raise ValueError(f"a key has {KEY_LENGTH} bytes")
