"""The gate in front of MLflow's server: who calls, whether the route is offered, which workspace.

What a caller may do is decided in the stores, on what MLflow has resolved. MLflow sees requests
without credentials, without cookies, and with a workspace header that the gate has written.

Every request takes from a bucket: the caller's where a credential tells who that is, else one of
the address, or of its /64 for IPv6. Every request of somebody known leaves a record, whatever
becomes of it.
"""

import time
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import NoReturn, TypeVar

import anyio.to_thread
from mlflow.exceptions import MlflowException
from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from strongroom.errors import (
    CallerError,
    NotFoundError,
    SignInError,
    StrongroomError,
    UndeclaredError,
    ValidationError,
)
from strongroom.faces.bodies import Incoming, declared_length, replayed
from strongroom.faces.credentials import (
    SAFE_METHODS,
    api_key,
    require_own_origin,
    session_secret,
)
from strongroom.faces.mlflow import answers, queries, requests
from strongroom.faces.mlflow.absent import ABSENT
from strongroom.faces.mlflow.caller import Caller, calling
from strongroom.faces.mlflow.guard import CALLS_PER_MINUTE
from strongroom.faces.mlflow.house import House
from strongroom.faces.mlflow.interface import Interface
from strongroom.faces.mlflow.mounting import Pieces
from strongroom.faces.mlflow.recording import OPERATION, Known
from strongroom.faces.mlflow.routes import (
    ABOUT_THE_CALLER,
    UI_PREFIX,
    Kind,
    Route,
    RouteTable,
    at_root,
)
from strongroom.faces.mlflow.transfer import Transfer
from strongroom.faces.mlflow.waiting import until_checked
from strongroom.gate.access.types import (
    ANONYMOUS,
    SERVER,
    Principal,
    PrincipalKind,
    workspace_entity,
)
from strongroom.gate.audit.types import AuditClass, Outcome
from strongroom.gate.limits import TokenBuckets, client_of
from strongroom.gate.operation import new_request_id

WORKSPACE_HEADER = "x-mlflow-workspace"
STRANGERS_PER_MINUTE = 20
"""Calls without a credential, from one client, that are recorded; more are only refused."""
LOOK_UP = "the page about MLflow in the documentation has what is offered"
VISITS_PER_MINUTE = 6_000
"""Of one client: what is the same for all, and recorded for none."""

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
        self._visits = TokenBuckets(time.monotonic)
        self._routes = RouteTable()
        self._interface = Interface()

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

        known: list[Known] = []
        try:
            await self._serve(request_id, known, scope, receive, sending)
        except (StrongroomError, MlflowException) as error:
            if began:
                # The length was promised: the broken connection tells that not all came.
                raise
            reading = scope["method"] in SAFE_METHODS
            shown = await _recorded(known, error)
            await answers.refusal(shown, reading=reading)(scope, receive, send)
        except Exception as error:
            if known and not began:
                await known[0].ended(Outcome.FAILED, f"internal: {type(error).__name__}")
            raise

    async def _serve(
        self, request_id: str, found_out: list[Known], scope: Scope, receive: Receive, send: Send
    ) -> None:
        """Answer; who asks is put into `found_out` as soon as it is known."""
        method, path = scope["method"], str(scope["path"])
        in_ui = path.startswith(f"{UI_PREFIX}/")
        inner_path = path.removeprefix(UI_PREFIX) if in_ui else path
        found = self._routes.find(method, inner_path) if in_ui or at_root(path) else None
        if path == UI_PREFIX or (found and found[0].kind is Kind.ASSET):
            self._count_visit(scope)
            if found is None:
                # Its pages name their things relative to the slash.
                await answers.to_page(f"{UI_PREFIX}/")(scope, receive, send)
            else:
                await self._interface.file(found[1]["path"], scope, receive, send)
            return
        headers = Headers(scope=scope)
        principal = await self._who(scope, headers, request_id)
        if principal is ANONYMOUS:
            if found and found[0].kind is Kind.PAGE:
                self._count_visit(scope)
                await answers.to_page(self._sign_in_path)(scope, receive, send)
                return
            await self._refuse_stranger(scope, request_id, SignInError("nobody is signed in"))
        known = Known(self._house.gate, principal, request_id)
        found_out.append(known)
        if session_secret(headers) and not api_key(headers) and method not in SAFE_METHODS:
            require_own_origin(scope["scheme"], headers)
        if found is None:
            what = self._routes.known_words(method, path)
            known.trail.recorded = True
            why = self._routes.why_refused(method, inner_path)
            try:
                await self._in_thread(
                    partial(self._house.gate.refuse_undeclared, principal, what, request_id)
                )
            except UndeclaredError:
                if not why:
                    raise
                raise UndeclaredError(
                    f"Strongroom does not offer this part of MLflow: {why}", next_step=LOOK_UP
                ) from None
        else:
            scope["state"]["operation"] = "mlflow"
            known.route(f"{found[0].method} {found[0].template}")
            person = Caller(principal, "", request_id, known.trail)
            await self._offer(found, inner_path, person, scope, receive, known.recording(send))

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
        if route.kind in ABOUT_THE_CALLER:
            await self._in_thread(partial(self._require_signed_in, route, person))
            if route.kind is Kind.PAGE:
                await self._interface.page()(scope, receive, send)
            elif route.kind is Kind.PERSON:
                await JSONResponse(_person(person))(scope, receive, send)
            elif route.kind is Kind.ABSENT:
                absent = ABSENT[f"{route.method} {route.template}"]
                await JSONResponse(absent)(scope, receive, send)
            else:
                with calling(person):
                    await self._pass(scope, path, "", receive, send)
            return
        workspace = await self._in_thread(partial(self._workspace, scope, person))
        caller = Caller(person.principal, workspace, person.request_id, person.trail)
        if route.kind is Kind.TRANSFER:
            # What is stored gets stricter headers than the user interface.
            send = answers.with_headers(plain, answers.STORED_HEADERS)
            await self._transfer.serve(caller, route.template, parts, scope, receive, send)
            return
        body = await self._body(route, scope, receive)
        if scope["method"] == "GET":
            await until_checked(
                path, scope["query_string"], workspace, self._house.checks.is_pending
            )
        with calling(caller):
            await self._pass(scope, path, workspace, replayed(body, receive), send, len(body))

    async def _body(self, route: Route, scope: Scope, receive: Receive) -> bytes:
        """The body to hand on.

        Raises: TooLargeError, TruncatedError, SlowError, ValidationError, UndeclaredError.
        """
        incoming = Incoming(
            receive, declared=declared_length(Headers(scope=scope)),
            limit=self._max_request_bytes, seconds=self._request_seconds,
        )  # fmt: skip
        body = await incoming.whole()
        if scope["method"] in SAFE_METHODS:
            return b""
        check = queries.checked if route.kind is Kind.GRAPHQL else requests.checked
        return await self._in_thread(partial(check, body))

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

    async def _who(self, scope: Scope, headers: Headers, request_id: str) -> Principal:
        """The principal; ANONYMOUS where no credential is presented.

        Raises: SignInError, RateLimitedError, CallerError. Recorded.
        """
        try:
            secret = api_key(headers) or session_secret(headers)
        except (SignInError, CallerError) as error:
            await self._refuse_stranger(scope, request_id, error)
        if not secret:
            return ANONYMOUS
        return await self._in_thread(partial(self._identify, secret, _address(scope)))

    def _count_visit(self, scope: Scope) -> None:
        """Raises: RateLimitedError."""
        self._visits.take(
            client_of(_address(scope)),
            per_second=VISITS_PER_MINUTE / 60, burst=VISITS_PER_MINUTE,
        )  # fmt: skip

    async def _refuse_stranger(
        self, scope: Scope, request_id: str, error: StrongroomError
    ) -> NoReturn:
        """Record that nobody was signed in.

        Raises: `error` always; RateLimitedError, unrecorded, where there were too many: a
            stranger must not be able to fill the log.
        """
        address = _address(scope)
        self._strangers.take(
            client_of(address),
            per_second=STRANGERS_PER_MINUTE / 60, burst=STRANGERS_PER_MINUTE,
        )  # fmt: skip

        def refuse() -> None:
            with self._house.gate.admit(
                Principal(PrincipalKind.ANONYMOUS, "", address=address), name=OPERATION,
                action="readExperiment", entity=workspace_entity("-"),
                audit=AuditClass.AUTHENTICATION, request_id=request_id,
            ):  # fmt: skip
                raise AssertionError("nobody is never admitted")

        with suppress(SignInError):
            await self._in_thread(refuse)
        raise error

    def _require_signed_in(self, route: Route, person: Caller) -> None:
        """Record that the caller asks about themselves: not all who present a credential may.

        Raises: RefusedError.
        """
        person.trail.recorded = True
        with self._house.gate.admit(
            person.principal, name=OPERATION, entity=SERVER, audit=AuditClass.API_ACTIVITY,
            action="listWorkspaces" if "workspaces" in route.template else "whoAmI",
            request_id=person.request_id, per_minute=CALLS_PER_MINUTE,
        ) as admission:  # fmt: skip
            admission.note(route=f"{route.method} {route.template}")

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
        person.trail.recorded = True
        with self._house.gate.admit(
            person.principal, name="mlflow.workspace", action="readExperiment",
            entity=workspace_entity(wanted[:63]), audit=AuditClass.API_ACTIVITY,
            request_id=person.request_id,
        ):  # fmt: skip
            raise NotFoundError("there is no such workspace, or you may not see it")

    @staticmethod
    async def _in_thread(work: Callable[[], Result]) -> Result:
        return await anyio.to_thread.run_sync(work)


def _address(scope: Scope) -> str:
    return str((scope.get("client") or ("",))[0])


async def _recorded(
    known: list[Known], error: StrongroomError | MlflowException
) -> StrongroomError | MlflowException:
    """The error to show, once it is recorded."""
    if not known:
        return error
    if isinstance(error, StrongroomError):
        return await known[0].refused(error)
    await known[0].ended(Outcome.FAILED, f"mlflow: {error.error_code}")
    return error


def _person(caller: Caller) -> dict[str, object]:
    """What MLflow's user interface asks about the person before it."""
    shown = {"id": caller.principal.id, "username": caller.display_name, "is_admin": False}
    return {"user": shown, "is_basic_auth": False}
