"""P-values against SciPy, and the rate that they hold."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from strongroom.engines.drift.significance import (
    benjamini_hochberg,
    categories_differ,
    detectable_shift,
    kolmogorov_p,
    numbers_differ,
    proportions_differ,
)


@settings(max_examples=100, deadline=None)
@given(st.lists(st.floats(0, 1), min_size=1, max_size=50))
def test_benjamini_hochberg_is_scipys(p_values: list[float]) -> None:
    expected = stats.false_discovery_control(p_values, method="bh")
    assert benjamini_hochberg(p_values) == pytest.approx(expected)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 40), st.integers(0, 40), st.integers(0, 40), st.integers(0, 40))
def test_small_proportions_are_fishers_exact(a: int, b: int, c: int, d: int) -> None:
    if not (a + b and c + d and a + c and b + d):
        assert proportions_differ(a, a + b, c, c + d) == 1.0
        return
    found = proportions_differ(a, a + b, c, c + d)
    pooled = np.array([a + c, b + d]) * min(a + b, c + d) / (a + b + c + d)
    if pooled.min() >= 20:
        expected = stats.chi2_contingency([[a, b], [c, d]], correction=False).pvalue
    else:
        expected = stats.fisher_exact([[a, b], [c, d]]).pvalue
    assert found == pytest.approx(expected, rel=1e-5)


def test_large_categories_are_pearsons() -> None:
    a, b = np.array([4_000, 3_000, 3_000]), np.array([4_100, 2_900, 3_100])
    test = categories_differ(a, b)
    assert test.method == "asymptotic"
    expected = stats.chi2_contingency(np.array([a, b]), correction=False)
    assert test.p_value == pytest.approx(expected.pvalue)


@pytest.mark.parametrize(("rows", "others", "distance"), [
    (2_000, 2_000, 0.04), (10_000, 3_000, 0.03), (1_000, 1_000, 0.07),
])  # fmt: skip
def test_kolmogorov_is_near_scipys_exact(rows: int, others: int, distance: float) -> None:
    whole = np.zeros(rows), np.zeros(others)
    whole[0][:] = np.linspace(0, 1, rows)
    whole[1][:] = np.linspace(0, 1, others) * (1 - distance)
    found = stats.ks_2samp(*whole, method="exact")
    assert kolmogorov_p(found.statistic, rows, others) == pytest.approx(found.pvalue, rel=0.1)


def test_small_samples_are_permuted_and_near_scipys_permutation() -> None:
    a, b = np.array([12, 9, 4, 1]), np.array([4, 7, 11, 6])
    test = categories_differ(a, b)
    assert test.method == "permutation"
    values = np.repeat([0, 1, 2, 3] * 2, [*a, *b])
    side = np.repeat([0, 1], [a.sum(), b.sum()])

    def statistic(labels: np.ndarray) -> float:
        table = np.array([np.bincount(values[labels == one], minlength=4) for one in (0, 1)])
        return float(stats.chi2_contingency(table, correction=False).statistic)

    random = np.random.default_rng(2)
    observed = statistic(side)
    drawn = [statistic(random.permutation(side)) >= observed - 1e-9 for _ in range(2_000)]
    assert test.p_value == pytest.approx(np.mean(drawn), abs=0.01)
    assert categories_differ(a, b) == test  # the same on every run


def test_small_and_different_is_seen_small_and_alike_is_not() -> None:
    assert numbers_differ(np.array([20, 0, 0]), np.array([0, 0, 20])).p_value < 0.001
    assert numbers_differ(np.array([7, 7, 6]), np.array([7, 6, 7])).p_value > 0.5
    assert numbers_differ(np.array([9, 0]), np.array([9, 0])).p_value == 1.0


@pytest.mark.parametrize("rows", [60, 2_000])
def test_the_rate_of_false_alarms_holds(rows: int) -> None:
    """On equal distributions at most about five in a hundred p-values are below 0.05."""
    random = np.random.default_rng(5)
    shares = np.ones(12) / 12
    found = {"numbers": 0, "categories": 0}
    rounds = 400
    for at in range(rounds):
        a, b = (random.multinomial(rows, shares) for _ in range(2))
        found["numbers"] += numbers_differ(a, b, at).p_value <= 0.05
        found["categories"] += categories_differ(a, b, at).p_value <= 0.05
    # Three standard errors above 5 %.
    assert found["numbers"] <= rounds * 0.083
    assert found["categories"] <= rounds * 0.083
    assert found["categories"] >= rounds * 0.02


def test_the_detectable_shift_falls_with_the_rows() -> None:
    few, many = detectable_shift(100, 100, 0.05, 10), detectable_shift(10_000, 10_000, 0.05, 10)
    assert few == pytest.approx(10 * many)
    # Cohen's table for a two-sample z test: d = 0.2, power .8, alpha .05 takes 393 rows a side.
    assert detectable_shift(393, 393, 0.05, 1) == pytest.approx(0.2, abs=0.001)


def test_what_permutations_cannot_tell_apart_is_tested_exactly() -> None:
    """A p-value of 1 / 10,000 would be lost among hundreds of columns or windows."""
    a, b = np.array([40, 30, 30, 50]), np.array([140, 10, 0, 0])
    found = categories_differ(a, b)
    assert found.method == "exact"
    fisher = stats.fisher_exact([[40, 110], [140, 10]]).pvalue
    assert found.p_value == pytest.approx(4 * fisher, rel=1e-6)  # of four splits
    ordered = numbers_differ(a, b)
    assert ordered.method == "exact"
    assert ordered.p_value == pytest.approx(3 * fisher, rel=1e-6)
    assert benjamini_hochberg([found.p_value, *[1.0] * 10_000])[0] < 0.001
    # Counts that were rounded when they were written are no place for an exact test.
    assert numbers_differ(a, b, noise=5.0).method == "permutation"
