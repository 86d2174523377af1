"""Whatever rows come in, NumPy, Polars, pandas or Arrow, as one Arrow table; and what was odd."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from strongroom.engines.drift.plan import MAX_NAME, Kind, Plan
from strongroom.engines.drift.values import Column, kind_of_type
from strongroom.errors import TableError

Rows = Any
"""A `pyarrow` Table or RecordBatch, a Polars or pandas DataFrame, a structured NumPy array, or a
mapping of names to arrays or lists."""


@dataclass(frozen=True, slots=True)
class Met:
    """A table as it came, against a plan.

    Attributes:
        columns: in the order of the plan; None where the table has no such column.
        remarks: what is odd about it, in words that quote no value.
    """

    rows: int
    columns: tuple[Column | None, ...]
    remarks: tuple[str, ...]

    def parts(self) -> Iterator["Met"]:
        """The same rows, in pieces in which each column is one array."""
        there = [(at, column) for at, column in enumerate(self.columns) if column is not None]
        if all(column.num_chunks == 1 for _, column in there):
            yield self
            return
        table = pa.table([column for _, column in there], names=[str(at) for at, _ in there])
        for batch in table.to_batches():
            found = {at: batch.column(place) for place, (at, _) in enumerate(there)}
            columns = (
                pa.chunked_array([found[at]]) if at in found else None
                for at in range(len(self.columns))
            )
            yield Met(batch.num_rows, tuple(columns), ())


def as_table(rows: Rows) -> tuple[pa.Table, tuple[str, ...]]:
    """The rows as a table, and remarks where columns hold values of several types.

    Raises: TableError: they are of no kind that is taken, or columns differ in length.
    """
    if isinstance(rows, pa.Table):
        return rows, ()
    if isinstance(rows, pa.RecordBatch):
        return pa.Table.from_batches([rows]), ()
    remarks: list[str] = []
    columns: Mapping[Any, Any]
    if isinstance(rows, np.ndarray) and rows.dtype.names:
        columns = {name: rows[name] for name in rows.dtype.names}
    elif isinstance(rows, Mapping):
        columns = rows
    elif type(rows).__module__.startswith("polars"):
        return rows.to_arrow(), ()
    elif type(rows).__module__.startswith("pandas"):
        columns = {str(name): rows.iloc[:, at] for at, name in enumerate(rows.columns)}
    else:
        raise TableError(
            f"rows of type `{type(rows).__name__}` are not understood",
            next_step="give an Arrow, Polars or pandas table, or a mapping of names to arrays",
        )
    arrays = [_array(str(name), values, remarks) for name, values in columns.items()]
    try:
        return pa.table(arrays, names=[str(name) for name in columns]), tuple(remarks)
    except pa.ArrowInvalid:
        raise TableError("the columns differ in length") from None


def _array(name: str, values: Any, remarks: list[str]) -> Column:  # noqa: ANN401 # of any library
    if isinstance(values, pa.Array | pa.ChunkedArray):
        return values
    from_pandas = type(values).__module__.startswith("pandas")
    try:
        return pa.array(values, from_pandas=from_pandas)
    except (pa.ArrowException, TypeError, ValueError, OverflowError):
        remarks.append(f"`{name[:MAX_NAME]}` holds values of several types: taken as texts")
        items: Iterable[Any] = values
        return pa.array([None if _is_missing(one) else str(one) for one in items], pa.string())


def _is_missing(value: object) -> bool:
    return value is None or (isinstance(value, float) and value != value)  # NaN


def aligned(rows: Rows, plan: Plan) -> Met:
    """The columns of the plan among the rows, whatever their order."""
    table, remarks = as_table(rows)
    told = list(remarks)
    places: dict[str, int] = {}
    for at, name in enumerate(table.schema.names):
        short = name[:MAX_NAME]
        if short in places:
            told.append(f"there are two columns `{short}`: the first is compared")
        places.setdefault(short, at)
    columns: list[Column | None] = []
    for column in plan.columns:
        at = places.pop(column.name, -1)
        if at < 0:
            told.append(f"there is no column `{column.name}`")
            columns.append(None)
            continue
        values = table.column(at)
        columns.append(values)
        told += _odd(column.name, column.kind, column.type, values.type)
    told += [f"column `{name}` is not in the reference" for name in list(places)[:_MAX_EXTRA]]
    return Met(table.num_rows, tuple(columns), tuple(told))


_MAX_EXTRA = 50


def _odd(name: str, kind: Kind, planned: str, met: pa.DataType) -> list[str]:
    """What to say about a column of another type."""
    now = kind_of_type(met)
    same = now is kind or (kind is Kind.TEXT and now is Kind.CATEGORY)
    if kind is Kind.TIME and same and planned.startswith("timestamp") and (
        ("tz=" in planned) != (getattr(met, "tz", None) is not None)
    ):  # fmt: skip
        one, other = ("with", "without") if "tz=" in planned else ("without", "with")
        return [
            (
                f"`{name}` has times {one} a time zone in the reference and {other} one here: "
                "those without are taken as UTC"
            )
        ]
    if same or now is Kind.EMPTY or kind in {Kind.EMPTY, Kind.OTHER}:
        return []
    return [f"`{name}` is {planned} in the reference and {met} here"]
