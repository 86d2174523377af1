"""Could it be chance? P-values of two samples from their counts, and many of them at once.

Large samples take the asymptotic distributions. Small ones are permuted: given both samples
together, which rows belong to which is a draw without replacement, so that the counts of one are
multivariate hypergeometric, and the p-value is exact at every size. What lies too far apart for
permutations is tested by Fisher's exact test.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import special

from strongroom.engines.drift.measures import chi_square, joined, kolmogorov_smirnov
from strongroom.engines.drift.plan import Counts, Floats

SMALL_ROWS = 200
"""Samples below this are permuted."""
LEAST_EXPECTED = 5.0
"""Rows to be expected in a bin for the chi-square distribution to fit (Cochran 1954)."""
_ROUNDS = (199, 1_999, 9_999)
_ENOUGH = 20
"""Permutations as extreme as the sample after which no more are drawn."""
_CERTAIN = 1e-5
"""A p-value that permutations do not come near: they are not asked where Fisher's test has it."""
_FAR = 15.0
"""Pearson's statistic of two by two below which Fisher's p-value is not near `_CERTAIN`."""

Statistic = Callable[[Counts, Counts], Floats]


@dataclass(frozen=True, slots=True)
class Test:
    """One test.

    Attributes:
        name: `chi-square`, `Kolmogorov-Smirnov` or both.
        statistic: of the first one named.
        method: `asymptotic`, `permutation`, or `exact` where no permutation would come near.
    """

    name: str
    statistic: float
    p_value: float
    method: str


NOTHING = Test("none", 0.0, 1.0, "asymptotic")


def categories_differ(reference: Counts, current: Counts, seed: int = 0) -> Test:
    """Whether two samples have categories in equal shares: Pearson's chi-square."""
    statistic, freedom = chi_square(reference, current)
    if not freedom:
        return NOTHING
    if _is_small(reference, current):
        sure = _by_one_split(reference, current)
        if sure <= _CERTAIN:
            return Test("chi-square", statistic, sure, "exact")
        (p,) = permuted(reference, current, (_chi_squares,), seed)
        return Test("chi-square", statistic, min(p + _CERTAIN, 1.0), "permutation")
    statistic, freedom = chi_square(*_rare_as_one(reference, current))
    return Test("chi-square", statistic, float(special.chdtrc(freedom, statistic)), "asymptotic")


def numbers_differ(reference: Counts, current: Counts, seed: int = 0, noise: float = 0.0) -> Test:
    """Whether two samples of ordered bins have one distribution.

    Args:
        noise: variance of a bin's count for it was rounded when it was written; bins are joined
            until it weighs little.

    Kolmogorov-Smirnov sees shifts best, chi-square what happens between: the smaller p-value
    counts, doubled, which holds the rate whatever they share (Bonferroni).
    """
    there = (reference + current) > 0
    reference, current = reference[there], current[there]
    statistic, freedom = chi_square(reference, current)
    if not freedom:
        return NOTHING
    distance = kolmogorov_smirnov(reference, current)
    fewest = int(min(reference.sum(), current.sum()))
    if noise:
        distance = max(distance - math.sqrt(noise) / fewest, 0.0)
        reference, current = joined(reference, current, most_bins(fewest, noise))
        if len(reference) == _FEWEST_BINS:
            reference, current = less_apart(reference, current, round(math.sqrt(noise)))
    if _is_small(reference, current):
        sure = _by_one_split(np.cumsum(reference)[:-1], np.cumsum(current)[:-1],
                             (int(reference.sum()), int(current.sum())))  # fmt: skip
        if sure <= _CERTAIN and not noise:
            return Test("Kolmogorov-Smirnov and chi-square", distance, sure, "exact")
        both = permuted(reference, current, (_distances, _chi_squares), seed)
        ordered, by_bin = (one + _CERTAIN / 2 for one in both)
        method = "permutation"
    else:
        ordered = kolmogorov_p(distance, int(reference.sum()), int(current.sum()))
        statistic, freedom = chi_square(*_neighbours_joined(reference, current))
        by_bin = float(special.chdtrc(freedom, statistic))
        method = "asymptotic"
    p = min(2 * min(ordered, by_bin), 1.0)
    return Test("Kolmogorov-Smirnov and chi-square", distance, p, method)


def most_bins(rows: int, noise: float) -> int:
    """Bins of so many rows altogether in which what was rounded weighs little."""
    return max(int(rows / (12 * noise)), _FEWEST_BINS)


_FEWEST_BINS = 2


def less_apart(reference: Counts, current: Counts, rows: int) -> tuple[Counts, Counts]:
    """Two samples of two bins, the smaller one with up to `rows` rows in the other bin.

    So many it may have there in truth, and no more are moved than make the shares alike.
    """
    first, second = reference.copy(), current.copy()
    is_first = first.sum() < second.sum()
    few, many = (first, second) if is_first else (second, first)
    over = float(few[0] - many[0] * (few.sum() / max(int(many.sum()), 1)))
    moved = min(int(abs(over)), rows) * (1 if over > 0 else -1)
    few += np.array([-moved, moved])
    return first, second


def kolmogorov_p(distance: float, rows: int, others: int) -> float:
    """Probability of a distance as large between samples of one continuous distribution.

    For binned values it is at most the true one, so that the rate holds. Source: Smirnov 1939,
    with the correction for size of Stephens 1970.
    """
    root = math.sqrt(rows / (rows + others) * others) if rows and others else 0.0
    if not root:
        return 1.0
    return float(special.kolmogorov((root + 0.12 + 0.11 / root) * distance))


def proportions_differ(hits: int, rows: int, other_hits: int, other_rows: int) -> float:
    """P-value of two shares being equal, two-sided; exact (Fisher) where any cell is small.

    Source: Fisher 1935; two-sided by adding all tables that are no more likely.
    """
    if not rows or not other_rows:
        return 1.0
    table = np.array([hits, rows - hits]), np.array([other_hits, other_rows - other_hits])
    pooled = table[0] + table[1]
    if (pooled == 0).any():
        return 1.0
    expected = pooled * min(rows, other_rows) / (rows + other_rows)
    if expected.min() >= LEAST_EXPECTED * 4:
        return float(special.chdtrc(1, chi_square(*table)[0]))
    if min(int(pooled.min()), rows, other_rows) > 1_000_000:
        return float(special.chdtrc(1, chi_square(*table)[0]))
    return _fisher(hits, rows, other_hits, other_rows)


def _fisher(hits: int, rows: int, other_hits: int, other_rows: int) -> float:
    total, all_hits = rows + other_rows, hits + other_hits
    low, high = max(0, all_hits - other_rows), min(all_hits, rows)
    k = np.arange(low, high + 1, dtype=float)
    log = (
        _log_choose(np.float64(all_hits), k)
        + _log_choose(np.float64(total - all_hits), rows - k)
        - _log_choose(np.float64(total), np.float64(rows))
    )
    mine = log[hits - low]
    return float(min(np.exp(log[log <= mine + 1e-7]).sum(), 1.0))


def _log_choose(n: Floats | np.float64, k: Floats | np.float64) -> Floats:
    found: Floats = special.gammaln(n + 1) - special.gammaln(k + 1) - special.gammaln(n - k + 1)
    return found


def _is_small(reference: Counts, current: Counts) -> bool:
    return min(int(reference.sum()), int(current.sum())) < SMALL_ROWS


def _expected(reference: Counts, current: Counts) -> Floats:
    """Rows of the smaller sample that each bin should have."""
    rows, others = int(reference.sum()), int(current.sum())
    return np.asarray((reference + current) * (min(rows, others) / (rows + others)), np.float64)


def _rare_as_one(reference: Counts, current: Counts) -> tuple[Counts, Counts]:
    """Categories too rare for the chi-square distribution, as one."""
    rare = _expected(reference, current) < LEAST_EXPECTED
    if rare.sum() < 2:
        return reference, current
    first, second = (np.append(one[~rare], one[rare].sum()) for one in (reference, current))
    return first, second


def _neighbours_joined(reference: Counts, current: Counts) -> tuple[Counts, Counts]:
    """Ordered bins, those that are too rare for the chi-square distribution with the ones after."""
    group, at, held = np.empty(len(reference), np.intp), 0, 0.0
    expected = _expected(reference, current)
    for place, count in enumerate(expected.tolist()):
        group[place] = at
        held += count
        if held >= LEAST_EXPECTED:
            at, held = at + 1, 0.0
    if held > 0 and at:
        group[group == at] = at - 1  # what is left over at the end goes with the bin before
    first, second = (np.bincount(group, one).astype(np.int64) for one in (reference, current))
    return first, second


# ---- permutations ----


def _by_one_split(reference: Counts, current: Counts, rows: tuple[int, int] | None = None) -> float:
    """P-value of the rows being split alike: the split that is furthest apart, by Fisher's test.

    Permutations cannot tell a p-value below their number: with hundreds of columns or windows not
    even samples without a common value would be found. This test can, and costs nothing. It is
    multiplied by the number of splits (Bonferroni). Where it is above `_CERTAIN` the permutations
    decide, and what was spent on it is added to theirs, so that the rate holds.

    Args:
        reference, current: rows on one side of each split.
        rows: of both samples; by default the sums.
    """
    first, second = rows or (int(reference.sum()), int(current.sum()))
    share = (reference + current) / (first + second)
    spread = np.sqrt(share * (1 - share))
    apart = np.abs(reference / first - current / second)
    apart = np.divide(apart, spread, out=np.zeros(len(share)), where=spread > 0)
    at = int(apart.argmax())
    # Far from `_CERTAIN` no table is summed up.
    if apart[at] ** 2 * first * second / (first + second) < _FAR:
        return 1.0
    return min(_fisher(int(reference[at]), first, int(current[at]), second) * len(share), 1.0)


def permuted(
    reference: Counts, current: Counts, statistics: Sequence[Statistic], seed: int
) -> tuple[float, ...]:
    """P-values of statistics by permutation, never 0: of B draws they are at least 1 / (B + 1).

    More are drawn only while fewer than 20 are as extreme as the sample: stopping early, as in
    Besag & Clifford 1991, only happens where p is above 0.1, or above 0.01 in the second round.
    """
    pooled = (reference + current).astype(np.int64)
    # The smaller sample is drawn: it costs less, and the statistic is the same from both sides.
    flipped = reference.sum() < current.sum()
    rows = int(min(reference.sum(), current.sum()))
    least = np.array([one(reference[None, :], current[None, :])[0] for one in statistics])
    least *= 1 - 1e-12
    random = np.random.Generator(np.random.PCG64(seed))
    drawn, extreme = 0, np.zeros(len(statistics), np.int64)
    for rounds in _ROUNDS:
        draws = _draws(random, pooled, rows, rounds - drawn)
        others = pooled - draws
        sides = (draws, others) if flipped else (others, draws)
        extreme += [
            int((one(*sides) >= low).sum()) for one, low in zip(statistics, least, strict=True)
        ]
        drawn = rounds
        if extreme.min() >= _ENOUGH:
            break
    return tuple(float(one) for one in (extreme + 1) / (drawn + 1))


_LARGEST_POOL = 1_000_000_000
"""More rows than this NumPy does not draw from."""


def _draws(random: np.random.Generator, pooled: Counts, rows: int, count: int) -> Counts:
    """`count` samples of `rows` rows, drawn without replacement from the pooled counts."""
    if pooled.sum() < _LARGEST_POOL:
        drawn: Counts = random.multivariate_hypergeometric(
            pooled, rows, size=count, method="marginals"
        )
        return drawn
    # Of so many rows drawing with replacement is the same; no bin gives more than it has.
    return np.minimum(random.multinomial(rows, pooled / pooled.sum(), size=count), pooled)


def _chi_squares(reference: Counts, current: Counts) -> Floats:
    rows, others = reference[0].sum(), current[0].sum()
    ratio = math.sqrt(others / rows)
    apart = (reference * ratio - current / ratio) ** 2
    pooled = reference + current
    summed: Floats = np.divide(apart, pooled, out=np.zeros_like(apart), where=pooled > 0)
    found: Floats = summed.sum(axis=1)
    return found


def _distances(reference: Counts, current: Counts) -> Floats:
    first = np.cumsum(reference, axis=1) / reference[0].sum()
    second = np.cumsum(current, axis=1) / current[0].sum()
    found: Floats = np.abs(first - second).max(axis=1)
    return found


# ---- many at once ----


def benjamini_hochberg(p_values: Sequence[float] | NDArray[np.float64]) -> Floats:
    """The false discovery rate at which each would just be one: adjusted p-values.

    Calling all up to a rate holds the expected share of false ones among them below it, for tests
    that are independent or positively dependent.

    Source: Benjamini & Hochberg 1995; Benjamini & Yekutieli 2001, theorem 1.2.
    """
    p = np.asarray(p_values, np.float64)
    if not len(p):
        return p
    order = np.argsort(p, kind="stable")
    ranked = p[order] * len(p) / np.arange(1, len(p) + 1)
    adjusted = np.empty(len(p))
    adjusted[order] = np.minimum(np.minimum.accumulate(ranked[::-1])[::-1], 1.0)
    return adjusted


def detectable_shift(
    rows: int, others: int, rate: float, columns: int, power: float = 0.8
) -> float:
    """The smallest shift of a mean, in standard deviations, that is found with a given power.

    For one shifted column among `columns`, each tested at `rate / columns` from both sides.
    """
    if not rows or not others:
        return math.inf
    level = rate / max(columns, 1)
    return float(
        (special.ndtri(1 - level / 2) + special.ndtri(power)) * math.sqrt(1 / rows + 1 / others)
    )
