"""The costliest and oddest inputs, by a clock that the test winds."""

import time
from collections.abc import Callable

import numpy as np
import pytest

from strongroom.engines.robustness.load import tests as room
from strongroom.engines.robustness.load.cases import MANY, column_cases, row_cases
from strongroom.engines.robustness.load.costs import ask, ratio
from strongroom.engines.robustness.load.sponge import Search, costliest
from strongroom.engines.robustness.outcome import Status, judge
from strongroom.engines.robustness.space import Feature, Relation, Space
from strongroom.engines.robustness.target import ModelError, QueriesSpent, Rows, Scores

SPACE = Space([
    Feature("age", 18, 90, step=1), Feature("city", levels=("a", "b", "c")), Feature("x"),
    Feature("spent"), Feature("income"),
], [Relation({"spent": 1, "income": -1}, 0.0)])  # fmt: skip
"""Whole years, a category, and no more spent than earned."""


class Clock:
    """Goes on by a tick a look, and as a model's work says."""

    def __init__(self, noise: float = 0.0) -> None:
        self.now = 0.0
        self._rng = np.random.default_rng(0)
        self._noise = noise

    def __call__(self) -> float:
        self.now += 1e-6
        return self.now

    def work(self, seconds: float) -> None:
        self.now += seconds * (1 + self._noise * self._rng.exponential())


def natural(count: int = 40) -> Rows:
    rng = np.random.default_rng(1)
    points = rng.random((count, SPACE.width)) * 0.5
    points[:, -1] += 0.5
    return SPACE.project(points, points)


def slow(clock: Clock, extra: Callable[[Rows], np.ndarray]) -> Callable[[Rows], Scores]:
    def predict(rows: Rows) -> Scores:
        whole = np.clip(np.nan_to_num(rows), 0, 1)
        clock.work(float((1e-3 * (1 + extra(whole))).sum()))
        return np.full((len(rows), 2), 0.5)

    return predict


@pytest.mark.parametrize("noise", [0.0, 0.3], ids=["quiet", "noisy"])
def test_the_search_finds_a_corner_that_is_slow(noise: float) -> None:
    clock = Clock(noise)
    # City c costs 10, and the nearer age comes to its top the more, up to 10.
    predict = slow(clock, lambda rows: 10 * rows[:, 3] + 10 * np.clip(rows[:, 0], 0, 1))
    worst = costliest(predict, SPACE, natural(), clock, np.random.default_rng(0))
    assert SPACE.valid(worst, worst).all()
    assert worst[0, 3] == 1.0
    assert worst[0, 0] > 0.9
    found = ratio("x", lambda: predict(worst), lambda: predict(natural(1)), clock, 15)
    assert (found.low or 0) > 1.5


def test_of_equal_costs_the_ratio_is_one_within_its_bounds() -> None:
    clock = Clock(noise=1.0)
    predict = slow(clock, lambda rows: np.zeros(len(rows)))
    holds, row = 0, natural(1)
    for _ in range(60):
        found = ratio("x", lambda: predict(row), lambda: predict(row), clock, 15)
        holds += (found.low or 0) <= 1 <= (found.high or 0)
    assert holds >= 53, "bounds of 95 % that miss more than one in nine"
    few = ratio("x", lambda: predict(row), lambda: predict(row), clock, 3)
    assert (few.low, few.high) == (0.0, np.inf)


def nested(rows: Rows) -> Scores:
    def deeper(level: int) -> int:
        return deeper(level + 1)

    if np.isinf(rows).any():
        deeper(0)
    return np.ones((len(rows), 2))


def refuses(rows: Rows) -> Scores:
    if not np.isfinite(rows).all():
        raise ValueError("12345 is a secret row")
    return np.ones((len(rows), 2))


@pytest.mark.parametrize(
    ("predict", "said", "error"),
    [
        (lambda rows: rows[:, :2], "no numbers", ""),
        (refuses, "refused", "ValueError"),
        (nested, "broke", "RecursionError"),
        (lambda rows: np.ones((len(rows), 2)), "numbers", ""),
        (lambda _: [["a"]], "no numbers", ""),
    ],
    ids=["passes on", "refuses", "breaks", "ignores", "words"],
)
def test_what_a_model_says_to_infinity(
    predict: Callable[[Rows], Scores], said: str, error: str
) -> None:
    found = ask(lambda: predict(np.full((2, 3), np.inf)), Clock())
    assert (found.said, found.error) == (said, error)


def test_a_budget_that_is_spent_ends_the_test() -> None:
    def spent() -> Scores:
        raise QueriesSpent

    with pytest.raises(QueriesSpent):
        ask(spent, Clock())


def test_hostile_rows_are_of_all_kinds() -> None:
    cases = {one.name: one.rows for one in row_cases(SPACE, natural(4))}
    assert len(cases["many rows"]) == MANY
    assert len(cases["no row"]) == 0
    assert np.isnan(cases["all missing"]).all()
    assert np.isnan(cases["one missing"]).sum() == 4
    assert not cases["no category"][:, 1:4].any()
    assert (cases["all categories at once"][:, 1:4] == 1).all()
    assert {one.shape[1] for one in cases.values()} == {SPACE.width}
    assert 0 < cases["all denormal"][0, 0] < 1e-300


def test_hostile_texts_stand_in_each_text_column() -> None:
    columns = {"age": np.array([1.0, 2.0]), "city": np.array(["a", "b"], dtype=object),
               "note": np.array(["x", "y"], dtype=object)}  # fmt: skip
    made = list(column_cases(columns))
    names = {name for name, _ in made}
    assert {"long text", "deep text", "unseen category", "empty text"} <= names
    assert len(made) == 2 * len(names)
    for _, one in made:
        changed = [name for name in columns if (one[name] != columns[name]).any()]
        assert changed in (["city"], ["note"])
    assert columns["city"].tolist() == ["a", "b"]


def test_the_assessment_finds_what_was_planted_and_says_what_was_said() -> None:
    clock = Clock()
    predict = slow(clock, lambda rows: 30 * rows[:, 3])
    settings = room.Settings(
        repeats=9, search=Search(population=12, generations=4, copies=2, looks=1), clock=clock,
        memory=lambda call: 8 * np.asarray(call()).size,
    )  # fmt: skip
    columns = {"city": np.array(["a"] * 4, dtype=object)}

    def columned(asked: object) -> Scores:
        return np.full((4, 2), np.nan)

    outcome = room.inputs(predict, SPACE, natural(), settings, 1, columns=(columned, columns))
    assert outcome.canary is not None
    assert outcome.canary.was_found, outcome.canary.found
    sponge, noise = outcome.measure(room.SPONGE), outcome.measure(room.NOISE)
    assert sponge is not None
    assert noise is not None
    assert sponge.value > 1.5 * noise.value
    held = outcome.measure("bytes a row in a large question")
    assert held is not None
    assert held.value == 16.0
    said = outcome.listed["hostile inputs"]
    assert said["all infinite"]["said"] == "numbers"
    assert said["long text"]["said"] == "no numbers"
    assert any("a number for what is none" in one for one in outcome.words)
    assert judge(outcome, room.GATES[room.INPUTS]) is Status.FAILED
    assert "secret" not in repr(outcome)


@pytest.mark.parametrize(
    ("kind", "said", "told"),
    [
        (ModelError.ENDED, "broke", ModelError.ENDED),
        (ModelError.SERVER, "broke", ModelError.SERVER),
        ("MemoryError", "broke", "MemoryError"),
        ("ZeroDivisionError", "broke", "ZeroDivisionError"),
        ("ValueError", "refused", "ValueError"),
        ("Smith, John: HIV", "refused", "Exception"),
        ("KeyboardInterrupt", "refused", "Exception"),
        ("print", "refused", "Exception"),
    ],
)
def test_what_a_model_elsewhere_raises_is_told_by_its_kind(kind: str, said: str, told: str) -> None:
    def gone() -> Scores:
        raise ModelError(kind)

    found = ask(gone, Clock())
    assert (found.said, found.error) == (said, told)


def test_a_model_that_dies_of_a_hostile_input_broke() -> None:
    clock = Clock()
    dead: list[bool] = []
    alive = slow(clock, lambda rows: rows[:, 0])

    def predict(rows: Rows) -> Scores:
        if dead or np.isinf(rows).any():
            dead.append(True)
            raise ModelError(ModelError.ENDED)
        return alive(rows)

    settings = room.Settings(
        repeats=6, search=Search(population=4, generations=1, copies=1, looks=1), clock=clock
    )
    outcome = room.inputs(predict, SPACE, natural(), settings)
    broke = outcome.measure(room.BROKE)
    assert broke is not None
    assert broke.value > 0
    assert judge(outcome, room.GATES[room.INPUTS]) is Status.FAILED


def test_the_canary_is_found_by_a_real_clock() -> None:
    planted = room._planted(room.Settings(clock=time.process_time), 1)
    assert planted.was_found, planted.found


def test_a_search_that_finds_nothing_misses_its_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    settings = room.Settings(clock=Clock())
    assert room._planted(settings, 1).was_found
    monkeypatch.setattr(room, "costliest", lambda _, __, rows, *___: rows[:1])
    assert not room._planted(settings, 1).was_found


def test_without_a_whole_row_there_is_nothing_to_start_from() -> None:
    empty = room.inputs(refuses, SPACE, np.full((3, SPACE.width), np.nan))
    assert "whole row" in empty.reason


def test_a_model_that_refuses_natural_rows_is_not_measured() -> None:
    def never(rows: Rows) -> Scores:
        raise ValueError

    assert "natural rows" in room.inputs(never, SPACE, natural(), room.Settings()).reason
