"""What a rate of alarms means with few rows."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import betabinom

from strongroom.engines.robustness.guards.conformal import (
    MAX_KEPT,
    alarm_rate,
    fewest_rows,
    kept,
    p_values,
    threshold,
)
from strongroom.errors import ValidationError


@given(
    st.lists(st.integers(-50, 50), min_size=1, max_size=60),
    st.lists(st.integers(-60, 60), min_size=1, max_size=20),
    st.sampled_from([0.01, 0.05, 0.1, 0.2, 0.5]),
)
def test_a_score_is_above_the_threshold_exactly_where_its_p_value_is_small(
    calibration: list[int], scores: list[int], rate: float
) -> None:
    ordered, asked = kept(np.array(calibration, float)), np.array(scores, float)
    p = p_values(ordered, asked)
    by_hand = [(1 + sum(one >= score for one in calibration)) / (1 + len(calibration))
               for score in scores]  # fmt: skip
    np.testing.assert_allclose(p, by_hand)
    np.testing.assert_array_equal(asked > threshold(ordered, rate), p <= rate + 1e-9)


def test_the_true_rate_of_a_calibration_is_the_beta_of_the_paper() -> None:
    rng = np.random.default_rng(1)
    found = []
    for _ in range(400):
        level = threshold(kept(rng.random(199)), 0.05)
        found.append(1 - level)  # of uniform scores the share above a level is known
    rate = alarm_rate(199, 0.05)
    assert rate.mean == pytest.approx(0.05)
    assert np.mean(found) == pytest.approx(rate.mean, abs=0.003)
    within = np.mean([rate.low <= one <= rate.high for one in found])
    assert within == pytest.approx(0.95, abs=0.03)
    # Counts of alarms among fresh rows are beta-binomial.
    assert betabinom.ppf(0.975, 1000, 10, 190) / 1000 >= rate.high - 0.01


def test_too_few_rows_flag_nothing() -> None:
    assert fewest_rows(0.01) == 99
    assert threshold(np.arange(98.0), 0.01) == np.inf
    assert threshold(np.arange(99.0), 0.01) == 98.0
    assert alarm_rate(98, 0.01).high == 0.0


def test_of_many_scores_the_evenly_placed_stay() -> None:
    scores = np.random.default_rng(0).random(20_000)
    few = kept(scores)
    assert len(few) == MAX_KEPT
    assert (few[0], few[-1]) == (scores.min(), scores.max())
    assert threshold(few, 0.01) == pytest.approx(np.quantile(scores, 0.99), abs=1e-3)
    with pytest.raises(ValidationError, match="no number"):
        kept(np.array([1.0, np.nan]))
