"""The tests of what answers tell beside membership: extraction, attributes, reconstruction."""

from strongroom.engines.robustness.assessment.listing import Listed, fresh, truth_of, unlabelled
from strongroom.engines.robustness.assessment.plan import Plan
from strongroom.engines.robustness.assessment.running import Progress
from strongroom.engines.robustness.assessment.subject import Sample, Subject
from strongroom.engines.robustness.extraction import tests as extraction
from strongroom.engines.robustness.inference import tests as inference
from strongroom.engines.robustness.outcome import Gate, Outcome
from strongroom.engines.robustness.target import Rows, Truth

MOST_QUERIES = 2_000
"""Of each way to copy a model: what is not reached by then is said to be so."""
MOST_FEATURES = 5
"""Whose values are guessed: those that the plan forbids to change, and groups are told apart by."""


def listed() -> tuple[Listed, ...]:
    """The tests."""
    return (
        Listed(
            inference.ATTRIBUTE, inference.THREAT, "What the model tells of a person's features",
            inference.GATES[inference.ATTRIBUTE], _attribute,
        ),
        Listed(
            inference.INVERSION, inference.THREAT, "Rows rebuilt from answers",
            inference.GATES[inference.INVERSION], _inversion,
        ),
        Listed(
            extraction.FIDELITY, extraction.THREAT, "A copy of the model from its answers",
            extraction.GATES[extraction.FIDELITY], _fidelity, _dearer_than_the_limits,
        ),
    )  # fmt: skip


def _reason(test: str, reason: str) -> Outcome:
    return Outcome(test, inference.THREAT, inference.ATLAS[test], reason=reason)


def _dearer_than_the_limits(subject: Subject) -> tuple[Gate, ...]:
    """Where one caller is limited, a copy must cost more than that; else nothing is asked for."""
    allowance = extraction.allowed(subject.limits.per_minute, subject.limits.per_day)
    return () if allowance is None else extraction.gates(allowance)


def _fidelity(subject: Subject, _plan: Plan, seed: int, progress: Progress) -> Outcome:
    limits = subject.limits
    settings = extraction.Settings(
        most=MOST_QUERIES, per_minute=limits.per_minute, per_day=limits.per_day
    )
    return extraction.fidelity(
        subject.rows.rows, fresh(subject), subject.space, settings, seed, progress
    )


def _attribute(subject: Subject, plan: Plan, seed: int, progress: Progress) -> Outcome:
    pairs = _pairs(subject)
    if isinstance(pairs, str):
        return _reason(inference.ATTRIBUTE, pairs)
    known = {one.name for one in subject.space.features}
    wished = [one.name for one in subject.space.features if not one.is_mutable]
    features = [name for name in dict.fromkeys([*plan.columns.groups, *wished]) if name in known]
    settings = inference.Settings(features=features[:MOST_FEATURES], rows=plan.rows)
    return inference.attribute(*pairs, fresh(subject), subject.space, settings, seed, progress)


def _inversion(subject: Subject, _plan: Plan, seed: int, progress: Progress) -> Outcome:
    pairs = _pairs(subject)
    if isinstance(pairs, str):
        return _reason(inference.INVERSION, pairs)
    return inference.inversion(
        *pairs, fresh(subject), subject.space, inference.Settings(), seed, progress=progress
    )


def _pairs(subject: Subject) -> tuple[tuple[Rows, Truth], tuple[Rows, Truth]] | str:
    """Rows of both kinds with what is true of them; or why there are none."""
    if subject.trained is None or subject.held_out is None:
        return "it takes rows that the model was trained on, and rows that it never saw"
    if unlabelled(subject.trained) or unlabelled(subject.held_out):
        return "the rows have no labels"
    return _pair(subject.trained), _pair(subject.held_out)


def _pair(sample: Sample) -> tuple[Rows, Truth]:
    return sample.rows, truth_of(sample)
