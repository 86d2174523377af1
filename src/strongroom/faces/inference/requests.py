"""What arrives: the few headers that matter, and the body within limits of size and time."""

import asyncio
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any

from strongroom.errors import (
    CallerError,
    MediaTypeError,
    SignInError,
    SlowError,
    TooLargeError,
    TruncatedError,
)

_TICK_SECONDS = 1.0
_HEADERS = frozenset({
    b"authorization", b"x-api-key", b"content-length", b"content-type", b"content-encoding",
    b"inference-header-content-length",
})  # fmt: skip  # names only

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]


@dataclass(slots=True)
class Headers:
    """The few headers that matter here."""

    credential: str | None
    length: int | None


class Bodies:
    """Reads bodies, each within a limit of size and of time. Belongs to one event loop.

    One timer looks after all that wait, once a second: a timer for each would cost the ordinary
    request, whose body is there already, more than reading it.
    """

    def __init__(self, *, limit: int, seconds: float) -> None:
        """`limit` in bytes; a body may be up to a second later than `seconds`."""
        self._limit = limit
        self._seconds = seconds
        self._deadlines: dict[asyncio.Task[Any], float] = {}
        self._late: set[asyncio.Task[Any]] = set()
        self._is_ticking = False

    async def read(self, headers: Headers, receive: Receive, most: int) -> bytes:
        """The whole body, `most` bytes. Raises: TooLargeError, TruncatedError, SlowError."""
        limit = min(self._limit, most)
        if headers.length is not None and headers.length > limit:
            raise TooLargeError(f"the body is over the limit of {limit} bytes")
        task = asyncio.current_task()
        assert task is not None  # noqa: S101 # an ASGI server runs each request in a task
        loop = task.get_loop()
        self._deadlines[task] = loop.time() + self._seconds
        if not self._is_ticking:
            self._is_ticking = True
            loop.call_later(_TICK_SECONDS, self._tick, loop)
        try:
            message = await receive()
            if message["type"] != "http.request" or message.get("more_body", False):
                return await _rest_of(message, receive, limit)
        except asyncio.CancelledError:
            if task not in self._late:
                raise  # the server stops
            task.uncancel()
            raise SlowError("the request took too long to arrive") from None
        finally:
            del self._deadlines[task]
            self._late.discard(task)
        body: bytes = message.get("body", b"")
        if len(body) > limit:
            raise TooLargeError(f"the body is over the limit of {limit} bytes")
        return body

    def _tick(self, loop: asyncio.AbstractEventLoop) -> None:
        now = loop.time()
        for task, deadline in self._deadlines.items():
            if now >= deadline and task not in self._late:
                self._late.add(task)
                task.cancel()
        self._is_ticking = bool(self._deadlines)
        if self._is_ticking:
            loop.call_later(_TICK_SECONDS, self._tick, loop)


async def _rest_of(message: Message, receive: Receive, limit: int) -> bytes:
    blocks = bytearray()
    while True:
        if message["type"] == "http.disconnect":
            raise TruncatedError("the request ended before it was whole")
        blocks += message.get("body", b"")
        if len(blocks) > limit:
            raise TooLargeError(f"the body is over the limit of {limit} bytes")
        if not message.get("more_body", False):
            return bytes(blocks)
        message = await receive()


def read_headers(raw: list[tuple[bytes, bytes]]) -> Headers:
    """Raises: CallerError for what is ambiguous, MediaTypeError for what is not JSON."""
    credential: str | None = None
    length: int | None = None
    for name, value in raw:
        if name not in _HEADERS:
            continue
        if name == b"authorization" or name == b"x-api-key":
            if credential is not None:
                raise CallerError("send one credential, in one header")
            text = value.decode("latin-1").strip()
            if name == b"authorization":
                scheme, _, text = text.partition(" ")
                if scheme.lower() != "bearer":
                    raise SignInError("send the API key as `Authorization: Bearer …`")
            credential = text.strip()
        elif name == b"content-length":
            length = int(value) if value.isdigit() and len(value) < 20 else None
        elif name == b"content-type":
            if b"json" not in value.lower():
                raise MediaTypeError("only JSON is taken here: `Content-Type: application/json`")
        elif name == b"content-encoding":
            if value.lower() != b"identity":
                raise MediaTypeError("a compressed body is not taken here")
        elif name == b"inference-header-content-length":
            raise CallerError("binary tensors are not offered: send and expect JSON")
    return Headers(credential, length)
