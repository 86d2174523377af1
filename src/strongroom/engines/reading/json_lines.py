"""JSON lines: one object a line, whose fields may differ from row to row."""

import io
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.json
import re2

from strongroom.engines.reading.checking import Rows, checked, explained, truncated
from strongroom.engines.reading.json_moments import OTHER_MOMENT, as_texts, told_apart
from strongroom.engines.reading.json_types import (
    Merging,
    count_fields,
    fitted_lines,
    narrowed,
    parsed_rows,
)
from strongroom.engines.reading.source import Source
from strongroom.engines.reading.types import ReadLimits
from strongroom.errors import NoRowsError, TableError, TooLargeError

_BLOCK_BYTES = 1 << 20
_LARGE_NUMBER = re2.compile(rb"[:\[,]\s*-?[1-9]\d{18,}\s*[,\]}]")
"""What may be a whole number that pyarrow would take for a fraction, and round."""
_MAX_CELLS = 64 << 20
"""Objects times fields of what is parsed at once: so many values the parser may have to make."""

Again = Callable[[], Source]
"""Gives the same text from its start once more."""
JsonRows = tuple[Rows, tuple[str, ...]]
"""Rows, and what was assumed of them."""


def read_jsonl(source: Source, limits: ReadLimits, again: Again | None = None) -> JsonRows:
    """One JSON object a line, in UTF-8.

    A field has one type: whole numbers and fractions together are fractions, and values of
    other kinds together are text, as they stand in the JSON. All rows are looked at for that
    where `again` is given or the text is shorter than `limits.row_bytes`; else those of that many
    bytes, and later rows must fit them.

    Raises:
        TableError, TooLargeError, TruncatedError: now or while its batches are read.
    """
    merging = Merging(limits.columns)
    start = source.peek(limits.row_bytes)
    is_whole = len(start) < limits.row_bytes
    if is_whole and not start.strip():
        raise NoRowsError
    if is_whole or again is None:
        seen = start if is_whole else start[: start.rfind(b"\n") + 1]
        if start and not seen:
            raise source.fail(TooLargeError("one row of the table is too long"))
        _infer_all(source.over([seen]), limits, merging)
    else:
        _infer_all(source, limits, merging)
        source = again()
    schema = merging.schema()
    rows = checked(source, schema, _batches(source, schema, limits), limits)
    remarks: tuple[str, ...] = ()
    if merging.mixed:
        remarks = (f"fields whose values are of several kinds, read as text: {len(merging.mixed)}",)
    return rows, remarks


def _batches(source: Source, schema: pa.Schema, limits: ReadLimits) -> Iterator[pa.RecordBatch]:
    width = max(1, count_fields(pa.struct(list(schema))))
    length = cells = 0
    for lines, first in _blocks(source, limits):
        length += len(lines)
        cells += lines.count(b"{") * width
        if cells > max(limits.ratio_floor_bytes, limits.ratio * length):
            raise TooLargeError("most rows of the table have none of its many fields")
        for some, start in _halved(lines, first, lambda text: text.count(b"{") * width):
            if some.count(b"{") * width > _MAX_CELLS:
                raise TooLargeError("one row of the table is too long")
            yield from _parsed(some, start, schema)


def _infer_all(source: Source, limits: ReadLimits, merging: Merging) -> None:
    last: pa.Schema | None = None
    for lines, first in _blocks(source, limits):
        last = _infer(lines, first, merging, last)


def _infer(lines: bytes, first: int, merging: Merging, last: pa.Schema | None) -> pa.Schema | None:
    """Take in the fields of some lines; `last` and the answer: see `_types`."""
    # A colon stands after each key, so there are no more fields than colons.
    for some, start in _halved(lines, first, lambda text: text.count(b"{") * text.count(b":")):
        is_light = some.count(b"{") * some.count(b":") <= _MAX_CELLS
        if is_light and not _LARGE_NUMBER.search(some):
            try:
                last, found = _types(some, last)
                merging.add(pa.struct(list(found)))
                continue
            except (pa.ArrowException, UnicodeDecodeError) as error:
                kept = error
        else:
            kept = pa.ArrowInvalid("JSON parse error")
        merging.add_rows(_rows(some, start, kept))
    return last


def _types(lines: bytes, last: pa.Schema | None) -> tuple[pa.Schema, pa.Schema]:
    """The schema that pyarrow finds in some lines, and that of what the texts in it really are.

    Rows of the schema that was found `last` are parsed once for it, and not twice.
    """
    parse = partial(_parse, lines)
    if last is not None and as_texts(last) != last:
        with suppress(pa.ArrowException):
            return last, told_apart(last, parse)
    found = _parse(lines, None).schema
    return found, told_apart(found, parse)


def _parsed(lines: bytes, first: int, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    try:
        table = _parse(lines, schema)
    except (pa.ArrowException, UnicodeDecodeError) as error:
        # Some field of these is text by other rows.
        if (cast := _cast(lines, schema)) is not None:
            yield from cast.to_batches()
            return
        fitted = fitted_lines(_rows(lines, first, error), schema)
        try:
            table = _parse(fitted, schema)
        except pa.ArrowException as other:
            raise _said(other, first) from None
    yield from table.to_batches()


def _cast(lines: bytes, schema: pa.Schema) -> pa.Table | None:
    """The rows where only numbers and flags are text by other rows; far faster than fitting."""
    try:
        narrow = narrowed(schema, _parse(lines, None).schema)
        return None if narrow is None else _parse(lines, narrow).cast(schema)
    except (pa.ArrowException, UnicodeDecodeError):
        return None


def _parse(lines: bytes, schema: pa.Schema | None) -> pa.Table:
    if schema is not None and (texts := as_texts(schema)) != schema:
        found = _parse(lines, texts)
        try:
            return found.cast(schema)
        except pa.ArrowInvalid:
            raise pa.ArrowInvalid(OTHER_MOMENT) from None
    return pa.json.read_json(
        io.BytesIO(lines),
        read_options=pa.json.ReadOptions(use_threads=False, block_size=len(lines) + 1),
        parse_options=pa.json.ParseOptions(
            explicit_schema=schema,
            unexpected_field_behavior="infer" if schema is None else "error",
        ),
    )


def _rows(lines: bytes, first: int, error: Exception) -> list[dict[str, Any]]:
    """The rows, parsed by the standard library; where it cannot either, `error` is told."""
    try:
        return parsed_rows(lines)
    except (ValueError, RecursionError):
        if not lines.endswith(b"\n") and _is_cut(lines):
            raise truncated("last row of the JSON lines") from None
        raise _said(error, first) from None


def _is_cut(lines: bytes) -> bool:
    """Whether all lines but the last are valid, and that ends before its brackets are closed."""
    before, _, last = lines.rpartition(b"\n")
    try:
        parsed_rows(before)
    except (ValueError, RecursionError, TableError):
        return False
    return last.lstrip().startswith(b"{") and not last.rstrip().endswith(b"}")


_ROW = re2.compile(r"in row (\d{1,15})")


def _said(error: Exception, first: int) -> Exception:
    """A parser's error in our words; its row counts from the start of what it was given."""
    return explained(
        type(error)(_ROW.sub(lambda found: f"in row {first + int(found.group(1))}", str(error)))
        if isinstance(error, pa.ArrowException)
        else error
    )


def _halved(
    lines: bytes, first: int, weight: Callable[[bytes], int]
) -> Iterator[tuple[bytes, int]]:
    """The lines in parts that weigh at most `_MAX_CELLS`, or are one line; with their numbers."""
    waiting = [(lines, first)]
    while waiting:
        some, number = waiting.pop()
        middle = some.find(b"\n", len(some) // 2) + 1 or some.rfind(b"\n", 0, len(some) // 2) + 1
        if weight(some) <= _MAX_CELLS or not 0 < middle < len(some):
            yield some, number
        else:
            waiting.append((some[middle:], number + some.count(b"\n", 0, middle)))
            waiting.append((some[:middle], number))


def _blocks(source: Source, limits: ReadLimits) -> Iterator[tuple[bytes, int]]:
    """Whole lines of some 1 MiB, none of them long or deeply nested; the number of the first.

    pyarrow's JSON parser recurses into nested values without a limit of its own.
    """
    cut, number, ended = b"", 1, False
    while not ended:
        block = source.read(_BLOCK_BYTES)
        ended = len(block) < _BLOCK_BYTES
        lines, newline, rest = (cut + block).rpartition(b"\n")
        if ended:
            lines, newline, rest = lines + newline + rest, b"", b""
        if len(rest) > limits.row_bytes:
            raise source.fail(TooLargeError("one row of the table is too long"))
        cut = rest
        _check_lines(lines, source, limits)
        if lines or newline:
            yield lines + newline, number
            number += lines.count(b"\n") + len(newline)


def _check_lines(lines: bytes, source: Source, limits: ReadLimits) -> None:
    """Raise TooLargeError for a long line, TableError for one that is nested too deeply."""
    characters = np.frombuffer(lines, np.uint8)
    ends = np.append(np.flatnonzero(characters == ord("\n")), len(characters))
    starts = np.concatenate([[0], ends[:-1] + 1])
    if int((ends - starts).max()) > limits.row_bytes:
        raise source.fail(TooLargeError("one row of the table is too long"))
    # `[` and `{` differ in this bit only. Lines with few of them are not nested deeply.
    opened = np.flatnonzero((characters | 0x20) == ord("{"))
    counts = np.searchsorted(opened, ends) - np.searchsorted(opened, starts)
    for at in np.flatnonzero(counts > limits.depth):
        if _depth(lines[starts[at] : ends[at]]) > limits.depth:
            raise source.fail(TableError(f"a row is nested deeper than {limits.depth} levels"))


_JSON_STRING = re2.compile(rb'"(?:[^"\\]|\\.)*"')


def _depth(line: bytes) -> int:
    """Greatest depth of nested brackets outside strings."""
    outside = np.frombuffer(_JSON_STRING.sub(b"", line), np.uint8)
    steps = np.isin(outside, (0x5B, 0x7B)).astype(np.int64) - np.isin(outside, (0x5D, 0x7D))
    return int(np.cumsum(steps).max(initial=0))
