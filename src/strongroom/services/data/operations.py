"""Verbs on datasets: take in, list, show, read, classify, remove."""

import secrets
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pyarrow as pa
from sqlalchemy.orm import Session

from strongroom.engines.privacy.discover.rules.registry import RULES_BY_NAME
from strongroom.engines.privacy.discover.sampling import RowSampler
from strongroom.engines.privacy.discover.tables import discover_table
from strongroom.errors import RefusedError, TableError, ValidationError
from strongroom.gate.access.types import Entity
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Body, Command, Route, Stream, in_workspace, operation
from strongroom.gate.operation import Call
from strongroom.services.data import shown, views
from strongroom.services.data.binary_parsing import parse_arrow, parse_parquet
from strongroom.services.data.catalog import Catalog, NewVersion
from strongroom.services.data.incoming import IncomingFile, resolve_format
from strongroom.services.data.outgoing import MEDIA_TYPES, encode, require_exportable
from strongroom.services.data.parsing import ParsedTable, ParseLimits
from strongroom.services.data.sealed_record import VersionRecord
from strongroom.services.data.text_parsing import parse_csv, parse_jsonl
from strongroom.services.data.types import (
    AddDataset,
    AskedView,
    ClassifyColumn,
    ColumnShown,
    DatasetDetail,
    DatasetReference,
    Datasets,
    DatasetVersion,
    ListDatasets,
    ReadRows,
    Removed,
    RemoveDataset,
    TableFormat,
    View,
)
from strongroom.settings import Settings
from strongroom.vault.blob_writing import StagedBlob
from strongroom.vault.blobs import BlobStore
from strongroom.vault.encrypted_tables import read_schema, read_table, write_table
from strongroom.vault.keys import Keyring

UPLOAD_KIND = "upload"
"""Kind of the sealed copy of an upload that must be read from its end; never committed."""


def dataset_entity(
    _room: object, _session: Session, request: DatasetReference | ClassifyColumn
) -> Entity:
    """The dataset that a request names, whether or not it is there."""
    return Entity("Dataset", f"{request.workspace}/{request.name}", request.workspace)


class DataOperations:
    """The room of datasets."""

    def __init__(
        self,
        blobs: BlobStore,
        keyring: Keyring,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
        sample_seed: Callable[[], int] = lambda: secrets.randbits(64),
    ) -> None:
        """Take what the room works with.

        Args:
            blobs: where tables are kept.
            keyring: gives keys of masks and records.
            settings: for the limits of a table.
            clock: seconds since 1970, UTC.
            sample_seed: chooses the rows that discovery looks at; not to be guessed.
        """
        self._blobs = blobs
        self._catalog = Catalog(blobs, keyring)
        self._limits = ParseLimits(settings.max_field_bytes, settings.max_columns)
        self._clock = clock
        self._sample_seed = sample_seed

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)

    def rewrap(self, session: Session, workspace: str) -> int:
        """After a rotation: bring the room's own keys to the newest version; how many changed."""
        return self._catalog.rewrap(session, workspace)

    # ---- taking in ----

    @operation(
        "data.add",
        action="addDataset",
        resource=in_workspace,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("POST", "/workspaces/{workspace}/data/{name}"),
        command=Command("data add", positional=("name",), body="file"),
        body=Body.STREAM,
    )
    def add(self, call: Call, request: AddDataset) -> DatasetVersion:
        """Take in a table as a new version of a dataset.

        The body is CSV, JSON lines, Parquet or Arrow IPC. It is read as a stream, searched for
        personal data and stored encrypted. The same content with the same options under the
        same name adds nothing and gives the version that is there.
        """
        file = IncomingFile(call.stream(), max_read=self._limits.message_bytes)
        form = resolve_format(request.format, call.content_type, file)
        staged_upload: StagedBlob | None = None
        try:
            if form is TableFormat.PARQUET:
                staged_upload = self._blobs.put(request.workspace, UPLOAD_KIND, _pieces(file))
                with self._blobs.open_staged(staged_upload) as reader:
                    parsed = parse_parquet(reader.file(), file, self._limits)
                    return self._take_in(call, request, form, file, parsed)
            if form is TableFormat.CSV:
                parsed = parse_csv(file, self._limits, request.text_columns)
            elif form is TableFormat.JSONL:
                parsed = parse_jsonl(file, self._limits)
            else:
                parsed = parse_arrow(file, self._limits)
            return self._take_in(call, request, form, file, parsed)
        finally:
            if staged_upload is not None:
                # A crash before this leaves a sealed file without a row, which the next sweep
                # removes; its key existed only in this process.
                self._blobs.discard(staged_upload)

    def _take_in(
        self,
        call: Call,
        request: AddDataset,
        form: TableFormat,
        file: IncomingFile,
        parsed: ParsedTable,
    ) -> DatasetVersion:
        """Store the rows, find what they hold, and make the version visible with its record."""
        if request.subject_column and request.subject_column not in parsed.schema.names:
            raise TableError(f"there is no column `{request.subject_column}`")
        sampler = RowSampler(parsed.schema, self._sample_seed())
        rows = 0

        def sampled() -> Iterator[pa.RecordBatch]:
            nonlocal rows
            for batch in parsed.batches:
                sampler.add(batch)
                rows += batch.num_rows
                yield batch

        # A crash up to the commit below leaves a sealed file without a row: the next sweep
        # removes it, and nobody can read it, for its key is stored with the row only.
        with write_table(self._blobs, request.workspace, sampled(), parsed.schema) as staged:
            file.drain()
            findings = discover_table(sampler.table(), guarantee=sampler.guarantee())
            digest = f"sha256:{file.digest}"
            record = VersionRecord(digest, form.value, file.size, request.subject_column, findings)
            call.note(
                dataset=f"{request.workspace}/{request.name}", digest=digest, rows=rows,
                columns=len(parsed.schema.names), source_format=form.value,
                source_bytes=file.size, purpose=request.purpose,
                legal_basis=request.legal_basis.value, retention_days=request.retention_days,
            )  # fmt: skip
            with call.transaction() as session:
                held, existed = self._catalog.add(
                    session,
                    request,
                    NewVersion(staged, record, rows, len(parsed.schema.names)),
                    by=call.principal.id,
                    now=self._now(),
                )
                call.note(version=held.row.version, existed=existed)
                answer = shown.version(held, existed=existed)
            # From here on the version is visible, whole, and on the record.
        return answer

    # ---- looking ----

    @operation(
        "data.ls",
        action="readDataset",
        resource=in_workspace,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/data"),
        command=Command("data ls"),
    )
    def ls(self, call: Call, request: ListDatasets) -> Datasets:
        """List the datasets of a workspace, each at its newest version."""
        with call.reading() as session:
            newest = self._catalog.page(session, request.workspace, request.after, request.limit)
            found = [shown.version(held) for held in newest]
        call.note(datasets=len(found))
        return Datasets(datasets=found)

    @operation(
        "data.show",
        action="readDataset",
        resource=dataset_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/data/{name}"),
        command=Command("data show", positional=("name",)),
    )
    def show(self, call: Call, request: DatasetReference) -> DatasetDetail:
        """Show a dataset: versions, columns, what was found in them, and how views mask them.

        No row and no value of the data is part of the answer.
        """
        with call.reading() as session:
            held = self._catalog.find(session, request.workspace, request.name, request.version)
            versions = self._catalog.versions(session, held.dataset)
        call.note(version=held.row.version)
        return shown.detail(held, versions)

    @operation(
        "data.read",
        action="readDatasetRows",
        resource=dataset_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/data/{name}/rows"),
        command=Command("data read", positional=("name",)),
    )
    def read(self, call: Call, request: ReadRows) -> Stream:
        """Read the rows of a dataset, in the view that your role allows.

        Clear where the policies permit it, else masked, else refused; a view may also be asked
        for by name. The record says which view of which columns was given out.
        """
        view = self._allowed_view(call, request.view)
        with call.reading() as session:
            held = self._catalog.find(session, request.workspace, request.name, request.version)
            stored, _ = read_schema(self._blobs, session, held.row.blob)
            chosen = views.choose(held, stored, view, request.columns)
            key = self._catalog.mask_key(session, held) if view is View.MASKED else b""
            require_exportable(chosen.schema, request.format)
            batches = read_table(self._blobs, session, held.row.blob, chosen.read_columns)
        call.note(
            view=view.value, version=held.row.version, digest=held.record.digest,
            columns=", ".join(chosen.schema.names), column_count=len(chosen.schema.names),
            clear_columns=len(chosen.clear_columns), format=request.format.value,
            limit=request.limit,
        )  # fmt: skip
        rows = views.apply(chosen, batches, key)
        if request.limit:
            rows = _first_rows(rows, request.limit)
        return Stream(
            media_type=MEDIA_TYPES[request.format],
            chunks=encode(rows, chosen.schema, request.format),
            filename=f"{request.name}-v{held.row.version}-{view}.{request.format}",
            headers={
                "Strongroom-View": view.value,
                "Strongroom-Version": str(held.row.version),
                "Strongroom-Digest": held.record.digest,
            },
        )

    def _allowed_view(self, call: Call, asked: AskedView) -> View:
        """The view to give.

        Raises:
            RefusedError: none, or not the one asked for.
        """
        if asked is AskedView.CLEAR:
            call.require("readDatasetClear")
            return View.CLEAR
        if asked is AskedView.MASKED:
            call.require("readDatasetMasked")
            return View.MASKED
        if call.allows("readDatasetClear"):
            return View.CLEAR
        if call.allows("readDatasetMasked"):
            return View.MASKED
        raise RefusedError("no view of these rows is permitted to you")

    # ---- deciding ----

    @operation(
        "data.classify",
        action="classifyDataset",
        resource=dataset_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("POST", "/workspaces/{workspace}/data/{name}/columns"),
        command=Command("data classify", positional=("name", "column", "type")),
    )
    def classify(self, call: Call, request: ClassifyColumn) -> ColumnShown:
        """Say what a column holds; your word overrules the engine's, in every version.

        `none` says that nothing in it is personal, so masked views show it in clear. `engine`
        withdraws what a person said.
        """
        if request.type not in RULES_BY_NAME and request.type not in {"none", "engine"}:
            raise ValidationError(
                f"there is no semantic type `{request.type}`",
                next_step="see docs/privacy.md for the types, or use `none` or `engine`",
            )
        with call.transaction() as session:
            held = self._catalog.find(session, request.workspace, request.name, 0)
            before = held.finding(request.column)
            self._catalog.override(
                session, held, request.column, request.type,
                by=call.principal.id, now=self._now(),
            )  # fmt: skip
            held = self._catalog.find(session, request.workspace, request.name, 0)
            call.note(
                column=request.column, before=before.type or "none",
                after=held.finding(request.column).type or "none",
            )  # fmt: skip
            return shown.column(held, held.finding(request.column))

    @operation(
        "data.rm",
        action="deleteDataset",
        resource=dataset_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("DELETE", "/workspaces/{workspace}/data/{name}"),
        command=Command("data rm", positional=("name",), confirm="name"),
    )
    def rm(self, call: Call, request: RemoveDataset) -> Removed:
        """Remove a dataset, or one version of it, with its key: it cannot be read again."""
        with call.transaction() as session:
            removed = self._catalog.remove(
                session, request.workspace, request.name, request.version
            )
            call.note(versions=", ".join(map(str, removed)), removed=len(removed))
        # A crash right after the commit leaves sealed bytes without a row or key to the sweep.
        return Removed(name=request.name, versions=removed)


def _pieces(file: IncomingFile) -> Iterator[bytes]:
    """The upload in pieces of 1 MiB."""
    while piece := file.read(1 << 20):
        yield piece


def _first_rows(batches: Iterator[pa.RecordBatch], limit: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch.slice(0, limit)
        limit -= min(limit, batch.num_rows)
        if not limit:
            return
