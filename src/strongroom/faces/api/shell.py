"""What every request passes first: an id, safe headers, a count, and no error that escapes."""

import time
from collections.abc import Callable

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from strongroom.errors import StrongroomError
from strongroom.faces.api import problems

SECURITY_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'; base-uri 'none'",
    "X-Frame-Options": "DENY",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
}
"""Sent with each answer unless the face that answers says something else."""


class Counters:
    """What /metrics shows. Labels hold operations and statuses, never people or workspaces.

    What guards counted is beside it, by endpoint: `guard_counters.py`.
    """

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self.requests = Counter(
            "strongroom_requests_total", "Requests answered.", ["operation", "status"],
            registry=self.registry,
        )  # fmt: skip
        self.seconds = Histogram(
            "strongroom_request_seconds", "Seconds until the answer was complete.", ["operation"],
            registry=self.registry,
            buckets=(0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300),
        )  # fmt: skip


class Shell:
    """The outermost ASGI application."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        counters: Counters,
        new_request_id: Callable[[], str],
        strict_transport: bool,
    ) -> None:
        """`strict_transport` sends HSTS; not on loopback, where it would bind other servers too."""
        self._app = app
        self._counters = counters
        self._new_request_id = new_request_id
        self._headers = dict(SECURITY_HEADERS)
        if strict_transport:
            self._headers["Strict-Transport-Security"] = "max-age=31536000"

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and see to it that it gets one answer."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] == "websocket":
            # No face speaks it; 1008: policy violation (RFC 6455, section 7.4.1).
            await send({"type": "websocket.close", "code": 1008})
            return
        state = scope.setdefault("state", {})
        state["request_id"] = request_id = self._new_request_id()
        state.setdefault("operation", "undeclared")
        status = 0
        started = time.monotonic()

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    headers.setdefault(name, value)
                headers["X-Request-Id"] = request_id
            await send(message)

        try:
            await self._app(scope, receive, send_with_headers)
        except Exception as error:
            shown = (
                error
                if isinstance(error, StrongroomError)
                else problems.concealed(error, request_id)
            )
            if status:
                # The answer has begun: only a broken connection tells the caller that it is
                # not whole.
                raise
            await problems.response(shown, request_id)(scope, receive, send_with_headers)
        finally:
            operation = state["operation"]
            self._counters.requests.labels(operation, str(status)).inc()
            self._counters.seconds.labels(operation).observe(time.monotonic() - started)
