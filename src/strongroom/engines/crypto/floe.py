"""FLOE: seal a stream of any length in segments, open it whole or any part of it.

Source: C2SP FLOE (c2sp.org/FLOE); Random-Access AEAD for Fast Lightweight Online Encryption,
ePrint 2025/2275. AEAD is AES-256-GCM, KDF is HKDF-Expand-SHA-384.

    sealed  = header | segment 0 | ... | final segment
    header  = parameters (10) | IV (32) | header tag (32)
    segment = length or 0xFFFFFFFF (4) | nonce (12) | ciphertext | tag (16)

The rules kept here:

- the header tag commits to key, parameters, IV and associated data, and is compared in constant
  time before anything is decrypted;
- a segment is released only after its tag was verified at its own position, with its own answer
  to "is this the last one";
- a stream that ends before its final segment, or goes on after it, raises.

Whoever stops reading early has not learned whether the rest is whole. `SealedReader` learns the
end from the sealed length it is given, so that length must come from a place that a writer of
the sealed bytes cannot change.
"""

import hmac
import secrets
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA384
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from strongroom.errors import TamperedError

BytesLike: TypeAlias = bytes | bytearray | memoryview
RandomBytes: TypeAlias = Callable[[int], bytes]
"""Gives n bytes that nobody can predict; a parameter so that known answers can be replayed."""

KEY_LENGTH = 32
HEADER_LENGTH = 74
SEGMENT_OVERHEAD = 32

_PARAMETERS_LENGTH = 10
_IV_LENGTH = 32
_HEADER_TAG_LENGTH = 32
_MESSAGE_KEY_LENGTH = 48
_NONCE_LENGTH = 12
_TAG_LENGTH = 16
_BODY_START = 4 + _NONCE_LENGTH
_MAX_SEGMENTS = 1 << 40
_MAX_SEGMENT_LENGTH = (1 << 26) + SEGMENT_OVERHEAD
_NOT_FINAL = b"\xff\xff\xff\xff"
_SMALL_CHUNK = 4096
_SMALL_BATCH = 1 << 16


@dataclass(frozen=True, slots=True)
class Parameters:
    """What sealer and opener agree on; it stands in the header.

    Attributes:
        segment_length: bytes of a sealed segment, 33 to 64 MiB + 32. The default holds 1 MiB of
            plaintext, so that a range of 1 MiB never touches three segments and a read that is
            aligned to 1 MiB touches one.
        rotation_mask_bits: a new AES key every 2**bits segments. FLOE fixes it at 20; another
            value is for its test vectors only.
    """

    segment_length: int = (1 << 20) + SEGMENT_OVERHEAD
    rotation_mask_bits: int = 20

    def __post_init__(self) -> None:
        """Refuse lengths that hold no byte or that a reader should not have to hold."""
        if not SEGMENT_OVERHEAD < self.segment_length <= _MAX_SEGMENT_LENGTH:
            raise ValueError(f"segment length {self.segment_length} is out of range")
        if not 0 <= self.rotation_mask_bits <= 40:
            raise ValueError(f"rotation mask {self.rotation_mask_bits} is out of range")

    @property
    def plain_segment_length(self) -> int:
        """Bytes of plaintext in a segment that is not the last."""
        return self.segment_length - SEGMENT_OVERHEAD

    def encode(self) -> bytes:
        """The ten bytes PARAM_ENCODE: AEAD 0, KDF 0, segment length, IV length."""
        return b"\0\0" + self.segment_length.to_bytes(4, "big") + _IV_LENGTH.to_bytes(4, "big")


STANDARD = Parameters()


def unverified_parameters(header: BytesLike) -> Parameters:
    """The parameters that a header claims, before its tag was checked.

    Raises:
        TamperedError: the header is not one of FLOE, or its segments are too long to hold.
    """
    prefix = bytes(header[:_PARAMETERS_LENGTH])
    try:
        parameters = Parameters(int.from_bytes(prefix[2:6], "big"))
    except ValueError:
        raise TamperedError("the sealed bytes have no valid header") from None
    if prefix != parameters.encode():
        raise TamperedError("the sealed bytes have no valid header")
    return parameters


def sealed_length(plain_length: int, parameters: Parameters = STANDARD) -> int:
    """Bytes that `seal_stream` makes of `plain_length` bytes, 0 or more."""
    if plain_length < 0:
        raise ValueError("a length is never negative")
    segments = max(1, -(-plain_length // parameters.plain_segment_length))
    return HEADER_LENGTH + plain_length + segments * SEGMENT_OVERHEAD


def plain_length(sealed_length: int, parameters: Parameters = STANDARD) -> int:
    """Bytes of plaintext inside `sealed_length` bytes.

    Raises:
        TamperedError: nothing sealed has this length.
    """
    segments, rest = divmod(sealed_length - HEADER_LENGTH, parameters.segment_length)
    segments += rest > 0
    if segments < 1 or 0 < rest < SEGMENT_OVERHEAD:
        raise TamperedError("the sealed bytes are cut off")
    return sealed_length - HEADER_LENGTH - segments * SEGMENT_OVERHEAD


class _Keys:
    """What key, IV and associated data give: header tag and AES keys (FLOE_KDF, DERIVE_KEY)."""

    def __init__(self, key: bytes, iv: bytes, associated_data: bytes, p: Parameters) -> None:
        if len(key) != KEY_LENGTH:
            raise ValueError(f"a key has {KEY_LENGTH} bytes")
        self._prefix = p.encode() + iv
        self._associated_data = associated_data
        self._mask_bits = p.rotation_mask_bits
        self.header_tag = self._expand(key, b"HEADER_TAG:", _HEADER_TAG_LENGTH)
        self._message_key = self._expand(key, b"MESSAGE_KEY:", _MESSAGE_KEY_LENGTH)
        self._epoch = -1
        self._aead: AESGCM
        self._aes: algorithms.AES

    def _expand(self, key: bytes, purpose: bytes, length: int) -> bytes:
        info = self._prefix + purpose + self._associated_data
        return HKDFExpand(SHA384(), length, info).derive(key)

    def ciphers(self, position: int) -> tuple[AESGCM, algorithms.AES]:
        """The AES key of the segment at `position`, ready in two shapes; the last is kept."""
        epoch = position >> self._mask_bits
        if epoch != self._epoch:
            masked = (epoch << self._mask_bits).to_bytes(8, "big")
            segment_key = self._expand(self._message_key, b"DEK:" + masked, KEY_LENGTH)
            self._aead, self._aes = AESGCM(segment_key), algorithms.AES(segment_key)
            self._epoch = epoch
        return self._aead, self._aes


def _segment_data(position: int, *, final: bool) -> bytes:
    """Associated data of one segment. Raises ValueError past the 2**40 segments of FLOE."""
    if position >= _MAX_SEGMENTS - (not final):
        raise ValueError("more segments than one stream may have")
    return position.to_bytes(8, "big") + (b"\1" if final else b"\0")


class Sealer:
    """Seals the segments of one stream. Each position must be sealed once, the final one last.

    Not for several threads at once. `seal_stream` and `sealed_views` keep these rules.
    """

    def __init__(
        self,
        key: bytes,
        associated_data: bytes,
        *,
        parameters: Parameters = STANDARD,
        random_bytes: RandomBytes = secrets.token_bytes,
    ) -> None:
        iv = random_bytes(_IV_LENGTH)
        self.parameters = parameters
        self._random_bytes = random_bytes
        self._keys = _Keys(key, iv, associated_data, parameters)
        self.header = parameters.encode() + iv + self._keys.header_tag

    def seal(
        self, parts: Sequence[BytesLike], position: int, out: memoryview, *, final: bool
    ) -> int:
        """Seal the concatenation of `parts` as one segment into `out`; its length is returned.

        The parts are not joined first: copying a segment costs a quarter of encrypting it.
        """
        plain = sum(len(part) for part in parts)
        room = self.parameters.plain_segment_length
        if plain > room or (plain < room and not final):
            raise ValueError(f"a segment of {plain} bytes does not fit")
        end = _BODY_START + plain
        nonce = self._random_bytes(_NONCE_LENGTH)
        data = _segment_data(position, final=final)
        aead, aes = self._keys.ciphers(position)
        out[:4] = (end + _TAG_LENGTH).to_bytes(4, "big") if final else _NOT_FINAL
        out[4:_BODY_START] = nonce
        if len(parts) <= 1:
            whole = parts[0] if parts else b""
            aead.encrypt_into(nonce, whole, data, out[_BODY_START : end + _TAG_LENGTH])
            return end + _TAG_LENGTH
        encryptor = Cipher(aes, modes.GCM(nonce)).encryptor()
        encryptor.authenticate_additional_data(data)
        at = _BODY_START
        for part in parts:
            at += encryptor.update_into(part, out[at:end])
        encryptor.finalize()
        out[end : end + _TAG_LENGTH] = encryptor.tag
        return end + _TAG_LENGTH


class Opener:
    """Opens single segments of one stream, at any position.

    Raises:
        TamperedError: the header was changed, or key or associated data are not those it was
            sealed with.
    """

    def __init__(
        self,
        key: bytes,
        associated_data: bytes,
        header: BytesLike,
        *,
        parameters: Parameters = STANDARD,
    ) -> None:
        header = bytes(header)
        if len(header) != HEADER_LENGTH:
            raise TamperedError("the sealed bytes are cut off")
        if header[:_PARAMETERS_LENGTH] != parameters.encode():
            raise TamperedError("the sealed bytes have other parameters than expected")
        iv = header[_PARAMETERS_LENGTH:-_HEADER_TAG_LENGTH]
        self.parameters = parameters
        self._keys = _Keys(key, iv, associated_data, parameters)
        if not hmac.compare_digest(self._keys.header_tag, header[-_HEADER_TAG_LENGTH:]):
            raise TamperedError("the header does not fit this key and this object")

    def open(self, segment: BytesLike, position: int, *, final: bool) -> bytes:
        """The plaintext of one segment, verified.

        Raises:
            TamperedError: it is cut off, changed, at another place, or wrongly (not) the last.
        """
        view = memoryview(segment)
        length = self.parameters.segment_length
        whole = SEGMENT_OVERHEAD <= len(view) <= length if final else len(view) == length
        if not whole:
            raise TamperedError(f"segment {position} is cut off")
        if view[:4] != (len(view).to_bytes(4, "big") if final else _NOT_FINAL):
            wrong = "is not the last one" if final else "ends too early"
            raise TamperedError(f"segment {position} {wrong}")
        try:
            data = _segment_data(position, final=final)
            aead, _ = self._keys.ciphers(position)
            return aead.decrypt(view[4:_BODY_START], view[_BODY_START:], data)
        except (InvalidTag, ValueError):
            raise TamperedError(f"segment {position} is not what was sealed") from None


def _cut(
    chunks: Iterable[BytesLike], length: int
) -> Iterator[tuple[list[bytearray | memoryview], bool]]:
    """Regroup chunks of any size into pieces of `length`, each with "is this the last".

    The last piece may be shorter, and empty only if there was nothing at all. Whether a full
    piece is the last is known once another byte or the end has come. A piece is a list of parts
    that share the chunks' memory; small chunks are gathered, so the list stays short.
    """
    parts: list[bytearray | memoryview] = []
    held = 0
    for chunk in chunks:
        # A mutable chunk may be reused by its producer before this piece is full: copy it.
        view = memoryview(chunk if isinstance(chunk, bytes) else bytes(chunk))
        while held + len(view) > length:
            if held < length:
                parts.append(view[: length - held])
            yield parts, False
            view = view[length - held :]
            parts, held = [], 0
        if not view:
            continue
        held += len(view)
        if len(view) >= _SMALL_CHUNK:
            parts.append(view)
        elif parts and isinstance(last := parts[-1], bytearray) and len(last) < _SMALL_BATCH:
            last += view
        else:
            parts.append(bytearray(view))
    yield parts, True


def sealed_views(sealer: Sealer, chunks: Iterable[BytesLike]) -> Generator[memoryview, None, None]:
    """The sealed stream as views into one reused buffer, each good until the next is asked for.

    For writers that put each view away at once; no byte is copied but by encryption.
    """
    yield memoryview(sealer.header)
    buffer = memoryview(bytearray(sealer.parameters.segment_length))
    pieces = _cut(chunks, sealer.parameters.plain_segment_length)
    for position, (parts, final) in enumerate(pieces):
        yield buffer[: sealer.seal(parts, position, buffer, final=final)]


def seal_stream(
    key: bytes,
    associated_data: bytes,
    chunks: Iterable[BytesLike],
    *,
    parameters: Parameters = STANDARD,
    random_bytes: RandomBytes = secrets.token_bytes,
) -> Iterator[bytes]:
    """Seal chunks of any size; at most two segments are held at a time.

    Args:
        key: 32 random bytes; one key may seal many streams.
        associated_data: what the stream is; opening demands the same.
        chunks: the plaintext; an exception of theirs passes through.
        parameters: segment length.
        random_bytes: gives the IV and the nonces.
    """
    sealer = Sealer(key, associated_data, parameters=parameters, random_bytes=random_bytes)
    for view in sealed_views(sealer, chunks):
        yield bytes(view)


def open_stream(
    key: bytes,
    associated_data: bytes,
    chunks: Iterable[BytesLike],
    *,
    parameters: Parameters = STANDARD,
) -> Iterator[bytes]:
    """Open sealed chunks of any size, segment by segment; only verified bytes come out.

    What comes out is the start of what was sealed; that it is all of it is known when the
    iterator ends without an error.

    Raises:
        TamperedError: while iterating, on any change, truncation or extension, or when key or
            associated data differ.
    """
    source = iter(chunks)
    start = b""
    while len(start) < HEADER_LENGTH and (chunk := next(source, None)) is not None:
        start += bytes(chunk)
    opener = Opener(key, associated_data, start[:HEADER_LENGTH], parameters=parameters)

    def body() -> Iterator[BytesLike]:
        yield memoryview(start)[HEADER_LENGTH:]
        yield from source

    buffer = memoryview(bytearray(parameters.segment_length))
    for position, (parts, final) in enumerate(_cut(body(), parameters.segment_length)):
        if len(parts) == 1:
            yield opener.open(parts[0], position, final=final)
            continue
        length = 0
        for part in parts:
            buffer[length : length + len(part)] = part
            length += len(part)
        yield opener.open(buffer[:length], position, final=final)


class SealedReader:
    """Reads any range of a sealed stream, opening only the segments it touches.

    The last opened segment is kept, so small reads in order decrypt each segment once.

    Args:
        key: the key it was sealed with.
        associated_data: as given when sealing.
        read_range: `read_range(offset, length)` gives those bytes of the sealed stream.
        sealed_length: total length of the sealed stream, from a trusted place.
        parameters: as given when sealing.

    Raises:
        TamperedError: here or in `read`, as for `Opener`.
    """

    def __init__(
        self,
        key: bytes,
        associated_data: bytes,
        read_range: Callable[[int, int], BytesLike],
        sealed_length: int,
        *,
        parameters: Parameters = STANDARD,
    ) -> None:
        self.size = plain_length(sealed_length, parameters)
        self._read_range = read_range
        self._sealed_length = sealed_length
        self._opener = Opener(
            key, associated_data, read_range(0, HEADER_LENGTH), parameters=parameters
        )
        body = sealed_length - HEADER_LENGTH
        self._final = -(-body // parameters.segment_length) - 1
        self._kept: tuple[int, bytes] = (-1, b"")

    def segment(self, position: int) -> bytes:
        """The plaintext of the segment at `position`, verified."""
        kept_position, plaintext = self._kept
        if position == kept_position:
            return plaintext
        length = self._opener.parameters.segment_length
        start = HEADER_LENGTH + position * length
        sealed = self._read_range(start, min(length, self._sealed_length - start))
        plaintext = self._opener.open(sealed, position, final=position == self._final)
        self._kept = (position, plaintext)
        return plaintext

    def read(self, offset: int, length: int) -> bytes:
        """The bytes from `offset`, `length` of them or fewer at the end; both 0 or more."""
        if offset < 0 or length < 0:
            raise ValueError("a range is never negative")
        end = min(offset + length, self.size)
        if offset >= end:
            return b""
        step = self._opener.parameters.plain_segment_length
        pieces = []
        for position in range(offset // step, -(-end // step)):
            plaintext = self.segment(position)
            start = position * step
            pieces.append(plaintext[max(0, offset - start) : end - start])
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def chunks(self, start: int = 0, end: int | None = None) -> Iterator[bytes]:
        """The bytes from `start` up to `end` in order, a segment at a time.

        Read from 0 to the end it verifies the whole stream, the final segment included.
        """
        end = self.size if end is None else min(end, self.size)
        step = self._opener.parameters.plain_segment_length
        if start == 0 and end == self.size:
            yield from map(self.segment, range(self._final + 1))
            return
        while start < end:
            stop = min(end, (start // step + 1) * step)
            yield self.read(start, stop - start)
            start = stop
