"""The gate in front of MLflow's server: who calls, whether the route is offered, which workspace.

What a caller may do is decided in the stores, on what MLflow has resolved. MLflow sees requests
without credentials, without cookies, and with a workspace header that the gate has written.
"""

import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TypeVar

import anyio.to_thread
import mlflow.server
from mlflow.exceptions import MlflowException
from starlette.datastructures import Headers
from starlette.responses import FileResponse, JSONResponse
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from strongroom.errors import NotFoundError, SignInError, StrongroomError, ValidationError
from strongroom.faces.credentials import (
    SAFE_METHODS,
    api_key,
    require_own_origin,
    session_secret,
)
from strongroom.faces.mlflow import answers, queries, requests
from strongroom.faces.mlflow.bodies import Incoming, replayed
from strongroom.faces.mlflow.caller import Caller, calling
from strongroom.faces.mlflow.house import House
from strongroom.faces.mlflow.mounting import Pieces
from strongroom.faces.mlflow.routes import UI_PREFIX, Kind, Route, RouteTable, at_root
from strongroom.faces.mlflow.transfer import Transfer
from strongroom.faces.mlflow.waiting import until_checked
from strongroom.gate.access.types import ANONYMOUS, Principal, PrincipalKind, workspace_entity
from strongroom.gate.audit.types import AuditClass
from strongroom.gate.limits import TokenBuckets
from strongroom.gate.operation import new_request_id

WORKSPACE_HEADER = "x-mlflow-workspace"
STRANGERS_PER_MINUTE = 20
"""Calls without a credential, from one address, that are recorded; more are only refused."""

Result = TypeVar("Result")

_HANDED_ON = frozenset({b"accept", b"accept-language", b"content-type", b"user-agent"})
"""Headers that MLflow gets from the caller. Everything else stays outside."""


class MlflowGate:
    """The ASGI application to serve; see `mount`."""

    def __init__(self, house: House, inner: ASGIApp, pieces: Pieces, transfer: Transfer) -> None:
        self._house = house
        self._inner = inner
        self._identify = pieces.identify
        self._transfer = transfer
        self._sign_in_path = pieces.sign_in_path
        self._max_request_bytes = pieces.max_request_bytes
        self._request_seconds = pieces.request_seconds
        self._strangers = TokenBuckets(time.monotonic)
        self._routes = RouteTable()
        interface = Path(mlflow.server.__file__).parent / mlflow.server.REL_STATIC_DIR
        self._index = interface / "index.html"
        # MLflow's own way to serve them leaves files open.
        self._assets = StaticFiles(directory=interface)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] != "http":
            if scope["type"] == "websocket":
                await send({"type": "websocket.close", "code": 1008})
            return
        state = scope.setdefault("state", {})
        request_id = state.setdefault("request_id", new_request_id())
        began = False

        async def sending(message: Message) -> None:
            nonlocal began
            began = True
            await send(message)

        try:
            await self._serve(request_id, scope, receive, sending)
        except (StrongroomError, MlflowException) as error:
            if began:
                # The length was promised: the broken connection tells that not all came.
                raise
            reading = scope["method"] in SAFE_METHODS
            await answers.refusal(error, reading=reading)(scope, receive, send)

    async def _serve(self, request_id: str, scope: Scope, receive: Receive, send: Send) -> None:
        method, path = scope["method"], str(scope["path"])
        if path == UI_PREFIX:
            # Its pages name their things relative to the slash.
            await answers.to_page(f"{UI_PREFIX}/")(scope, receive, send)
            return
        in_ui = path.startswith(f"{UI_PREFIX}/")
        inner_path = path.removeprefix(UI_PREFIX) if in_ui else path
        found = self._routes.find(method, inner_path) if in_ui or at_root(path) else None
        if found and found[0].kind is Kind.ASSET:
            inner = {**scope, "path": f"/{found[1]['path']}", "root_path": ""}
            await self._assets(inner, receive, answers.with_headers(send, answers.ASSET_HEADERS))
            return
        headers = Headers(scope=scope)
        principal = await self._who(scope, headers)
        if principal is ANONYMOUS:
            if found and found[0].kind is Kind.PAGE:
                await answers.to_page(self._sign_in_path)(scope, receive, send)
                return
            await self._in_thread(partial(self._refuse_stranger, scope, request_id))
        if found is None:
            what = self._routes.known_words(method, path)
            await self._in_thread(
                partial(self._house.gate.refuse_undeclared, principal, what, request_id)
            )
        else:
            scope["state"]["operation"] = "mlflow"
            await self._offer(
                found, inner_path, Caller(principal, "", request_id), scope, receive, send
            )

    async def _offer(
        self,
        found: tuple[Route, dict[str, str]],
        path: str,
        person: Caller,
        scope: Scope,
        receive: Receive,
        send: Send,
    ) -> None:
        """Serve a signed-in caller on a route that is offered."""
        route, parts = found
        plain, send = send, answers.with_headers(send, answers.ANSWER_HEADERS)
        if route.kind is Kind.PAGE:
            await FileResponse(self._index)(scope, receive, send)
            return
        if route.kind is Kind.PERSON:
            await JSONResponse(_person(person))(scope, receive, send)
            return
        if route.kind is Kind.SIGNED_IN:
            with calling(person):
                await self._pass(scope, path, "", receive, send)
            return
        workspace = await self._in_thread(partial(self._workspace, scope, person))
        caller = Caller(person.principal, workspace, person.request_id)
        if route.kind is Kind.TRANSFER:
            # What is stored gets stricter headers than the user interface.
            send = answers.with_headers(plain, answers.STORED_HEADERS)
            await self._transfer.serve(caller, route.template, parts, scope, receive, send)
            return
        incoming = Incoming(receive, limit=self._max_request_bytes, seconds=self._request_seconds)
        body = await incoming.whole()
        if scope["method"] in SAFE_METHODS:
            body = b""
        elif route.kind is Kind.GRAPHQL:
            body = await self._in_thread(partial(queries.checked, body))
        else:
            body = await self._in_thread(partial(requests.checked, body))
        if scope["method"] == "GET":
            await until_checked(
                path, scope["query_string"], workspace, self._house.checks.is_pending
            )
        with calling(caller):
            await self._pass(scope, path, workspace, replayed(body, receive), send, len(body))

    async def _pass(
        self,
        scope: Scope,
        path: str,
        workspace: str,
        receive: Receive,
        send: Send,
        length: int = 0,
    ) -> None:
        """Hand the request to MLflow, with nothing of the caller's but what it needs."""
        headers = [(name, value) for name, value in scope["headers"] if name in _HANDED_ON]
        headers += [(b"host", b"localhost"), (b"content-length", str(length).encode())]
        if workspace:
            headers.append((WORKSPACE_HEADER.encode(), workspace.encode()))
        inner = {
            "type": "http",
            "asgi": scope["asgi"],
            "http_version": scope["http_version"],
            "method": scope["method"],
            "scheme": scope["scheme"],
            "path": path,
            "raw_path": path.encode("utf-8"),
            "query_string": scope["query_string"],
            "root_path": "",
            "headers": headers,
            "client": None,
            "server": ("localhost", 0),
        }
        await self._inner(inner, receive, send)

    # ---- who and where ----

    async def _who(self, scope: Scope, headers: Headers) -> Principal:
        """The principal; ANONYMOUS where no credential is presented.

        Raises: SignInError, RateLimitedError (recorded by the sign-in); RefusedError.
        """
        address = str((scope.get("client") or ("",))[0])
        key = api_key(headers)
        if key:
            return await self._in_thread(partial(self._identify, key, address))
        secret = session_secret(headers)
        if not secret:
            return ANONYMOUS
        if scope["method"] not in SAFE_METHODS:
            require_own_origin(scope["scheme"], headers)
        return await self._in_thread(partial(self._identify, secret, address))

    def _refuse_stranger(self, scope: Scope, request_id: str) -> None:
        """Record that nobody was signed in.

        Raises: SignInError always; RateLimitedError, unrecorded, where there were too many: a
            stranger must not be able to fill the log.
        """
        address = str((scope.get("client") or ("",))[0])
        self._strangers.take(
            address, per_second=STRANGERS_PER_MINUTE / 60, burst=STRANGERS_PER_MINUTE
        )
        with self._house.gate.admit(
            Principal(PrincipalKind.ANONYMOUS, "", address=address), name="mlflow.request",
            action="readExperiment", entity=workspace_entity("-"),
            audit=AuditClass.AUTHENTICATION, request_id=request_id,
        ):  # fmt: skip
            raise SignInError("nobody is signed in")

    def _workspace(self, scope: Scope, person: Caller) -> str:
        """Name of the workspace that the request is about.

        Raises:
            ValidationError: it names none, and there is not just one that it could mean.
            NotFoundError: no such workspace, or none of the caller's. Recorded.
        """
        named = Headers(scope=scope).getlist(WORKSPACE_HEADER)
        if len(named) > 1:
            raise ValidationError("the request names two workspaces")
        principal = person.principal
        wanted = named[0].strip() if named else ""
        if not wanted and len(principal.workspaces) == 1:
            wanted = principal.workspaces[0]
        own = self._house.workspaces_of(principal)
        if not wanted:
            if len(own) == 1:
                return own[0]
            raise ValidationError(
                "the request names no workspace",
                next_step="call `mlflow.set_workspace`, or send the header X-MLFLOW-WORKSPACE",
            )
        if wanted not in own:
            self._refuse_workspace(person, wanted)
        return wanted

    def _refuse_workspace(self, person: Caller, wanted: str) -> None:
        # The policies have the last word, and the log gets to know; but a caller with a role
        # nowhere near it learns nothing, not even whether the workspace exists.
        with self._house.gate.admit(
            person.principal, name="mlflow.workspace", action="readExperiment",
            entity=workspace_entity(wanted[:63]), audit=AuditClass.API_ACTIVITY,
            request_id=person.request_id,
        ):  # fmt: skip
            raise NotFoundError("there is no such workspace, or you may not see it")

    @staticmethod
    async def _in_thread(work: Callable[[], Result]) -> Result:
        return await anyio.to_thread.run_sync(work)


def _person(caller: Caller) -> dict[str, object]:
    """What MLflow's user interface asks about the person before it."""
    shown = {"id": caller.principal.id, "username": caller.display_name, "is_admin": False}
    return {"user": shown, "is_basic_auth": False}
