"""Values become codes: the index of a bin or category, or a special code."""

import math
import struct
from bisect import bisect_right
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from functools import cached_property, lru_cache
from typing import Any, cast

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from strongroom.engines.drift.plan import (
    MAX_BINS,
    MISSING,
    NEGATIVE_INFINITE,
    POSITIVE_INFINITE,
    REST,
    TYPE_ERROR,
    WIDTH,
    ColumnPlan,
    Counts,
    Floats,
    Grid,
    Kind,
    Plan,
)
from strongroom.engines.drift.values import (
    Column,
    Texts,
    kind_of_type,
    lengths,
    numbers,
    parsed_numbers,
    pc,
    texts,
    whole,
)

Cells = NDArray[np.intp]
_INFINITE = float("inf")
_CACHED_PLANS = 4


class Scratch:
    """Room for what comes between numbers and cells; each thread has its own."""

    def __init__(self, rows: int) -> None:
        """`rows`: of the largest block."""
        self.floats = np.empty(rows)
        self.integers = np.empty(rows, np.int32)


class NumberCoder:
    """Puts numbers into the cells of a grid; the same number always into the same cell.

    After the cells of the grid come those of the special codes. Cells are finer than bins: counting
    them and adding up later saves a look-up for each value. It does not change, so that threads and
    states share it.
    """

    def __init__(self, grid: Grid) -> None:
        self._grid = grid
        self._edges = grid.edges() if grid.form == "cuts" else None
        self.cells = grid.bins if grid.form == "cuts" else grid.cells
        self._last = self.cells - 1
        bins = np.arange(grid.bins)
        if grid.form != "cuts":
            bins = np.repeat(bins, np.diff([*grid.starts, grid.cells]))
        self.codes = np.concatenate([bins, np.arange(MAX_BINS, WIDTH)]).astype(np.uint8)
        """Cell → code."""
        self._starts = np.asarray(grid.starts or range(grid.bins), np.intp)
        self._row_codes = self.codes.tobytes()  # of one value at a time
        self._origin = grid.origin
        self._inverse = 1.0 / grid.step if grid.form == "linear" else 0.0
        if grid.form == "log":
            self._shift = int(grid.step)
            self._key = int(np.float64(grid.origin).view(np.int64)) >> self._shift

    def fill(self, values: NDArray[Any], out: Cells, scratch: Scratch) -> None:
        """Write the cells of a block of numbers, at least one, to `out`."""
        with np.errstate(all="ignore"):
            # NaN is the smallest and the largest of whatever it is among.
            low, high = float(values.min()), float(values.max())
            if math.isfinite(low) and math.isfinite(high):
                self._fill_finite(values, low, high, out, scratch)
            else:
                self._fill_with_gaps(np.asarray(values, np.float64), out, scratch)

    def _fill_finite(
        self, values: NDArray[Any], low: float, high: float, out: Cells, scratch: Scratch
    ) -> None:
        grid, work = self._grid, scratch.floats[: len(values)]
        if self._edges is not None:
            out[:] = np.searchsorted(self._edges, values, side="right")
        elif grid.form == "linear":
            np.subtract(values, grid.origin, out=work)
            np.multiply(work, self._inverse, out=work)
            # Rounding keeps the order, so that the ends tell whether all lie within the grid.
            inverse = np.float64(self._inverse)
            if (low - grid.origin) * inverse < 0.0 or (high - grid.origin) * inverse > self._last:
                np.clip(work, 0.0, float(self._last), out=work)
            whole = scratch.integers[: len(values)]
            np.copyto(whole, work, casting="unsafe")  # drops what is after the point
            out[:] = whole
        else:
            work[:] = values
            np.right_shift(work.view(np.int64), self._shift, out=out)
            np.subtract(out, self._key, out=out)
            np.clip(out, 0, self._last, out=out)

    def _fill_with_gaps(self, values: Floats, out: Cells, scratch: Scratch) -> None:
        finite = np.isfinite(values)
        filled = np.where(finite, values, self._origin)
        self._fill_finite(filled, float(filled.min()), float(filled.max()), out, scratch)
        np.copyto(out, self.special(MISSING), where=~finite)
        out[values == _INFINITE] = self.special(POSITIVE_INFINITE)
        out[values == -_INFINITE] = self.special(NEGATIVE_INFINITE)

    def special(self, code: int) -> int:
        """The cell of a special code."""
        return self.cells + code - MAX_BINS

    def counts(self, found: Counts) -> Counts:
        """Counts of cells as counts of codes."""
        counts = np.zeros(WIDTH, np.int64)
        counts[: len(self._starts)] = np.add.reduceat(found[: self.cells], self._starts)
        counts[MAX_BINS:] = found[self.cells :]
        return counts

    def code(self, value: float) -> int:
        """The code of one number; the same as `fill` and `codes` give."""
        if self._inverse:
            cell = (value - self._origin) * self._inverse
            if 0.0 <= cell <= self._last:
                return self._row_codes[int(cell)]
        grid = self._grid
        if not math.isfinite(value):
            if math.isnan(value):
                return MISSING
            return POSITIVE_INFINITE if value > 0 else NEGATIVE_INFINITE
        if grid.form == "linear":
            return self._row_codes[0 if value < grid.origin else self._last]
        if grid.form == "log":
            bits: int = struct.unpack("<q", struct.pack("<d", value))[0]
            key = (bits >> self._shift) - self._key
            return self._row_codes[min(max(key, 0), self._last)]
        place: int = bisect_right(grid.cuts, value)
        return place


@dataclass(frozen=True, slots=True)
class Source:
    """A column of a batch on its way to codes: numbers, and where they are none, or codes."""

    numbers: NDArray[Any] | None = None
    bad: NDArray[np.bool_] | None = None
    codes: NDArray[np.uint8] | None = None


class ColumnCoder:
    """Codes of one column, from batches and from single values."""

    def __init__(self, plan: ColumnPlan) -> None:
        self.plan = plan
        self._numbers = NumberCoder(plan.grid) if plan.grid is not None else None
        self.codes = _EVERY_CODE if self._numbers is None else self._numbers.codes
        """Cell → code."""
        self.index = {name: at for at, name in enumerate(plan.categories)}
        """Category → code."""

    @cached_property
    def scores(self) -> NDArray[np.float32]:
        """Cell → score for pairs; 0 for the middle and for special codes."""
        scores = np.zeros(WIDTH, np.float32)
        scores[: len(self.plan.scores)] = self.plan.scores
        return scores[self.codes]

    def source(self, values: Column, unlisted: Callable[[Texts], None]) -> Source:
        """A column of a batch, ready to be coded block by block.

        Args:
            values: the column.
            unlisted: told of the texts that the plan does not list.
        """
        if self._numbers is None:
            return Source(codes=self._whole_column(values, unlisted))
        met, kind = kind_of_type(values.type), self.plan.kind
        if kind is Kind.TEXT and met is Kind.CATEGORY:
            return Source(lengths(texts(values)))
        if kind is met:
            array = whole(values)
            if pa.types.is_integer(array.type) and not array.null_count:
                return Source(array.to_numpy(zero_copy_only=False))
            return Source(numbers(array))
        gaps = np.full(len(values), np.nan)
        if met is Kind.EMPTY:
            return Source(gaps)
        if kind is Kind.NUMBER and met is Kind.CATEGORY and not pa.types.is_boolean(values.type):
            return Source(*parsed_numbers(values))
        return Source(gaps, _valid(values))

    def fill(self, source: Source, begin: int, end: int, out: Cells, scratch: Scratch) -> None:
        """Write the cells of some rows, at least one, to `out`; `codes` says what they mean."""
        if source.codes is not None:
            out[:] = source.codes[begin:end]
        elif self._numbers is not None and source.numbers is not None:
            self._numbers.fill(source.numbers[begin:end], out, scratch)
            if source.bad is not None:
                out[source.bad[begin:end]] = self._numbers.special(TYPE_ERROR)

    def counts(self, found: Counts) -> Counts:
        """Counts of cells as counts of codes."""
        return found if self._numbers is None else self._numbers.counts(found)

    def _whole_column(self, values: Column, unlisted: Callable[[Texts], None]) -> NDArray[np.uint8]:
        """Codes of categories, and of columns whose values are not compared."""
        valid = _valid(values)
        if self.plan.kind is not Kind.CATEGORY:
            return np.where(valid, REST, MISSING).astype(np.uint8)
        if kind_of_type(values.type) not in {Kind.CATEGORY, Kind.NUMBER, Kind.TIME}:
            return np.where(valid, TYPE_ERROR, MISSING).astype(np.uint8)
        if pa.types.is_boolean(values.type):
            known = [self.index.get(text, REST) for text in ("false", "true")]
            if REST not in known:
                is_true = whole(values).fill_null(False).to_numpy(zero_copy_only=False)
                return np.where(valid, np.array(known, np.uint8)[is_true.astype(np.intp)], MISSING)
        as_text = texts(values)
        found = pc.index_in(as_text, value_set=pa.array(self.plan.categories, pa.string()))
        codes: NDArray[np.uint8] = (
            pc.fill_null(found, REST).to_numpy(zero_copy_only=False).astype(np.uint8)
        )
        codes[~valid] = MISSING
        if (rest := codes == REST).any():
            unlisted(as_text.filter(pa.array(rest)))
        return codes

    def code(self, value: object) -> int:
        """The code of one value of a row."""
        if self._numbers is not None and type(value) is float and self.plan.kind is Kind.NUMBER:
            return self._numbers.code(value)
        if value is None:
            return MISSING
        kind = self.plan.kind
        if kind is Kind.CATEGORY:
            text = text_of(value)
            return TYPE_ERROR if text is None else self.index.get(text, REST)
        if self._numbers is None:
            return REST
        number = _number(value, kind)
        return TYPE_ERROR if number is None else self._numbers.code(number)


_EVERY_CODE = np.arange(WIDTH, dtype=np.uint8)


@lru_cache(maxsize=_CACHED_PLANS)
def coders_of(plan: Plan) -> tuple[ColumnCoder, ...]:
    """A coder a column: made once for all states of a plan."""
    return tuple(ColumnCoder(column) for column in plan.columns)


def _valid(values: Column) -> NDArray[np.bool_]:
    array = whole(values)
    return np.asarray(array.is_valid().to_numpy(zero_copy_only=False), np.bool_)


def text_of(value: object) -> str | None:
    """A single value as the text that `values.texts` makes of it; None where it has none."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool | np.bool_):
        return "true" if value else "false"
    if isinstance(value, float | np.floating):
        number = float(value)
        if number.is_integer() and abs(number) < 2.0**53:
            return str(int(number))
    if isinstance(value, int | np.integer):
        return str(int(value))
    if isinstance(value, float | np.floating | Decimal | date | time):
        return str(pa.scalar(cast("Any", value)).cast(pa.string()).as_py())
    return None


def _number(value: object, kind: Kind) -> float | None:
    """One value as a number; None where it is of another type."""
    if kind is Kind.TEXT:
        return float(len(value)) if isinstance(value, str) else None
    if kind is Kind.TIME:
        if isinstance(value, datetime):
            return (value if value.tzinfo else value.replace(tzinfo=UTC)).timestamp()
        if isinstance(value, date):
            return datetime(value.year, value.month, value.day, tzinfo=UTC).timestamp()
        return None
    if isinstance(value, bool | np.bool_):
        return None
    if isinstance(value, int | float | np.integer | np.floating | Decimal):
        try:
            return float(value)
        except OverflowError:
            return _INFINITE if value > 0 else -_INFINITE
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, str):
        found, bad = parsed_numbers(pa.array([value]))
        return None if bad[0] else float(found[0])
    return None
