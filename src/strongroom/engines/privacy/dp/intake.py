"""Columns as the queries see them: a few kinds, taken in by rules that hold for every value.

The types of the columns count as public. What stands in them does not: no conversion here can
fail on a value, and each looks at one row alone, so that a row changes nothing but itself.

- Whole numbers, and truths, as they are; unsigned ones beyond 63 bits become missing.
- Other numbers become doubles; NaN becomes missing. Infinities stay, and are clamped later.
- Dates and times become microseconds in UTC.
"""

from collections.abc import Iterable, Mapping
from enum import StrEnum
from typing import TYPE_CHECKING

import pyarrow as pa
from pyarrow import types as pat

from strongroom.errors import DpColumnError, TooLargeError

if TYPE_CHECKING:
    import polars as pl

MAX_ROWS = 1 << 31
"""So many rows of numbers below 2**31 have a sum within 64 bits."""


class Kind(StrEnum):
    """What a column holds."""

    WHOLE = "whole"
    NUMBER = "number"
    TRUTH = "truth"
    TEXT = "text"
    TIME = "time"

    @property
    def told(self) -> str:
        """In words."""
        return _TOLD[self]


_TOLD = {
    Kind.WHOLE: "whole numbers",
    Kind.NUMBER: "numbers",
    Kind.TRUTH: "true or false",
    Kind.TEXT: "texts",
    Kind.TIME: "times",
}


def kinds_of(schema: pa.Schema) -> dict[str, Kind]:
    """What each column holds.

    Left out are columns of other types, names that stand twice, and those that Polars takes for
    more than one column.
    """
    found: dict[str, Kind] = {}
    twice: set[str] = set()
    for field in schema:
        kind = _kind_of_type(field.type)
        if field.name in found or field.name in twice:
            twice.add(field.name)
            found.pop(field.name, None)
        elif kind is not None and _is_plain(field.name):
            found[field.name] = kind
    return found


def _is_plain(name: str) -> bool:
    """Whether a name stands for one column: no pattern of Polars', and none of our own names."""
    is_pattern = name == "*" or (name.startswith("^") and name.endswith("$"))
    return bool(name) and not is_pattern and not name.startswith("\0")


def kind_of(column: str, kinds: Mapping[str, Kind]) -> Kind:
    """What a column holds. Raises: DpColumnError, where there is no such column."""
    if column not in kinds:
        raise DpColumnError(
            f"there is no column `{column[:100]}` of numbers, texts, times or truths"
        )
    return kinds[column]


def check_subject(column: str, kinds: Mapping[str, Kind]) -> None:
    """Raises: DpColumnError, where a column cannot say whose a row is."""
    if kind_of(column, kinds) not in (Kind.WHOLE, Kind.TEXT):
        raise DpColumnError(f"`{column}` says whose a row is: whole numbers or texts do")


def _kind_of_type(kind: pa.DataType) -> Kind | None:
    if pat.is_dictionary(kind):
        return Kind.TEXT if _kind_of_type(kind.value_type) is Kind.TEXT else None
    if pat.is_boolean(kind):
        return Kind.TRUTH
    if pat.is_integer(kind):
        return Kind.WHOLE
    if pat.is_floating(kind) or pat.is_decimal128(kind):
        return Kind.NUMBER
    if pat.is_string(kind) or pat.is_large_string(kind) or pat.is_string_view(kind):
        return Kind.TEXT
    return Kind.TIME if pat.is_date(kind) or pat.is_timestamp(kind) else None


def frame_of(table: pa.Table, columns: Iterable[str]) -> "pl.DataFrame":
    """These columns of a table, in the same order of rows.

    Raises:
        TooLargeError: there are more rows than can be summed exactly.
    """
    import polars as pl

    if table.num_rows >= MAX_ROWS:
        raise TooLargeError(f"a query reads fewer than {MAX_ROWS:,} rows")
    names = list(dict.fromkeys(columns))
    if not names:
        return pl.DataFrame({"": pl.repeat(0, table.num_rows, dtype=pl.Int8, eager=True)})
    taken = pl.from_arrow(table.select(names))
    assert isinstance(taken, pl.DataFrame)  # noqa: S101 # of a table it makes a frame
    # One by one, and only those that need it: planning a projection takes longer than it.
    for name, kind in taken.schema.items():
        if kind not in (pl.Int64, pl.Boolean, pl.String):
            taken = taken.with_columns(_taken(name, kind))
    return taken


def _taken(name: str, kind: "pl.DataType") -> "pl.Expr":
    import polars as pl

    column = pl.col(name)
    if kind.is_integer():
        return column.cast(pl.Int64, strict=False)
    if kind.is_float() or kind.is_decimal():
        return column.cast(pl.Float64, strict=False).fill_nan(None)
    if isinstance(kind, pl.Datetime) and kind.time_zone is not None:
        column = column.dt.convert_time_zone("UTC").dt.replace_time_zone(None)
    if kind.is_temporal():
        return column.cast(pl.Datetime("us"), strict=False)
    return column.cast(pl.String, strict=False)
