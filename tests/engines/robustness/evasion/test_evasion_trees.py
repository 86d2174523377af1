"""Trees: read as scikit-learn answers, certified as going through all cells says."""

from typing import Any

import numpy as np
import pytest
from sklearn.dummy import DummyClassifier
from sklearn.ensemble import (
    ExtraTreesClassifier,
    GradientBoostingClassifier,
    HistGradientBoostingClassifier,
    RandomForestClassifier,
)  # fmt: skip
from sklearn.linear_model import LogisticRegression
from sklearn.tree import DecisionTreeClassifier
from tests.engines.robustness.evasion.evasion_models import Model, breast, forest

from strongroom.engines.robustness.evasion import trees
from strongroom.engines.robustness.evasion.certifying import certify
from strongroom.engines.robustness.evasion.hopskipjump import Jumps, hopskipjump
from strongroom.engines.robustness.evasion.hunt import Hunt, Norm
from strongroom.engines.robustness.evasion.probing import by_cells, planted_trees
from strongroom.engines.robustness.evasion.trimming import trim
from strongroom.engines.robustness.space import Feature, Space
from strongroom.engines.robustness.target import Target
from strongroom.errors import ValidationError

MODELS = [
    DecisionTreeClassifier(max_depth=6, random_state=0),
    RandomForestClassifier(7, max_depth=5, random_state=0),
    ExtraTreesClassifier(7, max_depth=5, random_state=0),
    GradientBoostingClassifier(n_estimators=8, random_state=0),
    HistGradientBoostingClassifier(max_iter=8, random_state=0),
]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("model", MODELS, ids=lambda one: type(one).__name__)
def test_scores_are_scikit_learns(model: Model, classes: int) -> None:
    fit, labels, points, _ = breast()
    labels = labels if classes == 2 else labels + (fit[:, 0] > 0.5)
    model.fit(fit, labels)
    read = trees.of_estimator(model)
    assert read is not None
    ours = read.scores(points)
    if hasattr(model, "decision_function"):
        theirs = model.decision_function(points)
        ours = ours[:, 1] - ours[:, 0] if classes == 2 else ours
    else:
        theirs = model.predict_proba(points)
    assert ours == pytest.approx(theirs, abs=1e-9)


def test_what_is_no_ensemble_is_not_read() -> None:
    fit, labels, _, _ = breast()
    assert trees.of_estimator(LogisticRegression().fit(fit, labels)) is None
    assert trees.of_estimator(DummyClassifier().fit(fit, labels)) is None
    odd = GradientBoostingClassifier(n_estimators=2, init=LogisticRegression()).fit(fit, labels)
    with pytest.raises(ValidationError, match="first guess"):
        trees.of_estimator(odd)


@pytest.mark.parametrize("fault", ["cycle", "shared", "outside", "nan", "short"])
def test_arrays_that_are_no_trees_are_refused(fault: str) -> None:
    arrays: dict[str, Any] = {
        "features": np.array([0, -1, 1, -1, -1]), "thresholds": np.array([0.5, 0, 0.3, 0, 0]),
        "left": np.array([1, -1, 3, -1, -1]), "right": np.array([2, -1, 4, -1, -1]),
        "values": np.zeros((5, 2)), "roots": np.array([0]), "base": np.zeros(2),
    }  # fmt: skip
    trees.Trees(**arrays)
    if fault == "cycle":
        arrays["left"][2] = 0
    elif fault == "shared":
        arrays["left"][2] = 4
    elif fault == "outside":
        arrays["right"][2] = 9
    elif fault == "nan":
        arrays["thresholds"][0] = np.nan
    else:
        arrays["left"] = arrays["left"][:4]
    with pytest.raises(ValidationError):
        trees.Trees(**arrays)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_distances_are_those_of_all_cells(norm: Norm) -> None:
    rng = np.random.default_rng(3)
    space = Space([Feature("a"), Feature("b", direction=1), Feature("c"), Feature("d")])
    kept = 0
    for _ in range(6):
        made = planted_trees(np.array([0, 1, 2]), rng)
        origins = rng.random((5, 4))
        labels = np.asarray(made.scores(origins).argmax(axis=1), dtype=np.int64)
        hunt = Hunt(Target(made.scores, classes=2), space, origins, labels, norm)
        found = certify(made, hunt)
        exact = np.array([
            by_cells(made, origins[at], int(labels[at]), hunt.low[at], hunt.high[at], norm)
            for at in range(5)
        ])  # fmt: skip
        assert found.low == pytest.approx(exact, abs=1e-9)
        assert found.is_exact.all()
        there = np.isfinite(exact)
        kept += int(there.sum())
        assert (made.scores(found.witnesses).argmax(axis=1) != labels)[there].all()
        # With next to no sets allowed it is a bound, and sound.
        rough = certify(made, Hunt(Target(made.scores, classes=2), space, origins, labels, norm),
                        most_sets=4)  # fmt: skip
        assert (rough.low <= exact + 1e-9).all()
        assert (rough.low[there] > 0).any()
    assert kept > 15


def test_a_tie_counts_as_the_model_answers_it() -> None:
    # Right of the threshold both classes tie, and class 0 is answered: only class 1 falls there.
    stump = np.array([0, -1, -1]), np.array([0.5, 0, 0]), np.array([1, -1, -1])
    for label, values, expected in (
        (1, [[0.0, 0], [0, 1], [0, 0]], 0.1), (0, [[0.0, 0], [1, 0], [0, 0]], np.inf),
    ):  # fmt: skip
        made = trees.Trees(
            *stump, np.array([2, -1, -1]), np.array(values), np.array([0]), np.zeros(2)
        )
        hunt = Hunt(Target(made.scores, classes=2), Space.box(1), np.array([[0.4]]),
                    np.array([label]))  # fmt: skip
        found = certify(made, hunt)
        assert found.low[0] == pytest.approx(expected)
        assert found.is_exact[0]


def test_no_attack_gets_below_the_bound_of_a_forest() -> None:
    fit, labels, points, truth = breast()
    model = forest(fit, labels, trees=6, depth=4)
    read = trees.of_estimator(model)
    assert read is not None
    hunt = Hunt(Target(model.predict_proba, classes=2), Space.box(30), points[:8], truth[:8])
    rng = np.random.default_rng(0)
    hopskipjump(hunt, rng, pool=fit, jumps=Jumps(rounds=4))
    trim(hunt, rng)
    attacked = hunt.distances.copy()
    proved = certify(read, hunt, most_sets=1 << 10)
    assert (attacked >= proved.low - 1e-6).all()
    assert (proved.low[attacked > 0] > 0).all()
    # Witnesses were answered wrongly by the model itself, not only by what was read of it.
    made = (proved.witnesses != hunt.origins).any(axis=1)
    assert made.any()
    assert (model.predict(proved.witnesses[made]) != truth[:8][made]).all()


def test_trees_of_another_space_are_refused() -> None:
    made = planted_trees(np.array([0, 9]), np.random.default_rng(0))
    target = Target(lambda rows: np.tile([1.0, 0.0], (len(rows), 1)), classes=2)
    hunt = Hunt(target, Space.box(4), np.full((1, 4), 0.5), np.zeros(1, dtype=np.int64))
    with pytest.raises(ValidationError, match="more than 4"):
        certify(made, hunt)


def test_a_single_leaf_has_no_wrong_answer() -> None:
    leaf = trees.Trees(
        np.array([-1]), np.zeros(1), np.array([-1]), np.array([-1]), np.array([[1.0, 0.0]]),
        np.array([0]), np.zeros(2),
    )  # fmt: skip
    hunt = Hunt(Target(leaf.scores, classes=2), Space.box(2), np.full((1, 2), 0.5),
                np.zeros(1, dtype=np.int64))  # fmt: skip
    found = certify(leaf, hunt)
    assert np.isinf(found.low[0])
    assert found.is_exact[0]
