"""Checkpoints: the size and root of a log, signed by its key.

Formats: C2SP signed-note and tlog-checkpoint. A signature names its key by name and key id;
those of unknown keys, witnesses' for instance, are passed over, and one of a known key that
does not verify condemns the note.
"""

import re
from base64 import b64decode, b64encode
from binascii import Error as Base64Error
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from hashlib import sha256
from hmac import compare_digest
from typing import Self

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from strongroom.engines.ledger.hashing import EMPTY_ROOT, HASH_BYTES
from strongroom.engines.ledger.proofs import MAX_TREE_SIZE
from strongroom.errors import TamperedError

MAX_NOTE_BYTES = 256 * 1024
MAX_SIGNATURES = 64

_ED25519 = b"\x01"
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}", re.ASCII)
_KEY_ID = re.compile(r"[0-9a-f]{8}", re.ASCII)

Sign = Callable[[bytes], bytes]
"""Message → its Ed25519 signature, 64 bytes."""


def unbase64(text: str) -> bytes:
    """Decode standard base64 in its one canonical form.

    Raises: ValueError for any other.
    """
    try:
        data = b64decode(text, validate=True)
    except (Base64Error, ValueError):
        raise ValueError("not base64") from None
    if b64encode(data).decode() != text:
        raise ValueError("not canonical base64")
    return data


def _is_key_name(name: str) -> bool:
    return bool(name) and "+" not in name and name.isprintable() and not re.search(r"\s", name)


@dataclass(frozen=True, slots=True)
class LogKey:
    """The public key of a log: who may sign its checkpoints.

    Attributes:
        name: the key's name, the log's origin.
        public: Ed25519, 32 bytes.
    """

    name: str
    public: bytes

    def __post_init__(self) -> None:
        if not _is_key_name(self.name):
            raise ValueError("the name of a log key holds a space, a plus or nothing")
        if len(self.public) != 32:
            raise ValueError("a log key has 32 bytes")

    @property
    def id(self) -> bytes:
        """Four bytes that tell keys of one name apart; no proof of anything."""
        return sha256(self.name.encode() + b"\n" + _ED25519 + self.public).digest()[:4]

    @classmethod
    def parse(cls, text: str) -> Self:
        """The key of a line `name+id+base64`.

        Raises: ValueError for anything else, also for an id that is not the key's.
        """
        name, _, rest = text.strip().partition("+")
        stated, _, encoded = rest.partition("+")
        try:
            data = unbase64(encoded)
        except ValueError:
            data = b""
        if len(data) != 33 or data[:1] != _ED25519 or not _KEY_ID.fullmatch(stated):
            raise ValueError("not an Ed25519 log key of the form `name+id+base64`")
        key = cls(name, data[1:])
        if key.id.hex() != stated:
            raise ValueError("the log key has another id than it states")
        return key

    def __str__(self) -> str:
        return f"{self.name}+{self.id.hex()}+{b64encode(_ED25519 + self.public).decode()}"

    def signature_line(self, text: str, sign: Sign) -> str:
        """The line that signs `text`."""
        signature = b64encode(self.id + sign(text.encode())).decode()
        return f"— {self.name} {signature}\n"


@dataclass(frozen=True, slots=True)
class Signature:
    """One signature line of a note, not yet verified."""

    name: str
    key_id: bytes
    signature: bytes


def parse_note(note: bytes) -> tuple[str, list[Signature]]:
    """The text of a signed note and its unverified signatures.

    Raises: TamperedError where it has another form.
    """
    if len(note) > MAX_NOTE_BYTES:
        raise TamperedError("the signed note is too long")
    try:
        whole = note.decode("utf-8")
    except UnicodeDecodeError:
        raise TamperedError("the signed note is not UTF-8") from None
    if any(character < " " and character != "\n" for character in whole):
        raise TamperedError("the signed note holds control characters")
    head, separator, tail = whole.rpartition("\n\n")
    lines = tail.split("\n")
    if not separator or lines[-1] or not 1 <= len(lines) - 1 <= MAX_SIGNATURES:
        raise TamperedError("the signed note has no signatures, or too many")
    signatures = []
    for line in lines[:-1]:
        mark, _, rest = line.partition(" ")
        name, _, encoded = rest.partition(" ")
        try:
            data = unbase64(encoded)
        except ValueError:
            data = b""
        if mark != "—" or not _is_key_name(name) or len(data) < 5:
            raise TamperedError("a signature line of the note has another form")
        signatures.append(Signature(name, data[:4], data[4:]))
    return head + "\n", signatures


def open_note(note: bytes, keys: Sequence[LogKey]) -> str:
    """The text of a signed note that at least one of `keys` has signed.

    Raises: TamperedError where none has, or a signature in the name of one is false.
    """
    text, signatures = parse_note(note)
    verified = False
    for signature in signatures:
        for key in keys:
            if signature.name != key.name or not compare_digest(signature.key_id, key.id):
                continue
            try:
                Ed25519PublicKey.from_public_bytes(key.public).verify(
                    signature.signature, text.encode()
                )
            except InvalidSignature:
                raise TamperedError(f"the signature of `{key.name}` is false") from None
            verified = True
    if not verified:
        raise TamperedError("the note is not signed by the log's key")
    return text


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a log commits to.

    Attributes:
        origin: name of the log.
        size: number of its entries.
        root: 32 bytes, the root over them.
        extensions: further lines, opaque.
    """

    origin: str
    size: int
    root: bytes
    extensions: tuple[str, ...] = ()

    def text(self) -> str:
        """The text that is signed."""
        lines = (self.origin, str(self.size), b64encode(self.root).decode(), *self.extensions)
        return "".join(f"{line}\n" for line in lines)

    def signed(self, key: LogKey, sign: Sign) -> bytes:
        """The signed note."""
        text = self.text()
        return f"{text}\n{key.signature_line(text, sign)}".encode()

    @classmethod
    def parse(cls, text: str) -> Self:
        """The checkpoint of a note's text.

        Raises: TamperedError where it has another form.
        """
        lines = text.split("\n")
        if len(lines) < 4 or lines[-1] or not all(lines[:-1]):
            raise TamperedError("the checkpoint lacks a line or has an empty one")
        origin, size, encoded, *extensions = lines[:-1]
        try:
            root = unbase64(encoded)
        except ValueError:
            root = b""
        if not _SIZE.fullmatch(size) or int(size) > MAX_TREE_SIZE or len(root) != HASH_BYTES:
            raise TamperedError("the checkpoint's size or root has another form")
        if size == "0" and root != EMPTY_ROOT:
            raise TamperedError("the checkpoint of an empty log has another root")
        return cls(origin, int(size), root, tuple(extensions))

    @classmethod
    def open(cls, note: bytes, keys: Sequence[LogKey]) -> Self:
        """The checkpoint of a signed note, verified against the log's keys.

        Raises: TamperedError where it is not signed by one of them, or is another log's.
        """
        checkpoint = cls.parse(open_note(note, keys))
        if checkpoint.origin not in {key.name for key in keys}:
            raise TamperedError("the checkpoint is of another log")
        return checkpoint
