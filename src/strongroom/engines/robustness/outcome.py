"""What a test of a model ends in: measures with bounds, its canary, the verdict of a gate."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Literal


class Status(StrEnum):
    """How a test ended."""

    PASSED = "passed"
    FAILED = "failed"
    INVALID = "invalid"
    """It missed its canary: what it found, or did not find, means nothing."""
    NOT_APPLICABLE = "not applicable"
    INFORMATION = "information"
    """It was measured, and no gate was set."""


@dataclass(frozen=True, slots=True)
class Measure:
    """A number that a test found.

    Attributes:
        name: in words, stable: gates name it.
        value, low, high: with its 95 % bounds where there are any.
        unit: `share`, `queries`, `seconds`, `bytes`, …; empty for a bare number.
    """

    name: str
    value: float
    low: float | None = None
    high: float | None = None
    unit: str = ""


@dataclass(frozen=True, slots=True)
class Gate:
    """A threshold that was set before the test ran.

    Attributes:
        measure: its name.
        side: whether it must be `at most` or `at least` `bound`.
        judged: what is compared: the measured number, or the bound that is worse for the model.
    """

    measure: str
    side: Literal["at most", "at least"]
    bound: float
    judged: Literal["value", "worst"] = "value"

    def holds(self, measure: Measure) -> bool:
        """Whether the measure keeps to it."""
        value = measure.value
        if self.judged == "worst":
            bound = measure.high if self.side == "at most" else measure.low
            value = measure.value if bound is None else bound
        return value <= self.bound if self.side == "at most" else value >= self.bound


@dataclass(frozen=True, slots=True)
class Canary:
    """What was planted to see whether the test can find anything.

    Attributes:
        planted: in words.
        was_found: by the test's own means.
        found: in words, with the figures.
    """

    planted: str
    was_found: bool
    found: str


@dataclass(frozen=True, slots=True)
class Curve:
    """Points to draw.

    Attributes:
        points: (x, y, low, high) in the order of x; low and high are y where there are no bounds.
    """

    name: str
    x: str
    y: str
    points: tuple[tuple[float, float, float, float], ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one test ended in.

    Attributes:
        test: its stable id, `threat.method`, e.g. `evasion.decision`.
        threat: number of the threat, 1 to 6 (docs/robustness.md).
        atlas: ids of MITRE ATLAS techniques.
        words: what it means for the people concerned, one sentence each; also what the test
            cannot see.
        listed: rows or values a person should look at, as plain JSON; rows are named by place or
            pseudonym, never by value.
        queries: rows asked of the model.
        reason: why it does not apply; empty otherwise.
    """

    test: str
    threat: int
    atlas: tuple[str, ...]
    measures: tuple[Measure, ...] = ()
    canary: Canary | None = None
    curves: tuple[Curve, ...] = ()
    words: tuple[str, ...] = ()
    listed: Mapping[str, Any] = field(default_factory=dict)
    queries: int = 0
    reason: str = ""

    def measure(self, name: str) -> Measure | None:
        """The measure of that name."""
        return next((one for one in self.measures if one.name == name), None)


def judge(outcome: Outcome, gates: Iterable[Gate]) -> Status:
    """The verdict on an outcome; a gate on what was not measured is not kept."""
    if outcome.reason:
        return Status.NOT_APPLICABLE
    if outcome.canary is not None and not outcome.canary.was_found:
        return Status.INVALID
    verdicts = [
        (measure := outcome.measure(gate.measure)) is not None and gate.holds(measure)
        for gate in gates
    ]
    if not verdicts:
        return Status.INFORMATION
    return Status.PASSED if all(verdicts) else Status.FAILED
