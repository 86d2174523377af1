"""The verb that trains a model with privacy.

1. What is wished for is checked against the schema and public facts, without a row.
2. Its cost is spent and the job is queued, both or neither, in one transaction.
3. The job learns in the sandbox and registers the model, quarantined like any other.
"""

import json
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.engines.privacy.dp.accounting import Cost
from strongroom.engines.privacy.dp.training.domain import Domain, parse_domain
from strongroom.engines.privacy.dp.training.running import Method, Wish, price
from strongroom.engines.privacy.dp.training.sgd import check_installed
from strongroom.errors import ConflictError, ValidationError
from strongroom.gate.access.types import Entity
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Body, Command, Limits, Route, operation
from strongroom.gate.operation import Call
from strongroom.gate.undecided import Recorder
from strongroom.services.data.bodies import text_of
from strongroom.services.data.budget_ledger import Account, unit_in_words
from strongroom.services.data.budget_pricing import NewSpend, Priced, finite
from strongroom.services.data.catalog import Catalog, Held
from strongroom.services.jobs.queue import Jobs
from strongroom.services.models.guards import ModelGuards
from strongroom.services.models.registry import Registry
from strongroom.services.models.tables import ModelEntryRow
from strongroom.services.models.training import JOB_KIND, SOURCE, Trainer
from strongroom.services.models.training_types import MAX_DOMAIN_BYTES, TrainingAnswer, TrainModel
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.encrypted_tables import read_schema
from strongroom.vault.keys import Keyring

_WISH_KIND = "training-wish"


def dataset_entity(_room: object, _session: Session, request: TrainModel) -> Entity:
    """The dataset that pays, whether or not it is there."""
    return Entity("Dataset", f"{request.workspace}/{request.dataset}", request.workspace)


class TrainingOperations:
    """The room of training, over the catalog of datasets and the registry of models."""

    def __init__(
        self,
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

        self._now = now
        self._blobs = blobs
        self._jobs = jobs
        self._catalog = Catalog(blobs, keyring)
        self._registry = Registry(blobs, keyring, jobs, now)
        guards = ModelGuards(blobs, jobs, keyring.seals, now)
        trainer = Trainer(blobs, self._catalog, self._registry, guards, log, settings, now)
        jobs.register_kind(JOB_KIND, trainer.train, trainer.give_up)

    @operation(
        "model.train",
        action="trainModel",
        resource=dataset_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", "/workspaces/{workspace}/models/{name}/train"),
        command=Command("model train", positional=("name",), body="domain"),
        body=Body.STREAM,
        limits=Limits(body_bytes=MAX_DOMAIN_BYTES, per_minute=10),
    )
    def train(self, call: Call, request: TrainModel) -> TrainingAnswer:
        """Train a model on a dataset with differential privacy, paid from its privacy budget.

        The body is a domain: target, bounds and categories as publicly known, as `strongroom train
        --draft-domain` writes it. The cost is spent before the training begins and stays spent,
        whatever becomes of it. The model is registered as a new version, quarantined like any
        other, with mechanism and cost in its provenance.
        """
        domain = parse_domain(text_of(call, MAX_DOMAIN_BYTES, "domain"))
        with call.reading() as session:
            held = self._catalog.find(
                session, request.workspace, request.dataset, request.dataset_version
            )
            schema, _ = read_schema(self._blobs, session, held.row.blob)
        wish = _wish(request, held)
        _require_columns(domain, held, schema.names)
        document = _document(domain, wish)
        new = self._spend_of(call, request, wish, document)
        if request.dry_run:
            with call.reading() as session:
                account = self._account(session, request, held)
                priced = self._catalog.budgets.price(account, new)
            return _shown(request, held, priced, "")
        with (
            self._blobs.put(request.workspace, _WISH_KIND, [document]) as staged,
            call.transaction() as session,
        ):
            self._require_own(session, request)
            account = self._account(session, request, held)
            account, priced = self._catalog.budgets.spend(session, account, new, self._now())
            payload = {
                "workspace": request.workspace, "model": request.name,
                "dataset": held.dataset.id, "dataset_version": held.row.version,
                "wish": self._blobs.commit(session, staged).id, "spend": len(account.spends),
            }  # fmt: skip
            job = self._jobs.enqueue(
                session, JOB_KIND, payload, request.workspace, call.principal.id
            )
            call.note(
                job=job, spend=len(account.spends), spent=priced.after,
                remaining=priced.remaining,
            )  # fmt: skip
        # A crash from here on leaves the cost spent and the job queued.
        return _shown(request, held, priced, job)

    def _account(self, session: Session, request: TrainModel, held: Held) -> Account:
        return self._catalog.budgets.of(
            session, request.workspace, request.dataset, held.record.subject_column, self._now()
        )

    def _spend_of(self, call: Call, request: TrainModel, wish: Wish, document: bytes) -> NewSpend:
        cost = price(wish)
        digest = f"sha256:{sha256(document).hexdigest()}"
        call.note(
            model=request.name, purpose=request.purpose, epsilon=request.epsilon,
            delta=request.delta, method=wish.method.value, wish=digest, dry_run=request.dry_run,
        )  # fmt: skip

        def smaller(factor: float) -> Cost:
            return price(replace(wish, epsilon=wish.epsilon * factor))

        return NewSpend(
            cost, request.purpose, call.principal.id, "training", digest, request.epsilon, smaller
        )

    def _require_own(self, session: Session, request: TrainModel) -> None:
        """A tracking server counts the versions of its models itself: theirs are left to it."""
        newest = session.scalars(
            select(ModelEntryRow)
            .where(
                ModelEntryRow.workspace == request.workspace, ModelEntryRow.model == request.name
            )
            .order_by(ModelEntryRow.version.desc())
            .limit(1)
        ).first()
        if newest is not None and self._registry.facts(session, newest).get("source") != SOURCE:
            raise ConflictError(
                f"`{request.name}` has versions that were registered by a client",
                next_step="train under another name",
            )


def _wish(request: TrainModel, held: Held) -> Wish:
    try:
        method = Method(request.method.lower())
    except ValueError:
        known = ", ".join(one.value for one in Method)
        raise ValidationError(f"the method is one of {known}") from None
    if method is Method.NETWORK:
        if request.rows > 1:  # their price takes minutes, and a request must not
            raise ValidationError(
                "on a server, a network learns from one row of each person",
                next_step="leave rows out, or take the method additive",
            )
        check_installed()
    subject = held.record.subject_column
    if request.rows > 1 and not subject:
        raise ValidationError(
            "the dataset has no subject column: each row is a person",
            next_step="leave rows out, or add the dataset with its subject column",
        )
    return Wish(request.epsilon, request.delta, method, subject, request.rows)


def _require_columns(domain: Domain, held: Held, names: list[str]) -> None:
    """Everything that the domain names is there, before anything is spent."""
    wanted = [*(one.name for one in domain.features), domain.target.name]
    for name in wanted:
        if name not in names:
            raise ValidationError(f"the dataset has no column `{name[:200]}`")
    if held.record.subject_column in wanted:
        raise ValidationError(
            f"`{held.record.subject_column}` says whom a row is about: a model may not use it"
        )


def _document(domain: Domain, wish: Wish) -> bytes:
    """What the confined part is told."""
    return json.dumps({
        "domain": domain.document(), "epsilon": wish.epsilon, "delta": wish.delta,
        "method": wish.method.value, "subject": wish.subject, "rows_each": wish.rows_each,
    }).encode()  # fmt: skip


def _shown(request: TrainModel, held: Held, priced: Priced, job: str) -> TrainingAnswer:
    return TrainingAnswer(
        model=request.name, job=job, protects=unit_in_words(held.record.subject_column),
        epsilon=finite(priced.epsilon), spent=finite(priced.after), remaining=priced.remaining,
        fits=priced.refusal is None, refusal=priced.refusal,
    )  # fmt: skip
