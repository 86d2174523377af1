"""From noisy sums to values with intervals; what follows from a draw costs nothing more.

An interval is about the noise: with a chance of 95 % for each value, what the rows that count would
give without noise lies in it. It says nothing of what clamping and the bounds of a person's
contribution left out, nor of the people from whom the rows are a sample.

A ratio of two noisy sums has an exact pivot. Where `r` is the true ratio and `f` the factors that
make it of the sums `y`, the sum of `(f - r) * y` is 0 without noise, so that the error of the noisy
ratio is the sum of `(f - r) * noise` over the noisy total (Fieller 1954).
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from strongroom.engines.privacy.dp.mechanisms import Noise, count_error
from strongroom.engines.privacy.dp.planning import MISS, Draw
from strongroom.engines.privacy.dp.query import Aggregate, Function
from strongroom.engines.privacy.dp.statistic import Grid, StatisticKind, parts_of
from strongroom.engines.privacy.dp.tails import many_reach, reach

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]
    Real = NDArray[np.float64]

_MEAN = np.array([0.0, 1.0])
_MEAN_OF_MOMENTS = np.array([0.0, 0.5, 1.0])
_MISS_OF_MEAN = 0.2
"""Of the chance that a variance's interval misses, for the mean that it is about."""


@dataclass(frozen=True, slots=True)
class Estimates:
    """One aggregate for each group: values, and the intervals that hold them."""

    values: "Real"
    lows: "Real"
    highs: "Real"


def counted(draw: Draw, noise: Noise, noisy: "Whole") -> Estimates:
    """Counts, which are not negative."""
    error = count_error(noise, draw.scale, MISS)
    middle = noisy[:, 0]
    return Estimates(_floored(middle), _floored(middle - error), _floored(middle + error))


def _floored(numbers: "Whole") -> "Real":
    return np.maximum(numbers, 0).astype(np.float64)


def summed(draw: Draw, noise: Noise, noisy: "Whole") -> Estimates:
    """Sums."""
    grid = _grid(draw)
    error = float(reach(noise, draw.scale, np.ones((1, 1)), MISS)[0]) * grid.step
    middle = noisy[:, 0].astype(np.float64) * grid.step
    return Estimates(middle, middle - error, middle + error)


def spread(one: Aggregate, draw: Draw, noise: Noise, noisy: "Whole") -> Estimates:
    """Means, variances and deviations."""
    grid = _grid(draw)
    width, lower = grid.bounds.width, grid.bounds.lower
    if one.function is Function.MEAN:
        factors = _MEAN if draw.statistic.kind is StatisticKind.MEAN else _MEAN_OF_MOMENTS
        mean = _ratio(noise, draw.scale, noisy, factors[None, :], MISS)
        return Estimates(*(lower + width * part for part in (mean.values, mean.lows, mean.highs)))
    variance = _variance(noise, draw.scale, noisy)
    parts = [part * width**2 for part in (variance.values, variance.lows, variance.highs)]
    if one.function is Function.DEVIATION:
        parts = [np.sqrt(part) for part in parts]
    return Estimates(*parts)


def _variance(noise: Noise, scale: float, noisy: "Whole") -> Estimates:
    """Of numbers in 0 … 1: the mean square about the noisy mean, less the square of its error."""
    mean = _ratio(noise, scale, noisy, _MEAN_OF_MOMENTS[None, :], MISS * _MISS_OF_MEAN)
    about = mean.values[:, None]
    factors = np.concatenate([about**2, about**2 - about, (1 - about) ** 2], axis=1)
    square = _ratio(noise, scale, noisy, factors, MISS * (1 - _MISS_OF_MEAN))
    error = np.maximum(mean.highs - mean.values, mean.values - mean.lows)
    most = 0.25
    return Estimates(
        np.clip(square.values, 0, most),
        np.clip(square.lows - error**2, 0, most),
        np.clip(square.highs, 0, most),
    )


def _ratio(noise: Noise, scale: float, noisy: "Whole", factors: "Real", miss: float) -> Estimates:
    """The sum of factor times number over the sum of numbers, for each row of numbers.

    Where the noisy total is not positive, nothing is known: the middle, and the whole range.
    """
    least, most = factors.min(axis=1), factors.max(axis=1)
    least, most = np.maximum(least, 0), np.minimum(np.maximum(most, 0), 1)
    numbers = noisy.astype(np.float64)
    total = numbers.sum(axis=1)
    is_known = total > 0
    total = np.where(is_known, total, 1.0)
    found = np.where(is_known, (numbers * factors).sum(axis=1) / total, (least + most) / 2)
    found = np.clip(found, least, most)
    # The pivot depends on the true ratio. Its reach is taken where it is greatest: first over the
    # whole range, then over the interval which that gives.
    low, high = least, most
    for _ in range(2):
        ends = np.concatenate([factors - low[:, None], factors - high[:, None]])
        error = reach(noise, scale, ends, miss).reshape(2, -1).max(axis=0) / total
        low = np.where(is_known, np.clip(found - error, least, most), least)
        high = np.where(is_known, np.clip(found + error, least, most), most)
    return Estimates(found, low, high)


def quantile_edges(grid: Grid, place: int) -> list[int]:
    """Where the candidates are cut around the chosen one: close by finely, else coarsely."""
    steps = [0, *(1 << power for power in range(grid.steps.bit_length() + 1))]
    found = {place - step for step in steps} | {place + 1 + step for step in steps}
    return [0, *sorted(edge for edge in found if 0 < edge <= grid.steps), grid.steps + 1]


def quantile_interval(
    draw: Draw, noise: Noise, place: int, edges: list[int], counts: "Whole"
) -> tuple[float, float, float]:
    """The value that was chosen, and between which ones the quantile lies.

    Where surely fewer values than the share lie below a candidate, the quantile is there or above.

    Args:
        counts: noisy, of the values between each two edges.
    """
    grid = _grid(draw)
    above, parts = parts_of(draw.statistic.share)
    share = above / parts
    below = np.cumsum(counts)[:-1]
    excess = (1 - share) * below - share * (counts.sum() - below)
    inner = edges[1:-1]
    cuts = max(len(inner), 1)
    error = many_reach(noise, draw.bar_scale, max(share, 1 - share), len(counts), MISS / cuts)
    lows = [edge for edge, by in zip(inner, excess, strict=True) if by < -error]
    highs = [edge - 1 for edge, by in zip(inner, excess, strict=True) if by > error]
    low, high = max(lows, default=0), min(highs, default=grid.steps)
    # Each value was moved to the nearest candidate, by half a step at most.
    blur = 0.0 if float(grid.step).is_integer() and grid.step == 1 else grid.step / 2

    def value(at: float) -> float:
        return grid.bounds.lower + at * grid.step

    bounds = grid.bounds
    return (
        value(place),
        max(value(min(low, place)) - blur, bounds.lower),
        min(value(max(high, place)) + blur, bounds.upper),
    )


def _grid(draw: Draw) -> Grid:
    assert draw.grid is not None  # noqa: S101 # every statistic of a column has one
    return draw.grid


# ---- without the data ----


@dataclass(frozen=True, slots=True)
class Expected:
    """How exact one aggregate will be, for each group.

    Attributes:
        half_width: of the interval, where it depends on no number of rows.
        per_row: half the width times the number of rows; for what is divided by that number.
        ranks: of a quantile: by how many rows the choice is off, with a chance of 95 %.
    """

    name: str
    half_width: float | None = None
    per_row: float | None = None
    ranks: float | None = None


def expected(one: Aggregate, draw: Draw, noise: Noise) -> Expected:
    """How exact an aggregate will be, by its noise alone."""
    kind = draw.statistic.kind
    if kind is StatisticKind.QUANTILE:
        # The choice misses the best score by more than scale * log(candidates / miss) with chance
        # `miss` (McSherry & Talwar 2007; permute-and-flip is no worse: McKenna & Sheldon 2020);
        # a score counts rows `parts` times.
        _, parts = parts_of(draw.statistic.share)
        candidates = _grid(draw).steps + 1
        return Expected(one.name, ranks=draw.scale * math.log(candidates / MISS) / parts)
    if kind is StatisticKind.SUM:
        error = float(reach(noise, draw.scale, np.ones((1, 1)), MISS)[0])
        return Expected(one.name, half_width=error * _grid(draw).step)
    if kind in (StatisticKind.MEAN, StatisticKind.MOMENTS):
        return _expected_ratio(one, draw, noise)
    return Expected(one.name, half_width=float(count_error(noise, draw.scale, MISS)))


def _expected_ratio(one: Aggregate, draw: Draw, noise: Noise) -> Expected:
    """At worst, which is where all values are at one of the bounds."""
    grid = _grid(draw)
    is_mean = one.function is Function.MEAN
    factors = _MEAN if draw.statistic.kind is StatisticKind.MEAN else _MEAN_OF_MOMENTS
    weights = factors[None, :] if is_mean else np.array([[0.0, 0.0, 1.0]])
    error = float(reach(noise, draw.scale, weights, MISS)[0])
    each = grid.steps if draw.statistic.kind is StatisticKind.MEAN else grid.steps**2
    unit = grid.bounds.width if is_mean else grid.bounds.width**2
    if one.function is Function.DEVIATION:
        return Expected(one.name)
    return Expected(one.name, per_row=error / each * unit)
