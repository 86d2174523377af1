"""Before and after: two assessments under one plan and one seed, measure by measure.

A change counts as one only where the 95 % bounds of both lie apart. These bounds take the rows as
drawn by chance, not the model: one that is fitted anew in the same way can differ by more than
they span. So there is a control, the same recipe on the same rows with another seed, and a change
must lie apart from that too. Among many measures one may still do so by chance.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.assessment.document import plain
from strongroom.engines.robustness.assessment.running import Ran, Report, Verdict
from strongroom.engines.robustness.guards.outputs import labelled, price
from strongroom.engines.robustness.hardening.comparing import paired_gain
from strongroom.engines.robustness.hardening.ways import Way
from strongroom.engines.robustness.intervals import clopper_pearson
from strongroom.engines.robustness.outcome import Measure, Status
from strongroom.engines.robustness.target import Labels, OutputForm, Scores
from strongroom.errors import ValidationError

Flags = NDArray[np.bool_]

_LESS = (
    ("membership.", ("AUC", "TPR", "epsilon")),
    ("inference.", ("advantage",)),
    ("inversion.", ("nearer to training",)),
    ("extraction.", ("fidelity at",)),
    ("evasion.", ("evaded",)),
    ("poisoning.", (
        "flagged", "mean suspicion", "triggers", "affected", "strongest", "sources", "largest",
        "repeated", "contradicted", "leaked", "outlier", "success",
    )),
    ("load.", ("costliest", "hostile inputs that broke", "hostile inputs answered with")),
    ("guards.", ("false alarms", "alarms on natural", "honest streams", "queries until")),
)  # fmt: skip
_MORE = (
    ("evasion.", ("robust accuracy", "accuracy", "median", "certified")),
    ("extraction.", ("queries to",)),
    ("guards.", ("caught", "streams caught", "stopped", "times as far")),
)
"""Tests and beginnings of measures of which less, or more, is better; gates say it of others."""


class Effect(StrEnum):
    """Of a way on a measure."""

    BETTER = "better"
    WORSE = "worse"
    UNSURE = "no sure change"
    """The bounds overlap: chance may have done it."""
    REFIT = "as by fitting anew"
    """The control did as much, with nothing changed."""
    UNBOUNDED = "changed, without bounds"
    OTHER = "changed"
    """It is neither good nor bad in itself."""
    SAME = "the same"


@dataclass(frozen=True, slots=True)
class Change:
    """One measure of one test, before and after.

    Attributes:
        control: of the model that was fitted anew with nothing changed; None: there is none.
    """

    test: str
    before: Measure
    after: Measure
    effect: Effect
    control: Measure | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """How a test ended, before and after; None: it broke off."""

    test: str
    before: Status | None
    after: Status | None


@dataclass(frozen=True, slots=True)
class Cost:
    """What a way costs those who use the model.

    Attributes:
        accuracy_before, accuracy: on held-out rows; None where there are none.
        gain: of accuracy on the same rows, with 95 % bounds.
        calibration_before, calibration: expected error of the probabilities.
        brier_before, brier: mean squared error, in [0, 2].
        epsilon, delta: spent on the training rows by differential privacy; None: none.
        queries: rows that the assessment asked.
        seconds: processor time of fitting; 0 where nothing was fitted.
    """

    accuracy_before: Measure | None
    accuracy: Measure | None
    gain: Measure | None
    calibration_before: float | None
    calibration: float | None
    brier_before: float | None
    brier: float | None
    epsilon: float | None = None
    delta: float | None = None
    queries: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Weighed:
    """A way, weighed.

    Attributes:
        verdict: of the assessment after it.
        says: what was done.
        warns: what it cannot do for this report.
        form: of answers, where the way is one of them.
        is_control: it is what the others must lie apart from.
    """

    way: Way
    verdict_before: Verdict
    verdict: Verdict
    turns: tuple[Turn, ...]
    changes: tuple[Change, ...]
    cost: Cost
    says: tuple[str, ...] = ()
    warns: tuple[str, ...] = ()
    form: OutputForm | None = None
    is_control: bool = False

    @property
    def title(self) -> str:
        """For people."""
        return "control" if self.is_control else self.way.value

    def count(self, effect: Effect) -> int:
        """How many measures it had that effect on."""
        return sum(one.effect is effect for one in self.changes)


def turns(before: Report, after: Report) -> tuple[Turn, ...]:
    """The tests of both, in their order."""
    ended = {one.test: one.status for one in after.ran}
    return tuple(
        Turn(one.test, one.status, ended[one.test]) for one in before.ran if one.test in ended
    )


def changes(before: Report, after: Report, control: Report | None = None) -> tuple[Change, ...]:
    """Measures that both have; those of tests that missed their canary are left out."""
    found = []
    later, beside = (
        {one.test: one for one in (report.ran if report is not None else ())}
        for report in (after, control)
    )
    for ran in before.ran:
        now, plain_now = later.get(ran.test), beside.get(ran.test)
        for measure in _measures(ran):
            other = _measure(now, measure.name)
            if other is None:
                continue
            bare = _measure(plain_now, measure.name)
            effect = _effect(ran, measure, other)
            if effect in {Effect.BETTER, Effect.WORSE} and bare is not None:
                effect = effect if _effect(ran, bare, other) is effect else Effect.REFIT
            found.append(Change(ran.test, measure, other, effect, bare))
    return tuple(found)


def _measures(ran: Ran | None) -> tuple[Measure, ...]:
    """What a test measured, where that counts."""
    told = {Status.PASSED, Status.FAILED, Status.INFORMATION}
    if ran is None or ran.outcome is None or ran.status not in told:
        return ()
    return ran.outcome.measures


def _measure(ran: Ran | None, name: str) -> Measure | None:
    return next((one for one in _measures(ran) if one.name == name), None)


def _effect(ran: Ran, before: Measure, after: Measure) -> Effect:
    if before == after:
        return Effect.SAME
    less = _is_less_better(ran, before.name)
    if less is None:
        return Effect.OTHER
    if None in {before.low, before.high, after.low, after.high}:
        return Effect.SAME if before.value == after.value else Effect.UNBOUNDED
    down = (after.high or 0.0) < (before.low or 0.0)
    up = (after.low or 0.0) > (before.high or 0.0)
    if not (down or up):
        return Effect.UNSURE
    return Effect.BETTER if down == less else Effect.WORSE


def _is_less_better(ran: Ran, measure: str) -> bool | None:
    for gate in ran.gates:
        if gate.measure == measure:
            return gate.side == "at most"
    _, _, feature = measure.rpartition(": ")
    for table, is_less in ((_LESS, True), (_MORE, False)):
        for test, beginnings in table:
            if ran.test.startswith(test) and (
                measure.startswith(beginnings) or feature in beginnings
            ):
                return is_less
    return None


# ---- what it costs ----


@dataclass(frozen=True, slots=True)
class Answers:
    """What a model says of held-out rows, whole, and the form in which it leaves.

    Attributes:
        scores: (rows, classes).
    """

    scores: Scores
    form: OutputForm = field(default_factory=OutputForm)


def cost(
    before: Answers, after: Answers, labels: Labels, *, epsilon: float | None = None,
    delta: float | None = None, queries: int = 0, seconds: float = 0.0,
) -> Cost:  # fmt: skip
    """The cost of a way, on rows with true labels that neither model saw; in the same order."""
    spent = {"epsilon": epsilon, "delta": delta, "queries": queries, "seconds": seconds}
    if not len(labels):
        return Cost(None, None, None, None, None, None, None, **spent)  # type: ignore[arg-type] # by name
    prices = [price("", one.form, one.scores, labels) for one in (before, after)]
    right = [labelled(one.form, one.scores).argmax(axis=1) == labels for one in (before, after)]
    shares = [_share(one) for one in right]
    return Cost(
        shares[0], shares[1], paired_gain(right[0], right[1]),
        prices[0].calibration_error, prices[1].calibration_error,
        prices[0].brier, prices[1].brier, **spent,  # type: ignore[arg-type] # by name
    )  # fmt: skip


def _share(right: Flags) -> Measure:
    low, high = clopper_pearson(int(right.sum()), len(right))
    return Measure("accuracy", float(right.mean()), low, high, "share")


def queries_of(report: Report) -> int:
    """Rows that an assessment asked."""
    return sum(one.outcome.queries for one in report.ran if one.outcome is not None)


# ---- for programs ----


def weighed_json(weighed: Sequence[Weighed]) -> list[dict[str, Any]]:
    """The ways as plain JSON; numbers that are none are the texts `inf` and `nan`."""
    found = plain([msgspec.to_builtins(one) for one in weighed])
    assert isinstance(found, list)  # noqa: S101 # of a list
    return found


def weighed_from(found: Sequence[Mapping[str, Any]]) -> list[Weighed]:
    """What `weighed_json` gave. Raises: ValidationError: it gave something else."""
    try:
        return msgspec.convert(found, list[Weighed], strict=False)
    except msgspec.ValidationError:
        raise ValidationError("the comparison cannot be read") from None
