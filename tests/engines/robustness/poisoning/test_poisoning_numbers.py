"""Wrong numbers of a regression: found where they can be, and not claimed where they cannot."""

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_diabetes

from strongroom.engines.robustness.assessment import poisoning_tests
from strongroom.engines.robustness.assessment.plan import parse_plan
from strongroom.engines.robustness.assessment.running import Report, assess
from strongroom.engines.robustness.assessment.subject import Sample, Subject
from strongroom.engines.robustness.outcome import Status
from strongroom.engines.robustness.poisoning import numbers as module
from strongroom.engines.robustness.poisoning import numbers_assessment
from strongroom.engines.robustness.poisoning.numbers import NumberErrors, find_number_errors, lacks
from strongroom.engines.robustness.poisoning.numbers_assessment import (
    NumberTable,
    number_duplicates_test,
    number_labels_test,
    number_sources_test,
    plant_numbers,
)
from strongroom.engines.robustness.poisoning.numbers_sources import judge_number_sources
from strongroom.engines.robustness.recipes import reference
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Rows, Target
from strongroom.errors import ValidationError

COUNT = 250


def drawn() -> tuple[Rows, NDArray[np.float64]]:
    """Features that hang together, and a number that follows from them but for a little."""
    rng = np.random.default_rng(1)
    rows = rng.normal(size=(COUNT, 2)) @ rng.normal(size=(2, 4)) + 0.3 * rng.normal(size=(COUNT, 4))
    numbers = 3 * rows[:, 0] + 2 * np.sin(rows[:, 1]) + 0.2 * rng.normal(size=COUNT)
    return (rows - rows.min(axis=0)) / np.ptp(rows, axis=0), numbers


ROWS, NUMBERS = drawn()
SPACE = Space.box(4)
WRONG, IS_BAD = plant_numbers(NUMBERS, 0.04, np.random.default_rng(0))
SOURCES = np.random.default_rng(2).choice(np.array(["north", "south", "east"], dtype=object), COUNT)


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fewer folds: the same code at a lower price."""
    monkeypatch.setattr(module, "_FOLDS", 3)


@pytest.fixture(scope="module")
def found() -> NumberErrors:
    return find_number_errors(ROWS, WRONG, 0)


def silent(_: float) -> None:
    """Progress that nobody watches."""


def test_changed_numbers_are_found(found: NumberErrors) -> None:
    hits = found.is_flagged & IS_BAD
    assert hits.sum() / IS_BAD.sum() >= 0.7
    assert hits.sum() / found.is_flagged.sum() >= 0.7
    assert ((found.suspicion >= 0) & (found.suspicion <= 1)).all()
    # What is expected is nearer to the truth than what was planted.
    assert (np.abs(found.expected - NUMBERS) < np.abs(WRONG - NUMBERS))[IS_BAD].mean() >= 0.95
    assert sum(found.weights.values()) == pytest.approx(1.0)


def test_honest_numbers_do_not_alarm() -> None:
    honest = find_number_errors(ROWS, NUMBERS, 0)
    assert honest.is_flagged.mean() <= 0.01


def test_a_known_mixture_gives_known_chances() -> None:
    rng = np.random.default_rng(0)
    is_wrong = rng.random(20_000) < 0.05
    scaled = np.where(is_wrong, rng.uniform(-20, 20, 20_000), rng.normal(size=20_000))
    chances = module._wrongness(scaled, np.full(20_000, 1 / 40))
    # Of rows with a chance of about p, p are wrong.
    for low, high in ((0.1, 0.4), (0.4, 0.7), (0.7, 0.95)):
        some = (chances >= low) & (chances < high)
        assert is_wrong[some].mean() == pytest.approx(chances[some].mean(), abs=0.12)
    assert chances.mean() == pytest.approx(0.05, abs=0.005)


def test_half_of_all_numbers_away() -> None:
    order = NUMBERS.argsort().argsort()
    moved = np.abs(np.searchsorted(np.sort(NUMBERS), WRONG) - order)[IS_BAD]
    assert (moved == COUNT // 2).all()
    assert IS_BAD.sum() == 10
    assert (WRONG[~IS_BAD] == NUMBERS[~IS_BAD]).all()


# ---- the tests of an assessment ----


def table(numbers: NDArray[np.float64]) -> NumberTable:
    return NumberTable.of(SPACE, ROWS, numbers, tuple(SOURCES))


def test_the_list_names_the_changed_rows_and_no_number() -> None:
    seen: list[float] = []
    outcome = number_labels_test(table(WRONG), 1, seen.append)
    assert outcome.canary is not None
    assert outcome.canary.was_found, outcome.canary
    flagged = outcome.measure("flagged share")
    assert flagged is not None
    assert 0.02 <= flagged.value <= 0.08
    listed = outcome.listed["quarantine"]
    assert np.mean([IS_BAD[one["row"]] for one in listed]) >= 0.7
    assert all(one["suggested_label"] is None for one in listed)
    assert listed == sorted(listed, key=lambda one: -one["suspicion"])
    assert seen == sorted(seen)


def test_a_search_that_ranks_at_random_misses_its_canary(
    monkeypatch: pytest.MonkeyPatch, found: NumberErrors
) -> None:
    chance = np.random.default_rng(0).random(len(NUMBERS))
    blind = replace(found, suspicion=chance, is_flagged=chance >= 0.95)
    monkeypatch.setattr(numbers_assessment, "find_number_errors", lambda *_: blind)
    for outcome in (number_labels_test(table(WRONG), 1, silent),
                    number_sources_test(table(WRONG), 1, silent)):  # fmt: skip
        assert outcome.canary is not None
        assert not outcome.canary.was_found, outcome.canary


def test_a_source_that_is_missed_is_planted_again_stronger(
    monkeypatch: pytest.MonkeyPatch, found: NumberErrors
) -> None:
    """A search that sees only numbers gone wrong in fifty rows or more, as on vague tables."""

    def dull(_rows: Rows, numbers: NDArray[np.float64], *_more: object) -> NumberErrors:
        changed = numbers != WRONG
        suspicion = np.where(changed & (changed.sum() >= 45), 0.9, 0.01)
        return replace(found, suspicion=suspicion, is_flagged=suspicion > 0.5)

    monkeypatch.setattr(numbers_assessment, "find_number_errors", dull)
    outcome = number_sources_test(table(WRONG), 1, silent, recipe=reference("logistic", 1))
    assert outcome.canary is not None
    assert outcome.canary.was_found
    assert outcome.canary.planted.startswith("50 rows of a copy got a source of their own, and 50")
    assert "a source was seen that brought 50, 50 of them wrong" in outcome.words[-1]


def test_sources_of_numbers_that_half_follow_from_the_rest_are_told() -> None:
    """Diabetes of scikit-learn, of which models explain half: the canary is seen."""
    rows, numbers = load_diabetes(return_X_y=True)
    rows = (rows - rows.min(axis=0)) / np.ptp(rows, axis=0)
    names = tuple(f"ward {at % 3}" for at in range(len(rows)))
    given = NumberTable.of(Space.box(rows.shape[1]), rows, numbers, names)
    outcome = number_sources_test(given, 1, silent, recipe=reference("logistic", 1))
    assert outcome.canary is not None
    assert outcome.canary.was_found, outcome.canary
    doubtful = outcome.measure("sources of more suspects")
    assert doubtful is not None
    assert doubtful.value == 0


def test_the_source_of_wrong_numbers_is_found_and_the_honest_ones_are_not() -> None:
    wrong, _ = plant_numbers(NUMBERS, 1.0, np.random.default_rng(0))
    own = np.flatnonzero(SOURCES == "south")
    changed = NUMBERS.copy()
    some = own[: int(0.3 * len(own))]
    changed[some] = wrong[some]
    outcome = number_sources_test(table(changed), 1, silent, (ROWS[::3], NUMBERS[::3]),
                                  reference("logistic", 1))  # fmt: skip
    assert outcome.canary is not None
    assert outcome.canary.was_found, outcome.canary
    doubtful, gain = (
        outcome.measure(name)
        for name in ("sources of more suspects", "largest gain without a source")
    )
    assert doubtful and gain  # noqa: PT018 # both are there
    assert doubtful.value == 1.0
    assert outcome.listed["sources"][0]["name"] == "south"
    assert gain.low is not None
    assert gain.low < gain.value


def test_honest_sources_are_not_in_doubt(found: NumberErrors) -> None:
    judged = judge_number_sources(
        ROWS, WRONG, SOURCES.tolist(), found.suspicion, reference("logistic", 1), 0
    )
    assert {one.name for one in judged} == {"north", "south", "east"}
    assert not any(one.is_doubtful for one in judged)
    assert all(one.gain_low is not None and one.gain_low <= 0 for one in judged)


def test_equal_rows_with_other_numbers() -> None:
    rows = np.concatenate([ROWS, ROWS[:4], ROWS[10:12]])
    numbers = np.concatenate([NUMBERS, NUMBERS[:4] + 5.0, NUMBERS[10:12] + 0.01])
    given = NumberTable.of(SPACE, rows, numbers)
    outcome = number_duplicates_test(given, 0, silent, held=ROWS[100:103])
    values = {one.name: one.value * len(rows) for one in outcome.measures}
    assert values["repeated share"] == pytest.approx(6)
    assert values["contradicted share"] == pytest.approx(8)  # both of each pair
    assert values["leaked share"] == pytest.approx(3)
    assert outcome.canary is not None
    assert outcome.canary.was_found
    assert {one["row"] for one in outcome.listed["quarantine"]} == {
        0,
        1,
        2,
        3,
        *range(COUNT, COUNT + 4),
    }
    strict = number_duplicates_test(given, 0, silent, tolerance=0.001)
    measure = strict.measure("contradicted share")
    assert measure is not None
    assert measure.value * len(rows) == pytest.approx(12)


def run(numbers: NDArray[np.float64], *tests: str) -> Report:
    sample = Sample(ROWS, np.empty(0, dtype=np.int64), numbers, np.arange(COUNT), (), ())
    subject = Subject(
        Target(lambda rows: rows[:, :1], classes=1), SPACE, (), sample, None, lambda rows: rows
    )
    chosen = [one for one in poisoning_tests.listed() if one.id in tests]
    return assess(subject, parse_plan("version = 1"), chosen)


def test_a_regression_is_assessed_where_the_question_makes_sense() -> None:
    report = run(NUMBERS, "poisoning.backdoor", "poisoning.trigger_sweep", "poisoning.duplicates",
                 "poisoning.outliers", "poisoning.sources")  # fmt: skip
    status = {one.test: one.status for one in report.ran}
    assert status == {
        "poisoning.backdoor": Status.NOT_APPLICABLE,
        "poisoning.trigger_sweep": Status.NOT_APPLICABLE,
        "poisoning.sources": Status.NOT_APPLICABLE,  # the rows name none
        "poisoning.duplicates": Status.INFORMATION,
        "poisoning.outliers": Status.INFORMATION,
    }


def test_what_cannot_be_searched_is_said() -> None:
    assert "fewer than" in lacks(ROWS[:5], NUMBERS[:5])
    assert "the same" in lacks(ROWS, np.full(COUNT, 3.0))
    for wrong in (np.nan, np.inf):
        numbers = NUMBERS.copy()
        numbers[3] = wrong
        assert "missing or infinite" in lacks(ROWS, numbers)
        with pytest.raises(ValidationError, match="missing"):
            find_number_errors(ROWS, numbers, 0)
    same = NumberTable.of(SPACE, ROWS, np.full(COUNT, 3.0), tuple(SOURCES))
    for outcome in (number_labels_test(same, 0, silent), number_duplicates_test(same, 0, silent),
                    number_sources_test(same, 0, silent)):  # fmt: skip
        assert "the same" in outcome.reason
    few = np.round(NUMBERS / 10)  # three numbers in all: some bins are empty
    assert find_number_errors(ROWS[:30], few[:30], 0).suspicion.shape == (30,)
    flat = NumberTable.of(Space.box(2), np.zeros((40, 2)), NUMBERS[:40])
    assert "explain nothing" in number_labels_test(flat, 0, silent).reason
    told = replace(flat, sources=("north", "south") * 20)
    assert "explain nothing" in number_sources_test(told, 0, silent).reason
