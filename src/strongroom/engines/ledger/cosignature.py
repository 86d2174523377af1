"""Cosignatures: a witness says that it saw a checkpoint, and when (C2SP tlog-cosignature v1).

A witness cosigns a checkpoint only if the log has grown consistently since the last one that it
cosigned. So two cosigned checkpoints of one log, of whatever age, never contradict each other.
"""

import re
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from strongroom.engines.ledger.checkpoint import Sign, parse_note
from strongroom.errors import TamperedError

_TYPE = b"\x04"
_TIME_BYTES = 8
_SIGNATURE_BYTES = 64
_KEY = re.compile(r"([^+\s]+)\+([0-9a-f]{8})\+([A-Za-z0-9+/]+=*)", re.ASCII)


@dataclass(frozen=True, slots=True)
class WitnessKey:
    """The public key of a witness.

    Attributes:
        name: without spaces and `+`.
        public: Ed25519, 32 bytes.
    """

    name: str
    public: bytes

    @property
    def id(self) -> bytes:
        """Its 4 bytes in a signature line."""
        return sha256(self.name.encode() + b"\n" + _TYPE + self.public).digest()[:4]

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64encode(_TYPE + self.public).decode()}"

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key of a line `name+id+base64`. Raises ValueError."""
        found = _KEY.fullmatch(text.strip())
        if found is None:
            raise ValueError("a witness's key is a line `name+id+base64`")
        data = b64decode(found[3], validate=True)
        key = cls(found[1], data[1:])
        if data[:1] != _TYPE or len(data) != 33 or key.id.hex() != found[2]:
            raise ValueError("it is not the key of a witness (Ed25519, cosignature v1)")
        return key


def cosign(text: str, time: int, key: WitnessKey, sign: Sign) -> str:
    """The signature line with which a witness cosigns the text of a checkpoint at `time`.

    `time` is in whole seconds since 1970, UTC.
    """
    stamp = time.to_bytes(_TIME_BYTES, "big")
    signature = sign(_message(text, time))
    return f"— {key.name} {b64encode(key.id + stamp + signature).decode()}\n"


def cosigned_at(note: bytes, key: WitnessKey) -> int | None:
    """When the witness cosigned the checkpoint of a note; None: it did not.

    Raises:
        TamperedError: a signature in its name is false.
    """
    text, signatures = parse_note(note)
    for signature in signatures:
        if signature.name != key.name or not compare_digest(signature.key_id, key.id):
            continue
        data = signature.signature
        time = int.from_bytes(data[:_TIME_BYTES], "big")
        try:
            if len(data) != _TIME_BYTES + _SIGNATURE_BYTES:
                raise InvalidSignature
            Ed25519PublicKey.from_public_bytes(key.public).verify(
                data[_TIME_BYTES:], _message(text, time)
            )
        except InvalidSignature:
            raise TamperedError(f"the cosignature of `{key.name}` is false") from None
        return time
    return None


def require_cosigned(note: bytes, keys: Sequence[WitnessKey]) -> None:
    """Return if every one of the witnesses has cosigned. Raises TamperedError."""
    for key in keys:
        if cosigned_at(note, key) is None:
            raise TamperedError(f"the checkpoint is not cosigned by `{key.name}`")


def _message(text: str, time: int) -> bytes:
    return f"cosignature/v1\ntime {time}\n{text}".encode()
