"""Connections: how much of a request's head is taken, how long one may take over it, how many.

Uvicorn itself sets no bounds here: a stranger could fill the memory with headers, or all file
descriptors with connections that send nothing. Bodies have limits of their own where they are
read (`faces/bodies.py`).
"""

import asyncio
import logging
import resource
from collections import Counter
from typing import Any, cast
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle
from uvicorn.protocols.utils import get_remote_addr
from uvicorn.server import ServerState

from strongroom.faces.parting import Channel
from strongroom.gate.limits import client_of

MAX_HEAD_BYTES = 64 * 1024
"""Of request line and headers together; the longest honest ones have a few KiB."""
MAX_HEADERS = 100
HEAD_SECONDS = 20.0
"""From the first byte, or from the start of the connection, to the end of the head."""
MAX_CONNECTIONS = 4_096
SHARE_OF_ONE = 4
"""One client, an IPv4 address or an IPv6 /64, has a quarter of them, or what is least of one."""
LEAST_OF_ONE = 16
STUCK_SECONDS = 60.0
STUCK_BYTES = 32 * 1024
"""A caller who takes less of the answer in that time is cut off."""
MAX_PIPELINED = 64
"""Requests that came before the one ahead of them was answered; honest clients send none."""
UNWANTED_BYTES = 256 * 1024
"""Of a body that come after the answer, and are read past; with more the connection ends."""

# Uvicorn warns of each request that is not HTTP: a stranger could fill the disk with warnings.
_log = logging.getLogger(__name__)
_log.setLevel(logging.ERROR)


def connection_limit() -> int:
    """How many connections are held at once: at most half of the file descriptors."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return MAX_CONNECTIONS if soft < 0 else max(min(MAX_CONNECTIONS, soft // 2), 16)


_of_each: WeakKeyDictionary[ServerState, Counter[str]] = WeakKeyDictionary()
"""How many connections each client has."""


class BoundedConnection(HttpToolsProtocol):
    """One connection. In its head until the headers are complete, then in its body."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401 # uvicorn's own
        super().__init__(*args, **kwargs)
        self.logger = _log
        self._limit = connection_limit()
        self.sender = ""  # as limits know it
        self._in_head = True
        self._received = 0
        self._counted = 0
        self._waits_since = 0.0
        self._unwanted = 0
        self._is_broken = False
        self._deadline: asyncio.TimerHandle | None = None
        self._stuck: asyncio.TimerHandle | None = None

    @property
    def waits_since(self) -> float | None:
        """Since when we wait for a request, in the loop's seconds; None while one is served."""
        return None if self._is_serving else self._waits_since

    @property
    def _is_serving(self) -> bool:
        cycle: RequestResponseCycle | None = self.cycle  # None before the first request
        return cycle is not None and not cycle.response_complete

    def connection_made(self, transport: Any) -> None:  # noqa: ANN401 # a transport, as uvicorn has it
        """Take the connection, in place of the one that has waited longest if there are too many.

        Too many of one client make place among themselves. Where all are being served, the new one
        is closed.
        """
        peer = get_remote_addr(transport)
        self.sender = client_of(peer[0]) if peer else ""
        of_each = _of_each.setdefault(self.server_state, Counter())
        if of_each[self.sender] >= max(self._limit // SHARE_OF_ONE, LEAST_OF_ONE):
            _make_room(transport, [one for one in self._others() if one.sender == self.sender])
        elif len(self.connections) >= self._limit:
            _make_room(transport, self._others())
        of_each[self.sender] += 1
        self._channel = Channel(transport, self.loop, self._expects_more)
        super().connection_made(cast("asyncio.Transport", self._channel))
        self._wait()

    def _others(self) -> "list[BoundedConnection]":
        return [
            one
            for one in self.connections
            if isinstance(one, BoundedConnection) and not one.transport.is_closing()
        ]

    def _expects_more(self) -> bool:
        return self._is_broken or not self._in_head

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing more is waited for."""
        self._stop_waiting()
        self._go_on()
        self._channel.lost()
        of_each = _of_each[self.server_state]
        of_each[self.sender] -= 1
        if not of_each[self.sender]:
            del of_each[self.sender]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Take a piece; too long a head ends the connection."""
        if self.transport.is_closing():
            return
        if self._in_head:
            self._received += len(data)
            if self._deadline is None:
                self._wait()
        super().data_received(data)
        # A name or value that does not end is held by the parser, and counted here alone.
        if self._in_head and self._received > MAX_HEAD_BYTES and not self.transport.is_closing():
            self.send_400_response("the head of the request is too long")

    def send_400_response(self, msg: str) -> None:
        """Say that this is no request, and end the connection."""
        if self._is_serving:
            # It would be read as the answer to the request before.
            self.transport.abort()
            return
        self._is_broken = True
        super().send_400_response(msg)

    def pause_writing(self) -> None:
        """More of the answer is there than the caller takes."""
        super().pause_writing()
        if self._stuck is None:
            self._watch(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """The caller has taken most of it."""
        self._go_on()
        super().resume_writing()

    def _watch(self, left: int) -> None:
        self._stuck = self.loop.call_later(STUCK_SECONDS, self._look, left)

    def _look(self, before: int) -> None:
        left = self.transport.get_write_buffer_size()
        if before - left < STUCK_BYTES:
            self.transport.abort()
        else:
            self._watch(left)

    def _go_on(self) -> None:
        if self._stuck is not None:
            self._stuck.cancel()
            self._stuck = None

    def on_message_begin(self) -> None:
        """Count anew."""
        self._received = self._counted = self._unwanted = 0
        super().on_message_begin()

    def on_url(self, url: bytes) -> None:
        """A part of the address."""
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        """A header; one that comes after the body is none, whatever it claims."""
        self._count(len(name) + len(value))
        if not self._in_head:
            return
        if len(self.headers) >= MAX_HEADERS:
            raise ValueError("too many headers")
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """The head is whole. One that says two things of the body's end is refused.

        Another server before this one might part the requests elsewhere (RFC 9112, section 6.3).
        """
        encodings = [value for name, value in self.headers if name == b"transfer-encoding"]
        has_length = any(name == b"content-length" for name, _ in self.headers)
        if encodings and (encodings != [b"chunked"] or has_length):
            raise ValueError("the request does not say plainly where its body ends")
        if len(self.pipeline) >= MAX_PIPELINED:
            raise ValueError("too many requests at once on one connection")
        self._in_head = False
        self._stop_waiting()
        super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A piece of the body; not much more of one that has its answer already."""
        super().on_body(body)
        if self.cycle.response_complete:
            self._unwanted += len(body)
            if self._unwanted > UNWANTED_BYTES:
                self.transport.close()

    def on_message_complete(self) -> None:
        """The next head may come."""
        super().on_message_complete()
        self._in_head = True
        self._received = 0
        self._stop_waiting()

    def on_response_complete(self) -> None:
        """The answer is out; what is left of a body that was not wanted must end soon, too."""
        super().on_response_complete()
        if self.pipeline and not self.transport.is_closing():
            # Uvicorn would read on, and pile up requests as fast as they come.
            self.flow.pause_reading()
        self._waits_since = self.loop.time()
        if not self._in_head and self._deadline is None:
            self._wait()

    def _count(self, size: int) -> None:
        # Raised within the parser, an error makes uvicorn answer 400 and close.
        self._counted += size
        if self._counted > MAX_HEAD_BYTES:
            raise ValueError("the head of the request is too long")

    def _wait(self) -> None:
        self._waits_since = self.loop.time()
        self._deadline = self.loop.call_later(HEAD_SECONDS, self._late)

    def _stop_waiting(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None

    def _late(self) -> None:
        self._deadline = None
        if self._is_serving:
            # The next head came too early, while its predecessor is being answered.
            self._wait()
        else:
            self.transport.abort()


def _make_room(transport: Any, others: list[BoundedConnection]) -> None:  # noqa: ANN401 # a transport
    """End the one that has waited longest, or else the new one."""
    waiting = [
        (other.waits_since, id(other), other) for other in others if other.waits_since is not None
    ]
    if waiting:
        min(waiting)[2].transport.abort()
    else:
        transport.abort()
