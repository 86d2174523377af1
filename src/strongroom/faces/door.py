"""The door of the server: how many requests one client may make, before anything else is done.

It stands before every face, so that what needs no credential (pages, health, the public part of the
log) and what ends before anybody is known (a wrong key, no such route) is counted, too. Only memory
is touched: no thread, no database, no record, for a stranger must not be able to fill the disk.
Limits of callers who are known are the gate's.
"""

import time
from collections.abc import Callable

from starlette.types import ASGIApp, Receive, Scope, Send

from strongroom.errors import RateLimitedError
from strongroom.faces.api import problems
from strongroom.faces.api.callers import address_of
from strongroom.gate.limits import TokenBuckets, client_of
from strongroom.gate.operation import new_request_id


class Door:
    """An ASGI application before another one."""

    def __init__(
        self,
        app: ASGIApp,
        *,
        per_minute: int,
        refused: Callable[[], object] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Take what is behind the door.

        Args:
            app: is asked what is let in.
            per_minute: requests of one IPv4 address, or one IPv6 network of /64.
            refused: told of each request that is not let in.
            clock: seconds that never go back.
        """
        self._app = app
        self._per_minute = per_minute
        self._refused = refused
        self._buckets = TokenBuckets(clock)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or answer 429 and close the connection."""
        if scope["type"] == "http":
            try:
                self._buckets.take(
                    client_of(address_of(scope)),
                    per_second=self._per_minute / 60, burst=self._per_minute,
                )  # fmt: skip
            except RateLimitedError as error:
                self._refused()
                response = problems.response(error, new_request_id())
                # Whatever of the request is still to come is not read.
                response.headers["Connection"] = "close"
                await response(scope, receive, send)
                return
        await self._app(scope, receive, send)
