"""Models that answer with a number: a change of more than a tolerance is a wrong answer.

Each row carries what the model answers to it as it is, and the side on which the answer shall
leave the tolerance, as two more coordinates that nothing may change. So the model becomes one of
two classes, within and beyond, and every attack works on it as it is. A row is attacked on both
sides, for between them the lead has an edge along which differences say nothing; the nearer counts.
"""

import copy
from dataclasses import dataclass, replace

import numpy as np

from strongroom.engines.robustness.evasion.cases import Case
from strongroom.engines.robustness.evasion.gradients import Gradient
from strongroom.engines.robustness.evasion.hunt import Hunt, Numbers
from strongroom.engines.robustness.space import Feature, Space
from strongroom.engines.robustness.target import Labels, Predict, Rows, Target

_BEFORE, _SIDE = "\0answer before", "\0side"
"""Names that no column of a table has."""
_MORE = 2
"""Coordinates beside those of the model."""
_BOTH, _BELOW, _ABOVE = 0.5, 0.0, 1.0
"""Coordinates of the side."""
_ELSEWHERE = -10.0
"""An answer before, of rows of the pool, so far off that all of them count as beyond."""


@dataclass(frozen=True, slots=True)
class _Gap:
    """How far answers lie beyond the tolerance, as logits of two classes."""

    low: float
    span: float
    tolerance: float

    def logits(self, values: Numbers, more: Rows) -> Rows:
        """Within and beyond, (rows, 2), of answers and both coordinates."""
        change = values - (self.low + self.span * more[:, 0])
        side = 2 * more[:, 1] - 1
        beyond = np.where(side == 0, np.abs(change), side * change)
        return np.stack([np.ones_like(values), beyond / self.tolerance], axis=1)

    def before(self, values: Numbers) -> Numbers:
        """The coordinate of an answer before."""
        return (values - self.low) / self.span


def as_classes(case: Case, tolerance: float) -> Case:
    """The case with two classes, its rows on both sides at once.

    Asks once for each complete row, beside the budget of an attack.

    Args:
        tolerance: above 0.
    """
    complete = np.isfinite(case.rows).all(axis=1)
    inner = case.target.again()
    values = inner.scores(case.rows[complete])[:, 0]
    low = float(values.min(initial=0.0))
    gap = _Gap(low, max(float(values.max(initial=0.0)) - low, tolerance), tolerance)
    rows = np.full((len(case.rows), case.rows.shape[1] + _MORE), np.nan)
    rows[complete] = _with(case.rows[complete], gap.before(values), _BOTH)
    held = case.held()
    pool = _with(held, np.full(len(held), _ELSEWHERE - tolerance / gap.span), _BOTH)
    target = Target(_predict(inner, gap), classes=2, budget=case.target.left)
    gradient = None if case.gradient is None else _gradient(case.gradient, gap)
    labels = np.zeros(len(rows), dtype=np.int64)
    return replace(
        case, target=target, space=_widened(case.space, gap), rows=rows, labels=labels,
        gradient=gradient, pool=pool,
    )  # fmt: skip


def on_both_sides(rows: Rows) -> Rows:
    """Each row twice: first all below, then all above."""
    made = np.tile(rows, (2, 1))
    made[: len(rows), -1], made[len(rows) :, -1] = _BELOW, _ABOVE
    return made


def together(hunt: Hunt) -> Hunt:
    """A hunt of rows that `on_both_sides` made, as one of each row once: the nearer of its two."""
    count = len(hunt.origins) // 2
    is_above = hunt.distances[count:] < hunt.distances[:count]
    made = copy.copy(hunt)
    for name in ("origins", "low", "high", "best"):
        both = getattr(hunt, name)
        one = np.where(is_above[:, None], both[count:], both[:count])
        one[:, -1] = _BOTH
        setattr(made, name, one)
    made.distances = np.minimum(hunt.distances[:count], hunt.distances[count:])
    made.labels = hunt.labels[:count]
    return made


def _with(rows: Rows, before: Numbers, side: float) -> Rows:
    return np.column_stack([rows, before, np.full(len(rows), side)])


def _widened(space: Space, gap: _Gap) -> Space:
    before = Feature(_BEFORE, gap.low, gap.low + gap.span, is_mutable=False)
    return Space([*space.features, before, Feature(_SIDE, is_mutable=False)], space.relations)


def _predict(inner: Target, gap: _Gap) -> Predict:
    return lambda rows: gap.logits(inner.scores(rows[:, :-_MORE])[:, 0], rows[:, -_MORE:])


def _gradient(gradient: Gradient, gap: _Gap) -> Gradient:
    def slopes(points: Rows, labels: Labels) -> tuple[Numbers, Rows]:
        leads, inner = gradient(points[:, :-_MORE], labels)  # of the first of two: minus the number
        more = points[:, -_MORE:]
        change = -leads - (gap.low + gap.span * more[:, 0])
        side = 2 * more[:, 1] - 1
        side = np.where(side == 0, np.where(change < 0, -1.0, 1.0), side)
        found = np.zeros_like(points)
        found[:, :-_MORE] = side[:, None] * inner / gap.tolerance
        logits = gap.logits(-leads, more)
        return logits[:, 0] - logits[:, 1], found

    return slopes
