"""From a sample to its population: how many people are alone there too."""

import math

import numpy as np
import numpy.typing as npt

_ROUNDS, _GRID = 4, 24
_LEAST_THETA = 1e-3
_LEAST, _MOST = 1e-6, 1.0 - 1e-6
_lgamma = np.frompyfunc(math.lgamma, 1, 1)


def population_share(sizes: "npt.NDArray[np.int64]", population: int) -> float:
    """Share of a population's people who have a combination of values of their own.

    The groups of the sample are taken as a draw from Pitman's sampling formula, the two
    parameters fitted by maximum likelihood; the share in the population is the expectation under
    it. Where the sample is the population, its own share is given.

    Args:
        sizes: people in each group of the sample, each at least 1.
        population: people in all, at least as many as in the sample.
    Source: Pitman 1995, "Exchangeable and partially exchangeable random partitions"; used for
        disclosure risk by Hoshino 2001, "Applying Pitman's sampling formula to microdata
        disclosure risk assessment", Journal of Official Statistics 17.
    """
    people = int(sizes.sum())
    alone = int(np.count_nonzero(sizes == 1))
    if population <= people or alone == 0:
        return alone / people
    if alone == people:  # no likelihood has a maximum: everybody may stay alone
        return 1.0
    alpha, theta = _fitted(sizes, people)
    log_share = (
        math.lgamma(theta + 1)
        - math.lgamma(theta + alpha)
        + math.lgamma(theta + alpha + population - 1)
        - math.lgamma(theta + population)
    )
    return min(alone / people, math.exp(log_share))


def _fitted(sizes: "npt.NDArray[np.int64]", people: int) -> tuple[float, float]:
    """Alpha in (0, 1) and theta > 0 of the greatest likelihood, on a grid that closes in."""
    counts = np.bincount(sizes)
    occurring = np.flatnonzero(counts)
    groups = len(sizes)
    low = np.array([_LEAST, math.log(_LEAST_THETA)])
    high = np.array([_MOST, math.log(people) + math.log(1 / _LEAST_THETA)])
    alpha = theta = 0.0
    for _ in range(_ROUNDS):
        alphas, logs = (np.linspace(low[at], high[at], _GRID) for at in (0, 1))
        a, t = alphas[:, None], np.exp(logs)[None, :]
        # log of  prod_{i<u} (theta + i alpha) / prod_{i<n} (theta + i)
        #         prod_groups prod_{j<size} (j - alpha)
        total = (
            (groups - 1) * np.log(a)
            + _log_gamma(t / a + groups)
            - _log_gamma(t / a + 1)
            - _log_gamma(t + people)
            + _log_gamma(t + 1)
        )
        inside = _log_gamma(occurring[None, :] - a) - _log_gamma(1 - a)
        total = total + (inside @ counts[occurring])[:, None]
        first, second = np.unravel_index(int(np.argmax(total)), total.shape)
        alpha, theta = float(alphas[first]), float(np.exp(logs[second]))
        best = np.array([alphas[first], logs[second]])
        reach = 2.0 * (high - low) / (_GRID - 1)
        low = np.maximum(low, best - reach)
        high = np.minimum(high, best + reach)
    return alpha, theta


def _log_gamma(values: "npt.NDArray[np.float64 | np.int64]") -> "npt.NDArray[np.float64]":
    """Of each value above 0. That of SciPy is faster and takes half a second to import."""
    return np.asarray(_lgamma(values), dtype=np.float64)
