"""Who asks an endpoint what: remembered in memory, of few callers, little of each.

What is remembered tells of rows, so it never touches a disk; a restart forgets it. An alarm does
not end with it: it is a row in the database, and on the record.
"""

import math
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field

import numpy as np

from strongroom.engines.robustness.guards.callers import KEPT, Caller
from strongroom.engines.robustness.guards.traffic import STEP, Traffic
from strongroom.engines.robustness.target import Rows, Scores

Place = tuple[str, str]
"""Workspace and endpoint."""

MAX_CALLERS = 4_096
"""Remembered in all: some 7 kB each, and what waits to be looked at."""
PENDING_BYTES = 16 << 10
"""Of a caller's rows that wait to be looked at; wide ones wait less."""
MOST_ROWS = 2 * KEPT
"""Of one request that are remembered, drawn at random: more would push each other out anyway."""
ALARM_SECONDS = 3_600.0
"""An alarm lasts so long; if the caller then goes on as before, it is raised again."""


@dataclass(slots=True)
class Watched:
    """What is remembered of a caller of one endpoint.

    Attributes:
        rows: asked. flagged, refused: rows that the guard flagged, requests that it refused.
        raised_at: when the last alarm was raised, seconds since 1970; 0 for never, or reset.
        because: the signal that raised it.
        pending: rows and answers not yet looked at: `STEP` of them cost hardly more than one.
        lock: looking at many rows of one caller must not hold up the others.
    """

    rows: int = 0
    flagged: int = 0
    refused: int = 0
    raised_at: float = 0.0
    because: str = ""
    since: float = 0.0
    caller: Caller = field(default_factory=Caller)
    pending: list[tuple[Rows, Scores]] = field(default_factory=list)
    pending_rows: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def begin_anew(self) -> None:
        """Forget rows; what was counted stays."""
        with self.lock:
            self.caller, self.pending, self.pending_rows = Caller(), [], 0


@dataclass(frozen=True, slots=True)
class Raised:
    """An alarm that was raised just now."""

    place: Place
    caller: str
    because: str
    rows: int
    at: float


class Callers:
    """Callers of all endpoints of this server; safe to share between threads."""

    def __init__(self, *, clock: Callable[[], float] = time.time, most: int = MAX_CALLERS) -> None:
        """`clock` gives seconds since 1970, UTC."""
        self._clock = clock
        self._most = most
        self._watched: OrderedDict[tuple[Place, str], Watched] = OrderedDict()
        self._lock = threading.Lock()
        # Nobody who reads the memory of another process learns rows by guessing digests.
        self._key = secrets.token_bytes(32)
        self._random = np.random.default_rng(secrets.randbits(64))

    def is_alarmed(self, place: Place, caller: str) -> bool:
        """Whether an alarm of the caller is in force."""
        watched = self._watched.get((place, caller))
        return watched is not None and self._in_force(watched)

    def note(self, place: Place, caller: str, *, rows: int, flagged: int, refused: bool) -> None:
        """Count a request."""
        with self._lock:
            watched = self._of(place, caller)
            watched.rows += rows
            watched.flagged += flagged
            watched.refused += refused

    def look(
        self, place: Place, caller: str, traffic: Traffic, rows: Rows, scores: Scores
    ) -> Raised | None:
        """Remember rows that a caller asked, and the alarm that they raise, if they raise one."""
        with self._lock:
            watched = self._of(place, caller)
            if len(rows) > MOST_ROWS:
                at = np.sort(self._random.choice(len(rows), MOST_ROWS, replace=False))
                rows, scores = rows[at], scores[at]
        with watched.lock:
            watched.pending.append((rows, scores))
            watched.pending_rows += len(rows)
            held = sum(one.nbytes + other.nbytes for one, other in watched.pending)
            if watched.pending_rows < STEP and held < PENDING_BYTES:
                return None
            rows = np.concatenate([one for one, _ in watched.pending])
            scores = np.concatenate([one for _, one in watched.pending])
            watched.pending, watched.pending_rows = [], 0
            traffic.hear(watched.caller, traffic.ask(rows, scores, self._key))
            if self._in_force(watched):
                return None
            alarm = traffic.alarm(watched.caller)
            if not alarm.is_raised:
                return None
            watched.raised_at, watched.because = self._clock(), alarm.because
            return Raised(place, caller, alarm.because, watched.rows, watched.raised_at)

    def restore(self, place: Place, caller: str, because: str, raised_at: float) -> None:
        """An alarm of another server, or of this one before it was started again."""
        with self._lock:
            watched = self._of(place, caller)
            if raised_at > watched.raised_at:
                watched.raised_at, watched.because = raised_at, because

    def forget(self, place: Place, caller: str, *, before: float = math.inf) -> None:
        """Begin anew with a caller, unless they were first seen after `before`."""
        with self._lock:
            watched = self._watched.get((place, caller))
            # A database keeps microseconds, a clock less.
            if watched is not None and watched.since <= before + 1e-3:
                del self._watched[place, caller]

    def forget_rows(self, place: Place) -> None:
        """Another guard looks from now on: what the former one remembered means nothing to it."""
        for watched in self.of(place).values():
            watched.begin_anew()

    def forget_place(self, place: Place) -> None:
        """The endpoint is gone."""
        with self._lock:
            for key in [key for key in self._watched if key[0] == place]:
                del self._watched[key]

    def of(self, place: Place) -> dict[str, Watched]:
        """Callers of an endpoint, for people to look at."""
        with self._lock:
            return {who: one for (where, who), one in self._watched.items() if where == place}

    def in_force(self, watched: Watched) -> bool:
        """Whether the alarm of a caller is in force."""
        return self._in_force(watched)

    def _in_force(self, watched: Watched) -> bool:
        return watched.raised_at > 0 and self._clock() < watched.raised_at + ALARM_SECONDS

    def _of(self, place: Place, caller: str) -> Watched:
        key = (place, caller)
        watched = self._watched.pop(key, None)
        if watched is None:
            watched = Watched(since=self._clock())
            if len(self._watched) >= self._most:
                self._make_room()
        self._watched[key] = watched
        return watched

    def _make_room(self) -> None:
        """Forget who asked longest ago; of those with an alarm only when all have one."""
        for key, watched in self._watched.items():
            if not self._in_force(watched):
                del self._watched[key]
                return
        self._watched.popitem(last=False)
