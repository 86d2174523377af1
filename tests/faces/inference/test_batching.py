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
    live: Any = SimpleNamespace(runner=runner)

    async def ask() -> list[float]:
        predictions = Predictions()
        futures = []
        for number in range(100):
            futures.append(predictions.ask(live, np.array([[float(number)]]), 1))
            await asyncio.sleep(0)  # each in a turn of its own
        answers = await asyncio.gather(*futures)
        return [float(answer.labels[0]) for answer in answers]

    assert asyncio.run(ask()) == [float(number) for number in range(100)]
    assert runner.most == 1
    assert runner.calls < 10  # those who waited went together


def test_no_more_wait_than_may(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(batching, "_MOST_WAITING", 3)
    live: Any = SimpleNamespace(runner=SlowRunner())

    async def ask() -> int:
        predictions = Predictions()
        futures, refused = [], 0
        for _ in range(10):
            try:
                futures.append(predictions.ask(live, np.array([[1.0]]), 1))
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
