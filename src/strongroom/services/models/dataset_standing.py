"""What was signed of the rows of a dataset version, for people; and how it is signed.

The statement is about the report. It names the rows by the commitment of their dataset: who may not
see its digest cannot test a guess of its content. The journal of sealed changes says which
statement is the newest of a version and kind, so that none can be quietly taken away.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.engines.crypto import dsse
from strongroom.engines.crypto.dsse import Statement, Subject
from strongroom.engines.robustness.assessment.running import Report, Verdict
from strongroom.errors import TamperedError
from strongroom.services.data.catalog import Held
from strongroom.services.data.tables import DatasetAssessmentRow
from strongroom.services.models.sealed_wishes import unreported
from strongroom.services.models.statements import ModelKeys
from strongroom.vault.blobs import BlobStore
from strongroom.vault.keys import Keyring

DATASET_ASSESSMENT_TYPE = "urn:strongroom:dataset-assessment:v1"
"""Of the signed statement of what a search for poison found."""
_SEAL = "dataset assessment"
"""Of the newest statement, in the journal of sealed changes."""


@dataclass(frozen=True, slots=True)
class SignedSearch:
    """A statement, verified.

    Attributes:
        in_force: digest of the plan that was in force when it was asked for.
    """

    verdict: Verdict
    in_force: str
    report_sha256: str


class SignedSearches:
    """Signs statements, and finds them again."""

    def __init__(self, blobs: BlobStore, keyring: Keyring) -> None:
        self._blobs = blobs
        self._keys = ModelKeys(keyring)
        self._seals = keyring.seals

    def sign(
        self, session: Session, row: DatasetAssessmentRow, held: Held, report: Report,
        content: bytes, about: Mapping[str, Any],
    ) -> None:  # fmt: skip
        """Put the signed statement of a report into its row, and note that it is the newest.

        Args:
            about: `at`, when it ended; `in_force`, as `SignedSearch` has it; `rows`, how many were
                searched.
        """
        predicate: dict[str, object] = {
            "assessment": row.id,
            "kind": row.kind,
            "workspace": held.dataset.workspace,
            "dataset": held.dataset.name,
            "version": held.row.version,
            "commitment": held.commitment,
            "rows": {"searched": about["rows"], "of": held.row.rows},
            "plan": report.plan.digest,
            "plan_in_force": about["in_force"],
            "seed": report.plan.seed,
            "verdict": report.verdict.value,
            "assessed_at": about["at"].isoformat(),
            "asked_by": row.asked_by,
            "tests": {
                one.test: "broke off" if one.status is None else one.status.value
                for one in report.ran
            },
        }
        subject = Subject(f"{row.id}.json", sha256(content).hexdigest())
        statement = Statement((subject,), DATASET_ASSESSMENT_TYPE, predicate)
        row.envelope = dsse.sign(statement, [self._keys.signing_key(session)])
        self._seals.record(session, _SEAL, _name(held, row.kind), _digest(row))

    def signed(self, session: Session, row: DatasetAssessmentRow, held: Held) -> SignedSearch:
        """What was signed of a search. Raises: TamperedError: nothing, or not of these rows."""
        if row.envelope is None:
            raise TamperedError("no signed verdict stands behind the assessment")
        statement = dsse.verify(row.envelope, [self._keys.verifying_key(session)])
        said = statement.predicate
        expected = (row.id, row.kind, held.dataset.workspace, held.row.version, held.commitment)
        try:
            about = tuple(
                said[name] for name in ("assessment", "kind", "workspace", "version", "commitment")
            )
            found = SignedSearch(
                Verdict(str(said["verdict"])), str(said["plan_in_force"]),
                statement.subjects[0].sha256,
            )  # fmt: skip
        except (KeyError, ValueError):
            raise TamperedError("the signed assessment is not of this form") from None
        if statement.predicate_type != DATASET_ASSESSMENT_TYPE or about != expected:
            raise TamperedError("the signed assessment is of other rows")
        return found

    def newest(self, session: Session, held: Held, kind: str) -> DatasetAssessmentRow | None:
        """The newest that has ended with a verdict; None: there was none.

        Raises: TamperedError: it was changed, or taken away.
        """
        rows = session.scalars(
            select(DatasetAssessmentRow)
            .where(
                DatasetAssessmentRow.dataset == held.dataset.id,
                DatasetAssessmentRow.version == held.row.version,
                DatasetAssessmentRow.kind == kind,
                DatasetAssessmentRow.envelope.is_not(None),
            )
            .order_by(DatasetAssessmentRow.ended_at.desc(), DatasetAssessmentRow.id)
        ).all()
        name = _name(held, kind)
        if not rows and self._seals.latest(session, _SEAL, name) is None:
            return None
        for row in rows:  # of one moment there may be two
            try:
                self._seals.require(session, _SEAL, name, _digest(row))
            except TamperedError:
                continue
            return row
        raise TamperedError("the newest assessment of the rows was changed or taken away")

    def report(
        self, session: Session, held: Held, kind: str
    ) -> tuple[DatasetAssessmentRow, SignedSearch, bytes]:
        """The newest report: its row, what was signed, its bytes.

        Raises:
            NotFoundError. TamperedError: it is not the one that was signed last.
        """
        row = self.newest(session, held, kind)
        if row is None or row.report is None:
            latest = session.scalars(
                select(DatasetAssessmentRow)
                .where(
                    DatasetAssessmentRow.dataset == held.dataset.id,
                    DatasetAssessmentRow.version == held.row.version,
                    DatasetAssessmentRow.kind == kind,
                )
                .order_by(DatasetAssessmentRow.asked_at.desc())
            ).first()
            about = f"kind `{kind}` on version {held.row.version} of `{held.dataset.name}`"
            raise unreported(latest, about, "data assess")
        signed = self.signed(session, row, held)
        with self._blobs.open(session, row.report) as reader:
            content = b"".join(reader.chunks())
        if sha256(content).hexdigest() != signed.report_sha256:
            raise TamperedError("the report is not the one that was signed")
        return row, signed, content


def _name(held: Held, kind: str) -> str:
    """By its blob, for a version that was removed leaves its number to the next."""
    return f"{held.row.blob}/{kind}"


def _digest(row: DatasetAssessmentRow) -> str:
    return sha256(row.envelope or b"").hexdigest()
