"""OpenDP's mechanisms, as far as the queries use them: every random draw of a query is here.

All take whole numbers, so that no rounding of a double can tell of the data (Mironov 2012;
Casacuberta et al. 2022), and sample exactly (Canonne, Kamath & Steinke 2020; McKenna & Sheldon
2020). What a measurement costs is what its own privacy map says, never a formula of ours; a scale
that a formula proposes is raised until the map agrees. Built measurements are kept: building one
takes as long as using it.
"""

import math
from collections.abc import Sequence
from enum import StrEnum
from functools import cache, lru_cache
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from strongroom.errors import DpBudgetError, InternalError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MAX_SCALE = 2.0**57
"""Of noise on whole numbers of 64 bits: so that it is not cut off at their end."""
_NUDGES = 60
_MAX_THRESHOLD = 1 << 50


class Noise(StrEnum):
    """The family of noise of a query, and with it what its losses are counted in."""

    LAPLACE = "laplace"
    """Pure: losses are epsilons."""
    GAUSSIAN = "gaussian"
    """Concentrated: losses are rhos (Bun & Steinke 2016)."""


@cache
def _opendp() -> SimpleNamespace:
    """OpenDP's modules, loaded when the first noise is drawn."""
    import opendp.accuracy
    import opendp.combinators
    import opendp.domains
    import opendp.measurements
    import opendp.measures
    import opendp.metrics
    import opendp.mod

    # "contrib": the mechanisms whose proofs OpenDP has not yet vetted in full, which are all.
    opendp.mod.enable_features("contrib")
    return SimpleNamespace(
        accuracy=opendp.accuracy, combinators=opendp.combinators, domains=opendp.domains,
        measurements=opendp.measurements, measures=opendp.measures, metrics=opendp.metrics,
        error=opendp.mod.OpenDPException,
    )  # fmt: skip


def warm_up() -> None:
    """Load OpenDP now rather than with the first answer."""
    _opendp()


# ---- noise on vectors of whole numbers ----


@lru_cache(maxsize=512)
def _adding(noise: Noise, scale: float) -> Any:  # noqa: ANN401 # OpenDP's type says nothing
    dp = _opendp()
    domain = dp.domains.vector_domain(dp.domains.atom_domain(T="i64"))
    if noise is Noise.LAPLACE:
        return dp.measurements.make_laplace(domain, dp.metrics.l1_distance(T="i64"), scale)
    return dp.measurements.make_gaussian(domain, dp.metrics.l2_distance(T="f64"), scale)


@lru_cache(maxsize=1024)
def adding_scale(noise: Noise, l1: int, l2: float, loss: float) -> tuple[float, float]:
    """The least scale of noise whose loss is at most `loss`, and its loss.

    Args:
        l1: the most by which one person changes the numbers, all changes added.
        l2: the root of the most by which they change them, all squares added.

    Raises: DpBudgetError, where the noise would be larger than the numbers can hold.
    """
    if noise is Noise.LAPLACE:
        return _fitted(l1 / loss, lambda scale: _adding(noise, scale).map(l1), loss)
    return _fitted(l2 / math.sqrt(2 * loss), lambda scale: _adding(noise, scale).map(l2), loss)


def with_noise(noise: Noise, scale: float, numbers: "NDArray[np.int64]") -> "NDArray[np.int64]":
    """The numbers, each with its own noise."""
    if not numbers.size:
        return numbers
    drawn = _drawn(_adding(noise, scale), numbers.ravel().tolist())
    return np.array(drawn, np.int64).reshape(numbers.shape)


# ---- choosing the best of some candidates ----


@lru_cache(maxsize=512)
def _choosing(noise: Noise, scale: float) -> Any:  # noqa: ANN401 # OpenDP's type says nothing
    dp = _opendp()
    domain = dp.domains.vector_domain(dp.domains.atom_domain(T="i64"))
    measure = (
        dp.measures.max_divergence()
        if noise is Noise.LAPLACE
        else dp.measures.zero_concentrated_divergence()
    )
    metric = dp.metrics.linf_distance(T="i64")
    return dp.measurements.make_noisy_max(domain, metric, measure, scale, negate=True)


@lru_cache(maxsize=1024)
def choosing_scale(noise: Noise, linf: int, loss: float) -> tuple[float, float]:
    """The least scale of a choice whose loss is at most `loss`, and its loss.

    Args:
        linf: the most by which one person changes any score.
    """
    first = 2 * linf / loss if noise is Noise.LAPLACE else 2 * linf / math.sqrt(8 * loss)
    return _fitted(first, lambda scale: _choosing(noise, scale).map(linf), loss)


def chosen(noise: Noise, scale: float, scores: "NDArray[np.int64]") -> int:
    """The place of a score that is about the least."""
    return int(_drawn(_choosing(noise, scale), scores.tolist()))


# ---- keys that only the data knows ----


@lru_cache(maxsize=512)
def _releasing(noise: Noise, scale: float, threshold: int) -> Any:  # noqa: ANN401 # as above
    dp = _opendp()
    domain = dp.domains.map_domain(dp.domains.atom_domain(T="i64"), dp.domains.atom_domain(T="i64"))
    inner = dp.metrics.absolute_distance(T="i64")
    if noise is Noise.LAPLACE:
        return dp.measurements.make_laplace_threshold(
            domain, dp.metrics.l01inf_distance(inner), scale, threshold
        )
    return dp.measurements.make_gaussian_threshold(
        domain, dp.metrics.l02inf_distance(inner), scale, threshold
    )


@lru_cache(maxsize=512)
def releasing_scale(
    noise: Noise, groups: int, loss: float, delta: float
) -> tuple[float, int, tuple[float, float]]:
    """Scale and threshold for counts of people whose keys are not known, and what they cost.

    A key is released where its noisy count passes the threshold; a key that one person alone
    brought does so with a chance that delta bounds (Rogers 2023).

    Args:
        groups: that one person is counted in, once each.

    Returns: scale, threshold, and the loss with its delta.
    """
    scale, _ = adding_scale(noise, groups, math.sqrt(groups), loss)

    def cost(threshold: int) -> tuple[float, float]:
        # As many groups, in all and by L1 or L2, which the map itself bounds by their number.
        found = _releasing(noise, scale, threshold).map((groups, groups, 1))
        return float(found[0]), float(found[1])

    high = 2
    while cost(high)[1] > delta:
        high *= 2
        if high > _MAX_THRESHOLD:
            raise DpBudgetError("no threshold keeps so small a delta at so small an epsilon")
    low = high // 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if cost(middle)[1] <= delta else (middle, high)
    return scale, high, cost(high)


def released(noise: Noise, scale: float, threshold: int, counts: Sequence[int]) -> dict[int, int]:
    """Places of the counts that pass the threshold with their noise, and these noisy counts.

    OpenDP 0.16 releases a count that meets the threshold, but leaves that chance out of delta
    (its issue 2922): so a count must be above it, not at it.
    """
    if not counts:
        return {}
    given = dict(enumerate(counts))
    found = dict(_drawn(_releasing(noise, scale, threshold), given))
    return {place: count for place, count in found.items() if count > threshold}


# ---- all of them ----


@lru_cache(maxsize=256)
def rho_of(epsilon: float, delta: float) -> float:
    """About the largest rho whose zCDP promises (epsilon, delta), and no larger one.

    OpenDP turns one into the other (Canonne, Kamath & Steinke 2020); here it is asked until the
    epsilon is just below the one that is wanted.
    """
    # Bun & Steinke 2016, proposition 1.3, promises less than is true, so it is below.
    low = (math.sqrt(epsilon - math.log(delta)) - math.sqrt(-math.log(delta))) ** 2
    high = 2 * low
    while _epsilon_of(high, delta) <= epsilon:
        low, high = high, 2 * high
    for _ in range(_NUDGES):
        middle = math.sqrt(low * high)
        found = _epsilon_of(middle, delta)
        low, high = (middle, high) if found <= epsilon else (low, middle)
        if high <= low * (1 + 1e-5):
            break
    return low


def _epsilon_of(rho: float, delta: float) -> float:
    dp = _opendp()
    adding = _adding(Noise.GAUSSIAN, 1 / math.sqrt(2 * rho))
    return float(dp.combinators.make_zCDP_to_approxDP(adding).map(1.0).epsilon(delta))


def _fitted(first: float, loss_of: Any, most: float) -> tuple[float, float]:  # noqa: ANN401 # OpenDP's
    """The first scale from `first` on that costs at most `most`."""
    scale = first
    for _ in range(_NUDGES):
        if not scale <= MAX_SCALE:
            break
        cost = float(loss_of(scale))
        if cost <= most:
            return scale, cost
        scale *= 1 + 2.0**-50
    raise DpBudgetError("the noise would be larger than 64 bits hold")


def _drawn(measurement: Any, value: Any) -> Any:  # noqa: ANN401 # OpenDP's types say nothing
    try:
        return measurement(value)
    except _opendp().error as error:
        raise InternalError("noise could not be drawn") from error


def count_error(noise: Noise, scale: float, miss: float) -> int:
    """The most by which noise on whole numbers is off, but for a chance of `miss`."""
    accuracy = _opendp().accuracy
    if noise is Noise.LAPLACE:
        return math.ceil(float(accuracy.discrete_laplacian_scale_to_accuracy(scale, miss))) - 1
    if scale > _CONTINUOUS:
        return math.ceil(float(accuracy.gaussian_scale_to_accuracy(scale, miss)))
    return math.ceil(float(accuracy.discrete_gaussian_scale_to_accuracy(scale, miss))) - 1


_CONTINUOUS = 1000.0
"""From this scale on, the discrete Gaussian's quantiles are the Gaussian's."""
