"""Windows of time: a state each, forgotten one by one, and compared with windows like them."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from enum import StrEnum

import numpy as np

from strongroom.engines.drift.plan import Counts, Floats, Plan
from strongroom.engines.drift.state import State, merged

_BEGIN = datetime(1970, 1, 1, tzinfo=UTC)
_MONDAY = 4 * 86_400
"""Seconds from 1970-01-01, a Thursday, to the first Monday."""


class Every(StrEnum):
    """How long a window is."""

    HOUR = "hour"
    DAY = "day"
    WEEK = "week"
    MONTH = "month"


_SECONDS = {Every.HOUR: 3_600, Every.DAY: 86_400, Every.WEEK: 7 * 86_400}
_LIKE = {Every.HOUR: 24 * 7, Every.DAY: 7, Every.WEEK: 52, Every.MONTH: 12}
"""Windows after which one like it comes round: the same hour or day of the week, the same week or
month of the year."""


def window_of(seconds: float, every: Every) -> int:
    """Number of the window that a moment, in seconds since 1970 UTC, lies in; weeks from Monday."""
    return int(windows_of(np.array([seconds]), every)[0])


def windows_of(seconds: Floats, every: Every) -> Counts:
    """Numbers of the windows that finite moments lie in; see `window_of`."""
    if every is Every.MONTH:
        exact = np.floor(seconds).astype(np.int64).view("datetime64[s]")
        return exact.astype("datetime64[M]").astype(np.int64)
    offset = _MONDAY if every is Every.WEEK else 0
    return np.floor_divide(seconds - offset, _SECONDS[every]).astype(np.int64)


def phase_of(number: int, every: Every) -> int:
    """Place of a window in its season, from 0 on: windows of one phase are alike."""
    return number % _LIKE[every]


def window_name(number: int, every: Every) -> str:
    """A window by its first moment: `2026-03-09`, `2026-03-09 14:00`, `2026-03`."""
    if every is Every.MONTH:
        return f"{1970 + number // 12:04}-{number % 12 + 1:02}"
    offset = _MONDAY if every is Every.WEEK else 0
    begin = _BEGIN + timedelta(seconds=number * _SECONDS[every] + offset)
    return f"{begin:%Y-%m-%d %H:%M}" if every is Every.HOUR else f"{begin:%Y-%m-%d}"


class Windows:
    """States by window. What is forgotten is gone: no other state holds it."""

    def __init__(self, plan: Plan, every: Every) -> None:
        self.plan, self.every = plan, every
        self._states: dict[int, State] = {}

    def of(self, number: int) -> State:
        """The state of a window; an empty one begins where there is none."""
        return self._states.setdefault(number, State(self.plan))

    def add(self, number: int, state: State) -> None:
        """Merge a state into a window. Raises: DriftStateError: it has another plan."""
        self.of(number).merge(state)

    def forget_before(self, number: int) -> int:
        """Drop all windows before one; how many there were."""
        old = [one for one in self._states if one < number]
        for one in old:
            del self._states[one]
        return len(old)

    def __len__(self) -> int:
        return len(self._states)

    def __iter__(self) -> Iterator[tuple[int, State]]:
        return iter(sorted(self._states.items()))

    def between(self, begin: int, end: int) -> State:
        """All windows from `begin` to before `end` as one state."""
        return merged((one for at, one in self if begin <= at < end), self.plan)

    def like(self, number: int, most: int = 8, period: int | None = None) -> State:
        """The windows before `number` that are like it, as one state: a reference with the season.

        Args:
            most: how many of them, the latest.
            period: windows after which one like it comes round; by default the same hour or day
                of the week, or the same week or month of the year.
        """
        period = period or _LIKE[self.every]
        alike = [one for at, one in self if at < number and (number - at) % period == 0]
        return merged(alike[-most:], self.plan)

    def merge(self, other: "Windows") -> None:
        """Add the windows of another process. Raises: DriftStateError."""
        for number, state in other:
            self.add(number, state)
