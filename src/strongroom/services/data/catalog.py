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
from strongroom.engines.privacy.discover.findings import ColumnFinding, TableFindings
from strongroom.engines.privacy.mask.policy import LinkScope
from strongroom.engines.privacy.report.wording import personal
from strongroom.errors import NotFoundError, ValidationError
from strongroom.services.data import tokens
from strongroom.services.data.budget_ledger import Budgets
from strongroom.services.data.custom_types import CustomTypes, WorkspaceTypes
from strongroom.services.data.overrides import Override, Overrides
from strongroom.services.data.policies import DatasetPolicy, Policies
from strongroom.services.data.releases import Releases
from strongroom.services.data.sealed_record import (
    Bound,
    VersionRecord,
    open_record,
    seal_record,
    with_overrides,
)
from strongroom.services.data.tables import (
    DatasetAssessmentRow,
    DatasetRow,
    DatasetVersionRow,
    MaskKeyRow,
    MaskTokenRow,
)
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
        policy: what masked views of the dataset obey.
        types: of the workspace, beside the built-in ones.
        commitment: `hmac-sha256:…` of the digest under a key of the dataset: tells versions apart,
            and lets nobody who has no clear view test a guess of the content.
    """

    dataset: DatasetRow
    row: DatasetVersionRow
    record: VersionRecord
    findings: TableFindings
    policy: DatasetPolicy
    commitment: str
    types: WorkspaceTypes

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
    """A table that is stored and not visible yet.

    Attributes:
        types: with which it was searched, beside the built-in ones.
    """

    staged: StagedBlob
    record: VersionRecord
    rows: int
    columns: int
    types: WorkspaceTypes


class Catalog:
    """The datasets of all workspaces."""

    def __init__(self, blobs: BlobStore, keyring: Keyring) -> None:
        self._blobs = blobs
        self._keyring = keyring
        self.types = CustomTypes(keyring)
        self.policies = Policies(keyring, self.types)
        self.releases = Releases(blobs, keyring)
        self.budgets = Budgets(keyring)
        self._words = Overrides(keyring)

    # ---- adding ----

    def add(
        self, session: Session, request: AddDataset, new: NewVersion, *, by: str, now: datetime
    ) -> tuple[Held, bool]:
        """Make a version visible; where the same was there already, that one and True."""
        dataset = self._dataset(session, request.workspace, request.name)
        if dataset is None:
            dataset = self._create(session, request.workspace, request.name, by, now)
        content = f"{new.record.digest} {new.record.source_format}"
        if new.types.types:  # the same content, searched for other types, is a new version
            content += f" {new.types.digest}"
        fingerprint = self._fingerprint(session, dataset, request, content)
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
        types = self.types.of(session, dataset.workspace)
        said = self._overrides(session, dataset.id)
        findings = with_overrides(new.record.findings, said, types.types)
        bound = Bound(dataset.id, version, blob.id, by, request.purpose)
        row = DatasetVersionRow(
            dataset=dataset.id,
            version=version,
            blob=blob.id,
            fingerprint=fingerprint,
            rows=new.rows,
            columns=new.columns,
            personal_columns=personal_columns(findings),
            record=seal_record(new.record, key.key, bound),
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
        policy = self.policies.of(session, dataset)
        commitment = self._commitment(session, dataset, new.record.digest)
        return Held(dataset, row, new.record, findings, policy, commitment, types), False

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
        self, session: Session, dataset: DatasetRow, request: AddDataset, content: str
    ) -> str:
        """Equal for equal content and options; keyed, so that no guess can be tested with it."""
        key = derive(self._dataset_key(session, dataset), b"strongroom/1/fingerprint")
        options = request.model_dump_json(exclude={"workspace", "name", "format"})
        return hmac.new(key, f"{content}\n{options}".encode(), sha256).hexdigest()

    def _commitment(self, session: Session, dataset: DatasetRow, digest: str) -> str:
        key = derive(self._dataset_key(session, dataset), b"strongroom/1/commitment")
        return f"hmac-sha256:{hmac.new(key, digest.encode(), sha256).hexdigest()}"

    def question_commitment(self, session: Session, held: Held, question: str) -> str:
        """`hmac-sha256:…` of a question about a dataset, by which its record knows it again.

        A question may name a person: a plain hash of it could be guessed by readers of the log.
        """
        return self._commitment(session, held.dataset, f"question\n{question}")

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

        Of one dataset, or of all those of a workspace whose policy says `link = "purpose"`.
        """
        context = _mask_context(held.row.created_by, held.row.purpose)
        if held.policy.policy.link is LinkScope.PURPOSE:
            root = tokens.workspace_key(session, self._keyring, held.dataset.workspace)
        else:
            root = self._dataset_key(session, held.dataset)
        return derive(root, context)

    def drawer(self, session: Session, held: Held) -> tokens.Drawer:
        """The tokens that masked views of a version show."""
        is_own = held.policy.policy.link is LinkScope.DATASET
        return tokens.Drawer.of(
            held.dataset.workspace,
            held.dataset.id if is_own else "",
            self.mask_key(session, held),
        )

    def drawers(self, session: Session, dataset: DatasetRow) -> list[tokens.Drawer]:
        """Every drawer that masked views of a dataset can have used, by any policy it had.

        Those of purposes are shared with other datasets.
        """
        roots = {dataset.id: self._dataset_key(session, dataset)}
        if session.get(MaskKeyRow, dataset.workspace) is not None:
            roots[""] = tokens.workspace_key(session, self._keyring, dataset.workspace)
        whose = session.execute(
            select(DatasetVersionRow.created_by, DatasetVersionRow.purpose)
            .where(DatasetVersionRow.dataset == dataset.id)
            .distinct()
        )
        return [
            tokens.Drawer.of(dataset.workspace, own, derive(root, _mask_context(by, purpose)))
            for by, purpose in whose
            for own, root in roots.items()
        ]

    # ---- changing ----

    def carried_over(self, session: Session, held: Held) -> dict[str, Override]:
        """What people said of columns that this version has, with who and when."""
        said = self._words.of(session, held.dataset.id)
        columns = {finding.column for finding in held.findings.columns}
        return {column: word for column, word in said.items() if column in columns}

    def override(
        self, session: Session, held: Held, column: str, type_name: str, *, by: str, now: datetime
    ) -> None:
        """Keep a person's word on a column; `engine` withdraws it."""
        held.finding(column)
        said = Override(None if type_name == "none" else type_name, by, now)
        self._words.set(session, held.dataset.id, column, said if type_name != "engine" else None)
        for version in self.versions(session, held.dataset):
            version.row.personal_columns = personal_columns(version.findings)
        session.flush()

    def set_types(
        self, session: Session, workspace: str, text: str, *, by: str, now: datetime
    ) -> WorkspaceTypes:
        """Put the types of a workspace in force.

        Raises:
            ValidationError: it is not a file of types, or leaves out one that is in use.
        """
        before = self.types.of(session, workspace)
        held = self.types.set(session, workspace, text, by=by, now=now)
        if gone := {*before.names} - {*held.names}:
            self._require_unused(session, workspace, gone)
        return held

    def _require_unused(self, session: Session, workspace: str, gone: set[str]) -> None:
        for dataset in session.scalars(select(DatasetRow).where(DatasetRow.workspace == workspace)):
            named = self.policies.names_in(session, dataset) & gone
            said = {*self._overrides(session, dataset.id).values()} & gone
            for name in sorted(named | {word for word in said if word}):
                where = "the mask policy of" if name in named else "a person's word on"
                raise ValidationError(
                    f"{where} the dataset `{dataset.name}` names the type `{name}`",
                    next_step="keep the type, or change that first",
                )

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
            self._drop_assessments(session, row)
            self._blobs.delete(session, row.blob)
            session.delete(row)
        session.flush()
        if len(going) == len(rows):
            self._words.remove(session, dataset.id)
            session.execute(delete(MaskTokenRow).where(MaskTokenRow.dataset == dataset.id))
            self.policies.remove(session, dataset)
            self.releases.let_go(session, dataset)
            session.delete(dataset)
            session.flush()
        return [row.version for row in going]

    def _drop_assessments(self, session: Session, row: DatasetVersionRow) -> None:
        """Their reports name people by pseudonyms: they go with the version."""
        of_version = select(DatasetAssessmentRow).where(
            DatasetAssessmentRow.dataset == row.dataset,
            DatasetAssessmentRow.version == row.version,
        )
        for one in session.scalars(of_version):
            for blob in (one.wish, one.kept, one.report):
                if blob is not None:
                    self._blobs.delete(session, blob)
            session.delete(one)

    def rewrap(self, session: Session, workspace: str) -> int:
        """Bring all keys of the room to the workspace's newest key; how many changed."""
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
        others = self.policies.rewrap(session, workspace)
        others += self.types.rewrap(session, workspace)
        others += self.budgets.rewrap(session, workspace)
        others += self.releases.rewrap(session, workspace)
        others += tokens.rewrap_workspace_key(session, self._keyring, workspace)
        return len(changed) + len(rewrapped) + others

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
        said = self._words.of(session, dataset_id)
        return {column: override.type for column, override in said.items()}

    def _held(self, session: Session, dataset: DatasetRow, row: DatasetVersionRow) -> Held:
        key = self._keyring.object_key(
            session, dataset.workspace, f"{dataset.id}/{row.version}", row.record_key,
            row.record_key_version, purpose=_RECORD_PURPOSE,
        )  # fmt: skip
        record = open_record(row.record, key, _bound(row))
        types = self.types.of(session, dataset.workspace)
        said = self._overrides(session, dataset.id)
        findings = with_overrides(record.findings, said, types.types)
        policy = self.policies.of(session, dataset)
        commitment = self._commitment(session, dataset, record.digest)
        return Held(dataset, row, record, findings, policy, commitment, types)


def _mask_context(created_by: str, purpose: str) -> bytes:
    return bind("strongroom mask", 1, created_by, purpose)


def _bound(row: DatasetVersionRow) -> Bound:
    return Bound(row.dataset, row.version, row.blob, row.created_by, row.purpose)


def personal_columns(findings: TableFindings) -> int:
    """Columns that identify, set people apart, or are special or secret, or hold such in texts."""
    return len(personal(findings))
