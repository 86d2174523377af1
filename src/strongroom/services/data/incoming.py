"""An upload as a stream: hashed, counted and looked at while a parser reads it."""

from collections.abc import Iterable, Iterator
from hashlib import sha256

from strongroom.engines.reading.sniffing import by_text
from strongroom.engines.reading.types import Form
from strongroom.errors import TooLargeError
from strongroom.services.data.types import AddedFormat

LOOKED_AT_BYTES = 64
_SNIFFED_BYTES = 1 << 16
_OF_LINES = {Form.CSV, Form.TSV, Form.JSONL}

_BY_MEDIA_TYPE = {
    "text/csv": Form.CSV,
    "application/csv": Form.CSV,
    "text/tab-separated-values": Form.TSV,
    "application/x-ndjson": Form.JSONL,
    "application/jsonl": Form.JSONL,
    "application/json": Form.JSON,
    "application/vnd.apache.parquet": Form.PARQUET,
    "application/vnd.apache.arrow.stream": Form.ARROW,
    "application/vnd.apache.arrow.file": Form.ARROW,
    "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet": Form.XLSX,
    "message/rfc822": Form.EML,
    "application/mbox": Form.MBOX,
}


class Incoming:
    """The chunks of an upload, once.

    What a parser leaves must be read with `drain`, so that the digest is that of the whole.
    """

    def __init__(self, chunks: Iterable[bytes]) -> None:
        self._chunks = iter(chunks)
        self._start = b""
        self._hasher = sha256()
        self.size = 0

    @property
    def digest(self) -> str:
        """SHA-256 of all that has arrived, hex."""
        return self._hasher.hexdigest()

    def __iter__(self) -> Iterator[bytes]:
        return self

    def __next__(self) -> bytes:
        if self._start:
            start, self._start = self._start, b""
            return start
        chunk = next(self._chunks)
        self._hasher.update(chunk)
        self.size += len(chunk)
        return chunk

    def peek(self, size: int = LOOKED_AT_BYTES) -> bytes:
        """The first bytes, fewer than `size` only when that is all; before anything is read."""
        while len(self._start) < size:
            chunk = next(self._chunks, None)
            if chunk is None:
                break
            self._hasher.update(chunk)
            self.size += len(chunk)
            self._start += chunk
        return self._start[:size]

    def drain(self) -> None:
        """Read what is left, so that length and digest are those of the whole."""
        for _ in self:
            pass


def in_rows(incoming: Incoming, form: Form, most: int) -> Iterable[bytes]:
    """The upload, refused as soon as a row of it is too long, and not when all has arrived.

    Only forms whose rows are lines are looked at: CSV, tab-separated values and JSON lines. The
    parser measures all others, and rows within one chunk.

    Raises: TooLargeError, where more than `most` bytes come without the end of a line.
    """
    if form is Form.AUTO:
        form = by_text(incoming.peek(_SNIFFED_BYTES).decode("utf-8", "replace"), "")
    return _lines_of(incoming, most) if form in _OF_LINES else incoming


def _lines_of(chunks: Iterable[bytes], most: int) -> Iterator[bytes]:
    open_bytes = 0
    for chunk in chunks:
        last = max(chunk.rfind(b"\n"), chunk.rfind(b"\r"))
        open_bytes = open_bytes + len(chunk) if last < 0 else len(chunk) - last - 1
        if open_bytes > most:
            raise TooLargeError("one row or field of the table is too long")
        yield chunk


def stated_form(asked: AddedFormat, media_type: str) -> Form:
    """The form as asked for, or by the media type; AUTO where neither says."""
    if asked is not AddedFormat.AUTO:
        return Form(asked.value)
    return _BY_MEDIA_TYPE.get(media_type.partition(";")[0].strip().lower(), Form.AUTO)
