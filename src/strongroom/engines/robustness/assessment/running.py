"""Runs the tests of a plan, one after the other, so that it can go on where it was killed."""

import time
import zlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

import numpy as np

from strongroom.engines.robustness.assessment.plan import Plan
from strongroom.engines.robustness.assessment.subject import Subject
from strongroom.engines.robustness.outcome import Gate, Outcome, Status, judge
from strongroom.errors import StrongroomError, ValidationError

Progress = Callable[[float], None]
"""Told the share of a test that is done, in [0, 1]."""


class Verdict(StrEnum):
    """Of an assessment."""

    PASSED = "passed"
    FAILED = "failed"
    """A gate was not kept, or a test that must apply does not."""
    INVALID = "invalid"
    """A test missed its canary, broke off, or had no time, or no gate was judged: nothing can be
    concluded."""


class Test(Protocol):
    """One test.

    Attributes:
        id: stable, `threat.method`.
        threat: number of the threat, 1 to 6.
        gates: unless the plan sets others.
    """

    @property
    def id(self) -> str: ...  # noqa: D102 # as the class says
    @property
    def threat(self) -> int: ...  # noqa: D102 # as the class says
    @property
    def title(self) -> str: ...  # noqa: D102 # as the class says
    @property
    def gates(self) -> tuple[Gate, ...]: ...  # noqa: D102 # as the class says

    def gates_on(self, subject: Subject, plan: Plan) -> tuple[Gate, ...]:
        """The plan's where it names the test, else `gates` and those that only this subject gives.

        What the subject itself claims it is held to either way.
        """

    def run(self, subject: Subject, plan: Plan, seed: int, progress: Progress) -> Outcome:
        """The outcome; where the test does not apply, one with a reason."""


@dataclass(frozen=True, slots=True)
class Ran:
    """A test that was run.

    Attributes:
        status: its verdict; None: it broke off, and `broke` says why.
        cpu_seconds: of this process.
    """

    test: str
    threat: int
    title: str
    gates: tuple[Gate, ...]
    outcome: Outcome | None
    status: Status | None
    broke: str = ""
    cpu_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Report:
    """An assessment that has ended."""

    plan: Plan
    ran: tuple[Ran, ...]
    verdict: Verdict
    remarks: tuple[str, ...] = ()


class _NoTimeError(Exception):
    """The processor time of the plan is used up."""


def assess(
    subject: Subject,
    plan: Plan,
    tests: Sequence[Test],
    *,
    done: Mapping[str, Ran] | None = None,
    each: Callable[[Ran], None] = lambda _: None,
    progress: Callable[[str, float], None] = lambda _test, _share: None,
    clock: Callable[[], float] = time.process_time,
) -> Report:
    """Run the tests that the plan names.

    The same plan over the same subject gives the same outcomes: each test has a seed of its own,
    from the plan's seed and its id.

    Args:
        done: tests that ran under this plan before; they are not run again.
        each: told of each test when it has ended, to keep it.
        progress: told of the test that runs, and the share of it that is done.
        clock: seconds of processor time.
    Raises: ValidationError: the plan names a test, or a measure's test, that there is not.
    """
    chosen = chosen_tests(plan, tests)
    finished = dict(done or {})
    spent = sum(one.cpu_seconds for one in finished.values())
    deadline = clock() + 60 * plan.minutes - spent
    for test in chosen:
        if test.id in finished:
            continue
        ran = _run(test, subject, plan, deadline, progress, clock)
        finished[test.id] = ran
        each(ran)
    return report_of(plan, [finished[test.id] for test in chosen], subject.remarks)


def report_of(plan: Plan, ran: Sequence[Ran], remarks: Sequence[str] = ()) -> Report:
    """The report on tests that were run, with the verdict on all of them."""
    return Report(plan, tuple(ran), _verdict(plan, ran), tuple(remarks))


def chosen_tests(plan: Plan, tests: Sequence[Test]) -> list[Test]:
    """The tests that a plan names, in their own order. Raises: ValidationError."""
    known = {test.id for test in tests}
    for place, names in (("tests", plan.tests), ("require", plan.required), ("gates", plan.gates)):
        if unknown := sorted(set(names) - known):
            raise ValidationError(
                f"the plan, at `{place}`: there is no test `{unknown[0][:100]}`",
                next_step=f"the tests are {', '.join(sorted(known))}",
            )
    chosen = [test for test in tests if not plan.tests or test.id in plan.tests]
    left = {*plan.required, *plan.gates} - {test.id for test in chosen}
    if left:
        raise ValidationError(f"the plan demands something of `{min(left)}` and does not run it")
    return chosen


def _run(
    test: Test, subject: Subject, plan: Plan, deadline: float,
    progress: Callable[[str, float], None], clock: Callable[[], float],
) -> Ran:  # fmt: skip
    from threadpoolctl import threadpool_limits  # type: ignore[import-untyped] # has no types

    gates = test.gates_on(subject, plan)
    start = clock()

    def told(share: float) -> None:
        if clock() > deadline:
            raise _NoTimeError
        progress(test.id, share)

    outcome, broke = None, ""
    try:
        told(0.0)
        with threadpool_limits(1):  # more, on a busy machine, wait for each other
            outcome = test.run(subject, plan, _seed(plan.seed, test.id), told)
        progress(test.id, 1.0)
    except _NoTimeError:
        broke = f"the {plan.minutes:g} minutes of the plan are used up"
    except StrongroomError as error:
        broke = error.message
    except (ArithmeticError, ValueError, np.linalg.LinAlgError) as error:
        # What a library says of odd rows; its text may quote a value, so it stays here.
        broke = f"the rows or the model are of a kind that it cannot take ({type(error).__name__})"
    status = None if outcome is None else judge(outcome, gates)
    return Ran(test.id, test.threat, test.title, gates, outcome, status, broke, clock() - start)


def _seed(seed: int, test: str) -> int:
    # 32 bits: scikit-learn takes no more.
    return int(np.random.SeedSequence([seed, zlib.crc32(test.encode())]).generate_state(1)[0])


def _verdict(plan: Plan, ran: Sequence[Ran]) -> Verdict:
    statuses = [one.status for one in ran]
    if not ran or None in statuses or Status.INVALID in statuses:
        return Verdict.INVALID
    missing = [
        one for one in ran if one.test in plan.required and one.status is Status.NOT_APPLICABLE
    ]
    if missing or Status.FAILED in statuses:
        return Verdict.FAILED
    return Verdict.PASSED if Status.PASSED in statuses else Verdict.INVALID
