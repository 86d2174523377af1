"""One declared operation as an ASGI application: translates, and decides nothing."""

import asyncio
import functools
import urllib.parse
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from typing import Any

import anyio
import anyio.to_thread
from pydantic import TypeAdapter
from starlette.datastructures import Headers
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from strongroom.errors import (
    CallerError,
    MediaTypeError,
    RateLimitedError,
    SignInError,
    StrongroomError,
)
from strongroom.faces.api import problems, requests
from strongroom.faces.api.callers import Callers
from strongroom.faces.bodies import Incoming, declared_length, streamed
from strongroom.gate.access.types import ANONYMOUS, Entity, Principal
from strongroom.gate.declaration import Body, BoundOperation, Stream
from strongroom.gate.operation import Answer, Gate
from strongroom.settings import Settings

RECEIPT_HEADER = "X-Strongroom-Receipt"
WORKSPACE_HEADER = "X-MLFLOW-WORKSPACE"
DEFAULT_WORKSPACE = "default"
LINGER_SECONDS = 1.0
LINGER_BYTES = 4 * 2**20


class Threads:
    """How many handlers run at once: short ones apart from uploads, which may take minutes.

    Downloads have threads of their own, for each piece anew; and one caller gets only some of
    those for uploads, so that a few slow ones do not keep out everybody else.
    """

    def __init__(
        self, short: int = 40, long: int = 16, of_one_caller: int = 4, may_wait: int = 60
    ) -> None:
        self.short = anyio.CapacityLimiter(short)
        self.uploads = anyio.CapacityLimiter(long)
        self.downloads = anyio.CapacityLimiter(long)
        self._of_one_caller = of_one_caller
        self._most = of_one_caller + may_wait
        self._places: dict[str, tuple[asyncio.Semaphore, int]] = {}

    @asynccontextmanager
    async def place(self, caller: str, seconds: float) -> AsyncIterator[None]:
        """A place for an upload of `caller`; waiting for one takes no thread.

        Raises: RateLimitedError: too many of theirs wait, or it took longer than `seconds`.
        """
        places, users = self._places.get(caller, (asyncio.Semaphore(self._of_one_caller), 0))
        refused = RateLimitedError("too many of your uploads are running", retry_after_seconds=5)
        if users >= self._most:
            raise refused
        self._places[caller] = (places, users + 1)
        try:
            try:
                await asyncio.wait_for(places.acquire(), seconds)
            except TimeoutError:
                raise refused from None
            try:
                yield
            finally:
                places.release()
        finally:
            users = self._places[caller][1] - 1
            if users:
                self._places[caller] = (places, users)
            else:
                del self._places[caller]


class Endpoint:
    """Answers the route of one operation."""

    def __init__(
        self,
        bound: BoundOperation,
        gate: Gate,
        callers: Callers,
        settings: Settings,
        threads: Threads,
    ) -> None:
        declared = bound.declared
        self.bound = bound
        self._gate = gate
        self._callers = callers
        self._settings = settings
        self._threads = threads
        self._streamed = declared.body is Body.STREAM
        self._limit = declared.limits.body_bytes or (
            settings.max_upload_bytes if self._streamed else settings.max_request_bytes
        )
        self._output: TypeAdapter[Any] | None = (
            None if declared.output in {Stream, type(None)} else TypeAdapter(declared.output)
        )

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        state = scope["state"]
        state["operation"] = self.bound.declared.name
        request_id: str = state["request_id"]
        headers = Headers(scope=scope)
        incoming: Incoming | None = None
        principal: Principal | None = None
        state["decided"] = False
        try:
            principal = await self._principal(scope, request_id)
            incoming = Incoming(
                receive, declared=declared_length(headers), limit=self._limit,
                seconds=self._settings.request_seconds,
            )  # fmt: skip
            if headers.get("content-encoding", "identity").lower() != "identity":
                raise MediaTypeError("a body with a content encoding is not taken")
            answer, body = await self._perform(scope, headers, incoming, principal, request_id)
        except StrongroomError as error:
            shown: StrongroomError = error
            if principal is not None and not state["decided"]:
                shown = await self._unread(principal, error, request_id)
            await _refuse(problems.response(shown, request_id), incoming, scope, receive, send)
            return
        except Exception as error:  # noqa: BLE001 # whatever it is, the caller gets a problem
            hidden = problems.concealed(error, request_id)
            await _refuse(problems.response(hidden, request_id), incoming, scope, receive, send)
            return
        receipt = {RECEIPT_HEADER: str(answer.entry.index)}
        if isinstance(answer.result, Stream):
            await self._send_stream(answer.result, receipt, send)
        else:
            status = 204 if body is None else 200
            await Response(body, status, receipt, "application/json" if body else None)(
                scope, receive, send
            )

    async def _principal(self, scope: Scope, request_id: str) -> Principal:
        """Who asks; a stranger's call is recorded as refused before anything is read."""

        def identify() -> Principal:
            principal = self._callers.identify(scope)
            if principal is ANONYMOUS:
                self._record_stranger(request_id)
                raise SignInError("the request has no API key")
            return principal

        return await anyio.to_thread.run_sync(identify, limiter=self._threads.short)

    def _record_stranger(self, request_id: str) -> None:
        declared = self.bound.declared
        route = declared.route
        what = f"{route.method} {route.path}" if route else declared.name
        try:
            with self._gate.admit(
                ANONYMOUS, name=declared.name, action=declared.action,
                entity=Entity("Route", what, None), audit=declared.audit, request_id=request_id,
            ):  # fmt: skip
                raise AssertionError("nobody is never admitted")
        except SignInError:
            pass  # recorded; the caller raises the more exact error

    async def _unread(
        self, principal: Principal, error: StrongroomError, request_id: str
    ) -> StrongroomError:
        """The error to show, once it is recorded that the request could not be read."""

        def record() -> StrongroomError:
            try:
                self._gate.refuse_unread(self.bound, principal, error, request_id)
            except StrongroomError as raised:
                return raised
            raise AssertionError("it always raises")

        return await anyio.to_thread.run_sync(record, limiter=self._threads.short)

    async def _perform(
        self,
        scope: Scope,
        headers: Headers,
        incoming: Incoming,
        principal: Principal,
        request_id: str,
    ) -> tuple[Answer, bytes | None]:
        """Read, build the request, do; all but the reading in a thread."""
        if self._streamed:
            async with self._threads.place(principal.id, self._settings.request_seconds):
                return await streamed(
                    incoming,
                    lambda body: self._do(scope, headers, b"", body, principal, request_id),
                    functools.partial(anyio.to_thread.run_sync, limiter=self._threads.uploads),
                )
        body = await incoming.whole()
        requests.require_json(headers.get("content-type", ""), body)
        run = functools.partial(self._do, scope, headers, body, None, principal, request_id)
        return await anyio.to_thread.run_sync(run, limiter=self._threads.short)

    def _do(
        self,
        scope: Scope,
        headers: Headers,
        content: bytes,
        body: Iterator[bytes] | None,
        principal: Principal,
        request_id: str,
    ) -> tuple[Answer, bytes | None]:
        """In a thread: the answer of the gate, and its JSON where it is not a stream."""
        # Here and not in the event loop: a large body takes its time to read.
        members = requests.read_json(content)
        model = self.bound.declared.input
        text: dict[str, str | list[str]] = dict(Request(scope).path_params)
        query = requests.query_fields(model, _query(scope))
        if self.bound.declared.body is Body.JSON and _method(scope) not in {"GET", "DELETE"}:
            for name in query:
                raise CallerError(f"`{name}` belongs into the JSON body")
        for name, value in query.items():
            if name in text:
                raise CallerError(f"`{name}` stands in the path already")
            text[name] = value
        if "workspace" in model.model_fields and "workspace" not in text | members:
            text["workspace"] = _workspace(headers, principal)
        request = requests.build(model, text, members)
        scope["state"]["decided"] = True  # from here on the gate records
        answer = self._gate.perform(
            self.bound, principal, request, body=body,
            content_type=headers.get("content-type", ""), request_id=request_id,
        )  # fmt: skip
        if self._output is None:
            return answer, None
        return answer, self._output.dump_json(answer.result)

    async def _send_stream(self, stream: Stream, receipt: dict[str, str], send: Send) -> None:
        """Send the pieces; a caller who takes none for `request_seconds` is cut off."""
        headers = {**stream.headers, **receipt, "Content-Type": stream.media_type}
        # Always an attachment: no stored content is ever shown by a browser on this origin.
        name = urllib.parse.quote((stream.filename or "download").rpartition("/")[2], safe="")
        headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{name}"
        raw = [
            (key.lower().encode("ascii"), value.encode("latin-1")) for key, value in headers.items()
        ]
        await send({"type": "http.response.start", "status": 200, "headers": raw})
        pieces = iter(stream.chunks)
        try:
            while True:
                piece = await anyio.to_thread.run_sync(
                    next, pieces, None, limiter=self._threads.downloads
                )
                if piece is None:
                    break
                with anyio.fail_after(self._settings.request_seconds):
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
        finally:
            # A generator holds files and sessions open until it is closed.
            if (close := getattr(pieces, "close", None)) is not None:
                with anyio.CancelScope(shield=True):
                    await anyio.to_thread.run_sync(close)
        await send({"type": "http.response.body", "body": b"", "more_body": False})


async def _refuse(
    response: Response, incoming: Incoming | None, scope: Scope, receive: Receive, send: Send
) -> None:
    """Send a problem. Where the body was not read to its end, close the connection after it.

    The caller may still be sending. Closing at once would reset the connection and could lose
    the answer on its way, so a little of what comes is thrown away first.
    """
    unread = (incoming is None or not incoming.ended) and _has_body(Headers(scope=scope))
    if not unread:
        await response(scope, receive, send)
        return
    response.headers["Connection"] = "close"
    await send({"type": "http.response.start", "status": response.status_code,
                "headers": response.raw_headers})  # fmt: skip
    await send({"type": "http.response.body", "body": response.body, "more_body": True})
    thrown = 0
    with anyio.move_on_after(LINGER_SECONDS):
        while thrown < LINGER_BYTES:
            message = await receive()
            thrown += len(message.get("body", b""))
            if message["type"] != "http.request" or not message.get("more_body", False):
                break
    await send({"type": "http.response.body", "body": b"", "more_body": False})


def _has_body(headers: Headers) -> bool:
    return headers.get("content-length", "0") != "0" or "transfer-encoding" in headers


def _query(scope: Scope) -> list[tuple[str, str]]:
    try:
        return urllib.parse.parse_qsl(
            scope["query_string"].decode("ascii"), keep_blank_values=True, errors="strict",
            max_num_fields=requests.MAX_QUERY_FIELDS,
        )  # fmt: skip
    except ValueError:
        raise CallerError("the query of the address cannot be read") from None


def _method(scope: Scope) -> str:
    return str(scope["method"])


def _workspace(headers: Headers, principal: Principal) -> str:
    """The workspace where the request names none (DESIGN.md, section 5)."""
    named = headers.getlist(WORKSPACE_HEADER)
    if len(named) > 1:
        raise CallerError(f"the request has two {WORKSPACE_HEADER} headers")
    if named:
        return named[0]
    return principal.workspaces[0] if len(principal.workspaces) == 1 else DEFAULT_WORKSPACE
