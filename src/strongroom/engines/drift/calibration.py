"""Do scores mean what they say: the reliability of probabilities, and scores put right."""

from dataclasses import dataclass

import numpy as np
from scipy import special

from strongroom.engines.drift.plan import Counts, Floats
from strongroom.engines.drift.scores import CENTRES, NEGATIVE, POSITIVE, UNLABELLED, ScoreState

GROUPS = 10
LEAST_LABELS = 200
"""Rows with labels below which nothing is said of calibration."""


@dataclass(frozen=True, slots=True)
class Reliability:
    """Scores against what came true.

    Attributes:
        groups: mean score, share that came true, and rows, of groups of about equal size.
        error: expected calibration error: the mean of |score - share|, weighed by rows.
        p_value: of the scores being right (Hosmer-Lemeshow).
    """

    groups: tuple[tuple[float, float, int], ...]
    error: float
    p_value: float


def reliability(state: ScoreState) -> Reliability | None:
    """Of the rows with labels; None where there are fewer than `LEAST_LABELS`.

    Source: Naeini, Cooper & Hauskrecht 2015 for the error, with groups of equal size; Hosmer &
    Lemeshow 1980 for the test, with as many degrees of freedom as groups, for nothing was fitted.
    """
    positives = state.counts[:, POSITIVE].sum(axis=0)
    negatives = state.counts[:, NEGATIVE].sum(axis=0)
    rows = positives + negatives
    total = int(rows.sum())
    if total < LEAST_LABELS:
        return None
    groups = _groups(rows, CENTRES, positives)
    error = sum(abs(score - share) * count for score, share, count in groups) / total
    statistic = sum(
        (count * (share - score)) ** 2 / (count * max(score * (1 - score), 1e-6) + state.noise)
        for score, share, count in groups
    )
    return Reliability(groups, error, float(special.chdtrc(len(groups), statistic)))


def _groups(
    rows: Counts, expected: Floats, positives: Counts
) -> tuple[tuple[float, float, int], ...]:
    """Bins put together to about `GROUPS` groups: mean expectation, share of positives, rows."""
    middle = (np.cumsum(rows) - rows / 2) / max(rows.sum(), 1)
    group = np.minimum((middle * GROUPS).astype(np.intp), GROUPS - 1)
    found = []
    for at in range(GROUPS):
        inside = group == at
        count = int(rows[inside].sum())
        if count:
            score = float((expected[inside] * rows[inside]).sum() / count)
            found.append((score, float(positives[inside].sum() / count), count))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Calibration:
    """What share of rows comes true, by bin of the score; it never falls as scores rise.

    Attributes:
        chance: by bin.
        support: labelled rows that each bin's chance rests on.
    """

    chance: Floats
    support: Floats


def calibrated(positives: Counts, rows: Counts) -> Calibration:
    """Isotonic regression of labels on bins of scores; empty bins lie between their neighbours.

    Source: Ayer et al. 1955, pool adjacent violators; for scores Zadrozny & Elkan 2002.
    """
    blocks: list[list[float]] = []  # positives, rows, first bin, last bin
    for at in np.flatnonzero(rows):
        blocks.append([float(positives[at]), float(rows[at]), float(at), float(at)])
        while len(blocks) > 1 and blocks[-2][0] * blocks[-1][1] >= blocks[-1][0] * blocks[-2][1]:
            last = blocks.pop()
            before = blocks[-1]
            before[0] += last[0]
            before[1] += last[1]
            before[3] = last[3]
    if not blocks:
        return Calibration(CENTRES.copy(), np.zeros(len(CENTRES)))
    places: list[float] = []
    chances: list[float] = []
    support: list[float] = []
    for up, count, first, last_bin in blocks:
        for place in {first, last_bin}:
            places.append(place)
            chances.append(up / count)
            support.append(count)
    order = np.argsort(places)
    bins = np.arange(len(CENTRES))
    known = np.array(places)[order]
    return Calibration(
        np.interp(bins, known, np.array(chances)[order]),
        np.interp(bins, known, np.array(support)[order]),
    )


def holds_elsewhere(state: ScoreState, seed: int = 0) -> float | None:
    """P-value of a calibration fitted to one half of the labels being right for the other half.

    The halves are drawn from the counts, which is the same as drawing rows. None where there are
    fewer than `LEAST_LABELS`.
    """
    known = state.counts[:, :UNLABELLED].sum(axis=0)
    if int(known.sum()) < LEAST_LABELS:
        return None
    random = np.random.Generator(np.random.PCG64(seed))
    half = random.binomial(known, 0.5)
    other = known - half
    if not half.sum() or not other.sum():
        return None
    fitted = calibrated(half[POSITIVE], half.sum(axis=0))
    rows = other.sum(axis=0)
    groups = _groups(rows, fitted.chance, other[POSITIVE])
    # Both halves scatter, the one that was fitted to as much as the other: twice the variance.
    statistic = sum(
        (count * (share - chance)) ** 2
        / (2 * (count * max(chance * (1 - chance), 1 / (4 * count)) + state.noise))
        for chance, share, count in groups
    )
    return float(special.chdtrc(len(groups), statistic))
