"""Who is alone in the sample, and who in the population."""

import numpy as np
import pytest
from scipy.optimize import minimize
from scipy.special import gammaln

from strongroom.engines.privacy.discover.population import population_share


def group_sizes(values: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> np.ndarray:
    """How often each value occurs."""
    return np.unique(values, return_counts=True)[1]


def test_the_whole_table_is_counted() -> None:
    assert population_share(np.array([1, 1, 3]), 5) == pytest.approx(0.4)
    assert population_share(np.array([1, 1]), 1_000) == 1.0
    assert population_share(np.array([2, 3]), 1_000) == 0.0


@pytest.mark.parametrize(("alpha", "theta"), [(0.3, 50.0), (0.6, 20.0), (0.8, 5.0)])
def test_populations_of_the_model(alpha: float, theta: float) -> None:
    # Drawn by the Chinese restaurant process, whose partitions Pitman's formula describes.
    random = np.random.default_rng(3)
    counts: list[int] = []
    people: list[int] = []
    for number in range(20_000):
        if random.random() < (theta + alpha * len(counts)) / (theta + number):
            counts.append(0)
            chosen = len(counts) - 1
        else:
            # A group of size c is joined with probability in proportion to c - alpha.
            while True:
                chosen = people[random.integers(number)]
                if random.random() < 1 - alpha / counts[chosen]:
                    break
        counts[chosen] += 1
        people.append(chosen)
    population = np.array(people)
    true = np.count_nonzero(group_sizes(population) == 1) / len(population)
    sample = random.choice(population, 2_000, replace=False)
    estimated = population_share(group_sizes(sample), len(population))
    alone = np.count_nonzero(group_sizes(sample) == 1) / len(sample)
    assert abs(estimated - true) < 0.25 * true + 0.01
    assert abs(estimated - true) < abs(alone - true)


def test_the_fit_is_at_the_top_of_the_ridge() -> None:
    """Against SciPy's search from several starts; a grid of both parameters stopped ten nats below.

    The groups have a long tail, as those of people's dates of birth and places have.
    """
    sizes = 1 + np.random.default_rng(5).negative_binomial(0.4, 0.05, 12_000)
    person = np.repeat(np.arange(len(sizes)), sizes)
    drawn = np.random.default_rng(6).choice(person, len(person) // 20, replace=False)
    seen = np.unique(drawn, return_counts=True)[1]
    people, groups = int(seen.sum()), len(seen)
    steps = np.arange(1, groups)
    values, times = np.unique(seen, return_counts=True)

    def lost(alpha: float, theta: float) -> float:
        inside = times @ (gammaln(values - alpha) - gammaln(1 - alpha))
        whole = np.log(theta + steps * alpha).sum() - gammaln(theta + people) + gammaln(theta + 1)
        return -float(whole + inside)

    best = min(
        (
            minimize(lambda p: lost(1 / (1 + np.exp(-p[0])), np.exp(p[1])), start,
                     method="Nelder-Mead", options={"xatol": 1e-8, "fatol": 1e-8})
            for start in ((0.0, 3.0), (-3.0, 8.0), (2.0, 1.0))
        ),
        key=lambda found: float(found.fun),
    )  # fmt: skip
    alpha, theta = 1 / (1 + np.exp(-best.x[0])), np.exp(best.x[1])
    count = len(person)
    expected = np.exp(
        gammaln(theta + 1) - gammaln(theta + alpha)
        + gammaln(theta + alpha + count - 1) - gammaln(theta + count)
    )  # fmt: skip
    assert population_share(seen, count) == pytest.approx(expected, rel=0.01)
    assert population_share(seen, count) == pytest.approx(np.mean(sizes[person] == 1), rel=0.15)
