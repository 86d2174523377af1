"""Counts and shape of one column, and its distinct values as text."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import gcd
from typing import Any

import pyarrow as pa
import pyarrow.compute

from strongroom.engines.privacy.discover.findings import ColumnProfile, Shape
from strongroom.engines.privacy.discover.placeholders import without_placeholders

# The stubs' overloads know fewer argument types than the functions take.
pc: Any = pyarrow.compute

UNIQUE_SHARE = 0.9
"""A column whose values are this distinct identifies its rows."""
_MIN_ROWS_FOR_UNIQUE = 20
_MAX_CATEGORIES = 50
_FREE_TEXT_LENGTH = 24
_FREE_TEXT_WORDS = 4.0
_MAX_VALUE_LENGTH = 512
_GOLDEN = 0.618_033_988_75


@dataclass(frozen=True, slots=True)
class ColumnSample:
    """One column made ready for the rules.

    Attributes:
        values: distinct values as trimmed text, cut at 512 characters, without placeholders for
            what is missing; empty for columns that cannot be read as text (floating point,
            binary, nested).
        weights: rows that hold each value.
        is_number: the column's type is a number, so a pattern of digits alone says less.
    """

    name: str
    values: tuple[str, ...]
    weights: tuple[int, ...]
    is_number: bool
    profile: ColumnProfile


def sample_column(name: str, column: "pa.ChunkedArray[Any]") -> ColumnSample:
    """Profile of `column`; nulls and blank texts count as missing."""
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    kind = column.type
    is_number = pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    as_text = _as_text(column)
    if as_text is None:
        shape = _untextual_shape(column)
        missing = column.null_count
        distinct = _distinct(column)
        profile = ColumnProfile(str(kind), shape, len(column), missing, distinct[0], distinct[1], 0)
        return ColumnSample(name, (), (), is_number, profile)
    trimmed = pc.utf8_trim_whitespace(pc.utf8_slice_codeunits(as_text, 0, _MAX_VALUE_LENGTH))
    tally = _tally(trimmed)
    counted, filled = tally.counted, tally.filled
    singletons = sum(1 for count in counted.values() if count == 1)
    mean_length = tally.characters / filled if filled else 0.0
    shape = _textual_shape(column, tally, singletons, mean_length)
    profile = ColumnProfile(
        str(kind), shape, len(column), len(column) - filled, len(counted), singletons, mean_length
    )
    told = without_placeholders(counted)
    return ColumnSample(name, tuple(told), tuple(told.values()), is_number, profile)


@dataclass(frozen=True, slots=True)
class _Tally:
    """Filled rows by value, in the order of their first row; blanks parts words."""

    counted: Counter[str]
    filled: int
    characters: int
    blanks: int


def _tally(trimmed: "pa.ChunkedArray[Any]") -> _Tally:
    filled = list(filter(None, trimmed.to_pylist()))
    joined = "".join(filled)  # counting in one text is far faster than in each value
    return _Tally(Counter(filled), len(filled), len(joined), joined.count(" "))


@lru_cache(maxsize=1024)
def places(total: int, count: int) -> tuple[int, ...]:
    """At most `count` of the places 0 to `total` - 1, rising, the same each time.

    They are scattered: every third place would say nothing of values that repeat by three.
    """
    if total <= count:
        return tuple(range(total))
    # Steps of the golden section never come near each other, nor fall in with a period.
    step = int(total * _GOLDEN)
    while gcd(step, total) > 1:
        step += 1
    return tuple(sorted(at * step % total for at in range(count)))


def spread(values: Sequence[str], count: int) -> Sequence[str]:
    """At most `count` of the values, from anywhere among them, in their order."""
    return [values[at] for at in places(len(values), count)]


def _as_text(column: "pa.ChunkedArray[Any]") -> "pa.ChunkedArray[Any] | None":
    """The column as text, or None where its text would say nothing."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_large_string(kind):
        return column
    if pa.types.is_string_view(kind) or pa.types.is_integer(kind) or pa.types.is_temporal(kind):
        return column.cast(pa.string())
    if pa.types.is_floating(kind):
        # Whole numbers with missing values often arrive as floating point.
        whole = pc.all(pc.equal(column, pc.floor(column))).as_py()
        if whole and column.null_count < len(column):
            low, high = pc.min_max(column).as_py().values()
            if -(2**62) < low <= high < 2**62:
                return column.cast(pa.int64()).cast(pa.string())
    if pa.types.is_decimal(kind):
        return column.cast(pa.string())
    return None


def _distinct(column: "pa.ChunkedArray[Any]") -> tuple[int, int]:
    """Distinct values and values that occur once, where the type can be counted."""
    try:
        counts = pc.value_counts(pc.drop_null(column)).field("counts")
    except pa.ArrowNotImplementedError:
        return 0, 0
    return len(counts), pc.sum(pc.equal(counts, 1)).as_py() or 0


def _untextual_shape(column: "pa.ChunkedArray[Any]") -> Shape:
    kind = column.type
    if column.null_count == len(column):
        return Shape.EMPTY
    if pa.types.is_boolean(kind):
        return Shape.BOOLEAN
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return Shape.NUMBER
    return Shape.NESTED if pa.types.is_nested(kind) else Shape.BINARY


def _textual_shape(
    column: "pa.ChunkedArray[Any]", tally: _Tally, singletons: int, mean: float
) -> Shape:
    kind = column.type
    counted, filled = tally.counted, tally.filled
    if not filled:
        return Shape.EMPTY
    if pa.types.is_temporal(kind):
        return Shape.DATE
    is_unique = singletons >= UNIQUE_SHARE * filled and filled >= _MIN_ROWS_FOR_UNIQUE
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return Shape.UNIQUE_INTEGER if is_unique else Shape.NUMBER
    if len(counted) == 1:
        return Shape.CONSTANT
    words = tally.blanks / filled + 1
    if mean >= _FREE_TEXT_LENGTH and words >= _FREE_TEXT_WORDS:
        return Shape.FREE_TEXT
    if _all_numbers(counted):
        whole = all(_is_whole(value) for value in counted)
        return Shape.UNIQUE_INTEGER if is_unique and whole else Shape.NUMBER
    # However few rows there are, texts that differ from row to row tell rows apart.
    if singletons >= UNIQUE_SHARE * filled:
        return Shape.UNIQUE_TEXT
    repeats = len(counted) <= filled / 2
    return Shape.CATEGORY if repeats and len(counted) <= _MAX_CATEGORIES else Shape.SHORT_TEXT


def _is_whole(value: str) -> bool:
    return value.lstrip("+-").isdigit()


def _all_numbers(counted: Counter[str]) -> bool:
    """True where every value reads as a number; stops at the first that does not."""
    for value in counted:
        try:
            float(value)
        except ValueError:
            return False
    return True


_SERIAL_RANGE = 0.01


def run_on(values: Sequence[str]) -> bool:
    """True for numbers of one length that lie within a hundredth of all there are of it.

    Serial numbers do; those that are given to people at random do not.
    """
    length = len(values[0]) if values else 0
    if not all(len(value) == length and value.isdigit() for value in values):
        return False
    numbers = [int(value) for value in values]
    return length > 0 and max(numbers) - min(numbers) < _SERIAL_RANGE * 10**length
