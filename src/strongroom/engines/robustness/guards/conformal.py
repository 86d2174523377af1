"""From scores to alarms with a rate: conformal p-values, and what a rate means with few rows.

Source: Vovk, "Conditional validity of inductive conformal predictors", 2012; Bates, Candès, Lei,
Romano & Sesia, "Testing for outliers with conformal p-values", 2023.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from strongroom.errors import ValidationError

Numbers = NDArray[np.float64]
MAX_KEPT = 4_096
"""Calibration scores that are kept: enough to tell rates of 0.1 %."""


@dataclass(frozen=True, slots=True)
class AlarmRate:
    """How often natural rows raise an alarm, given how many rows a threshold was set with.

    Attributes:
        mean: over calibrations; at most the rate that was asked for.
        low, high: the calibration at hand has a rate between these with 95 %.
    """

    mean: float
    low: float
    high: float


def alarm_rate(rows: int, rate: float) -> AlarmRate:
    """What `rate` means with so many calibration rows: the true rate is Beta(k, rows + 1 - k).

    k is floor(rate * (rows + 1)); with k = 0 nothing can be flagged (Vovk 2012, section 3; exact
    for scores without ties, an upper bound with them).
    """
    alarms = math.floor(rate * (rows + 1) + 1e-9)
    if alarms == 0:
        return AlarmRate(0.0, 0.0, 0.0)
    low, high = stats.beta.ppf([0.025, 0.975], alarms, rows + 1 - alarms)
    return AlarmRate(alarms / (rows + 1), float(low), float(high))


def fewest_rows(rate: float) -> int:
    """Calibration rows without which no row can be flagged at this rate."""
    return math.ceil(1 / rate - 1e-9) - 1


def kept(scores: Numbers) -> Numbers:
    """Scores of a calibration, sorted; of very many the evenly placed order statistics.

    The largest ones all stay: they decide at small rates.
    """
    if not np.isfinite(scores).all():
        raise ValidationError("a calibration score is no number")
    ordered = np.sort(scores)
    if len(ordered) <= MAX_KEPT:
        return ordered
    places = np.linspace(0, len(ordered) - 1, MAX_KEPT).round().astype(np.intp)
    return ordered[places]


def p_values(calibration: Numbers, scores: Numbers) -> Numbers:
    """Of each score the share of natural rows that are as odd: in [1 / (n + 1), 1].

    Args:
        calibration: (n,), sorted; larger is odder.
        scores: of any shape.
    """
    below = calibration.searchsorted(scores, side="left")
    return np.asarray((len(calibration) + 1.0 - below) / (len(calibration) + 1.0))


def threshold(calibration: Numbers, rate: float) -> float:
    """The score above which a row is flagged at this rate; infinite where rows are too few.

    A score is above it exactly where its p-value is at most `rate`, ties aside.
    """
    alarms = math.floor(rate * (len(calibration) + 1) + 1e-9)
    return math.inf if alarms == 0 else float(calibration[len(calibration) - alarms])
