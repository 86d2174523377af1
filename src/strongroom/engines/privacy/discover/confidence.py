"""From the raw score of a type to a confidence: of findings so sure, that share is right."""

from bisect import bisect_right

from strongroom.engines.privacy.discover.calibration import CURVES

_FALLBACK = "any"
MOST = 0.995
"""No finding of the engine is surer than this: too few tables were looked at to know."""


def calibrated(basis: str, score: float) -> float:
    """The share of findings that were right on labelled tables, at this basis and raw score.

    Args:
        basis: what the finding stands on, e.g. `checksum` or `name and values`.
        score: raw, in [0, 1]; between two points of the curve it is interpolated.
    """
    curve = CURVES.get(basis) or CURVES.get(_FALLBACK)
    if not curve:
        return round(min(MOST, score), 3)
    at = bisect_right(curve, (score, 2.0))
    if at == 0:
        return round(curve[0][1] * score / curve[0][0], 3)
    if at == len(curve):
        return curve[-1][1]
    (low, below), (high, above) = curve[at - 1], curve[at]
    return round(below + (above - below) * (score - low) / (high - low), 3)
