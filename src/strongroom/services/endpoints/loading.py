"""Loading what is deployed: at the start, on another server's word, or a former version instead."""

import math

from sqlalchemy import select

from strongroom.errors import StrongroomError, TamperedError
from strongroom.services.endpoints.guards import EndpointGuards
from strongroom.services.endpoints.runners import Live, Runner, Runners
from strongroom.services.endpoints.schema import InputSchema
from strongroom.services.endpoints.tables import DeploymentRow, EndpointRow
from strongroom.services.endpoints.types import ServableModels
from strongroom.services.models.types import Servable
from strongroom.vault.database import Database

_MOST_FORMER = 10
"""Former deployments that are tried."""


class Loader:
    """Verifies and loads deployments."""

    def __init__(self, models: ServableModels, runners: Runners, guards: EndpointGuards) -> None:
        self._models = models
        self._runners = runners
        self._guards = guards

    def build(self, row: EndpointRow, deployed: DeploymentRow) -> Live:
        """A deployment, verified and loaded, that does not answer yet. Raises: StrongroomError."""
        servable = self._models.servable(row.workspace, deployed.model, deployed.version)
        runner = self._runners.load(servable)
        try:
            live = live_of(row, deployed.id, servable, runner, self._guards)
            self._guards.equip(live)
            return live
        except BaseException:
            runner.close()
            raise

    def restore(self, database: Database) -> int:
        """Load what is deployed, at the start of a server.

        A model that does not verify or load leaves its endpoint without an answer (503), with the
        reason in `fault`; the others are not touched by it. Where the rules of the workspace say
        so, the former version takes the place of one that was tampered with.

        Returns: how many endpoints answer.
        """
        with database.read() as session:
            rows = session.scalars(select(EndpointRow).where(EndpointRow.live != "")).all()
            pairs = [(row, session.get_one(DeploymentRow, row.live)) for row in rows]
        return sum(self.load(database, row, deployed) for row, deployed in pairs)

    def load(self, database: Database, row: EndpointRow, deployed: DeploymentRow) -> bool:
        """Verify and load one deployment and let it answer; whether any does, see `restore`."""
        error = self._runners.restore(
            row.workspace, row.name, deployed.digest, lambda: self.build(row, deployed)
        )
        if error is None:
            return True
        return isinstance(error, TamperedError) and self._stand_in(database, row, deployed)

    def _stand_in(self, database: Database, row: EndpointRow, deployed: DeploymentRow) -> bool:
        """Let the newest former version of the same model answer that is approved and whole."""
        if self._runners.get(row.workspace, row.name) is not None:
            return True  # what answers was verified when it was loaded, and goes on
        try:
            if not self._models.falls_back(row.workspace):
                return False
        except StrongroomError:
            return False
        for former in _former(database, deployed):
            try:
                live = self.build(row, former)
            except StrongroomError:
                continue  # retired, or changed as well
            if live.servable.digest == former.digest:
                self._runners.stand_in(live)
                return True
            live.runner.close()
        return False


def _former(database: Database, deployed: DeploymentRow) -> list[DeploymentRow]:
    """Deployments before this one, of the same model, the newest first."""
    found: list[DeploymentRow] = []
    with database.read() as session:
        before = session.get(DeploymentRow, deployed.previous)
        for _ in range(_MOST_FORMER):
            if before is None:
                break
            if before.model == deployed.model and before.endpoint == deployed.endpoint:
                found.append(before)
            before = session.get(DeploymentRow, before.previous)
    return found


def live_of(
    row: EndpointRow, deployment: str, servable: Servable, runner: Runner, guards: EndpointGuards
) -> Live:
    """What would answer at an endpoint with a loaded model. Raises: ValidationError."""
    schema = InputSchema.build(
        servable.features,
        servable.feature_types,
        {
            name: (_bound(low, -math.inf), _bound(high, math.inf))
            for name, (low, high) in row.ranges.items()
        },
        # More rows than the bucket holds could never be admitted.
        min(row.max_rows, row.rows_per_minute),
        float_type=runner.float_type,
        is_matrix=runner.is_matrix,
    )
    return Live(
        row.workspace, row.name, deployment, servable, runner, schema, row.decimals,
        row.rows_per_minute, guards.guarding((row.workspace, row.name)),
    )  # fmt: skip


def _bound(value: float | None, otherwise: float) -> float:
    return otherwise if value is None else value
