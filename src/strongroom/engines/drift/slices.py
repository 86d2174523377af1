"""Parts of the rows in which the model does worse than in the rest."""

import math
from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import ArrayLike
from scipy import special

from strongroom.engines.drift.findings import SliceFinding
from strongroom.engines.drift.plan import Counts
from strongroom.engines.drift.scores import (
    NEGATIVE,
    POSITIVE,
    UNLABELLED,
    ScoreState,
    area_under_curve,
    performance,
)
from strongroom.engines.drift.significance import benjamini_hochberg, proportions_differ

MAX_SLICES = 50
OTHERS = "all others"
_LEAST_ROWS = 30
_LEAST_ACCURACY = 0.02
_LEAST_AUC = 0.03


class SliceScores:
    """A state of scores for each value of a column.

    Values beyond those given at the start count as others: a rare value could be a person.
    """

    def __init__(self, column: str, values: Sequence[str]) -> None:
        self.column = column
        self.states = {name: ScoreState() for name in [*values[:MAX_SLICES], OTHERS]}

    def update(
        self, slices: Sequence[str | None], scores: ArrayLike, labels: ArrayLike | None,
        predicted: ArrayLike | None = None, *, threshold: float = 0.5,
    ) -> None:  # fmt: skip
        """Count rows; `slices` has the value of the column in each."""
        names = list(self.states)
        place = {name: at for at, name in enumerate(names)}
        group = np.array([place.get(one or "", len(names) - 1) for one in slices], np.intp)
        given = np.asarray(scores)
        known = None if labels is None else np.asarray(labels)
        said = None if predicted is None else np.asarray(predicted)
        for at, name in enumerate(names):
            inside = group == at
            self.states[name].update(
                given[inside],
                None if known is None else known[inside],
                None if said is None else said[inside],
                threshold=threshold,
            )

    def merge(self, other: "SliceScores") -> None:
        """Add what another has counted of the same values."""
        for name, state in other.states.items():
            self.states[name].merge(state)


def worse_slices(parts: Mapping[str, SliceScores], rate: float = 0.05) -> tuple[SliceFinding, ...]:
    """Accuracy and AUC of each slice against all other rows, adjusted for all, the worst first."""
    found: list[tuple[str, int, str, float, float, float]] = []
    for column, slices in parts.items():
        whole = ScoreState()
        for state in slices.states.values():
            whole.merge(state)
        for name, state in slices.states.items():
            if state.labelled < _LEAST_ROWS or whole.labelled - state.labelled < _LEAST_ROWS:
                continue
            rest = ScoreState()
            rest.counts = whole.counts - state.counts
            rest.sums = whole.sums - state.sums
            title = f"{column} = {name}"
            found.append((title, state.labelled, "accuracy", *_accuracies(state, rest)))
            if (areas := _areas(state, rest)) is not None:
                found.append((title, state.labelled, "auc", *areas))
    q_values = benjamini_hochberg([one[5] for one in found])
    least = {"accuracy": _LEAST_ACCURACY, "auc": _LEAST_AUC}
    findings = [
        SliceFinding(title, rows, metric, inside, outside, float(q),
                     bool(q <= rate and outside - inside >= least[metric]))
        for (title, rows, metric, inside, outside, _), q in zip(found, q_values, strict=True)
    ]  # fmt: skip
    return tuple(sorted(findings, key=lambda one: (not one.differs, one.inside - one.outside)))


def _accuracies(state: ScoreState, rest: ScoreState) -> tuple[float, float, float]:
    inside, outside = performance(state), performance(rest)
    hits = round(inside.accuracy * inside.rows), round(outside.accuracy * outside.rows)
    p = proportions_differ(hits[0], int(inside.rows), hits[1], int(outside.rows))
    return inside.accuracy, outside.accuracy, p


def _areas(state: ScoreState, rest: ScoreState) -> tuple[float, float, float] | None:
    """AUC of both and the p-value of their being equal; None where one has a class too rare."""
    found = []
    for one in (state, rest):
        known = one.counts[:, :UNLABELLED].sum(axis=0)
        if known.sum(axis=1).min() < _LEAST_ROWS // 2:
            return None
        area = area_under_curve(known[POSITIVE].astype(float), known[NEGATIVE].astype(float))
        found.append((area, area_variance(known[POSITIVE], known[NEGATIVE])))
    (a, var_a), (b, var_b) = found
    z = abs(a - b) / math.sqrt(max(var_a + var_b, 1e-12))
    return a, b, float(2 * special.ndtr(-z))


def area_variance(positives: Counts, negatives: Counts) -> float:
    """Variance of the area under the curve, from counts by bin.

    Source: DeLong, DeLong & Clarke-Pearson 1988: the variances of each row's placement.
    """
    up, down = positives.astype(float), negatives.astype(float)
    m, n = up.sum(), down.sum()
    of_positive = (np.cumsum(down) - down / 2) / n
    of_negative = 1 - (np.cumsum(up) - up / 2) / m
    area = float((up * of_positive).sum() / m)
    first = float((up * (of_positive - area) ** 2).sum() / max(m - 1, 1))
    second = float((down * (of_negative - area) ** 2).sum() / max(n - 1, 1))
    return first / float(m) + second / float(n)
