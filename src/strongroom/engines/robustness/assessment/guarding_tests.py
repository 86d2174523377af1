"""The tests of guards and of load, on a subject."""

from strongroom.engines.robustness.assessment.listing import Listed, fresh
from strongroom.engines.robustness.assessment.plan import Plan
from strongroom.engines.robustness.assessment.running import Progress
from strongroom.engines.robustness.assessment.subject import Subject
from strongroom.engines.robustness.guards import tests as guards
from strongroom.engines.robustness.load import tests as load
from strongroom.engines.robustness.outcome import Outcome

MOST_VICTIMS = 50


def listed() -> tuple[Listed, ...]:
    """The tests."""
    return (
        Listed(
            guards.DETECTION, 3, "What a guard before the model would see",
            (), _detection,
        ),
        Listed(
            guards.MONITOR, 2, "What a monitor of callers would see", (), _monitor,
        ),
        Listed(
            load.INPUTS, 5, "Inputs that cost or break most", load.GATES[load.INPUTS], _load,
        ),
    )  # fmt: skip


def _detection(subject: Subject, plan: Plan, seed: int, progress: Progress) -> Outcome:
    trained, held_out = subject.trained, subject.held_out
    reason = ""
    if trained is None or held_out is None:
        reason = "it takes rows that the model was trained on, and rows that it never saw"
    elif not (len(trained.labels) and len(held_out.labels)):
        reason = "the rows have no labels"
    if reason or trained is None or held_out is None:
        return Outcome(guards.DETECTION, 3, (), reason=reason)
    settings = guards.DetectionSettings(victims=min(plan.rows, MOST_VICTIMS))
    return guards.detection(
        (trained.rows, trained.labels), (held_out.rows, held_out.labels), fresh(subject),
        subject.space, settings, seed, progress,
    )  # fmt: skip


def _monitor(subject: Subject, _plan: Plan, seed: int, progress: Progress) -> Outcome:
    natural = subject.rows
    if not len(natural.labels):
        return Outcome(guards.MONITOR, 2, (), reason="the rows have no labels")
    return guards.extraction_monitor(
        (natural.rows, natural.labels), fresh(subject), subject.space, seed=seed,
        progress=progress,
    )  # fmt: skip


def _load(subject: Subject, _plan: Plan, seed: int, progress: Progress) -> Outcome:
    settings = load.Settings(clock=subject.clock)
    return load.inputs(subject.predict, subject.space, subject.rows.rows, settings, seed, progress)
