"""How much of one turn of the event loop a caller may take: the others are not to wait for them.

A body is parsed on the loop, and meanwhile nobody else is served. So each caller has a share of a
turn, in bytes; what is over it waits in a line of theirs, and the lines go in rotation, each time
with a share more to spend (deficit round robin: Shreedhar and Varghese, SIGCOMM 1995).
"""

import asyncio
from collections import deque
from dataclasses import dataclass, field

from strongroom.errors import UnavailableError

_EACH = 8 * 1024
"""What a request costs besides its bytes: key, decision, model and record of a small one."""
_SHARE = 64 * 1024
"""Of a caller in a turn: some eight small requests."""
_WHOLE = 256 * 1024
"""Of all callers in a turn: some ten milliseconds."""
_MOST_OF_ONE = 250
_MOST_BYTES = 64 * 2**20
"""That may wait of one caller."""
_MOST_BYTES_OF_ALL = 256 * 2**20

_Waiting = tuple[int, "asyncio.Future[None]"]


@dataclass(slots=True)
class _Line:
    """A caller's requests that wait, and what they may spend."""

    waiting: "deque[_Waiting]" = field(default_factory=deque)
    credit: int = 0
    held: int = 0


class Turns:
    """Belongs to one event loop."""

    def __init__(self) -> None:
        self._spent: dict[str, int] = {}
        self._whole = 0
        self._lines: dict[str, _Line] = {}
        self._held = 0
        self._is_open = False

    def take(self, caller: str, size: int) -> "asyncio.Future[None] | None":
        """A place in this turn for a body of `size` bytes: None, or a future to wait for.

        Raises: UnavailableError when too much of this caller, or of all, waits already.
        """
        cost = size + _EACH
        spent = self._spent.get(caller, 0)
        if caller not in self._lines and self._whole < _WHOLE and spent + cost <= _SHARE:
            self._spent[caller] = spent + cost
            self._whole += cost
            self._wake()
            return None
        line = self._lines.setdefault(caller, _Line())
        # A body alone waits whatever its size: the operator's limit is the one that it has met.
        if (
            len(line.waiting) >= _MOST_OF_ONE
            or (line.held and line.held + size > _MOST_BYTES)
            or (self._held and self._held + size > _MOST_BYTES_OF_ALL)
        ):
            if not line.waiting:
                del self._lines[caller]
            raise UnavailableError("too many requests wait for this model")
        place: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        line.waiting.append((cost, place))
        line.held += size
        self._held += size
        self._wake()
        return place

    def _wake(self) -> None:
        if not self._is_open:
            self._is_open = True
            asyncio.get_running_loop().call_soon(self._begin)

    def _begin(self) -> None:
        """A new turn: each line in rotation gets a share, and spends what it has."""
        self._is_open = False
        self._spent.clear()
        self._whole = 0
        for _ in range(len(self._lines)):
            if self._whole >= _WHOLE:
                break
            caller = next(iter(self._lines))
            line = self._lines.pop(caller)
            line.credit += _SHARE
            self._serve(caller, line)
            if line.waiting:
                self._lines[caller] = line  # at the end, with the credit that is left
        if self._lines or self._spent:
            self._wake()

    def _serve(self, caller: str, line: _Line) -> None:
        while line.waiting and line.waiting[0][0] <= line.credit and self._whole < _WHOLE:
            cost, place = line.waiting.popleft()
            line.held -= cost - _EACH
            self._held -= cost - _EACH
            if place.done():
                continue  # the caller has gone
            line.credit -= cost
            self._spent[caller] = self._spent.get(caller, 0) + cost
            self._whole += cost
            place.set_result(None)
