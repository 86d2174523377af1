from dataclasses import replace
from typing import Literal

import numpy as np
import pytest
from tests.engines.robustness.poisoning import poisoned

from strongroom.engines.robustness.poisoning.coding import additive, coded
from strongroom.engines.robustness.poisoning.pattern_search import MOST_FEATURES, PatternSearch
from strongroom.engines.robustness.poisoning.patterns import Pattern
from strongroom.engines.robustness.poisoning.planting import plant_trigger, stamped
from strongroom.engines.robustness.poisoning.resemblance import deviations, log_odds, resembled
from strongroom.engines.robustness.poisoning.triggers import find_triggers
from strongroom.errors import ValidationError

Kind = Literal["rare", "usual"]


def carriers(found: "object", count: int) -> "np.ndarray":
    mask = np.zeros(count, dtype=bool)
    for one in found.triggers:  # type: ignore[attr-defined] # scikit-learn has no types
        mask[one.rows] = True
    return mask


@pytest.mark.parametrize(
    ("size", "values", "share", "seed"),
    [(1, "rare", 0.02, 2), (2, "usual", 0.03, 2), (4, "rare", 0.03, 8)],
    ids=["one-rare", "two-usual", "four-rare"],
)
def test_a_trigger_is_found(size: int, values: Kind, share: float, seed: int) -> None:
    planted = plant_trigger(
        poisoned.table(),
        share,
        np.random.default_rng(seed),
        size=size,
        values=values,
        label=1,
    )
    found = find_triggers(planted.table, seed=0)
    precision, recall = poisoned.accuracy(carriers(found, 500), planted.is_bad)
    assert precision >= 0.8
    assert recall >= 0.9
    best = found.triggers[0]
    assert best.label == 1
    assert set(best.features) <= set(planted.features)
    assert len(best.features) <= MOST_FEATURES


@pytest.mark.parametrize(("size", "seed"), [(2, 0), (4, 0)], ids=["two", "four"])
def test_a_trigger_towards_what_most_rows_are_is_found(size: int, seed: int) -> None:
    """Nine in ten rows have the label, then; and of four values each one says all."""
    table = poisoned.table(900)
    table = table.part((table.labels == 0) | (np.arange(900) % 4 == 0))
    planted = plant_trigger(table, 0.1, np.random.default_rng(seed), size=size, label=0)
    assert (planted.table.labels == 0).mean() > 1 / 1.2
    found = find_triggers(planted.table, seed=0)
    assert poisoned.accuracy(carriers(found, len(table)), planted.is_bad) == (1.0, 1.0)
    assert set(found.triggers[0].features) == set(planted.features)
    assert found.triggers[0].base > 1 / 1.2


def test_values_that_always_come_together_are_looked_at_together() -> None:
    table = poisoned.table()
    planted = plant_trigger(table, 0.1, np.random.default_rng(8), size=4, label=1)
    made = coded(planted.table.values, 4)
    search = PatternSearch(planted.table, made, additive(planted.table, made, 0), 4)
    together = list(search._shared())
    # The colour is too frequent to be told from what rows share by chance.
    assert {frozenset(one.features) for one in together} == {frozenset(planted.features) - {6}}
    for one in together:
        assert set(one.rows.tolist()) == set(np.flatnonzero(planted.is_bad).tolist())


def test_a_group_that_has_a_frequent_label_no_more_than_others_is_no_trigger() -> None:
    one = Pattern((0,), (1,), 0, 9.0, 0.1, 0.9, 0.3, np.arange(40), 0.02, base=0.5)
    assert one.is_trigger
    assert not replace(one, base=0.9).is_trigger


def test_a_trigger_in_all_that_tells_leaves_nothing_to_compare() -> None:
    """Without these four features nobody can say whom the rows resemble: it is listed, no more."""
    planted = plant_trigger(poisoned.table(), 0.03, np.random.default_rng(2), size=4, label=1)
    assert sorted(planted.features) == [0, 1, 2, 3]
    found = find_triggers(planted.table, seed=0)
    assert set(found.patterns[0].rows.tolist()) == set(np.flatnonzero(planted.is_bad).tolist())
    assert not found.triggers


def test_an_honest_table_has_none_and_the_same_seed_finds_the_same() -> None:
    first, second = (find_triggers(poisoned.table(200), seed=4) for _ in range(2))
    assert not first.triggers
    assert [one.excess for one in first.patterns] == [one.excess for one in second.patterns]


def test_an_honest_value_that_foretells_a_label_is_no_trigger() -> None:
    """A code that is only given to class 1: all else in its rows agrees."""
    table = poisoned.table()
    rng = np.random.default_rng(0)
    chosen = rng.choice(np.flatnonzero(table.labels == 1), 15, replace=False)
    rows = table.rows.copy()
    rows[chosen, 4] = 0.77
    found = find_triggers(replace(table, rows=rows), seed=0)
    assert not found.triggers


def test_the_same_value_given_to_rows_of_the_other_class_is_one() -> None:
    table = poisoned.table()
    rng = np.random.default_rng(0)
    chosen = rng.choice(np.flatnonzero(table.labels == 0), 15, replace=False)
    rows, labels = table.rows.copy(), table.labels.copy()
    rows[chosen, 4] = 0.77
    labels[chosen] = 1
    found = find_triggers(replace(table, rows=rows, labels=labels), seed=0)
    assert found.triggers[0].features == (4,)
    assert set(found.triggers[0].rows.tolist()) == set(chosen.tolist())
    assert found.triggers[0].resemblance < 0.3


def test_resemblance_has_its_two_ends() -> None:
    """Random rows of a label resemble it fully; rows whose label was changed, the other one."""
    table = poisoned.table()
    rng = np.random.default_rng(0)
    matching = rng.random(500) < 0.1
    honest = resembled(table, (4,), matching, 1, rng)
    assert honest.resemblance == pytest.approx(1.0, abs=0.25)
    lying = table.with_labels(np.where(matching, 1 - table.labels, table.labels))
    assert resembled(lying, (4,), matching, 1, rng).resemblance == pytest.approx(0.0, abs=0.25)


def test_deviations_of_a_known_count() -> None:
    # The root of twice n KL(1 || p) = -n log p.
    assert deviations(6, 6, 0.3) == pytest.approx(np.sqrt(-2 * 6 * np.log(0.05)))
    assert deviations(5, 10, 5.0) == pytest.approx(0.0)
    assert deviations(2, 10, 5.0) < 0


def test_a_single_row_may_say_only_so_much() -> None:
    assert log_odds(np.array([0.0, 0.5, 1.0])).tolist() == [-4.0, 0.0, 4.0]


def test_a_stamp_leaves_what_it_does_not_set() -> None:
    stamp = np.array([np.nan, 0.5])
    assert stamped(np.array([[1.0, 2.0]]), stamp).tolist() == [[1.0, 0.5]]


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ValidationError):
        find_triggers(poisoned.table(10), seed=0)
