"""Decompressing streams in bounded memory: zlib, gzip, bzip2, xz, lzma, lz4 and zstd."""

import bz2
import lzma
import zlib
from typing import Protocol

from strongroom.engines.scanning.reading import Budget, LimitError, Limits, MalformedError, Stream

_CHUNK = 1 << 16
_MAGIC = (
    (b"\x1f\x8b\x08", "gzip"),
    (b"BZh", "bz2"),
    (b"\xfd7zXZ\x00", "xz"),
    (b"\x5d\x00\x00", "lzma"),
    (b"\x04\x22\x4d\x18", "lz4"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
)
_OPENED = frozenset(("gzip", "bz2", "xz", "lzma", "lz4", "zstd", "zlib"))
_XZ_MEMORY_BYTES = 96 << 20


def compression_of(head: bytes) -> str | None:
    """Name of the compression that a file begins with, or None.

    zlib has a two-byte header that text can begin with too: callers try it and fall back.
    """
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    if len(head) > 1 and head[0] == 0x78 and head[1] in b"\x01\x5e\x9c\xda":  # RFC 1950
        return "zlib"
    return None


def can_open(name: str) -> bool:
    """Whether this installation can decompress it."""
    return name in _OPENED


class _Decompressor(Protocol):
    @property
    def eof(self) -> bool: ...

    @property
    def unused_data(self) -> bytes: ...

    def decompress(self, data: bytes, max_length: int) -> bytes: ...


class Decompressed:
    """The unpacked bytes of a packed stream, forwards.

    Args:
        name: as `compression_of` gives it, or `deflate` for a bare stream as in a zip.
        declared: unpacked length that the container states; more is malformed.
    """

    def __init__(  # one stream has all of these
        self,
        packed: Stream,
        name: str,
        limits: Limits,
        budget: Budget,
        *,
        declared: int | None = None,
    ) -> None:
        self._packed = packed
        self._name = name
        self._limits = limits
        self._budget = budget
        self._declared = declared
        self._decompressor = self._new()
        self._pending = b""
        self._packed_bytes = 0
        self._unpacked_bytes = 0
        self._ended = False

    def _new(self) -> _Decompressor:
        if self._name == "deflate":
            return _Zlib(-zlib.MAX_WBITS)
        if self._name == "gzip":
            return _Zlib(16 + zlib.MAX_WBITS)
        if self._name == "zlib":
            return _Zlib(zlib.MAX_WBITS)
        if self._name == "bz2":
            return bz2.BZ2Decompressor()
        if self._name in ("xz", "lzma"):
            return lzma.LZMADecompressor(lzma.FORMAT_AUTO, memlimit=_XZ_MEMORY_BYTES)
        raise MalformedError(f"compression `{self._name}` cannot be opened")

    def read(self, size: int, /) -> bytes:
        """Up to `size` unpacked bytes; empty at the end.

        Raises:
            MalformedError: the packed bytes are broken.
            LimitError: the ratio or the budget is exceeded.
        """
        while not self._ended:
            data = self._step(min(size, _CHUNK))
            if data:
                return data
        return b""

    def _step(self, size: int) -> bytes:
        if self._decompressor.eof:
            self._next_member()
            return b""
        if not self._pending:
            self._pending = self._packed.read(_CHUNK)
            self._packed_bytes += len(self._pending)
            if not self._pending and getattr(self._decompressor, "needs_input", True):
                raise MalformedError(f"the {self._name} stream ends too early")
        try:
            data = self._decompressor.decompress(self._pending, size)
        except (zlib.error, OSError, lzma.LZMAError, EOFError, ValueError, RuntimeError) as error:
            raise MalformedError(f"the {self._name} stream is broken") from error
        self._pending = self._left_over()
        self._count(len(data))
        return data

    def _left_over(self) -> bytes:
        if isinstance(self._decompressor, _Zlib):
            return self._decompressor.tail
        # The others keep what they have not used themselves until they ask for more.
        return b""

    def _next_member(self) -> None:
        """Another gzip or bzip2 member may follow; anything else after the end is not looked at."""
        rest = self._decompressor.unused_data
        rest = rest or self._packed.read(_CHUNK)
        rest = rest.lstrip(b"\x00") if self._name in ("gzip", "xz") else rest
        if not rest:
            self._ended = True
            return
        if self._name in ("deflate", "zlib", "lzma", "lz4"):
            raise MalformedError(f"bytes follow the {self._name} stream")
        self._decompressor = self._new()
        self._pending = rest

    def _count(self, count: int) -> None:
        self._unpacked_bytes += count
        self._budget.spend(count)
        if self._declared is not None and self._unpacked_bytes > self._declared:
            raise MalformedError("holds more than its header declares")
        if (
            self._unpacked_bytes > self._limits.ratio_floor_bytes
            and self._unpacked_bytes > self._limits.ratio * max(1, self._packed_bytes)
        ):
            raise LimitError("unpacks to far more than any model would")


class _Zlib:
    """zlib's decompressor in the shape of the others."""

    def __init__(self, window: int) -> None:
        self._inner = zlib.decompressobj(window)
        self.tail = b""

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self.tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        unpacked = self._inner.decompress(data, max_length)
        self.tail = self._inner.unconsumed_tail
        return unpacked
