"""Work of one turn goes together, and a slow model takes no more threads than it is given."""

import asyncio
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from strongroom.engines.crypto.signing import SigningKey
from strongroom.engines.ledger.checkpoint import LogKey
from strongroom.errors import BusyError, UnavailableError
from strongroom.faces.inference import batching
from strongroom.faces.inference.batching import Predictions, Records
from strongroom.gate.audit.log import AuditLog
from strongroom.gate.audit.reading import Filters
from strongroom.gate.audit.types import AuditClass, EntryRef, Event, Outcome
from strongroom.services.endpoints.guarding import Guarding, Question
from strongroom.services.endpoints.runners import Prediction
from strongroom.vault.database import Database


class SlowRunner:
    """Counts how many calls it has at once."""

    is_in_process = False

    def __init__(self) -> None:
        self.now = self.most = self.calls = 0
        self._lock = threading.Lock()

    def predict(self, batch: Any) -> Prediction:  # noqa: ANN401 # a table
        with self._lock:
            self.now += 1
            self.calls += 1
            self.most = max(self.most, self.now)
        time.sleep(0.02)
        with self._lock:
            self.now -= 1
        return Prediction(np.asarray(batch)[:, 0], None)


def test_calls_wait_for_a_slow_model_outside_of_threads() -> None:
    runner = SlowRunner()
    live: Any = SimpleNamespace(runner=runner, guarding=Guarding(("clinic", "slow")))

    async def ask() -> list[float]:
        predictions = Predictions()
        futures = []
        for number in range(100):
            futures.append(predictions.ask(live, Question("eve", np.array([[float(number)]]), 1)))
            await asyncio.sleep(0)  # each in a turn of its own
        answers = await asyncio.gather(*futures)
        return [float(answer.labels[0]) for answer in answers]

    assert asyncio.run(ask()) == [float(number) for number in range(100)]
    assert runner.most == 1
    assert runner.calls < 10  # those who waited went together


def test_no_more_wait_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "_MOST_WAITING", 3)
    live: Any = SimpleNamespace(runner=SlowRunner(), guarding=Guarding(("clinic", "slow")))

    async def ask() -> int:
        predictions = Predictions()
        futures, refused = [], 0
        for _ in range(10):
            try:
                futures.append(predictions.ask(live, Question("eve", np.array([[1.0]]), 1)))
            except UnavailableError:
                refused += 1
            await asyncio.sleep(0)
        await asyncio.gather(*futures)
        return refused

    assert asyncio.run(ask()) >= 5


def event(number: int, **details: int) -> Event:
    return Event(
        time=1.0, workspace="clinic", actor_kind="person", actor="usr_a",
        operation="endpoint.invoke", action="invokeEndpoint", resource_type="Endpoint",
        resource="clinic/e", audit_class=AuditClass.AI_OPERATION, request_id=f"r{number}",
        outcome=Outcome.ALLOWED, details={"number": number, **details},
    )  # fmt: skip


TOO_MUCH = {f"d{number}": number for number in range(100)}
"""Details of an event that the log does not take."""


@pytest.fixture
def log(tmp_path: Path) -> Iterator[AuditLog]:
    signing = SigningKey.from_seed(bytes(32))
    key = LogKey("strongroom.test/log", signing.verifying_key.raw())
    database = Database.create_for_tests(tmp_path / "log.db")
    with AuditLog(database, payload_key=bytes(32), key=key, sign=signing.sign) as started:
        yield started
    database.close()


def test_each_of_a_turn_hears_of_an_entry_of_its_own(log: AuditLog) -> None:
    async def ask() -> list[EntryRef]:
        records = Records(log)
        return await asyncio.gather(*(records.record(event(number)) for number in range(5)))

    entries = asyncio.run(ask())
    assert [entry.index for entry in entries] == list(range(5))
    for entry in entries:  # by then each is in the signed tree
        assert log.receipt(entry.index).index == entry.index


def test_nobody_waits_for_ever_when_the_log_takes_none(log: AuditLog) -> None:
    async def ask() -> list[EntryRef | BaseException]:
        records = Records(log)
        asked = [records.record(event(0)), records.record(event(1, **TOO_MUCH))]
        return await asyncio.wait_for(asyncio.gather(*asked, return_exceptions=True), 10)

    assert [type(answer) for answer in asyncio.run(ask())] == [ValueError, ValueError]
    log.close()

    async def ask_closed() -> None:
        with pytest.raises(BusyError):
            await asyncio.wait_for(Records(log).record(event(2)), 10)

    asyncio.run(ask_closed())


def test_what_the_log_does_not_take_keeps_no_later_entry_from_it(
    log: AuditLog, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(batching, "_SLICE", 1)
    monkeypatch.setattr(batching, "_BEHIND_SECONDS", 0.0)

    async def hand_over() -> None:
        records = Records(log)
        for handed in (event(0, **TOO_MUCH), event(1), event(2)):
            records.record_behind(handed)
        # Each slice hands the next one over, in a turn of its own.
        for _ in range(100):
            await asyncio.sleep(0.001)

    asyncio.run(hand_over())
    log.close()  # commits what was handed over
    with log.snapshot() as session:
        found = log.search(session, Filters(workspaces=("clinic",)))
    assert [logged.event.details["number"] for logged in found] == [2, 1]


# ---- neighbours ----


class HeldRunner:
    """Answers when it is told to, and remembers who asked."""

    is_in_process = False

    def __init__(self, *, is_in_process: bool = False) -> None:
        self.is_in_process = is_in_process
        self.go = threading.Event()
        self.batches: list[int] = []

    def predict(self, batch: Any) -> Prediction:  # noqa: ANN401 # a table
        if not self.is_in_process or len(batch) > 100:
            self.go.wait(20)
        self.batches.append(len(batch))
        return Prediction(np.asarray(batch)[:, 0], None)


def question(caller: str, rows: int = 1) -> Question:
    return Question(caller, np.zeros((rows, 1)), rows)


def test_whoever_asks_for_much_waits_for_themselves(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "_MOST_OF_ONE", 50)
    monkeypatch.setattr(batching, "_MOST_TOGETHER", 4)
    runner = HeldRunner()
    live: Any = SimpleNamespace(runner=runner, guarding=Guarding(("clinic", "slow")))

    async def ask() -> tuple[int, list[str]]:
        predictions, refused, order = Predictions(), 0, []
        futures = []

        def told(name: str) -> Any:  # noqa: ANN401 # a callback
            return lambda _future: order.append(name)

        for _ in range(200):
            try:
                future = predictions.ask(live, question("flood"))
            except UnavailableError:
                refused += 1
                continue
            future.add_done_callback(told("flood"))
            futures.append(future)
            await asyncio.sleep(0)
        future = predictions.ask(live, question("victim"))  # there is room for others
        future.add_done_callback(told("victim"))
        futures.append(future)
        await asyncio.sleep(0)
        runner.go.set()
        await asyncio.gather(*futures)
        await asyncio.sleep(0)
        return refused, order

    refused, order = asyncio.run(ask())
    assert refused >= 140
    assert order.index("victim") <= 2 * 4  # after what was under way, and one turn


def test_a_large_request_does_not_take_the_small_ones_of_its_turn_with_it() -> None:
    runner = HeldRunner(is_in_process=True)
    live: Any = SimpleNamespace(runner=runner, guarding=Guarding(("clinic", "fast")))

    async def ask() -> bool:
        predictions = Predictions()
        large = predictions.ask(live, question("flood", 5_000))
        small = predictions.ask(live, question("victim"))
        await asyncio.wait_for(small, 10)
        was_waiting = not large.done()
        runner.go.set()
        await large
        return was_waiting

    assert asyncio.run(ask())


def test_those_who_have_gone_are_not_asked_about() -> None:
    runner = HeldRunner()
    live: Any = SimpleNamespace(runner=runner, guarding=Guarding(("clinic", "slow")))

    async def ask() -> None:
        predictions = Predictions()
        first = predictions.ask(live, question("a"))
        await asyncio.sleep(0.05)
        gone = [predictions.ask(live, question("b")) for _ in range(5)]
        last = predictions.ask(live, question("c"))
        await asyncio.sleep(0)
        for one in gone:
            one.cancel()
        runner.go.set()
        await asyncio.gather(first, last)

    asyncio.run(ask())
    assert sum(runner.batches) == 2
