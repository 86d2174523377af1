"""Bodies of requests and answers, between the event loop and handlers in threads.

Requests are read with limits on size and time.

A sender has `request_seconds`, and earns one more second with each `SLOWEST_BYTES_PER_SECOND`
that arrive. Only the time spent waiting for the sender counts, not the time we take.
"""

import asyncio
import threading
import time
from collections import deque
from collections.abc import Awaitable, Callable, Iterator
from typing import TypeVar

from starlette.datastructures import Headers
from starlette.types import Message, Receive, Send

from strongroom.errors import (
    CallerError,
    SlowError,
    StrongroomError,
    TooLargeError,
    TruncatedError,
)

Result = TypeVar("Result")

SLOWEST_BYTES_PER_SECOND = 256 * 1024
AHEAD_BYTES = 4 * 2**20
"""How much of a stream may wait in memory for its handler."""
CHUNK_BYTES = 2**20
"""Small pieces are joined up to about this size before they are handed on."""
MAX_LENGTH_DIGITS = 18


class Incoming:
    """The body of one request as it arrives, checked against its length, limit and time."""

    def __init__(
        self, receive: Receive, *, declared: int | None, limit: int, seconds: float
    ) -> None:
        """`declared` is the Content-Length, None where the body comes in chunks.

        Raises:
            TooLargeError: the declared length is over `limit`; nothing was read.
        """
        if declared is not None and declared > limit:
            raise TooLargeError(f"the body has {declared} bytes, at most {limit} are taken")
        self._receive = receive
        self._declared = declared
        self._limit = limit
        self._seconds = seconds
        self._waited = 0.0
        self._received = 0
        self.ended = False

    async def next(self) -> bytes:
        """The next piece; empty at the end.

        Raises:
            TruncatedError, TooLargeError, SlowError.
        """
        while not self.ended:
            allowed = self._seconds + self._received / SLOWEST_BYTES_PER_SECOND
            before = time.monotonic()
            try:
                # Not `wait_for`: before Python 3.12 it loses a cancellation that comes together
                # with a message, and whoever gave up reading would wait for ever.
                async with asyncio.timeout(max(allowed - self._waited, 0)):
                    message = await self._receive()
            except TimeoutError:
                raise SlowError("the body arrived too slowly") from None
            self._waited += time.monotonic() - before
            if message["type"] != "http.request":
                raise TruncatedError("the connection ended before the body did")
            piece: bytes = message.get("body", b"")
            self._received += len(piece)
            if self._received > self._limit:
                raise TooLargeError(f"the body has more than {self._limit} bytes")
            if not message.get("more_body", False):
                self.ended = True
                if self._declared is not None and self._received != self._declared:
                    raise TruncatedError("the body is not as long as its Content-Length says")
            if piece:
                return piece
        return b""

    async def whole(self) -> bytes:
        """All of the body.

        Raises:
            TruncatedError, TooLargeError, SlowError.
        """
        pieces = []
        while piece := await self.next():
            pieces.append(piece)
        return b"".join(pieces)


class Bridge:
    """Carries a body from the event loop to a handler in a thread, at most 4 MiB ahead of it.

    `pump` runs in the loop, `chunks` is iterated in the thread; each waits for the other.
    """

    def __init__(self, incoming: Incoming, loop: asyncio.AbstractEventLoop) -> None:
        self._incoming = incoming
        self._loop = loop
        self._room = asyncio.Event()
        self._changed = threading.Condition()
        self._waiting: deque[bytes] = deque()
        self._waiting_bytes = 0
        self._done = False
        self._error: StrongroomError | None = None

    async def pump(self) -> None:
        """Read until the body ends or fails; a failure is raised in the handler's thread."""
        error: StrongroomError | None = TruncatedError("the server stopped reading the body")
        try:
            while piece := await self._incoming.next():
                with self._changed:
                    self._waiting.append(piece)
                    self._waiting_bytes += len(piece)
                    full = self._waiting_bytes >= AHEAD_BYTES
                    if full:
                        self._room.clear()
                    self._changed.notify()
                if full:
                    await self._room.wait()
            error = None
        except StrongroomError as met:
            error = met
        finally:
            # Also when this task is cancelled: the thread must never wait for ever, nor take
            # a part for the whole.
            with self._changed:
                self._done, self._error = True, error
                self._changed.notify()

    def chunks(self) -> Iterator[bytes]:
        """The body in pieces of about 1 MiB.

        Raises:
            TruncatedError, TooLargeError, SlowError.
        """
        while True:
            with self._changed:
                while not self._done and self._waiting_bytes < CHUNK_BYTES:
                    self._changed.wait()
                if self._error is not None:
                    raise self._error
                if not self._waiting:
                    return
                chunk = b"".join(self._waiting)
                self._waiting.clear()
                self._waiting_bytes = 0
            self._loop.call_soon_threadsafe(self._room.set)
            yield chunk


async def streamed(
    incoming: Incoming,
    handler: Callable[[Iterator[bytes]], Result],
    in_thread: Callable[[Callable[[], Result]], Awaitable[Result]],
) -> Result:
    """What `handler` makes of the body, which it reads in a thread as it arrives.

    Raises: what the handler raises.
    """
    bridge = Bridge(incoming, asyncio.get_running_loop())
    pump = asyncio.create_task(bridge.pump())
    try:
        return await in_thread(lambda: handler(bridge.chunks()))
    finally:
        pump.cancel()
        await asyncio.gather(pump, return_exceptions=True)


def declared_length(headers: Headers) -> int | None:
    """The Content-Length in bytes, None where there is none.

    Raises: CallerError where it is not a number.
    """
    text = headers.get("content-length")
    if text is None:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > MAX_LENGTH_DIGITS:
        raise CallerError("the Content-Length is not a number")
    return int(text)


def replayed(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives `body` as the request's, then what the connection gives."""
    sent = False

    async def give() -> Message:
        nonlocal sent
        if sent:
            return await receive()
        sent = True
        return {"type": "http.request", "body": body, "more_body": False}

    return give


async def send_chunks(
    send: Send,
    chunk: bytes,
    others: Iterator[bytes],
    in_thread: Callable[[Callable[[], bytes]], Awaitable[bytes]],
) -> None:
    """Send a body whose first piece is there, and whose others are made in a thread."""
    while chunk:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
        chunk = await in_thread(lambda: next(others, b""))
    await send({"type": "http.response.body", "body": b"", "more_body": False})
