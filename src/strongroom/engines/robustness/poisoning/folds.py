"""What models say of rows that they were not fitted on.

Several kinds of models answer out of fold, and are mixed by weights that make the labels likeliest
(stacking: Wolpert, "Stacked generalization", 1992; here a convex mixture found by expectation
maximization, as for the weights of a mixture in Bishop, "Pattern recognition and machine learning",
2006, section 9.3). So rows near which forests are weak, as in images, are judged by neighbours.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped] # has no types

from strongroom.engines.robustness.poisoning.table import Table
from strongroom.engines.robustness.target import Labels, Rows, Scores

_FOLDS = 5
_ROUNDS = 100
_FLOOR = 1e-4
"""No mixture is surer than this: one vote of a forest of 100, and a hundredth."""
_FULL = 20_000
"""Rows up to which every member learns from all of the other folds."""
_NEIGHBOURS = 10
_TREES = 120
"""Of boosting, over all classes."""


@dataclass(frozen=True, slots=True)
class OutOfFold:
    """Answers of the members and their mixture.

    Attributes:
        scores: the mixture's, (rows, classes).
        neighbours: the share of each class among the nearest rows of the other folds.
        weights: member → its part of the mixture.
    """

    scores: Scores
    neighbours: Scores
    weights: dict[str, float]


def out_of_fold(
    table: Table, seed: int, progress: Callable[[float], None] = lambda _: None
) -> OutOfFold:
    """Each row answered by models that never saw it."""
    import sklearn.ensemble  # noqa: F401 # or its threads are not known yet below

    folds = fold_of(table.labels, _FOLDS, seed)
    rows = standardized(table.rows)
    names = ("forest", "boosting", "linear", "neighbours")
    answers = {name: np.zeros((len(table), table.classes)) for name in names}
    with ThreadpoolController().limit(limits=1):  # small fits: threads would wait for each other
        for fold in range(_FOLDS):
            inside = np.flatnonzero(folds != fold)
            outside = np.flatnonzero(folds == fold)
            for name in names:
                fit = _sample(inside, seed + fold)
                model = _member(name, seed + fold, len(fit), table.classes)
                model.fit(rows[fit], table.labels[fit])
                places = np.asarray(model.classes_, dtype=np.int64)
                answers[name][np.ix_(outside, places)] = model.predict_proba(rows[outside])
            progress((fold + 1) / _FOLDS)
    scores, weights = mixture(answers, table.labels)
    return OutOfFold(scores, answers["neighbours"], weights)


def mixture(answers: dict[str, Scores], labels: Labels) -> tuple[Scores, dict[str, float]]:
    """The convex mixture under which the labels are likeliest."""
    stack = np.stack([np.clip(one, _FLOOR, 1.0) for one in answers.values()])
    stack /= stack.sum(axis=2, keepdims=True)
    said = stack[:, np.arange(len(labels)), labels]
    weights = np.full(len(stack), 1 / len(stack))
    for _ in range(_ROUNDS):
        shares = weights[:, None] * said
        weights = (shares / shares.sum(axis=0)).mean(axis=1)
    mixed = np.asarray(np.tensordot(weights, stack, axes=1), dtype=np.float64)
    return mixed, dict(zip(answers, weights.tolist(), strict=True))


def fold_of(labels: Labels, folds: int, seed: int) -> Labels:
    """The fold of each row: every class is spread evenly, as far as its rows go."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    order = order[np.argsort(labels[order], kind="stable")]
    made = np.empty(len(labels), dtype=np.int64)
    made[order] = np.arange(len(labels)) % folds
    return made


def standardized(rows: Rows) -> Rows:
    """Columns with mean 0 and variance 1, cut at five deviations; constant ones are 0."""
    spread = rows.std(axis=0)
    made = (rows - rows.mean(axis=0)) / np.where(spread > 0, spread, 1.0)
    return np.asarray(np.clip(made, -5.0, 5.0), dtype=np.float64)


def _sample(inside: NDArray[np.int64], seed: int) -> NDArray[np.int64]:
    if len(inside) <= _FULL:
        return inside
    return np.asarray(np.random.default_rng(seed).choice(inside, _FULL, replace=False))


class _Classifier(Protocol):
    classes_: NDArray[np.int64]

    def fit(self, rows: Rows, labels: Labels) -> object: ...
    def predict_proba(self, rows: Rows) -> Scores: ...


def _member(name: str, seed: int, rows: int, classes: int) -> _Classifier:
    from sklearn.ensemble import ExtraTreesClassifier, HistGradientBoostingClassifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.neighbors import KNeighborsClassifier

    made: dict[str, Callable[[], _Classifier]] = {
        "forest": lambda: ExtraTreesClassifier(
            n_estimators=60, min_samples_leaf=1 if rows < 2_000 else 2, random_state=seed, n_jobs=1
        ),
        "boosting": lambda: HistGradientBoostingClassifier(
            max_iter=max(10, min(40, _TREES // classes)), max_leaf_nodes=15,
            learning_rate=0.1 if classes == 2 else 0.25, early_stopping=False, random_state=seed,
        ),
        "linear": lambda: LogisticRegression(max_iter=200, C=0.1),
        "neighbours": lambda: KNeighborsClassifier(
            n_neighbors=min(_NEIGHBOURS, rows), weights="distance"
        ),
    }  # fmt: skip
    return made[name]()
