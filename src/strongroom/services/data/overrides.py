"""What people said that columns hold, noted in the journal of sealed changes.

A word outlives versions and new findings: it is about the column's name, until somebody withdraws
it. It can show a column in clear, so a row that was changed, added, taken away or put back from an
older day in the database stops reads rather than being believed.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from strongroom.services.data.tables import ColumnOverrideRow
from strongroom.vault.keys import Keyring

KIND = "column overrides"
"""Of the changes of a dataset's overrides, in the journal of sealed changes."""


@dataclass(frozen=True, slots=True)
class Override:
    """A person's word on a column.

    Attributes:
        type: a semantic type, or None for "nothing personal".
    """

    type: str | None
    by: str
    at: datetime


class Overrides:
    """Rows of overrides."""

    def __init__(self, keyring: Keyring) -> None:
        self._keyring = keyring

    def of(self, session: Session, dataset_id: str) -> Mapping[str, Override]:
        """By column, what is in force.

        Raises:
            TamperedError: the rows are not those that were written last.
        """
        rows = self._rows(session, dataset_id)
        seals = self._keyring.seals
        if rows or seals.latest(session, KIND, dataset_id) is not None:
            seals.require(session, KIND, dataset_id, _digest(rows))
        return {row.column: Override(row.type, row.decided_by, row.decided_at) for row in rows}

    def set(self, session: Session, dataset_id: str, column: str, said: Override | None) -> None:
        """Keep a word, or withdraw it: None. Whatever was said before is replaced."""
        session.execute(
            delete(ColumnOverrideRow).where(
                ColumnOverrideRow.dataset == dataset_id, ColumnOverrideRow.column == column
            )
        )
        if said is not None:
            session.add(
                ColumnOverrideRow(
                    dataset=dataset_id, column=column, type=said.type, decided_by=said.by,
                    decided_at=said.at,
                )
            )  # fmt: skip
        self._note(session, dataset_id)

    def remove(self, session: Session, dataset_id: str) -> None:
        """Take all words on a dataset away."""
        gone = session.scalars(
            delete(ColumnOverrideRow)
            .where(ColumnOverrideRow.dataset == dataset_id)
            .returning(ColumnOverrideRow.column)
        ).all()
        if gone:
            self._note(session, dataset_id)

    def _note(self, session: Session, dataset_id: str) -> None:
        session.flush()
        digest = _digest(self._rows(session, dataset_id))
        self._keyring.seals.record(session, KIND, dataset_id, digest)

    def _rows(self, session: Session, dataset_id: str) -> list[ColumnOverrideRow]:
        return list(
            session.scalars(
                select(ColumnOverrideRow)
                .where(ColumnOverrideRow.dataset == dataset_id)
                .order_by(ColumnOverrideRow.column)
            )
        )


def _digest(rows: list[ColumnOverrideRow]) -> str:
    said = sorted(
        [row.column, row.type, row.decided_by, row.decided_at.isoformat()] for row in rows
    )
    return sha256(json.dumps(said).encode()).hexdigest()
