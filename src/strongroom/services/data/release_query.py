"""The verb that keeps a differentially private answer as a release.

1. The question is planned and paid for as any (`query_operations.py`); in the transaction that
   spends, the release is noted as one that is being made.
2. The engine answers, and the answer is sealed as a table: it waits for a second person.

What a crash between leaves: the cost spent, and a release that is being made by nobody, which is
shown as refused once no call takes so long.
"""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pyarrow as pa

from strongroom.engines.privacy.dp.accounting import Composition
from strongroom.engines.privacy.dp.answering import Answer, run
from strongroom.engines.privacy.dp.document import plan_json
from strongroom.engines.privacy.dp.planning import Plan
from strongroom.errors import RefusedError, StrongroomError, ValidationError
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Limits, Route, operation
from strongroom.gate.operation import Call
from strongroom.services.data.budget_pricing import NewSpend
from strongroom.services.data.catalog import Held
from strongroom.services.data.query_operations import QueryOperations
from strongroom.services.data.release_checks import recipients_of
from strongroom.services.data.release_record import ReleaseRecord
from strongroom.services.data.release_types import (
    AnswerProof,
    ReleaseKind,
    ReleaseQuery,
    ReleaseShown,
    ReleaseState,
)
from strongroom.services.data.release_wording import SPENT, shown
from strongroom.services.data.release_work import TABLE_KIND
from strongroom.services.data.releases import Release
from strongroom.services.data.report_operations import dataset_of
from strongroom.vault.encrypted_tables import write_table

_LOW, _HIGH = " low", " high"
"""After the name of a value: the columns of its interval."""


class ReleaseQueryOperations(QueryOperations):
    """The part of the room of datasets that answers with noise, to one or to many."""

    @operation(
        "data.release_query",
        action="releaseDataset",
        resource=dataset_of,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("POST", "/workspaces/{workspace}/data/{name}/releases/query"),
        command=Command("data release-query", positional=("name", "sql")),
        limits=Limits(per_minute=10),
    )
    def release_query(self, call: Call, request: ReleaseQuery) -> ReleaseShown:
        """Keep the answer to a question, with differential privacy, as a release.

        It costs what `data query` costs, of the same budget, and is spent whether or not a second
        person approves. Recipients read the values and their intervals as a table.
        """
        if request.dry_run:
            raise ValidationError(
                "a release has no dry run", next_step="`strongroom data query --dry-run` tells it"
            )
        if not call.allows("queryDataset"):
            raise RefusedError("who may not ask a question may not release its answer")
        held, plan, smaller = self._planned(call, request)
        _require_apart(plan)
        new = replace(self._spend_of(call, request, held, plan, smaller), kind="release")
        with self._turn():
            release = self._paid(call, request, held, plan, new)
            # INVARIANT: the spend is durable and on the record before the first row is read.
            try:
                answer = run(plan, self._rows(call, held, plan))
                release = self._sealed(request.workspace, release, answer)
            except StrongroomError as error:
                error.next_step += SPENT
                self._refuse(release, error.message, error.next_step)
                raise
            except Exception:
                self._refuse(release, "a fault of the server", f"see the server's log{SPENT}")
                raise
        return shown(release, self._now(), may_make=True)

    def _paid(
        self, call: Call, request: ReleaseQuery, held: Held, plan: Plan, new: NewSpend
    ) -> Release:
        """Spend, and note the release, in one transaction."""
        budgets, subject = self._catalog.budgets, plan.terms.unit.subject
        # What may take long is done before other writers wait: both are remembered.
        with call.reading() as session:
            budgets.of(session, request.workspace, request.name, subject, self._now())
        Composition.of(new.cost)
        asked = request.model_dump_json(exclude={"workspace", "name", "purpose", "dry_run"})
        with call.transaction() as session:
            now = self._now()
            readers, roles = recipients_of(session, request.recipients)
            account = budgets.of(session, request.workspace, request.name, subject, now)
            account, priced = budgets.spend(session, account, new, now)
            release = self._catalog.releases.new(session, held.dataset, ReleaseRecord(
                kind=ReleaseKind.DP,
                state=ReleaseState.MAKING,
                source_version=held.row.version,
                source_digest=held.record.digest,
                source_commitment=held.commitment,
                known_by="",
                purpose=request.purpose,
                readers=readers,
                reader_roles=roles,
                made_by=call.principal.id,
                made_at=now,
                expires_at=now + timedelta(days=request.expires_days),
                recipe=asked,
                cost=plan.cost.to_json(),
                answer=_proof(plan),
            ))  # fmt: skip
            call.note(
                number=release.number, readers=", ".join(readers), reader_roles=", ".join(roles),
                expires=release.record.expires_at.isoformat(), spend=len(account.spends),
                spent=priced.after, remaining=priced.remaining,
            )  # fmt: skip
        return release

    def _sealed(self, workspace: str, release: Release, answer: Answer) -> Release:
        table = _table(answer)
        with write_table(
            self._blobs, workspace, table.to_batches(), table.schema, kind=TABLE_KIND
        ) as staged, self._blobs.database.write() as session:  # fmt: skip
            found = self._catalog.releases.get(session, release.dataset, release.number)
            if found.record.state_at(self._now()) is not ReleaseState.MAKING:
                return found  # withdrawn, or given up for lost
            return self._catalog.releases.set(session, found, replace(
                found.record, state=ReleaseState.WAITING, rows=table.num_rows,
                blob=self._blobs.commit(session, staged).id,
            ))  # fmt: skip

    def _refuse(self, release: Release, words: str, next_step: str) -> None:
        with self._blobs.database.write() as session:
            found = self._catalog.releases.get(session, release.dataset, release.number)
            if found.record.state is ReleaseState.MAKING:
                self._catalog.releases.set(session, found, replace(
                    found.record, state=ReleaseState.REFUSED, refusal=words,
                    next_step=next_step,
                ))  # fmt: skip


def _names(plan: Plan) -> list[str]:
    values = [one.name for one in plan.query.aggregates]
    return [
        *plan.query.groupings,
        *(f"{name}{end}" for name in values for end in ("", _LOW, _HIGH)),
    ]


def _require_apart(plan: Plan) -> None:
    """Before anything is spent: the columns of the release have names of their own."""
    names = _names(plan)
    if len(set(names)) < len(names):
        raise ValidationError(
            "two columns of the release would have the same name", next_step="rename one with AS"
        )


def _proof(plan: Plan) -> AnswerProof:
    told = plan_json(plan)
    wanted = {name: told[name] for name in AnswerProof.model_fields if name in told}
    return AnswerProof.model_validate({**wanted, "epsilon": plan.terms.epsilon})


def _table(answer: Answer) -> pa.Table:
    """A row for each group: its key, and each value with its interval."""
    plan = answer.plan
    columns: list[pa.Array[Any]] = [
        pa.array([key[at] for key, _ in answer.rows]) for at in range(len(plan.query.groupings))
    ]
    for at in range(len(plan.query.aggregates)):
        found = [values[at] for _, values in answer.rows]
        columns += [
            pa.array([one.value for one in found], pa.float64()),
            pa.array([one.low for one in found], pa.float64()),
            pa.array([one.high for one in found], pa.float64()),
        ]
    return pa.Table.from_arrays(columns, names=_names(plan))
