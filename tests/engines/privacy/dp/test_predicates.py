"""Conditions: right for every value, and failing on none."""

import math
import operator
from collections.abc import Callable
from datetime import UTC, date, datetime
from typing import Any

import polars as pl
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.engines.privacy.dp.intake import Kind, frame_of, kinds_of
from strongroom.engines.privacy.dp.predicates import (
    MAX_DEPTH,
    AllOf,
    AnyOf,
    Compared,
    Comparison,
    Missing,
    Not,
    Predicate,
    Within,
    check_predicate,
    columns_of,
    expression,
)
from strongroom.errors import DpColumnError, DpQueryError

_WAYS: dict[Comparison, Callable[[Any, Any], bool]] = {
    Comparison.EQUAL: operator.eq, Comparison.DIFFERENT: operator.ne, Comparison.LESS: operator.lt,
    Comparison.AT_MOST: operator.le, Comparison.MORE: operator.gt,
    Comparison.AT_LEAST: operator.ge,
}  # fmt: skip
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "whole": st.one_of(st.none(), st.integers(-(1 << 63), (1 << 63) - 1), st.integers(-2, 2)),
    "number": st.one_of(st.none(), st.floats(), st.integers(-2, 2).map(float)),
    "text": st.one_of(st.none(), st.text(max_size=3), st.sampled_from("ab")),
    "truth": st.one_of(st.none(), st.booleans()),
}
_CONSTANTS: dict[str, st.SearchStrategy[Any]] = {
    "whole": st.one_of(st.integers(-(1 << 90), 1 << 90), st.floats(allow_nan=False),
                       st.integers(-2, 2)),
    "number": st.one_of(st.integers(-(1 << 90), 1 << 90), st.floats(allow_nan=False)),
    "text": st.one_of(st.text(max_size=3), st.sampled_from("ab")),
    "truth": st.booleans(),
}  # fmt: skip


def leaves() -> st.SearchStrategy[Predicate]:
    def of(column: str) -> st.SearchStrategy[Predicate]:
        ways = list(Comparison)[:2] if column == "truth" else list(Comparison)
        constants = _CONSTANTS[column]
        return st.one_of(
            st.builds(Compared, st.just(column), st.sampled_from(ways), constants),
            st.builds(
                Within, st.just(column), st.lists(constants, min_size=1, max_size=3).map(tuple)
            ),
            st.just(Missing(column)),
        )

    return st.sampled_from(sorted(_VALUES)).flatmap(of)


CONDITIONS = st.recursive(leaves(), lambda inner: st.one_of(
    st.builds(Not, inner),
    st.builds(AllOf, st.lists(inner, min_size=1, max_size=3).map(tuple)),
    st.builds(AnyOf, st.lists(inner, min_size=1, max_size=3).map(tuple)),
), max_leaves=5)  # fmt: skip


def holds(condition: Predicate, row: dict[str, Any]) -> bool | None:
    """By SQL's logic of three values, in Python's exact numbers."""

    def value(column: str) -> Any:  # noqa: ANN401 # as rows hold
        found = row[column]
        return None if isinstance(found, float) and math.isnan(found) else found

    match condition:
        case Compared(column, way, constant):
            found = value(column)
            return None if found is None else _WAYS[way](found, constant)
        case Within(column, constants):
            found = value(column)
            return None if found is None else any(found == one for one in constants)
        case Missing(column):
            return value(column) is None
        case Not(part):
            inner = holds(part, row)
            return None if inner is None else not inner
        case AllOf(parts) | AnyOf(parts):
            found = [holds(part, row) for part in parts]
            decisive = isinstance(condition, AnyOf)
            if decisive in found:
                return decisive
            return None if None in found else not decisive


@given(CONDITIONS, st.lists(st.fixed_dictionaries(_VALUES), max_size=6))
@settings(max_examples=100)
def test_every_condition_is_right_for_every_row(
    condition: Predicate, rows: list[dict[str, Any]]
) -> None:
    table = pa.table({
        "whole": pa.array([row["whole"] for row in rows], pa.int64()),
        "number": pa.array([row["number"] for row in rows], pa.float64()),
        "text": pa.array([row["text"] for row in rows], pa.string()),
        "truth": pa.array([row["truth"] for row in rows], pa.bool_()),
    })  # fmt: skip
    kinds = kinds_of(table.schema)
    check_predicate(condition, kinds)
    frame = frame_of(table, kinds)
    numbered = frame.with_row_index("at").filter(expression(condition, kinds))
    # Whole numbers beyond 2**53 meet doubles as doubles do; all else is exact.
    exact = [
        at for at, row in enumerate(rows)
        if all(not isinstance(row[name], int) or abs(row[name]) <= 1 << 53 for name in ("whole",))
    ]  # fmt: skip
    right = [at for at in exact if holds(condition, rows[at])]
    assert [at for at in numbered["at"].to_list() if at in exact] == right
    assert set(columns_of(condition)) <= set(kinds)


def test_times_in_every_form() -> None:
    moments = [datetime(2026, 3, 1, 12, tzinfo=UTC), None, datetime(1970, 1, 1, tzinfo=UTC)]
    table = pa.table({
        "s": pa.array(moments, pa.timestamp("s", "UTC")),
        "zone": pa.array(moments, pa.timestamp("ns", "America/New_York")),
        "day": pa.array([one.date() if one else None for one in moments], pa.date32()),
        "far": pa.array([-(2**62), 2**62, 0], pa.timestamp("s")),
        "date64": pa.array([date(2026, 3, 1), None, date(1970, 1, 1)], pa.date64()),
    })  # fmt: skip
    kinds = kinds_of(table.schema)
    assert set(kinds.values()) == {Kind.TIME}
    frame = frame_of(table, kinds)
    for name in ("s", "zone", "day", "date64"):
        condition = Compared(name, Comparison.AT_LEAST, "2026-03-01")
        assert frame.filter(expression(condition, kinds)).height == 1, name
    zoned = Compared("zone", Comparison.EQUAL, "2026-03-01T07:00:00-05:00")
    assert frame.filter(expression(zoned, kinds)).height == 1
    assert (
        frame.filter(expression(Compared("far", Comparison.LESS, "1900-01-01"), kinds)).height <= 1
    )


@pytest.mark.parametrize("kind", [
    pa.int8(), pa.uint8(), pa.uint64(), pa.float16(), pa.float32(), pa.decimal128(30, 4),
    pa.dictionary(pa.int32(), pa.string()), pa.large_string(), pa.string_view(), pa.bool_(),
])  # fmt: skip
def test_every_type_that_is_told_is_taken(kind: pa.DataType) -> None:
    table = pa.schema([("x", kind)]).empty_table()
    table = pa.concat_tables([table, pa.table({"x": [None] * 3})], promote_options="permissive")
    assert list(kinds_of(table.schema)) == ["x"]
    frame = frame_of(table, ["x"])
    assert frame["x"].null_count() == 3


def test_values_that_do_not_fit_become_missing() -> None:
    table = pa.table({
        "u": pa.array([1, 2**64 - 1], pa.uint64()), "f": [1.0, float("nan")],
        "c": pa.chunked_array([["a"], [None]]),
    })  # fmt: skip
    frame = frame_of(table, ["u", "f", "c", "u"])
    assert frame.rows() == [(1, 1.0, "a"), (None, None, None)]
    assert frame_of(table, []).height == 2
    assert isinstance(frame, pl.DataFrame)


def test_limits() -> None:
    kinds = {"x": Kind.WHOLE}
    deep: Predicate = Missing("x")
    for _ in range(MAX_DEPTH + 1):
        deep = Not(deep)
    many = AnyOf((Missing("x"),) * 600)
    for condition in (deep, many, AllOf(()), Within("x", ()), Within("x", (1,) * 1_001)):
        with pytest.raises(DpQueryError):
            check_predicate(condition, kinds)
    with pytest.raises(DpColumnError):
        check_predicate(Compared("y", Comparison.EQUAL, 1), kinds)
    with pytest.raises(DpColumnError):
        check_predicate(Compared("x", Comparison.EQUAL, constant=True), kinds)
