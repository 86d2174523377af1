"""Explainable boosting with privacy, by interpret (Nori, Caruana, Bu, Shen & Kulkarni 2021).

The library learns from places, not from values: a column is what the domain makes of it, so that no
bound and no category is read off the data. Its noise is a floating-point Gaussian from the system's
randomness, without protection of its lowest bits, and it takes the number of rows for public. Both
are said in the record of the model; the default, `additive`, has neither limit.
"""

import math
import warnings
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.privacy.dp.accounting import Cost
from strongroom.engines.privacy.dp.accounting import epsilon as epsilon_of
from strongroom.engines.privacy.dp.training.additive import Trained
from strongroom.engines.privacy.dp.training.coding import TARGET_UNIT, Coded
from strongroom.engines.privacy.dp.training.contributions import bounded
from strongroom.engines.privacy.dp.training.domain import Category, Choice, Domain
from strongroom.engines.privacy.dp.training.model import AdditiveModel, Term
from strongroom.engines.privacy.dp.training.noise import check_promise
from strongroom.errors import InternalError, ValidationError

ROUNDS = 300
RATE = 0.01
"""Both are the library's defaults."""
_BIN_SHARE = 0.1


def train_explainable(
    coded: Coded, domain: Domain, epsilon: float, delta: float, *, rows_each: int = 1
) -> Trained:
    """Boost a model that keeps (epsilon, delta) for each person.

    Args:
        rows_each: the most rows of one person; a Gaussian's precision falls with its square.
    Raises: ValidationError: the target is a number, for which the library does not bound an error.
    """
    from interpret.privacy import DPExplainableBoostingClassifier

    check_promise(epsilon, delta)
    if not isinstance(domain.target, Choice):
        raise ValidationError(
            "boosting with privacy is for two classes", next_step="take the method additive"
        )
    kept = bounded(coded, rows_each)
    cost = price(epsilon, delta)
    wanted = (cost.events[0].values[0] * rows_each) ** -2
    machine = DPExplainableBoostingClassifier(
        feature_names=[f"f{at}" for at in range(len(kept.codes))],
        feature_types=["continuous"] * len(kept.codes),
        privacy_bounds={at: (0.0, float(one)) for at, one in enumerate(kept.places)},
        max_rounds=ROUNDS, learning_rate=RATE, bin_budget_frac=_BIN_SHARE, n_jobs=1,
        epsilon=_knob(wanted, delta), delta=delta,
    )  # fmt: skip
    # The library needs rows of both classes. These two are the same whoever else is there.
    both = np.array([0, 1], np.int64)
    last = np.array([[one - 1 for one in kept.places]] * 2)
    table = np.vstack([np.column_stack(kept.codes), last]).astype(np.float64)
    classes = np.append((kept.target == TARGET_UNIT).astype(np.int64), both)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", FutureWarning)
        machine.fit(table, classes)
    spent = rows_each**2 * _precision(
        machine.noise_scale_binning_, machine.noise_scale_boosting_, len(kept.codes)
    )
    if spent > price(epsilon, delta).events[0].values[0] ** -2 * (1 + 1e-9):
        raise InternalError("the library drew less noise than was asked of it")
    terms = tuple(
        _term(domain, at, machine.bins_[at][0], machine.term_scores_[at], kept.places[at])
        for at in range(len(kept.places))
    )
    model = AdditiveModel(float(np.ravel(machine.intercept_)[0]), terms, domain.target)
    return Trained(model, cost, 0.0, kept.rows)


def price(epsilon: float, delta: float) -> Cost:
    """What a training costs. Raises: ValidationError."""
    check_promise(epsilon, delta)
    return Cost.gaussian(1 / math.sqrt(_precision_for(epsilon, delta)))


def _term(
    domain: Domain, at: int, cuts: NDArray[np.float64], scores: NDArray[np.float64], places: int
) -> Term:
    """The library's bins, written out for each place."""
    found = scores[1 + np.searchsorted(cuts, np.arange(places), side="right")]
    feature, each = domain.features[at], tuple(float(one) for one in found)
    if isinstance(feature, Category):
        return Term(feature.name, each, (), feature.values)
    return Term(feature.name, each, tuple(float(one) for one in feature.cuts()))


def _precision(binning: float, boosting: float, features: int) -> float:
    """Of all noise together, against one row: what a Gaussian of 1/sqrt of it costs.

    A row changes each column's counts by 1, and in each round and column one sum by `RATE`.
    """
    return features * binning**-2 + ROUNDS * features * (RATE / boosting) ** 2


@lru_cache(maxsize=64)
def _precision_for(epsilon: float, delta: float) -> float:
    """The largest precision, rounded down, of a Gaussian that keeps (epsilon, delta)."""
    low, high = 0.01, 1e7
    for _ in range(40):
        middle = math.sqrt(low * high)
        low, high = (
            (low, middle) if epsilon_of(Cost.gaussian(middle), delta) <= epsilon else (middle, high)
        )
        if high < low * 1.001:
            break
    return high**-2


@lru_cache(maxsize=64)
def _knob(precision: float, delta: float) -> float:
    """The epsilon to ask the library for, so that its two noises have this precision together.

    It calibrates each to a share of epsilon and half of delta.
    """
    from interpret.utils._privacy import calc_gdp_noise_multi

    low, high = 1e-6, 400.0
    for _ in range(60):
        middle = math.sqrt(low * high)
        found = sum(
            calc_gdp_noise_multi(1, middle * share, delta / 2) ** -2
            for share in (_BIN_SHARE, 1 - _BIN_SHARE)
        )
        low, high = (middle, high) if found <= precision else (low, middle)
    return low
