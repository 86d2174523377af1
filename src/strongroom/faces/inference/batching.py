"""Work gathered over one turn of the event loop, so that many requests share one step.

Nothing waits for company: what arrived in the same turn goes together, and a lone request goes at
once. Both classes belong to one event loop and are not for other threads.
"""

import asyncio
import contextlib
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import Future as ThreadFuture
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol

import numpy as np
import structlog

from strongroom.errors import StrongroomError, UnavailableError
from strongroom.gate.audit.types import EntryRef, Event
from strongroom.services.endpoints.runners import Batch, Live, Prediction

# More rows than this leave the loop for a thread: others must not wait for them.
_ROWS_IN_LOOP = 256
_BEHIND_SECONDS = 0.1
_POOL_THREADS = 32
_THREADS_IN_PROCESS = 2
_MOST_WAITING = 1_000
_MOST_TOGETHER = 64
_SLICE = 64

_events = structlog.get_logger(__name__)

_Waiting = tuple[Batch, int, "asyncio.Future[Prediction]"]


class Predictions:
    """Runs models; requests of one turn for the same model become one batch.

    What needs a thread waits here while its model is busy, and not in a thread: a slow model
    would else take all of them from the others.
    """

    def __init__(self) -> None:
        self._waiting: dict[int, tuple[Live, list[_Waiting]]] = {}
        self._later: dict[int, tuple[Live, list[_Waiting]]] = {}
        self._busy: Counter[int] = Counter()
        self._threads: set[asyncio.Task[None]] = set()
        self._pool = ThreadPoolExecutor(_POOL_THREADS, "predict")

    def ask(self, live: Live, batch: Batch, rows: int) -> "asyncio.Future[Prediction]":
        """The prediction for some rows, when this turn is over.

        Raises: UnavailableError when too many wait for this model.
        """
        loop = asyncio.get_running_loop()
        if len(self._later.get(id(live), (live, []))[1]) >= _MOST_WAITING:
            raise UnavailableError("too many requests wait for this model")
        future: asyncio.Future[Prediction] = loop.create_future()
        if not self._waiting:
            loop.call_soon(self._flush)
        # Keyed by identity: a deployment in between must not mix two models in one batch.
        self._waiting.setdefault(id(live), (live, []))[1].append((batch, rows, future))
        return future

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, {}
        for live, asked in waiting.values():
            rows = sum(count for _, count, _ in asked)
            if live.runner.is_in_process and rows <= _ROWS_IN_LOOP:
                _settle(asked, _run_together(live, asked))
            elif self._busy[id(live)] >= (_THREADS_IN_PROCESS if live.runner.is_in_process else 1):
                self._later.setdefault(id(live), (live, []))[1].extend(asked)
            else:
                self._start(live, asked)

    def _start(self, live: Live, asked: list[_Waiting]) -> None:
        self._busy[id(live)] += 1
        task = asyncio.get_running_loop().create_task(self._in_thread(live, asked))
        self._threads.add(task)
        task.add_done_callback(self._threads.discard)

    async def _in_thread(self, live: Live, asked: list[_Waiting]) -> None:
        loop = asyncio.get_running_loop()
        try:
            _settle(asked, await loop.run_in_executor(self._pool, _run_together, live, asked))
        finally:
            self._busy[id(live)] -= 1
            if not self._busy[id(live)]:
                del self._busy[id(live)]
            if (more := self._later.pop(id(live), None)) is not None:
                # Those whose callers have gone meanwhile are not asked about any more.
                if wanted := [it for it in more[1] if not it[2].done()]:
                    self._start(live, wanted[:_MOST_TOGETHER])
                if rest := wanted[_MOST_TOGETHER:]:
                    self._later[id(live)] = (live, rest)


_Outcome = list[Prediction] | StrongroomError


def _run_together(live: Live, asked: Sequence[_Waiting]) -> _Outcome:
    """Predictions in the order asked, or the error that all of them share."""
    try:
        tables = [batch for batch, _, _ in asked if not isinstance(batch, list)]
        if len(asked) == 1 or len(tables) < len(asked):
            return [live.runner.predict(batch) for batch, _, _ in asked]
        together = live.runner.predict(np.concatenate(tables))
    except StrongroomError as error:
        return error
    except Exception:  # noqa: BLE001 - a model may fail in any way; the server lives on
        return UnavailableError("the model could not answer")
    predictions, start = [], 0
    for _, rows, _ in asked:
        predictions.append(together.part(start, start + rows))
        start += rows
    return predictions


def _settle(asked: Sequence[_Waiting], outcome: _Outcome) -> None:
    for position, (_, _, future) in enumerate(asked):
        if future.done():
            continue  # the caller has gone
        if isinstance(outcome, StrongroomError):
            future.set_exception(outcome)
        else:
            future.set_result(outcome[position])


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
        except Exception as error:  # noqa: BLE001 - those behind must be written all the same
            _events.error("prediction_not_recorded", kind=type(error).__name__, count=len(now))
        if self._behind:
            asyncio.get_running_loop().call_soon(self._submit_behind)

    def _submit(self) -> None:
        turn, self._turn = self._turn, []
        loop = asyncio.get_running_loop()
        futures = [future for _, future in turn]
        try:
            written = self._log.submit_all([event for event, _ in turn])
        except Exception as error:  # noqa: BLE001 - whoever waits must hear of any failure
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
