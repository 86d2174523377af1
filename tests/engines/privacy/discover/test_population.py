"""Who is alone in the sample, and who in the population."""

import numpy as np
import pytest

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
