"""Noise on whole numbers, drawn by OpenDP, and how much of it a promise needs.

The discrete Gaussian is exact: no floating-point number, whose gaps would tell what was added to
(Mironov 2012; Canonne, Kamath & Steinke 2020), stands between the data and what is released. Its
randomness is the operating system's; there is no seed, and none is kept.
"""

import math
from collections.abc import Callable
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.privacy.dp.accounting import (
    MAX_EPSILON,
    MAX_RHO,
    MIN_DELTA,
    Cost,
    epsilon,
)
from strongroom.engines.privacy.dp.query import MAX_DELTA
from strongroom.errors import ValidationError

Whole = NDArray[np.int64]
MAX_SCALE = float(1 << 55)
"""Beyond it, noise and sums might not fit into 64 bits."""


def gaussian(sensitivity: int, rho: float) -> Callable[[Whole], Whole]:
    """A function that adds noise to whole numbers of which one person changes little.

    Args:
        sensitivity: the most, as Euclidean length, by which one person changes all numbers.
        rho: what each call costs, in zCDP.
    Raises: ValidationError, where the noise would not fit into 64 bits.
    """
    from opendp.measurements import make_gaussian

    scale = sensitivity / math.sqrt(2 * rho)
    if not 0 < scale < MAX_SCALE:
        raise ValidationError(
            "the noise would be larger than what can be counted",
            next_step="spend more epsilon, or let each person contribute fewer rows",
        )
    measurement: Any = make_gaussian(*_space(), scale=scale)
    # Rounding may have made it a little dearer; OpenDP's own figure rounds up.
    while float(measurement.map(float(sensitivity))) > rho:
        scale *= 1 + 1e-12
        measurement = make_gaussian(*_space(), scale=scale)

    def noisy(values: Whole) -> Whole:
        return np.asarray(measurement(np.ascontiguousarray(values, np.int64)), np.int64)

    return noisy


@lru_cache(maxsize=1)
def _space() -> tuple[Any, Any]:
    from opendp.domains import atom_domain, vector_domain
    from opendp.metrics import l2_distance
    from opendp.mod import enable_features

    enable_features("contrib")
    return vector_domain(atom_domain(T="i64")), l2_distance(T="f64")


def rho_for(epsilon_wanted: float, delta: float) -> float:
    """The largest rho, rounded down, whose zCDP keeps (epsilon, delta).

    Raises: ValidationError: an epsilon not in (0, 100], or a delta outside [1e-12, 0.01].
    """
    check_promise(epsilon_wanted, delta)
    return _rho_for(epsilon_wanted, delta)


@lru_cache(maxsize=64)
def _rho_for(wanted: float, delta: float) -> float:
    # rho + 2 sqrt(rho log(1/delta)) is an epsilon of rho-zCDP (Bun & Steinke 2016, 3.5): where
    # that is the wanted one, rho is sound, and the best lies above it.
    log = -math.log(delta)
    low = (math.sqrt(log + wanted) - math.sqrt(log)) ** 2
    high = min(4 * low, MAX_RHO)
    while epsilon(Cost.zcdp(low), delta) > wanted:  # the grid of the accounting rounds up
        low /= 2
    for _ in range(12):
        middle = (low + high) / 2
        low, high = (middle, high) if epsilon(Cost.zcdp(middle), delta) <= wanted else (low, middle)
    return low


def check_promise(epsilon_wanted: float, delta: float) -> None:
    """Raises: ValidationError: an epsilon not in (0, 100], or a delta outside [1e-12, 0.01]."""
    if not (math.isfinite(epsilon_wanted) and 0 < epsilon_wanted <= MAX_EPSILON):
        raise ValidationError(f"epsilon is above 0 and at most {MAX_EPSILON:g}")
    if not MIN_DELTA <= delta <= MAX_DELTA:
        # With more, to show one row in a hundred as it is would keep the promise.
        raise ValidationError(
            f"delta is between {MIN_DELTA:g} and {MAX_DELTA:g}",
            next_step="take less than one over the number of people, such as 1e-6",
        )
