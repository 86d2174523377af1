"""States: merging is exact, and every way of counting the same rows gives the same state."""

import math
from decimal import Decimal
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.engines.drift.samples import counted, exact, table

from strongroom.engines.drift.coding import Scratch, Source, coders_of
from strongroom.engines.drift.plan import (
    MISSING,
    NEGATIVE_INFINITE,
    POSITIVE_INFINITE,
    REST,
    TYPE_ERROR,
    Kind,
)
from strongroom.engines.drift.planning import PlanOptions, plan_of
from strongroom.engines.drift.state import BLOCK_ROWS, State, merged
from strongroom.errors import DriftStateError, TableError

WHOLE = table(3_000, 1)
PLAN = exact(WHOLE)
NUMBERS = st.floats(allow_nan=True, allow_infinity=True, width=64)
ROW = st.fixed_dictionaries({
    "x": st.none() | NUMBERS,
    "amount": st.none() | NUMBERS,
    "count": st.none() | st.integers(-(2**60), 2**60),
    "letter": st.none() | st.text(max_size=20),
    "flag": st.none() | st.booleans(),
})  # fmt: skip
_FIELDS: list[tuple[str, pa.DataType]] = [
    ("x", pa.float64()), ("amount", pa.float64()), ("count", pa.int64()), ("letter", pa.string()),
    ("flag", pa.bool_()),
]  # fmt: skip
TYPES = pa.schema(_FIELDS)


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ROW, max_size=30), st.lists(st.integers(0, 3), min_size=30, max_size=30))
def test_merging_is_exact_in_any_order_and_grouping(
    rows: list[dict[str, object]], parts: list[int]
) -> None:
    whole = counted(pa.Table.from_pylist(rows, TYPES), PLAN)
    states = []
    for part in range(4):
        inside = [row for row, at in zip(rows, parts, strict=False) if at == part]
        states.append(counted(pa.Table.from_pylist(inside, TYPES), PLAN))
    a, b, c, d = states
    whole.merge(counted(pa.Table.from_pylist([], TYPES), PLAN))  # an empty part has remarks
    left = merged([merged([a, b], PLAN), merged([c, d], PLAN)], PLAN)
    right = merged([d, merged([c, merged([b, a], PLAN)], PLAN)], PLAN)
    assert left == right == whole


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.lists(ROW, max_size=30))
def test_rows_one_by_one_give_the_state_of_the_batch(rows: list[dict[str, object]]) -> None:
    state = State(PLAN)
    for row in rows:
        state.update_row({**row, "y": None, "said": None})
    whole = counted(
        pa.Table.from_pylist(
            [{**row, "y": None, "said": None} for row in rows],
            pa.schema([*TYPES, ("y", pa.float64()), ("said", pa.float64())]),
        ),
        PLAN,
    )
    assert state == whole


def test_odd_values_one_by_one_are_those_of_the_batch() -> None:
    """Also where all columns are coded at once, and where one value stops that."""
    plain: list[dict[str, Any]] = [
        {"x": x, "count": count, "letter": letter}
        for x in (0.5, -1e300, math.inf, -math.inf, math.nan, None, 7)
        for count in (3, None, 10**40, -5)
        for letter in ("a", "new", None)
    ]
    plan = exact(WHOLE.select(["x", "count", "letter"]))
    for rows in ([one for one in plain if one["count"] != 10**40], plain):
        state = State(plan)
        for row in rows:
            state.update_row(row)
        whole = counted({
            name: pa.array([None if row[name] is None else float(row[name]) for row in rows])
            if name != "letter" else [row["letter"] for row in rows]
            for name in ("x", "count", "letter")
        }, plan)  # fmt: skip
        assert (state.counts == whole.counts).all()
        assert (state.products == whole.products).all()
        assert all((state.sketches[at] == one).all() for at, one in whole.sketches.items())
    numpy = State(plan)
    numpy.update_row({"x": np.float64(0.5), "count": np.int64(3), "letter": "a"})
    assert numpy == counted({"x": [0.5], "count": [3], "letter": ["a"]}, plan)
    worse = State(plan)
    for value in (Decimal("sNaN"), "\ud800", Decimal("1e400"), object()):
        worse.update_row({"x": value, "count": value, "letter": value})
    assert worse.rows == 4
    assert worse.counts.sum(axis=1).tolist() == [4, 4, 4]
    assert worse.counts[0, TYPE_ERROR] >= 3
    odd = State(plan)
    odd.update_row({"x": "1.5", "count": True, "letter": 10**40})
    odd.update_row({"x": "abc", "letter": [1]})
    assert odd.rows == 2
    assert odd.absent.tolist() == [0, 1, 0]
    assert odd.remarks == {"there is no column `count`"}
    assert odd.counts[0, TYPE_ERROR] == odd.counts[1, TYPE_ERROR] == 1
    assert odd.counts[2, [REST, TYPE_ERROR]].tolist() == [1, 1]


def test_every_library_gives_the_same_state() -> None:
    state = counted(WHOLE, PLAN)
    assert state.rows == 3_000
    assert counted(pl.from_arrow(WHOLE), PLAN) == state
    assert counted(WHOLE.to_pandas(), PLAN) == state
    columns = {name: WHOLE[name].to_numpy() for name in WHOLE.schema.names}
    assert counted(columns, PLAN) == state
    assert counted(WHOLE.select(WHOLE.schema.names[::-1]), PLAN) == state
    for batch in WHOLE.to_batches(max_chunksize=700):
        assert batch.num_rows
    assert merged((counted(one, PLAN) for one in WHOLE.to_batches(700)), PLAN) == state
    chunked = pa.concat_tables([WHOLE.slice(0, 1_000), WHOLE.slice(1_000)])
    assert counted(chunked, PLAN) == state


def test_a_structured_array_and_dictionaries() -> None:
    rows = np.array([(1.0, 2)], dtype=[("x", "f8"), ("count", "i8")])
    plan = exact(pa.table({"x": [0.0, 1.0, 2.0], "count": [1, 2, 3]}))
    assert counted(rows, plan) == counted({"x": [1.0], "count": [2]}, plan)
    as_dictionary = pa.table({"letter": WHOLE["letter"].combine_chunks().dictionary_encode()})
    plain = WHOLE.select(["letter"])
    assert counted(as_dictionary, exact(plain)) == counted(plain, exact(plain))


def test_threads_count_the_same() -> None:
    large = table(150_000, 2)
    one, four = State(PLAN), State(PLAN)
    one.update(large, threads=1)
    four.update(large, threads=4)
    assert one == four


def test_codes_are_the_bins_of_the_edges() -> None:
    """The fast way into bins agrees with a search among the edges, for every form of grid."""
    random = np.random.default_rng(3)
    near = np.concatenate([random.normal(0, 1e-6, 500), random.normal(1e9, 1e-6, 500)])
    columns = {
        "linear": random.normal(size=1_000), "log": random.lognormal(0, 3, 1_000), "cuts": near,
    }  # fmt: skip
    plan = exact(pa.table(columns))
    for at, (name, values) in enumerate(columns.items()):
        grid = plan.columns[at].grid
        assert grid is not None
        assert grid.form == name
        probes = np.concatenate([values, -values, values * 1e3, [0.0, 1e300, -1e300]])
        state = counted({one: probes if one == name else values[:1] for one in [name]}, plan)
        found = np.searchsorted(grid.edges(), probes, side="right")
        assert state.counts[at, : grid.bins].tolist() == np.bincount(
            found, minlength=grid.bins).tolist()  # fmt: skip


def test_special_codes() -> None:
    plan = exact(pa.table({"x": [1.0, 2.0, 3.0], "letter": ["a", "b", "a"]}))
    state = counted(
        {"x": [1.0, None, float("nan"), float("inf"), float("-inf")],
         "letter": ["a", None, "new", "new", "b"]}, plan,
    )  # fmt: skip
    x, letter = state.counts
    assert (x[MISSING], x[POSITIVE_INFINITE], x[NEGATIVE_INFINITE]) == (2, 1, 1)
    assert (letter[MISSING], letter[REST]) == (1, 2)
    texts = counted({"x": ["1", " 2.5 ", "n/a", None, "1e400"], "letter": [1, 2, 3, None, 1]}, plan)
    assert texts.counts[0, TYPE_ERROR] == 1
    assert texts.counts[0, MISSING] == 1
    assert texts.counts[0, POSITIVE_INFINITE] == 1
    assert texts.counts[1, REST] == 4
    assert any("`x` is double in the reference and string here" in one for one in texts.remarks)


def test_other_schemas_are_said() -> None:
    state = counted({"x": [1.0], "extra": [2]}, PLAN)
    assert "column `extra` is not in the reference" in state.remarks
    assert "there is no column `letter`" in state.remarks
    index = PLAN.index()
    assert state.absent[index["letter"]] == 1
    assert state.absent[index["x"]] == 0
    mixed = counted({"x": np.array([1, "two", None], object)}, PLAN)
    assert "`x` holds values of several types: taken as texts" in mixed.remarks
    assert mixed.counts[index["x"], TYPE_ERROR] == 1
    twice = pa.Table.from_arrays([pa.array([1.0]), pa.array([2.0])], names=["x", "x"])
    assert "there are two columns `x`: the first is compared" in counted(twice, PLAN).remarks
    with pytest.raises(TableError):
        State(PLAN).update({"x": [1.0], "y": [1.0, 2.0]})
    with pytest.raises(TableError):
        State(PLAN).update([1, 2, 3])


def test_times_of_all_zones_are_one_time() -> None:
    seconds = pa.array([0, 3_600, None], pa.int64())
    plan = exact(pa.table({"at": seconds.cast(pa.timestamp("s", "UTC"))}))
    assert plan.columns[0].kind is Kind.TIME
    here = counted({"at": seconds.cast(pa.timestamp("s", "UTC"))}, plan)
    for unit in ("ms", "us", "ns"):
        zone = seconds.cast(pa.timestamp("s", "UTC")).cast(pa.timestamp(unit, "Asia/Tokyo"))
        assert counted({"at": zone}, plan).counts.tolist() == here.counts.tolist()
    naive = counted({"at": seconds.cast(pa.timestamp("s"))}, plan)
    assert naive.counts.tolist() == here.counts.tolist()
    assert any("without are taken as UTC" in one for one in naive.remarks)


def test_no_plan_without_columns_or_with_two_of_a_name() -> None:
    with pytest.raises(TableError, match="no columns"):
        plan_of(pa.table({}))
    with pytest.raises(TableError, match="two columns"):
        plan_of(pa.Table.from_arrays([pa.array([1]), pa.array([2])], names=["x", "x"]))


def test_states_of_other_plans_do_not_merge() -> None:
    other = exact(table(100, 9))
    with pytest.raises(DriftStateError):
        State(PLAN).merge(State(other))


@pytest.mark.parametrize("values", [
    pa.array([None, None], pa.float64()), pa.array([], pa.float64()), pa.nulls(2),
    pa.array([5.0, 5.0]), pa.array([float("inf")] * 2), pa.array([1e308, -1e308]),
    pa.array([5e-324, 0.0]), pa.array([[1], [2]]), pa.array([b"x", b"y"]), pa.array(["", ""]),
    pa.array([2**62, -(2**62)]), pa.array([1e16, 1e16 + 2]),
])  # fmt: skip
def test_odd_columns_are_planned_and_counted(values: "pa.Array[Any]") -> None:
    rows = pa.table({"odd": values})
    for minimum in (0, 10):
        plan = plan_of(rows, PlanOptions(minimum))
        plan.require_sound()
        state = counted(rows, plan)
        assert int(state.counts.sum()) == len(values)


def test_a_private_plan_lists_no_rare_value() -> None:
    random = np.random.default_rng(4)
    names = ["common"] * 500 + ["Erika Mustermann"] * 3
    rows = pa.table({"name": names, "income": random.lognormal(10, 1, 503)})
    plan = plan_of(rows)
    assert plan.columns[0].categories == ("common",)
    assert plan.columns[0].rest_is_known
    grid = plan.columns[1].grid
    assert grid is not None
    income = rows["income"].to_numpy()
    assert not set(grid.edges().tolist()) & set(income.tolist())
    first, last = plan.columns[1].inside
    inside = counted(rows, plan).counts[1, first:last]
    assert (inside >= 10).all()
    assert grid.edges()[first - 1] >= np.sort(income)[9]  # the smallest ten lie outside
    assert plan_of(rows, PlanOptions(0)).columns[0].categories == ("common", "Erika Mustermann")


def test_pandas_missing_values() -> None:
    frame = pd.DataFrame({"x": [1.0, None], "letter": ["a", None]})
    state = counted(frame, PLAN)
    index = PLAN.index()
    assert state.counts[index["x"], MISSING] == 1
    assert state.counts[index["letter"], MISSING] == 1


@settings(max_examples=60, deadline=None)
@given(st.lists(NUMBERS, min_size=1, max_size=40), st.integers(0, 2))
def test_a_block_is_coded_as_its_values_are(values: list[float], which: int) -> None:
    """Also where none, some or all of them lie outside the grid, and whatever is among them."""
    name = ("x", "amount", "count")[which]
    coder = coders_of(PLAN)[PLAN.index()[name]]
    cells = np.empty(len(values), np.intp)
    block = Source(np.array(values, np.float64))
    coder.fill(block, 0, len(values), cells, Scratch(len(values)))
    assert coder.codes[cells].tolist() == [coder.code(one) for one in values]
    counts = coder.counts(np.bincount(cells, minlength=len(coder.codes)))
    assert counts.tolist() == np.bincount(coder.codes[cells], minlength=len(counts)).tolist()


def test_more_rows_than_a_block_and_products_stay_exact() -> None:
    """The largest scores everywhere: sums of their products need all the bits they may take."""
    rows = BLOCK_ROWS + 5_000
    random = np.random.default_rng(8)
    few = pa.table({"a": random.normal(size=2_000), "b": random.normal(size=2_000)})
    plan = plan_of(few, PlanOptions(minimum_count=0))
    state = counted({"a": np.full(rows, 1e9), "b": np.full(rows, 1e9)}, plan)
    top = state.scores[:, plan.columns[0].bins - 1].astype(int)
    assert (state.products == rows * np.outer(top, top)).all()
    assert state.counts.sum() == 2 * rows
