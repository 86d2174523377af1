"""Verbs on the bytes of model versions: verify, pull."""

from strongroom.errors import NotFoundError
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Route, Stream, operation
from strongroom.gate.operation import Call
from strongroom.services.models import open_signature
from strongroom.services.models.files import ModelFiles
from strongroom.services.models.parts import VERSION_ROUTE, ModelParts, version_entity
from strongroom.services.models.types import ModelReference, PullModel, Verified


class ByteOperations(ModelParts):
    """The part of the room of models that reads their bytes."""

    @operation(
        "model.verify",
        action="verifyModel",
        resource=version_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", VERSION_ROUTE + "/verify"),
        command=Command("model verify", positional=("name", "version")),
    )
    def verify(self, call: Call, request: ModelReference) -> Verified:
        """Read every byte of a version and compare it with what was signed.

        A difference is an error, flags the version and is recorded as an alarm.
        """
        found = self._verifier.verify(request.workspace, request.name, request.version)
        call.note(digest=found.signed.digest, files=len(found.files))
        return Verified(
            workspace=request.workspace,
            name=request.name,
            version=request.version,
            digest=found.signed.digest,
            files=len(found.files),
            bytes=found.bytes,
            key_id=found.key_id,
        )

    @operation(
        "model.pull",
        action="pullModel",
        resource=version_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("GET", VERSION_ROUTE + "/files"),
        command=Command("model pull", positional=("name", "version")),
    )
    def pull(self, call: Call, request: PullModel) -> Stream:
        """Download a version that passed its checks: a tar of all its files, or one of them."""
        with call.reading() as session:
            row = self._find(session, request)
        self._require_pullable(row)
        signed, files = self._verifier.signed(row)
        opened = ModelFiles(self._database, self._blobs, files)
        expected = {file.path: file.sha256 for file in signed.files}
        if request.path and request.path not in expected:
            raise NotFoundError(f"the version has no file `{request.path}`")
        with self._verifier.alarm(row), call.reading() as session:
            is_whole = row.tampered_at is None and all(
                self._blobs.info(session, file.blob).sha256 == expected[file.path] for file in files
            )
        if not is_whole:
            # Which file it is, the full verification says, and raises the alarm.
            self._verifier.verify(request.workspace, request.name, request.version)
        call.note(digest=signed.digest, path=request.path)
        if request.path:
            name = request.path.rpartition("/")[2]
            pieces = self._verifier.watched(row, opened.one(request.path))
            return Stream("application/octet-stream", pieces, name)
        more = {}
        if request.signature:
            with call.reading() as session:
                bundle = open_signature.bundle(row.model, signed, self._keys.signing_key(session))
            more[open_signature.FILE_NAME] = bundle
        pieces = self._verifier.watched(row, opened.tar(more))
        return Stream("application/x-tar", pieces, f"{row.model}-v{row.version}.tar")
