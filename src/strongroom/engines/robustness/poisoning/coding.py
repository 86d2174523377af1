"""Features as codes, and what each says of the label when it may only add to the others.

An additive model cannot learn a trigger of several features, and what it learns of a trigger of one
is a single number that can be taken away again. So it says what a row's label would be by all else.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.poisoning.folds import fold_of
from strongroom.engines.robustness.poisoning.table import Table

_VALUES = 64
"""Values of a feature that get a code of their own, the most frequent first."""
_BINS = 12
"""Of the values that have none."""
_FOLDS = 3
_ITERATIONS = 60

Codes = NDArray[np.int32]
Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Coded:
    """Codes and how to read them.

    Attributes:
        codes: (rows, features), from 0 in each feature.
        values: per feature the value of each code; a bin has NaN, for it is no single value.
    """

    codes: Codes
    values: tuple[Floats, ...]

    @property
    def sizes(self) -> list[int]:
        """How many codes each feature has."""
        return [len(one) for one in self.values]


def coded(values: Floats, least: int) -> Coded:
    """Give a code to each value that at least `least` rows share, and to bins of the others."""
    codes = np.empty(values.shape, dtype=np.int32)
    read = []
    for feature in range(values.shape[1]):
        codes[:, feature], own = _feature(values[:, feature], least)
        read.append(own)
    return Coded(codes, tuple(read))


def _feature(column: Floats, least: int) -> tuple[Codes, Floats]:
    distinct, place, counts = np.unique(column, return_inverse=True, return_counts=True)
    chosen = np.flatnonzero(counts >= least)
    chosen = np.sort(chosen[np.argsort(-counts[chosen], kind="stable")[:_VALUES]])
    of_value = np.full(len(distinct), -1, dtype=np.int32)
    of_value[chosen] = np.arange(len(chosen), dtype=np.int32)
    codes = of_value[place]
    rest = codes < 0
    if not rest.any():
        return codes, distinct[chosen]
    edges = np.unique(np.quantile(column[rest], np.linspace(0, 1, _BINS + 1)[1:-1]))
    codes[rest] = len(chosen) + np.searchsorted(edges, column[rest], side="right")
    return codes, np.concatenate([distinct[chosen], np.full(len(edges) + 1, np.nan)])


@dataclass(frozen=True, slots=True)
class Additive:
    """Out-of-fold answers of an additive model, and the part of each feature in them.

    Attributes:
        logits: (rows, classes).
        parts: (features, rows, classes).
    """

    logits: Floats
    parts: Floats

    def without(self, features: tuple[int, ...], where: NDArray[np.int64] | None = None) -> Floats:
        """Probabilities of classes by all other features, (rows of `where`, classes)."""
        left = self.logits if where is None else self.logits[where]
        for feature in features:
            left = left - self.parts[feature if where is None else (feature, where)]
        left = np.exp(left - left.max(axis=1, keepdims=True))
        return np.asarray(left / left.sum(axis=1, keepdims=True), dtype=np.float64)


def additive(table: Table, made: Coded, seed: int) -> Additive:
    """Fit logistic regressions on the codes, each row answered by one that never saw it."""
    from scipy import sparse
    from sklearn.linear_model import LogisticRegression

    count, width = made.codes.shape
    starts = np.concatenate([[0], np.cumsum(made.sizes)])
    columns = made.codes + starts[:-1]
    ones = np.ones(count * width)
    coding = sparse.csr_matrix(
        (ones, columns.ravel(), np.arange(count + 1) * width), shape=(count, int(starts[-1]))
    )
    logits = np.zeros((count, table.classes))
    parts = np.zeros((width, count, table.classes))
    folds = fold_of(table.labels, _FOLDS, seed)
    for fold in range(_FOLDS):
        inside, outside = np.flatnonzero(folds != fold), np.flatnonzero(folds == fold)
        model = LogisticRegression(C=0.3, max_iter=_ITERATIONS, tol=1e-2)
        model.fit(coding[inside], table.labels[inside])
        weights, bias = model.coef_, model.intercept_
        if len(weights) == 1:
            weights, bias = (
                np.vstack([-weights / 2, weights / 2]),
                np.array([-bias[0], bias[0]]) / 2,
            )
        full = np.zeros((table.classes, weights.shape[1]))
        full[model.classes_] = weights
        base = np.full(table.classes, -20.0)
        base[model.classes_] = bias
        own = full.T[columns[outside]]
        parts[:, outside] = own.transpose(1, 0, 2)
        logits[outside] = base + own.sum(axis=1)
    return Additive(logits, parts)
