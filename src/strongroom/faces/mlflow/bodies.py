"""Bodies between the event loop and threads, with limits on size and time.

Only the time spent waiting for the other side counts, so a large upload may take long, and a
sender who dawdles may not: `seconds`, and one second more with each `SLOWEST_BYTES_PER_SECOND`.
"""

import time
from collections.abc import Awaitable, Callable, Iterator

import anyio
import anyio.from_thread
from starlette.types import Message, Receive, Send

from strongroom.errors import TooLargeError, TruncatedError

SLOWEST_BYTES_PER_SECOND = 256 * 1024
CHUNK_BYTES = 2**20


class Incoming:
    """The body of one request."""

    def __init__(self, receive: Receive, *, limit: int, seconds: float) -> None:
        """`limit` in bytes, of the whole body."""
        self._receive = receive
        self._limit = limit
        self._seconds = seconds
        self._waited = 0.0
        self._received = 0
        self._ended = False

    async def next(self) -> bytes:
        """About a MiB of it, less at the end, nothing after it.

        Raises:
            TooLargeError, TruncatedError: over the limit; broken off or too slow.
        """
        pieces: list[bytes] = []
        gathered = 0
        while not self._ended and gathered < CHUNK_BYTES:
            message = await self._message()
            if message["type"] != "http.request":
                raise TruncatedError("the connection ended before the body did")
            piece: bytes = message.get("body", b"")
            gathered += len(piece)
            self._received += len(piece)
            if self._received > self._limit:
                raise TooLargeError(f"the body has more than {self._limit} bytes")
            pieces.append(piece)
            self._ended = not message.get("more_body", False)
        return b"".join(pieces)

    async def whole(self) -> bytes:
        """All of it. Raises as `next`."""
        pieces = []
        while piece := await self.next():
            pieces.append(piece)
        return b"".join(pieces)

    def chunks(self) -> Iterator[bytes]:
        """All of it, for a thread that the event loop has started. Raises as `next`."""
        while piece := anyio.from_thread.run(self.next):
            yield piece

    async def _message(self) -> Message:
        allowed = self._seconds + self._received / SLOWEST_BYTES_PER_SECOND - self._waited
        began = time.monotonic()
        try:
            with anyio.fail_after(max(allowed, 0)):
                return await self._receive()
        except TimeoutError:
            raise TruncatedError("the body arrived too slowly") from None
        finally:
            self._waited += time.monotonic() - began


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
