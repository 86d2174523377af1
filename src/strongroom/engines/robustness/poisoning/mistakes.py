"""How likely each label is wrong, by what models say that never saw its row.

Labels are taken as drawn from the scores, made softer or sharper by a temperature, and then
mistaken at rates found by expectation maximization (Dawid & Skene, "Maximum likelihood estimation
of observer error-rates using the EM algorithm", 1979, with the scores in place of class shares).

A rate for every pair of classes would explain more than mistakes: with thirteen classes there are
156, enough to describe how the models themselves confuse classes that overlap, and honest rows are
then called wrong by hundreds. So one rate holds for all pairs, and a pair gets a rate of its own
only where the likelihood pays for it by the extended Bayes criterion (Chen & Chen, "Extended
Bayesian information criteria for model selection with large model spaces", 2008, with gamma 1).
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.target import Labels, Scores

Numbers = NDArray[np.float64]
Flags = NDArray[np.bool_]

_LEAST_RATE = 0.01
"""Of mistakes in each class: where classes overlap, few errors cannot be told from none, and the
labels of well-kept sets are wrong in 3 % (Northcutt, Athalye & Mueller, "Pervasive label errors in
test sets", 2021)."""
_MOST_RATE = 0.5
"""Of mistakes in each class: who is wrong more often than right cannot be told from right."""
_TEMPERATURES = (0.5, 0.7, 1.0, 1.4, 2.0)
_STEPS = 60
_START = 0.02
_PRIOR = 1.0
"""Imagined rows of each class whose labels are mistaken as those of all classes are."""
_SURE = 2.33
"""Deviations by which answers must be better than the shares of classes: once in 100 by chance."""


def know_the_labels(scores: Scores, labels: Labels) -> bool:
    """Whether the answers make the labels likelier than the share of each class does, surely."""
    shares = np.bincount(labels, minlength=scores.shape[1]) / len(labels)
    own = np.clip(scores[np.arange(len(labels)), labels], 1e-12, None)
    gains = np.log(own) - np.log(shares[labels])
    return bool(gains.mean() > _SURE * gains.std() / np.sqrt(len(labels)))


def wrongness(scores: Scores, labels: Labels) -> tuple[Numbers, Numbers]:
    """How likely each label is wrong, and the rates at which true labels become given ones.

    The temperature is the likeliest of a few. So where classes overlap the scores account for
    unlikely labels, and where they do not, mistakes do.

    Returns: suspicion of each row, and rates by (true label, given label).
    """
    logs = np.log(np.clip(scores, 1e-12, None))
    best = (-np.inf, scores, np.eye(scores.shape[1]))
    for temperature in _TEMPERATURES:
        tempered = np.exp(logs / temperature)
        tempered /= tempered.sum(axis=1, keepdims=True)
        for own, cost in _structures(tempered, labels):
            rates = _rates(tempered, labels, own)
            worth = float(np.log((tempered * rates[:, labels].T).sum(axis=1)).sum()) - cost
            if worth > best[0]:
                best = (worth, tempered, rates)
    rates = _at_least(best[2])
    chosen = best[1] * rates[:, labels].T
    right = chosen[np.arange(len(labels)), labels] / chosen.sum(axis=1)
    return 1.0 - right, rates


def _structures(scores: Scores, labels: Labels) -> Iterator[tuple[Flags, float]]:
    """Pairs of classes with a rate of their own, (true, given), and what they cost of likelihood.

    None; then the best by what a rate of its own would explain, in steps of half as many more.
    """
    classes = scores.shape[1]
    pairs = classes * (classes - 1)
    each = np.log(len(labels)) / 2
    none = np.zeros((classes, classes), dtype=bool)
    yield none, each
    everyone = ~np.eye(classes, dtype=bool)
    counts = _counts(scores, labels, _rates(scores, labels, everyone))
    usual = _rates(scores, labels, none) * counts.sum(axis=1, keepdims=True)
    is_more = everyone & (counts > usual)
    gains = np.full((classes, classes), -np.inf)
    gains[is_more] = counts[is_more] * np.log(counts[is_more] / np.maximum(usual[is_more], 1e-12))
    gains[is_more] -= (counts - usual)[is_more]
    order = np.argsort(-gains, axis=None, kind="stable")
    many, most = 1, min(pairs - 1, int(is_more.sum()))
    while many <= most:
        own = none.copy()
        own.flat[order[:many]] = True
        yield own, each + many * (each + float(np.log(pairs)))
        many = max(many + 1, int(1.5 * many))


def _counts(scores: Scores, labels: Labels, rates: Numbers) -> Numbers:
    """Expected rows by (true label, given label)."""
    chosen = scores * rates[:, labels].T
    shares = chosen / chosen.sum(axis=1, keepdims=True)
    return np.asarray(shares.T @ np.eye(scores.shape[1])[labels])


def _rates(scores: Scores, labels: Labels, own: Flags) -> Numbers:
    """Rates of mistakes, (true label, given label).

    Args:
        own: pairs with a rate of their own; all others share one.
    """
    classes = scores.shape[1]
    everyone = ~np.eye(classes, dtype=bool)
    shared = everyone & ~own
    rates = np.where(everyone, _START / max(classes - 1, 1), 1 - _START)
    for _ in range(_STEPS):
        counts = _counts(scores, labels, rates)
        rows = counts.sum(axis=1, keepdims=True)
        usual = counts[everyone].sum() / len(labels) / max(classes - 1, 1)
        rates = np.where(own, (counts + _PRIOR * usual) / (rows + _PRIOR), 0.0)
        if shared.any():
            rates[shared] = counts[shared].sum() / max(float((rows * shared).sum()), 1e-12)
        wrong = rates.sum(axis=1, keepdims=True)
        rates *= np.minimum(1.0, _MOST_RATE / np.maximum(wrong, 1e-12))
        np.fill_diagonal(rates, 1 - rates.sum(axis=1))
    return rates


def _at_least(rates: Numbers) -> Numbers:
    """Rates with mistakes of each class raised to the least, evenly over the other labels."""
    classes = len(rates)
    lacking = np.maximum(_LEAST_RATE - (1 - np.diag(rates)), 0.0)
    raised = rates + lacking[:, None] / max(classes - 1, 1)
    np.fill_diagonal(raised, np.diag(rates) - lacking)
    return raised
