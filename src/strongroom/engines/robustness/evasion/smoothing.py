"""Randomised smoothing: how far a row may move before the majority under noise can change.

The smoothed model answers with the class that a model gives most often to a row with normal noise
on it. It is another model than the one that is served, and the proof is of it alone.

Source: Cohen, Rosenfeld & Kolter, "Certified adversarial robustness via randomized smoothing",
2019: theorem 1 (with the runner-up at most 1 - p), and CERTIFY of section 3.2.2: few draws choose
the class, others bound its share (Clopper-Pearson), and a share not above one half abstains.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import stats

from strongroom.engines.robustness.evasion.hunt import PIECE, Flags, Numbers
from strongroom.engines.robustness.intervals import clopper_pearson
from strongroom.engines.robustness.target import Labels, QueriesSpent, Rows

ALPHA = 0.001
"""Chance that a row's radius is too long (the paper's experiments)."""

Answer = Callable[[Rows], Labels]


@dataclass(frozen=True, slots=True)
class Smoothed:
    """What is sure of the smoothed model, each row with probability 1 - `ALPHA`.

    Attributes:
        labels: its answers; -1 where it abstains.
        radii: L2 distances below which no change leads to another answer; 0 where it abstains.
    """

    labels: Labels
    radii: Numbers


def smooth(
    answer: Answer,
    rows: Rows,
    spread: float,
    is_noisy: Flags,
    classes: int,
    rng: np.random.Generator,
    *,
    first: int = 100,
    draws: int = 900,
    progress: Callable[[float], None] = lambda _: None,
) -> Smoothed:
    """Certify each row. Where the queries are spent, the rows that are left abstain.

    Args:
        answer: classes of points; it may move them to where they could be inputs, always alike.
        spread: standard deviation of the noise, in coordinates.
        is_noisy: coordinates that get noise; radii speak of changes in these alone.
        first: draws that choose the class; `draws` bound its share.
    """
    labels, radii = np.full(len(rows), -1, dtype=np.int64), np.zeros(len(rows))
    try:
        for at, row in enumerate(rows):
            chosen = int(_counts(answer, row, spread, is_noisy, classes, first, rng).argmax())
            hits = int(_counts(answer, row, spread, is_noisy, classes, draws, rng)[chosen])
            low, _ = clopper_pearson(hits, draws, 1 - 2 * ALPHA)
            if low > 0.5:
                labels[at], radii[at] = chosen, spread * float(stats.norm.ppf(low))
            progress((at + 1) / len(rows))
    except QueriesSpent:
        pass
    return Smoothed(labels, radii)


def _counts(
    answer: Answer, row: Numbers, spread: float, is_noisy: Flags, classes: int, draws: int,
    rng: np.random.Generator,
) -> "np.ndarray[tuple[int], np.dtype[np.int64]]":  # fmt: skip
    """How often each class is answered under noise."""
    counts = np.zeros(classes, dtype=np.int64)
    each = max(1, PIECE // len(row))
    for start in range(0, draws, each):
        points = np.tile(row, (min(each, draws - start), 1))
        points[:, is_noisy] += rng.normal(0.0, spread, (len(points), int(is_noisy.sum())))
        counts += np.bincount(answer(points), minlength=classes)
    return counts
