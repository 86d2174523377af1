"""Keeps what answers in step with what may answer, in every server, a few seconds behind."""

import threading

import structlog
from sqlalchemy import select

from strongroom.errors import StrongroomError
from strongroom.services.endpoints.operations import EndpointOperations
from strongroom.services.endpoints.runners import Runners
from strongroom.services.endpoints.tables import DeploymentRow, EndpointRow
from strongroom.services.endpoints.types import ServableModels
from strongroom.vault.database import Database

SECONDS = 5.0
"""Between two passes."""

Place = tuple[str, str]
"""Workspace and endpoint."""

_log = structlog.get_logger(__name__)


class Watch:
    """Stops what may no longer answer; loads what another server deployed, or what may again.

    So a disabled key, a retired version, a deleted endpoint and another server's deployment are
    felt everywhere.
    """

    def __init__(
        self,
        endpoints: EndpointOperations,
        models: ServableModels,
        runners: Runners,
        database: Database,
        *,
        seconds: float = SECONDS,
    ) -> None:
        """Nothing is watched before `start`; `seconds` lie between two passes."""
        self._endpoints = endpoints
        self._models = models
        self._runners = runners
        self._database = database
        self._seconds = seconds
        self._missing: dict[Place, str] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="endpoints", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def stop(self) -> None:
        """End, and wait for the pass that is running."""
        self._stopping.set()
        self._thread.join()

    def look(self) -> None:
        """One pass.

        A deployment that is not live is loaded when it was missing in the pass before as well:
        one of this server is in the database a moment before it is live. What was stopped here is
        loaded as soon as it may answer again. Guards and alarms follow what is in the database.
        """
        wanted, stopped = self._wanted()
        for place in self._runners.places() - wanted.keys() - stopped.keys():
            self._runners.remove(*place)
        for place, reason in stopped.items():
            self._runners.suspend(*place, reason)
        missing: dict[Place, str] = {}
        for place, (row, deployed) in wanted.items():
            live = self._runners.get(*place)
            if live is not None and live.deployment == deployed.id:
                continue
            may_again = self._runners.is_suspended(*place)
            if self._missing.get(place) != deployed.id and not may_again:
                missing[place] = deployed.id
            elif self._runners.may_load(*place):
                self._endpoints.load(self._database, row, deployed)
        self._missing = missing
        with self._database.read() as session:
            for place in wanted:
                if (live := self._runners.get(*place)) is not None:
                    self._endpoints.refresh(session, live)

    def _wanted(self) -> tuple[dict[Place, tuple[EndpointRow, DeploymentRow]], dict[Place, str]]:
        """What should be live, and why what is deployed besides may not."""
        wanted: dict[Place, tuple[EndpointRow, DeploymentRow]] = {}
        stopped: dict[Place, str] = {}
        with self._database.read() as session:
            for row in session.scalars(select(EndpointRow).where(EndpointRow.live != "")).all():
                deployed = session.get_one(DeploymentRow, row.live)
                place = (row.workspace, row.name)
                try:
                    live = self._runners.get(*place)
                    self._models.require_standing(
                        session, row.workspace, deployed.model, deployed.version
                    )
                    if live is not None and live.deployment != deployed.id:
                        # A former version that answers in its place.
                        of_now = live.servable
                        self._models.require_standing(
                            session, row.workspace, of_now.model, of_now.version
                        )
                except StrongroomError as error:
                    stopped[place] = f"{error.code}: {error.message}"
                else:
                    wanted[place] = (row, deployed)
        return wanted, stopped

    def _run(self) -> None:
        while not self._stopping.wait(self._seconds):
            try:
                self.look()
            except StrongroomError as error:
                # A database that is busy or away: what answers goes on, and the next pass looks.
                _log.error("endpoints_not_watched", code=error.code)
