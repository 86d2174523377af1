"""Claims of privacy: what an attack refutes, and what it must not."""

import numpy as np
import pytest
from scipy import stats

from strongroom.engines.robustness.membership.auditing import (
    MOST_EPSILON,
    audited_epsilon,
    epsilon_of_guesses,
    epsilon_of_rates,
)
from strongroom.errors import ValidationError


def answered(epsilon: float, rows: int, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Randomized response: the one mechanism that spends its whole epsilon on every row."""
    rng = np.random.default_rng(seed)
    is_member = rng.random(rows) < 0.5
    is_true = rng.random(rows) < 1 / (1 + np.exp(-epsilon))
    return np.where(is_true, is_member, ~is_member) + rng.random(rows) / 2, is_member


@pytest.mark.parametrize("epsilon", [0.5, 1.0, 4.0])
def test_randomized_response_shows_nearly_its_epsilon_and_no_more(epsilon: float) -> None:
    found = np.array([audited_epsilon(*answered(epsilon, 4_000, seed), 0.0) for seed in range(10)])
    assert (
        found > epsilon
    ).sum() <= 3  # one in two of ten runs is expected, four: one in a thousand
    assert np.median(found) > 0.7 * epsilon


def test_chance_shows_no_epsilon() -> None:
    found = [audited_epsilon(*answered(0.0, 500, seed), 1e-5) for seed in range(20)]
    assert np.sum(np.array(found) > 0) <= 4


@pytest.mark.parametrize(("right", "guesses"), [(60, 100), (95, 100), (480, 500)])
def test_without_a_delta_the_bound_is_the_binomials(right: int, guesses: int) -> None:
    epsilon = epsilon_of_guesses(right, guesses, 1_000, 0.0)
    share = 1 / (1 + np.exp(-epsilon))
    assert stats.binom.sf(right - 1, guesses, share) == pytest.approx(0.05, abs=1e-6)


def test_a_delta_takes_from_what_is_shown() -> None:
    shown = [epsilon_of_guesses(480, 500, 1_000, delta) for delta in (0.0, 1e-6, 1e-4, 1e-2)]
    assert shown == sorted(shown, reverse=True)
    assert shown[1] > 2.5
    assert shown[3] < 1.0


def test_the_rates_bound_follows_its_formula() -> None:
    # Of 1,000 each: 200 found, 10 false. Clopper-Pearson at 95 %: 0.1756 below, 0.0183 above.
    assert epsilon_of_rates((200, 1000), (10, 1000), 0.0) == pytest.approx(
        np.log(0.17562 / 0.01831), abs=1e-3
    )
    assert epsilon_of_rates((10, 1000), (10, 1000), 0.0) == 0.0
    assert epsilon_of_rates((200, 1000), (10, 1000), 0.1) < 1.5
    assert epsilon_of_rates((10, 1000), (200, 1000), 0.0) == 0.0
    assert epsilon_of_rates((1000, 1000), (0, 1000), 0.0) < MOST_EPSILON


@pytest.mark.parametrize(
    "counts", [(5, 4, 10), (1, 2, 1), (-1, 2, 3), (0, 0, 0)], ids=["right", "rows", "less", "none"]
)
def test_counts_that_cannot_be_are_refused(counts: tuple[int, int, int]) -> None:
    with pytest.raises(ValidationError):
        epsilon_of_guesses(*counts, 0.0)


@pytest.mark.parametrize("delta", [-0.1, 1.0, float("nan")])
def test_a_delta_is_between_zero_and_one(delta: float) -> None:
    with pytest.raises(ValidationError):
        epsilon_of_guesses(1, 2, 3, delta)
    with pytest.raises(ValidationError):
        epsilon_of_rates((1, 2), (1, 2), delta)
    with pytest.raises(ValidationError):
        epsilon_of_rates((0, 0), (1, 2), 0.0)
