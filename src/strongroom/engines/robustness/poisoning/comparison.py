"""Whether a model is better without some of its rows, on rows that neither model has seen."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.poisoning.table import Mask, Table
from strongroom.engines.robustness.recipes import Recipe
from strongroom.errors import ValidationError

_DRAWS = 4_000
_CONFIDENCE = 0.95


@dataclass(frozen=True, slots=True)
class Comparison:
    """Two models on the same held-out rows.

    Attributes:
        before, after: accuracy with and without the rows in question.
        gain: the second minus the first, with its bounds.
        removed, held: rows left out, and rows compared on.
    """

    before: float
    after: float
    gain: float
    low: float
    high: float
    removed: int
    held: int


def retrain_without(
    table: Table,
    removed: Mask,
    held: Table,
    recipe: Recipe,
    seed: int,
    *,
    fits: int = 3,
    confidence: float = _CONFIDENCE,
) -> Comparison:
    """Fit with all rows and without some, and compare on held-out rows.

    Args:
        removed: rows to leave out.
        fits: models of each kind, with seeds of their own; their answers are averaged, so that
            the luck of one fit does not count for the rows'.
        confidence: of the bounds.

    Raises:
        ValidationError: nothing is left or held out, or what is left has one class.
    """
    if not len(held) or not (~removed).sum() > 0:
        raise ValidationError("nothing is held out, or nothing would be left")
    if len(np.unique(table.labels[~removed])) < 2 or len(np.unique(table.labels)) < 2:
        raise ValidationError("the rows that would be left are all of one class")
    with_all = _right(table, held, recipe, seed, fits)
    without = _right(table.part(~removed), held, recipe, seed, fits)
    low, high = paired_bounds(with_all, without, seed, confidence)
    before, after = float(with_all.mean()), float(without.mean())
    return Comparison(
        before, after, after - before, low, high, int(removed.sum()), len(held)
    )  # fmt: skip


def paired_bounds(
    before: Mask, after: Mask, seed: int, confidence: float = _CONFIDENCE
) -> tuple[float, float]:
    """Bounds of the difference of two accuracies on the same rows, by a paired bootstrap.

    One row of each kind is added to what was counted, so that no difference seen is not taken for
    certainty that there is none (Agresti & Min, "Simple improved confidence intervals for comparing
    matched proportions", 2005).
    """
    gained, lost = int((after & ~before).sum()) + 1, int((before & ~after).sum()) + 1
    total = len(before) + 4
    shares = [gained / total, lost / total, 1 - (gained + lost) / total]
    drawn = np.random.default_rng(seed).multinomial(total, shares, _DRAWS)
    gains = (drawn[:, 0] - drawn[:, 1]) / total
    tail = (1 - confidence) / 2
    low, high = np.quantile(gains, [tail, 1 - tail])
    return float(low), float(high)


def _right(table: Table, held: Table, recipe: Recipe, seed: int, fits: int) -> NDArray[np.bool_]:
    scores = sum(
        (recipe.fit(table.rows, table.labels, seed + one)(held.rows) for one in range(fits)),
        start=np.zeros((len(held), recipe.classes)),
    )
    return np.asarray(scores.argmax(axis=1) == held.labels, dtype=np.bool_)
