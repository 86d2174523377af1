"""A domain classifier: can anything tell the rows of two samples apart?

It sees what the other measures do not: changes of three and more columns together. It needs rows,
so that it works on samples that are in memory, and keeps nothing.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import special

from strongroom.engines.drift.plan import Floats
from strongroom.engines.drift.threads import one_thread
from strongroom.errors import TableError

LEAST_ROWS = 100
_FOLDS = 3


@dataclass(frozen=True, slots=True)
class DomainClassifier:
    """How well the samples can be told apart.

    Attributes:
        auc: on rows that the classifier has not learned from; 0.5 where they look alike.
        p_value: of 0.5, one-sided (Mann-Whitney).
        importances: of columns, by how much the area falls when a column is shuffled.
    """

    auc: float
    p_value: float
    importances: tuple[tuple[str, float], ...]


def domain_classifier(
    reference: ArrayLike, current: ArrayLike, names: tuple[str, ...], seed: int = 0
) -> DomainClassifier:
    """Learn to tell rows apart by gradient boosted trees, each fold judged by the others.

    Args:
        reference, current: rows by columns, numbers; categories as codes, NaN for missing.

    Raises: TableError: fewer than `LEAST_ROWS` rows, or other columns.
    """
    first, second = (np.asarray(one, np.float64) for one in (reference, current))
    if first.ndim != 2 or second.ndim != 2 or first.shape[1] != second.shape[1] != len(names):
        raise TableError("both samples must have the same columns")
    if min(len(first), len(second)) < LEAST_ROWS:
        raise TableError(f"a domain classifier needs {LEAST_ROWS} rows of each sample")
    random = np.random.Generator(np.random.PCG64(seed))
    size = min(len(first), len(second))
    rows = np.concatenate([one[random.permutation(len(one))[:size]] for one in (first, second)])
    side = np.repeat([0, 1], size)
    fold = random.permutation(2 * size) % _FOLDS
    scores = np.empty(2 * size)
    drops = np.zeros(len(names))  # by the first fold alone: they only rank
    with one_thread():
        for at in range(_FOLDS):
            model = _model(seed).fit(rows[fold != at], side[fold != at])
            inside = fold == at
            scores[inside] = model.predict_proba(rows[inside])[:, 1]
            if at == 0:
                drops = _drops(model, rows[inside], side[inside], random)
    # Folds have models of their own, whose scores compare within a fold only.
    areas = [_area(scores[fold == at], side[fold == at]) for at in range(_FOLDS)]
    auc = float(np.mean(areas))
    z = (auc - 0.5) / math.sqrt((2 * size / _FOLDS + 1) / (12 * (size / _FOLDS) ** 2) / _FOLDS)
    order = np.argsort(-drops)
    return DomainClassifier(
        auc, float(special.ndtr(-z)), tuple((names[at], float(drops[at])) for at in order)
    )


def _model(seed: int) -> Any:  # noqa: ANN401 # scikit-learn is untyped
    from sklearn.ensemble import HistGradientBoostingClassifier

    return HistGradientBoostingClassifier(
        max_iter=40, max_leaf_nodes=15, random_state=seed, early_stopping=False
    )


def _drops(
    model: Any,  # noqa: ANN401 # scikit-learn is untyped
    rows: Floats,
    side: NDArray[np.intp],
    random: np.random.Generator,  # scikit-learn is untyped
) -> Floats:
    """How much the area falls when a column is shuffled."""
    whole = _area(model.predict_proba(rows)[:, 1], side)
    drops = np.zeros(rows.shape[1])
    for column in range(rows.shape[1]):
        shuffled = rows.copy()
        random.shuffle(shuffled[:, column])
        drops[column] = whole - _area(model.predict_proba(shuffled)[:, 1], side)
    return drops


def _area(scores: Floats, side: NDArray[np.intp]) -> float:
    """Area under the curve, ties by half."""
    _, rank = np.unique(scores, return_inverse=True)
    up = np.bincount(rank, side == 1)
    down = np.bincount(rank, side == 0)
    below = np.cumsum(down) - down
    return float((up * (below + down / 2)).sum() / (up.sum() * down.sum()))
