"""The tests of threat 3, evasion, on a subject."""

from collections.abc import Callable

from strongroom.engines.robustness.assessment.listing import Listed, fresh
from strongroom.engines.robustness.assessment.plan import Plan
from strongroom.engines.robustness.assessment.running import Progress
from strongroom.engines.robustness.assessment.subject import Subject
from strongroom.engines.robustness.evasion import assessing
from strongroom.engines.robustness.evasion.cases import Case, Settings
from strongroom.engines.robustness.evasion.certificates import certified
from strongroom.engines.robustness.outcome import Outcome

MOST_ROWS = 50
QUERIES = 1_000
"""Of one row."""

Attack = Callable[[Case, Settings, int, Progress], Outcome]


def listed() -> tuple[Listed, ...]:
    """The tests; without gates: what distance a model must stand, only a plan knows."""
    attacks: dict[str, tuple[str, Attack]] = {
        "evasion.decision": ("How little turns an answer, seeing labels", assessing.decision),
        "evasion.score": ("How little turns an answer, seeing probabilities", assessing.score),
        "evasion.transfer": ("The same through a model of one's own", assessing.transferred),
        "evasion.gradient": ("The same, seeing the model", assessing.gradient),
        "evasion.constrained": ("The same, with rows that could be true", assessing.constrained),
    }
    return (
        *(
            Listed(test, 3, title, (), _on_case(test, run))
            for test, (title, run) in attacks.items()
        ),
        Listed("evasion.certified", 3, "What no change can turn", (), _certified),
    )


def _on_case(test: str, attack: Attack) -> Callable[[Subject, Plan, int, Progress], Outcome]:
    def run(subject: Subject, plan: Plan, seed: int, progress: Progress) -> Outcome:
        if reason := _why_not(subject):
            return Outcome(test, 3, (), reason=reason)
        return attack(_case(subject), _settings(plan), seed, progress)

    return run


def _certified(subject: Subject, plan: Plan, seed: int, progress: Progress) -> Outcome:
    if reason := _why_not(subject):
        return Outcome("evasion.certified", 3, (), reason=reason)
    return certified(_case(subject), subject.exact, _settings(plan), seed, progress)


def _why_not(subject: Subject) -> str:
    if not subject.classes:
        return "the model answers with numbers: no answer is simply wrong"
    return "" if len(subject.rows.labels) else "the rows have no labels"


def _case(subject: Subject) -> Case:
    sample = subject.rows
    return Case(fresh(subject), subject.space, sample.rows, sample.labels, subject.gradient)


def _settings(plan: Plan) -> Settings:
    return Settings(rows=min(plan.rows, MOST_ROWS), queries=QUERIES)
