"""An upload as a stream: hashed, counted and sniffed while a parser reads it."""

import io
from collections import deque
from collections.abc import Iterable
from hashlib import sha256
from typing import Any

from strongroom.errors import StrongroomError, TableError, TooLargeError, TruncatedError
from strongroom.services.data.types import AddedFormat, TableFormat

_SNIFFED_BYTES = 4096

_BY_MEDIA_TYPE = {
    "text/csv": TableFormat.CSV,
    "application/csv": TableFormat.CSV,
    "application/x-ndjson": TableFormat.JSONL,
    "application/jsonl": TableFormat.JSONL,
    "application/vnd.apache.parquet": TableFormat.PARQUET,
    "application/vnd.apache.arrow.stream": TableFormat.ARROW,
    "application/vnd.apache.arrow.file": TableFormat.ARROW,
}


class IncomingFile(io.RawIOBase):
    """A readable file over the pieces of an upload, for parsers that want one.

    What comes after the parser stopped must be read with `drain`, so that the digest is that of
    the whole upload. The first error of the stream is kept in `failure`: parsers turn exceptions
    of the files they read into their own.
    """

    def __init__(self, chunks: Iterable[bytes], *, max_read: int) -> None:
        """`max_read` is the most that a parser may ask for in one piece, in bytes."""
        super().__init__()
        self._chunks = iter(chunks)
        self._waiting: deque[memoryview] = deque()
        self._waiting_bytes = 0
        self._max_read = max_read
        self._hasher = sha256()
        self.size = 0
        self.failure: StrongroomError | None = None
        self.tail = b""

    @property
    def digest(self) -> str:
        """SHA-256 of all that has arrived, hex."""
        return self._hasher.hexdigest()

    def readable(self) -> bool:
        """True."""
        return True

    def _fill(self, wanted: int) -> None:
        while self._waiting_bytes < wanted:
            try:
                chunk = next(self._chunks, None)
            except StrongroomError as error:
                self.failure = self.failure or error
                raise
            if chunk is None:
                return
            if not chunk:
                continue
            self._hasher.update(chunk)
            self.size += len(chunk)
            self.tail = (self.tail + chunk[-16:])[-16:]
            self._waiting.append(memoryview(chunk))
            self._waiting_bytes += len(chunk)

    def peek(self, size: int = _SNIFFED_BYTES) -> bytes:
        """The next bytes, up to `size`, which stay to be read."""
        self._fill(size)
        joined = b"".join(self._waiting)
        self._waiting = deque([memoryview(joined)] if joined else [])
        return joined[:size]

    def read(self, size: int | None = -1) -> bytes:
        """The next `size` bytes, fewer only at the end."""
        if size is None or size < 0 or size > self._max_read:
            self.failure = TooLargeError(
                f"one piece of the table has more than {self._max_read} bytes"
            )
            raise self.failure
        self._fill(size)
        pieces, missing = [], size
        while missing and self._waiting:
            piece = self._waiting.popleft()
            if len(piece) > missing:
                self._waiting.appendleft(piece[missing:])
                piece = piece[:missing]
            pieces.append(piece)
            missing -= len(piece)
        self._waiting_bytes -= size - missing
        return b"".join(pieces)

    def readinto(self, buffer: Any) -> int:  # noqa: ANN401 - any writable buffer
        """Fill `buffer` as far as there is content."""
        view = memoryview(buffer).cast("B")
        content = self.read(min(len(view), self._max_read))
        view[: len(content)] = content
        return len(content)

    def drain(self) -> None:
        """Read what is left, so that length and digest are those of the whole."""
        self._waiting.clear()
        self._waiting_bytes = 0
        while True:
            self._fill(1)
            if not self._waiting:
                return
            self._waiting.clear()
            self._waiting_bytes = 0


def resolve_format(asked: AddedFormat, media_type: str, file: IncomingFile) -> TableFormat:
    """The format as asked for, or by its media type, or by the first bytes.

    Raises:
        TruncatedError: there are no bytes.
        TableError: the bytes are plainly another format than stated, or none that we read.
    """
    start = file.peek()
    if not start:
        raise TruncatedError("the upload is empty")
    seen = _sniff(start)
    stated = _BY_MEDIA_TYPE.get(media_type.partition(";")[0].strip().lower())
    if asked is not AddedFormat.AUTO:
        stated = TableFormat(asked.value)
    binary = {TableFormat.PARQUET, TableFormat.ARROW}
    if stated is not None and stated is not seen and (stated in binary or seen in binary):
        raise TableError(f"the upload is not {stated}", next_step="state the format it has")
    if stated is None and seen is None:
        raise TableError(
            "the format of the upload is not known",
            next_step="send CSV, JSON lines, Parquet or Arrow IPC, and state which",
        )
    found = stated or seen
    assert found is not None  # noqa: S101 # for mypy: both None was refused above
    return found


def _sniff(start: bytes) -> TableFormat | None:
    """The format that the first bytes show; None where they are no text either."""
    if start.startswith((b"PAR1", b"PARE")):
        return TableFormat.PARQUET
    if start.startswith((b"ARROW1", b"\xff\xff\xff\xff")):
        return TableFormat.ARROW
    if start.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise TableError("the text is UTF-16", next_step="save it as UTF-8 and send it again")
    text = start.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith(b"{"):
        return TableFormat.JSONL
    if b"\0" in text or start.startswith((b"PK\x03\x04", b"\x1f\x8b", b"%PDF", b"\xd0\xcf")):
        return None
    return TableFormat.CSV
