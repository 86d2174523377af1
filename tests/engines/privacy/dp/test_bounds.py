"""Bounds from the data: near enough, and paid for."""

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.engines.privacy.dp.accounting import Cost
from strongroom.engines.privacy.dp.bounds import (
    HIGHEST_POWER,
    LOWEST_POWER,
    _counted,
    _edge,
    _powers,
    estimate_bounds,
)
from strongroom.engines.privacy.dp.query import Bounds, Unit
from strongroom.errors import DpBudgetError, DpColumnError


@pytest.mark.parametrize(("low", "high", "found"), [
    (17, 90, (16, 128)), (-5, 3, (-8, 4)), (-90, -17, (-128, -16)), (0, 1, (0, 1)),
    (0.001, 0.9, (2**-10, 1)),
])  # fmt: skip
def test_bounds_are_the_next_powers_of_two(
    low: float, high: float, found: tuple[float, float]
) -> None:
    values = np.concatenate([np.linspace(low, high, 5_000), [low, high] * 2_000])
    estimated = estimate_bounds(pa.table({"x": values}), "x", 1.0)
    assert estimated.bounds is not None
    assert (estimated.bounds.lower, estimated.bounds.upper) == found
    assert estimated.cost == Cost.pure(1.0)


def test_one_person_moves_no_bounds() -> None:
    values = [50.0] * 2_000 + [1e12] * 2_000
    who = [f"p{at}" for at in range(2_000)] + ["one"] * 2_000
    table = pa.table({"x": values, "who": who})
    estimated = estimate_bounds(table, "x", 1.0, Unit("who", rows=3))
    assert estimated.bounds == Bounds(32, 64)


def test_too_few_rows_give_none_and_cost_all_the_same() -> None:
    estimated = estimate_bounds(pa.table({"x": [1.0, None, float("nan")]}), "x", 0.5)
    assert estimated.bounds is None
    assert estimated.cost == Cost.pure(0.5)


def test_constant_zero_has_bounds() -> None:
    estimated = estimate_bounds(pa.table({"x": [0.0] * 5_000}), "x", 1.0)
    assert estimated.bounds is not None
    assert estimated.bounds.lower < 0 < estimated.bounds.upper


@given(st.lists(st.floats(allow_nan=False), max_size=30))
def test_every_value_is_counted_once_and_between_its_edges(values: list[float]) -> None:
    assert _counted(np.array(values, np.float64)).sum() == len(values)
    for value in values:
        (place,) = np.flatnonzero(_counted(np.array([value])))
        size = min(max(abs(value), 2.0**LOWEST_POWER), 2.0**HIGHEST_POWER)
        far = _edge(int(place))
        if place == _powers():
            assert abs(value) <= 2.0**LOWEST_POWER
        else:
            assert abs(far) / 2 < size <= abs(far)
            assert (far > 0) == (value > 0)


def test_refusals() -> None:
    table = pa.table({"x": [1.0], "t": ["a"]})
    with pytest.raises(DpBudgetError):
        estimate_bounds(table, "x", 0)
    for column in ("t", "nothing"):
        with pytest.raises(DpColumnError):
            estimate_bounds(table, column, 1.0)
    with pytest.raises(DpColumnError):
        estimate_bounds(table, "x", 1.0, Unit("nobody"))
