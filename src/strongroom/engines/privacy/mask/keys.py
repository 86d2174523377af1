"""Keys of masks: one to a purpose, and under it one to a method."""

import hmac
import secrets

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from strongroom.errors import ValidationError

MIN_KEY_BYTES = 32


def purpose_key(key: bytes, purpose: str) -> bytes:
    """The mask key of one purpose: what is masked under two of them cannot be linked.

    Args:
        key: at least 32 random bytes, such as those of a key file.
        purpose: what the masked data is for; spaces around it do not count.

    Source: RFC 5869, section 2.3 (the key is random already).
    """
    require_key(key)
    info = b"strongroom mask/1/purpose/" + purpose.strip().encode()
    return HKDFExpand(SHA256(), MIN_KEY_BYTES, info).derive(key)


def subkey(key: bytes, method: str) -> bytes:
    """The key of one method under a mask key, 32 bytes."""
    return hmac.digest(key, b"\0strongroom mask/1/" + method.encode(), "sha256")


def require_key(key: bytes) -> None:
    """Raise ValueError where a mask key is too short."""
    if len(key) < MIN_KEY_BYTES:
        raise ValueError(f"a mask key has at least {MIN_KEY_BYTES} bytes")


def new_key_text() -> str:
    """A new random key as a line of a key file: 64 hexadecimal digits."""
    return secrets.token_hex(MIN_KEY_BYTES) + "\n"


def key_from_text(text: str) -> bytes:
    """The key in a key file, as `new_key_text` writes it.

    Raises:
        ValidationError: it is not one; the message does not show it.
    """
    try:
        key = bytes.fromhex(text.strip())
    except ValueError:
        key = b""
    if len(key) != MIN_KEY_BYTES or len(set(key)) < MIN_KEY_BYTES // 4:
        raise ValidationError(
            "a mask key file holds 64 random hexadecimal digits",
            next_step="make a new one; never think one up",
        )
    return key
