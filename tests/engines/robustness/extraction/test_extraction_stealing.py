"""Copies of models: how good, for how many questions, and what the limits have to do with it."""

import functools
import json

import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from sklearn.ensemble import RandomForestClassifier

from strongroom.engines.robustness.extraction import stealing, tests
from strongroom.engines.robustness.extraction.stealing import WAYS, Step, Way, steal
from strongroom.engines.robustness.extraction.surrogates import (
    FAMILIES,
    agreement,
    best_copy,
    fitted,
)
from strongroom.engines.robustness.extraction.tests import Settings, allowed
from strongroom.engines.robustness.outcome import Outcome, Status, judge
from strongroom.engines.robustness.recipes import Estimator
from strongroom.engines.robustness.sampling import freed, uniform
from strongroom.engines.robustness.space import Feature, Relation, Space
from strongroom.engines.robustness.target import OutputForm, Rows, Scores, Target

SPACE = freed(Space(
    [Feature("x"), Feature("y"), Feature("c", levels=("a", "b", "c"))],
    [Relation({"x": 1.0, "y": 1.0}, 1.6)],
))  # fmt: skip
RNG = np.random.default_rng(1)
NATURAL = uniform(SPACE, 400, RNG)
JUDGED = uniform(SPACE, 300, RNG)


def stump(rows: Rows) -> Scores:
    """Two classes by one number and one category."""
    return np.asarray(np.eye(2)[((rows[:, 0] > 0.5) & (rows[:, 2] == 0.0)).astype(int)])


def line(rows: Rows) -> Scores:
    return np.asarray(rows @ np.array([2.0, -1.0, 0.0, 0.5, 1.0]))[:, None]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("model", [stump, line], ids=["classes", "numbers"])
def test_each_family_learns_what_is_easy(family: str, model: type) -> None:
    copy = fitted(family, NATURAL, model(NATURAL), 0)
    least = 0.7 if (family, model) == ("linear", stump) else 0.93
    assert agreement(copy(JUDGED), model(JUDGED)) > least


def test_the_family_that_agrees_best_is_taken() -> None:
    assert best_copy(NATURAL, line(NATURAL), 0).family in {"linear", "network"}
    assert best_copy(NATURAL, stump(NATURAL), 0).family in {"forest", "boosting", "network"}


def test_a_class_that_no_answer_had_gets_nothing() -> None:
    three = np.pad(stump(NATURAL), ((0, 0), (0, 1)))
    for family in FAMILIES:
        copied = fitted(family, NATURAL, three, 0)(JUDGED)
        assert copied.shape == (300, 3)
        assert copied[:, 2] == pytest.approx(0.0, abs=0.2)


def test_answers_that_are_all_alike_are_copied_as_such() -> None:
    copy = best_copy(NATURAL, np.tile([0.2, 0.8], (400, 1)), 0)
    assert copy.family == "constant"
    assert np.allclose(copy.predict(JUDGED[:2]), [0.2, 0.8])
    assert best_copy(NATURAL[:1], stump(NATURAL[:1]), 0).family == "constant"


@pytest.mark.parametrize("way", WAYS)
def test_asking_more_copies_better_and_every_question_could_be_a_row(way: Way) -> None:
    asked: list[Rows] = []

    def model(rows: Rows) -> Scores:
        asked.append(rows)
        return stump(rows)

    target = Target(model, classes=2, form=OutputForm(shows="labels"))
    steps = steal(target, SPACE, way, NATURAL, (JUDGED, stump(JUDGED)), budgets=(20, 200),
                  seed=0)  # fmt: skip
    assert steps[-1].fidelity > 0.93
    assert steps[-1].fidelity > steps[0].fidelity - 0.02
    assert target.queries == steps[-1].queries == sum(len(one) for one in asked)
    rows = np.concatenate(asked)
    assert SPACE.valid(rows, np.zeros_like(rows)).all()


def test_the_active_attacker_asks_near_the_boundary() -> None:
    asked: list[Rows] = []

    def model(rows: Rows) -> Scores:
        asked.append(rows)
        return np.asarray(np.eye(2)[(rows[:, 0] > 0.5).astype(int)])

    apart = {}
    for way in ("mixed", "active"):
        asked.clear()
        steal(Target(model, classes=2), SPACE, way, NATURAL, (JUDGED, 1 - model(JUDGED)),
              budgets=(60, 120), families=("forest",), seed=0)  # fmt: skip
        apart[way] = float(np.abs(asked[-1][:, 0] - 0.5).mean())
    assert apart["active"] < 0.85 * apart["mixed"]


def test_the_budget_and_the_natural_rows_are_an_end() -> None:
    never = JUDGED, 1 - stump(JUDGED)
    poor = Target(stump, classes=2, budget=70)
    steps = steal(
        poor, SPACE, "uniform", NATURAL, never, budgets=(50, 100, 200), families=("linear",), seed=0
    )
    assert [one.queries for one in steps] == [50, 70]
    few = steal(Target(stump, classes=2), SPACE, "natural", NATURAL[:60], never,
                budgets=(50, 100, 200), families=("linear",),
                seed=0)  # fmt: skip
    assert [one.queries for one in few] == [50, 60]


@functools.cache
def of_a_forest(most: int = 100, shows: str = "probabilities") -> Outcome:
    rows, truth = load_breast_cancer(return_X_y=True)
    rows = (rows - rows.min(axis=0)) / np.ptp(rows, axis=0)
    recipe = Estimator("forest", RandomForestClassifier(20, n_jobs=1), 2)
    model = recipe.fit(rows[:280], truth[:280], 0)
    form = OutputForm(decimals=2) if shows == "probabilities" else OutputForm(shows="labels")
    return tests.fidelity(
        rows[280:], Target(model, classes=2, form=form), Space.box(30),
        Settings(most, ways=("natural",), per_minute=60, per_day=500), 3,
    )  # fmt: skip


@pytest.mark.parametrize("shows", ["probabilities", "labels"])
def test_a_small_tabular_model_is_copied_with_a_few_hundred_rows(shows: str) -> None:
    # Of a first bench: 95 % fidelity after some 250 natural queries, 90 % after 50 to 250.
    found = of_a_forest(shows=shows)
    to_90 = found.measure(tests.TO_90)
    assert to_90 is not None
    assert to_90.value <= 250
    at_100 = found.measure("fidelity at 100 queries")
    assert at_100 is not None
    assert at_100.low is not None
    assert at_100.low > 0.8
    assert found.canary is not None
    assert found.canary.was_found, found.canary.found
    assert json.loads(json.dumps(found.listed))["reached"]["90%"] is True
    assert any("do not prevent" in words for words in found.words)
    assert judge(found, tests.gates(allowed(60, 500))) is Status.FAILED


def test_a_model_that_cannot_be_copied_passes_and_says_how_far_it_was_tried() -> None:
    def arbitrary(rows: Rows) -> Scores:
        bits = [tests.hash_bit(row.tobytes()) for row in rows]
        return np.asarray(np.eye(2)[bits])

    settings = Settings(50, ways=("uniform",), per_day=1)
    found = tests.fidelity(NATURAL, Target(arbitrary, classes=2), SPACE, settings, 3)
    to_90 = found.measure(tests.TO_90)
    assert to_90 is not None
    assert to_90.value == 50
    assert found.listed["reached"] == {"90%": False, "95%": False}
    assert judge(found, tests.gates(allowed(None, 1))) is Status.PASSED
    assert judge(found, tests.gates(None)) is Status.FAILED
    assert any("No copy agreed" in words for words in found.words)


def test_a_copier_that_does_not_listen_misses_its_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    def deaf(rows: Rows, scores: Scores, *rest: object) -> object:
        return best_copy(rows, scores[::-1], 0, ("forest",))

    monkeypatch.setattr(stealing, "best_copy", deaf)
    settings = Settings(25, ways=("uniform",))
    found = tests.fidelity(NATURAL, Target(stump, classes=2), SPACE, settings, 3)
    assert judge(found, []) is Status.INVALID


def test_a_copier_that_sees_what_it_is_judged_by_misses_its_canary(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def cheating(target: Target, *rest: object, **more: object) -> list[Step]:
        return [Step(25, "forest", np.ones(300))]

    monkeypatch.setattr(tests, "steal", cheating)
    found = tests.fidelity(
        NATURAL, Target(stump, classes=2), SPACE, Settings(25, ways=("mixed",)), 3
    )
    assert judge(found, []) is Status.INVALID


def test_a_constant_model_is_said_to_be_one() -> None:
    def always(rows: Rows) -> Scores:
        return np.tile([1.0, 0.0], (len(rows), 1))

    found = tests.fidelity(
        NATURAL, Target(always, classes=2), SPACE, Settings(25, ways=("mixed",)), 3
    )
    bare = found.measure("fidelity of a constant answer")
    assert bare is not None
    assert bare.value == 1.0
    assert any("fidelity says little" in words for words in found.words)


def test_a_regression_is_copied_by_the_spread_that_is_explained() -> None:
    found = tests.fidelity(
        NATURAL, Target(line, classes=1), SPACE, Settings(100, ways=("natural",)), 3
    )
    at_100 = found.measure("fidelity at 100 queries")
    assert at_100 is not None
    assert at_100.value > 0.95
    assert at_100.low is None


@pytest.mark.parametrize(
    ("limits", "allowance"),
    [((None, None), None), ((1, None), 43_200), ((None, 10), 300), ((1, 5_000), 43_200)],
)
def test_what_limits_allow(limits: tuple[int | None, int | None], allowance: int | None) -> None:
    assert allowed(*limits) == allowance


@pytest.mark.parametrize(
    ("limits", "told"),
    [((60, None), "2 minutes"), ((1, None), "100 minutes"), ((None, 20), "5.0 days"),
     ((1, 20), "5.0 days")],
)  # fmt: skip
def test_how_long_a_copy_takes(limits: tuple[int | None, int | None], told: str) -> None:
    settings = Settings(per_minute=limits[0], per_day=limits[1])
    assert tests._days(100, settings) == told


def test_too_few_rows_or_questions_are_reasons() -> None:
    target = Target(stump, classes=2)
    broken = np.full((80, 5), np.nan)
    broken[:59] = NATURAL[:59]
    assert "60 rows" in tests.fidelity(broken, target, SPACE, Settings(), 3).reason
    assert "25 queries" in tests.fidelity(NATURAL, target, SPACE, Settings(10), 3).reason
    poor = Target(stump, classes=2, budget=0)
    assert "25 queries" in tests.fidelity(NATURAL, poor, SPACE, Settings(), 3).reason
    assert poor.queries == 0
