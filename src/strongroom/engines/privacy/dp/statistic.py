"""What is drawn from the data: sums of whole numbers by group, and how far one person moves them.

A statistic is a table of sums, one row for each group. Numbers are laid on a grid of whole steps,
after clamping, row by row; so sums are exact, and one row adds to them what the grid allows, with
no rounding in it. Several aggregates can be made of one statistic, for no further cost.

A mean is made of two sums, of the distances to the lower and to the upper bound. Each row adds
exactly the width of the bounds to both together, so that together they need no more noise than one
of them: half of what the sum about the middle and the count would need, and with no knowledge of
the count (Kulesza, Suresh & Wang 2024, "Mean estimation in the add-remove model"). A
variance is made of three: the Bernstein polynomials of degree 2, which also add up to a constant.
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from fractions import Fraction
from typing import TYPE_CHECKING

import numpy as np

from strongroom.engines.privacy.dp.query import Bounds

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]
    Real = NDArray[np.float64]

MAX_STEPS, MAX_SQUARED_STEPS = 1 << 30, 1 << 15
"""Of a grid whose numbers are summed, and of one whose squares are: sums stay within 62 bits."""
MIN_STEPS = 1 << 10
CANDIDATES = 513
"""Of a quantile, unless the bounds hold fewer whole numbers, or somewhat more."""
MAX_CANDIDATES = 1_025
_SHARE_PARTS = 1_000


class StatisticKind(StrEnum):
    """What is summed."""

    KEYS = "keys"
    """People in each group, for groups that reach a threshold."""
    ROWS = "rows"
    PEOPLE = "people"
    VALUES = "values"
    """Rows with a value."""
    SUM = "sum"
    MEAN = "mean"
    MOMENTS = "moments"
    QUANTILE = "quantile"


@dataclass(frozen=True, slots=True)
class Statistic:
    """One of them.

    Attributes:
        share: of a quantile; 0 for others.
    """

    kind: StatisticKind
    column: str = ""
    share: float = 0.0


@dataclass(frozen=True, slots=True)
class Grid:
    """Whole steps between bounds.

    Attributes:
        steps: from the lower to the upper bound; for a sum, from 0 to the farther one.
        step: width of one, in units of the column.
    """

    bounds: Bounds
    steps: int
    step: float

    def places(self, values: "Real | Whole") -> "Whole":
        """The step that each value is at, in 0 … `steps`, after clamping."""
        clamped = np.clip(values, self.bounds.lower, self.bounds.upper)
        found = np.rint((clamped - self.bounds.lower) / self.step)
        return np.asarray(np.clip(found, 0, self.steps).astype(np.int64))

    def multiples(self, values: "Real | Whole") -> "Whole":
        """How many steps each value is from 0, after clamping; for a sum."""
        clamped = np.clip(values, self.bounds.lower, self.bounds.upper)
        found = np.rint(clamped / self.step)
        return np.asarray(np.clip(found, -self.steps, self.steps).astype(np.int64))


def grid_of(kind: StatisticKind, bounds: Bounds, *, is_whole: bool, most: float) -> Grid:
    """The grid for a statistic.

    Args:
        is_whole: the column and its bounds hold whole numbers, each of which should be a step.
        most: that the largest number which one row adds may be, for the noise to stay in 64 bits.
    """
    if kind is StatisticKind.QUANTILE:
        whole = int(bounds.width)
        steps = whole if is_whole and whole < MAX_CANDIDATES else CANDIDATES - 1
        return Grid(bounds, steps, bounds.width / steps)
    reach = bounds.width
    if kind is StatisticKind.SUM:
        reach = max(abs(bounds.lower), abs(bounds.upper))
    limit = float(MAX_SQUARED_STEPS if kind is StatisticKind.MOMENTS else MAX_STEPS)
    limit = min(limit, math.sqrt(most) if kind is StatisticKind.MOMENTS else most)
    limit = max(limit, MIN_STEPS)
    if is_whole and reach <= limit:
        # Each whole number is 2**k steps: nothing is rounded, and noise is fine.
        steps = int(reach) << int(math.log2(limit / reach))
    else:
        steps = int(limit)
    return Grid(bounds, steps, reach / steps)


def parts_of(share: float) -> tuple[int, int]:
    """The share of a quantile as a fraction of small whole numbers."""
    fraction = Fraction(share).limit_denominator(_SHARE_PARTS)
    return fraction.numerator, fraction.denominator


def one_row(statistic: Statistic, grid: Grid | None) -> int:
    """How far one row moves the sums of its group, all changes added.

    It is also the root of the squares added, at most: each row can move one sum alone. For a
    quantile, how far it moves one score.
    """
    if statistic.kind is StatisticKind.QUANTILE:
        above, parts = parts_of(statistic.share)
        return max(above, parts - above)
    if grid is None:
        return 1
    return grid.steps**2 if statistic.kind is StatisticKind.MOMENTS else grid.steps


# ---- the sums ----


def sums_of(
    kind: StatisticKind, grid: Grid, values: "Real | Whole", codes: "Whole | None", groups: int
) -> "Whole":
    """The sums of a statistic, of shape (groups, sums of one group).

    Args:
        values: those that are there, no NaN among them.
        codes: the group of each, or None where there is only one.
    """
    if kind is StatisticKind.SUM:
        each = [grid.multiples(values)]
    else:
        place = grid.places(values)
        rest = grid.steps - place
        each = [rest, place]
        if kind is StatisticKind.MOMENTS:
            each = [rest * rest, 2 * place * rest, place * place]
    return np.stack([_summed(one, codes, groups) for one in each], axis=1)


def counts_of(rows: int, codes: "Whole | None", groups: int) -> "Whole":
    """How many rows each group has, of shape (groups, 1)."""
    if codes is None:
        return np.array([[rows]], np.int64)
    return np.bincount(codes, minlength=groups).astype(np.int64)[:, None]


def _summed(numbers: "Whole", codes: "Whole | None", groups: int) -> "Whole":
    """Exact sums by group. NumPy sums by group as doubles, so the halves are summed apart."""
    if codes is None:
        return np.array([numbers.sum(dtype=np.int64)], np.int64)
    high, low = numbers >> 16, numbers & 0xFFFF
    halves = [np.bincount(codes, part, groups).astype(np.int64) for part in (high, low)]
    return np.asarray((halves[0] << 16) + halves[1])


def ranked(grid: Grid, values: "Real | Whole", codes: "Whole | None", groups: int) -> "Whole":
    """How many values lie at each candidate, of shape (groups, candidates)."""
    width = grid.steps + 1
    place = grid.places(values)
    if codes is not None:
        place = place + codes * width
    return np.bincount(place, minlength=groups * width).reshape(groups, width).astype(np.int64)


def scores_of(counts: "Whole", share: float) -> "Whole":
    """By how many values each candidate misses the quantile; 0 where it is one (Smith 2011).

    A candidate that many values share is the quantile where the rank lies among them. A row moves
    no score by more than `one_row`.

    Args:
        counts: of values at each candidate, of one group.
    """
    above, parts = parts_of(share)
    rank, upto = above * counts.sum(), np.cumsum(counts)
    too_high = parts * (upto - counts) - rank
    return np.asarray(np.maximum(np.maximum(too_high, rank - parts * upto), 0))
