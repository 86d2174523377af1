"""What is signed of people's decisions: an approval, one of several approvals, and the others.

Each is an in-toto Statement v1 about the manifest's digest, so it holds for these bytes only.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from strongroom.engines.crypto.dsse import Statement, Subject
from strongroom.services.models.promotion import Approver, Judged
from strongroom.services.models.statements import APPROVAL_TYPE
from strongroom.services.models.tables import ModelEntryRow
from strongroom.services.models.types import Decision

PARTIAL_APPROVAL_TYPE = "urn:strongroom:model-partial-approval:v1"
"""One approval of several that the rules ask for. It admits nothing by itself."""
DECISION_TYPE = "urn:strongroom:model-decision:v1"
"""Rejected, retired, deleted."""


def approval_statement(
    row: ModelEntryRow, approver: Approver, at: datetime, comment: str, *, rules: str,
    judged: Sequence[Judged], earlier: Sequence[Mapping[str, Any]], is_last: bool,
) -> Statement:  # fmt: skip
    """What an approval claims.

    Args:
        rules: digest of the rules that it was given under.
        judged: every rule, with how it is met.
        earlier: what those who approved before have signed.
        is_last: it admits the version; else others are still waited for.
    """
    predicate: dict[str, object] = {
        "approved_by": approver.id,
        "approved_at": at.isoformat(),
        "accepts_findings": approver.accepts_findings,
        "comment": comment,
        "purpose": approver.purpose,
        "rules": rules,
        "met": [{"rule": one.code, "how": one.says} for one in judged if one.is_met],
    }
    if is_last:
        kept = ("approved_by", "approved_at", "accepts_findings", "comment", "purpose")
        predicate["approvals"] = [
            {name: said[name] for name in kept} for said in (*earlier, predicate)
        ]
    kind = APPROVAL_TYPE if is_last else PARTIAL_APPROVAL_TYPE
    return Statement((Subject(_name(row), row.digest),), kind, predicate)


def decision_statement(
    row: ModelEntryRow, decision: Decision, by: str, at: datetime, comment: str, files: str
) -> Statement:
    """What another decision claims.

    Args:
        files: digest of the list of registered files: a version that was not checked yet has no
            manifest.
    """
    predicate: dict[str, object] = {
        "decision": decision.value,
        "by": by,
        "at": at.isoformat(),
        "comment": comment,
        "about": "manifest" if row.digest else "registered files",
    }
    return Statement((Subject(_name(row), row.digest or files),), DECISION_TYPE, predicate)


def _name(row: ModelEntryRow) -> str:
    return f"{row.workspace}/{row.model}/{row.version}"
