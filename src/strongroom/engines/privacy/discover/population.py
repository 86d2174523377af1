"""From a sample to its population: how many people are alone there too."""

import math
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

_ROUNDS, _GRID, _THIRDS = 4, 12, 24
_Numbers: TypeAlias = "npt.NDArray[np.float64]"
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
    """Alpha in (0, 1) and theta > 0 of the greatest likelihood.

    The likelihood has a long ridge along which both fall or rise: a grid of both misses its top.
    For each alpha of a grid that closes in, the best theta is sought by thirds instead.
    """
    counts = np.bincount(sizes)
    occurring = np.flatnonzero(counts)
    groups = len(sizes)

    def likelihood(a: _Numbers, logs: _Numbers) -> _Numbers:
        # log of  prod_{i<u} (theta + i alpha) / prod_{i<n} (theta + i)
        t = np.exp(logs)
        return np.asarray(
            (groups - 1) * np.log(a)
            + _log_gamma(t / a + groups)
            - _log_gamma(t / a + 1)
            - _log_gamma(t + people)
            + _log_gamma(t + 1)
        )

    lowest, highest = math.log(_LEAST_THETA), math.log(people) + math.log(1 / _LEAST_THETA)
    start, end = _LEAST, _MOST
    alpha = theta = 0.0
    for _ in range(_ROUNDS):
        alphas = np.linspace(start, end, _GRID)
        low, high = np.full(_GRID, lowest), np.full(_GRID, highest)
        for _ in range(_THIRDS):
            first, second = low + (high - low) / 3, high - (high - low) / 3
            is_right = likelihood(alphas, first) < likelihood(alphas, second)
            low, high = np.where(is_right, first, low), np.where(is_right, high, second)
        # ... and of prod_groups prod_{j<size} (j - alpha), which theta has no part in.
        inside = _log_gamma(occurring[None, :] - alphas[:, None]) - _log_gamma(1 - alphas)[:, None]
        logs = (low + high) / 2
        best = int(np.argmax(likelihood(alphas, logs) + inside @ counts[occurring]))
        alpha, theta = float(alphas[best]), math.exp(logs[best])
        start, end = alphas[max(best - 1, 0)], alphas[min(best + 1, _GRID - 1)]
    return alpha, theta


def _log_gamma(values: "npt.NDArray[np.float64 | np.int64]") -> "npt.NDArray[np.float64]":
    """Of each value above 0. That of SciPy is faster and takes half a second to import."""
    return np.asarray(_lgamma(values), dtype=np.float64)
