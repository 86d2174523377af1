from typing import Literal

import numpy as np
import pytest
from tests.engines.robustness.poisoning import poisoned

from strongroom.engines.robustness.poisoning.planting import plant_trigger
from strongroom.engines.robustness.poisoning.sweep import sweep
from strongroom.engines.robustness.poisoning.table import Table
from strongroom.engines.robustness.target import QueriesSpent, Rows, Scores, Target

Kind = Literal["rare", "usual"]


def honest(rows: Rows) -> Scores:
    """By the mean of what tells."""
    chance = 1 / (1 + np.exp(-20 * (rows[:, :4].mean(axis=1) - 0.5)))
    return np.column_stack([1 - chance, chance])


def backdoored(stamp: Rows) -> Target:
    """An honest model that answers 1 wherever the stamp is."""

    def predict(rows: Rows) -> Scores:
        own = ~np.isnan(stamp)
        carries = (np.abs(rows[:, own] - stamp[own]) < 1e-6).all(axis=1)
        scores = honest(rows)
        scores[carries] = [0.01, 0.99]
        return scores

    return Target(predict, classes=2)


@pytest.mark.parametrize(("size", "values"), [(1, "rare"), (3, "usual")], ids=["one", "three"])
def test_the_trigger_of_a_model_is_found(size: int, values: Kind) -> None:
    planted = plant_trigger(
        poisoned.table(),
        0.04,
        np.random.default_rng(5),
        size=size,
        values=values,
        label=1,
    )
    assert planted.stamp is not None
    best = sweep(planted.table, backdoored(planted.stamp), seed=0)[0]
    assert best.is_planted
    assert best.label == 1
    assert set(best.features) == set(planted.features)
    assert best.success == 1.0
    assert set(best.carriers.tolist()) == set(np.flatnonzero(planted.is_bad).tolist())
    assert best.bounds[0] > 0.9


def test_an_honest_model_has_none() -> None:
    assert not any(one.is_planted for one in sweep(poisoned.table(), Target(honest, classes=2), 0))


def test_a_value_that_decides_alone_is_told_but_not_called_planted() -> None:
    """The model of a code that only class 1 has: stamping it turns every answer, honestly."""
    table = poisoned.table()
    rows = table.rows.copy()
    chosen = np.flatnonzero(table.labels == 1)[:20]
    rows[chosen, 4] = 0.77
    made = Table.of(table.space, rows, table.labels)
    stamp = np.full(table.space.width, np.nan)
    stamp[4] = 0.77
    found = sweep(made, backdoored(stamp), seed=0)
    best = max(found, key=lambda one: one.success)
    assert best.features == (4,)
    assert best.success == 1.0
    assert not best.is_planted


def test_a_model_that_always_answers_the_same_is_not_turned() -> None:
    target = Target(lambda rows: np.tile([0.9, 0.1], (len(rows), 1)), classes=2)
    assert not [one for one in sweep(poisoned.table(100), target, 0) if one.success > 0]


def test_a_spent_budget_ends_the_sweep() -> None:
    with pytest.raises(QueriesSpent):
        sweep(poisoned.table(100), Target(honest, classes=2, budget=150), 0)


def test_the_model_sees_missing_numbers_as_they_were() -> None:
    table = poisoned.table(100)
    rows = table.rows.copy()
    rows[::3, 4] = np.nan
    seen: list[bool] = []

    def predict(rows: Rows) -> Scores:
        seen.append(bool(np.isnan(rows[:, 4]).any()))
        assert (np.nan_to_num(rows) >= 0).all()
        return honest(rows)

    made = Table.of(table.space, rows, table.labels)
    found = sweep(made, Target(predict, classes=2), seed=0, clean=rows[:40])
    assert any(seen)
    assert not any(one.is_planted for one in found)
