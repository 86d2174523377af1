"""Verbs on model versions: list, show, approve, reject, retire, verify, pull."""

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.engines.crypto import dsse
from strongroom.errors import ModelRefusedError, NotFoundError, StateError, TamperedError
from strongroom.gate.access.types import Entity
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Route, Stream, in_workspace, operation
from strongroom.gate.operation import Call
from strongroom.gate.undecided import Recorder
from strongroom.services.jobs.queue import Jobs
from strongroom.services.models.checking import Checker, read_report
from strongroom.services.models.files import ModelFiles
from strongroom.services.models.registry import CHECK_KIND, Registry, describe
from strongroom.services.models.statements import ModelKeys, approval_statement
from strongroom.services.models.tables import ModelDecisionRow, ModelEntryRow
from strongroom.services.models.types import (
    ApproveModel,
    Checked,
    DecideModel,
    DecisionShown,
    FileShown,
    FindingShown,
    ListModels,
    ModelDetail,
    ModelFile,
    ModelReference,
    ModelState,
    ModelVersion,
    ModelVersions,
    Provenance,
    PullModel,
    Servable,
    SignedStatement,
    Verified,
)
from strongroom.services.models.verifying import Verifier
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database
from strongroom.vault.keys import Keyring

_SHOWN_FINDINGS = 200
_ROUTE = "/workspaces/{workspace}/models/{name}/versions/{version}"


def version_entity(_room: object, session: Session, request: ModelReference) -> Entity:
    """The version that a request names, whether or not it is there."""
    state = session.scalar(
        select(ModelEntryRow.state).where(
            ModelEntryRow.workspace == request.workspace,
            ModelEntryRow.model == request.name,
            ModelEntryRow.version == request.version,
        )
    )
    name = f"{request.workspace}/{request.name}/{request.version}"
    attributes = {} if state is None else {"state": state}
    return Entity("ModelVersion", name, request.workspace, attributes)


class ModelOperations:
    """The room of model versions.

    `start` must be called before the jobs start.
    """

    def __init__(
        self,
        database: Database,
        blobs: BlobStore,
        keyring: Keyring,
        jobs: Jobs,
        log: Recorder,
        settings: Settings,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take what the room works with; `clock` gives seconds since 1970, UTC."""

        def now() -> datetime:
            return datetime.fromtimestamp(clock(), UTC)

        self._database = database
        self._blobs = blobs
        self._keyring = keyring
        self._keys = ModelKeys(keyring)
        self._now = now
        self._registry = Registry(blobs, keyring, jobs, now)
        self._verifier = Verifier(database, blobs, self._registry, self._keys, log, now)
        alarm = self._verifier.alarm
        checker = Checker(blobs, self._registry, self._keys, log, settings, now, alarm)
        jobs.register_kind(CHECK_KIND, checker.check)

    # ---- for the server and other rooms ----

    def start(self) -> None:
        """Make the signing key at the first start, and check again what a crash left unchecked."""
        with self._database.write() as session:
            self._keys.ensure(session)
        with self._database.write() as session:
            for row in self._registry.unchecked(session):
                row.job = self._registry.enqueue_check(session, row, row.registered_by)

    def register(
        self,
        session: Session,
        *,
        workspace: str,
        model: str,
        version: int,
        files: Sequence[ModelFile],
        provenance: Provenance,
        actor: str,
    ) -> str:
        """Take a version in, quarantined, and queue its checks; see `Registry.register`."""
        return self._registry.register(
            session,
            workspace=workspace,
            model=model,
            version=version,
            files=files,
            provenance=provenance,
            actor=actor,
        )

    def states(self, session: Session, entries: Sequence[str]) -> dict[str, Checked]:
        """How the checks of versions stand, by the id that `register` gave."""
        return self._registry.states(session, entries)

    def is_pending(self, workspace: str, model: str, version: int) -> bool:
        """Whether there is such a version whose checks have yet to end."""
        with self._database.read() as session:
            return self._registry.is_pending(session, workspace, model, version)

    def servable(self, workspace: str, model: str, version: int) -> Servable:
        """An approved version, verified and opened; see `Verifier.servable`."""
        return self._verifier.servable(workspace, model, version)

    def require_standing(self, session: Session, workspace: str, model: str, version: int) -> None:
        """Return if a version that an endpoint holds may go on answering; reads no bytes of it.

        Raises:
            StateError: it is no longer approved.
            TamperedError: it is called approved, but that is not its latest state.
            NotFoundError: it is gone.
            KeyUnavailableError: the workspace's key is disabled or destroyed.
        """
        self._keyring.require_enabled(session, workspace)
        row = self._registry.find(session, workspace, model, version)
        with self._verifier.alarm(row):
            self._require_state(session, row, ModelState.APPROVED)

    def rewrap(self, session: Session, workspace: str) -> int:
        """After a rotation: bring the room's own keys to the newest version; how many changed."""
        return self._registry.rewrap(session, workspace)

    # ---- looking ----

    @operation(
        "model.ls",
        action="readModel",
        resource=in_workspace,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/models"),
        command=Command("model ls"),
    )
    def ls(self, call: Call, request: ListModels) -> ModelVersions:
        """List model versions: their state, what the scan said, how they can be served."""
        query = select(ModelEntryRow).where(ModelEntryRow.workspace == request.workspace)
        if request.name:
            query = query.where(ModelEntryRow.model == request.name)
        query = query.order_by(ModelEntryRow.model, ModelEntryRow.version.desc())
        with call.reading() as session:
            rows = session.scalars(query.limit(request.limit))
            return ModelVersions(versions=[self._described(session, row) for row in rows])

    @operation(
        "model.show",
        action="readModel",
        resource=version_entity,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", _ROUTE),
        command=Command("model show", positional=("name", "version")),
    )
    def show(self, call: Call, request: ModelReference) -> ModelDetail:
        """Show one version: findings, files, decisions, where it comes from."""
        with call.reading() as session:
            row = self._find(session, request)
        # Before the row is shown, for a difference found here is flagged on it.
        features, classes = self._shapes(row)
        with call.reading() as session:
            row = self._find(session, request)
            files = [
                (file.path, self._blobs.info(session, file.blob))
                for file in self._registry.files(session, row.id)
            ]
            facts = self._registry.facts(session, row)
            described = self._described(session, row)
            decisions = session.scalars(
                select(ModelDecisionRow)
                .where(ModelDecisionRow.entry == row.id)
                .order_by(ModelDecisionRow.number)
            ).all()
            signed_by = self._keys.verifying_key(session).key_id if row.statement else ""
        return ModelDetail(
            **described.model_dump(),
            serving_reason=row.serving_reason,
            features=features,
            classes=classes,
            files=[
                FileShown(path=path, size=info.size, sha256=info.sha256, blob=info.id)
                for path, info in files
            ],
            findings=self._findings(row),
            decisions=[
                DecisionShown(
                    decision=ModelState(decision.decision),
                    by=decision.by,
                    at=decision.at,
                    comment=decision.comment,
                )
                for decision in decisions
            ],
            signed_by=signed_by,
            facts=facts,
            tampered_reason=row.tampered_reason,
        )

    @operation(
        "model.statement",
        action="readModel",
        resource=version_entity,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", _ROUTE + "/statement"),
        command=Command("model statement", positional=("name", "version")),
    )
    def statement(self, call: Call, request: ModelReference) -> SignedStatement:
        """Give the signed statement of a version, for checking it elsewhere.

        A DSSE envelope around an in-toto statement: every file with its digest, where the version
        comes from, what the scan found; a second one for its approval.
        """
        with call.reading() as session:
            row = self._find(session, request)
            if row.statement is None:
                raise StateError(f"version {row.version} of `{row.model}` is not signed")
            key = self._keys.verifying_key(session)
            reader = self._blobs.open(session, row.statement)
        with reader:
            envelope = b"".join(reader.chunks())
        return SignedStatement(
            envelope=envelope.decode(),
            approval=(row.approval or b"").decode(),
            public_key=key.pem().decode(),
            key_id=key.key_id,
        )

    # ---- deciding ----

    @operation(
        "model.approve",
        action="approveModel",
        resource=version_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", _ROUTE + "/approve"),
        command=Command("model approve", positional=("name", "version")),
    )
    def approve(self, call: Call, request: ApproveModel) -> ModelVersion:
        """Admit a checked version: from now on it may be deployed.

        The approval is signed and holds for exactly these bytes. A version whose scan asks for a
        person is admitted only with `accept_findings` and a comment that says why.
        """
        found = self._verifier.verify(request.workspace, request.name, request.version)
        at = self._now()
        with call.transaction() as session:
            row = self._find(session, request)
            self._require_state(session, row, ModelState.CHECKED)
            if row.digest != found.signed.digest:
                raise StateError("the version changed while it was being approved")
            if row.verdict != "clean" and not (request.accept_findings and request.comment):
                raise ModelRefusedError(
                    f"the scan asks for a person: {row.reason}",
                    next_step="look at `strongroom model show`, then approve it with "
                    "--accept-findings and a --comment, or reject it",
                )
            about = approval_statement(
                row,
                call.principal.id,
                at,
                accepts_findings=row.verdict != "clean",
                comment=request.comment,
            )
            row.approval = dsse.sign(about, [self._keys.signing_key(session)])
            self._decision(session, call, row, ModelState.APPROVED, at, request.comment)
            call.note(
                digest=row.digest,
                verdict=row.verdict,
                own=row.registered_by == call.principal.id,
            )
            return describe(row)

    @operation(
        "model.reject",
        action="rejectModel",
        resource=version_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", _ROUTE + "/reject"),
        command=Command("model reject", positional=("name", "version")),
    )
    def reject(self, call: Call, request: DecideModel) -> ModelVersion:
        """Refuse a version for good; it can never be approved."""
        with call.transaction() as session:
            row = self._find(session, request)
            self._require_state(session, row, ModelState.QUARANTINED, ModelState.CHECKED)
            row.reason = request.comment or "rejected by a person"
            self._decision(session, call, row, ModelState.REJECTED, self._now(), request.comment)
            return describe(row)

    @operation(
        "model.retire",
        action="retireModel",
        resource=version_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", _ROUTE + "/retire"),
        command=Command("model retire", positional=("name", "version"), confirm="name"),
    )
    def retire(self, call: Call, request: DecideModel) -> ModelVersion:
        """Take an approved version out of use: no endpoint loads it any more."""
        with call.transaction() as session:
            row = self._find(session, request)
            self._require_state(session, row, ModelState.APPROVED)
            self._decision(session, call, row, ModelState.RETIRED, self._now(), request.comment)
            return describe(row)

    # ---- bytes ----

    @operation(
        "model.verify",
        action="verifyModel",
        resource=version_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", _ROUTE + "/verify"),
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
        route=Route("GET", _ROUTE + "/files"),
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
        with call.reading() as session:
            for file in files:
                if self._blobs.info(session, file.blob).sha256 != expected[file.path]:
                    # Which one it is, the full verification says, and raises the alarm.
                    self._verifier.verify(request.workspace, request.name, request.version)
        call.note(digest=signed.digest, path=request.path)
        if request.path:
            name = request.path.rpartition("/")[2]
            return Stream("application/octet-stream", opened.one(request.path), name)
        return Stream("application/x-tar", opened.tar(), f"{row.model}-v{row.version}.tar")

    # ---- parts ----

    def _described(self, session: Session, row: ModelEntryRow) -> ModelVersion:
        return describe(row, is_current=self._registry.is_current(session, row))

    def _find(self, session: Session, request: ModelReference) -> ModelEntryRow:
        return self._registry.find(session, request.workspace, request.name, request.version)

    def _require_state(self, session: Session, row: ModelEntryRow, *states: ModelState) -> None:
        """Return if `row`, read in `session`, is in one of `states`, and that is its latest."""
        if row.state not in states:
            allowed = " or ".join(states)
            raise StateError(
                f"version {row.version} of `{row.model}` is {row.state}, not {allowed}"
            )
        # Before anything is decided on it: what is written next is sealed whole.
        self._registry.require_current(session, row)

    def _require_pullable(self, row: ModelEntryRow) -> None:
        if row.state == ModelState.REJECTED:
            raise ModelRefusedError(f"version {row.version} was rejected: {row.reason}")
        is_open = row.state in (ModelState.APPROVED, ModelState.RETIRED) or (
            row.state == ModelState.CHECKED and row.verdict == "clean"
        )
        if not is_open:
            raise StateError(
                f"version {row.version} of `{row.model}` has not passed its checks: {row.state}"
            )

    def _decision(
        self,
        session: Session,
        call: Call,
        row: ModelEntryRow,
        decision: ModelState,
        at: datetime,
        comment: str,
    ) -> None:
        row.state = decision
        self._registry.seal_state(session, row)
        session.add(
            ModelDecisionRow(
                entry=row.id, decision=decision, by=call.principal.id, at=at, comment=comment
            )
        )

    def _findings(self, row: ModelEntryRow) -> list[FindingShown]:
        if row.report is None:
            return []
        with self._database.read() as session:
            reader = self._blobs.open(session, row.report)
        with reader:
            report = read_report(b"".join(reader.chunks()))
        return [
            FindingShown(**{name: finding[name] for name in FindingShown.model_fields})
            for finding in report["findings"][:_SHOWN_FINDINGS]
        ]

    def _shapes(self, row: ModelEntryRow) -> tuple[list[str], list[str]]:
        """Features and classes as signed; empty before the checks or when tampered with."""
        if row.statement is None or row.state == ModelState.REJECTED:
            return [], []
        try:
            signed, _ = self._verifier.signed(row)
        except TamperedError:
            return [], []  # flagged and recorded; the rest may still be looked at
        return list(signed.features), list(signed.classes)
