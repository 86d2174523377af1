"""Scores of membership: larger for rows that a model was more likely trained on."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from strongroom.engines.robustness.membership.pool import Flags
from strongroom.engines.robustness.membership.signals import Signal, bounded, chance, surest
from strongroom.errors import ValidationError

Variance = Literal["moderated", "each", "shared"]

PRIOR_FITS = 4.0
"""How many fits' worth the variance of all rows counts in that of one. On digits with a forest, 2
to 8 are equal; without it 16 fits reach 55 % of what 64 do at a false-alarm rate of 1 %."""
GAMMA = 2.0
"""How much likelier a member must be made than a row of the population (Zarifzadeh et al., 2024,
section 4: results hardly depend on it)."""
OFFLINE = 0.3
"""Of RMIA without fits that saw a row: the `a` of its equation 10; 0.3 is near to the best on the
data sets of its appendix."""
_LEAST_SPREAD = 1e-6


def loss(own: Signal) -> Signal:
    """The model's own sureness: a threshold on its loss.

    Source: Yeom et al., "Privacy risk in machine learning: analyzing the connection to
    overfitting", 2018, adversary 1. It names easy rows members, so it says little at low rates.
    """
    return bounded(own, surest(own))


def lira(
    own: Signal, shadows: Signal, is_in: Flags, *, variance: Variance = "moderated",
    is_offline: bool = False,
) -> Signal:  # fmt: skip
    """The log of how much likelier the answer is from a model that saw the row.

    Carlini et al., "Membership inference attacks from first principles", 2022, algorithm 1, and
    its offline form. `each` estimates a variance for each row (for 64 fits or more), `shared` one
    for all rows, as there. `moderated` lies between: the common variance is worth `PRIOR_FITS`
    fits, and as a variance from few fits is itself unsure, the likelihood is Student's t (the
    predictive of a normal-inverse-gamma prior: Brännvall, "Exponential-family membership
    inference: from LiRA and RMIA to BaVarIA", 2026; Smyth, "Linear models and empirical Bayes
    methods", 2004).

    Args:
        own: (rows,) signals of the attacked model.
        shadows: (fits, rows) signals of the shadow models.
        is_in: (fits, rows): whether a fit saw a row.
        is_offline: use only fits that did not see a row: how far above them the answer lies.
    """
    _require_fits(is_in, is_offline=is_offline)
    most = surest(np.concatenate([own[None], shadows]))
    own, shadows = bounded(own, most), bounded(shadows, most)
    outside = _spread(shadows, ~is_in, variance)
    if is_offline:
        mean, scale, _ = outside
        return np.asarray((own - mean) / scale)
    inside = _spread(shadows, is_in, variance)
    return _log_likelihood(own, *inside) - _log_likelihood(own, *outside)


def rmia(
    own: Signal, shadows: Signal, is_in: Flags, *, classes: int, is_offline: bool = False,
    gamma: float = GAMMA,
) -> Signal:  # fmt: skip
    """The share of all rows that the model favours less than this one by `gamma`.

    A row's favour is what the model grants it over what models grant it that saw it or did not.
    Zarifzadeh, Liu & Shokri, "Low-cost high-power membership inference attacks", 2024, equations
    4, 9 and 10. Equal shares are put in the order of their favours.
    """
    _require_fits(is_in, is_offline=is_offline)
    most = surest(np.concatenate([own[None], shadows]))
    granted = chance(bounded(np.concatenate([own[None], shadows]), most), classes=classes)
    outside = _mean(granted[1:], ~is_in)
    if is_offline:
        usual = ((1 + OFFLINE) * outside + 1 - OFFLINE) / 2
    else:
        usual = (_mean(granted[1:], is_in) + outside) / 2
    favour = granted[0] / np.maximum(usual, np.finfo(float).tiny)
    share = np.searchsorted(np.sort(favour), favour / gamma, side="right") / len(favour)
    return np.asarray(share + favour / (1 + favour) / (len(favour) + 1))


def _mean(values: Signal, chosen: Flags) -> Signal:
    return np.asarray((values * chosen).sum(axis=0) / chosen.sum(axis=0))


def _spread(
    shadows: Signal, chosen: Flags, variance: Variance
) -> tuple[Signal, Signal, NDArray[np.float64]]:
    """Of each row the mean of the chosen fits, the scale, and the degrees of freedom."""
    count = chosen.sum(axis=0).astype(np.float64)
    mean = _mean(shadows, chosen)
    squares = (((shadows - mean) ** 2) * chosen).sum(axis=0)
    least = _LEAST_SPREAD * (1.0 + float(np.abs(shadows).max()))
    if variance == "each":
        return mean, np.sqrt(squares / count) + least, np.full(len(mean), np.inf)
    common = squares.sum() / max(float((count - 1).sum()), 1.0)
    if variance == "shared":
        return mean, np.sqrt(np.full(len(mean), common)) + least, np.full(len(mean), np.inf)
    freedom = PRIOR_FITS + count - 1
    moderate = (PRIOR_FITS * common + squares) / freedom
    return mean, np.sqrt(moderate * (1 + 1 / count)) + least, freedom


def _log_likelihood(own: Signal, mean: Signal, scale: Signal, freedom: Signal) -> Signal:
    distance = (own - mean) / scale
    if np.isinf(freedom).all():
        return np.asarray(stats.norm.logpdf(distance) - np.log(scale))
    return np.asarray(stats.t.logpdf(distance, freedom) - np.log(scale))


def _require_fits(is_in: Flags, *, is_offline: bool) -> None:
    if not len(is_in) or (is_in.all(axis=0) | (is_in.sum(axis=0) < (not is_offline))).any():
        raise ValidationError("each row needs shadow models that saw it and some that did not")
