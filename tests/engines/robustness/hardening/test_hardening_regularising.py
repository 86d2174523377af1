"""Regularisation takes a recipe from where it stands, and never below."""

from typing import Any

import numpy as np
import pytest
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neighbors import KNeighborsClassifier
from sklearn.tree import DecisionTreeClassifier

from strongroom.engines.robustness.hardening.regularising import regularised
from strongroom.engines.robustness.recipes import Estimator

RNG = np.random.default_rng(7)
ROWS = RNG.random((120, 3))
LABELS = (ROWS[:, 0] + 0.2 * RNG.standard_normal(120) > 0.5).astype(np.int64)


@pytest.mark.parametrize(
    ("estimator", "floor", "ceiling"),
    [
        (DecisionTreeClassifier(max_depth=6), {}, {"max_depth": 6}),
        (DecisionTreeClassifier(min_samples_leaf=30), {"min_samples_leaf": 30}, {}),
        (LogisticRegression(C=0.05), {}, {"C": 0.05}),
        (LogisticRegression(), {}, {"C": 1.0}),
        (KNeighborsClassifier(15), {"n_neighbors": 15}, {}),
        (RandomForestClassifier(2, max_depth=2), {}, {"max_depth": 2}),
    ],
    ids=["depth", "leaf", "C", "C by default", "neighbours", "forest"],
)
def test_no_step_is_weaker_than_the_recipe_in_any_setting(
    estimator: Any,  # noqa: ANN401 # scikit-learn has no types
    floor: dict[str, float],
    ceiling: dict[str, float],
) -> None:
    found = regularised(Estimator("own", estimator, 2), ROWS, LABELS, seed=0, folds=2)
    assert found.steps[0].parameters == {}
    assert len(found.steps) > 1
    told = [one.parameters for one in found.steps]
    assert len({str(one) for one in told}) == len(told)  # nothing is measured twice
    for step in told[1:]:
        assert all(step[name] >= least for name, least in floor.items())
        assert all(step[name] <= most for name, most in ceiling.items())


def test_a_leaf_by_share_of_the_rows_stays() -> None:
    estimator = DecisionTreeClassifier(min_samples_leaf=0.2)
    found = regularised(Estimator("own", estimator, 2), ROWS, LABELS, seed=0, folds=2)
    assert all(one.parameters.get("min_samples_leaf", 0.2) == 0.2 for one in found.steps)


def test_a_recipe_at_the_top_of_its_ladder_stays_as_it_is() -> None:
    estimator = DecisionTreeClassifier(min_samples_leaf=200, max_depth=3)
    found = regularised(Estimator("own", estimator, 2), ROWS, LABELS, seed=0, folds=2)
    assert (found.taken, len(found.steps)) == (0, 1)
