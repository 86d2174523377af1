"""Which features matter, told from rows alone; scikit-learn is the oracle of the shuffling."""

import numpy as np
import pytest
from sklearn.ensemble import HistGradientBoostingRegressor
from sklearn.inspection import permutation_importance

from strongroom.engines.drift.importances import MAX_FEATURES, importances
from strongroom.engines.drift.plan import Floats
from strongroom.errors import TableError

NAMES = ("a", "b", "c", "d")


def rows(count: int, seed: int) -> tuple[Floats, Floats]:
    random = np.random.default_rng(seed)
    inputs = random.normal(size=(count, 4))
    return inputs, 3 * inputs[:, 0] + 1.5 * inputs[:, 1] + 0.5 * inputs[:, 2]


def test_the_order_is_that_of_the_model_and_noise_is_nothing() -> None:
    inputs, said = rows(1_500, 1)
    inputs[::10, 1] = np.nan
    found = importances(inputs, said, NAMES, are_classes=False)
    order = sorted(NAMES, key=lambda name: -found.features[name])
    assert order == ["a", "b", "c", "d"]
    assert found.features["d"] == 0.0
    assert found.explained > 0.8
    classes = importances(inputs, np.digitize(said, [-2.0, 2.0]).astype(float), NAMES,
                          are_classes=True)  # fmt: skip
    assert classes.features["a"] > classes.features["b"] > classes.features["d"] == 0.0


def test_they_are_scikit_learns_permutation_importances() -> None:
    inputs, said = rows(2_000, 2)
    ranks = np.argsort(np.argsort(said)) / len(said)
    model = HistGradientBoostingRegressor(
        max_iter=60, max_leaf_nodes=15, random_state=0, early_stopping=False
    ).fit(inputs[:1_000], ranks[:1_000])
    oracle = permutation_importance(
        model, inputs[1_000:], ranks[1_000:], scoring="neg_mean_squared_error", n_repeats=3,
        random_state=0,
    ).importances_mean  # fmt: skip
    found = importances(inputs, said, NAMES, are_classes=False).features
    for name, expected in zip(NAMES[:2], oracle[:2], strict=True):
        assert found[name] == pytest.approx(expected, rel=0.15)


def test_predictions_that_features_do_not_explain() -> None:
    inputs, _ = rows(1_000, 3)
    found = importances(inputs, np.random.default_rng(4).random(1_000), NAMES, are_classes=False)
    assert found.explained < 0.1
    assert sum(found.features.values()) < 0.01


@pytest.mark.parametrize(("count", "said", "features", "are_classes", "says"), [
    (100, 0.0, 4, False, "need 200 rows"),
    (300, 0.0, 4, False, "all predictions are alike"),
    (300, None, 4, True, "more than 20 classes"),
    (300, None, 0, False, "1 to 200 features"),
    (300, None, MAX_FEATURES + 1, False, "1 to 200 features"),
    (300, np.nan, 4, False, "need 200 rows"),
])  # fmt: skip
def test_what_cannot_be_reckoned_is_refused(
    count: int, said: float | None, features: int, are_classes: bool, says: str
) -> None:
    target = np.arange(float(count)) if said is None else np.full(count, said)
    with pytest.raises(TableError, match=says):
        importances(
            np.zeros((count, features)), target, [str(at) for at in range(features)],
            are_classes=are_classes,
        )  # fmt: skip
