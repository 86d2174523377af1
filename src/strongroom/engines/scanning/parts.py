"""Parts of a stream, as streams of their own."""

import io
from collections.abc import Iterator

from strongroom.engines.scanning.reading import MalformedError, Reader, SeekableStream, Stream


class Region:
    """A part of a seekable stream, forwards."""

    def __init__(self, stream: SeekableStream, offset: int, size: int) -> None:
        stream.seek(offset)
        self._stream = stream
        self._left = size

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes of the region."""
        data = self._stream.read(min(size, self._left))
        self._left -= len(data)
        return data


class SeekableRegion:
    """A part of a seekable stream, as a file of its own."""

    def __init__(self, stream: SeekableStream, offset: int, size: int) -> None:
        self._stream = stream
        self._offset = offset
        self._size = size
        self._at = 0

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes from the present place."""
        self._stream.seek(self._offset + self._at)
        data = self._stream.read(max(0, min(size, self._size - self._at)))
        self._at += len(data)
        return data

    def seek(self, offset: int, whence: int = io.SEEK_SET, /) -> int:
        """Go to a place, counted as for any file."""
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._at, io.SEEK_END: self._size}[whence]
        self._at = max(0, base + offset)
        return self._at


class Ahead:
    """What a reader has ahead of it, as a stream."""

    def __init__(self, reader: Reader) -> None:
        self._reader = reader

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes; none beyond the reader's own end."""
        data = self._reader.peek(size)
        self._reader.skip(len(data))
        return data


class Behind(Ahead):
    """A stream from some byte on."""

    def __init__(self, stream: Stream, offset: int) -> None:
        reader = Reader(stream)
        reader.skip(offset)
        super().__init__(reader)


class First:
    """The first bytes of a stream, which must be there."""

    def __init__(self, stream: Stream, size: int) -> None:
        self._stream = stream
        self._left = size

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes."""
        if not self._left:
            return b""
        data = self._stream.read(min(size, self._left))
        if not data and size:
            raise MalformedError("ends too early")
        self._left -= len(data)
        return data


class Joined:
    """Streams one after the other, each opened when it is its turn."""

    def __init__(self, streams: Iterator[Stream]) -> None:
        self._streams = streams
        self._stream = next(streams, None)

    def read(self, size: int, /) -> bytes:
        """Up to `size` bytes of one of the streams."""
        while self._stream is not None:
            data = self._stream.read(size)
            if data:
                return data
            self._stream = next(self._streams, None)
        return b""
