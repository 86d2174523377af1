"""How the tests of a room are listed for an assessment."""

from collections.abc import Callable
from dataclasses import dataclass

from strongroom.engines.robustness.assessment.plan import Plan
from strongroom.engines.robustness.assessment.running import Progress
from strongroom.engines.robustness.assessment.subject import Sample, Subject
from strongroom.engines.robustness.outcome import Gate, Outcome
from strongroom.engines.robustness.target import Target, Truth

Run = Callable[[Subject, Plan, int, Progress], Outcome]


@dataclass(frozen=True, slots=True)
class Listed:
    """A test of one of the rooms.

    Attributes:
        threat: its number, 1 to 6.
        gates: unless the plan sets others.
        further: gates that only a subject gives.
        runs: subject, plan, seed and progress → outcome.
    """

    id: str
    threat: int
    title: str
    gates: tuple[Gate, ...]
    runs: Run
    further: Callable[[Subject], tuple[Gate, ...]] = lambda _: ()

    def gates_on(self, subject: Subject) -> tuple[Gate, ...]:
        """Those of every subject, and of this one."""
        return (*self.gates, *self.further(subject))

    def run(self, subject: Subject, plan: Plan, seed: int, progress: Progress) -> Outcome:
        """The outcome."""
        return self.runs(subject, plan, seed, progress)


def truth_of(sample: Sample) -> Truth:
    """What is true of the rows: places of classes, or the numbers of a regression."""
    return sample.labels if len(sample.labels) else sample.numbers


def fresh(subject: Subject) -> Target:
    """The model before a new attacker, whose questions are counted from none."""
    return subject.target.again()


def unlabelled(sample: Sample | None) -> bool:
    """Whether nothing is known to be true of the rows."""
    return sample is not None and not len(truth_of(sample))
