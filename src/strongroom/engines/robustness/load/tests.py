"""The test of an assessment that sends what costs or breaks most: `load.inputs`."""

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial

import numpy as np

from strongroom.engines.robustness.load.cases import MANY, Case, column_cases, row_cases
from strongroom.engines.robustness.load.costs import Answer, Clock, ask, ratio
from strongroom.engines.robustness.load.sponge import Search, costliest
from strongroom.engines.robustness.outcome import Canary, Gate, Measure, Outcome
from strongroom.engines.robustness.space import Columns, Space
from strongroom.engines.robustness.target import Predict, Rows, Scores

INPUTS = "load.inputs"
SPONGE = "costliest row found, times a natural row"
NOISE = "the same row against itself"
BROKE = "hostile inputs that broke the model"
NO_NUMBERS = "hostile inputs answered with something that is no number"
GATES: Mapping[str, tuple[Gate, ...]] = {
    INPUTS: (
        Gate(SPONGE, "at most", 10.0, "worst"),
        Gate(BROKE, "at most", 0.0),
        Gate(NO_NUMBERS, "at most", 0.0),
    )
}
"""Proposals; see docs/robustness-guards.md."""

_BATCH = 64
_PLANTED_SECONDS = (5e-6, 5e-5, 1e-4)
"""What a row of the planted model costs by the clock, and in its corner: far more than the rest of
the call, whatever the clock itself costs to look at."""

_TRIES = 3

Progress = Callable[[float], None]
Columned = Callable[[Columns], Scores]


@dataclass(frozen=True, slots=True)
class Settings:
    """What is measured.

    Attributes:
        repeats: pairs of which a ratio is taken, 6 to 1,000.
        clock: of processor seconds of what runs the model.
        memory: most bytes that a call held at once; None: not measured.
    """

    repeats: int = 15
    search: Search = field(default_factory=Search)
    clock: Clock = time.process_time
    memory: Callable[[Callable[[], object]], int] | None = None


def inputs(
    predict: Predict, space: Space, rows: Rows, settings: Settings = Settings(), seed: int = 0,
    progress: Progress = lambda _: None, *, columns: tuple[Columned, Columns] | None = None,
) -> Outcome:  # fmt: skip
    """What the worst inputs cost, and what the model says to them.

    Args:
        predict: the model itself, whose answers need not be numbers; a `Target` turns those into
            errors.
        rows: natural.
        columns: a model that takes text, and natural columns of it.
    """
    rows = rows[np.isfinite(rows).all(axis=1)]
    if not len(rows):
        return Outcome(INPUTS, 5, (), reason="there is no whole row to start from")
    rng = np.random.default_rng(seed)
    natural = rows[rng.integers(len(rows), size=_BATCH)]
    asked = _Counted(predict)
    if ask(lambda: asked(natural), settings.clock).said != "numbers":
        return Outcome(INPUTS, 5, (), reason="the model does not answer natural rows with numbers")
    said = _said(asked, space, natural, settings, columns)
    progress(0.2)
    sponge = costliest(
        asked, space, rows, settings.clock, rng, settings.search,
        lambda share: progress(0.2 + 0.5 * share),
    )  # fmt: skip
    measures = (
        *_times(asked, natural, sponge, settings),
        *_growth(asked, natural, settings),
        *_words_said(said),
        *_memory(asked, natural, settings),
    )
    progress(0.9)
    canary = _planted(settings, seed)
    listed = {name: {"said": one.said, "error": one.error} for name, one in said.items()}
    return Outcome(
        INPUTS, 5, ("AML.T0029", "AML.T0034.001"), measures, canary, (), _words(said, settings),
        {"hostile inputs": listed}, asked.rows,
    )  # fmt: skip


class _Counted:
    """A model, with the rows that it was asked."""

    def __init__(self, predict: Predict) -> None:
        self._predict = predict
        self.rows = 0

    def __call__(self, rows: Rows) -> Scores:
        self.rows += len(rows)
        return self._predict(rows)


def _said(
    asked: _Counted, space: Space, natural: Rows, settings: Settings,
    columns: tuple[Columned, Columns] | None,
) -> dict[str, Answer]:  # fmt: skip
    found: dict[str, Answer] = {}

    def keep(name: str, answer: Answer) -> None:
        worst = ("numbers", "refused", "no numbers", "broke")
        if name not in found or worst.index(answer.said) > worst.index(found[name].said):
            found[name] = answer

    for case in row_cases(space, natural[:8]):
        keep(case.name, _asked(asked, case, settings.clock))
    if columns is not None:
        answer, values = columns
        for name, made in column_cases({key: value[:4] for key, value in values.items()}):
            keep(name, ask(partial(answer, made), settings.clock))
    return found


def _asked(asked: _Counted, case: Case, clock: Clock) -> Answer:
    return ask(lambda: asked(case.rows), clock)


def _times(asked: _Counted, natural: Rows, sponge: Rows, settings: Settings) -> tuple[Measure, ...]:
    copies = settings.search.copies
    typical = natural[: copies or 1]
    worst = np.repeat(sponge, len(typical), axis=0)

    def of(rows: Rows) -> Callable[[], Scores]:
        return lambda: asked(rows)

    return (
        ratio(SPONGE, of(worst), of(typical), settings.clock, settings.repeats),
        ratio(NOISE, of(typical), of(typical), settings.clock, settings.repeats),
    )


def _growth(asked: _Counted, natural: Rows, settings: Settings) -> tuple[Measure, ...]:
    """By how much a row gets dearer in a large question, and what it costs there."""
    many = natural[np.arange(MANY) % len(natural)]
    few = natural[np.arange(MANY // 8) % len(natural)]
    growth = ratio(
        "cost of eight times the rows", lambda: asked(many), lambda: asked(few), settings.clock,
        max(6, settings.repeats // 2),
    )  # fmt: skip
    one = min(ask(lambda: asked(many), settings.clock).seconds for _ in range(3)) / MANY
    alone = min(ask(lambda: asked(natural[:1]), settings.clock).seconds for _ in range(5))
    return (
        growth,
        Measure("seconds a row in a large question", one, unit="seconds"),
        Measure("seconds of a row alone", alone, unit="seconds"),
    )


def _words_said(said: Mapping[str, Answer]) -> tuple[Measure, ...]:
    counts = {kind: sum(one.said == kind for one in said.values()) for kind in
              ("numbers", "no numbers", "refused", "broke")}  # fmt: skip
    return (
        Measure(BROKE, float(counts["broke"])),
        Measure(NO_NUMBERS, float(counts["no numbers"])),
        Measure("hostile inputs that were refused", float(counts["refused"])),
        Measure("hostile inputs answered like any other", float(counts["numbers"])),
    )


def _memory(asked: _Counted, natural: Rows, settings: Settings) -> tuple[Measure, ...]:
    if settings.memory is None:
        return ()
    many = natural[np.arange(MANY) % len(natural)]
    held = settings.memory(lambda: asked(many))
    return (Measure("bytes a row in a large question", held / MANY, unit="bytes"),)


def _planted(settings: Settings, seed: int) -> Canary:
    """The canary, planted anew where a busy machine hid it: what cannot search misses it always."""
    canary = _planted_once(settings, seed)
    for turn in range(1, _TRIES):
        if canary.was_found:
            break
        canary = _planted_once(settings, seed + turn)
    return canary


def _planted_once(settings: Settings, seed: int) -> Canary:
    """A model with a slow path in a corner, which answers what is infinite with no number."""
    space = Space.box(4)
    clock = settings.clock

    def predict(rows: Rows) -> Scores:
        for row in rows:
            steps = 0 if row[0] <= 0.95 else 1 if row[1] >= 0.05 else 2
            until = clock() + _PLANTED_SECONDS[steps]
            while clock() < until:
                pass
        made = np.tile(np.clip(rows[:, :1], 0, np.inf), 2)
        return np.asarray(made)

    rng = np.random.default_rng(seed)
    rows = rng.uniform(0.2, 0.8, (64, 4))
    asked = _Counted(predict)
    search = Search(population=24, generations=12, copies=2, looks=2)
    worst = costliest(asked, space, rows, clock, rng, search)
    found = ratio("planted", lambda: asked(worst), lambda: asked(rows[:1]), clock, 15)
    odd = _asked(asked, Case("all infinite", np.full((2, 4), np.inf)), clock)
    low = found.low or 0.0
    return Canary(
        "a model ten times as slow in a corner that no natural row comes near, which answers what "
        "is infinite with no number",
        low >= 2.0 and odd.said == "no numbers",
        f"the search found a row {found.value:.1f} ({low:.1f} at least) times as slow, 2 were "
        f"asked for; infinity was answered with {odd.said}",
    )


def _words(said: Mapping[str, Answer], settings: Settings) -> tuple[str, ...]:
    words = [
        (
            f"Costs are medians of {settings.repeats} pairs, asked in turn; `{NOISE}` shows how "
            "far such a figure goes astray by itself."
        ),
        "What only the network does, slow or many callers, is not seen here.",
    ]
    answered = [
        name for name, one in said.items()
        if one.said == "numbers" and ("infinite" in name or "missing" in name)
    ]  # fmt: skip
    if answered:
        words.append(
            f"The model gives a number for what is none ({', '.join(sorted(answered))}): the "
            "endpoint has to refuse it, if it may not."
        )
    return tuple(words)
