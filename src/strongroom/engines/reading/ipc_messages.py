"""Looks at each message of an Arrow IPC stream before Arrow unpacks it.

A compressed batch says itself how large it will be; Arrow believes it and takes the memory. Here
the framing is followed message by message and the sizes are added up first.

Source: Arrow columnar format, "Encapsulated message format" and "Compression"; FlatBuffers,
"Internals" (vtables, vectors).
"""

import io
import struct

from strongroom.engines.reading.source import Source
from strongroom.errors import StrongroomError, TableError, TooLargeError

_CONTINUATION = b"\xff\xff\xff\xff"
_MAX_METADATA_BYTES = 64 << 20
_DICTIONARY_BATCH, _RECORD_BATCH = 2, 3
_HEADER_TYPE, _HEADER, _BODY_LENGTH = 1, 2, 3  # fields of Message
_DATA = 1  # field of DictionaryBatch
_BUFFERS, _COMPRESSION = 2, 3  # fields of RecordBatch


class CheckedMessages(io.RawIOBase):
    """The stream again, one whole message at a time; holds at most one message in memory."""

    def __init__(self, file: Source, max_bytes: int) -> None:
        """`max_bytes` bounds one message's body as sent, and four times that once unpacked."""
        super().__init__()
        self._file = file
        self._max_bytes = max_bytes
        self._ready = memoryview(b"")
        self._ended = False

    def readable(self) -> bool:
        """True."""
        return True

    def read(self, size: int | None = -1) -> bytes:
        """The next bytes; fewer than `size` only at the end of the stream."""
        if size is None or size < 0:
            raise ValueError("messages are read piece by piece")
        pieces = []
        while size:
            if not self._ready:
                self._ready = memoryview(self._message())
                if not self._ready:
                    break
            piece, self._ready = self._ready[:size], self._ready[size:]
            pieces.append(piece)
            size -= len(piece)
        return b"".join(pieces)

    def _message(self) -> bytes:
        """The next message, checked; empty at the end."""
        if self._ended:
            return b""
        prefix = self._file.read(8)
        if not prefix:
            return b""
        if len(prefix) < 8 or prefix[:4] != _CONTINUATION:  # as long as it is
            raise self._failed(TableError("the table cannot be read: it is damaged or cut off"))
        [metadata_length] = struct.unpack_from("<i", prefix, 4)
        if metadata_length == 0:
            self._ended = True  # the mark of the end
            return prefix
        if not 0 < metadata_length <= _MAX_METADATA_BYTES:
            raise self._failed(TooLargeError("one piece of the table is too large"))
        metadata = self._file.read(metadata_length)
        try:
            header_type, header, body_length = _envelope(metadata)
            if not 0 <= body_length <= self._max_bytes:
                raise self._failed(
                    TooLargeError(f"one piece of the table has more than {self._max_bytes} bytes")
                )
            body = self._file.read(body_length)
            if _unpacked_length(metadata, header_type, header, body) > 4 * self._max_bytes:
                raise self._failed(
                    TooLargeError("one batch of the table is too large when unpacked")
                )
        except struct.error:
            raise self._failed(
                TableError("the table cannot be read: it is damaged or cut off")
            ) from None
        return prefix + metadata + body

    def _failed(self, error: StrongroomError) -> StrongroomError:
        """Keep the error, for Arrow turns exceptions of the files it reads into its own."""
        return self._file.fail(error)


def _field(buffer: bytes, table: int, slot: int) -> int:
    """Position of a field of a FlatBuffers table, 0 where it is not set."""
    [to_vtable] = struct.unpack_from("<i", buffer, table)
    vtable = table - to_vtable
    if vtable < 0:
        raise struct.error("before the start")
    [length] = struct.unpack_from("<H", buffer, vtable)
    if 4 + 2 * slot + 2 > length:
        return 0
    [offset] = struct.unpack_from("<H", buffer, vtable + 4 + 2 * slot)
    return table + int(offset) if offset else 0


def _follow(buffer: bytes, position: int) -> int:
    """Where the offset at `position` leads."""
    [offset] = struct.unpack_from("<I", buffer, position)
    return position + int(offset)


def _envelope(metadata: bytes) -> tuple[int, int, int]:
    """Kind and position of a message's header, and the length of its body."""
    message = _follow(metadata, 0)
    kind_at = _field(metadata, message, _HEADER_TYPE)
    header_at = _field(metadata, message, _HEADER)
    length_at = _field(metadata, message, _BODY_LENGTH)
    [kind] = struct.unpack_from("<B", metadata, kind_at) if kind_at else [0]
    [length] = struct.unpack_from("<q", metadata, length_at) if length_at else [0]
    return kind, _follow(metadata, header_at) if header_at else 0, length


def _unpacked_length(metadata: bytes, kind: int, header: int, body: bytes) -> int:
    """Bytes that the buffers of a batch have once unpacked, by what they say of themselves."""
    if kind == _DICTIONARY_BATCH and header:
        data_at = _field(metadata, header, _DATA)
        header = _follow(metadata, data_at) if data_at else 0
    if kind not in {_DICTIONARY_BATCH, _RECORD_BATCH} or not header:
        return 0
    buffers_at = _field(metadata, header, _BUFFERS)
    if not buffers_at or not _field(metadata, header, _COMPRESSION):
        return len(body)
    vector = _follow(metadata, buffers_at)
    [count] = struct.unpack_from("<I", metadata, vector)
    total = 0
    for index in range(count):
        offset, length = struct.unpack_from("<qq", metadata, vector + 4 + 16 * index)
        if length <= 0:
            continue
        if not 0 <= offset <= len(body) - 8:
            raise struct.error("outside of the body")
        [unpacked] = struct.unpack_from("<q", body, offset)
        # -1 says that this buffer was left as it is.
        total += length if unpacked == -1 else unpacked
        if unpacked < -1:
            raise struct.error("a negative length")
    return total
