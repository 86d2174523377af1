"""Undoing the coders of a 7z folder with what the standard library has.

Source: 7-Zip, DOC/Methods.txt; `lzma` for raw chains of LZMA, delta and branch filters.
"""

import lzma
from dataclasses import dataclass

from strongroom.engines.scanning.compressed import Decompressed
from strongroom.engines.scanning.reading import (
    Budget,
    LimitError,
    Limits,
    MalformedError,
    Stream,
)

_COPY, _LZMA2, _LZMA, _DELTA = b"\x00", b"\x21", b"\x03\x01\x01", b"\x03"
_STREAMS = {b"\x04\x01\x08": "deflate", b"\x04\x02\x02": "bz2"}
_BRANCHES = {
    b"\x03\x03\x01\x03": lzma.FILTER_X86,
    b"\x04": lzma.FILTER_X86,
    b"\x03\x03\x02\x05": lzma.FILTER_POWERPC,
    b"\x05": lzma.FILTER_POWERPC,
    b"\x03\x03\x05\x01": lzma.FILTER_ARM,
    b"\x07": lzma.FILTER_ARM,
    b"\x03\x03\x07\x01": lzma.FILTER_ARMTHUMB,
    b"\x08": lzma.FILTER_ARMTHUMB,
}
_DICTIONARY_BYTES = 96 << 20
_CHUNK = 1 << 16


@dataclass(frozen=True, slots=True)
class Coder:
    """One step of a folder; `is_plain` where it has one stream in and one out."""

    method: bytes
    properties: bytes
    is_plain: bool

    @property
    def can_undo(self) -> bool:
        """Whether it can be undone here."""
        known = self.method in (_COPY, _LZMA, _LZMA2, _DELTA)
        return self.is_plain and (known or self.method in _STREAMS or self.method in _BRANCHES)


def undo(packed: Stream, coders: list[Coder], limits: Limits, budget: Budget, size: int) -> Stream:
    """The bytes that a folder holds, `size` of them.

    Args:
        coders: in the order in which they are undone.

    Raises:
        MalformedError: they cannot be undone here.
        LimitError: one needs more memory than any honest archive.
    """
    stream = packed
    filters: list[dict[str, int]] = []
    for coder in coders:
        if not coder.can_undo:
            raise MalformedError("packed in a way that cannot be opened here")
        name = _STREAMS.get(coder.method)
        if name is not None and not filters:
            stream = Decompressed(stream, name, limits, budget, declared=size)
        elif name is not None:
            raise MalformedError("packed twice, which is not opened here")
        elif coder.method != _COPY:
            filters.insert(0, _filter(coder))
    if not filters:
        return stream
    if filters[-1]["id"] not in (lzma.FILTER_LZMA1, lzma.FILTER_LZMA2):
        raise MalformedError("a 7z folder whose filters stand alone")
    return _Raw(stream, filters, limits, budget, size)


def _filter(coder: Coder) -> dict[str, int]:
    properties = coder.properties
    if coder.method == _LZMA:
        if len(properties) != 5 or properties[0] >= 225:  # its largest value, 9 * 5 * 5
            raise MalformedError("a 7z coder with strange properties")
        dictionary = int.from_bytes(properties[1:], "little")
        code = properties[0]
        return {
            "id": lzma.FILTER_LZMA1,
            "dict_size": _fit(dictionary),
            "lc": code % 9,
            "lp": code // 9 % 5,
            "pb": code // 45,
        }
    if coder.method == _LZMA2:
        if len(properties) != 1 or properties[0] > 40:  # the largest dictionary there is
            raise MalformedError("a 7z coder with strange properties")
        code = properties[0]
        return {"id": lzma.FILTER_LZMA2, "dict_size": _fit((2 | code & 1) << (code // 2 + 11))}
    if coder.method == _DELTA:
        return {"id": lzma.FILTER_DELTA, "dist": properties[0] + 1 if properties else 1}
    return {"id": _BRANCHES[coder.method]}


def _fit(dictionary: int) -> int:
    if dictionary > _DICTIONARY_BYTES:
        raise LimitError("a dictionary larger than what may be held in memory")
    return max(dictionary, 4096)  # the smallest that liblzma takes


class _Raw:
    """A raw LZMA chain; it need not say where it ends, so the folder's size does."""

    def __init__(
        self,
        packed: Stream,
        filters: list[dict[str, int]],
        limits: Limits,
        budget: Budget,
        size: int,
    ) -> None:
        self._packed = packed
        self._limits = limits
        self._budget = budget
        self._left = size
        self._packed_bytes = self._unpacked_bytes = 0
        try:
            self._inner = lzma.LZMADecompressor(lzma.FORMAT_RAW, filters=filters)
        except (lzma.LZMAError, ValueError) as error:
            raise MalformedError("a 7z coder with strange properties") from error

    def read(self, size: int, /) -> bytes:
        """Up to `size` unpacked bytes."""
        while self._left > 0:
            pending = b""
            if self._inner.eof:
                raise MalformedError("a 7z folder that ends too early")
            if self._inner.needs_input:
                pending = self._packed.read(_CHUNK)
                self._packed_bytes += len(pending)
                if not pending:
                    raise MalformedError("a 7z folder that ends too early")
            try:
                data = self._inner.decompress(pending, min(size, _CHUNK, self._left))
            except (lzma.LZMAError, EOFError) as error:
                raise MalformedError("a 7z folder that is broken") from error
            if data:
                self._count(len(data))
                return data
        return b""

    def _count(self, count: int) -> None:
        self._left -= count
        self._unpacked_bytes += count
        self._budget.spend(count)
        limits = self._limits
        if (
            self._unpacked_bytes > limits.ratio_floor_bytes
            and self._unpacked_bytes > limits.ratio * max(1, self._packed_bytes)
        ):
            raise LimitError("unpacks to far more than any model would")
