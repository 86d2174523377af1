"""What signed assessments say of a version as it is now, for rules of promotion and for people."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy.orm import Session

from strongroom.engines.crypto import dsse
from strongroom.engines.robustness.assessment.running import Verdict
from strongroom.errors import TamperedError
from strongroom.services.models.assessing import ASSESSMENT_TYPE
from strongroom.services.models.decisions import Decisions
from strongroom.services.models.promotion import Assessed
from strongroom.services.models.statements import ModelKeys
from strongroom.services.models.tables import ModelEntryRow
from strongroom.services.models.types import Decision


@dataclass(frozen=True, slots=True)
class SignedAssessment:
    """One, as it was signed.

    Attributes:
        id: of its row.
        plan: digest of the plan that it was made under.
        rows: `trained` and `held_out` → name, version and commitment of the dataset.
    """

    id: str
    kind: str
    plan: str
    verdict: Verdict
    at: datetime
    report_sha256: str
    rows: Mapping[str, tuple[str, int, str]]

    def is_report(self, content: bytes) -> bool:
        """Whether this is the report it speaks of."""
        return sha256(content).hexdigest() == self.report_sha256


def standing(
    session: Session, decisions: Decisions, keys: ModelKeys, row: ModelEntryRow
) -> list[SignedAssessment]:
    """Those of the version's present bytes, the oldest first.

    Raises:
        TamperedError: what was decided on the version is not as it was left.
    """
    decided = [
        one for one in decisions.of(session, row.id)
        if one.decision == Decision.ASSESSED and one.envelope is not None
    ]  # fmt: skip
    if not decided:
        return []
    key = keys.verifying_key(session)
    found = []
    for one in decided:
        statement = dsse.verify(one.envelope or b"", [key])
        digests = {subject.sha256 for subject in statement.subjects}
        if statement.predicate_type == ASSESSMENT_TYPE and digests == {row.digest}:
            found.append(_signed(statement.predicate))
    return found


def newest(signed: list[SignedAssessment], plans: Mapping[str, str]) -> dict[str, Assessed]:
    """Kind → the newest under the plan that is in force.

    Args:
        plans: kind → the digest of its plan.
    """
    return {
        one.kind: Assessed(one.at, passed=one.verdict is Verdict.PASSED)
        for one in signed
        if plans.get(one.kind) == one.plan
    }


def _signed(said: Mapping[str, Any]) -> SignedAssessment:
    try:
        return SignedAssessment(
            str(said["assessment"]), str(said["kind"]), str(said["plan"]),
            Verdict(said["verdict"]), datetime.fromisoformat(said["assessed_at"]),
            str(said["report_sha256"]),
            {
                name: (str(one["dataset"]), int(one["version"]), str(one["commitment"]))
                for name, one in said["rows"].items()
            },
        )  # fmt: skip
    except (KeyError, ValueError, TypeError, AttributeError):
        raise TamperedError("a signed assessment is not of this form") from None
