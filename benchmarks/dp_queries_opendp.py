"""The queries of `dp_queries` as OpenDP answers them, in the way of its documentation.

It has no mean and no variance of a table whose number of rows is private: the mean is made of a
sum and a count, each for half of epsilon, as its guide does; of the variance, and once more of the
mean, it takes the number of rows as public (`SIZED`). Values come as NumPy arrays, which is the
fastest that it takes: lists cost it a hundred times as much.
"""

from collections.abc import Callable, Sequence
from typing import Any, cast

import numpy as np
import opendp.prelude as dp
from numpy.typing import NDArray

Ways = dict[str, Callable[[float], Sequence[float]]]
"""For each query what asks it at an epsilon, and gives its numbers in a fixed order."""

LOWER, UPPER = 0, 100


def opendp_ways(
    ages: NDArray[np.int32], older: NDArray[np.int32], levels: NDArray[np.int32], delta: float,
    bins: Sequence[int],
) -> Ways:  # fmt: skip
    """OpenDP's answers, with the number of rows private.

    Args:
        older: the rows that are counted.
        levels: of education, as numbers from 0 on.
        delta: for groups that only the data knows.
    """
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T="i32")), dp.symmetric_distance()
    clamped: Any = space >> dp.t.then_clamp((LOWER, UPPER))
    groups = [ages[levels == level] for level in range(int(levels.max()) + 1)]

    def counted(epsilon: float, rows: NDArray[np.int32] = older) -> float:
        return float((space >> dp.t.then_count() >> dp.m.then_laplace(1 / epsilon))(rows))

    def summed(epsilon: float, rows: NDArray[np.int32] = ages) -> float:
        sums = clamped >> cast("Any", dp.t).then_sum()
        return float((sums >> dp.m.then_laplace(float(sums.map(1)) / epsilon))(rows))

    def averaged(epsilon: float, rows: NDArray[np.int32] = ages) -> float:
        return summed(epsilon / 2, rows) / max(counted(epsilon / 2, rows), 1)

    def quantile(share: float) -> Callable[[float], Sequence[float]]:
        candidates = list(range(LOWER, UPPER + 1))
        scored = space >> dp.t.then_quantile_score_candidates(candidates, share)

        def chosen(epsilon: float) -> Sequence[float]:
            scale = 2 * scored.map(1) / epsilon
            pick = scored >> dp.m.then_noisy_max(dp.max_divergence(), scale, negate=True)
            return [float(candidates[pick(ages)])]

        return chosen

    def by_bins(epsilon: float) -> Sequence[float]:
        # No transformation of its counts numbers into bins: they are numbered before it.
        places = (np.searchsorted(np.array(bins), ages, side="right") - 1).astype(np.int32)
        return _by_category(space, places, len(bins) - 1, epsilon)

    return {
        "count": lambda epsilon: [counted(epsilon)],
        "sum": lambda epsilon: [summed(epsilon)],
        "mean": lambda epsilon: [averaged(epsilon)],
        "median": quantile(0.5),
        "quantile .9": quantile(0.9),
        "histogram": by_bins,
        "groups, known": lambda epsilon: _by_category(space, levels, len(groups), epsilon),
        "groups, unknown": _by_threshold(space, levels, len(groups), delta),
        "means of groups": lambda epsilon: [averaged(epsilon, rows) for rows in groups],
    }


def sized_ways(ages: NDArray[np.int32]) -> Ways:
    """Mean and variance, with the number of rows public: neighbours differ by a changed row."""
    dp.enable_features("contrib")
    floats = ages.astype(np.float64)
    domain = dp.vector_domain(
        dp.atom_domain(bounds=(float(LOWER), float(UPPER)), nan=False), size=len(ages)
    )
    space = domain, dp.symmetric_distance()
    found: Ways = {}
    for name, made in (("mean", dp.t.then_mean()), ("variance", dp.t.then_variance())):
        exact: Any = space >> made

        def asked(epsilon: float, exact: Any = exact) -> Sequence[float]:  # noqa: ANN401 # OpenDP's own type
            # A changed row is one less and one more: a distance of 2.
            noisy = exact >> dp.m.then_laplace(float(exact.map(2)) / epsilon)
            return [float(noisy(floats))]

        found[name] = asked
    return found


def _by_category(space: Any, codes: NDArray[np.int32], count: int, epsilon: float) -> list[float]:  # noqa: ANN401 # OpenDP's own type
    counts = space >> dp.t.then_count_by_categories(list(range(count)), null_category=False)
    noisy = counts >> dp.m.then_laplace(float(counts.map(1)) / epsilon)
    return [float(one) for one in noisy(codes)]


def _by_threshold(
    space: Any, codes: NDArray[np.int32], count: int, delta: float,  # noqa: ANN401 # OpenDP's own type
) -> Callable[[float], Sequence[float]]:  # fmt: skip
    counts = space >> dp.t.then_count_by(TV="i32")
    thresholds: dict[float, int] = {}

    def measurement(epsilon: float, threshold: int) -> Any:  # noqa: ANN401 # OpenDP's own type
        return counts >> dp.m.then_laplace_threshold(scale=1 / epsilon, threshold=threshold)

    def asked(epsilon: float) -> Sequence[float]:
        if epsilon not in thresholds:
            thresholds[epsilon] = dp.binary_search(
                lambda one: measurement(epsilon, one).map(1)[1] <= delta, (2, 1_000)
            )
        shown = measurement(epsilon, thresholds[epsilon])(codes)
        return [float(shown.get(level, 0)) for level in range(count)]

    return asked
