"""Verbs on how versions are admitted: the rules, who waits for whom, what was decided."""

from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.engines.crypto import dsse
from strongroom.errors import TamperedError
from strongroom.gate.access.grants import holders
from strongroom.gate.access.types import PrincipalKind
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import (
    Body,
    Command,
    Limits,
    Route,
    Stream,
    in_workspace,
    operation,
)
from strongroom.gate.identity.accounts import Accounts
from strongroom.gate.operation import Call
from strongroom.services.data.bodies import text_of
from strongroom.services.models.parts import (
    ModelParts,
    broken_rule,
    may_read,
    model_entity,
    named,
    rule_shown,
)
from strongroom.services.models.promotion import Approver, counts, judge
from strongroom.services.models.promotion_cases import Ground, OpenCase
from strongroom.services.models.promotion_policies import WorkspaceRules
from strongroom.services.models.promotion_rules import MAX_RULES_BYTES
from strongroom.services.models.promotion_types import (
    History,
    HistoryEntry,
    ListWaiting,
    PolicyShown,
    SetPolicy,
    ShowHistory,
    ShowPolicy,
    WaitingVersion,
    WaitingVersions,
)
from strongroom.services.models.tables import ModelEntryRow
from strongroom.services.models.types import MAX_LISTED, Decision, ModelState

_MOST_PEOPLE = 50
"""Names of those who could approve a version."""


class PolicyOperations(ModelParts):
    """The part of the room of models that is about rules."""

    @operation(
        "model.policy",
        action="readModel",
        resource=in_workspace,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/model-policy"),
        command=Command("model policy"),
    )
    def policy(self, call: Call, request: ShowPolicy) -> Stream:
        """Print the rules by which a workspace admits model versions, as TOML.

        The headers `Strongroom-Digest` and `Strongroom-Set-By` say what approvals name and who set
        them; nobody did where the second is empty.
        """
        with call.reading() as session:
            held = self._policies.of(session, request.workspace)
        call.note(rules=held.rules.digest)
        headers = {"Strongroom-Digest": held.rules.digest, "Strongroom-Set-By": held.set_by or ""}
        text = held.rules.text.encode()
        return Stream("text/plain; charset=utf-8", iter([text]), "rules.toml", headers)

    @operation(
        "model.set_policy",
        action="setModelPolicy",
        resource=in_workspace,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", "/workspaces/{workspace}/model-policy"),
        command=Command("model set-policy", body="file"),
        body=Body.STREAM,
        limits=Limits(body_bytes=MAX_RULES_BYTES),
    )
    def set_policy(self, call: Call, request: SetPolicy) -> PolicyShown:
        """Set the rules by which a workspace admits model versions.

        The body is TOML, as docs/models.md describes it; `model policy` prints what is in force,
        to begin from. They hold for approvals from then on: versions that are approved stay so,
        and an approval of several that was given under other rules counts no more. Rules with a
        mistake change nothing.
        """
        text = text_of(call, MAX_RULES_BYTES, "text of rules")
        with call.transaction() as session:
            before = self._policies.of(session, request.workspace)
            held = self._policies.set(
                session, request.workspace, text, by=call.principal.id, now=self._now()
            )
            call.note(
                before=before.rules.digest, after=held.rules.digest,
                approvals=held.rules.approvals, own_approval=held.rules.own_approval,
            )  # fmt: skip
        return _shown(held)

    @operation(
        "model.waiting",
        action="readModel",
        resource=in_workspace,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/models-waiting"),
        command=Command("model waiting"),
    )
    def waiting(self, call: Call, request: ListWaiting) -> WaitingVersions:
        """List the versions that wait for approval: for which rules, and for whom."""
        query = select(ModelEntryRow).where(
            ModelEntryRow.workspace == request.workspace,
            ModelEntryRow.state == ModelState.CHECKED,
        )
        if request.name:
            query = query.where(ModelEntryRow.model == request.name)
        query = query.order_by(ModelEntryRow.registered_at).limit(request.limit)
        with call.reading() as session:
            rows = [
                row
                for row in session.scalars(query).all()
                if may_read(call, row) and self._registry.is_current(session, row)
            ]
            people = self._people(session, request.workspace)
            ground = self._cases.ground(session, request.workspace) if rows else None
        found = [self._waiting(call, row, people, ground) for row in rows]
        call.note(waiting=len(found))
        return WaitingVersions(waiting=found)

    @operation(
        "model.history",
        action="readModel",
        resource=model_entity,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/models/{name}/history"),
        command=Command("model history", positional=("name",)),
    )
    def history(self, call: Call, request: ShowHistory) -> History:
        """Show every decision on the versions of a model, the newest first.

        Each is verified: one that was changed, taken away or put in is an error and an alarm.
        """
        with call.reading() as session:
            rows = session.scalars(
                select(ModelEntryRow)
                .where(
                    ModelEntryRow.workspace == request.workspace,
                    ModelEntryRow.model == request.name,
                )
                .order_by(ModelEntryRow.version.desc())
                .limit(MAX_LISTED)
            ).all()
        entries: list[HistoryEntry] = []
        for row in (row for row in rows if may_read(call, row)):
            with self._verifier.alarm(row), call.reading() as session:
                entries += self._entries(session, row)
        entries.sort(key=lambda entry: entry.at, reverse=True)
        return History(name=request.name, decisions=entries[: request.limit])

    # ---- parts ----

    def _waiting(
        self, call: Call, row: ModelEntryRow, people: list[tuple[str, Approver]],
        ground: Ground | None,
    ) -> WaitingVersion:  # fmt: skip
        approved: list[str] = []
        could: list[str] = []
        try:
            with self._verifier.alarm(row), call.reading() as session:
                opened = self._cases.open(session, row, ground)
        except TamperedError as error:
            # That version waits for its integrity; the others are shown all the same.
            unmet = [broken_rule(error)]
        else:
            judged = judge(opened.rules, opened.case, self._now())
            approved = [one.id for one in opened.case.approved]
            unmet = [rule_shown(one) for one in judged if not one.is_met]
            could = _who_could(opened, people)
        with call.reading() as session:
            names = self._names(session, [row.registered_by, *approved])
        return WaitingVersion(
            name=row.model,
            version=row.version,
            registered_by=names.get(row.registered_by, row.registered_by),
            registered_at=row.registered_at,
            approvals=[names.get(one, one) for one in approved],
            unmet=[named(one, names) for one in unmet],
            people=could,
        )

    def _people(self, session: Session, workspace: str) -> list[tuple[str, Approver]]:
        """Names of the people of a workspace, with the roles that they hold there."""
        ids = sorted({row.principal for row in holders(session, workspace)})
        known = Accounts().names(session, ids)
        return [
            (
                known[one].name,
                Approver(id=one, is_person=True, roles=self._cases.roles(session, one, workspace)),
            )
            for one in ids
            if one in known and known[one].kind is PrincipalKind.PERSON
        ]

    def _entries(self, session: Session, row: ModelEntryRow) -> list[HistoryEntry]:
        key = self._keys.verifying_key(session)
        found = []
        for decided in self._decisions.of(session, row.id):
            said: dict[str, Any] = {}
            if decided.envelope is not None:
                said = dict(dsse.verify(decided.envelope, [key]).predicate)
            found.append(
                HistoryEntry(
                    version=row.version,
                    decision=Decision(decided.decision),
                    by=decided.by,
                    at=decided.at,
                    comment=decided.comment,
                    purpose=str(said.get("purpose", "")),
                    rules=str(said.get("rules", "")),
                    is_signed=decided.envelope is not None,
                )
            )
        return found


def _who_could(opened: OpenCase, people: list[tuple[str, Approver]]) -> list[str]:
    done = {one.id for one in opened.case.approved}
    if len(done) >= opened.rules.approvals:
        done = set()  # enough, but nobody has ended it since: anybody does
    return sorted(
        name
        for name, one in people
        if one.id not in done and counts(opened.rules, opened.case, one)
    )[:_MOST_PEOPLE]


def _shown(held: WorkspaceRules) -> PolicyShown:
    return PolicyShown(
        digest=held.rules.digest, set_by=held.set_by, set_at=held.set_at, text=held.rules.text
    )
