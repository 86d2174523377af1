"""The tests of membership, on a subject: the shadow models are fitted once for all of them."""

from collections.abc import Callable

from strongroom.engines.robustness.assessment.listing import Listed, fresh, truth_of, unlabelled
from strongroom.engines.robustness.assessment.plan import Plan
from strongroom.engines.robustness.assessment.running import Progress
from strongroom.engines.robustness.assessment.subject import Sample, Subject
from strongroom.engines.robustness.membership import tests
from strongroom.engines.robustness.membership.evidence import Evidence, gather, usable
from strongroom.engines.robustness.membership.pool import Pool, pooled
from strongroom.engines.robustness.outcome import Gate, Outcome
from strongroom.engines.robustness.target import Rows, Truth

MOST_ROWS = 2_000
"""Of each kind: more cost more fits' time than they sharpen the bounds."""
_POOL, _EVIDENCE = "membership.pool", "membership.evidence"
SHADOWS = "membership.shadows"
"""Name of the bundle of shadow answers."""
_LABEL_ONLY_ROWS = 100

Attack = Callable[[Evidence, tests.Settings, int], Outcome]


def listed() -> tuple[Listed, ...]:
    """The tests."""
    titles = {
        tests.LIRA: (
            "Who was in the training data: likelihood ratios",
            _with(tests.LIRA, tests.lira),
        ),
        tests.RMIA: (
            "Who was in the training data: relative membership",
            _with(tests.RMIA, tests.rmia),
        ),
        tests.LOSS: (
            "Who was in the training data: a threshold on the loss",
            _with(tests.LOSS, tests.loss),
        ),
        tests.LABEL_ONLY: ("Who was in the training data: labels alone", _label_only),
    }
    return tuple(
        Listed(
            test,
            tests.THREAT,
            title,
            tests.GATES[test],
            run,
            _of_many if test != tests.LABEL_ONLY else lambda _: (),
            _claims,
        )
        for test, (title, run) in titles.items()
    )


def _with(name: str, attack: Attack) -> Callable[[Subject, Plan, int, Progress], Outcome]:
    def run(subject: Subject, plan: Plan, seed: int, progress: Progress) -> Outcome:
        if reason := _why_not(subject):
            return Outcome(name, tests.THREAT, tests.ATLAS, reason=reason)
        evidence = _evidence(subject, plan, progress)
        return attack(evidence, _settings(subject, plan), seed)

    return run


def _label_only(subject: Subject, plan: Plan, seed: int, progress: Progress) -> Outcome:
    if reason := _why_not(subject):
        return Outcome(tests.LABEL_ONLY, tests.THREAT, tests.ATLAS, reason=reason)
    settings = _settings(subject, plan)
    return tests.label_only(
        _pool(subject, plan), fresh(subject), subject.space, settings, seed, progress
    )


def _why_not(subject: Subject) -> str:
    if subject.trained is None or subject.held_out is None:
        return "it takes rows that the model was trained on, and rows that it never saw"
    if unlabelled(subject.trained) or unlabelled(subject.held_out):
        return "the rows have no labels"
    return ""


def _pool(subject: Subject, plan: Plan) -> Pool:
    if _POOL not in subject.shared:
        assert subject.trained is not None and subject.held_out is not None  # noqa: S101, PT018 # `_why_not`
        subject.shared[_POOL] = pooled(
            _pair(subject.trained), _pair(subject.held_out),
            classes=len(subject.classes) or 1, seed=plan.seed, most=MOST_ROWS,
        )  # fmt: skip
    found: Pool = subject.shared[_POOL]
    return found


def _evidence(subject: Subject, plan: Plan, progress: Progress) -> Evidence:
    """Answers and shadow models, fitted once for all attacks, and kept from fit to fit."""
    if _EVIDENCE not in subject.shared:
        pool = _pool(subject, plan)
        subject.shared[_EVIDENCE] = gather(
            pool, fresh(subject), subject.recipe, seed=plan.seed,
            kept=usable(subject.kept.get(SHADOWS, b""), pool, plan.seed, subject.recipe),
            keep=lambda bundle: subject.keep(SHADOWS, bundle), progress=progress,
            clock=subject.clock,
        )  # fmt: skip
    found: Evidence = subject.shared[_EVIDENCE]
    return found


def _of_many(subject: Subject) -> tuple[Gate, ...]:
    """Where there are rows enough to see a false alarm in a thousand, a gate on those."""
    others = 0 if subject.held_out is None else min(len(subject.held_out), MOST_ROWS)
    return tests.FEW_ALARMS if others >= tests.ENOUGH_OTHERS else ()


def _claims(subject: Subject) -> tuple[Gate, ...]:
    return () if subject.epsilon is None else (tests.claim_gate(subject.epsilon),)


def _pair(sample: Sample) -> tuple[Rows, Truth]:
    return sample.rows, truth_of(sample)


def _settings(subject: Subject, plan: Plan) -> tests.Settings:
    sample = subject.trained
    assert sample is not None  # noqa: S101 # `_why_not`
    names = tuple(sample.name(at) for at in range(len(sample)))
    return tests.Settings(
        names=names, groups=sample.groups, claims_privacy=subject.epsilon is not None,
        delta=subject.delta,
        rows=min(plan.rows, _LABEL_ONLY_ROWS),
    )  # fmt: skip
