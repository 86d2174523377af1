"""Verbs that bring a version in from elsewhere, file by file.

1. `begin_import` announces the files; the same announcement again finds the same import.
2. `send_file` brings one file, of exactly the size and digest that were announced; `send_files`
   brings many small ones.
3. `finish_import` registers the version, quarantined like any other.

Until 3 nothing can be seen of it but by who began it.
"""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.errors import (
    ConflictError,
    NotFoundError,
    StateError,
    TamperedError,
    ValidationError,
)
from strongroom.gate.access.types import Entity
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Body, Command, Limits, Route, in_workspace, operation
from strongroom.gate.operation import Call
from strongroom.services.data.bodies import text_of
from strongroom.services.models.import_batches import MAX_BYTES, MAX_HEAD_BYTES, batch_files
from strongroom.services.models.import_manifest import (
    MAX_MANIFEST_BYTES,
    first_of_each,
    manifest_text,
    read_manifest,
)
from strongroom.services.models.import_reuse import MODEL_FILE_KIND, Reusable
from strongroom.services.models.import_types import (
    BeginImport,
    FilesTaken,
    FileTaken,
    FinishImport,
    ImportDropped,
    Imported,
    ImportReference,
    Imports,
    ImportShown,
    ImportUnderWay,
    ListImports,
    SendFile,
    SendFiles,
)
from strongroom.services.models.parts import ModelParts
from strongroom.services.models.registry import checked_name
from strongroom.services.models.statements import ManifestFile, manifest_digest
from strongroom.services.models.tables import ModelEntryRow, ModelImportRow
from strongroom.services.models.types import ModelFile, ModelState, Provenance
from strongroom.services.models.uploads import MANIFEST_KIND, Uploads

SOURCE = "strongroom import"
"""In the provenance of a version that was imported."""
_IMPORTS = "/workspaces/{workspace}/models/{name}/imports"
_FILES_PER_MINUTE = 6_000


def named_model(_room: object, _session: Session, request: BeginImport | ImportReference) -> Entity:
    """The model that a version is brought into, whether or not it is there."""
    attributes = {"model": request.name}
    return Entity("Model", f"{request.workspace}/{request.name}", request.workspace, attributes)


class ImportOperations(ModelParts):
    """The part of the room of models that imports."""

    _uploads: Uploads
    _reusable: Reusable

    @operation(
        "model.begin_import",
        action="registerModel",
        resource=named_model,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", _IMPORTS),
        body=Body.STREAM,
        limits=Limits(body_bytes=MAX_MANIFEST_BYTES, per_minute=60),
    )
    def begin_import(self, call: Call, request: BeginImport) -> ImportShown:
        """Announce the files of a version, and be told which of them to send.

        The body is a manifest: a line `sha256 size path` for each file. The same manifest again
        gives the import that is under way, or the version that it became within the last day. A
        file need not be sent that has come already, or that a version of the workspace has which
        the caller may pull.
        """
        checked_name(request.workspace, request.name, 1)
        files = read_manifest(text_of(call, MAX_MANIFEST_BYTES, "manifest"), self._blobs.max_bytes)
        digest, by = manifest_digest(files), call.principal.id
        call.note(manifest=digest, files=len(files))
        where = request.workspace, request.name
        with call.reading() as session:
            self._require_own(session, *where)
            row = self._going_on(session, *where, by, digest)
        if row is None:
            content = manifest_text(files).encode()
            with (
                self._blobs.put(request.workspace, MANIFEST_KIND, [content]) as staged,
                call.transaction() as session,
            ):
                row = self._going_on(session, *where, by, digest)
                if row is None:
                    self._uploads.sweep(session)
                    row = self._uploads.begin(session, *where, by, staged)
                call.note(upload=row.id)
            # A crash from here on leaves the import, which the next call with its manifest finds.
        with call.reading() as session:
            return self._shown(call, session, row.id, request)

    @operation(
        "model.imports",
        action="registerModel",
        resource=in_workspace,
        audit=AuditClass.AI_OPERATION,
        route=Route("GET", "/workspaces/{workspace}/model-imports"),
        command=Command("model imports"),
    )
    def imports(self, call: Call, request: ListImports) -> Imports:
        """List the caller's own imports that are under way."""
        with call.reading() as session:
            rows = self._uploads.of(session, request.workspace, call.principal.id)
            return Imports(imports=[
                ImportUnderWay(
                    id=row.id, name=row.model, sent=self._uploads.count(session, row),
                    begun_at=row.begun_at, expires_at=self._uploads.expires_at(row),
                )
                for row in rows if not row.version
            ])  # fmt: skip

    @operation(
        "model.send_file",
        action="registerModel",
        resource=named_model,
        audit=AuditClass.AI_OPERATION,
        route=Route("PUT", _IMPORTS + "/{id}/file"),
        body=Body.STREAM,
        limits=Limits(per_minute=_FILES_PER_MINUTE),
    )
    def send_file(self, call: Call, request: SendFile) -> FileTaken:
        """Send one file of an import; it must be what was announced, to the byte.

        It is sealed as it comes. A connection that breaks leaves nothing of it.
        """
        with call.reading() as session:
            row = self._mine(session, call, request)
            self._require_open(row)
            expected = self._uploads.files(session, row).get(request.path)
        if expected is None:
            raise NotFoundError(f"the import has no file `{request.path}`")
        pieces = self._uploads.kept_alive(self._database, request.id, call.stream())
        with self._blobs.put(
            request.workspace, MODEL_FILE_KIND, pieces, expected_size=expected.size
        ) as staged:
            if staged.sha256 != expected.sha256:
                raise _changed(request.path)
            with call.transaction() as session:
                row = self._mine(session, call, request)
                self._require_open(row)
                self._uploads.add(session, row, request.path, staged)
                call.note(upload=row.id, bytes=staged.size, sha256=staged.sha256)
        return FileTaken(path=request.path, size=expected.size, sha256=expected.sha256)

    @operation(
        "model.send_files",
        action="registerModel",
        resource=named_model,
        audit=AuditClass.AI_OPERATION,
        route=Route("PUT", _IMPORTS + "/{id}/files"),
        body=Body.STREAM,
        limits=Limits(body_bytes=MAX_BYTES + MAX_HEAD_BYTES, per_minute=_FILES_PER_MINUTE),
    )
    def send_files(self, call: Call, request: SendFiles) -> FilesTaken:
        """Send many small files of an import at once: all of them are taken, or none.

        The body is a line with the path of each, an empty line, and then their bytes in that order.
        """
        with call.reading() as session:
            row = self._mine(session, call, request)
            self._require_open(row)
            announced = self._uploads.files(session, row)
        with ExitStack() as stack:
            staged = {}
            for file, content in batch_files(call.stream(), announced):
                one = stack.enter_context(
                    self._blobs.put(
                        request.workspace, MODEL_FILE_KIND, [content], expected_size=file.size
                    )
                )
                if one.sha256 != file.sha256:
                    raise _changed(file.path)
                staged[file.path] = one
            total = sum(one.size for one in staged.values())
            with call.transaction() as session:
                row = self._mine(session, call, request)
                self._require_open(row)
                for path, one in staged.items():
                    self._uploads.add(session, row, path, one)
                call.note(upload=row.id, files=len(staged), bytes=total)
        return FilesTaken(files=len(staged), bytes=total)

    @operation(
        "model.finish_import",
        action="registerModel",
        resource=named_model,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", _IMPORTS + "/{id}"),
        limits=Limits(per_minute=60),
    )
    def finish_import(self, call: Call, request: FinishImport) -> Imported:
        """Register what was sent as the next version of the model, quarantined like any other.

        Asked again, it gives the version that the import became.
        """
        with call.reading() as session:
            row = self._mine(session, call, request)
            if row.version:
                return self._imported(session, row, reused=0)
            files = self._uploads.files(session, row)
            if {request.digest} != {
                manifest_digest(files.values()), self._uploads.digest(session, row)
            }:  # fmt: skip
                raise TamperedError("the manifest of the import is not what was announced")
            sent = self._uploads.sent(session, row)
            self._uploads.require_as_announced(session, sent, files)
            held = {files[path].sha256: blob for path, blob in sent.items()}
            reused = self._found(call, session, request, files.values(), held)
        blobs = held | reused
        missing = [file.path for file in files.values() if file.sha256 not in blobs]
        if missing:
            raise StateError(
                f"{len(missing)} files of the import have not come, among them `{missing[0]}`",
                next_step="run the import again: only what is missing is sent",
            )
        with call.transaction() as session:
            row = self._mine(session, call, request)
            if row.version:  # by another call of the same person, meanwhile
                return self._imported(session, row, reused=0)
            if self._uploads.sent(session, row) != sent:
                raise ConflictError(
                    "the import was changed by another call", next_step="run it again"
                )
            chosen = [
                ModelFile(file.path, sent.get(file.path) or blobs[file.sha256])
                for file in files.values()
            ]
            self._register(call, session, row, request, chosen)
            again = sum(file.sha256 in reused for file in files.values())
            call.note(upload=row.id, reused=again)
            # A crash before the commit leaves the import as it was, after it the version.
            return self._imported(session, row, reused=again)

    @operation(
        "model.drop_import",
        action="registerModel",
        resource=named_model,
        audit=AuditClass.AI_OPERATION,
        route=Route("DELETE", _IMPORTS + "/{id}"),
        command=Command("model drop-import", positional=("name", "id")),
    )
    def drop_import(self, call: Call, request: ImportReference) -> ImportDropped:
        """Give up an import of one's own, and delete what was sent."""
        with call.transaction() as session:
            row = self._mine(session, call, request)
            files = self._uploads.count(session, row)
            self._uploads.drop(session, row)
            call.note(upload=request.id, files=files)
        # A crash from here on leaves what came to the next sweep.
        self._tidy()
        return ImportDropped(id=request.id, files=files)

    # ---- parts ----

    def _tidy(self) -> None:
        """Delete all imports that are over, a part in each transaction."""
        is_left = True
        while is_left:
            with self._database.write() as session:
                is_left = self._uploads.sweep(session)

    def _mine(self, session: Session, call: Call, request: ImportReference) -> ModelImportRow:
        return self._uploads.find(
            session, request.workspace, request.name, call.principal.id, request.id
        )

    @staticmethod
    def _require_open(row: ModelImportRow) -> None:
        if row.version:
            raise StateError(f"the import has become version {row.version} of `{row.model}`")

    def _going_on(
        self, session: Session, workspace: str, model: str, by: str, digest: str
    ) -> ModelImportRow | None:
        """The import of that manifest, unless what it became was turned down since."""
        row = self._uploads.same(session, workspace, model, by, digest)
        if row is None or not row.version:
            return row
        entry = self._registry.find(session, workspace, model, row.version)
        is_over = entry.deleted_at is not None or entry.state == ModelState.REJECTED
        return None if is_over else row

    def _require_own(self, session: Session, workspace: str, model: str) -> int:
        """The number of the newest version; 0 where there is none.

        A tracking server counts the versions of its models itself: theirs are left to it.

        Raises:
            ConflictError: it was not imported.
        """
        newest = session.scalars(
            select(ModelEntryRow)
            .where(ModelEntryRow.workspace == workspace, ModelEntryRow.model == model)
            .order_by(ModelEntryRow.version.desc())
            .limit(1)
        ).first()
        if newest is None:
            return 0
        if self._registry.facts(session, newest).get("source") != SOURCE:
            raise ConflictError(
                f"`{model}` has versions that were registered by a client or trained here",
                next_step="import under another name",
            )
        return newest.version

    def _found(
        self,
        call: Call,
        session: Session,
        request: BeginImport | FinishImport,
        files: Iterable[ManifestFile],
        held: Mapping[str, str],
    ) -> dict[str, str]:
        """Blobs of versions that the caller may pull, by digest, for what has not come."""
        if not request.reuse:
            return {}
        wanted = {f.sha256: f.size for f in files if f.sha256 not in held}
        return self._reusable.find(call, session, request.workspace, wanted)

    def _register(
        self,
        call: Call,
        session: Session,
        row: ModelImportRow,
        request: FinishImport,
        files: Sequence[ModelFile],
    ) -> None:
        version = 1 + self._require_own(session, row.workspace, row.model)
        entry = self._registry.register(
            session, workspace=row.workspace, model=row.model, version=version,
            files=files,
            provenance=Provenance(source=SOURCE, parameters={"form": request.form.value}),
            actor=call.principal.id,
        )  # fmt: skip
        self._uploads.finish(session, row, version)
        call.note(version=version, files=len(files), entry=entry, form=request.form.value)

    def _shown(
        self, call: Call, session: Session, upload: str, request: BeginImport
    ) -> ImportShown:
        where = request.workspace, request.name, call.principal.id
        row = self._uploads.find(session, *where, upload)
        files = self._uploads.files(session, row)
        missing: Sequence[ManifestFile] = ()
        if not row.version:
            sent = self._uploads.sent(session, row)
            held = {files[path].sha256: blob for path, blob in sent.items() if path in files}
            held |= self._found(call, session, request, files.values(), held)
            first = first_of_each(files.values())
            missing = [file for digest, file in first.items() if digest not in held]
        return ImportShown(
            id=row.id, version=row.version, name=row.model,
            digest=self._uploads.digest(session, row), files=len(files),
            bytes=sum(file.size for file in files.values()),
            missing=[file.path for file in missing],
            missing_bytes=sum(file.size for file in missing),
            expires_at=self._uploads.expires_at(row),
        )  # fmt: skip

    def _imported(self, session: Session, row: ModelImportRow, *, reused: int) -> Imported:
        entry = self._registry.find(session, row.workspace, row.model, row.version)
        files, digest = self._uploads.files(session, row), self._uploads.digest(session, row)
        if entry.registered_by != row.begun_by or entry.digest not in ("", digest):
            raise TamperedError("the version is not the one that this import became")
        return Imported(
            workspace=row.workspace, name=row.model, version=row.version,
            state=ModelState(entry.state), digest=digest,
            files=len(files), bytes=sum(file.size for file in files.values()), reused=reused,
        )  # fmt: skip


def _changed(path: str) -> ValidationError:
    return ValidationError(
        f"`{path}` is not the file that was announced",
        next_step="begin the import again: the file has changed",
    )
