"""Flips out of one class in numbers that its own models learn: told by what is sure elsewhere.

Where half of a class's rows carry another label, models answer one half where they should answer
one, and no row is unlikely by itself. But then there is no row at all of which they are sure for
that class, while they are for every other one. So the rates at which the class's labels changed are
read off its surest rows (anchor points: Liu & Tao, "Classification with noisy labels by importance
reweighting", 2016; Patrini et al., "Making deep neural networks robust to label noise: a loss
correction approach", 2017), true classes are decoded with these rates, and the rates once more from
all rows that decode to the class.

Classes that overlap look alike to it: it speaks only where all classes but one are clear, and its
rows are for a person to look at. Two classes are never enough to tell.
"""

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.target import Labels, Scores

Numbers = NDArray[np.float64]

_SUREST = 0.3
"""Of a class's labelled rows: so many of the surest show its level."""
_CLEAR = 0.94
"""Level that every other class must have."""
_STANDS_OUT = 0.95
"""Share of the usual level below which one class is mixed."""
_LEFT = 0.3
"""Of a mixed class's rows that must keep its label: with fewer, it may be no class at all."""
_ROUNDS, _STEPS, _LAST = 10, 10, 50
_LEAST_ROWS = 4


def mixed_class(scores: Scores, labels: Labels) -> tuple[int, Numbers] | None:
    """The one class that is not clear, and the shares of labels among its surest rows.

    Args:
        scores: out-of-fold probabilities of given labels, (rows, classes).
    """
    classes = scores.shape[1]
    counts = np.bincount(labels, minlength=classes)
    if classes < 3 or counts.min() < _LEAST_ROWS:
        return None
    answered = scores.argmax(axis=1)
    surest = np.empty((classes, classes))
    for label in range(classes):
        rows = np.flatnonzero((labels == label) | (answered == label))
        many = max(_LEAST_ROWS, int(_SUREST * counts[label]))
        surest[label] = scores[rows[np.argsort(-scores[rows, label], kind="stable")[:many]]].mean(0)
    levels = np.diag(surest)
    lowest = int(levels.argmin())
    others = np.delete(levels, lowest)
    if others.min() < _CLEAR or levels[lowest] >= _STANDS_OUT * np.median(others):
        return None
    return lowest, surest[lowest]


def decoded(scores: Scores, rates: Numbers, start: Numbers, steps: int) -> Numbers:
    """Probabilities of true classes whose given labels have these probabilities.

    Args:
        rates: (true, given), at which labels are given.
        start: of the search, (rows, classes), above 0.

    By multiplicative steps towards the least divergence (Lee & Seung, "Algorithms for non-negative
    matrix factorization", 2001, theorem 2), with the rates held.
    """
    made = start
    for _ in range(steps):
        made = made * ((scores / np.maximum(made @ rates, 1e-12)) @ rates.T)
        made = made / made.sum(axis=1, keepdims=True)
    return made


def by_anchors(scores: Scores, labels: Labels) -> Numbers | None:
    """How likely each label is wrong, if one class is mixed and all others are clear; else None."""
    found = mixed_class(scores, labels)
    if found is None:
        return None
    label, shares = found
    rates = np.eye(scores.shape[1])
    rates[label] = shares / shares.sum()
    true = np.full_like(scores, 1 / scores.shape[1])
    given = np.eye(scores.shape[1])[labels]
    for _ in range(_ROUNDS):
        true = decoded(scores, rates, np.maximum(true, 1e-9), _STEPS)
        counts = true[:, label] @ given
        rates[label] = counts / counts.sum()
    if rates[label, label] < _LEFT:
        return None
    true = decoded(scores, rates, np.maximum(true, 1e-9), _LAST)
    chances = true * rates[:, labels].T
    right = chances[np.arange(len(labels)), labels]
    return np.asarray(1 - right / np.maximum(chances.sum(axis=1), 1e-12))
