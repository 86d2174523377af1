"""Models as numbers: they answer as scikit-learn does, to the last bit where sums are the same."""

from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_wine
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    GradientBoostingClassifier,
    GradientBoostingRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
    RandomForestClassifier,
    RandomForestRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.neighbors import KNeighborsRegressor
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    MaxAbsScaler,
    MinMaxScaler,
    QuantileTransformer,
    RobustScaler,
    StandardScaler,
)
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier, DecisionTreeRegressor

from strongroom.engines.robustness.recipes import Estimator
from strongroom.engines.robustness.replicas import Layers, Replica, replica_of
from strongroom.errors import ValidationError

ROWS, LABELS = load_wine(return_X_y=True)
TWO = LABELS < 2
ODD = np.concatenate([
    ROWS, ROWS.min(axis=0) + np.random.default_rng(0).random((300, 13)) * np.ptp(ROWS, axis=0),
    np.full((1, 13), 1e30), np.full((1, 13), -1e30), np.zeros((1, 13)),
])  # fmt: skip
"""Rows of the table, by chance, and far away."""


@pytest.mark.parametrize(
    ("model", "is_exact"),
    [
        (DecisionTreeClassifier(max_depth=3, random_state=0), True),
        (RandomForestClassifier(50, random_state=0), True),
        (make_pipeline(StandardScaler(), ExtraTreesClassifier(7, random_state=0)), True),
        (make_pipeline(MinMaxScaler(), MaxAbsScaler(), RandomForestClassifier(5)), True),
        (GradientBoostingClassifier(n_estimators=5, random_state=0), False),
        (HistGradientBoostingClassifier(max_iter=5, early_stopping=False), False),
        (make_pipeline(RobustScaler(), LogisticRegression(max_iter=20)), False),
        (make_pipeline(StandardScaler(with_mean=False), MLPClassifier((5, 4), max_iter=9)), False),
    ],
    ids=["tree", "forest", "scaled", "twice scaled", "boosting", "histogram", "linear", "network"],
)
@pytest.mark.parametrize("chosen", [np.ones_like(TWO), TWO], ids=["three", "two"])
@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
def test_numbers_answer_as_the_model(model: Any, chosen: np.ndarray, *, is_exact: bool) -> None:  # noqa: ANN401 # scikit-learn has no types
    model.fit(ROWS[chosen], LABELS[chosen])
    replica = replica_of(model, 13)
    assert replica is not None
    true, found = model.predict_proba(ODD), replica.answers(ODD)
    np.testing.assert_allclose(found, true, rtol=0, atol=0 if is_exact else 1e-12)
    assert replica.answers(ODD[:0]).shape == (0, true.shape[1])


@pytest.mark.parametrize(
    ("model", "is_exact"),
    [
        (DecisionTreeRegressor(max_depth=5, random_state=0), True),
        (RandomForestRegressor(30, random_state=0), True),
        (make_pipeline(StandardScaler(), ExtraTreesRegressor(7, random_state=0)), True),
        (GradientBoostingRegressor(n_estimators=9, random_state=0), False),
        (HistGradientBoostingRegressor(max_iter=9, early_stopping=False), False),
    ],
    ids=["tree", "forest", "scaled", "boosting", "histogram"],
)
def test_numbers_of_a_regression_answer_as_the_model(model: Any, *, is_exact: bool) -> None:  # noqa: ANN401 # scikit-learn has no types
    model.fit(ROWS[:, :12], 1e4 * ROWS[:, 12])
    replica = replica_of(model, 12)
    assert replica is not None
    true = model.predict(ODD[:, :12])[:, None]
    found = replica.answers(ODD[:, :12])
    np.testing.assert_allclose(found, true, rtol=0 if is_exact else 1e-13)


def test_ties_of_a_forest_stay_ties() -> None:
    """Fifty trees against fifty: summed before they are divided, or the second class may win."""
    rows = np.tile(np.array([[0.0], [1.0]]), (30, 1))
    labels = np.random.default_rng(1).integers(0, 2, 60)
    forest = RandomForestClassifier(100, random_state=0).fit(rows, labels)
    for tree, leaf in zip(forest.estimators_, [0, 1] * 50, strict=True):
        tree.tree_.value[:, 0, :] = np.eye(2)[leaf]
    replica = replica_of(forest, 1)
    assert replica is not None
    assert replica.answers(rows[:2]).tolist() == [[0.5, 0.5]] * 2


@pytest.mark.parametrize(
    "model",
    [
        SVC(), Ridge(), GradientBoostingRegressor(init=KNeighborsRegressor(2), n_estimators=2),
        make_pipeline(QuantileTransformer(n_quantiles=9), LogisticRegression()),
        make_pipeline(MinMaxScaler(clip=True), DecisionTreeClassifier()),
    ],
    ids=["kernel", "regression", "a guess of its own", "no scaler", "clipping"],
)  # fmt: skip
def test_what_is_not_understood_has_no_numbers(model: Any) -> None:  # noqa: ANN401 # scikit-learn has no types
    model.fit(ROWS, LABELS)
    if isinstance(model, GradientBoostingRegressor):
        with pytest.raises(ValidationError, match="first guess"):
            replica_of(model, 13)
        return
    assert replica_of(model, 13) is None


def test_parts_that_do_not_fit_are_refused() -> None:
    weights, biases = (np.ones((2, 3)), np.ones((4, 1))), (np.zeros(3), np.zeros(1))
    with pytest.raises(ValidationError, match="do not fit"):
        Layers(weights, biases, "relu")
    layers = Layers((np.ones((2, 1)),), (np.zeros(1),), "identity")
    with pytest.raises(ValidationError, match="do not fit"):
        Replica(3, (), layers, "logistic")
    with pytest.raises(ValidationError, match="do not fit"):
        Replica(2, (("add", np.zeros(3)),), layers, "logistic")


class _Contrary(DecisionTreeClassifier):  # type: ignore[misc] # scikit-learn has no types
    """A model whose trees are not what it answers by."""

    def predict_proba(self, rows: Any, check_input: bool = True) -> Any:  # noqa: ANN401 # as there
        return super().predict_proba(rows, check_input)[:, ::-1]


def test_a_recipe_uses_numbers_only_where_they_answer_alike() -> None:
    contrary = Estimator("contrary", _Contrary(random_state=0), 2).fit(ROWS[TWO], LABELS[TWO], 1)
    plain = Estimator("plain", DecisionTreeClassifier(), 2).fit(ROWS[TWO], LABELS[TWO], 1)
    np.testing.assert_array_equal(contrary(ROWS[:9]), plain(ROWS[:9])[:, ::-1])
    missing = np.full((2, 13), np.nan)
    assert plain(missing).shape == (2, 2)  # scikit-learn's own way with what is missing
