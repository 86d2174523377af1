"""Verbs that show model versions: list, show, statement."""

from collections.abc import Sequence
from itertools import islice

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.errors import StateError, TamperedError
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Route, in_workspace, operation
from strongroom.gate.operation import Call
from strongroom.services.models.checking import read_report
from strongroom.services.models.lineage import FACT, DataSource, SourceState
from strongroom.services.models.parts import (
    VERSION_ROUTE,
    ModelParts,
    broken_rule,
    may_read,
    named,
    rule_shown,
    version_entity,
)
from strongroom.services.models.promotion import judge
from strongroom.services.models.tables import ModelDecisionRow, ModelEntryRow
from strongroom.services.models.types import (
    Decision,
    DecisionShown,
    FileShown,
    FindingShown,
    ListModels,
    ModelDetail,
    ModelReference,
    ModelState,
    ModelVersions,
    RuleShown,
    SignedStatement,
    SourceShown,
)

_SHOWN_FINDINGS = 200
_READ_AT_ONCE = 100


class LookingOperations(ModelParts):
    """The part of the room of models that shows what is there."""

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
        if not request.deleted:
            query = query.where(ModelEntryRow.deleted_at.is_(None))
        query = query.order_by(ModelEntryRow.model, ModelEntryRow.version.desc())
        with call.reading() as session:
            found = session.scalars(query.execution_options(yield_per=_READ_AT_ONCE))
            readable = (row for row in found if may_read(call, row))
            wanted = (row for row in readable if not request.stale or self._is_stale(session, row))
            rows = islice(wanted, request.limit)
            return ModelVersions(versions=[self._described(session, row) for row in rows])

    @operation(
        "model.show",
        action="readModel",
        resource=version_entity,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", VERSION_ROUTE),
        command=Command("model show", positional=("name", "version")),
    )
    def show(self, call: Call, request: ModelReference) -> ModelDetail:
        """Show one version: findings, files, decisions, where it comes from, rules not met."""
        del call  # nothing depends on who asks: the gate has decided
        return self.detail(request)

    def detail(self, request: ModelReference) -> ModelDetail:
        """All that is known of a version, as those may see it who may read the model.

        Raises:
            NotFoundError: there is none.
        """
        with self._database.read() as session:
            row = self._find(session, request)
        # Before the row is shown, for a difference found here is flagged on it.
        features, classes = self._shapes(row)
        decisions = self._decided(row)
        with self._database.read() as session:
            row = self._find(session, request)
            files = [
                (file.path, self._blobs.info(session, file.blob))
                for file in self._registry.files(session, row.id)
            ]
            facts = self._registry.shown_facts(session, row)
            described = self._described(session, row)
            facts.pop(FACT, None)
            sources = self._registry.sources(session, row)
            approvals, rules = self._promotion(session, row)
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
                    decision=Decision(decision.decision),
                    by=decision.by,
                    at=decision.at,
                    comment=decision.comment,
                )
                for decision in decisions
            ],
            signed_by=signed_by,
            facts=facts,
            tampered_reason=row.tampered_reason,
            approvals=approvals,
            rules=rules,
            trained_on=[
                SourceShown(
                    name=one.name, version=one.version, view=one.view, purpose=one.purpose,
                    state=one.state.value,
                )
                for one in sources
            ],
            is_stale=_any_erased(sources),
        )  # fmt: skip

    @operation(
        "model.statement",
        action="readModel",
        resource=version_entity,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", VERSION_ROUTE + "/statement"),
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

    def _is_stale(self, session: Session, row: ModelEntryRow) -> bool:
        return _any_erased(self._registry.sources(session, row))

    def _decided(self, row: ModelEntryRow) -> list[ModelDecisionRow]:
        """The decisions; none where they are not those that were made, which is flagged."""
        try:
            with self._verifier.alarm(row), self._database.read() as session:
                return self._decisions.of(session, row.id)
        except TamperedError:
            return []

    def _promotion(self, session: Session, row: ModelEntryRow) -> tuple[list[str], list[RuleShown]]:
        """Who has approved a checked version, and every rule as it is met now."""
        if row.state != ModelState.CHECKED:
            return [], []
        try:
            opened = self._cases.open(session, row)
        except TamperedError as error:
            return [], [broken_rule(error)]
        judged = judge(opened.rules, opened.case, self._now())
        approved = [one.id for one in opened.case.approved]
        names = self._names(session, approved)
        return approved, [named(rule_shown(one), names) for one in judged]


def _any_erased(sources: Sequence[DataSource]) -> bool:
    return any(one.state is SourceState.ERASED for one in sources)
