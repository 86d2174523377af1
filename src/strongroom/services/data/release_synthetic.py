"""The verb that asks for a release of made-up rows.

1. What is wished for is checked against the schema and public facts, without a row.
2. Its cost is spent, the release noted and its job queued: all or nothing, in one transaction.
3. The job makes the table up in the sandbox, as it makes any release; it waits for a second person.
"""

import json
from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy.orm import Session

from strongroom.engines.privacy.dp.accounting import Cost
from strongroom.engines.privacy.dp.synthetic.columns import features_of
from strongroom.engines.privacy.dp.synthetic.mst import check, price, require_extra
from strongroom.engines.privacy.dp.training.domain import Domain, parse_domain
from strongroom.errors import ValidationError
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Body, Command, Limits, Route, operation
from strongroom.gate.operation import Call
from strongroom.services.data.bodies import text_of
from strongroom.services.data.budget_ledger import Account, unit_in_words
from strongroom.services.data.budget_pricing import NewSpend, Priced, finite
from strongroom.services.data.catalog import Held
from strongroom.services.data.release_checks import recipients_of
from strongroom.services.data.release_making import JOB_KIND
from strongroom.services.data.release_record import ReleaseRecord
from strongroom.services.data.release_room import (
    MADE_PER_MINUTE,
    ROUTE,
    ReleaseRoom,
    dataset_entity,
)
from strongroom.services.data.release_types import (
    MAX_DOMAIN_BYTES,
    ReleaseKind,
    ReleaseShown,
    ReleaseState,
    SynthesizeRelease,
    SyntheticAnswer,
)
from strongroom.services.data.releases import Release
from strongroom.vault.encrypted_tables import read_schema


class ReleaseSynthetic(ReleaseRoom):
    """The part of the room that has tables made up."""

    @operation(
        "data.release_synthetic",
        action="synthesizeDataset",
        resource=dataset_entity,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("POST", ROUTE + "/synthetic"),
        command=Command("data release-synthetic", positional=("name",), body="domain"),
        body=Body.STREAM,
        limits=Limits(body_bytes=MAX_DOMAIN_BYTES, per_minute=MADE_PER_MINUTE),
    )
    def release_synthetic(self, call: Call, request: SynthesizeRelease) -> SyntheticAnswer:
        """Make up a table that resembles a dataset, with differential privacy, as a release.

        The body is a domain: bounds and categories as publicly known, as `strongroom train
        --draft-domain` writes it; its columns are those of the table. The cost is drawn from the
        dataset's privacy budget before a job makes the table, and stays spent whatever becomes of
        it. Nobody reads the rows before a second person has approved them.
        """
        domain = parse_domain(text_of(call, MAX_DOMAIN_BYTES, "domain"))
        require_extra()
        with call.reading() as session:
            held = self._catalog.find(session, request.workspace, request.name, request.version)
            schema, _ = read_schema(self._blobs, session, held.row.blob)
        _require_columns(domain, held, schema.names)
        if request.rows > 1 and not held.record.subject_column:
            raise ValidationError(
                "the dataset has no subject column: each row is a person",
                next_step="leave rows out, or add the dataset with its subject column",
            )
        recipe = _recipe(request, domain, held)
        new = self._spend_of(call, request, domain, held, recipe)
        if request.dry_run:
            with call.reading() as session:
                priced = self._catalog.budgets.price(self._account(session, request, held), new)
            return _shown(held, priced, None, None)
        with call.transaction() as session:
            now = self._now()
            account = self._account(session, request, held)
            account, priced = self._catalog.budgets.spend(session, account, new, now)
            made = self._noted(call, session, request, held, recipe, new.cost, now)
            call.note(spend=len(account.spends), spent=priced.after, remaining=priced.remaining)
        # A crash from here on leaves the cost spent and the job queued.
        return _shown(held, priced, self._shown(call, made), len(account.spends))

    def _account(self, session: Session, request: SynthesizeRelease, held: Held) -> Account:
        return self._catalog.budgets.of(
            session, request.workspace, request.name, held.record.subject_column, self._now()
        )

    def _spend_of(
        self, call: Call, request: SynthesizeRelease, domain: Domain, held: Held, recipe: str
    ) -> NewSpend:
        check(domain, request.epsilon, request.delta, request.rows)
        cost = price(request.epsilon, request.delta)
        with call.reading() as session:
            what = self._catalog.question_commitment(session, held, recipe)
        call.note(
            version=held.row.version, source=held.commitment, purpose=request.purpose,
            epsilon=request.epsilon, delta=request.delta, wish=what, dry_run=request.dry_run,
        )  # fmt: skip

        def smaller(factor: float) -> Cost:
            return price(request.epsilon * factor, request.delta)

        return NewSpend(
            cost, request.purpose, call.principal.id, "release", what, request.epsilon, smaller
        )

    def _noted(
        self, call: Call, session: Session, request: SynthesizeRelease, held: Held, recipe: str,
        cost: Cost, now: datetime,
    ) -> Release:  # fmt: skip
        """The release as one that is being made, and the job that makes it."""
        readers, roles = recipients_of(session, request.recipients)
        number = self._catalog.releases.next_number(session, held.dataset)
        job = self._jobs.enqueue(
            session, JOB_KIND, {"dataset": held.dataset.id, "number": number}, request.workspace,
            call.principal.id,
        )  # fmt: skip
        made = self._catalog.releases.new(session, held.dataset, ReleaseRecord(
            kind=ReleaseKind.SYNTHETIC,
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
            recipe=recipe,
            job=job,
            cost=cost.to_json(),
        ))  # fmt: skip
        call.note(
            number=made.number, recipe=made.record.recipe_digest, readers=", ".join(readers),
            reader_roles=", ".join(roles), expires=made.record.expires_at.isoformat(), job=job,
        )  # fmt: skip
        return made


def _require_columns(domain: Domain, held: Held, names: list[str]) -> None:
    """Everything that the domain names is there, before anything is spent."""
    wanted = [one.name for one in features_of(domain)]
    for name in wanted:
        if name not in names:
            raise ValidationError(f"the dataset has no column `{name[:200]}`")
    if held.record.subject_column in wanted:
        raise ValidationError(
            f"`{held.record.subject_column}` says whom a row is about: it cannot be made up"
        )


def _recipe(request: SynthesizeRelease, domain: Domain, held: Held) -> str:
    """What the confined part is told; sealed with the release."""
    told: Mapping[str, object] = {
        "domain": domain.document(), "epsilon": request.epsilon, "delta": request.delta,
        "subject": held.record.subject_column, "rows_each": request.rows,
    }  # fmt: skip
    return json.dumps(told, ensure_ascii=False)


def _shown(
    held: Held, priced: Priced, release: ReleaseShown | None, spend: int | None
) -> SyntheticAnswer:
    return SyntheticAnswer(
        release=release, protects=unit_in_words(held.record.subject_column),
        epsilon=finite(priced.epsilon), spent=finite(priced.after), remaining=priced.remaining,
        fits=priced.refusal is None, refusal=priced.refusal, spend=spend,
    )  # fmt: skip
