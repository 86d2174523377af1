"""Before and after: what counts as a change, what it costs, how it is shown."""

import json

import numpy as np
import pytest

from strongroom.engines.robustness.assessment.plan import parse_plan
from strongroom.engines.robustness.assessment.running import Ran, Report, Verdict
from strongroom.engines.robustness.hardening.page import hardening_page
from strongroom.engines.robustness.hardening.ways import Way
from strongroom.engines.robustness.hardening.weighing import (
    Answers,
    Effect,
    Weighed,
    changes,
    cost,
    turns,
    weighed_from,
    weighed_json,
)
from strongroom.engines.robustness.outcome import Canary, Gate, Measure, Outcome, Status, judge
from strongroom.engines.robustness.target import OutputForm
from strongroom.errors import ValidationError

PLAN = parse_plan("version = 1")


def report(
    *measures: Measure, test: str = "membership.lira", gates: tuple[Gate, ...] = (),
    canary: bool = True,
) -> Report:  # fmt: skip
    outcome = Outcome(test, 2, (), measures, Canary("x", canary, "x"))
    ran = Ran(test, 2, "title", gates, outcome, judge(outcome, gates))
    return Report(PLAN, (ran,), Verdict.PASSED)


def area(value: float, low: float, high: float) -> Measure:
    return Measure("AUC", value, low, high)


@pytest.mark.parametrize(
    ("after", "control", "effect"),
    [
        (area(0.55, 0.5, 0.6), None, Effect.BETTER),
        (area(0.55, 0.5, 0.6), area(0.78, 0.7, 0.85), Effect.BETTER),
        (area(0.55, 0.5, 0.6), area(0.57, 0.52, 0.62), Effect.REFIT),
        (area(0.95, 0.92, 0.97), None, Effect.WORSE),
        (area(0.95, 0.92, 0.97), area(0.96, 0.93, 0.98), Effect.REFIT),
        (area(0.74, 0.69, 0.79), None, Effect.UNSURE),
        (Measure("AUC", 0.1), None, Effect.UNBOUNDED),
        (area(0.8, 0.75, 0.85), None, Effect.SAME),
    ],
    ids=["better", "than the control too", "control did it", "worse", "control was worse",
         "overlap", "no bounds", "same"],
)  # fmt: skip
def test_a_change_counts_beyond_bounds_and_control(
    after: Measure, control: Measure | None, effect: Effect
) -> None:
    before = report(area(0.8, 0.75, 0.85))
    beside = None if control is None else report(control)
    [found] = changes(before, report(after), beside)
    assert (found.effect, found.control) == (effect, control)


@pytest.mark.parametrize(
    ("test", "measure", "gates", "effect"),
    [
        ("evasion.decision", "robust accuracy", (), Effect.WORSE),
        ("evasion.decision", "evaded", (), Effect.BETTER),
        ("inference.attribute", "town: advantage", (), Effect.BETTER),
        ("inference.attribute", "town: right without the model", (), Effect.OTHER),
        ("guards.detection", "caught when overshooting", (), Effect.WORSE),
        ("extraction.fidelity", "fidelity at 100 queries", (), Effect.BETTER),
        ("load.inputs", "anything", (Gate("anything", "at least", 0.1),), Effect.WORSE),
        ("load.inputs", "anything", (), Effect.OTHER),
    ],
)
def test_less_is_better_or_worse_by_measure(
    test: str, measure: str, gates: tuple[Gate, ...], effect: Effect
) -> None:
    before = report(Measure(measure, 0.9, 0.8, 0.95), test=test, gates=gates)
    after = report(Measure(measure, 0.2, 0.1, 0.3), test=test, gates=gates)
    assert changes(before, after)[0].effect is effect


def test_a_test_that_missed_its_canary_tells_nothing() -> None:
    good, bad = report(area(0.8, 0.75, 0.85)), report(area(0.5, 0.45, 0.55), canary=False)
    assert changes(good, bad) == changes(bad, good) == ()
    [turn] = turns(good, bad)
    assert (turn.before, turn.after) == (Status.INFORMATION, Status.INVALID)


def test_the_cost_is_taken_from_the_same_rows() -> None:
    labels = np.arange(100) % 2
    sure = np.eye(2)[labels]
    half = np.where(np.arange(100)[:, None] < 50, sure, 0.8 * (1 - sure) + 0.2 * sure)
    found = cost(Answers(sure), Answers(half), labels, epsilon=1.0, delta=1e-6, queries=9)
    assert found.accuracy_before is not None
    assert found.accuracy is not None
    assert found.gain is not None
    assert (found.accuracy_before.value, found.accuracy.value) == (1.0, 0.5)
    assert (found.gain.high or 0) < -0.3
    assert found.brier_before == 0.0
    assert found.brier == pytest.approx(0.5 * 2 * 0.64)
    assert (found.epsilon, found.queries) == (1.0, 9)
    rounded = cost(Answers(half), Answers(half, OutputForm(decimals=0)), labels)
    assert rounded.gain is not None
    assert rounded.gain.value == 0.0
    assert cost(Answers(sure[:0]), Answers(sure[:0]), labels[:0]).gain is None


def test_it_is_shown_and_comes_back_whole() -> None:
    before, after = report(area(0.8, 0.75, 0.85)), report(area(0.5, 0.45, np.inf))
    shares = report(Measure("TPR at 1 % FPR", 0.4, 0.3, 0.5, "share"))
    less = report(Measure("TPR at 1 % FPR", 0.1, 0.05, 0.2, "share"))
    labels = np.arange(40) % 2
    spent = cost(Answers(np.eye(2)[labels]), Answers(np.eye(2)[labels]), labels)
    made = [
        Weighed(Way.RETRAINED, Verdict.FAILED, Verdict.FAILED, turns(before, after),
                changes(before, after), spent, is_control=True),
        Weighed(Way.REGULARISED, Verdict.FAILED, Verdict.PASSED, turns(shares, less),
                changes(shares, less), spent, ("<b>said</b>",), ("warned",)),
    ]  # fmt: skip
    assert weighed_from(json.loads(json.dumps(weighed_json(made)))) == made
    with pytest.raises(ValidationError):
        weighed_from([{"way": "magic"}])
    page = hardening_page(
        made, PLAN, model="<i>m</i>", left_out=3, remarks=["60 of 100 held-out rows <s>"]
    )
    assert "60 of 100 held-out rows &lt;s&gt;" in page
    assert "&lt;b&gt;said" in page
    assert "<b>said" not in page
    assert "<i>m" not in page
    assert "<script" not in page
    assert "3 training rows were left out" in page
    assert "▲ better" in page
    assert 'id="control"' in page
    assert "<svg" in page
