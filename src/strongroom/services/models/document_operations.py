"""Verbs that give out what is known of a version in forms that other tools read.

Signature, provenance, bill of materials and card are made of the signed statement, after its
signature and the version's state were verified; nobody can ask for those of a version that has
not passed its checks.
"""

import json
from collections.abc import Iterator
from hashlib import sha256
from importlib.metadata import version as installed_version
from typing import Any

from sqlalchemy import select

from strongroom.engines.crypto import dsse
from strongroom.engines.scanning import cyclonedx
from strongroom.engines.scanning.cyclonedx import Library
from strongroom.errors import TamperedError
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Route, Stream, in_workspace, operation
from strongroom.gate.operation import Call
from strongroom.services.models import bill_of_materials, card, open_signature, provenance
from strongroom.services.models.files import ModelFiles
from strongroom.services.models.parts import VERSION_ROUTE, ModelParts, version_entity
from strongroom.services.models.provenance import Origin
from strongroom.services.models.statements import SignedVersion
from strongroom.services.models.tables import ModelDecisionRow, ModelEntryRow, ModelFileRow
from strongroom.services.models.types import (
    CardForm,
    ModelReference,
    ShowModelCard,
    ShowModelKey,
)

_VERSION = installed_version("strongroom")


class DocumentOperations(ModelParts):
    """The part of the room of models that describes versions to others."""

    @operation(
        "model.key",
        action="readModel",
        resource=in_workspace,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/model-key"),
        command=Command("model key"),
    )
    def key(self, call: Call, request: ShowModelKey) -> Stream:  # noqa: ARG002 # one key for all
        """Give the public key that model signatures are verified with, in PEM.

        Keep it from a source other than the models: whoever can change both can sign anew.
        """
        with call.reading() as session:
            key = self._keys.verifying_key(session)
        call.note(key=key.key_id)
        return Stream("application/x-pem-file", iter([key.pem()]), "model-key.pem")

    @operation(
        "model.signature",
        action="readModel",
        resource=version_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("GET", VERSION_ROUTE + "/signature"),
        command=Command("model signature", positional=("name", "version")),
    )
    def signature(self, call: Call, request: ModelReference) -> Stream:
        """Give the OpenSSF model signature of a version that passed its checks.

        A Sigstore bundle over the digests of all files. `model_signing verify key` takes it, and
        `strongroom verify`.
        """
        row, signed, _ = self._signed(call, request)
        with call.reading() as session:
            content = open_signature.bundle(row.model, signed, self._keys.signing_key(session))
        call.note(digest=signed.digest)
        return Stream(open_signature.MEDIA_TYPE, iter([content]), open_signature.FILE_NAME)

    @operation(
        "model.provenance",
        action="readModel",
        resource=version_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("GET", VERSION_ROUTE + "/provenance"),
        command=Command("model provenance", positional=("name", "version")),
    )
    def provenance(self, call: Call, request: ModelReference) -> Stream:
        """Give the signed SLSA provenance of a version: run, code, data, parameters, privacy.

        A DSSE envelope around an in-toto statement. Data is named by keyed commitments.
        """
        row, signed, _ = self._signed(call, request)
        origin = self._origin(call, row)
        about = provenance.statement(row, signed, origin, _VERSION)
        with call.reading() as session:
            key = self._keys.signing_key(session)
        call.note(digest=signed.digest)
        content = dsse.sign(about, [key], is_repeatable=True)
        name = f"{row.model}-v{row.version}.provenance.json"
        return Stream("application/json", iter([content]), name)

    @operation(
        "model.bom",
        action="readModel",
        resource=version_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("GET", VERSION_ROUTE + "/bom"),
        command=Command("model bom", positional=("name", "version")),
    )
    def bom(self, call: Call, request: ModelReference) -> Stream:
        """Give the bill of materials of a version: CycloneDX 1.7 for machine learning."""
        row, signed, files = self._signed(call, request)
        made = bill_of_materials.bill(
            row, signed, self._origin(call, row), self._libraries(row, signed, files), _VERSION
        )
        call.note(digest=signed.digest)
        name = f"{row.model}-v{row.version}.cdx.json"
        return Stream("application/vnd.cyclonedx+json", _json(made), name)

    @operation(
        "model.card",
        action="readModel",
        resource=version_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("GET", VERSION_ROUTE + "/card"),
        command=Command("model card", positional=("name", "version")),
    )
    def card(self, call: Call, request: ShowModelCard) -> Stream:
        """Give the card of a version: what is known of it, and what is not stated."""
        row, signed, files = self._signed(call, request)
        with call.reading() as session:
            decisions = session.scalars(
                select(ModelDecisionRow)
                .where(ModelDecisionRow.entry == row.id)
                .order_by(ModelDecisionRow.number)
            ).all()
            key = self._keys.verifying_key(session)
        made = card.card(
            row, signed, self._origin(call, row), self._libraries(row, signed, files),
            decisions, key.key_id,
        )  # fmt: skip
        call.note(digest=signed.digest)
        name = f"{row.model}-v{row.version}.card"
        if request.form is CardForm.JSON:
            return Stream("application/json", _json(made), f"{name}.json")
        return Stream("text/markdown", iter([card.markdown(made).encode()]), f"{name}.md")

    # ---- parts ----

    def _signed(
        self, call: Call, request: ModelReference
    ) -> tuple[ModelEntryRow, SignedVersion, list[ModelFileRow]]:
        """A version that may be given out, with what was signed of it, verified."""
        with call.reading() as session:
            row = self._find(session, request)
        self._require_pullable(row)
        signed, files = self._verifier.signed(row)
        return row, signed, files

    def _origin(self, call: Call, row: ModelEntryRow) -> Origin:
        with call.reading() as session:
            sources = self._registry.sources(session, row)
            return Origin(self._registry.shown_facts(session, row), sources)

    def _libraries(
        self, row: ModelEntryRow, signed: SignedVersion, files: list[ModelFileRow]
    ) -> list[Library]:
        """What the version asks to be installed, out of its own files as they were signed."""
        locks = [
            file
            for file in signed.files
            if file.path.rpartition("/")[2] in cyclonedx.LOCKS
            and file.size <= cyclonedx.MAX_LOCK_BYTES
        ][: cyclonedx.MAX_LOCKS]
        found = []
        with self._verifier.alarm(row), ModelFiles(self._database, self._blobs, files) as opened:
            for file in locks:
                content = b"".join(opened.reader(file.path).chunks())
                if sha256(content).hexdigest() != file.sha256:
                    raise TamperedError(f"the file `{file.path}` is not what was signed")
                found.append((file.path, content))
        return cyclonedx.libraries(found)


def _json(value: Any) -> Iterator[bytes]:  # noqa: ANN401 # JSON
    yield json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False).encode() + b"\n"
