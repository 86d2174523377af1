"""The door of the server: how many requests one client may make, before anything else is done.

It stands before every face, so that what needs no credential (pages, health, the public part of the
log) and what ends before anybody is known (a wrong key, no such route) is counted, too. Only memory
is touched: no thread, no database, no record, for a stranger must not be able to fill the disk.
Limits of callers who are known are the gate's.

Whoever goes on asking too much, whichever limit says so, hears it a moment later: they are to wait
in any case, and a client that asks again at once would take from the others what answering takes.
So does whoever goes on asking what is no question, for that is answered before a limit is met.
It is the answer that waits, and not what comes next on the connection: behind a proxy that may be
somebody else's.
"""

import time
from asyncio import sleep
from collections.abc import Callable

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from strongroom.errors import RateLimitedError
from strongroom.faces.api import problems
from strongroom.faces.api.callers import address_of
from strongroom.gate.limits import TokenBuckets, client_of
from strongroom.gate.operation import new_request_id

HELD_SECONDS = 1.0
PROMPT_PER_MINUTE = {429: 30, 400: 600, 413: 600, 415: 600, 422: 600}
"""Answers of such a status that one client gets at once; the others are held. Who looks for the
right form of a request, or for wrong ones, asks less than ten a second for a minute."""


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
        self._prompt = {status: TokenBuckets(clock) for status in PROMPT_PER_MINUTE}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let one request in, or answer 429 and close the connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        client = client_of(address_of(scope))

        async def unhurried(message: Message) -> None:
            if self._goes_on(client, message.get("status", 0)):
                await sleep(HELD_SECONDS)
            await send(message)

        try:
            self._buckets.take(client, per_second=self._per_minute / 60, burst=self._per_minute)
        except RateLimitedError as error:
            self._refused()
            response = problems.response(error, new_request_id())
            # Whatever of the request is still to come is not read.
            response.headers["Connection"] = "close"
            await response(scope, receive, unhurried)
            return
        await self._app(scope, receive, unhurried)

    def _goes_on(self, client: str, status: int) -> bool:
        """Whether the client was answered so often enough just now."""
        if (prompt := self._prompt.get(status)) is None:
            return False
        burst = PROMPT_PER_MINUTE[status]
        try:
            prompt.take(client, per_second=burst / 60, burst=burst)
        except RateLimitedError:
            return True
        return False
