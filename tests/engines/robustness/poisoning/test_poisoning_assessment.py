from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest
from tests.engines.robustness.poisoning import poisoned

from strongroom.engines.robustness.outcome import Gate, Outcome, Status, judge
from strongroom.engines.robustness.poisoning import assessment
from strongroom.engines.robustness.poisoning.canaries import Settings, copy_with_trigger
from strongroom.engines.robustness.poisoning.duplicates import Duplicates
from strongroom.engines.robustness.poisoning.labels import LabelErrors
from strongroom.engines.robustness.poisoning.outliers import Outliers
from strongroom.engines.robustness.poisoning.sweep import Stamp
from strongroom.engines.robustness.poisoning.table import Table
from strongroom.engines.robustness.poisoning.triggers import Triggers, find_triggers
from strongroom.engines.robustness.recipes import reference
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Rows, Scores, Target

LOGISTIC = reference("logistic", 2)


def honest(rows: Rows) -> Scores:
    chance = 1 / (1 + np.exp(-20 * (rows[:, :4].mean(axis=1) - 0.5)))
    return np.column_stack([1 - chance, chance])


def sweep(table: Table) -> Outcome:
    return assessment.sweep_test(table, Target(honest, classes=2), seed=0)


def sources(table: Table) -> Outcome:
    return assessment.sources_test(table, LOGISTIC, seed=0)


TESTS: dict[str, Callable[[Table], Outcome]] = {
    "poisoning.labels": lambda table: assessment.labels_test(table, seed=0),
    "poisoning.backdoor": lambda table: assessment.backdoor_test(table, seed=0),
    "poisoning.trigger_sweep": sweep,
    "poisoning.sources": sources,
    "poisoning.duplicates": lambda table: assessment.duplicates_test(
        table, seed=0, held=table.rows[:3]
    ),
    "poisoning.outliers": lambda table: assessment.outliers_test(table, seed=0),
}


@pytest.fixture(scope="module")
def table() -> Table:
    names = np.random.default_rng(3).choice(["a", "b"], 300)
    return poisoned.table(300, sources=names.tolist())


@pytest.mark.parametrize("name", list(TESTS))
def test_an_honest_table_passes_and_the_canary_is_found(name: str, table: Table) -> None:
    outcome = TESTS[name](table)
    assert outcome.test == name
    assert outcome.threat == 1
    assert outcome.canary is not None
    assert outcome.canary.was_found, outcome.canary
    assert outcome.words
    gates = {
        "poisoning.labels": Gate("flagged share", "at most", 0.05),
        "poisoning.backdoor": Gate("triggers", "at most", 0),
        "poisoning.trigger_sweep": Gate("success of a planted trigger", "at most", 0.5),
        "poisoning.sources": Gate("sources of more suspects", "at most", 0),
        "poisoning.duplicates": Gate("contradicted share", "at most", 0),
        "poisoning.outliers": Gate("outlier share", "at most", 0.1),
    }
    assert judge(outcome, [gates[name]]) is Status.PASSED
    for measure in outcome.measures:
        if measure.low is not None and measure.high is not None:
            assert measure.low <= measure.value <= measure.high


@pytest.mark.parametrize("name", list(TESTS))
@pytest.mark.parametrize("count", [1, 40], ids=["one-row", "one-class"])
def test_where_nothing_can_be_searched_it_says_so(name: str, count: int) -> None:
    made = poisoned.table(40)
    odd = made.part(np.arange(count)).with_labels(np.zeros(count, np.int64))
    outcome = TESTS[name](odd)
    assert outcome.reason
    assert judge(outcome, []) is Status.NOT_APPLICABLE


def test_three_features_leave_nothing_to_compare_stamped_rows_by() -> None:
    rng = np.random.default_rng(0)
    rows = rng.random((200, 3))
    small = Table.of(Space.box(3), rows, (rows[:, 0] > 0.5).astype(np.int64))
    assert "fewer than 4 features" in assessment.backdoor_test(small, seed=0).reason


def test_poison_fails_the_gate(table: Table) -> None:
    planted = copy_with_trigger(table, 5, Settings(trigger=0.05))
    outcome = assessment.backdoor_test(planted.table, seed=0)
    assert judge(outcome, [Gate("triggers", "at most", 0)]) is Status.FAILED
    rows = {one["row"] for one in outcome.listed["quarantine"]}
    assert rows >= set(np.flatnonzero(planted.is_bad).tolist())


def blind_labels(table: Table, seed: int, progress: object = None) -> LabelErrors:
    """A broken search: it suspects rows at random."""
    chance = np.random.default_rng(0).random(len(table))
    return LabelErrors(
        chance, chance > 0.97, table.labels, np.eye(2), {}, np.eye(2)[table.labels], is_told=True
    )  # fmt: skip


def blind_triggers(table: Table, seed: int, progress: object = None) -> Triggers:
    """A broken search: it looks at single values only."""
    found = find_triggers(table, seed)
    kept = tuple(one for one in found.patterns if len(one.features) == 1)
    return replace(found, patterns=kept)


def blind_sweep(*args: object, **named: object) -> list[Stamp]:
    return []


def blind_outliers(table: Table, seed: int) -> Outliers:
    score = np.random.default_rng(seed).random(len(table))
    return Outliers(score, {}, score > 0.99)


def blind_duplicates(table: Table, held: Rows | None = None) -> Duplicates:
    none = np.zeros(len(table), bool)
    place = np.arange(len(table))
    return Duplicates(place, none, np.full(len(table), -1), none, none, near_searched=False)


@pytest.mark.parametrize(
    ("name", "search", "broken"),
    [
        ("poisoning.labels", "find_label_errors", blind_labels),
        ("poisoning.backdoor", "find_triggers", blind_triggers),
        ("poisoning.trigger_sweep", "sweep", blind_sweep),
        ("poisoning.duplicates", "find_duplicates", blind_duplicates),
        ("poisoning.outliers", "find_outliers", blind_outliers),
    ],
)
def test_a_broken_search_misses_its_canary(
    name: str,
    search: str,
    broken: Callable[..., object],
    table: Table,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(assessment, search, broken)
    outcome = TESTS[name](table)
    assert outcome.canary is not None
    assert not outcome.canary.was_found
    assert judge(outcome, []) is Status.INVALID


def test_rows_without_sources_have_none_to_judge() -> None:
    assert "from where" in sources(poisoned.table(60)).reason


def test_a_budget_of_nothing_is_a_reason(table: Table) -> None:
    outcome = assessment.sweep_test(table, Target(honest, classes=2, budget=0), seed=0)
    assert "budget" in outcome.reason
    assert outcome.queries == 0


def test_a_regression_has_no_labels_to_turn(table: Table) -> None:
    target = Target(lambda rows: rows[:, :1], classes=1)
    assert "regression" in assessment.sweep_test(table, target, seed=0).reason


def test_where_models_know_nothing_of_labels_none_is_called_wrong() -> None:
    rng = np.random.default_rng(0)
    table = Table.of(Space.box(3), rng.random((120, 3)), rng.integers(0, 2, 120))
    outcome = assessment.labels_test(table, 0)
    assert "how frequent each is" in outcome.reason
    assert judge(outcome, ()) is Status.NOT_APPLICABLE


def test_where_classes_overlap_a_short_list_is_no_comfort(
    table: Table, monkeypatch: pytest.MonkeyPatch
) -> None:
    def dull(given: Table, seed: int, progress: object = None) -> LabelErrors:
        """It ranks the planted rows right, and flags none."""
        suspicion = np.where(given.labels != table.labels, 0.2, 0.1)
        none = np.zeros(len(given), dtype=bool)
        scores = np.eye(given.classes)[given.labels]
        return LabelErrors(
            suspicion, none, 1 - given.labels, np.eye(2), {}, scores, is_told=True
        )  # fmt: skip

    monkeypatch.setattr(assessment, "find_label_errors", dull)
    outcome = assessment.labels_test(table, 0)
    assert outcome.canary is not None
    assert outcome.canary.was_found
    assert any("a short list is no sign that there are none" in one for one in outcome.words)
