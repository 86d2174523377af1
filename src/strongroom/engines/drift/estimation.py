"""Performance without labels: what calibrated scores expect of themselves (CBPE).

A score that is calibrated says how likely its row is positive, so that counts of scores alone give
the expected confusion matrix, and from it every metric. That rests on assumptions, which are
tested as far as data can test them, and the estimate carries a warning for each that fails:

- the scores of the reference can be calibrated: a fit to one half holds for the other;
- they rank rows at all;
- the current scores lie where the reference has labels;
- the chance of a label given the score is the same now. Only labels can tell: where some have come,
  they are compared with what was expected of the same rows.

Source: the method is NannyML's confidence-based performance estimation; for the idea Guillory et
al., "Predicting with confidence on unseen distributions", ICCV 2021.
"""

import math
from dataclasses import dataclass

import numpy as np
from scipy import special

from strongroom.engines.drift.calibration import (
    LEAST_LABELS,
    Calibration,
    calibrated,
    holds_elsewhere,
)
from strongroom.engines.drift.plan import Floats
from strongroom.engines.drift.scores import (
    METRICS,
    NEGATIVE,
    POSITIVE,
    UNLABELLED,
    Performance,
    ScoreState,
    area_under_curve,
    metrics_of,
    performance_of,
)

_ROUNDS = 200
_LEAST_SUPPORT = 30
_MOST_UNSUPPORTED = 0.05
_SURE = 0.01
_LEAST_LATE = 100


@dataclass(frozen=True, slots=True)
class Estimate:
    """Performance that is expected.

    Attributes:
        errors: standard error of each metric, by name: from chance and from the calibration.
        warnings: assumptions that fail, in words; with any, do not rely on the estimate.
    """

    performance: Performance
    errors: dict[str, float]
    warnings: tuple[str, ...]


def estimated(reference: ScoreState, current: ScoreState, seed: int = 0) -> Estimate | None:
    """What to expect of the current rows; None without enough labels in the reference, or rows."""
    known = reference.counts[:, :UNLABELLED].sum(axis=0)
    rows = known.sum(axis=0)
    if int(rows.sum()) < LEAST_LABELS or not current.rows or not known.sum(axis=1).all():
        return None
    fitted = calibrated(known[POSITIVE], rows)
    here = current.counts.sum(axis=1).astype(np.float64)
    expected = performance_of(here * fitted.chance, here * (1 - fitted.chance))
    return Estimate(
        expected, _errors(fitted, here, seed), tuple(_warnings(reference, current, fitted, seed))
    )


def _errors(fitted: Calibration, here: Floats, seed: int) -> dict[str, float]:
    """Standard errors: labels drawn by their chance, chances by what the reference knows."""
    random = np.random.Generator(np.random.PCG64(seed))
    scale = np.sqrt(fitted.chance * (1 - fitted.chance) / np.maximum(fitted.support, 1))
    # One draw for all bins of a block, whose chance is one number; neighbours differ in it.
    block = np.concatenate([[0], np.cumsum(np.diff(fitted.chance) != 0)])
    noise = random.standard_normal((_ROUNDS, int(block[-1]) + 1))[:, block]
    chance = np.clip(fitted.chance + noise * scale, 0.0, 1.0)
    counts = here.astype(np.int64)
    drawn = random.binomial(counts, chance[:, None, :]).astype(np.float64)
    metrics = metrics_of(drawn, here - drawn)
    errors = {}
    for name in METRICS:
        is_known = bool(np.isfinite(metrics[name]).all())
        errors[name] = float(np.std(metrics[name])) if is_known else math.nan
    return errors


def _warnings(
    reference: ScoreState, current: ScoreState, fitted: Calibration, seed: int
) -> list[str]:
    found = []
    p = holds_elsewhere(reference, seed)
    if p is not None and p < _SURE:
        found.append(
            "the reference's scores cannot be calibrated: a fit to one half of its labels is "
            f"wrong for the other half (p at most {max(p, 0.001):.1g})"
        )
    known = reference.counts[:, :UNLABELLED].sum(axis=0).astype(np.float64)
    area = area_under_curve(known[POSITIVE], known[NEGATIVE])
    if area < _LEAST_AREA:
        found.append(f"the scores do not rank the reference's rows (AUC {area:.2f})")
    here = current.counts.sum(axis=(0, 1))
    near = np.convolve(known.sum(axis=0), np.ones(9), "same")
    unsupported = float(here[near < _LEAST_SUPPORT].sum() / max(here.sum(), 1))
    if unsupported > _MOST_UNSUPPORTED:
        found.append(
            f"{unsupported * 100:.0f} % of the rows have scores of which the reference has hardly "
            "any labels"
        )
    if (late := _late(current, fitted)) is not None:
        found.append(late)
    return found


_LEAST_AREA = 0.55


def _late(current: ScoreState, fitted: Calibration) -> str | None:
    """A warning where the labels that have come are not as expected."""
    known = current.counts[:, :UNLABELLED].sum(axis=0)
    rows = known.sum(axis=0)
    if int(rows.sum()) < _LEAST_LATE:
        return None
    weight = rows.astype(np.float64)
    gap = known[POSITIVE] - weight * fitted.chance
    variance = weight * fitted.chance * (1 - fitted.chance)
    variance = variance + weight**2 * fitted.chance * (1 - fitted.chance) / np.maximum(
        fitted.support, 1
    )
    # Two looks: more or fewer positives than expected overall, and scores that have lost their
    # order, which shows as a trend of the gap along them.
    along = np.linspace(-1, 1, len(gap))
    z = max(
        abs(float((gap * look).sum())) / math.sqrt(max(float((variance * look**2).sum()), 1e-9))
        for look in (np.ones(len(gap)), along)
    )
    p = min(4 * float(special.ndtr(-z)), 1.0)
    if p >= _SURE:
        return None
    return (
        f"the {int(rows.sum()):,} labels that have come are not as expected "
        f"(p at most {max(p, 0.001):.1g}): what a score means has changed"
    )
