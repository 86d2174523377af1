"""What people decided on versions: each decision signed, and all of a version in the journal.

A row is only ever added. The journal of sealed changes knows how many there are and a digest of
them together: one that is changed, taken away or put in by hand in the database makes none of
them count.
"""

from collections.abc import Mapping
from datetime import datetime
from hashlib import sha256
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.engines.crypto import dsse
from strongroom.engines.crypto.dsse import Statement
from strongroom.engines.crypto.signing import VerifyingKey
from strongroom.engines.crypto.wrapping import bind
from strongroom.errors import TamperedError
from strongroom.services.models.decision_statements import PARTIAL_APPROVAL_TYPE
from strongroom.services.models.promotion import Approver
from strongroom.services.models.statements import ModelKeys
from strongroom.services.models.tables import ModelDecisionRow, ModelEntryRow
from strongroom.services.models.types import Decision
from strongroom.vault.keys import Keyring

KIND = "model decisions"
"""Of the decisions on a version, in the journal of sealed changes."""


class Decisions:
    """Rows of decisions."""

    def __init__(self, keyring: Keyring, keys: ModelKeys) -> None:
        self._keyring = keyring
        self._keys = keys

    def add(
        self, session: Session, row: ModelEntryRow, decision: Decision, about: Statement,
        *, by: str, at: datetime, comment: str,
    ) -> bytes:  # fmt: skip
        """Sign a decision and keep it, from the commit on; the envelope.

        Raises:
            TamperedError: those before it are not as they were left.
        """
        self.of(session, row.id)
        envelope = dsse.sign(about, [self._keys.signing_key(session)])
        session.add(
            ModelDecisionRow(
                entry=row.id, decision=decision, by=by, at=at, comment=comment, envelope=envelope
            )
        )
        session.flush()
        self._keyring.seals.record(session, KIND, row.id, _value(_rows(session, row.id)))
        return envelope

    def of(self, session: Session, entry: str) -> list[ModelDecisionRow]:
        """All on a version, the oldest first.

        Raises:
            TamperedError: they are not those that were made.
        """
        rows = _rows(session, entry)
        if self._keyring.seals.latest(session, KIND, entry) is not None:
            self._keyring.seals.require(session, KIND, entry, _value(rows))
        elif any(row.envelope is not None for row in rows):
            raise TamperedError("decisions on the version were not made here")
        return rows

    def partial_approvals(
        self, session: Session, row: ModelEntryRow, rules: str, key: VerifyingKey
    ) -> list[tuple[Approver, Mapping[str, Any]]]:
        """Who has approved the version as it is, under these rules, and what they signed.

        What roles they hold is not among it.

        Raises:
            TamperedError: the decisions are not those that were made.
        """
        found = []
        for decided in self.of(session, row.id):
            if decided.decision != Decision.APPROVAL or decided.envelope is None:
                continue
            statement = dsse.verify(decided.envelope, [key])
            said = statement.predicate
            digests = {subject.sha256 for subject in statement.subjects}
            if statement.predicate_type != PARTIAL_APPROVAL_TYPE or digests != {row.digest}:
                continue
            if said.get("rules") != rules or said.get("approved_by") != decided.by:
                continue
            found.append((
                Approver(
                    id=decided.by, is_person=True, roles=frozenset(),
                    accepts_findings=said.get("accepts_findings") is True,
                    purpose=str(said.get("purpose", "")),
                ),
                said,
            ))  # fmt: skip
        return found


def _rows(session: Session, entry: str) -> list[ModelDecisionRow]:
    rows = session.scalars(
        select(ModelDecisionRow)
        .where(ModelDecisionRow.entry == entry)
        .order_by(ModelDecisionRow.number)
    )
    return list(rows)


def _value(rows: list[ModelDecisionRow]) -> str:
    """How many there are, and a digest of them in their order."""
    hasher = sha256()
    for row in rows:
        signed = sha256(row.envelope or b"").hexdigest()
        hasher.update(
            bind(
                "strongroom model decision", 1, row.decision, row.by, row.at.isoformat(),
                row.comment, signed,
            )
        )  # fmt: skip
    return f"{len(rows)}/{hasher.hexdigest()}"
