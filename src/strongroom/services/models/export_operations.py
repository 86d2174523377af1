"""The verb that gives a version in the form of another registry."""

from sqlalchemy.orm import Session

from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Route, Stream, operation
from strongroom.gate.operation import Call
from strongroom.services.models import open_signature
from strongroom.services.models.document_operations import DocumentOperations
from strongroom.services.models.exporting import oci_layout
from strongroom.services.models.files import ModelFiles
from strongroom.services.models.keeping_types import ExportForm, ExportVersion
from strongroom.services.models.parts import VERSION_ROUTE, version_entity
from strongroom.services.models.statements import SignedVersion
from strongroom.services.models.tables import ModelFileRow
from strongroom.services.models.types import CardForm, ShowModelCard

_CARD = "README.md"


class ExportOperations(DocumentOperations):
    """The part of the room of models that exports."""

    @operation(
        "model.export",
        action="pullModel",
        resource=version_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("GET", VERSION_ROUTE + "/export"),
        command=Command("model export", positional=("name", "version")),
    )
    def export(self, call: Call, request: ExportVersion) -> Stream:
        """Give a version in the form of another registry, as a tar: a folder or an OCI layout.

        The signature is in it as `model.sig`. The form huggingface has the card of the version as
        README.md, unless the version has a file of that name; mlflow is the folder as it was
        registered.
        """
        row, signed, files = self._signed(call, request)
        with self._verifier.alarm(row), call.reading() as session:
            is_same = self._is_as_signed(session, signed, files)
            bundle = open_signature.bundle(row.model, signed, self._keys.signing_key(session))
        if not is_same or row.tampered_at is not None:
            # Which one it is, the full verification says, and raises the alarm.
            self._verifier.verify(request.workspace, request.name, request.version)
        more = {open_signature.FILE_NAME: bundle}
        if request.form is ExportForm.HUGGINGFACE and _CARD not in {f.path for f in signed.files}:
            about = ShowModelCard(
                workspace=row.workspace, name=row.model, version=row.version,
                form=CardForm.MARKDOWN,
            )  # fmt: skip
            more[_CARD] = b"".join(self.card(call, about).chunks)
        call.note(digest=signed.digest, form=request.form.value)
        opened = ModelFiles(self._database, self._blobs, files)
        name = f"{row.model}-v{row.version}.{request.form.value}.tar"
        if request.form is not ExportForm.OCI:
            pieces = self._verifier.watched(row, opened.tar(more))
            return Stream("application/x-tar", pieces, name)
        annotations = {
            "org.opencontainers.image.created": row.registered_at.isoformat(),
            "org.opencontainers.image.title": row.model,
            "org.opencontainers.image.version": str(row.version),
            "dev.strongroom.manifest": f"sha256:{signed.digest}",
        }
        layout = oci_layout(opened, signed.files, more, annotations, f"v{row.version}")
        return Stream("application/x-tar", self._verifier.watched(row, layout), name)

    def _is_as_signed(
        self, session: Session, signed: SignedVersion, files: list[ModelFileRow]
    ) -> bool:
        expected = {file.path: file.sha256 for file in signed.files}
        return all(
            self._blobs.info(session, file.blob).sha256 == expected[file.path] for file in files
        )
