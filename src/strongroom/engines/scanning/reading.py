"""Reading hostile bytes forwards in bounded memory, within limits."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

_CHUNK = 1 << 18
# From so many bytes on it is cheaper to jump, where a stream can.
_JUMP = 1 << 20
# Arrays smaller than this are searched for texts all the same: it costs nothing.
_FEW_NUMBERS = 1 << 12
_MAX_SPANS = 10_000


class Stream(Protocol):
    """What a scanner needs of a file: bytes, forwards."""

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; empty only at the end."""


class SeekableStream(Stream, Protocol):
    """A file one may also jump in."""

    def seek(self, offset: int, whence: int = ..., /) -> int:
        """Moves to `offset`."""


# Opens the same bytes anew at each call, positioned at their start.
Opener = Callable[[], Stream]
SeekableOpener = Callable[[], SeekableStream]
# Parts of a file, sorted and apart: first byte, and the one behind the last.
Spans = Sequence[tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Limits:
    """How much of anything a scan takes before it gives up, which blocks the artifact.

    Defaults bear a 20 GB model and stop a decompression bomb.
    """

    files: int = 50_000
    depth: int = 6  # archives within archives
    members: int = 50_000  # of one archive
    name_chars: int = 1_024
    unpacked_bytes: int = 64 << 30  # all that decompression yields, over one scan
    ratio: int = 1_100  # unpacked : packed of one stream; deflate can reach 1,032
    ratio_floor_bytes: int = 256 << 20  # below this the ratio is not looked at
    nested_bytes: int = 64 << 20  # an archive inside an archive is held in memory
    header_bytes: int = 64 << 20  # JSON headers and schemas
    flatbuffer_bytes: int = 256 << 20  # a FlatBuffer is held in memory to be looked into
    opcodes: int = 50_000_000  # of all pickles of one file
    stack: int = 2_000_000
    memo: int = 4_000_000
    held_bytes: int = 320 << 20  # estimated memory of one symbolic run
    findings: int = 1_000


class LimitError(Exception):
    """More than a limit allows."""


class MalformedError(Exception):
    """The bytes are not what their format demands."""


class FrameError(MalformedError):
    """A pickle uses its frames as no pickler does.

    CPython's two unpicklers then read different bytes, so it is never taken for something else.
    """


class Budget:
    """What is left, over one scan, of bytes that decompression may yield."""

    def __init__(self, unpacked_bytes: int) -> None:
        self.unpacked_bytes = unpacked_bytes

    def spend(self, count: int) -> None:
        """Counts bytes that came out of a decompressor.

        Raises:
            LimitError: when none are left.
        """
        self.unpacked_bytes -= count
        if self.unpacked_bytes < 0:
            raise LimitError("more unpacked bytes than the limit")


class Reader:
    """A forward reader with a window, an absolute offset and an optional end.

    `end` bounds a region (a member, a nested pickle); reads beyond it fail as at end of file.
    `numbers` are the spans that a format holds to be numbers, where no text needs to be looked for.
    """

    def __init__(self, stream: Stream) -> None:
        self._stream = stream
        self._window = b""
        self._at = 0
        self._base = 0
        self.end: int | None = None
        self.opcode_at = 0
        self.numbers: list[tuple[int, int]] = []

    @property
    def offset(self) -> int:
        """Absolute position of the next byte."""
        return self._base + self._at

    def opcode(self) -> int:
        """The next byte; its offset is kept as `opcode_at`.

        Raises:
            MalformedError: at the end.
        """
        at = self._at
        self.opcode_at = self._base + at
        if at < len(self._window) and self.end is None:
            self._at = at + 1
            return self._window[at]
        return self._take_slowly(1)[0]

    def ahead(self, end: int) -> tuple[bytes, int, int]:
        """What lies ready: the window, where in it the next byte is, and where it stops.

        It stops at the latest at the absolute offset `end`, and where `self.end` forbids more.
        """
        until = end if self.end is None else min(end, self.end)
        return self._window, self._at, min(len(self._window), until - self._base)

    def consumed(self, count: int) -> None:
        """Passes over `count` bytes of what `ahead` gave."""
        self._at += count

    def take(self, count: int) -> bytes:
        """Exactly `count` bytes.

        Raises:
            MalformedError: if fewer are left.
        """
        stop = self._at + count
        if stop <= len(self._window) and self.end is None:
            data = self._window[self._at : stop]
            self._at = stop
            return data
        return self._take_slowly(count)

    def _take_slowly(self, count: int) -> bytes:
        if self.end is not None and self.offset + count > self.end:
            raise MalformedError("ends too early")
        if not self._fill(count):
            raise MalformedError("ends too early")
        data = self._window[self._at : self._at + count]
        self._at += count
        return data

    def _fill(self, count: int) -> bool:
        """Makes `count` bytes lie in the window; False if the stream has fewer."""
        missing = count - (len(self._window) - self._at)
        if missing <= 0:
            return True
        parts = [self._window[self._at :]]
        while missing > 0:
            chunk = self._stream.read(max(_CHUNK, min(missing, 16 * _CHUNK)))
            if not chunk:
                break
            parts.append(chunk)
            missing -= len(chunk)
        self._base += self._at
        self._at = 0
        self._window = b"".join(parts)
        return missing <= 0

    def peek(self, count: int) -> bytes:
        """Up to `count` bytes ahead without consuming them."""
        if self.end is not None:
            count = max(0, min(count, self.end - self.offset))
        self._fill(count)
        return self._window[self._at : self._at + count]

    def skip(self, count: int) -> None:
        """Passes over `count` bytes without keeping them.

        Raises:
            MalformedError: if fewer are left.
        """
        if self.end is not None and self.offset + count > self.end:
            raise MalformedError("ends too early")
        have = len(self._window) - self._at
        if count <= have:
            self._at += count
            return
        self._base += len(self._window)
        self._window, self._at = b"", 0
        left = count - have
        seek = getattr(self._stream, "seek", None) if left >= _JUMP else None
        if seek is not None:
            place = seek(0, io.SEEK_CUR)
            if seek(0, io.SEEK_END) < place + left:
                raise MalformedError("ends too early")
            seek(place + left)
            self._base += left
            return
        while left > 0:
            chunk = self._stream.read(min(left, 16 * _CHUNK))
            if not chunk:
                raise MalformedError("ends too early")
            self._base += len(chunk)
            left -= len(chunk)

    def skip_numbers(self, count: int) -> None:
        """Passes over `count` bytes that are numbers, and remembers where they are.

        Raises:
            MalformedError: if fewer are left.
        """
        start = self.offset
        self.skip(count)
        if count >= _FEW_NUMBERS and len(self.numbers) < _MAX_SPANS:
            self.numbers.append((start, start + count))

    def line(self, limit: int) -> bytes:
        """Bytes up to and without the next newline, or to the end of the file.

        Raises:
            MalformedError: if no newline follows within `limit` bytes.
        """
        ahead, size, place = b"", 0, -1
        while place < 0 and size < limit:
            searched, size = size, min(limit, max(4096, 16 * size))
            ahead = self.peek(size)
            place = ahead.find(b"\n", searched)
            if len(ahead) < size:
                break
        if place < 0 and len(ahead) < limit:
            # At the end of the file Python's unpickler takes what is there, less one byte.
            self._at += len(ahead)
            return ahead[:-1]
        if place < 0:
            raise MalformedError("line without an end")
        self._at += place + 1
        return ahead[:place]

    def drain(self) -> int:
        """Reads to the end; how many bytes were left."""
        start = self.offset
        while data := self.peek(_CHUNK):
            self.skip(len(data))
        return self.offset - start


def size_of(stream: SeekableStream) -> int:
    """Length of a seekable stream, which is left at its start."""
    size = stream.seek(0, io.SEEK_END)
    stream.seek(0)
    return size
