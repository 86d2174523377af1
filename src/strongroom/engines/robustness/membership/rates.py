"""How well a score tells members from others: the curve, its area, its low end; with bounds."""

from dataclasses import dataclass

import numpy as np
from scipy import stats

from strongroom.engines.robustness.intervals import clopper_pearson
from strongroom.engines.robustness.membership.pool import Flags
from strongroom.engines.robustness.membership.signals import Signal
from strongroom.errors import ValidationError


@dataclass(frozen=True, slots=True)
class Share:
    """A share with its bounds."""

    value: float
    low: float
    high: float

    @classmethod
    def of(cls, hits: int, tries: int) -> "Share":
        """So many of so many, with Clopper-Pearson bounds of 95 %."""
        return cls(hits / tries if tries else 0.0, *clopper_pearson(hits, tries))


def threshold(scores: Signal, is_member: Flags, rate: float) -> float:
    """The score above which at most `rate` of the others lie; equals count as below."""
    others = np.sort(scores[~is_member])[::-1]
    return float(others[min(int(rate * len(others) + 1e-9), len(others) - 1)])


def tpr_at(scores: Signal, is_member: Flags, rate: float) -> Share:
    """The share of members above `threshold`.

    With fewer others than one in `rate`, none of them may lie above.
    """
    _require_both(is_member)
    above = scores[is_member] > threshold(scores, is_member, rate)
    return Share.of(int(above.sum()), len(above))


def auc(scores: Signal, is_member: Flags, confidence: float = 0.95) -> Share:
    """The chance that a member scores above another row, equals counting half.

    Its variance is that of DeLong, DeLong & Clarke-Pearson, "Comparing the areas under two or more
    correlated receiver operating characteristic curves", 1988, by the mid-ranks of Sun & Xu, "Fast
    implementation of DeLong's algorithm", 2014; the bounds are taken on the scale of log-odds.
    """
    _require_both(is_member)
    inside, outside = scores[is_member], scores[~is_member]
    count, against = len(inside), len(outside)
    ranks = stats.rankdata(np.concatenate([inside, outside]))
    over = (ranks[:count] - stats.rankdata(inside)) / against
    under = 1.0 - (ranks[count:] - stats.rankdata(outside)) / count
    area = float(over.mean())
    spread = _variance(over) / count + _variance(under) / against
    if not 0.0 < area < 1.0 or spread == 0.0:
        fewer = min(count, against)
        return Share(area, *clopper_pearson(round(area * fewer), fewer, confidence))
    odds = np.log(area / (1 - area))
    reach = float(stats.norm.ppf((1 + confidence) / 2)) * np.sqrt(spread) / (area * (1 - area))
    low, high = (float(1 / (1 + np.exp(-(odds + sign * reach)))) for sign in (-1, 1))
    return Share(area, low, high)


def roc(scores: Signal, is_member: Flags, most: int = 60) -> list[tuple[float, Share]]:
    """Points of the curve, false alarms → members found, evenly in the log of false alarms."""
    _require_both(is_member)
    against = int((~is_member).sum())
    rates = np.unique(np.geomspace(min(0.5, 1.0 / against), 1.0, most))
    return [(float(rate), tpr_at(scores, is_member, float(rate))) for rate in rates]


def _variance(values: Signal) -> float:
    return float(values.var(ddof=1)) if len(values) > 1 else 0.25


def _require_both(is_member: Flags) -> None:
    if is_member.all() or not is_member.any():
        raise ValidationError("members and others are both needed to tell them apart")
