"""The bridge between the event loop and a handler's thread: order, bounds, and every early end."""

import asyncio
import threading
import time
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message

from strongroom.errors import SlowError, TooLargeError, TruncatedError
from strongroom.faces.bodies import AHEAD_BYTES, CHUNK_BYTES, Bridge, Incoming


def sender(*messages: Message) -> Callable[[], Awaitable[Message]]:
    waiting = list(messages)

    async def receive() -> Message:
        if not waiting:
            await asyncio.sleep(60)
        return waiting.pop(0)

    return receive


def piece(body: bytes, *, more: bool = True) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


GONE: Message = {"type": "http.disconnect"}


def whole(*messages: Message, declared: int | None = None, limit: int = 100) -> bytes:
    async def read() -> bytes:
        incoming = Incoming(sender(*messages), declared=declared, limit=limit, seconds=0.2)
        return await incoming.whole()

    return asyncio.run(read())


def test_a_body_is_read_whole() -> None:
    assert whole(piece(b"ab"), piece(b""), piece(b"c", more=False), declared=3) == b"abc"


@pytest.mark.parametrize(
    ("messages", "declared", "error"),
    [
        ([piece(b"ab", more=False)], 3, TruncatedError),
        ([piece(b"abcd", more=False)], 3, TruncatedError),
        ([piece(b"ab"), GONE], None, TruncatedError),
        ([piece(b"x" * 101, more=False)], None, TooLargeError),
        ([piece(b"x" * 60), piece(b"x" * 60)], None, TooLargeError),
        ([], 101, TooLargeError),
        ([piece(b"ab")], None, SlowError),
        ([], None, SlowError),
    ],
)
def test_a_body_that_is_not_whole_or_not_in_bounds(
    messages: list[Message], declared: int | None, error: type[Exception]
) -> None:
    with pytest.raises(error):
        whole(*messages, declared=declared)


def test_time_is_earned_by_bytes() -> None:
    """A sender that delivers is not cut off, however long the whole takes."""

    async def receive() -> Message:
        await asyncio.sleep(0.03)
        return piece(b"x" * 2**20)

    async def read() -> int:
        incoming = Incoming(receive, declared=None, limit=2**30, seconds=0.1)
        for _ in range(10):
            await incoming.next()
        return 10

    assert asyncio.run(read()) == 10


def through(
    receive: Callable[[], Awaitable[Message]], handler: Callable[[Bridge], object]
) -> object:
    async def run() -> object:
        incoming = Incoming(receive, declared=None, limit=2**40, seconds=5)
        bridge = Bridge(incoming, asyncio.get_running_loop())
        pump = asyncio.create_task(bridge.pump())
        try:
            return await asyncio.to_thread(handler, bridge)
        finally:
            pump.cancel()
            await asyncio.gather(pump, return_exceptions=True)

    return asyncio.run(run())


def test_pieces_arrive_in_order_and_joined() -> None:
    count = 3000

    def receive_all() -> Callable[[], Awaitable[Message]]:
        numbers = iter(range(count))

        async def receive() -> Message:
            number = next(numbers)
            return piece(number.to_bytes(2, "big") * 512, more=number < count - 1)

        return receive

    def handler(bridge: Bridge) -> list[bytes]:
        return list(bridge.chunks())

    chunks = through(receive_all(), handler)
    assert isinstance(chunks, list)
    expected = b"".join(number.to_bytes(2, "big") * 512 for number in range(count))
    assert b"".join(chunks) == expected
    assert all(len(chunk) >= CHUNK_BYTES for chunk in chunks[:-1])


def test_a_slow_handler_holds_the_sender_back() -> None:
    sent = 0

    async def receive() -> Message:
        nonlocal sent
        sent += 2**20
        return piece(bytes(2**20))

    def handler(bridge: Bridge) -> int:
        next(iter(bridge.chunks()))
        time.sleep(0.2)
        return sent

    assert through(receive, handler) <= 2 * AHEAD_BYTES + 2**20  # type: ignore[operator] # an int


def test_an_error_is_raised_in_the_handler() -> None:
    def handler(bridge: Bridge) -> str:
        try:
            for _ in bridge.chunks():
                pass
        except TruncatedError:
            return threading.current_thread().name
        return ""

    name = through(sender(piece(b"ab"), GONE), handler)
    assert name
    assert name != threading.main_thread().name


def test_a_cancelled_pump_never_leaves_the_handler_waiting() -> None:
    async def run() -> type[Exception] | None:
        incoming = Incoming(sender(piece(b"ab")), declared=None, limit=100, seconds=60)
        bridge = Bridge(incoming, asyncio.get_running_loop())
        pump = asyncio.create_task(bridge.pump())

        def handler() -> type[Exception] | None:
            try:
                list(bridge.chunks())
            except TruncatedError as error:
                return type(error)
            return None

        running = asyncio.create_task(asyncio.to_thread(handler))
        await asyncio.sleep(0.05)
        pump.cancel()
        return await asyncio.wait_for(running, 5)

    assert asyncio.run(run()) is TruncatedError
