"""An assessment that goes on where it broke off: what is done is kept in a file meanwhile."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path

from strongroom.engines.robustness.assessment import running
from strongroom.engines.robustness.assessment.catalog import tests
from strongroom.engines.robustness.assessment.keeping import Keeper, Kept
from strongroom.engines.robustness.assessment.plan import Plan
from strongroom.engines.robustness.assessment.running import Ran, Report
from strongroom.engines.robustness.assessment.subject import Subject
from strongroom.faces.cli import attack_shown
from strongroom.faces.cli.attack_inputs import Inputs


def assessed(
    subject: Subject,
    plan: Plan,
    keep: Path | None,
    inputs: Callable[[], Inputs],
    tell: Callable[[str, float], None],
    done: Mapping[str, Ran] | None = None,
) -> Report:
    """Run the tests of a plan.

    Args:
        keep: file of what is done; None: nothing is kept.
        inputs: of what the tests are made; a file of others is refused.
        done: tests that ran elsewhere and are not run again.
    Raises: ConflictError, ValidationError: the file is of another assessment, or of none.
    """
    done = dict(done or {})
    if keep is None:
        return running.assess(subject, plan, tests(), done=done, progress=tell, clock=subject.clock)
    given = inputs()
    before = attack_shown.kept_for(keep, plan, given) if keep.exists() else Kept()
    keeper = Keeper(
        Kept({**done, **before.ran}, before.bundles),
        lambda kept: attack_shown.keep(keep, plan, given, kept),
    )
    report = running.assess(
        replace(subject, kept=before.bundles, keep=keeper.bundle), plan, tests(),
        done={**done, **before.ran}, each=keeper.ran, progress=tell, clock=subject.clock,
    )  # fmt: skip
    # Whoever can write to that file can write outcomes into it: a reader, and a signature, know.
    read = [*before.ran, *(f"a part of {name}" for name in before.bundles)]
    if not read:
        return report
    kept = f"of an earlier try, read from a file: {', '.join(read)}"
    return replace(report, remarks=(*report.remarks, kept))
