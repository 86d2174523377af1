"""Curves and areas, against brute force and scikit-learn."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from strongroom.engines.robustness.membership.rates import auc, roc, threshold, tpr_at
from strongroom.errors import ValidationError

RNG = np.random.default_rng(4)
SCORES = np.concatenate([RNG.normal(0.8, 1.0, 120), RNG.normal(0.0, 1.0, 80)]).round(1)
MEMBER = np.arange(200) < 120


def test_the_area_is_scikit_learns() -> None:
    assert auc(SCORES, MEMBER).value == pytest.approx(roc_auc_score(MEMBER, SCORES))


def test_the_bounds_of_the_area_are_delongs_by_definition() -> None:
    inside, outside = SCORES[MEMBER], SCORES[~MEMBER]
    wins = (inside[:, None] > outside) + 0.5 * (inside[:, None] == outside)
    area = wins.mean()
    spread = wins.mean(axis=1).var(ddof=1) / 120 + wins.mean(axis=0).var(ddof=1) / 80
    odds, reach = np.log(area / (1 - area)), 1.959964 * np.sqrt(spread) / (area * (1 - area))
    found = auc(SCORES, MEMBER)
    assert found.low == pytest.approx(1 / (1 + np.exp(-(odds - reach))), abs=1e-6)
    assert found.high == pytest.approx(1 / (1 + np.exp(-(odds + reach))), abs=1e-6)


@given(st.lists(st.integers(0, 5), min_size=4, max_size=60), st.sampled_from([0.001, 0.01, 0.2]))
@settings(max_examples=30, deadline=None)
def test_no_more_others_lie_above_the_threshold_than_allowed(
    values: list[int], rate: float
) -> None:
    scores = np.array(values, dtype=float)
    is_member = np.arange(len(scores)) % 2 == 0
    line = threshold(scores, is_member, rate)
    assert (scores[~is_member] > line).mean() <= rate + 1e-9
    share = tpr_at(scores, is_member, rate)
    assert share.low <= share.value <= share.high
    area = auc(scores, is_member)
    assert 0.0 <= area.low <= area.value + 1e-9
    assert area.value - 1e-9 <= area.high <= 1.0


def test_equal_scores_find_nobody() -> None:
    same = np.ones(40)
    is_member = np.arange(40) < 20
    assert tpr_at(same, is_member, 0.01).value == 0.0
    found = auc(same, is_member)
    assert (found.value, found.low < 0.5 < found.high) == (0.5, True)


def test_perfect_scores_leave_a_bound_below_one() -> None:
    found = auc(np.arange(40.0), np.arange(40) >= 20)
    assert found.value == 1.0
    assert 0.8 < found.low < 1.0


def test_the_curve_grows() -> None:
    shares = [one.value for _, one in roc(SCORES, MEMBER)]
    assert shares == sorted(shares)
    assert len(shares) > 10


def test_one_kind_alone_is_refused() -> None:
    with pytest.raises(ValidationError):
        auc(np.ones(3), np.ones(3, dtype=bool))
