"""How a classifier of several classes does: each class against the rest, and the chosen one."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from strongroom.engines.drift.estimation import Estimate, estimated
from strongroom.engines.drift.scores import (
    NEGATIVE,
    POSITIVE,
    Performance,
    ScoreState,
    performance,
)
from strongroom.engines.drift.significance import benjamini_hochberg, proportions_differ
from strongroom.errors import TableError

MAX_CLASSES = 100
"""Of a model; each takes some hundred bytes of a written state."""


class MulticlassState:
    """Scores of several classes, each against the rest, and of the chosen one.

    Attributes:
        classes: names, in the order of the columns of scores.
        by_class: a state a class: score of the class, whether it was chosen, whether it was right.
        chosen: score of the chosen class; its label says whether the choice was right.
        unlisted: labels that are none of the classes.
    """

    def __init__(self, classes: Sequence[str]) -> None:
        """Raises: TableError: there are fewer than two, two of a name, or too many."""
        self.classes = tuple(classes)
        if not 2 <= len(set(self.classes)) == len(self.classes) <= MAX_CLASSES:
            raise TableError(f"there must be 2 to {MAX_CLASSES} classes, each with its own name")
        self.by_class = {name: ScoreState() for name in self.classes}
        self.chosen = ScoreState()
        self.unlisted = 0

    def update(self, scores: ArrayLike, labels: Sequence[str | None] | None = None) -> None:
        """Count rows: a column of scores a class; the class of the highest score is chosen.

        A row in which a score is missing or outside [0, 1] is left out, for it cannot be told what
        would have been chosen.

        Args:
            labels: the class that came true; None where that is not known yet. One that is no
                class is counted as unlisted, and its row has no label.

        Raises: TableError: there are not as many columns as classes, or as labels as rows.
        """
        given = np.asarray(scores, np.float64)
        if given.ndim != 2 or given.shape[1] != len(self.classes):
            raise TableError("there must be one column of scores for each class")
        if labels is not None and len(labels) != len(given):
            raise TableError("scores and labels differ in length")
        place = {name: at for at, name in enumerate(self.classes)}
        known = np.full(len(given), -1) if labels is None else np.array(
            [-1 if one is None else place.get(one, -2) for one in labels], np.intp
        )  # fmt: skip
        self.unlisted += int((known == -2).sum())
        good = ((given >= 0) & (given <= 1)).all(axis=1)
        for one in (*self.by_class.values(), self.chosen):
            one.left_out += int((~good).sum())
        given, known = given[good], known[good]
        best = given.argmax(axis=1)
        missing = known < 0
        for at, name in enumerate(self.classes):
            label = np.where(missing, np.nan, known == at)
            self.by_class[name].update(given[:, at], label, best == at)
        top = given[np.arange(len(given)), best]
        self.chosen.update(top, np.where(missing, np.nan, known == best), np.ones(len(top), bool))

    def merge(self, other: "MulticlassState") -> None:
        """Add what another state of the same classes has counted. Raises: TableError."""
        if other.classes != self.classes:
            raise TableError("states of different classes cannot be merged")
        for name, state in self.by_class.items():
            state.merge(other.by_class[name])
        self.chosen.merge(other.chosen)
        self.unlisted += other.unlisted

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, MulticlassState):
            return NotImplemented
        return (
            self.classes == other.classes
            and self.by_class == other.by_class
            and self.chosen == other.chosen
            and self.unlisted == other.unlisted
        )

    __hash__ = None  # type: ignore[assignment] # it changes


@dataclass(frozen=True, slots=True)
class ClassPerformance:
    """One class against the rest: measured with labels, and expected without."""

    name: str
    reference: Performance | None
    current: Performance | None
    estimate: Estimate | None


@dataclass(frozen=True, slots=True)
class ClassChange:
    """Precision or recall of a class that surely fell; `q_value`: adjusted for all classes."""

    name: str
    metric: str
    reference: float
    current: float
    q_value: float


@dataclass(frozen=True, slots=True)
class MulticlassReport:
    """How several classes are told apart. Where something cannot be told it is NaN.

    Attributes:
        labels: of reference and current.
        accuracy: of the chosen classes, in the reference, in the current sample, and expected.
        error: standard error of the expected accuracy.
        macro_f1: mean F1 over the classes, in the same order; a class that was neither chosen nor
            right anywhere counts as 0.
        warnings: assumptions of the expected accuracy that fail, in words.
        fell: what is surely worse than in the reference, the surest first.
    """

    labels: tuple[int, int]
    accuracy: tuple[float, float, float]
    error: float
    macro_f1: tuple[float, float, float]
    classes: tuple[ClassPerformance, ...]
    warnings: tuple[str, ...] = ()
    fell: tuple[ClassChange, ...] = ()


_LEAST_ROWS = 30
_LEAST_FALL = 0.02


def multiclass_report(
    reference: MulticlassState, current: MulticlassState, rate: float = 0.05
) -> MulticlassReport:
    """Both samples, measured where they have labels, and what to expect of the current one.

    Args:
        rate: false discovery rate of the classes that are called worse.

    Raises: TableError: they are of different classes.
    """
    if reference.classes != current.classes:
        raise TableError("states of different classes cannot be compared")
    before, now = _measured(reference.chosen), _measured(current.chosen)
    expected = estimated(reference.chosen, current.chosen)
    found = [
        ClassPerformance(
            name, _measured(reference.by_class[name]), _measured(current.by_class[name]),
            estimated(reference.by_class[name], current.by_class[name]),
        )
        for name in reference.classes
    ]  # fmt: skip
    expecting = [None if one.estimate is None else one.estimate.performance for one in found]
    return MulticlassReport(
        (reference.chosen.labelled, current.chosen.labelled),
        (
            math.nan if before is None else before.accuracy,
            math.nan if now is None else now.accuracy,
            math.nan if expected is None else expected.performance.accuracy,
        ),
        math.nan if expected is None else expected.errors["accuracy"],
        (
            _macro([one.reference for one in found]),
            _macro([one.current for one in found]),
            _macro(expecting),
        ),
        tuple(found),
        () if expected is None else expected.warnings,
        _fell(reference, current, rate),
    )


def _fell(
    reference: MulticlassState, current: MulticlassState, rate: float
) -> tuple[ClassChange, ...]:
    """Precision and recall of each class, compared by their counts."""
    found: list[tuple[str, str, float, float, float]] = []
    for name in reference.classes:
        sides = [_hits(one.by_class[name]) for one in (reference, current)]
        for metric in sides[0]:
            (hits, rows), (now, others) = (side[metric] for side in sides)
            if min(rows, others) >= _LEAST_ROWS:
                p = proportions_differ(hits, rows, now, others)
                found.append((name, metric, hits / rows, now / others, p))
    q_values = benjamini_hochberg([one[4] for one in found])
    fell = [
        ClassChange(name, metric, before, now, float(q))
        for (name, metric, before, now, _), q in zip(found, q_values, strict=True)
        if q <= rate and before - now >= _LEAST_FALL
    ]
    return tuple(sorted(fell, key=lambda one: (one.q_value, one.name, one.metric)))


def _hits(state: ScoreState) -> dict[str, tuple[int, int]]:
    """Right rows among those chosen (precision), and among those of the class (recall)."""
    rows = state.counts.sum(axis=2)
    right = int(rows[1, POSITIVE])
    return {
        "precision": (right, right + int(rows[1, NEGATIVE])),
        "recall": (right, right + int(rows[0, POSITIVE])),
    }


def _measured(state: ScoreState) -> Performance | None:
    return performance(state) if state.labelled else None


def _macro(found: Sequence[Performance | None]) -> float:
    """Mean F1; NaN where it is unknown for a class. Source: Manning et al. 2008, section 13.6."""
    known = [one for one in found if one is not None]
    if len(known) < len(found):
        return math.nan
    return sum(0.0 if math.isnan(one.f1) else one.f1 for one in known) / len(known)
