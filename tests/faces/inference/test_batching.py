"""Work of one turn goes together, and a slow model takes no more threads than it is given."""

import asyncio
import threading
import time
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from strongroom.errors import UnavailableError
from strongroom.faces.inference import batching
from strongroom.faces.inference.batching import Predictions
from strongroom.services.endpoints.runners import Prediction


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
