"""Distances against SciPy and published formulas."""

import math

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from scipy.spatial import distance
from tests.engines.drift.samples import counted, exact

from strongroom.engines.drift import measures

COUNTS = st.lists(st.tuples(st.integers(0, 1_000), st.integers(0, 1_000)), min_size=2, max_size=40)


def sides(pairs: list[tuple[int, int]]) -> tuple[np.ndarray, np.ndarray]:
    a, b = np.array(pairs, np.int64).T
    return a + (a.sum() == 0), b + (b.sum() == 0)


@settings(max_examples=100, deadline=None)
@given(COUNTS)
def test_jensen_shannon_is_scipys(pairs: list[tuple[int, int]]) -> None:
    a, b = sides(pairs)
    expected = distance.jensenshannon(a, b, base=2)
    assert measures.jensen_shannon(a, b) == pytest.approx(expected, abs=1e-7)


@settings(max_examples=100, deadline=None)
@given(COUNTS)
def test_hellinger_by_its_other_formula(pairs: list[tuple[int, int]]) -> None:
    a, b = sides(pairs)
    coefficient = np.sum(np.sqrt(a / a.sum() * (b / b.sum())))
    expected = math.sqrt(max(1 - coefficient, 0.0))
    assert measures.hellinger(a, b) == pytest.approx(expected, abs=1e-7)


def test_population_stability_of_a_known_table() -> None:
    # By hand, with half a count in each bin: p = (100.5, 100.5)/201, q = (150.5, 50.5)/201.
    p, q = np.array([100.5, 100.5]) / 201, np.array([150.5, 50.5]) / 201
    expected = float(((q - p) * np.log(q / p)).sum())
    found = measures.population_stability(np.array([100, 100]), np.array([150, 50]))
    assert found == pytest.approx(expected)
    assert measures.population_stability(np.array([100, 0]), np.array([0, 100])) < math.inf


@settings(max_examples=100, deadline=None)
@given(COUNTS)
def test_chi_square_is_scipys(pairs: list[tuple[int, int]]) -> None:
    a, b = sides(pairs)
    there = (a + b) > 0
    if there.sum() < 2:
        return
    expected = stats.chi2_contingency(np.array([a[there], b[there]]), correction=False)
    statistic, freedom = measures.chi_square(a, b)
    assert statistic == pytest.approx(expected.statistic)
    assert freedom == expected.dof


@pytest.mark.parametrize("shift", [0.0, 0.1, 0.5])
def test_against_the_values_themselves(shift: float) -> None:
    """Binned distances are close to those of all values."""
    random = np.random.default_rng(1)
    first, second = random.normal(size=20_000), random.normal(size=20_000) * 1.1 + shift
    plan = exact(pa.table({"x": first}))
    a, b = (counted({"x": one}, plan).counts[0] for one in (first, second))
    grid = plan.columns[0].grid
    assert grid is not None
    a, b = a[: grid.bins], b[: grid.bins]
    exact_ks = stats.ks_2samp(first, second).statistic
    found = measures.kolmogorov_smirnov(a, b)
    assert found <= exact_ks + 1e-12
    assert found == pytest.approx(exact_ks, abs=0.006)
    work = stats.wasserstein_distance(first, second)
    assert measures.wasserstein(a, b, grid.edges()) == pytest.approx(work, rel=0.05, abs=0.003)
    for share in (0.1, 0.25, 0.5, 0.9):
        assert measures.quantile(b, grid.edges(), share) == pytest.approx(
            np.quantile(second, share), abs=0.03)  # fmt: skip


@settings(max_examples=100, deadline=None)
@given(COUNTS, st.integers(2, 20))
def test_joined_bins_keep_all_rows(pairs: list[tuple[int, int]], most: int) -> None:
    a, b = sides(pairs)
    first, second = measures.joined(a, b, most)
    assert len(first) == len(second) <= max(most, 2)
    assert (first.sum(), second.sum()) == (a.sum(), b.sum())
    # Coarser bins never lie further apart.
    assert measures.jensen_shannon(first, second) <= measures.jensen_shannon(a, b) + 1e-9


def test_equal_samples_are_at_distance_nothing() -> None:
    a = np.array([3, 5, 0, 9])
    assert measures.jensen_shannon(a, 2 * a) == 0
    assert measures.hellinger(a, 2 * a) == 0
    assert measures.kolmogorov_smirnov(a, 2 * a) == 0
    assert measures.chi_square(a, 2 * a)[0] == pytest.approx(0)
    assert measures.wasserstein(a, a, np.array([0.0, 1.0, 2.0])) == 0
    nothing = np.zeros(4, np.int64)
    assert math.isnan(measures.quantile(nothing, np.array([0.0, 1.0, 2.0]), 0.5))


def test_a_bin_of_most_rows_is_not_joined_with_the_others() -> None:
    """A flag in samples of sixty rows had a distance of 0, whatever happened to it."""
    before, now = measures.joined(np.array([46, 14, 0]), np.array([18, 42, 0]), 2)
    assert before.tolist() == [46, 14]
    assert now.tolist() == [18, 42]
    before, now = measures.joined(np.array([60, 0, 0]), np.array([14, 40, 6]), 2)
    assert now.tolist() == [14, 46]
