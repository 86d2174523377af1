"""The verb that answers questions about rows to those who may not see them.

1. The question is planned from the schema and public facts: cost and accuracy, without a row.
2. The cost is spent and recorded, durably, or refused.
3. The columns that it names are decrypted in this process and the engine answers.

An error in step 3 leaves the cost spent, for it may have told something; the log then has an entry
of the spend and one of the failure.
"""

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime

import pyarrow as pa

from strongroom.engines.privacy.dp.accounting import MIN_DELTA, Composition, Cost
from strongroom.engines.privacy.dp.adaptive import SHARE
from strongroom.engines.privacy.dp.answering import Answer, run
from strongroom.engines.privacy.dp.document import answer_json, plan_json
from strongroom.engines.privacy.dp.intake import kinds_of
from strongroom.engines.privacy.dp.mechanisms import Noise
from strongroom.engines.privacy.dp.planning import Plan, plan_query
from strongroom.engines.privacy.dp.predicates import columns_of
from strongroom.engines.privacy.dp.sql import parse_sql
from strongroom.errors import (
    BusyError,
    StrongroomError,
    TooLargeError,
    ValidationError,
)
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Limits, Route, operation
from strongroom.gate.operation import Call
from strongroom.services.data.budget_ledger import Account
from strongroom.services.data.budget_pricing import NewSpend, Priced, finite
from strongroom.services.data.catalog import Catalog, Held
from strongroom.services.data.query_terms import terms_of
from strongroom.services.data.query_types import QueryAnswer, QueryDataset
from strongroom.services.data.release_wording import SPENT
from strongroom.services.data.report_operations import dataset_of
from strongroom.vault.blobs import BlobStore
from strongroom.vault.encrypted_tables import read_schema, read_table

MAX_TABLE_BYTES = 1 << 30
"""Of the columns of a query, in memory."""
MAX_READ_SECONDS = 120.0
MAX_AT_ONCE = 2
"""Queries that hold rows in memory."""
WAIT_SECONDS = 30.0
_ANY_NAME = "data"
"""By which any dataset may be called in SQL."""


class QueryOperations:
    """The part of the room of datasets that answers with noise."""

    _catalog: Catalog
    _blobs: BlobStore
    _now: Callable[[], datetime]
    _answering = threading.BoundedSemaphore(MAX_AT_ONCE)
    """Of this process."""

    @operation(
        "data.query",
        action="queryDataset",
        resource=dataset_of,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("POST", "/workspaces/{workspace}/data/{name}/query"),
        command=Command("data query", positional=("name", "sql")),
        limits=Limits(per_minute=60),
    )
    def query(self, call: Call, request: QueryDataset) -> QueryAnswer:
        """Ask for counts, sums, means or quantiles of a dataset, with differential privacy.

        The answer has noise that hides each single person, and costs epsilon of the dataset's
        privacy budget. `dry_run` tells the cost and how exact the answer would be, and spends
        nothing. Once spent, epsilon stays spent, even where the answer is lost.
        """
        held, plan, smaller = self._planned(call, request)
        new = self._spend_of(call, request, held, plan, smaller)
        if request.dry_run:
            return self._foreseen(call, request, held, plan, new)
        with self._turn():
            return self._answered(call, request, held, plan, new)

    def _planned(
        self, call: Call, request: QueryDataset
    ) -> tuple[Held, Plan, Callable[[float], Cost]]:
        """The version asked about, how it will be answered, and the cost with less epsilon.

        No row is read.
        """
        with call.reading() as session:
            held = self._catalog.find(session, request.workspace, request.name, request.version)
            schema, _ = read_schema(self._blobs, session, held.row.blob)
            subject = held.record.subject_column
            account = self._catalog.budgets.find(
                session, request.workspace, request.name, subject, self._now()
            )
        parsed = parse_sql(request.sql, subject)
        if parsed.table.lower() not in {request.name.lower(), _ANY_NAME}:
            raise ValidationError(
                f"the query is about `{parsed.table[:100]}`, and the dataset is `{request.name}`",
                next_step=f"write FROM {_ANY_NAME}",
            )
        kinds = kinds_of(schema)
        noise, at = _family(account)
        terms = terms_of(request, subject, kinds)
        plan = plan_query(parsed.query, terms, kinds, noise=noise, at=at)
        call.note(
            version=held.row.version, purpose=request.purpose, epsilon=request.epsilon,
            delta=plan.delta, cost=plan.cost.to_json()[:2_000], dry_run=request.dry_run,
        )  # fmt: skip

        def smaller(factor: float) -> Cost:
            scaled = replace(terms, epsilon=terms.epsilon * factor)
            return plan_query(parsed.query, scaled, kinds, noise=noise, at=at).cost

        return held, plan, smaller

    def _spend_of(
        self, call: Call, request: QueryDataset, held: Held, plan: Plan,
        smaller: Callable[[float], Cost],
    ) -> NewSpend:  # fmt: skip
        asked = request.model_dump_json(exclude={"workspace", "name", "purpose", "dry_run"})
        with call.reading() as session:
            digest = self._catalog.question_commitment(session, held, asked)
        call.note(query=digest)
        return NewSpend(
            plan.cost, request.purpose, call.principal.id, "query", digest, request.epsilon, smaller
        )

    def _foreseen(
        self, call: Call, request: QueryDataset, held: Held, plan: Plan, new: NewSpend
    ) -> QueryAnswer:
        """What it would cost and how exact it would be."""
        with call.reading() as session:
            account = self._catalog.budgets.of(
                session, request.workspace, request.name, plan.terms.unit.subject, self._now()
            )
        priced = self._catalog.budgets.price(account, new)
        return _shown(request, held, plan, priced)

    def _answered(
        self, call: Call, request: QueryDataset, held: Held, plan: Plan, new: NewSpend
    ) -> QueryAnswer:
        budgets = self._catalog.budgets
        # What may take long is done before other writers wait: both are remembered.
        with call.reading() as session:
            budgets.of(
                session, request.workspace, request.name, plan.terms.unit.subject, self._now()
            )
        Composition.of(new.cost)
        with call.transaction() as session:
            now = self._now()
            account = budgets.of(
                session, request.workspace, request.name, plan.terms.unit.subject, now
            )
            account, priced = budgets.spend(session, account, new, now)
            number = len(account.spends)
            call.note(spend=number, spent=priced.after, remaining=priced.remaining)
        # INVARIANT: the spend is durable and on the record before the first row is read. A crash
        # from here on leaves it spent and nothing told.
        try:
            answer = run(plan, self._rows(call, held, plan))
        except StrongroomError as error:
            error.next_step += SPENT
            raise
        entry = None if call.entry is None else call.entry.index
        return _shown(request, held, plan, priced, answer, number, entry)

    def _rows(self, call: Call, held: Held, plan: Plan) -> pa.Table:
        """The columns of the plan, decrypted; the first one where it needs none, to count rows."""
        with call.reading() as session:
            stored, _ = read_schema(self._blobs, session, held.row.blob)
            names = _used(plan) or stored.names[:1]
            batches = read_table(self._blobs, session, held.row.blob, names)
        until = time.monotonic() + MAX_READ_SECONDS
        kept, size = [], 0
        for batch in batches:
            kept.append(batch)
            size += batch.nbytes
            if size > MAX_TABLE_BYTES:
                raise TooLargeError(
                    f"the columns have more than {MAX_TABLE_BYTES:,} bytes in memory",
                    next_step="ask about fewer columns",
                )
            if time.monotonic() > until:
                raise BusyError("the rows could not be read in time")
        return pa.Table.from_batches(kept, pa.schema([stored.field(name) for name in names]))

    @contextmanager
    def _turn(self) -> Iterator[None]:
        """One of those that hold rows in memory."""
        if not self._answering.acquire(timeout=WAIT_SECONDS):
            raise BusyError("other queries are being answered")
        try:
            yield
        finally:
            self._answering.release()


def _family(account: Account | None) -> tuple[Noise | None, float]:
    """The noise for a budget, and the delta at which it keeps epsilon where rhos are counted."""
    if account is None or account.budget.terms.composition == "pld":
        return None, 0.0
    return Noise.GAUSSIAN, max((1 - SHARE) * account.budget.terms.delta, MIN_DELTA)


def _used(plan: Plan) -> list[str]:
    """Columns that a plan looks at, each once."""
    query = plan.query
    used = [one.column for one in query.aggregates if one.column] + [*query.groupings]
    if query.where is not None:
        used += columns_of(query.where)
    if plan.terms.unit.subject:
        used.append(plan.terms.unit.subject)
    return list(dict.fromkeys(used))


def _shown(
    request: QueryDataset,
    held: Held,
    plan: Plan,
    priced: Priced,
    answer: Answer | None = None,
    number: int | None = None,
    entry: int | None = None,
) -> QueryAnswer:
    planned = plan_json(plan)
    return QueryAnswer.model_validate(
        {
            "name": request.name, "version": held.row.version, "spent": answer is not None,
            "groups": [] if answer is None else answer_json(answer)["groups"],
            "expected": planned["expected"], "noise": planned["noise"],
            "neighbours": planned["neighbours"], "notes": planned["notes"],
            "epsilon": request.epsilon, "delta": plan.delta,
            "epsilon_alone": finite(priced.epsilon), "budget_spent": finite(priced.after),
            "budget_remaining": priced.remaining,
            "fits": priced.refusal is None, "refusal": priced.refusal,
            "spend": number, "log_entry": entry,
        }
    )  # fmt: skip
