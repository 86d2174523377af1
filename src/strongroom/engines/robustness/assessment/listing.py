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
        further: gates that only a subject gives, where the plan sets none.
        claims: gates on what a subject claims of itself; a plan that sets others leaves them.
        runs: subject, plan, seed and progress → outcome.
        needs_model: without one there is nothing to run.
    """

    id: str
    threat: int
    title: str
    gates: tuple[Gate, ...]
    runs: Run
    further: Callable[[Subject], tuple[Gate, ...]] = lambda _: ()
    claims: Callable[[Subject], tuple[Gate, ...]] = lambda _: ()
    needs_model: bool = True

    def gates_on(self, subject: Subject, plan: Plan) -> tuple[Gate, ...]:
        """The plan's, else those of every subject and of this one; and what it claims."""
        own = plan.gates.get(self.id)
        gates = (*self.gates, *self.further(subject)) if own is None else own
        named = {gate.measure for gate in gates}
        return (*gates, *(one for one in self.claims(subject) if one.measure not in named))

    def run(self, subject: Subject, plan: Plan, seed: int, progress: Progress) -> Outcome:
        """The outcome."""
        if self.needs_model and not subject.has_model:
            return Outcome(self.id, self.threat, (), reason="there is no model yet")
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
