"""The bytes of a file, for parsers that want one: looked at beforehand, read piece by piece."""

import io
import time
from collections import deque
from collections.abc import Iterable, Iterator
from typing import Any, BinaryIO

from strongroom.errors import StrongroomError, TooLargeError

_CHUNK_BYTES = 1 << 20
_SNIFFED_BYTES = 1 << 16
_TAIL_BYTES = 16


class Budget:
    """What one file and all that is packed into it may still use; shared by all its parts."""

    def __init__(self, expanded_bytes: int, seconds: float) -> None:
        self._left = expanded_bytes
        self._limit = expanded_bytes
        self._deadline = time.monotonic() + seconds if seconds else None

    def spend(self, count: int) -> None:
        """Take `count` unpacked bytes. Raises: TooLargeError."""
        self._left -= count
        if self._left < 0:
            raise TooLargeError(f"the file unpacks to more than {self._limit} bytes")

    def check_time(self) -> None:
        """Raises: TooLargeError when the time is over."""
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise TooLargeError("the file takes too long to read")


class Source(io.RawIOBase):
    """A readable stream over pieces, or over a file.

    The first error of the stream is kept in `failure`: parsers turn exceptions of the files they
    read into their own.
    """

    def __init__(self, chunks: Iterable[bytes], budget: Budget, *, max_read: int) -> None:
        """`max_read` is the most that a parser may ask for in one piece, in bytes."""
        super().__init__()
        self._chunks = iter(chunks)
        self._waiting: deque[memoryview] = deque()
        self._waiting_bytes = 0
        self._max_read = max_read
        self.budget = budget
        self.failure: StrongroomError | None = None
        self.tail = b""

    def readable(self) -> bool:
        """True."""
        return True

    def over(self, chunks: Iterable[bytes]) -> "Source":
        """A source of other chunks, made from these, under the same limits."""
        return Source(chunks, self.budget, max_read=self._max_read)

    def fail(self, error: StrongroomError) -> StrongroomError:
        """Keep `error` unless there was one before; gives the one that counts."""
        self.failure = self.failure or error
        return self.failure

    def _fill(self, wanted: int) -> None:
        while self._waiting_bytes < wanted:
            try:
                self.budget.check_time()
                chunk = next(self._chunks, None)
            except StrongroomError as error:
                raise self.fail(error) from None
            if chunk is None:
                return
            if not chunk:
                continue
            self.tail = (self.tail + chunk[-_TAIL_BYTES:])[-_TAIL_BYTES:]
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
            raise self.fail(
                TooLargeError(f"one piece of the table has more than {self._max_read} bytes")
            )
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

    def pieces(self) -> Iterator[bytes]:
        """All that is left, in pieces of 1 MiB."""
        while piece := self.read(min(_CHUNK_BYTES, self._max_read)):
            yield piece

    def drain(self) -> None:
        """Read what is left, so that `tail` is the end of the whole."""
        for _ in self.pieces():
            pass


def chunks_of(file: BinaryIO) -> Iterator[bytes]:
    """The file from where it stands, in pieces of 1 MiB."""
    while chunk := file.read(_CHUNK_BYTES):
        yield chunk
