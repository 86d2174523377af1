"""The tests of threat 3, evasion, on a subject."""

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from strongroom.engines.robustness.assessment.listing import Listed, fresh
from strongroom.engines.robustness.assessment.plan import Plan
from strongroom.engines.robustness.assessment.running import Progress
from strongroom.engines.robustness.assessment.subject import Subject
from strongroom.engines.robustness.evasion import assessing
from strongroom.engines.robustness.evasion.cases import Case, Settings, part
from strongroom.engines.robustness.evasion.certificates import certified
from strongroom.engines.robustness.evasion.smoothed import smoothed
from strongroom.engines.robustness.outcome import Outcome

MOST_ROWS = 50
QUERIES, QUERIES_EACH, MOST_QUERIES = 1_000, 2.5, 5_000
"""Of one row; so many a coordinate where those are more, for one slope by differences takes two."""

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
        Listed("evasion.smoothed", 3, "What no change can turn of its average", (), _smoothed),
    )


def _on_case(test: str, attack: Attack) -> Callable[[Subject, Plan, int, Progress], Outcome]:
    def run(subject: Subject, plan: Plan, seed: int, progress: Progress) -> Outcome:
        if reason := _why_not(subject):
            return Outcome(test, 3, (), reason=reason)
        case, settings = _case(subject), settings_of(plan, subject.space.width)
        if plan.images is None:
            return attack(case, settings, seed, progress)
        other = replace(settings, norm="l2" if settings.norm == "linf" else "linf")
        first = attack(
            case, replace(settings, shown=plan.images.shown), seed, part(progress, 0, 0.5)
        )
        second = attack(case, other, seed, part(progress, 0.5, 1))
        return in_both(first, second, settings.norm, other.norm)

    return run


def in_both(first: Outcome, second: Outcome, norm: str, other: str) -> Outcome:
    """The outcomes of an attack in two norms as one; what the second measured has its name."""
    if first.reason or second.reason:
        return first if first.reason else second
    canary = first.canary
    if canary is not None and canary.was_found:
        canary = second.canary
    curves = [
        replace(curve, name=f"{curve.name}, {said}", x=f"distance in {said}")
        for outcome, said in ((first, norm), (second, other)) for curve in outcome.curves
    ]  # fmt: skip
    measures = [replace(one, name=f"{one.name} in {other}") for one in second.measures]
    return replace(
        first, measures=(*first.measures, *measures), canary=canary, curves=tuple(curves),
        words=(*first.words[:1], *second.words[:1], *first.words[1:]),
        queries=first.queries + second.queries,
    )  # fmt: skip


def _certified(subject: Subject, plan: Plan, seed: int, progress: Progress) -> Outcome:
    if reason := _why_not(subject):
        return Outcome("evasion.certified", 3, (), reason=reason)
    return certified(
        _case(subject), subject.exact, settings_of(plan, subject.space.width), seed, progress
    )


def _smoothed(subject: Subject, plan: Plan, seed: int, progress: Progress) -> Outcome:
    if reason := _why_not(subject):
        return Outcome("evasion.smoothed", 3, (), reason=reason)
    if subject.exact is not None:
        reason = "distances of the model itself are proved in `evasion.certified`"
        return Outcome("evasion.smoothed", 3, (), reason=reason)
    return smoothed(_case(subject), settings_of(plan, subject.space.width), seed, progress)


def _why_not(subject: Subject) -> str:
    return "the rows have no labels" if subject.classes and not len(subject.rows.labels) else ""


def _case(subject: Subject) -> Case:
    rows = subject.rows.rows
    labels = subject.rows.labels if subject.classes else np.zeros(len(rows), dtype=np.int64)
    return Case(fresh(subject), subject.space, rows, labels, subject.gradient)


def settings_of(plan: Plan, width: int) -> Settings:
    """What a plan says of evasion.

    Args:
        width: coordinates of a row.
    """
    rules = plan.evasion
    queries = min(max(QUERIES, int(QUERIES_EACH * width)), MOST_QUERIES)
    made = Settings(
        norm=rules.norm, rows=min(plan.rows, MOST_ROWS), queries=queries, tolerance=rules.tolerance
    )
    made = replace(made, declared=rules.declared) if rules.declared is not None else made
    return replace(made, budgets=rules.budgets) if rules.budgets else made
