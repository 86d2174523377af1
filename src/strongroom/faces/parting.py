"""How a connection ends: what nobody wants is neither read nor decrypted.

An event loop that closes a TLS connection goes on reading until the other side has closed it, too:
half a minute in which whoever was turned away may keep a processor busy. And a close with bytes
unread tells the other side's system to forget what it has of the answer. So a connection with bytes
still to come stands still for a moment, in which the answer is read, and then is cut.
"""

import asyncio
from collections.abc import Callable
from typing import Any

PARTING_SECONDS = 1.0


class Channel:
    """A transport as uvicorn uses it, with an end of its own."""

    def __init__(
        self,
        transport: Any,  # noqa: ANN401 # whatever the event loop has
        loop: asyncio.AbstractEventLoop,
        expects_more: Callable[[], bool],
    ) -> None:
        """`expects_more` says whether bytes of a request are still to come."""
        self._transport = transport
        self._loop = loop
        self._expects_more = expects_more
        self._is_parting = False
        self._cut: asyncio.TimerHandle | None = None
        # Bound here: a method around each would cost every request something.
        self.get_extra_info = transport.get_extra_info
        self.get_write_buffer_size = transport.get_write_buffer_size
        self.abort = transport.abort
        self.write = transport.write

    def is_closing(self) -> bool:
        """Whether it has ended, or is about to."""
        return self._is_parting or bool(self._transport.is_closing())

    def close(self) -> None:
        """Let out what was written, and end."""
        if self.is_closing():
            return
        if not self._expects_more():
            self._transport.close()
            return
        self._is_parting = True
        self.write = _drop
        self._transport.pause_reading()
        self._cut = self._loop.call_later(PARTING_SECONDS, self._transport.abort)

    def lost(self) -> None:
        """It has ended."""
        if self._cut is not None:
            self._cut.cancel()
            self._cut = None

    def pause_reading(self) -> None:
        """Take nothing more for now."""
        self._transport.pause_reading()

    def resume_reading(self) -> None:
        """Take more, unless it is about to end."""
        if not self._is_parting:
            self._transport.resume_reading()

    def set_protocol(self, protocol: asyncio.BaseProtocol) -> None:
        """Hand it on."""
        self._transport.set_protocol(protocol)


def _drop(_data: bytes) -> None:
    """The last word has been said."""
