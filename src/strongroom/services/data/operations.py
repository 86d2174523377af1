"""Verbs on datasets: take in, list, show, read, classify, remove."""

import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import BinaryIO

import pyarrow as pa
from sqlalchemy.orm import Session

from strongroom.engines.privacy.discover.rules.registry import RULES_BY_NAME
from strongroom.engines.privacy.discover.sampling import RowSampler
from strongroom.engines.privacy.discover.tables import discover_table
from strongroom.engines.privacy.mask.hiding import count_values
from strongroom.engines.reading.csv_types import INFERENCE_BYTES
from strongroom.engines.reading.reading import read_one
from strongroom.engines.reading.sniffing import by_magic
from strongroom.engines.reading.types import (
    COMPRESSED,
    SEEKABLE,
    Form,
    ReadLimits,
    ReadOptions,
    ReadTable,
)
from strongroom.errors import RefusedError, TableError, ValidationError
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Body, Command, Route, Stream, in_workspace, operation
from strongroom.gate.operation import Call
from strongroom.services.data import shown, views
from strongroom.services.data.budget_operations import BudgetOperations
from strongroom.services.data.catalog import Catalog, Held, NewVersion
from strongroom.services.data.incoming import Incoming, in_rows, stated_form
from strongroom.services.data.mask_operations import MaskOperations, dataset_entity
from strongroom.services.data.outgoing import MEDIA_TYPES, encode, require_exportable
from strongroom.services.data.release_query import ReleaseQueryOperations
from strongroom.services.data.report_operations import ReportOperations
from strongroom.services.data.sandboxed_tables import SandboxedTables
from strongroom.services.data.sealed_record import VersionRecord
from strongroom.services.data.tokens import DrawerVault
from strongroom.services.data.type_operations import TypeOperations
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
    View,
)
from strongroom.services.jobs import sandbox
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.encrypted_tables import read_schema, read_table, write_table
from strongroom.vault.keys import Keyring

_NOTED_OVERRIDES = 20
_UPLOAD_NAME = "upload"
"""What readers call the file: a dataset's name may have an ending, and tells no form."""
UPLOAD_KIND = "upload"
"""Kind of the sealed copy of an upload that must be read from its end; never committed."""


class DataOperations(
    MaskOperations, ReportOperations, TypeOperations, BudgetOperations, ReleaseQueryOperations
):
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
        super().__init__(Catalog(blobs, keyring), keyring, self._moment)
        self._limits = ReadLimits(
            row_bytes=settings.max_field_bytes,
            columns=settings.max_columns,
            expanded_bytes=settings.max_upload_bytes,
        )
        self._sandboxed = SandboxedTables(
            self._limits,
            settings.sandbox_memory_bytes,
            sandbox.required_layers(settings.sandbox_required_layers),
        )
        self._clock = clock
        self._sample_seed = sample_seed

    def _moment(self) -> datetime:
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

        The body is CSV, JSON, Parquet, Arrow, Excel, text, a log or mail, compressed or not. It
        is read as a stream, searched for personal data and stored encrypted. The same content
        with the same options under the same name adds nothing and gives the version that is
        there.
        """
        incoming = Incoming(call.stream())
        stated = stated_form(request.format, call.content_type)
        options = ReadOptions(
            encoding=request.encoding or None,
            text_columns=tuple(request.text_columns),
            sheet=request.sheet or None,
            member=request.member or None,
        )
        # Files of binary forms are read in the sandbox only (docs/adr/0016-reading-files.md).
        binary = by_magic(incoming.peek())
        reading: Callable[..., AbstractContextManager[ReadTable]] = partial(
            self._read_here if binary is None else self._sandboxed.reading,
            name=_UPLOAD_NAME, form=stated, options=options,
        )  # fmt: skip
        if self._is_read_once(incoming, binary):
            with reading(incoming, size=None) as table:
                return self._take_in(call, request, incoming, table)
        kept = incoming if binary else in_rows(incoming, stated, self._limits.row_bytes)
        staged_upload = self._blobs.put(request.workspace, UPLOAD_KIND, kept)
        try:
            with (
                self._blobs.open_staged(staged_upload) as reader,
                reading(reader.file(), size=reader.size) as table,
            ):
                return self._take_in(call, request, incoming, table)
        finally:
            # A crash before this leaves a sealed file without a row, which the next sweep
            # removes; its key existed only in this process.
            self._blobs.discard(staged_upload)

    def _is_read_once(self, incoming: Incoming, binary: Form | None) -> bool:
        """Whether the types of an upload show in its beginning, or stand in it.

        A longer text is gone through twice, for a later row may have values of another kind.
        """
        if binary is None:
            looked_at = min(self._limits.row_bytes, INFERENCE_BYTES)
            return len(incoming.peek(looked_at)) < looked_at
        return binary not in SEEKABLE | COMPRESSED

    @contextmanager
    def _read_here(
        self,
        file: BinaryIO | Incoming,
        *,
        name: str,
        form: Form,
        options: ReadOptions,
        size: int | None,  # noqa: ARG002 # as the sandbox asks for it
    ) -> Iterator[ReadTable]:
        """A text, read in this process."""
        yield read_one(file, name=name, form=form, limits=self._limits, options=options)

    def _take_in(
        self,
        call: Call,
        request: AddDataset,
        file: Incoming,
        table: ReadTable,
    ) -> DatasetVersion:
        """Store the rows, find what they hold, and make the version visible with its record."""
        if request.subject_column and request.subject_column not in table.schema.names:
            raise TableError(f"there is no column `{request.subject_column}`")
        sampler = RowSampler(table.schema, self._sample_seed())
        rows = 0
        with call.reading() as session:
            types = self._catalog.types.of(session, request.workspace)

        def sampled() -> Iterator[pa.RecordBatch]:
            nonlocal rows
            for batch in table.batches:
                sampler.add(batch)
                rows += batch.num_rows
                yield batch

        # A crash up to the commit below leaves a sealed file without a row: the next sweep
        # removes it, and nobody can read it, for its key is stored with the row only.
        with write_table(self._blobs, request.workspace, sampled(), table.schema) as staged:
            file.drain()
            sample = sampler.table()
            findings = discover_table(
                sample, guarantee=sampler.guarantee(), custom=types.types,
                subject_column=request.subject_column,
            )  # fmt: skip
            record = VersionRecord(
                f"sha256:{file.digest}", table.form.value, file.size, request.subject_column,
                findings, count_values(sample, request.subject_column or None),
            )  # fmt: skip
            call.note(
                dataset=f"{request.workspace}/{request.name}", rows=rows,
                columns=len(table.schema.names), source_format=table.form.value,
                source_bytes=file.size, source_encoding=table.encoding or "",
                remarks="; ".join(table.remarks), purpose=request.purpose,
                legal_basis=request.legal_basis.value, retention_days=request.retention_days,
            )  # fmt: skip
            with call.transaction() as session:
                held, existed = self._catalog.add(
                    session,
                    request,
                    NewVersion(staged, record, rows, len(table.schema.names), types),
                    by=call.principal.id,
                    now=self._now(),
                )
                call.note(version=held.row.version, existed=existed, digest=held.commitment)
                if said := self._catalog.carried_over(session, held):
                    # Words of an earlier version that hold for this one too.
                    call.note(
                        overrides=", ".join(
                            f"{column}={word.type or 'none'} by {word.by} at {word.at.isoformat()}"
                            for column, word in list(said.items())[:_NOTED_OVERRIDES]
                        ),
                        override_count=len(said),
                    )
                # Who sends the bytes knows their digest.
                answer = shown.version(
                    held, clear=True, reader=held.row.created_by, existed=existed
                )
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
        clear = call.allows("readDatasetClear")
        with call.reading() as session:
            newest = self._catalog.page(session, request.workspace, request.after, request.limit)
            found = [shown.version(held, clear=clear, reader=call.principal.id) for held in newest]
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
            has_budget = self._catalog.budgets.exists(
                session, request.workspace, request.name, held.record.subject_column
            )
        call.note(version=held.row.version)
        clear = call.allows("readDatasetClear")
        return shown.detail(
            held, versions, clear=clear, reader=call.principal.id, has_budget=has_budget
        )

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
            tokens = self._tokens(session, held, chosen)
            require_exportable(chosen.schema, request.format)
            batches = read_table(self._blobs, session, held.row.blob, chosen.read_columns)
        call.note(
            view=view.value, version=held.row.version, digest=held.commitment,
            policy=held.policy.digest if view is View.MASKED else "",
            columns=", ".join(chosen.schema.names), column_count=len(chosen.schema.names),
            clear_columns=len(chosen.clear_columns), format=request.format.value,
            limit=request.limit,
        )  # fmt: skip
        rows = views.apply(chosen, batches, key, tokens)
        if request.limit:
            rows = _first_rows(rows, request.limit)
        return Stream(
            media_type=MEDIA_TYPES[request.format],
            chunks=encode(rows, chosen.schema, request.format),
            filename=f"{request.name}-v{held.row.version}-{view}.{request.format}",
            headers={
                "Strongroom-View": view.value,
                "Strongroom-Version": str(held.row.version),
                "Strongroom-Digest": held.record.digest if view is View.CLEAR else held.commitment,
            },
        )

    def _tokens(self, session: Session, held: Held, chosen: views.ChosenView) -> DrawerVault | None:
        """Where the tokens of a view come from, if it shows any."""
        if chosen.plan is None or not chosen.plan.uses_tokens:
            return None
        drawer = self._catalog.drawer(session, held)
        return DrawerVault(drawer, self._blobs.database, self._keyring, self._now())

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
        withdraws what a person said. The record keeps who said it, when and for what reason; new
        versions with a column of that name carry it over, and their records say so.
        """
        with call.transaction() as session:
            held = self._catalog.find(session, request.workspace, request.name, 0)
            known = {*RULES_BY_NAME, *held.types.names, "none", "engine"}
            if request.type not in known:
                raise ValidationError(
                    f"there is no semantic type `{request.type}`",
                    next_step="see docs/privacy.md for the types, or use `none` or `engine`",
                )
            before = held.finding(request.column)
            self._catalog.override(
                session, held, request.column, request.type,
                by=call.principal.id, now=self._now(),
            )  # fmt: skip
            held = self._catalog.find(session, request.workspace, request.name, 0)
            call.note(
                column=request.column, before=before.type or "none",
                after=held.finding(request.column).type or "none",
                decided_by=held.finding(request.column).decided_by, reason=request.reason,
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


def _first_rows(batches: Iterator[pa.RecordBatch], limit: int) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        yield batch.slice(0, limit)
        limit -= min(limit, batch.num_rows)
        if not limit:
            return
