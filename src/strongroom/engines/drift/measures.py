"""How far two samples lie apart, from their counts in the same bins.

Every function takes counts or shares of the reference and of the current sample, bins in the same
order, and gives 0 for equal shares.
"""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.drift.plan import Counts, Floats

_WIDEST = 1e300
Histogram = NDArray[Any]
"""One count or share a bin, not negative."""


def shares(counts: Histogram) -> Floats:
    """Counts as shares of their sum; zeros where there is nothing."""
    total = float(counts.sum())
    return counts / total if total > 0 else np.zeros(len(counts))


def jensen_shannon(reference: Histogram, current: Histogram) -> float:
    """Jensen-Shannon distance with logarithms to base 2, in [0, 1].

    Source: Endres & Schindelin, "A new metric for probability distributions", 2003.
    """
    p, q = shares(reference), shares(current)
    middle = (p + q) / 2
    divergence = (_kullback_leibler(p, middle) + _kullback_leibler(q, middle)) / 2
    return math.sqrt(min(max(divergence / math.log(2), 0.0), 1.0))


def _kullback_leibler(p: Floats, q: Floats) -> float:
    there = p > 0
    return float(np.sum(p[there] * np.log(p[there] / q[there])))


def hellinger(reference: Histogram, current: Histogram) -> float:
    """Hellinger distance, in [0, 1]. Source: Hellinger 1909; with the factor 1/sqrt(2)."""
    difference = np.sqrt(shares(reference)) - np.sqrt(shares(current))
    return float(np.sqrt(np.sum(difference**2) / 2))


def population_stability(reference: Counts, current: Counts) -> float:
    """Population stability index: the sum of (q - p) ln(q / p), >= 0.

    Each bin gets half a count more, so that an empty bin does not make it infinite. Below 0.1 is
    usually taken for stable, from 0.2 for a change.

    Source: Siddiqi, "Credit Risk Scorecards", 2006; as a symmetrised divergence Jeffreys 1946.
    """
    p = (reference + 0.5) / (reference.sum() + 0.5 * len(reference))
    q = (current + 0.5) / (current.sum() + 0.5 * len(current))
    return float(np.sum((q - p) * np.log(q / p)))


def kolmogorov_smirnov(reference: Histogram, current: Histogram) -> float:
    """The largest difference of the cumulative shares, at edges of bins; in [0, 1].

    It is at most the statistic of the values themselves, which may differ more within a bin.
    """
    difference = np.cumsum(shares(reference)) - np.cumsum(shares(current))
    return float(min(np.abs(difference).max(initial=0.0), 1.0))


def chi_square(reference: Counts, current: Counts) -> tuple[float, int]:
    """Pearson's statistic of equal shares, and its degrees of freedom, of the bins in use.

    Source: Pearson 1900; two samples as in Cramér, "Mathematical Methods of Statistics", 30.6.
    """
    there = (reference + current) > 0
    a, b = reference[there].astype(float), current[there].astype(float)
    rows_a, rows_b = a.sum(), b.sum()
    if rows_a == 0 or rows_b == 0 or len(a) < 2:
        return 0.0, 0
    ratio = math.sqrt(rows_b / rows_a)
    return float(np.sum((a * ratio - b / ratio) ** 2 / (a + b))), len(a) - 1


def wasserstein(reference: Histogram, current: Histogram, edges: Floats) -> float:
    """Area between the cumulative shares, in the unit of the values.

    Values are taken as spread evenly within a bin. The two outermost bins are open: what lies in
    them counts as lying at their edge, so that mass far outside is understated.

    Args:
        edges: the edges between bins: one fewer than there are bins.
    """
    if len(edges) < 2:
        return 0.0
    difference = (np.cumsum(shares(current)) - np.cumsum(shares(reference)))[:-1]
    left, right = difference[:-1], difference[1:]
    widths = np.minimum(edges[1:] / 2 - edges[:-1] / 2, _WIDEST) * 2
    # Between two edges the difference runs straight; where it changes sign, two triangles.
    crossing = left * right < 0
    total = np.abs(left) + np.abs(right)
    apart = np.where(crossing, left**2 + right**2, total**2)
    area = widths * np.divide(apart, 2 * total, out=np.zeros_like(total), where=total > 0)
    return float(area.sum())


def quantile(counts: Histogram, edges: Floats, share: float, *, whole: bool = False) -> float:
    """The value below which a share of the sample lies; NaN where that cannot be told.

    Within a bin values are taken as spread evenly; in an open one as its edge.

    Args:
        whole: values are whole numbers; a bin from 0 to 1 holds zeros.
    """
    total = float(counts.sum())
    if total <= 0 or not len(edges):
        return math.nan
    cumulative = np.cumsum(counts) / total
    at = min(int(np.searchsorted(cumulative, share, "left")), len(counts) - 1)
    if at == 0:
        return float(edges[0])
    if at >= len(edges):
        return float(edges[-1])
    before = float(cumulative[at - 1])
    within = (share - before) / max(float(cumulative[at]) - before, 1e-300)
    inside = min(max(within, 0.0), 1.0)
    if whole:
        first, last = math.ceil(edges[at - 1]), math.ceil(edges[at]) - 1
        return float(first + round((last - first) * inside))
    return float(edges[at - 1] + (edges[at] - edges[at - 1]) * inside)


def joined(reference: Counts, current: Counts, most: int) -> tuple[Counts, Counts]:
    """Neighbouring bins put together until there are at most `most` of like shares.

    Distances over many bins are large by chance alone in small samples; see `docs/drift.md`.
    """
    if len(reference) <= most:
        return reference, current
    held = shares(reference)
    # By its middle, so that a bin of most rows is not put together with all that follow.
    middle = np.cumsum(held) - held / 2
    group = np.clip((middle - 1e-9) * most, 0, most - 1).astype(np.intp)
    return (
        np.bincount(group, reference, most).astype(np.int64),
        np.bincount(group, current, most).astype(np.int64),
    )
