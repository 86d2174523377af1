"""The HTTP interface: one route for each declared operation, and a recorded no to all else."""

import ipaddress
import re
from collections.abc import Sequence

import anyio.to_thread
from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute
from starlette.routing import Route as HttpRoute

from strongroom.errors import SignInError, StrongroomError
from strongroom.faces.api import openapi, problems
from strongroom.faces.api.callers import Callers, Identify
from strongroom.faces.api.endpoint import Endpoint, Threads
from strongroom.faces.api.public import Public, PublicLog, Ready, only_get
from strongroom.faces.api.scraping import Scrapers
from strongroom.faces.api.shell import Counters, Shell
from strongroom.gate.access.types import ANONYMOUS
from strongroom.gate.declaration import BoundOperation
from strongroom.gate.operation import Gate, new_request_id
from strongroom.settings import Settings

STRANGERS_PER_MINUTE = 120
"""Calls without a credential that one address may make in a minute."""


def build(
    operations: list[BoundOperation],
    gate: Gate,
    identify: Identify,
    settings: Settings,
    *,
    log: PublicLog | None = None,
    ready: Ready | None = None,
    faces: Sequence[BaseRoute] = (),
    counters: Counters | None = None,
) -> FastAPI:
    """The application.

    Args:
        operations: all that is offered; those without a route are left out.
        gate: decides on and records each call.
        identify: turns a secret and an address into a principal.
        settings: of the server.
        log: what `/log/…` shows; without it there is no such route.
        ready: what `/readyz` asks beside the database.
        faces: routes of the other faces (console, MLflow, inference), tried after these.
        counters: where requests are counted, new ones by default.
    """
    callers = Callers(identify, strangers_per_minute=STRANGERS_PER_MINUTE)
    counters = counters or Counters()
    app = FastAPI(
        title="Strongroom", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False,
        middleware=[
            Middleware(
                Shell, counters=counters, new_request_id=new_request_id,
                strict_transport=not _loopback(settings.host),
            )
        ],
    )  # fmt: skip
    described = openapi.document(operations)
    app.openapi = lambda: described  # type: ignore[method-assign] # FastAPI's documented way

    async def show_openapi(request: Request) -> Response:
        request.state.operation = "openapi"
        return JSONResponse(described, headers={"Cache-Control": "no-cache"})

    threads = Threads()
    routes: list[BaseRoute] = [only_get(f"{openapi.PREFIX}/openapi.json", show_openapi)]
    # Fixed words before `{field}`, so that `/datasets/search` is not taken for a name.
    routed = [bound for bound in operations if bound.declared.route is not None]
    operating = [
        _route(bound, Endpoint(bound, gate, callers, settings, threads)) for bound in routed
    ]
    operating.sort(key=_fixed_first)
    routes += operating
    routes += Public(gate, callers, counters, log, ready or {}, Scrapers.of(settings)).routes()
    routes += faces
    app.router.routes.extend(routes)
    refuse = _Undeclared(gate, callers, routes)
    app.add_exception_handler(HTTPException, refuse)
    app.add_exception_handler(StrongroomError, _show)
    return app


def _route(bound: BoundOperation, endpoint: Endpoint) -> HttpRoute:
    declared = bound.declared
    assert declared.route is not None  # noqa: S101 # for mypy: the caller filters
    route = HttpRoute(
        openapi.PREFIX + declared.route.path, endpoint, methods=[declared.route.method],
        name=declared.name,
    )  # fmt: skip
    route.methods = {declared.route.method}
    return route


def _fixed_first(route: HttpRoute) -> list[bool]:
    return [part.startswith("{") for part in route.path.split("/")]


async def _show(request: Request, error: Exception) -> Response:
    assert isinstance(error, StrongroomError)  # noqa: S101 # registered for these alone
    return problems.response(error, request.state.request_id)


class _Undeclared:
    """Answers whatever no route declares: recorded, and 404 in every case.

    An unknown method answers as an unknown path does, so that a stranger learns of no route.
    """

    def __init__(self, gate: Gate, callers: Callers, routes: Sequence[BaseRoute]) -> None:
        self._gate = gate
        self._callers = callers
        paths = [getattr(route, "path", "") for route in routes]
        self._words = {
            part for path in paths for part in path.split("/") if re.fullmatch(r"[a-z0-9.-]+", part)
        }

    async def __call__(self, request: Request, error: Exception) -> Response:
        """Refuse, and say so to the log."""

        def refuse() -> None:
            try:
                principal = self._callers.identify(request.scope)
            except SignInError:
                principal = ANONYMOUS
            self._gate.refuse_undeclared(principal, self._known(request), request.state.request_id)

        try:
            await anyio.to_thread.run_sync(refuse)
        except StrongroomError as refusal:
            return problems.response(refusal, request.state.request_id)
        raise AssertionError("a refusal always raises") from error

    def _known(self, request: Request) -> str:
        """Method and path; words that no route has become `…`: they may be names or secrets."""
        method = request.method if re.fullmatch(r"[A-Z]{1,16}", request.method) else "…"
        parts = request.scope["path"].split("/")[:12]
        return f"{method} " + "/".join(
            part if part in self._words or not part else "…" for part in parts
        )


def _loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
