"""Gates on membership: on names and on guesses, on few alarms where rows suffice, on claims."""

import numpy as np
import pytest

from strongroom.engines.robustness.assessment.membership_tests import listed
from strongroom.engines.robustness.assessment.plan import Plan, parse_plan
from strongroom.engines.robustness.assessment.subject import Sample, Subject
from strongroom.engines.robustness.membership import tests
from strongroom.engines.robustness.membership.evidence import asked
from strongroom.engines.robustness.membership.pool import Pool
from strongroom.engines.robustness.outcome import Gate, Measure, Outcome, Status, judge
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Rows, Scores, Target

PLAN = parse_plan("version = 1\n")
ALL = {one.id: one for one in listed()}
USUAL = (
    Gate("TPR at 1 % FPR", "at most", 0.05, "worst"), Gate("AUC", "at most", 0.6, "worst"),
)  # fmt: skip
FEW = Gate("TPR at 0.1 % FPR", "at most", 0.02, "worst")


def even(rows: Rows) -> Scores:
    return np.tile([0.6, 0.4], (len(rows), 1))


def subject(others: int = 50, epsilon: float | None = None) -> Subject:
    def sample(count: int) -> Sample:
        return Sample(
            np.zeros((count, 2)), np.zeros(count, np.int64), np.empty(0), np.arange(count)
        )

    return Subject(
        Target(even, classes=2), Space.box(2), ("a", "b"), sample(50), sample(others), even,
        epsilon=epsilon,
    )  # fmt: skip


@pytest.mark.parametrize("test", ALL)
def test_nobody_may_be_named_nor_many_guessed_at(test: str) -> None:
    assert ALL[test].gates_on(subject(), PLAN) == USUAL
    enough = (*USUAL, FEW) if test != "membership.label_only" else USUAL
    assert ALL[test].gates_on(subject(1_000), PLAN) == enough


def test_a_high_area_with_few_names_fails() -> None:
    few = Measure("TPR at 1 % FPR", 0.02, 0.01, 0.04, "share")
    for high, status in ((0.59, Status.PASSED), (0.72, Status.FAILED)):
        found = Outcome(
            "membership.lira", 2, (), (few, Measure("AUC", high - 0.04, high - 0.08, high))
        )
        assert judge(found, USUAL) is status


def test_a_plan_sets_others_and_a_claim_stays() -> None:
    own = Gate("AUC", "at most", 0.9)
    plan = Plan("", gates={"membership.lira": (own,)})
    lira = ALL["membership.lira"]
    assert lira.gates_on(subject(1_000), plan) == (own,)
    claim = Gate("epsilon shown", "at most", 2.0)
    assert lira.gates_on(subject(epsilon=2.0), plan) == (own, claim)
    assert lira.gates_on(subject(epsilon=2.0), PLAN) == (*USUAL, claim)
    closer = Gate("epsilon shown", "at most", 1.0)
    plan = Plan("", gates={"membership.lira": (closer,)})
    assert lira.gates_on(subject(epsilon=2.0), plan) == (closer,)


@pytest.mark.parametrize(("others", "is_measured"), [(999, False), (1_000, True)])
def test_one_alarm_in_a_thousand_is_measured_where_there_are_so_many(
    others: int, *, is_measured: bool
) -> None:
    count = 30 + others
    rows = np.random.default_rng(0).random((count, 2))
    pool = Pool(
        rows, np.zeros(count, np.int64), 2, np.arange(count) < 30, np.arange(count, dtype=np.int64)
    )

    def model(rows: Rows) -> Scores:
        return np.column_stack([rows[:, 0], 1 - rows[:, 0]])

    found = tests.loss(asked(pool, Target(model, classes=2)), tests.Settings(), 1)
    assert (found.measure("TPR at 0.1 % FPR") is not None) is is_measured
    assert any("nothing can be said" in one for one in found.words) is not is_measured
