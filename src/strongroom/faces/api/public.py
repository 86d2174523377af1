"""What answers without being an operation: health, metrics, and the log's public part."""

import time
from collections.abc import Callable, Mapping
from typing import Protocol

import anyio.to_thread
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from sqlalchemy import text
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route as HttpRoute

from strongroom.errors import StrongroomError, UnavailableError
from strongroom.faces.api.callers import Callers, address_of
from strongroom.faces.api.scraping import Scrapers
from strongroom.faces.api.shell import Counters
from strongroom.gate.access.types import SERVER
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.limits import TokenBuckets, client_of
from strongroom.gate.operation import Gate

METRICS_ACTION = "operate"
VISITS_PER_MINUTE = 1_200
"""Of one client, to what looks into the database for whoever asks: readiness and the log."""


class PublicLog(Protocol):
    """The part of the log that anyone may read: signed sizes and roots, and hashes (C2SP)."""

    def public_checkpoint(self) -> bytes:
        """The newest signed checkpoint, a C2SP signed note."""
        ...

    def public_tile(self, path: str) -> bytes:
        """The tile at `path`, e.g. `tile/0/x001/234` (C2SP tlog-tiles).

        Raises:
            NotFoundError: no such tile.
        """
        ...


Ready = Mapping[str, Callable[[], object]]
"""Name of a part and a call that raises while that part cannot serve.

A number that it gives counts what somebody should look at, shown to whoever may read the metrics.
"""


class Public:
    """The routes of this module."""

    def __init__(
        self,
        gate: Gate,
        callers: Callers,
        counters: Counters,
        log: PublicLog | None,
        ready: Ready,
        scrapers: Scrapers,
    ) -> None:
        self._gate = gate
        self._callers = callers
        self._counters = counters
        self._log = log
        self._scrapers = scrapers
        self._visits = TokenBuckets(time.monotonic)
        self._ready = {"database": self._database, **ready}

    def routes(self) -> list[HttpRoute]:
        """Health, readiness and metrics, and the log where there is one."""
        found = [
            only_get("/healthz", self.health),
            only_get("/readyz", self.readiness),
            only_get("/metrics", self.metrics),
        ]
        if self._log is not None:
            found += [
                only_get("/log/checkpoint", self.checkpoint),
                only_get("/log/tile/{path:path}", self.tile),
            ]
        return found

    def _database(self) -> None:
        with self._gate.database.read() as session:
            session.execute(text("SELECT 1"))

    def _count(self, request: Request) -> None:
        """Raises: RateLimitedError."""
        self._visits.take(
            client_of(address_of(request.scope)),
            per_second=VISITS_PER_MINUTE / 60, burst=VISITS_PER_MINUTE,
        )  # fmt: skip

    async def health(self, request: Request) -> Response:
        """The process answers."""
        request.state.operation = "healthz"
        return JSONResponse({"status": "ok"})

    async def readiness(self, request: Request) -> Response:
        """Each part can serve. Names only: the reasons are for the server's own log."""
        request.state.operation = "readyz"
        self._count(request)

        noted: dict[str, int] = {}

        def check() -> dict[str, str]:
            found = {}
            for name, part in self._ready.items():
                try:
                    told = part()
                    if type(told) is int and told:
                        noted[name] = told
                except StrongroomError as error:
                    found[name] = error.code
                else:
                    found[name] = "ok"
            return found

        parts = await anyio.to_thread.run_sync(check)
        ready = set(parts.values()) == {"ok"}
        answer: dict[str, object] = {"status": "ok" if ready else "unavailable", "parts": parts}
        if noted and self._scrapers.admit(request):
            answer["findings"] = noted
        return JSONResponse(answer, 200 if ready else 503)

    async def metrics(self, request: Request) -> Response:
        """Prometheus metrics, for who may read them."""
        request.state.operation = "metrics"
        if not self._scrapers.admit(request):
            await anyio.to_thread.run_sync(self._admit_metrics, request)
        return Response(generate_latest(self._counters.registry), 200, None, CONTENT_TYPE_LATEST)

    def _admit_metrics(self, request: Request) -> None:
        principal = self._callers.identify(request.scope)
        with self._gate.admit(
            principal, name="server.metrics", action=METRICS_ACTION, entity=SERVER,
            audit=AuditClass.API_ACTIVITY, request_id=request.state.request_id,
        ):  # fmt: skip
            pass

    async def checkpoint(self, request: Request) -> Response:
        """The newest checkpoint."""
        request.state.operation = "log.checkpoint"
        self._count(request)
        log = self._log
        if log is None:
            raise UnavailableError("the log is not open")
        note = await anyio.to_thread.run_sync(log.public_checkpoint)
        return Response(note, 200, {"Cache-Control": "no-cache"}, "text/plain; charset=utf-8")

    async def tile(self, request: Request) -> Response:
        """One tile; a tile never changes, so it may be kept for ever."""
        request.state.operation = "log.tile"
        self._count(request)
        log = self._log
        if log is None:
            raise UnavailableError("the log is not open")
        tile = await anyio.to_thread.run_sync(
            log.public_tile, "tile/" + request.path_params["path"]
        )
        kept = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(tile, 200, kept, "application/octet-stream")


def only_get(path: str, endpoint: Callable[..., object]) -> HttpRoute:
    """A route for GET alone: HEAD is not declared, so it is refused like the rest."""
    route = HttpRoute(path, endpoint, methods=["GET"])
    route.methods = {"GET"}
    return route
