"""Sums: exact, and moved by one row no farther than is said."""

from typing import Any

import numpy as np
import opendp.domains
import opendp.metrics
import opendp.mod
import opendp.transformations
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.engines.privacy.dp.query import Bounds
from strongroom.engines.privacy.dp.statistic import (
    Grid,
    Statistic,
    StatisticKind,
    grid_of,
    one_row,
    parts_of,
    ranked,
    scores_of,
    sums_of,
)

SUMMED = (StatisticKind.SUM, StatisticKind.MEAN, StatisticKind.MOMENTS)
FLOATS = st.floats(allow_nan=False, width=64)
WHOLES = st.integers(-(1 << 63), (1 << 63) - 1)


@st.composite
def grids(draw: st.DrawFn, kinds: tuple[StatisticKind, ...]) -> tuple[StatisticKind, Grid]:
    kind = draw(st.sampled_from(kinds))
    lower = draw(st.floats(-1e9, 1e9))
    width = draw(st.floats(1.0, 1e9))
    is_whole = draw(st.booleans())
    if is_whole:
        lower, width = float(round(lower)), float(round(width))
    most = 2.0 ** draw(st.integers(0, 60))
    return kind, grid_of(kind, Bounds(lower, lower + width), is_whole=is_whole, most=most)


@given(grids(SUMMED), st.one_of(st.lists(FLOATS, max_size=8), st.lists(WHOLES, max_size=8)),
       st.one_of(FLOATS, WHOLES))  # fmt: skip
@settings(max_examples=120)
def test_one_row_moves_sums_no_farther_than_is_said(
    made: tuple[StatisticKind, Grid], values: list[float], row: float
) -> None:
    kind, grid = made
    is_whole = all(isinstance(one, int) for one in [*values, row])
    dtype: Any = np.int64 if is_whole else np.float64
    without = sums_of(kind, grid, np.array(values, dtype), None, 1)
    whole = sums_of(kind, grid, np.array([*values, row], dtype), None, 1)
    moved = np.abs(whole - without).astype(object)
    assert sum(moved[0]) <= one_row(Statistic(kind, "x"), grid)


@given(grids(SUMMED), st.lists(st.tuples(FLOATS, st.integers(0, 3)), max_size=30))
@settings(max_examples=50)
def test_sums_by_group_are_exact(
    made: tuple[StatisticKind, Grid], rows: list[tuple[float, int]]
) -> None:
    kind, grid = made
    values = np.array([value for value, _ in rows], np.float64)
    codes = np.array([code for _, code in rows], np.int64)
    found = sums_of(kind, grid, values, codes, 4)
    for group in range(4):
        alone = sums_of(kind, grid, values[codes == group], None, 1)
        assert found[group].tolist() == alone[0].tolist()


@pytest.mark.parametrize("kind", SUMMED)
def test_sums_of_many_large_numbers_do_not_round(kind: StatisticKind) -> None:
    grid = grid_of(kind, Bounds(-1.0, 1.0), is_whole=False, most=2.0**60)
    values = np.linspace(-2, 2, 200_001)
    codes = np.arange(len(values)) % 3
    found = sums_of(kind, grid, values, codes, 3)
    places = grid.multiples(values) if kind is StatisticKind.SUM else grid.places(values)
    exact = [sum(int(one) for one in places[codes == group]) for group in range(3)]
    if kind is StatisticKind.SUM:
        assert found[:, 0].tolist() == exact
    elif kind is StatisticKind.MEAN:
        assert found[:, 1].tolist() == exact
        assert (found.sum(axis=1) == grid.steps * np.bincount(codes)).all()
    else:
        # Twice the second moment's sum and the middle one give back the first.
        assert ((found[:, 1] + 2 * found[:, 2]) == 2 * grid.steps * np.array(exact)).all()
        assert (found.sum(axis=1) == grid.steps**2 * np.bincount(codes)).all()


def test_whole_numbers_lie_on_the_grid() -> None:
    bounds = Bounds(17.0, 90.0)
    for kind in SUMMED:
        grid = grid_of(kind, bounds, is_whole=True, most=2.0**40)
        values = np.arange(17, 91)
        steps = grid.multiples(values) if kind is StatisticKind.SUM else grid.places(values)
        np.testing.assert_allclose(
            steps * grid.step + (0 if kind is StatisticKind.SUM else 17), values, rtol=1e-12
        )
    grid = grid_of(StatisticKind.QUANTILE, bounds, is_whole=True, most=2.0**40)
    assert (grid.steps, grid.step) == (73, 1.0)


@given(st.sets(st.integers(0, 20)), st.sampled_from([0.5, 0.25, 0.9, 1 / 3]))
@settings(max_examples=60)
def test_scores_of_different_values_are_those_of_opendp(values: set[int], share: float) -> None:
    """To the weight of one row, for a value that lies at the candidate itself counts otherwise."""
    opendp.mod.enable_features("contrib")
    candidates = list(range(21))
    theirs: Any = opendp.transformations.make_quantile_score_candidates(
        opendp.domains.vector_domain(opendp.domains.atom_domain(T="i64")),
        opendp.metrics.symmetric_distance(), candidates, share,
    )  # fmt: skip
    grid = grid_of(StatisticKind.QUANTILE, Bounds(0.0, 20.0), is_whole=True, most=2.0**40)
    counts = ranked(grid, np.array(sorted(values), np.int64), None, 1)[0]
    ours = scores_of(counts, share)
    given_scores = np.array(theirs(sorted(values)), np.float64)
    # OpenDP has its share as a fraction of its own; the order of candidates is what matters.
    above, parts = parts_of(share)
    one = max(above, parts - above)
    np.testing.assert_allclose(
        given_scores / (theirs.map(1) / one), ours, rtol=2e-3, atol=one + 1.01
    )


@given(st.lists(st.integers(0, 20), max_size=40), st.sampled_from([0.5, 0.25, 0.9, 0.999]))
@settings(max_examples=100)
def test_the_score_is_0_for_quantiles_and_tells_how_far_it_is(
    values: list[int], share: float
) -> None:
    """Also where many values are equal, for which OpenDP's score may prefer a neighbour."""
    grid = grid_of(StatisticKind.QUANTILE, Bounds(0.0, 20.0), is_whole=True, most=2.0**40)
    found = scores_of(ranked(grid, np.array(values, np.int64), None, 1)[0], share)
    above, parts = parts_of(share)
    for candidate, score in enumerate(found.tolist()):
        below = sum(value < candidate for value in values) * parts
        upto = sum(value <= candidate for value in values) * parts
        rank = above * len(values)
        expected = 0 if below <= rank <= upto else min(abs(below - rank), abs(upto - rank))
        assert score == expected


@given(st.lists(st.integers(-5, 25), max_size=30), st.integers(-5, 25), st.floats(0.001, 0.999))
def test_one_row_moves_no_score_farther_than_is_said(
    values: list[int], row: int, share: float
) -> None:
    grid = grid_of(StatisticKind.QUANTILE, Bounds(0.0, 20.0), is_whole=True, most=2.0**40)
    both = [
        scores_of(ranked(grid, np.array(one, np.int64), None, 1)[0], share)
        for one in (values, [*values, row])
    ]
    most = one_row(Statistic(StatisticKind.QUANTILE, "x", share), grid)
    assert np.abs(both[0] - both[1]).max() <= most
