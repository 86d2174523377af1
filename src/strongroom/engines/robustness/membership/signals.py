"""What of an answer tells of membership: how sure the model is of what is true."""

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.target import Scores, Truth

Signal = NDArray[np.float64]
"""Larger where the answer is nearer to the truth; infinite where the answer is quite sure."""

SUREST = float(np.log(1e7))
"""Log-odds that no answer exceeds: beyond it, floats say more about the machine than the row."""
_FLOOR = 1e-3
"""Of residuals, in standard deviations of the truth: a smaller one counts as this."""


def signal(scores: Scores, truth: Truth) -> Signal:
    """The log-odds of the true class, or the negative log of the squared residual.

    Log-odds are near to normal over models that saw the row, and over models that did not
    (Carlini et al., "Membership inference attacks from first principles", 2022, section IV-C).
    """
    if scores.shape[1] == 1:
        floor = _FLOOR * (float(np.std(truth)) or 1.0)
        return np.asarray(-np.log((scores[:, 0] - truth) ** 2 + floor**2))
    sure = np.clip(scores[np.arange(len(scores)), truth.astype(np.int64)], 0.0, 1.0)
    with np.errstate(divide="ignore"):
        return np.asarray(np.log(sure) - np.log1p(-sure))


def surest(signals: Signal) -> float:
    """The log-odds that stand for an answer of exactly 0 or 1.

    A forest of 100 trees, or an endpoint that rounds to two places, answers in steps of 0.01;
    its 1 says "more than 0.99", and is taken as 0.995: half a step.
    """
    finite = np.abs(signals[np.isfinite(signals)])
    if finite.size == signals.size or not finite.size:
        return SUREST
    step = 1.0 / (1.0 + np.exp(float(finite.max())))
    return min(SUREST, float(np.log(2.0 / step - 1.0)))


def bounded(signals: Signal, most: float) -> Signal:
    """Log-odds between `-most` and `most`."""
    return np.clip(signals, -most, most)


def chance(signals: Signal, *, classes: int) -> Signal:
    """What the model grants the truth, 0 to 1: a probability, or what a residual is likely to be.

    A regression's residuals are taken as normal, with the spread of the median one.
    """
    if classes > 1:
        return np.asarray(1.0 / (1.0 + np.exp(-signals)))
    squares = np.exp(-signals)
    spread = float(np.median(squares)) * 1.4826**2 or 1.0
    return np.asarray(np.exp(-squares / (2 * spread)))
