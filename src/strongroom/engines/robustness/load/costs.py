"""What one question costs, by a clock that the caller gives, and how sure a ratio of costs is."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from scipy import stats

from strongroom.engines.robustness.outcome import Measure
from strongroom.engines.robustness.target import ModelError, QueriesSpent, is_fault

Clock = Callable[[], float]
"""Seconds of processor time of whatever runs the model; `time.process_time` for this process."""
Said = Literal["numbers", "no numbers", "refused", "broke"]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a model said to a question.

    Attributes:
        said: finite numbers; an array with something else in it; an error that a caller can be
            told; or an error that is a fault: of memory, recursion, arithmetic, or the end of it.
        error: class of the error, never its text: that may quote a row.
        seconds: of the clock.
    """

    said: Said
    seconds: float
    error: str = ""


def ask(call: Callable[[], object], clock: Clock) -> Answer:
    """Ask once, whatever comes back. Raises: QueriesSpent."""
    start = clock()
    try:
        # What a model warns of odd numbers is no finding: its answer is.
        with np.errstate(all="ignore"):
            answer = call()
    except QueriesSpent:
        raise
    except Exception as error:  # noqa: BLE001 # whatever a model raises is what it says
        kind, broke = type(error).__name__, is_fault(type(error))
        if isinstance(error, ModelError):
            kind, broke = error.kind, error.is_fault
        return Answer("broke" if broke else "refused", clock() - start, kind)
    seconds = clock() - start
    try:
        finite = bool(np.isfinite(np.asarray(answer, dtype=np.float64)).all())
    except (ValueError, TypeError):
        finite = False
    return Answer("numbers" if finite else "no numbers", seconds)


def ratio(
    name: str, first: Callable[[], object], second: Callable[[], object], clock: Clock,
    repeats: int,
) -> Measure:  # fmt: skip
    """How many times as much the first costs as the second: median of pairs, with 95 % bounds.

    The two are asked in turn, so that what slows the machine slows both. The bounds are order
    statistics of the pairs, whatever the noise is like (Conover, "Practical nonparametric
    statistics", 1999, section 3.2); with fewer than six pairs they are infinitely wide.
    """
    pairs = []
    for turn in range(repeats):
        calls = (first, second) if turn % 2 == 0 else (second, first)
        seconds = [ask(call, clock).seconds for call in calls]
        ours, theirs = seconds if turn % 2 == 0 else reversed(seconds)
        pairs.append(max(ours, 1e-9) / max(theirs, 1e-9))
    ordered = np.sort(pairs)
    below = int(stats.binom.ppf(0.025, repeats, 0.5)) - 1
    low, high = (ordered[below], ordered[-1 - below]) if below >= 0 else (0.0, np.inf)
    return Measure(name, float(np.median(ordered)), float(low), float(high), "times")
