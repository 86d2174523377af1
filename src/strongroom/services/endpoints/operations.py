"""What people do with endpoints: create, deploy, roll back, look, ask, delete."""

import secrets
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import lru_cache
from typing import Any

import numpy as np
from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from strongroom.errors import (
    ConflictError,
    NotFoundError,
    StateError,
    UnavailableError,
    ValidationError,
)
from strongroom.gate.access.types import Entity
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.declaration import Command, Route, in_workspace, operation
from strongroom.gate.operation import Call
from strongroom.services.endpoints.answering import answer
from strongroom.services.endpoints.guarding import Question
from strongroom.services.endpoints.guards import EndpointGuards
from strongroom.services.endpoints.loading import Loader, live_of
from strongroom.services.endpoints.runners import Batch, Live, Runners
from strongroom.services.endpoints.schema import InputSchema
from strongroom.services.endpoints.tables import DeploymentRow, EndpointRow
from strongroom.services.endpoints.types import (
    CreateEndpoint,
    Deployment,
    DeployModel,
    Endpoint,
    EndpointList,
    EndpointReference,
    InvokeEndpoint,
    ListEndpoints,
    PredictionAnswer,
    Range,
    ServableModels,
)
from strongroom.services.models.parts import entity_of
from strongroom.vault.database import Database


@lru_cache(maxsize=4_096)
def endpoint_entity_of(workspace: str, endpoint: str) -> Entity:
    """One endpoint as a resource."""
    return Entity("Endpoint", f"{workspace}/{endpoint}", workspace)


def endpoint_entity(_room: object, _session: Session, request: Any) -> Entity:  # noqa: ANN401 # any request naming an endpoint
    """The endpoint that a request names."""
    return endpoint_entity_of(request.workspace, request.endpoint)


class EndpointOperations:
    """The room of endpoints."""

    def __init__(
        self,
        models: ServableModels,
        runners: Runners,
        guards: EndpointGuards,
        *,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """Take what the room works with.

        Args:
            models: hands out approved, verified models.
            runners: holds what is live.
            guards: of what is live.
            clock: seconds since 1970, UTC.
        """
        self._models = models
        self._runners = runners
        self._guards = guards
        self._loader = Loader(models, runners, guards)
        self._clock = clock

    # ---- verbs ----

    @operation(
        "endpoint.create",
        action="createEndpoint",
        resource=in_workspace,
        audit=AuditClass.ENTITY_MANAGEMENT,
        route=Route("POST", "/workspaces/{workspace}/endpoints"),
        command=Command("endpoint create", positional=("endpoint",)),
    )
    def create(self, call: Call, request: CreateEndpoint) -> Endpoint:
        """Create an endpoint; it answers once an approved model is deployed to it."""
        with call.transaction() as session:
            if session.get(EndpointRow, (request.workspace, request.endpoint)) is not None:
                raise ConflictError(f"there is an endpoint `{request.endpoint}` already")
            row = EndpointRow(
                workspace=request.workspace,
                name=request.endpoint,
                rows_per_minute=request.rows_per_minute,
                max_rows=request.max_rows,
                decimals=request.decimals,
                ranges={name: [bounds.low, bounds.high] for name, bounds in request.ranges.items()},
                live="",
                created_by=call.principal.id,
                created_at=self._now(),
            )
            session.add(row)
            call.note(endpoint=request.endpoint)
            return self._describe(row, None)

    @operation(
        "endpoint.deploy",
        action="deployModel",
        resource=endpoint_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", "/workspaces/{workspace}/endpoints/{endpoint}/deployments"),
        command=Command("endpoint deploy", positional=("endpoint", "model", "version")),
    )
    def deploy(self, call: Call, request: DeployModel) -> Endpoint:
        """Verify an approved model version, load it, and let the endpoint answer with it.

        When it does not verify or load, what answered before goes on answering.
        """
        with call.reading() as session:
            about = entity_of(session, request.workspace, request.model, request.version)
            call.require("deployModel", about)
            row = _existing(session, request.workspace, request.endpoint)
            policy = self._guards.policies.of(session, request.workspace, request.endpoint)
        if request.guard:
            call.require("setGuard", endpoint_entity_of(request.workspace, request.endpoint))
            policy = replace(policy, mode=request.guard)
        servable = self._models.servable(request.workspace, request.model, request.version)
        runner = self._runners.load(servable)
        try:
            deployment_id = f"dep_{secrets.token_hex(12)}"
            live = live_of(row, deployment_id, servable, runner, self._guards)
            self._guards.equip(live, policy)
            self._guards.require_guard(live)
            with call.transaction() as session:
                row = _existing(session, request.workspace, request.endpoint)
                deployed = DeploymentRow(
                    id=deployment_id,
                    workspace=request.workspace,
                    endpoint=request.endpoint,
                    model=servable.model,
                    version=servable.version,
                    digest=servable.digest,
                    form=runner.form,
                    features=list(servable.features),
                    classes=list(servable.classes),
                    previous=row.live,
                    deployed_by=call.principal.id,
                    deployed_at=self._now(),
                )
                session.add(deployed)
                row.live = deployment_id
                if request.guard:
                    self._guards.policies.set(
                        session, row.workspace, row.name, policy, by=call.principal.id,
                        now=self._now(),
                    )  # fmt: skip
                call.note(guard=policy.mode)
                call.note(
                    model=servable.model, version=servable.version, digest=servable.digest,
                    form=runner.form, deployment=deployment_id,
                )  # fmt: skip
        except BaseException:
            runner.close()
            raise
        # A crash here leaves the new deployment in the database; the next start loads it.
        self._runners.put(live)
        return self._describe(row, deployed)

    @operation(
        "endpoint.rollback",
        action="deployModel",
        resource=endpoint_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", "/workspaces/{workspace}/endpoints/{endpoint}/rollback"),
        command=Command("endpoint rollback", positional=("endpoint",)),
    )
    def rollback(self, call: Call, request: EndpointReference) -> Endpoint:
        """Let the endpoint answer with what was deployed before, after verifying it again."""
        with call.reading() as session:
            row = _existing(session, request.workspace, request.endpoint)
            current = session.get(DeploymentRow, row.live) if row.live else None
            before = session.get(DeploymentRow, current.previous) if current else None
        if current is None or before is None:
            raise StateError("there is no earlier deployment to go back to")
        with call.reading() as session:
            about = entity_of(session, request.workspace, before.model, before.version)
            call.require("deployModel", about)
        live = self._loader.build(row, before)
        try:
            self._guards.require_guard(live)
            with call.transaction() as session:
                row = _existing(session, request.workspace, request.endpoint)
                if row.live != current.id:
                    raise ConflictError("something else was deployed meanwhile")
                row.live = before.id
                call.note(model=before.model, version=before.version, deployment=before.id)
        except BaseException:
            live.runner.close()
            raise
        self._runners.put(live)
        return self._describe(row, before)

    @operation(
        "endpoint.ls",
        action="readEndpoint",
        resource=in_workspace,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/endpoints"),
        command=Command("endpoint ls"),
    )
    def ls(self, call: Call, request: ListEndpoints) -> EndpointList:
        """List the endpoints of a workspace."""
        query = select(EndpointRow).where(EndpointRow.workspace == request.workspace)
        with call.reading() as session:
            rows = session.scalars(query.order_by(EndpointRow.name)).all()
            return EndpointList(
                endpoints=[self._describe(row, _deployed(session, row)) for row in rows]
            )

    @operation(
        "endpoint.show",
        action="readEndpoint",
        resource=endpoint_entity,
        audit=AuditClass.API_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/endpoints/{endpoint}"),
        command=Command("endpoint show", positional=("endpoint",)),
    )
    def show(self, call: Call, request: EndpointReference) -> Endpoint:
        """Show one endpoint: its limits, and the model version that answers."""
        with call.reading() as session:
            row = _existing(session, request.workspace, request.endpoint)
            return self._describe(row, _deployed(session, row))

    @operation(
        "endpoint.invoke",
        action="invokeEndpoint",
        resource=endpoint_entity,
        audit=AuditClass.AI_OPERATION,
        route=Route("POST", "/workspaces/{workspace}/endpoints/{endpoint}/invoke"),
        command=Command("endpoint invoke", positional=("endpoint",)),
    )
    def invoke(self, call: Call, request: InvokeEndpoint) -> PredictionAnswer:
        """Ask an endpoint for predictions.

        The same as the addresses below `/endpoints/`, which are faster and speak the protocols
        of other tools.
        """
        with call.reading() as session:
            _existing(session, request.workspace, request.endpoint)
        live = self._runners.get(request.workspace, request.endpoint)
        if live is None:
            fault = self._runners.fault(request.workspace, request.endpoint)
            raise UnavailableError(fault or "no model is deployed at this endpoint")
        batch = batch_of_rows(live.schema, request.rows)
        self._runners.spend(live, call.principal.id, len(request.rows))
        prediction = answer(live, Question(call.principal.id, batch, len(request.rows)))
        labels, probabilities = live.harden(prediction)
        servable = live.servable
        if prediction.flagged:
            call.note(flagged=prediction.flagged)
        call.note(
            model=servable.model, version=servable.version, digest=servable.digest,
            deployment=live.deployment, rows=len(request.rows),
        )  # fmt: skip
        return PredictionAnswer(
            model=servable.model,
            version=servable.version,
            predictions=labels,
            probabilities=probabilities,
            classes=list(servable.classes),
        )

    @operation(
        "endpoint.delete",
        action="deleteEndpoint",
        resource=endpoint_entity,
        audit=AuditClass.ENTITY_MANAGEMENT,
        route=Route("DELETE", "/workspaces/{workspace}/endpoints/{endpoint}"),
        command=Command("endpoint delete", positional=("endpoint",), confirm="endpoint"),
    )
    def delete(self, call: Call, request: EndpointReference) -> Endpoint:
        """Delete an endpoint; the model versions stay."""
        with call.transaction() as session:
            row = _existing(session, request.workspace, request.endpoint)
            described = self._describe(row, _deployed(session, row))
            session.execute(
                delete(DeploymentRow).where(
                    DeploymentRow.workspace == request.workspace,
                    DeploymentRow.endpoint == request.endpoint,
                )
            )
            self._guards.drop(session, (request.workspace, request.endpoint))
            session.delete(row)
        self._runners.remove(request.workspace, request.endpoint)
        self._guards.forget((request.workspace, request.endpoint))
        return described.model_copy(update={"is_ready": False, "live": None, "guard": None})

    # ---- for the server ----

    def restore(self, database: Database) -> int:
        """Load what is deployed, at the start of a server; see `Loader.restore`."""
        return self._loader.restore(database)

    def refresh(self, session: Session, live: Live) -> None:
        """Bring the guard of what answers in step; see `EndpointGuards.refresh`."""
        self._guards.refresh(session, live)

    def load(self, database: Database, row: EndpointRow, deployed: DeploymentRow) -> bool:
        """Verify and load one deployment and let it answer; see `Loader.load`."""
        return self._loader.load(database, row, deployed)

    # ---- parts ----

    def _describe(self, row: EndpointRow, deployed: DeploymentRow | None) -> Endpoint:
        live = self._runners.get(row.workspace, row.name)
        return Endpoint(
            workspace=row.workspace,
            name=row.name,
            rows_per_minute=row.rows_per_minute,
            max_rows=row.max_rows,
            decimals=row.decimals,
            ranges={name: Range(low=low, high=high) for name, (low, high) in row.ranges.items()},
            live=None if deployed is None else _deployment(deployed),
            is_ready=live is not None and live.is_ready,
            fault=self._runners.fault(row.workspace, row.name),
            guard=None if live is None else self._guards.standing(live),
        )

    def _now(self) -> datetime:
        return datetime.fromtimestamp(self._clock(), UTC)


def batch_of_rows(schema: InputSchema, rows: Sequence[Sequence[Any]]) -> Batch:
    """Rows of values in the order of the features, checked.

    Raises: ValidationError, TooLargeError.
    """
    width = len(schema.features)
    schema.check_count(len(rows))
    if any(len(row) != width for row in rows):
        raise ValidationError(f"each row must have {width} values, one for each feature")
    if schema.is_matrix:
        if any(type(value) is str or value is None for row in rows for value in row):
            raise ValidationError("every value must be a number")
        try:
            table = np.array(rows, dtype=np.float64)
        except (OverflowError, TypeError, ValueError):
            raise ValidationError("every value must be a number") from None
        return schema.check_numbers(table)
    return schema.check_columns(list(zip(*rows, strict=True)))


def _existing(session: Session, workspace: str, endpoint: str) -> EndpointRow:
    row = session.get(EndpointRow, (workspace, endpoint))
    if row is None:
        raise NotFoundError(f"no endpoint `{endpoint}` in `{workspace}`")
    return row


def _deployed(session: Session, row: EndpointRow) -> DeploymentRow | None:
    return session.get(DeploymentRow, row.live) if row.live else None


def _deployment(row: DeploymentRow) -> Deployment:
    return Deployment(
        id=row.id,
        model=row.model,
        version=row.version,
        digest=row.digest,
        form="onnx" if row.form == "onnx" else "confined",
        features=row.features,
        classes=row.classes,
        deployed_by=row.deployed_by,
        deployed_at=row.deployed_at,
    )
