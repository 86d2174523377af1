"""What is there: names, versions, overrides; the only code that touches the room's rows."""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from strongroom.engines.crypto.deriving import derive
from strongroom.engines.crypto.wrapping import bind
from strongroom.engines.privacy.discover.findings import ColumnFinding, Role, TableFindings
from strongroom.errors import NotFoundError
from strongroom.services.data.sealed_record import (
    VersionRecord,
    open_record,
    seal_record,
    with_overrides,
)
from strongroom.services.data.tables import ColumnOverrideRow, DatasetRow, DatasetVersionRow
from strongroom.services.data.types import AddDataset
from strongroom.vault.blob_writing import StagedBlob
from strongroom.vault.blobs import BlobStore
from strongroom.vault.keys import Keyring

_MASK_PURPOSE = "dataset mask"
_RECORD_PURPOSE = "dataset record"


@dataclass(frozen=True, slots=True)
class Held:
    """A version as it is held: its rows, what its record says, and what people said since.

    Attributes:
        findings: of the engine, overruled by people.
    """

    dataset: DatasetRow
    row: DatasetVersionRow
    record: VersionRecord
    findings: TableFindings

    def finding(self, column: str) -> ColumnFinding:
        """The finding of a column.

        Raises:
            NotFoundError: there is no such column.
        """
        try:
            return self.findings.column(column)
        except KeyError:
            raise NotFoundError(f"the dataset has no column `{column}`") from None


@dataclass(frozen=True, slots=True)
class NewVersion:
    """A table that is stored and not visible yet."""

    staged: StagedBlob
    record: VersionRecord
    rows: int
    columns: int


class Catalog:
    """The datasets of all workspaces."""

    def __init__(self, blobs: BlobStore, keyring: Keyring) -> None:
        self._blobs = blobs
        self._keyring = keyring

    # ---- adding ----

    def add(
        self, session: Session, request: AddDataset, new: NewVersion, *, by: str, now: datetime
    ) -> tuple[Held, bool]:
        """Make a version visible; where the same was there already, that one and True."""
        dataset = self._dataset(session, request.workspace, request.name)
        if dataset is None:
            dataset = self._create(session, request.workspace, request.name, by, now)
        fingerprint = self._fingerprint(session, dataset, request, new.record.digest)
        same = session.scalars(
            select(DatasetVersionRow).where(
                DatasetVersionRow.dataset == dataset.id,
                DatasetVersionRow.fingerprint == fingerprint,
            )
        ).first()
        if same is not None:
            return self._held(session, dataset, same), True
        version = 1 + (
            session.scalar(
                select(func.max(DatasetVersionRow.version)).where(
                    DatasetVersionRow.dataset == dataset.id
                )
            )
            or 0
        )
        blob = self._blobs.commit(session, new.staged)
        key = self._keyring.new_object_key(
            session, request.workspace, f"{dataset.id}/{version}", purpose=_RECORD_PURPOSE
        )
        findings = with_overrides(new.record.findings, self._overrides(session, dataset.id))
        row = DatasetVersionRow(
            dataset=dataset.id,
            version=version,
            blob=blob.id,
            fingerprint=fingerprint,
            rows=new.rows,
            columns=new.columns,
            personal_columns=personal_columns(findings),
            record=seal_record(new.record, key.key, dataset.id, version),
            record_key=key.wrapped,
            record_key_version=key.kek_version,
            purpose=request.purpose,
            legal_basis=request.legal_basis.value,
            retention_days=request.retention_days,
            created_at=now,
            created_by=by,
        )
        session.add(row)
        session.flush()
        return Held(dataset, row, new.record, findings), False

    def _create(
        self, session: Session, workspace: str, name: str, by: str, now: datetime
    ) -> DatasetRow:
        dataset_id = f"ds_{secrets.token_hex(12)}"
        key = self._keyring.new_object_key(session, workspace, dataset_id, purpose=_MASK_PURPOSE)
        dataset = DatasetRow(
            id=dataset_id,
            workspace=workspace,
            name=name,
            mask_key=key.wrapped,
            mask_key_version=key.kek_version,
            created_at=now,
            created_by=by,
        )
        session.add(dataset)
        session.flush()
        return dataset

    def _fingerprint(
        self, session: Session, dataset: DatasetRow, request: AddDataset, digest: str
    ) -> str:
        """Equal for equal content and options; keyed, so that no guess can be tested with it."""
        key = derive(self._dataset_key(session, dataset), b"strongroom/1/fingerprint")
        options = request.model_dump_json(exclude={"workspace", "name", "format"})
        return hmac.new(key, f"{digest}\n{options}".encode(), sha256).hexdigest()

    # ---- finding ----

    def find(self, session: Session, workspace: str, name: str, version: int) -> Held:
        """A version, the newest for 0.

        Raises:
            NotFoundError: no such dataset or version.
            TamperedError, KeyUnavailableError: its record cannot be opened.
        """
        dataset = self._dataset(session, workspace, name)
        if dataset is None:
            raise NotFoundError(f"there is no dataset `{name}` in `{workspace}`")
        chosen = select(DatasetVersionRow).where(DatasetVersionRow.dataset == dataset.id)
        if version:
            chosen = chosen.where(DatasetVersionRow.version == version)
        row = session.scalars(chosen.order_by(DatasetVersionRow.version.desc()).limit(1)).first()
        if row is None:
            raise NotFoundError(f"the dataset `{name}` has no version {version}")
        return self._held(session, dataset, row)

    def versions(self, session: Session, dataset: DatasetRow) -> list[Held]:
        """Every version, newest first."""
        rows = session.scalars(
            select(DatasetVersionRow)
            .where(DatasetVersionRow.dataset == dataset.id)
            .order_by(DatasetVersionRow.version.desc())
        )
        return [self._held(session, dataset, row) for row in rows]

    def page(self, session: Session, workspace: str, after: str, limit: int) -> list[Held]:
        """The newest version of each dataset whose name comes after `after`, by name."""
        newest = (
            select(DatasetVersionRow.dataset, func.max(DatasetVersionRow.version).label("version"))
            .group_by(DatasetVersionRow.dataset)
            .subquery()
        )
        found = session.execute(
            select(DatasetRow, DatasetVersionRow)
            .join(newest, newest.c.dataset == DatasetRow.id)
            .join(
                DatasetVersionRow,
                (DatasetVersionRow.dataset == newest.c.dataset)
                & (DatasetVersionRow.version == newest.c.version),
            )
            .where(DatasetRow.workspace == workspace, DatasetRow.name > after)
            .order_by(DatasetRow.name)
            .limit(limit)
        )
        return [self._held(session, dataset, row) for dataset, row in found]

    def mask_key(self, session: Session, held: Held) -> bytes:
        """The key under which masked views of a version hash.

        The same for the versions of one purpose that one principal has added, and no other:
        whoever sees masked rows and may add versions could else add one with values of their own
        choice, see how these are hashed, and so look up those of everybody else.
        """
        context = bind("strongroom mask", 1, held.row.created_by, held.row.purpose)
        return derive(self._dataset_key(session, held.dataset), context)

    # ---- changing ----

    def override(
        self, session: Session, held: Held, column: str, type_name: str, *, by: str, now: datetime
    ) -> None:
        """Keep a person's word on a column; `engine` withdraws it."""
        held.finding(column)
        session.execute(
            delete(ColumnOverrideRow).where(
                ColumnOverrideRow.dataset == held.dataset.id, ColumnOverrideRow.column == column
            )
        )
        if type_name != "engine":
            session.add(
                ColumnOverrideRow(
                    dataset=held.dataset.id,
                    column=column,
                    type=None if type_name == "none" else type_name,
                    decided_by=by,
                    decided_at=now,
                )
            )
        session.flush()
        for version in self.versions(session, held.dataset):
            version.row.personal_columns = personal_columns(version.findings)
        session.flush()

    def remove(self, session: Session, workspace: str, name: str, version: int) -> list[int]:
        """Remove a version, or all and the name for 0; the versions that went.

        Raises:
            NotFoundError: no such dataset or version.
        """
        dataset = self._dataset(session, workspace, name)
        if dataset is None:
            raise NotFoundError(f"there is no dataset `{name}` in `{workspace}`")
        rows = list(
            session.scalars(
                select(DatasetVersionRow)
                .where(DatasetVersionRow.dataset == dataset.id)
                .order_by(DatasetVersionRow.version)
            )
        )
        going = [row for row in rows if version in (0, row.version)]
        if not going:
            raise NotFoundError(f"the dataset `{name}` has no version {version}")
        for row in going:
            self._blobs.delete(session, row.blob)
            session.delete(row)
        session.flush()
        if len(going) == len(rows):
            session.execute(
                delete(ColumnOverrideRow).where(ColumnOverrideRow.dataset == dataset.id)
            )
            session.delete(dataset)
            session.flush()
        return [row.version for row in going]

    def rewrap(self, session: Session, workspace: str) -> int:
        """Bring the keys of masks and records to the workspace's newest key; how many changed."""
        datasets = {
            row.id: row
            for row in session.scalars(select(DatasetRow).where(DatasetRow.workspace == workspace))
        }
        masks = [(row.id, row.mask_key, row.mask_key_version) for row in datasets.values()]
        changed = self._keyring.rewrap(session, workspace, masks, purpose=_MASK_PURPOSE)
        for dataset_id, wrapped, key_version in changed:
            datasets[dataset_id].mask_key = wrapped
            datasets[dataset_id].mask_key_version = key_version
        versions = {
            f"{row.dataset}/{row.version}": row
            for row in session.scalars(
                select(DatasetVersionRow)
                .join(DatasetRow, DatasetRow.id == DatasetVersionRow.dataset)
                .where(DatasetRow.workspace == workspace)
            )
        }
        records = [(key, row.record_key, row.record_key_version) for key, row in versions.items()]
        rewrapped = self._keyring.rewrap(session, workspace, records, purpose=_RECORD_PURPOSE)
        for key, wrapped, key_version in rewrapped:
            versions[key].record_key = wrapped
            versions[key].record_key_version = key_version
        session.flush()
        return len(changed) + len(rewrapped)

    # ---- rows ----

    def _dataset(self, session: Session, workspace: str, name: str) -> DatasetRow | None:
        return session.scalars(
            select(DatasetRow).where(DatasetRow.workspace == workspace, DatasetRow.name == name)
        ).first()

    def _dataset_key(self, session: Session, dataset: DatasetRow) -> bytes:
        return self._keyring.object_key(
            session, dataset.workspace, dataset.id, dataset.mask_key, dataset.mask_key_version,
            purpose=_MASK_PURPOSE,
        )  # fmt: skip

    def _overrides(self, session: Session, dataset_id: str) -> Mapping[str, str | None]:
        rows = session.scalars(
            select(ColumnOverrideRow).where(ColumnOverrideRow.dataset == dataset_id)
        )
        return {row.column: row.type for row in rows}

    def _held(self, session: Session, dataset: DatasetRow, row: DatasetVersionRow) -> Held:
        key = self._keyring.object_key(
            session, dataset.workspace, f"{dataset.id}/{row.version}", row.record_key,
            row.record_key_version, purpose=_RECORD_PURPOSE,
        )  # fmt: skip
        record = open_record(row.record, key, dataset.id, row.version)
        findings = with_overrides(record.findings, self._overrides(session, dataset.id))
        return Held(dataset, row, record, findings)


def personal_columns(findings: TableFindings) -> int:
    """Columns that identify, set people apart, or are special or secret."""
    return sum(1 for finding in findings.columns if finding.role is not Role.PLAIN)
