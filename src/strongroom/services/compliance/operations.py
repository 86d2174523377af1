"""What people ask of the log: read it, search it, prove an entry, verify it, take it along."""

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from strongroom.errors import NotFoundError, ValidationError
from strongroom.gate.access.types import SERVER, Entity
from strongroom.gate.audit.export import export
from strongroom.gate.audit.findings import Finding, clear_finding, open_findings
from strongroom.gate.audit.reading import Filters, LoggedEvent, LogReader
from strongroom.gate.audit.types import AuditClass, Outcome
from strongroom.gate.declaration import Command, Limits, Route, Stream, in_workspace, operation
from strongroom.gate.operation import Call
from strongroom.services.compliance.types import (
    ExportLog,
    FindingPage,
    IntegrityFinding,
    LogEntry,
    LogPage,
    LogReceipt,
    ProveEntry,
    ResolveFinding,
    SearchLog,
    TailLog,
    TailServerLog,
    VerifiedLog,
    VerifyLog,
)

SERVER_ENTRIES = ("",)
"""The workspace that entries about the server itself stand under."""


def _on_server(_room: object, _session: Session, _request: object) -> Entity:
    return SERVER


class ComplianceOperations:
    """The room of compliance."""

    def __init__(self, log: LogReader) -> None:
        self._log = log

    @operation(
        "audit.tail",
        action="readLog",
        resource=in_workspace,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/log/tail"),
        command=Command("audit tail"),
    )
    def tail(self, call: Call, request: TailLog) -> LogPage:
        """Show the newest entries of a workspace's log."""
        return self._find(call, Filters(workspaces=(request.workspace,)), request.limit)

    @operation(
        "audit.server",
        action="readServerLog",
        resource=_on_server,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/server/log/tail"),
        command=Command("audit server"),
    )
    def tail_server(self, call: Call, request: TailServerLog) -> LogPage:
        """Show the newest entries about the server itself: people, sign-ins, unknown routes."""
        return self._find(call, Filters(workspaces=SERVER_ENTRIES), request.limit)

    @operation(
        "audit.findings",
        action="readServerLog",
        resource=_on_server,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/server/findings"),
        command=Command("audit findings"),
    )
    def findings(self, call: Call, request: TailServerLog) -> FindingPage:
        """Show what was found changed outside the server and is not repaired yet."""
        with call.reading() as session:
            found = open_findings(session, request.limit)
        call.note(found=len(found))
        return _page(found)

    @operation(
        "audit.resolve",
        action="operate",
        resource=_on_server,
        audit=AuditClass.DETECTION_FINDING,
        route=Route("POST", "/server/findings/resolve"),
        command=Command("audit resolve", positional=("kind", "subject")),
    )
    def resolve(self, call: Call, request: ResolveFinding) -> FindingPage:
        """Take a finding out of sight, once what was changed is repaired or given up.

        It changes nothing else: what is still changed is refused as before, and found again.
        """
        call.note(kind=request.kind, subject=request.subject, reason=request.reason)
        with call.transaction() as session:
            if not clear_finding(session, request.kind, request.subject):
                raise NotFoundError("there is no such finding")
            return _page(open_findings(session))

    @operation(
        "audit.search",
        action="readLog",
        resource=in_workspace,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/log"),
        command=Command("audit search"),
    )
    def search(self, call: Call, request: SearchLog) -> LogPage:
        """Search a workspace's log; all that is given must fit."""
        resource = None
        if request.resource is not None or request.resource_type is not None:
            if request.resource is None or request.resource_type is None:
                raise ValidationError("`resource` and `resource_type` go together")
            resource = (request.resource_type, request.resource)
        filters = Filters(
            workspaces=(request.workspace,),
            actor=request.actor,
            resource=resource,
            action=request.action,
            outcome=None if request.outcome is None else Outcome(request.outcome),
            since=_seconds("since", request.since),
            until=_seconds("until", request.until),
            before=request.before,
        )
        return self._find(call, filters, request.limit)

    @operation(
        "audit.prove",
        action="proveLog",
        resource=in_workspace,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/log/{index}/receipt"),
        command=Command("audit prove", positional=("index",)),
    )
    def prove(self, call: Call, request: ProveEntry) -> LogReceipt:
        """Give a receipt: one entry with the proof that it is in the log.

        Anyone who has the log's public key can check it offline, with `strongroom verify`.
        """
        call.note(index=request.index)
        missing = NotFoundError(f"the workspace has no log entry `{request.index}`")
        try:
            with call.reading() as session:
                logged = self._log.entry(session, request.index)
        except NotFoundError:
            raise missing from None
        # An entry of another workspace is as if it were not there.
        if logged.event.workspace != request.workspace:
            raise missing
        receipt = self._log.receipt(request.index)
        return LogReceipt(entry=_shown(logged), receipt=receipt.text(), log_key=str(self._log.key))

    @operation(
        "audit.verify",
        action="proveLog",
        resource=in_workspace,
        audit=AuditClass.API_ACTIVITY,
        route=Route("POST", "/workspaces/{workspace}/log/verify"),
        command=Command("audit verify"),
        limits=Limits(per_minute=6),
    )
    def verify(self, call: Call, request: VerifyLog) -> VerifiedLog:  # noqa: ARG002 # the gate has used it
        """Verify the whole log where it is kept: every entry, every hash, every checkpoint.

        Whoever does not trust the server verifies an export of it offline instead.
        """
        found = self._log.verify_live()
        call.note(size=found.checkpoint.size, root=found.checkpoint.root.hex())
        return VerifiedLog(
            size=found.checkpoint.size,
            root=found.checkpoint.root.hex(),
            checkpoint=self._log.public_checkpoint().decode() if found.checkpoint.size else "",
            older_sizes=found.older_sizes,
            log_key=str(self._log.key),
        )

    @operation(
        "audit.export",
        action="exportLog",
        resource=in_workspace,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/log/export"),
        command=Command("audit export"),
        limits=Limits(per_minute=6),
    )
    def export(self, call: Call, request: ExportLog) -> Stream:  # noqa: ARG002 # recorded by the gate
        """Take the log along as a zip, to verify it offline with `strongroom verify`.

        It holds this workspace's entries in clear and the hashes of all the others.
        """
        self._log.integrate()
        return Stream(
            "application/zip",
            export(self._log, frozenset({request.workspace})),
            filename=f"log-{request.workspace}.zip",
        )

    def _find(self, call: Call, filters: Filters, limit: int) -> LogPage:
        with call.reading() as session:
            found = self._log.search(session, filters, limit)
        call.note(found=len(found))
        return LogPage(entries=tuple(map(_shown, found)))


def _page(found: Sequence[Finding]) -> FindingPage:
    return FindingPage(
        findings=[
            IntegrityFinding(
                kind=each.kind, subject=each.subject, reason=each.reason,
                found_at=each.found_at, index=each.entry,
            )
            for each in found
        ]
    )  # fmt: skip


def _shown(logged: LoggedEvent) -> LogEntry:
    event = logged.event
    return LogEntry(
        index=logged.index,
        time=datetime.fromtimestamp(event.time, UTC),
        workspace=event.workspace,
        actor_kind=event.actor_kind,
        actor=event.actor,
        credential=event.credential,
        operation=event.operation,
        action=event.action,
        resource_type=event.resource_type,
        resource=event.resource,
        audit_class=event.audit_class.value,
        request_id=event.request_id,
        outcome=event.outcome.value,
        reason=event.reason,
        policies=event.policies,
        details=dict(event.details),
    )


def _seconds(name: str, moment: datetime | None) -> float | None:
    if moment is None:
        return None
    if moment.tzinfo is None:
        raise ValidationError(f"`{name}` must say its time zone, for instance `…Z`")
    return moment.timestamp()
