"""Who is attacked, and how much: what all tests of evasion are given."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from strongroom.engines.robustness.evasion.gradients import Gradient
from strongroom.engines.robustness.evasion.hunt import Norm, Places
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Labels, Rows, Target
from strongroom.errors import ValidationError

Progress = Callable[[float], None]


def part(progress: Progress, low: float, high: float) -> Progress:
    """Progress of a part that begins at one share of the whole and ends at another."""
    return lambda share: progress(low + (high - low) * min(max(share, 0.0), 1.0))


@dataclass(frozen=True, slots=True)
class Settings:
    """What a test of evasion does.

    Attributes:
        norm: in which distances are measured, as shares of ranges: `l2` over all features, `linf`
            of the one that moves most.
        budgets: distances at which accuracy is drawn, ascending.
        declared: the distance that the model should stand; gates look at it.
        rows: most rows that are attacked, drawn by the seed.
        queries: most a row.
        canary_rows: rows of the planted model.
        tolerance: of a model that answers with numbers, in their unit: a change of more than that
            counts as a wrong answer. None: such models are not attacked.
        shown: rows whose cells are told before and after, for images: values of rows.
    """

    norm: Norm = "l2"
    budgets: tuple[float, ...] = (0.02, 0.05, 0.1, 0.2, 0.4, 0.8)
    declared: float = 0.1
    rows: int = 100
    queries: int = 2_000
    canary_rows: int = 8
    tolerance: float | None = None
    shown: int = 0

    def check(self) -> None:
        """Raises: ValidationError: out of range."""
        if (
            not self.budgets
            or list(self.budgets) != sorted(self.budgets)
            or not (self.budgets[0] > 0 and self.budgets[-1] < 100 and 0 < self.declared < 100)
        ):
            raise ValidationError("budgets are distances above 0, ascending")
        if not (0 < self.rows <= 10_000 and 0 <= self.queries <= 1_000_000):
            raise ValidationError("1 to 10,000 rows, and up to 1,000,000 queries each")
        if not 0 < self.canary_rows <= 100:
            raise ValidationError("the canary takes 1 to 100 rows")
        if self.tolerance is not None and not 0 < self.tolerance < np.inf:
            raise ValidationError("the tolerance is a number above 0")


@dataclass(frozen=True, slots=True)
class Case:
    """Who is attacked.

    Attributes:
        rows, labels: with right answers; rows that hold something that is no number are left out.
            Of a model that answers with numbers the labels are not looked at: what it answers to a
            row as it is counts as right.
        gradient: of the model, where its inside is known; of one that answers with numbers, as if
            these were the second of two logits, and the first 0.
        pool: points that the attacker holds; the rows where there are none.
    """

    target: Target
    space: Space
    rows: Rows
    labels: Labels
    gradient: Gradient | None = None
    pool: Rows | None = None

    def held(self) -> Rows:
        """Points that the attacker holds and that are complete."""
        pool = self.rows if self.pool is None else self.pool
        return np.asarray(pool[np.isfinite(pool).all(axis=1)])


def chosen(case: Case, settings: Settings, rng: np.random.Generator) -> Places:
    """Places of the rows that are attacked. Raises: ValidationError: rows or labels do not fit."""
    if case.rows.ndim != 2 or case.rows.shape[1] != case.space.width:
        raise ValidationError("the rows are not points of the space")
    if case.labels.shape != (len(case.rows),):
        raise ValidationError("each row needs a label")
    complete = np.flatnonzero(np.isfinite(case.rows).all(axis=1))
    return np.sort(rng.permutation(complete)[: settings.rows])
