"""Running text and logs: a row a paragraph or a line, with the line where it begins."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute
import re2

from strongroom.engines.reading.checking import Rows, checked
from strongroom.engines.reading.source import Source
from strongroom.engines.reading.types import ReadLimits
from strongroom.errors import EncodingError, TooLargeError

pc: Any = pyarrow.compute

_BLOCK_BYTES = 1 << 20
_PARAGRAPH_BYTES = 1 << 16
_PARAGRAPH_END = re2.compile(rb"\n(?:[ \t\r]*\n)+")

Ends = npt.NDArray[np.int64]


def read_lines(source: Source, limits: ReadLimits) -> Rows:
    """Columns `line`, without its end, and `line_number`, from 1; UTF-8.

    Raises:
        TableError, TooLargeError, EncodingError: now or while its batches are read.
    """

    def rows() -> Iterator[pa.RecordBatch]:
        for block, first in _blocks(source, limits):
            texts = _cut(block, _line_ends(block))
            texts = pc.ascii_rtrim(texts, characters="\r\n")
            numbers: Any = np.arange(first, first + len(texts))
            yield pa.RecordBatch.from_arrays([texts, pa.array(numbers)], schema=_LINES)

    return checked(source, _LINES, rows(), limits)


def read_paragraphs(source: Source, limits: ReadLimits) -> Rows:
    """Columns `text`, a paragraph with the line ends after it, and `line_number`; UTF-8.

    The texts put together are the file again. A paragraph of more than 64 KiB is cut at a line.

    Raises: as `read_lines`.
    """

    def rows() -> Iterator[pa.RecordBatch]:
        for block, first in _blocks(source, limits):
            lines = _line_ends(block)
            ends = _paragraph_ends(block, lines)
            starts = np.concatenate([[0], ends[:-1]])
            numbers: Any = first + np.searchsorted(lines, starts, side="right")
            yield pa.RecordBatch.from_arrays(
                [_cut(block, ends), pa.array(numbers)], schema=_PARAGRAPHS
            )

    return checked(source, _PARAGRAPHS, rows(), limits)


def _with_number(name: str) -> pa.Schema:
    fields: list[pa.Field[Any]] = [pa.field(name, pa.string()), pa.field("line_number", pa.int64())]
    return pa.schema(fields)


_LINES = _with_number("line")
_PARAGRAPHS = _with_number("text")


def _blocks(source: Source, limits: ReadLimits) -> Iterator[tuple[bytes, int]]:
    """Whole lines of some 1 MiB, valid UTF-8, and the number of the first of them."""
    number, held = 1, b""
    pieces = iter(source.pieces())
    ended = False
    while not ended:
        piece = next(pieces, b"")
        ended = not piece
        whole, newline, rest = (held + piece).rpartition(b"\n")
        if ended:
            whole, newline, rest = whole + newline + rest, b"", b""
        if len(rest) > limits.row_bytes:
            raise TooLargeError(f"a line is too long: after line {number + whole.count(10)}")
        held = rest
        block = whole + newline
        if number == 1:
            block = block.removeprefix(b"\xef\xbb\xbf")
        if not block:
            continue
        try:
            block.decode()
        except UnicodeDecodeError as error:
            place = number + block.count(b"\n", 0, error.start)
            raise EncodingError(f"the text is not UTF-8: line {place}") from None
        yield block, number
        number += block.count(b"\n")


def _line_ends(block: bytes) -> Ends:
    """Where each line ends, after its line feed."""
    ends = np.flatnonzero(np.frombuffer(block, np.uint8) == ord("\n")) + 1
    return ends if block.endswith(b"\n") else np.append(ends, len(block))


def _paragraph_ends(block: bytes, lines: Ends) -> Ends:
    ends = [found.end() for found in _PARAGRAPH_END.finditer(block)]
    if not ends or ends[-1] != len(block):
        ends.append(len(block))
    kept: list[int] = []
    start = 0
    for end in ends:
        while end - start > _PARAGRAPH_BYTES:
            # The last line end that fits, or the end of a line that is longer.
            fitting = int(np.searchsorted(lines, start + _PARAGRAPH_BYTES, side="right")) - 1
            cut = int(lines[fitting]) if fitting >= 0 and lines[fitting] > start else 0
            cut = cut or int(lines[np.searchsorted(lines, start, side="right")])
            if cut >= end:
                break
            kept.append(cut)
            start = cut
        kept.append(end)
        start = end
    return np.array(kept, np.int64)


def _cut(block: bytes, ends: Ends) -> Any:  # noqa: ANN401 # the stubs want a type of values
    """The pieces of `block` that end at `ends`, without a copy."""
    offsets = np.concatenate([[0], ends]).astype(np.int32)
    buffers = [None, pa.py_buffer(offsets.tobytes()), pa.py_buffer(block)]
    return pa.Array.from_buffers(pa.string(), len(ends), buffers)
