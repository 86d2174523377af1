"""Work gathered over one turn of the event loop, so that many requests share one step.

Nothing waits for company: what arrived in the same turn goes together, and a lone request goes at
once. Both classes belong to one event loop and are not for other threads.
"""

import asyncio
import contextlib
import os
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from concurrent.futures import Future as ThreadFuture
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import structlog

from strongroom.errors import StrongroomError, UnavailableError
from strongroom.gate.audit.types import EntryRef, Event
from strongroom.services.endpoints.answering import Outcome, answers
from strongroom.services.endpoints.guarding import Question
from strongroom.services.endpoints.runners import Live, Prediction

# More rows than this leave the loop for a thread: others must not wait for them. A guard takes
# longer with a row than most models.
_ROWS_IN_LOOP = 256
_ROWS_GUARDED = 32
_BEHIND_SECONDS = 0.1
_POOL_THREADS = 32
# Two that compute leave no processor of two to those who ask for little.
_THREADS_IN_PROCESS = 1 if (os.cpu_count() or 1) < 4 else 2
_MOST_WAITING = 1_000
_MOST_OF_ONE = 250
_MOST_TOGETHER = 64
_ROWS_TOGETHER = 1_000
_SLICE = 64

_events = structlog.get_logger(__name__)

_Waiting = tuple[Question, "asyncio.Future[Prediction]"]


class Predictions:
    """Runs models; requests of one turn for the same model become one batch.

    What needs a thread waits here while its model is busy, and not in a thread: a slow model
    would else take all of them from the others. Callers wait in lines of their own and go in turn,
    so that whoever asks for much waits for themselves.
    """

    def __init__(self) -> None:
        self._turn: dict[int, tuple[Live, list[_Waiting]]] = {}
        self._lines: dict[int, _Lines] = {}
        self._busy: Counter[int] = Counter()
        self._threads: set[asyncio.Task[None]] = set()
        self._pool = ThreadPoolExecutor(_POOL_THREADS, "predict")

    def ask(self, live: Live, question: Question) -> "asyncio.Future[Prediction]":
        """The prediction for some rows, when this turn is over.

        Raises: UnavailableError when too many wait for this model, of this caller or in all.
        """
        loop = asyncio.get_running_loop()
        if (lines := self._lines.get(id(live))) is not None:
            lines.require_room(question.caller)
        future: asyncio.Future[Prediction] = loop.create_future()
        if not self._turn:
            loop.call_soon(self._flush)
        # Keyed by identity: a deployment in between must not mix two models in one batch.
        self._turn.setdefault(id(live), (live, []))[1].append((question, future))
        return future

    def _flush(self) -> None:
        turn, self._turn = self._turn, {}
        for live, asked in turn.values():
            here, away = _parted(live, asked)
            if here:
                _settle(here, _run_together(live, here))
            if away:
                lines = self._lines.setdefault(id(live), _Lines(live))
                for one in away:
                    lines.add(one)
                self._start(lines)

    def _start(self, lines: "_Lines") -> None:
        """Let those in front go, as far as the model has threads for them."""
        live = lines.live
        most = _THREADS_IN_PROCESS if live.runner.is_in_process else 1
        while self._busy[id(live)] < most and (asked := lines.next()):
            self._busy[id(live)] += 1
            task = asyncio.get_running_loop().create_task(self._in_thread(lines, asked))
            self._threads.add(task)
            task.add_done_callback(self._threads.discard)
        if not self._busy[id(live)]:
            del self._busy[id(live)]
            del self._lines[id(live)]

    async def _in_thread(self, lines: "_Lines", asked: list[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        try:
            outcomes = await loop.run_in_executor(self._pool, _run_together, lines.live, asked)
            _settle(asked, outcomes)
        finally:
            self._busy[id(lines.live)] -= 1
            self._start(lines)


class _Lines:
    """Who waits for one model: a line for each caller, served in turn."""

    def __init__(self, live: Live) -> None:
        self.live = live
        self._lines: OrderedDict[str, deque[_Waiting]] = OrderedDict()
        self._count = 0

    def require_room(self, caller: str) -> None:
        """Return if one more of `caller` may wait. Raises: UnavailableError."""
        if self._count >= _MOST_WAITING or len(self._lines.get(caller, ())) >= _MOST_OF_ONE:
            raise UnavailableError("too many requests wait for this model")

    def add(self, waiting: _Waiting) -> None:
        """At the end of the caller's line."""
        self._lines.setdefault(waiting[0].caller, deque()).append(waiting)
        self._count += 1

    def next(self) -> list[_Waiting]:
        """Those that go together: one of each caller in turn, few enough to be over soon.

        Those whose callers have gone meanwhile are not asked about any more.
        """
        chosen: list[_Waiting] = []
        rows = 0
        while self._lines and len(chosen) < _MOST_TOGETHER:
            caller, line = next(iter(self._lines.items()))
            question, future = line[0]
            if chosen and rows + question.rows > _ROWS_TOGETHER and not future.done():
                break
            line.popleft()
            self._count -= 1
            if line:
                self._lines.move_to_end(caller)
            else:
                del self._lines[caller]
            if not future.done():
                chosen.append((question, future))
                rows += question.rows
        return chosen


def _parted(live: Live, asked: list[_Waiting]) -> tuple[list[_Waiting], list[_Waiting]]:
    """Those that are answered at once, and those that need a thread.

    The large ones of a turn must not take the small ones with them.
    """
    if not live.runner.is_in_process:
        return [], asked
    most = _ROWS_GUARDED if live.guarding.is_looking else _ROWS_IN_LOOP
    here: list[_Waiting] = []
    away: list[_Waiting] = []
    rows = 0
    for one in asked:
        if rows + one[0].rows <= most:
            here.append(one)
            rows += one[0].rows
        else:
            away.append(one)
    return here, away


def _run_together(live: Live, asked: Sequence[_Waiting]) -> Sequence[Outcome]:
    return answers(live, [question for question, _ in asked])


def _settle(asked: Sequence[_Waiting], outcomes: Sequence[Outcome]) -> None:
    for (_, future), outcome in zip(asked, outcomes, strict=True):
        if future.done():
            continue  # the caller has gone
        if isinstance(outcome, StrongroomError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome)


class EventLog(Protocol):
    """Where events are recorded in group commits: `gate.audit.log.AuditLog`."""

    def submit(self, event: Event) -> "ThreadFuture[EntryRef]":
        """Hand over an event; the future ends when it is durable and in the tree."""
        ...

    def submit_all(self, events: Sequence[Event]) -> "ThreadFuture[list[EntryRef]]":
        """Hand over several at once, with one future for all."""
        ...


class Records:
    """Hands events to the log; those of one turn go together and are waited for together.

    The log settles in another thread. Waking this loop costs more than an entry, so it is woken
    once a turn.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self._turn: list[tuple[Event, asyncio.Future[EntryRef]]] = []
        self._behind: list[Event] = []

    def record(self, event: Event) -> "asyncio.Future[EntryRef]":
        """The entry, once it is durable; a BusyError when the log takes no more."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[EntryRef] = loop.create_future()
        if not self._turn:
            loop.call_soon(self._submit)
        self._turn.append((event, future))
        return future

    def record_behind(self, event: Event) -> None:
        """Record it a little later, with many others; nobody waits.

        A crash in between loses the entries of the last moment: the price of this setting.
        """
        if not self._behind:
            asyncio.get_running_loop().call_later(_BEHIND_SECONDS, self._submit_behind)
        self._behind.append(event)

    def _submit_behind(self) -> None:
        """A slice at a time: sealing them all at once would hold up the requests of this turn."""
        now, self._behind = self._behind[:_SLICE], self._behind[_SLICE:]
        try:
            self._log.submit_all(now).add_done_callback(_note_failure)
        except Exception as error:  # noqa: BLE001 # those behind must be written all the same
            _events.error("prediction_not_recorded", kind=type(error).__name__, count=len(now))
        if self._behind:
            asyncio.get_running_loop().call_soon(self._submit_behind)

    def _submit(self) -> None:
        turn, self._turn = self._turn, []
        loop = asyncio.get_running_loop()
        futures = [future for _, future in turn]
        try:
            written = self._log.submit_all([event for event, _ in turn])
        except Exception as error:  # noqa: BLE001 # whoever waits must hear of any failure
            _fail(futures, error)
            return

        def wake(_written: object) -> None:
            with contextlib.suppress(RuntimeError):  # the loop was closed meanwhile
                loop.call_soon_threadsafe(_tell, futures, written)

        written.add_done_callback(wake)


def _tell(
    futures: "Sequence[asyncio.Future[EntryRef]]", written: "ThreadFuture[list[EntryRef]]"
) -> None:
    if (error := written.exception()) is not None:
        _fail(futures, error)
        return
    for future, entry in zip(futures, written.result(), strict=True):
        if not future.done():  # else the caller has gone
            future.set_result(entry)


def _fail(futures: "Sequence[asyncio.Future[EntryRef]]", error: BaseException) -> None:
    for future in futures:
        if not future.done():
            future.set_exception(error)


def _note_failure(written: "ThreadFuture[list[EntryRef]]") -> None:
    if not written.cancelled() and (error := written.exception()) is not None:
        _events.error("prediction_not_recorded", kind=type(error).__name__)
