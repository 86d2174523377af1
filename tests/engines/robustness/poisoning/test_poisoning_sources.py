from itertools import combinations
from math import comb

import numpy as np
import pytest
from tests.engines.robustness.poisoning import poisoned

from strongroom.engines.robustness.poisoning.comparison import paired_bounds, retrain_without
from strongroom.engines.robustness.poisoning.folds import standardized
from strongroom.engines.robustness.poisoning.planting import plant_flips
from strongroom.engines.robustness.poisoning.sources import judge_sources, knn_shapley
from strongroom.engines.robustness.poisoning.table import Table
from strongroom.engines.robustness.recipes import reference
from strongroom.engines.robustness.space import Space
from strongroom.errors import ValidationError

LOGISTIC = reference("logistic", 2)


def by_hand(table: Table, judges: Table, neighbours: int) -> "np.ndarray":
    """Shapley values by their definition, over all subsets."""
    both = standardized(np.concatenate([table.rows, judges.rows]))
    rows, asked = both[: len(table)], both[len(table) :]

    def worth(subset: tuple[int, ...]) -> float:
        total = 0.0
        for row, label in zip(asked, judges.labels, strict=True):
            order = sorted(subset, key=lambda at: ((rows[at] - row) ** 2).sum())[:neighbours]
            total += sum(table.labels[at] == label for at in order) / neighbours
        return total / len(judges)

    count = len(table)
    values = np.zeros(count)
    for one in range(count):
        others = [at for at in range(count) if at != one]
        for size in range(count):
            for subset in combinations(others, size):
                gain = worth((*subset, one)) - worth(subset)
                values[one] += gain / count / comb(count - 1, size)
    return values


@pytest.mark.parametrize("neighbours", [1, 3, 9])
def test_shapley_values_are_those_of_the_definition(neighbours: int) -> None:
    rng = np.random.default_rng(neighbours)
    table = Table.of(Space.box(2), rng.random((7, 2)), rng.integers(0, 2, 7), classes=2)
    judges = Table.of(Space.box(2), rng.random((3, 2)), rng.integers(0, 2, 3), classes=2)
    assert np.allclose(knn_shapley(table, judges, neighbours), by_hand(table, judges, neighbours))


def with_bad_source(share: float) -> Table:
    names = np.random.default_rng(3).choice(["a", "b", "c"], 400)
    table = poisoned.table(400, sources=names.tolist())
    own = np.flatnonzero(names == "c")
    flipped = plant_flips(table.part(own), share, np.random.default_rng(0))
    labels = table.labels.copy()
    labels[own] = flipped.table.labels
    return table.with_labels(labels)


def test_the_source_that_flips_labels_is_found() -> None:
    table = with_bad_source(0.4)
    truth = poisoned.table(400)
    suspects = table.labels != truth.labels
    found = judge_sources(table, suspects, LOGISTIC, seed=0, held=poisoned.table(400, seed=9))
    worst = found[0]
    assert worst.name == "c"
    assert worst.is_doubtful
    values = {one.name: one.value for one in found if one.value is not None}
    assert min(values, key=lambda name: values[name]) == "c"
    assert not any(one.is_suspect for one in found[1:])
    assert worst.without is not None


def test_honest_sources_are_not_in_doubt() -> None:
    rng = np.random.default_rng(1)
    table = with_bad_source(0.0)
    found = judge_sources(table, rng.random(400) < 0.03, LOGISTIC, seed=0)
    assert len(found) == 3
    assert not any(one.is_suspect for one in found)
    assert all(one.without is not None and one.without.low < 0.02 for one in found)


def test_without_sources_there_is_nothing_to_judge() -> None:
    assert judge_sources(poisoned.table(50), np.zeros(50, bool), LOGISTIC, seed=0) == []


def test_a_model_is_better_without_its_wrong_labels() -> None:
    planted = plant_flips(poisoned.table(300), 0.4, np.random.default_rng(0), "targeted")
    held = poisoned.table(1_000, seed=9)
    found = retrain_without(planted.table, planted.is_bad, held, LOGISTIC, seed=0, fits=1)
    assert found.gain > 0.02
    assert found.low > 0
    assert found.after == pytest.approx(found.before + found.gain)
    assert found.removed == planted.is_bad.sum()


def test_something_must_be_left() -> None:
    table = poisoned.table(30)
    with pytest.raises(ValidationError):
        retrain_without(table, np.ones(30, bool), table, LOGISTIC, seed=0)
    with pytest.raises(ValidationError, match="one class"):
        retrain_without(table, table.labels == 1, table, LOGISTIC, seed=0)


def test_paired_bounds_hold_the_truth() -> None:
    rng = np.random.default_rng(0)
    held = 0
    for trial in range(100):
        before = rng.random(200) < 0.8
        after = np.where(rng.random(200) < 0.1, rng.random(200) < 0.9, before)
        low, high = paired_bounds(before, after, trial)
        held += low <= 0.1 * 0.1 <= high
    assert held >= 90
