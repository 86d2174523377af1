"""How well a classifier does, from counts of its scores: 256 bins, with labels where they came.

Counts are integers that add up, so that states merge exactly; rows are not kept.
"""

import math
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from strongroom.engines.drift.plan import Counts, Floats
from strongroom.errors import TableError

SCORE_BINS = 256
NEGATIVE, POSITIVE, UNLABELLED = range(3)
CENTRES: Floats = (np.arange(SCORE_BINS) + 0.5) / SCORE_BINS


class ScoreState:
    """Scores of one class, its predictions and its labels, counted.

    Attributes:
        counts: predicted negative or positive, by label (`NEGATIVE`, `POSITIVE`, `UNLABELLED`),
            by bin of the score.
        left_out: rows whose score was missing or outside [0, 1].
        step: what counts were rounded to when they were written; 0 where they are exact.
        sums: of scores and of their squares, by label and by prediction, in units of 2^-20: what
            the bins alone would round.
    """

    def __init__(self) -> None:
        self.counts: Counts = np.zeros((2, 3, SCORE_BINS), np.int64)
        self.sums: Counts = np.zeros((2, 3, 2), np.int64)
        self.left_out = self.step = 0

    def update(
        self,
        scores: ArrayLike,
        labels: ArrayLike | None = None,
        predicted: ArrayLike | None = None,
        *,
        threshold: float = 0.5,
    ) -> None:
        """Count rows.

        Args:
            scores: probabilities of the class, in [0, 1].
            labels: whether a row is of the class; None or NaN where that is not known yet.
            predicted: whether the model said so; by default from `threshold` on.

        Raises: TableError: the arrays differ in length.
        """
        given = np.asarray(scores, np.float64).ravel()
        known = np.full(len(given), UNLABELLED) if labels is None else _labels(labels)
        said = given >= threshold if predicted is None else np.asarray(predicted, np.bool_).ravel()
        if not len(given) == len(known) == len(said):
            raise TableError("scores, labels and predictions differ in length")
        good = (given >= 0) & (given <= 1)
        self.left_out += int((~good).sum())
        given, known, said = given[good], known[good], said[good]
        bins = np.minimum((given * SCORE_BINS).astype(np.intp), SCORE_BINS - 1)
        group = said * 3 + known
        flat = np.bincount(group * SCORE_BINS + bins, minlength=self.counts.size)
        self.counts += flat.reshape(self.counts.shape)
        fixed = np.rint(given * _UNIT).astype(np.int64)
        for at, part in enumerate((fixed, np.rint(given**2 * _UNIT).astype(np.int64))):
            for place in range(6):
                self.sums[place // 3, place % 3, at] += part[group == place].sum()

    def label(self, score: float, *, predicted: bool, label: bool) -> None:
        """Give a label to a row that was counted without one; see `labels.LabelJoin`."""
        at = min(int(score * SCORE_BINS), SCORE_BINS - 1)
        said, known = int(predicted), POSITIVE if label else NEGATIVE
        moved = np.array([round(score * _UNIT), round(score**2 * _UNIT)])
        self.counts[said, UNLABELLED, at] -= 1
        self.counts[said, known, at] += 1
        self.sums[said, UNLABELLED] -= moved
        self.sums[said, known] += moved

    def merge(self, other: "ScoreState") -> None:
        """Add what another state has counted."""
        self.counts += other.counts
        self.sums += other.sums
        self.left_out += other.left_out
        self.step = max(self.step, other.step)

    def recount_sums(self) -> None:
        """Make the sums those of scores in the middle of their bins."""
        for at, part in enumerate((CENTRES, CENTRES**2)):
            self.sums[:, :, at] = np.rint(self.counts @ (part * _UNIT)).astype(np.int64)

    def sums_fit(self) -> bool:
        """Whether the sums can be those of the counts: each score lies in its bin."""
        edges = np.arange(SCORE_BINS + 1) / SCORE_BINS
        rows = self.counts.sum(axis=2)
        return all(
            bool(
                (self.sums[:, :, at] >= self.counts @ (edges[:-1] ** power * _UNIT) - rows).all()
                and (self.sums[:, :, at] <= self.counts @ (edges[1:] ** power * _UNIT) + rows).all()
            )
            for at, power in enumerate((1, 2))
        )

    @property
    def noise(self) -> float:
        """Variance of the rows in a group of neighbouring bins for counts were rounded."""
        return self.step**2 / 6  # two ends, each a uniform error

    @property
    def rows(self) -> int:
        """Rows counted."""
        return int(self.counts.sum())

    @property
    def labelled(self) -> int:
        """Rows whose label is known."""
        return int(self.counts[:, :UNLABELLED].sum())

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, ScoreState):
            return NotImplemented
        return (
            np.array_equal(self.counts, other.counts)
            and np.array_equal(self.sums, other.sums)
            and self.left_out == other.left_out
        )

    __hash__ = None  # type: ignore[assignment] # it changes


_UNIT = float(1 << 20)


def _labels(labels: ArrayLike) -> NDArray[np.intp]:
    given: NDArray[Any] = np.asarray(labels)
    if given.dtype == np.bool_:
        return given.ravel().astype(np.intp)
    as_float = np.array(
        [math.nan if one is None else float(one) for one in given.ravel().tolist()]
        if given.dtype == object
        else given.ravel(),
        np.float64,
    )
    found = np.full(len(as_float), UNLABELLED)
    found[as_float == 0] = NEGATIVE
    found[as_float == 1] = POSITIVE
    if ((found == UNLABELLED) & ~np.isnan(as_float)).any():
        raise TableError("labels are 0, 1, or missing")
    return found


@dataclass(frozen=True, slots=True)
class Performance:
    """How well rows were classified; NaN where that makes no sense, e.g. with one class only.

    Attributes:
        auc: area under the curve of true against false positives, within 1/256 of ties.
        brier, log_loss: mean squared error and mean logarithmic loss of the scores; the second
            from the middles of bins.
        share_positive: of the labels, or expected.
    """

    rows: float
    accuracy: float
    precision: float
    recall: float
    f1: float
    specificity: float
    auc: float
    brier: float
    log_loss: float
    share_positive: float


METRICS = ("accuracy", "precision", "recall", "f1", "specificity", "auc", "brier", "log_loss")


def performance(state: ScoreState) -> Performance:
    """Measured on the rows with labels."""
    known = state.counts[:, :UNLABELLED].astype(np.float64)
    sums = state.sums[:, :UNLABELLED].sum(axis=0) / _UNIT
    rows = known.sum()
    found = performance_of(known[:, POSITIVE], known[:, NEGATIVE])
    # (score - label)^2 summed: squares, less twice the scores of positives, plus the positives.
    brier = (sums[:, 1].sum() - 2 * sums[POSITIVE, 0] + known[:, POSITIVE].sum()) / max(rows, 1)
    return replace(found, brier=float(brier) if rows else math.nan)


def performance_of(positives: Floats, negatives: Floats) -> Performance:
    """From counts of positive and negative rows, predicted negative or positive, by bin."""
    found = {name: float(value) for name, value in metrics_of(positives, negatives).items()}
    rows, true = float(positives.sum() + negatives.sum()), float(positives.sum())
    return Performance(rows=rows, share_positive=true / rows if rows else math.nan, **found)


def metrics_of(positives: Floats, negatives: Floats) -> dict[str, Floats]:
    """All of `METRICS`, of one or many tables of counts of shape (..., 2, `SCORE_BINS`)."""
    fn, tp = np.moveaxis(positives.sum(axis=-1), -1, 0)
    tn, fp = np.moveaxis(negatives.sum(axis=-1), -1, 0)
    up, down = positives.sum(axis=-2), negatives.sum(axis=-2)
    rows = tp + fp + tn + fn
    squares = up @ (1 - CENTRES) ** 2 + down @ CENTRES**2
    losses = -(up @ np.log(CENTRES) + down @ np.log1p(-CENTRES))
    with np.errstate(divide="ignore", invalid="ignore"):  # nothing of nothing is NaN
        return {
            "accuracy": (tp + tn) / rows, "precision": tp / (tp + fp), "recall": tp / (tp + fn),
            "f1": 2 * tp / (2 * tp + fp + fn), "specificity": tn / (tn + fp),
            "auc": _areas(up, down), "brier": squares / rows, "log_loss": losses / rows,
        }  # fmt: skip


def area_under_curve(positives: Floats, negatives: Floats) -> float:
    """Probability that a positive row has the higher score; within a bin one half.

    Source: Hanley & McNeil 1982; the Mann-Whitney statistic with ties.
    """
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(_areas(positives, negatives))


def _areas(positives: Floats, negatives: Floats) -> Floats:
    below = np.cumsum(negatives, axis=-1) - negatives
    pairs = positives.sum(axis=-1) * negatives.sum(axis=-1)
    areas: Floats = (positives * (below + negatives / 2)).sum(axis=-1) / pairs
    return areas
