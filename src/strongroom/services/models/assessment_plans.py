"""The plans of assessments, kept sealed by workspace and kind, and noted in the journal.

A plan is set before a version is assessed under it, by those who set rules of promotion. The
journal of sealed changes says which is in force: a row that is taken away, changed, or put back
from an older day in the database stops assessments and approvals, it never loosens them.
"""

from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.engines.crypto.floe import open_stream, seal_stream
from strongroom.engines.crypto.wrapping import bind
from strongroom.engines.robustness.assessment.catalog import tests
from strongroom.engines.robustness.assessment.plan import DEFAULT_TEXT, Plan, parse_plan
from strongroom.engines.robustness.assessment.running import chosen_tests
from strongroom.errors import TamperedError, ValidationError
from strongroom.services.models.tables import ModelPlanRow
from strongroom.vault.keys import Keyring

KIND = "assessment plan"
"""Of the changes of plans, in the journal of sealed changes."""
DEFAULTS = {
    "robustness": DEFAULT_TEXT,
    "poisoning": """\
version = 1
name = "poisoning"
tests = [
  "poisoning.labels", "poisoning.backdoor", "poisoning.sources", "poisoning.duplicates",
]
""",
}
"""Kind → the plan of it that every workspace has from the start: all tests of a model; and the
searches of rows before there is one, but for that of outliers: nothing is judged by it, and on
tables of few coarse columns it misses its canary, so that no verdict would stand."""

_PURPOSE = "assessment plan"


@dataclass(frozen=True, slots=True)
class WorkspacePlan:
    """A plan in force; `set_by` and `set_at` are None where nobody has set one."""

    plan: Plan
    set_by: str | None = None
    set_at: datetime | None = None


class AssessmentPlans:
    """Rows of plans."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def of(self, session: Session, workspace: str, kind: str) -> WorkspacePlan:
        """The plan of a kind.

        Raises:
            ValidationError: there is none. TamperedError: it is not the one that was set last.
            KeyUnavailableError: the key of the workspace is disabled or destroyed.
        """
        row = session.get(ModelPlanRow, (workspace, kind))
        name = _name(workspace, kind)
        seals = self._keyring.seals
        if row is None:
            if seals.latest(session, KIND, name) is not None:
                raise TamperedError(f"the plan `{kind}` of the workspace was taken away")
            if kind not in DEFAULTS:
                raise ValidationError(
                    f"there is no plan for assessments of kind `{kind}`",
                    next_step=f"set one with `strongroom model set-plan {kind} FILE`",
                )
            return WorkspacePlan(_parsed(DEFAULTS[kind]))
        seals.require(session, KIND, name, sha256(row.plan).hexdigest())
        key = self._keyring.object_key(
            session, workspace, name, row.plan_key, row.plan_key_version, purpose=_PURPOSE
        )
        text = b"".join(open_stream(key, _context(workspace, kind), [row.plan])).decode()
        return WorkspacePlan(_parsed(text), row.set_by, row.set_at)

    def set(
        self, session: Session, workspace: str, kind: str, text: str, *, by: str, now: datetime
    ) -> WorkspacePlan:
        """Put a plan in force, from the commit on.

        Raises:
            ValidationError: it cannot be read, names another kind, or tests that there are not.
        """
        plan = parse_plan(text)
        if plan.name != kind:
            raise ValidationError(f"the plan names itself `{plan.name}`, not `{kind}`")
        chosen_tests(plan, tests())
        name = _name(workspace, kind)
        key = self._keyring.new_object_key(session, workspace, name, purpose=_PURPOSE)
        sealed = b"".join(seal_stream(key.key, _context(workspace, kind), [text.encode()]))
        session.merge(
            ModelPlanRow(
                workspace=workspace, kind=kind, plan=sealed, plan_key=key.wrapped,
                plan_key_version=key.kek_version, set_by=by, set_at=now,
            )
        )  # fmt: skip
        session.flush()
        self._keyring.seals.record(session, KIND, name, sha256(sealed).hexdigest())
        return WorkspacePlan(plan, by, now)

    def rewrap(self, session: Session, workspace: str) -> int:
        """Bring the keys of the plans to the workspace's newest key; how many changed."""
        rows = {
            _name(workspace, row.kind): row
            for row in session.scalars(
                select(ModelPlanRow).where(ModelPlanRow.workspace == workspace)
            )
        }
        held = [(name, row.plan_key, row.plan_key_version) for name, row in rows.items()]
        changed = self._keyring.rewrap(session, workspace, held, purpose=_PURPOSE)
        for name, wrapped, version in changed:
            rows[name].plan_key, rows[name].plan_key_version = wrapped, version
        session.flush()
        return len(changed)


def _name(workspace: str, kind: str) -> str:
    return f"{workspace}/{kind}"


def _context(workspace: str, kind: str) -> bytes:
    return bind("strongroom assessment plan", 1, workspace, kind)


@lru_cache(maxsize=256)
def _parsed(text: str) -> Plan:
    try:
        return parse_plan(text)
    except ValidationError as error:
        # It could be read when it was set.
        raise TamperedError(
            f"the plan cannot be read any more: {error.message}", next_step="set it anew"
        ) from None
