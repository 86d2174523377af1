"""A type for each column of a CSV: by its beginning, or by all of its rows, block by block.

What one type cannot hold without a loss is text: numbers with leading zeros, whole numbers with
more digits than a float has, and columns whose values are of several kinds.
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import re2

from strongroom.engines.reading.source import Source
from strongroom.engines.reading.types import ReadLimits

# The stubs' overloads know fewer argument types than the functions take.
pc: Any = pyarrow.compute

INFERENCE_BYTES = 4 << 20
Again = Callable[[], Source]
"""Gives the same text from its start once more."""
Types = dict[str, pa.DataType]

_NOT_A_NUMBER = ["", "NA", "N/A", "n/a", "NaN", "nan", "null", "NULL", "None", "#N/A"]
_LOSSY = r"^[+-]?0[0-9]|^[+-]?[0-9]{16,}$"
"""Numbers that a number would not hold as they are written; an int64 holds 18 digits."""
_LOSSY_WHOLE = r"^[+-]?0[0-9]"
_MAY_BE_LOSSY = re2.compile(rb'(?:^|[,;\t|\n"])[+-]?(?:0[0-9]|[0-9]{16})')
_EXACT_IN_FLOATS = 1 << 53
_DATED = ("date32[day]", "timestamp[s]", "timestamp[ns]")
"""Each holds what those before it hold, as pyarrow takes them among the values of one block."""


def reading(names: list[str] | None, block_bytes: int) -> pa.csv.ReadOptions:
    """How a CSV is read; `names` of its columns where its first row has none."""
    return pa.csv.ReadOptions(use_threads=False, block_size=block_bytes, column_names=names)


def conversion(types: Mapping[str, pa.DataType], only: Sequence[str] = ()) -> pa.csv.ConvertOptions:
    """How values are converted; `only` these columns where some are named."""
    return pa.csv.ConvertOptions(
        column_types=dict(types),
        null_values=_NOT_A_NUMBER,
        strings_can_be_null=False,
        check_utf8=True,
        include_columns=list(only) or None,
    )


class ColumnTypes:
    """The types of the columns, as far as rows were looked at.

    Attributes:
        types: by name.
        widened: columns that are text by later rows, in their order.
    """

    def __init__(self, parse: pa.csv.ParseOptions, names: Sequence[str]) -> None:
        self._parse = parse
        self._names = list(names)
        self._beyond_floats: set[str] = set()
        self.types: Types = {}
        self.widened: list[str] = []

    def look_at_start(self, start: bytes, *, header: bool, text_columns: Sequence[str]) -> int:
        """Take the types of the first rows; how many bytes these have.

        Columns without any value there are text, which can hold what comes. `text_columns` stay
        text. Where the rows cannot be parsed nothing is known but these: the parser of the whole
        meets the same and says what is wrong.
        """
        self.types = dict.fromkeys(text_columns, pa.string())
        end = whole_rows_end(start) or len(start)
        found = self._inferred(start[:end], None if header else self._names, ())
        if found is None:
            return 0
        self.types = {
            name: pa.string() if pa.types.is_null(kind) else kind for name, kind in found.items()
        } | self.types
        return end

    def look_at_rest(self, source: Source, skipped: int, limits: ReadLimits) -> None:
        """Widen the types until they hold all rows of `source`, from byte `skipped` on."""
        before = [name for name in self._names if not self._is_text(name)]
        while skipped:
            skipped -= len(source.read(min(skipped, limits.row_bytes)))
        for block in _blocks(source, limits):
            typed = [name for name in before if not self._is_text(name)]
            if not typed:
                break
            found = self._inferred(block, self._names, typed)
            if found is None:
                # Rows that are no rows by themselves, as when a quote stands within a value.
                self.types |= dict.fromkeys(typed, pa.string())
                break
            for name, kind in found.items():
                self.types[name] = self._merged(name, self.types[name], kind)
        self.widened = [name for name in before if self._is_text(name)]

    def _is_text(self, name: str) -> bool:
        return bool(pa.types.is_string(self.types.get(name, pa.string())))

    def _inferred(self, rows: bytes, given: list[str] | None, only: Sequence[str]) -> Types | None:
        """Types by these rows alone; None where they cannot be parsed."""

        def read(types: Mapping[str, pa.DataType], only: Sequence[str]) -> pa.Table:
            return pa.csv.read_csv(
                io.BytesIO(rows),
                read_options=reading(given, max(1, len(rows))),
                parse_options=self._parse,
                convert_options=conversion(types, only),
            )

        try:
            inferred = read({}, only)
            types = {field.name: field.type for field in inferred.schema}
            numbers = [name for name, kind in types.items() if _is_number(kind)]
            texts = None
            if numbers and _MAY_BE_LOSSY.search(rows):
                texts = read(dict.fromkeys(numbers, pa.string()), numbers)
        except pa.ArrowInvalid:
            return None
        for name in numbers:
            if pa.types.is_integer(types[name]) and _is_beyond_floats(inferred[name]):
                self._beyond_floats.add(name)
            if texts is None:
                continue
            lossy = _LOSSY_WHOLE if pa.types.is_integer(types[name]) else _LOSSY
            if pc.any(pc.match_substring_regex(texts[name], lossy)).as_py():
                types[name] = pa.string()
        return types

    def _merged(self, name: str, one: pa.DataType, other: pa.DataType) -> pa.DataType:
        """The type for the values of two."""
        if one == other or pa.types.is_null(other):
            return one
        if {one, other} == {pa.int64(), pa.float64()}:
            return pa.string() if name in self._beyond_floats else pa.float64()
        if str(one) in _DATED and str(other) in _DATED:
            return max(one, other, key=lambda kind: _DATED.index(str(kind)))
        return pa.string()


def _is_number(kind: pa.DataType) -> bool:
    return bool(pa.types.is_integer(kind) or pa.types.is_floating(kind))


def _is_beyond_floats(numbers: "pa.ChunkedArray[Any]") -> bool:
    ends = pc.min_max(numbers).as_py()
    return ends["min"] is not None and max(-ends["min"], ends["max"]) > _EXACT_IN_FLOATS


def whole_rows_end(start: bytes) -> int:
    """Where the last row of `start` ends, after its line end outside quotes; 0 without one."""
    characters = np.frombuffer(start, np.uint8)
    quotes = np.flatnonzero(characters == ord('"'))
    ends = np.flatnonzero(characters == ord("\n"))
    outside = ends[np.searchsorted(quotes, ends) % 2 == 0]
    return int(outside[-1]) + 1 if len(outside) else 0


def _blocks(source: Source, limits: ReadLimits) -> Iterator[bytes]:
    """Whole rows of some 4 MiB.

    What no row can be so long as is cut at a line end: a quote within a value, which opens nothing,
    makes it look so.
    """
    held = b""
    while block := source.read(min(INFERENCE_BYTES, limits.row_bytes)):
        held += block
        end = whole_rows_end(held)
        if not end and len(held) > limits.row_bytes:
            end = held.rfind(b"\n") + 1 or len(held)
        if end:
            yield held[:end]
            held = held[end:]
    if held:
        yield held
