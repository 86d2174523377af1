"""Compressed files unpacked as a stream: gzip, bzip2, xz and zstd, within ratio and budget."""

import bz2
import io
import lzma
import zlib
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

from strongroom.engines.reading.source import Budget, Source
from strongroom.engines.reading.types import Form, ReadLimits
from strongroom.errors import StrongroomError, TableError, TooLargeError, TruncatedError

_CHUNK_BYTES = 1 << 18
_XZ_MEMORY_BYTES = 96 << 20
"""xz at its highest preset needs 65 MiB to unpack."""


class Ratio:
    """Stops a stream that unpacks to far more than data does, or to more than the budget."""

    def __init__(self, limits: ReadLimits, budget: Budget) -> None:
        self._limits = limits
        self._budget = budget
        self.packed_bytes = 0
        self._unpacked_bytes = 0

    def count(self, unpacked: int) -> None:
        """Add `unpacked` bytes. Raises: TooLargeError."""
        self._budget.spend(unpacked)
        self._budget.check_time()
        self._unpacked_bytes += unpacked
        if (
            self._unpacked_bytes > self._limits.ratio_floor_bytes
            and self._unpacked_bytes > self._limits.ratio * max(1, self.packed_bytes)
        ):
            raise TooLargeError(
                f"the file unpacks to more than {self._limits.ratio} times its size",
                next_step="unpack it yourself, and read what comes out",
            )


def unpacked(source: Source, form: Form, limits: ReadLimits) -> Iterator[bytes]:
    """What is packed in `source`.

    Raises, while it is read:
        TableError: it is damaged.
        TruncatedError: it ends before its end.
        TooLargeError: it unpacks to too much.
    """
    ratio = Ratio(limits, source.budget)
    pieces = _zstd(source, ratio) if form is Form.ZSTD else _members(source, form, ratio)
    try:
        for piece in pieces:
            ratio.count(len(piece))
            yield piece
    except StrongroomError:
        raise
    except (zlib.error, lzma.LZMAError, EOFError, pa.ArrowException, OSError, ValueError) as error:
        if source.failure is not None:
            raise source.failure from None
        if "runcated" in str(error) or "end of" in str(error):
            raise _cut_off(form) from None
        raise TableError(f"the {form} file is damaged") from None


def _cut_off(form: Form) -> TruncatedError:
    return TruncatedError(f"the {form} file ends before its end")


class _Gzip:
    """zlib's unpacker in the shape of the others: it keeps what it has not used yet."""

    def __init__(self) -> None:
        self._inner = zlib.decompressobj(16 + zlib.MAX_WBITS)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


def _unpacker(form: Form) -> Any:  # noqa: ANN401 # three classes alike that share no name
    if form is Form.GZIP:
        return _Gzip()
    if form is Form.BZIP2:
        return bz2.BZ2Decompressor()
    return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)


def _members(source: Source, form: Form, ratio: Ratio) -> Iterator[bytes]:
    """One member after the other, as `gzip`, `bzip2` and `xz` append them."""
    unpacker = _unpacker(form)
    data = b""
    while True:
        if not data and unpacker.needs_input:
            data = source.read(_CHUNK_BYTES)
            ratio.packed_bytes += len(data)
            if not data:
                raise _cut_off(form)
        if piece := unpacker.decompress(data, _CHUNK_BYTES):
            yield piece
        data = b""
        if unpacker.eof:
            data = unpacker.unused_data.lstrip(b"\0")
            while not data and (more := source.read(_CHUNK_BYTES)):
                ratio.packed_bytes += len(more)
                data = more.lstrip(b"\0")
            if not data:
                return
            unpacker = _unpacker(form)


class _Counted(io.RawIOBase):
    """A file for pyarrow that counts what it reads."""

    def __init__(self, source: Source, ratio: Ratio) -> None:
        super().__init__()
        self._source = source
        self._ratio = ratio

    def read(self, size: int | None = -1) -> bytes:
        data = self._source.read(size)
        self._ratio.packed_bytes += len(data)
        return data

    def readable(self) -> bool:
        return True


def _zstd(source: Source, ratio: Ratio) -> Iterator[bytes]:
    file: Any = pa.PythonFile(_Counted(source, ratio), mode="r")
    with pa.CompressedInputStream(file, "zstd") as stream:
        while piece := stream.read(_CHUNK_BYTES):
            yield piece
