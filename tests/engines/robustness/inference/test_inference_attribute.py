"""Guessing a feature with a model's help, against what is known of planted ones."""

import numpy as np
import pytest
from scipy import stats

from strongroom.engines.robustness.inference import tests
from strongroom.engines.robustness.inference.attribute import Guesses, advantage, guess, values_of
from strongroom.engines.robustness.inference.tests import Settings
from strongroom.engines.robustness.outcome import Outcome, Status, judge
from strongroom.engines.robustness.space import Feature, Space
from strongroom.engines.robustness.target import Predict, Rows, Scores, Target
from strongroom.errors import ValidationError

RNG = np.random.default_rng(0)
SPACE = Space([Feature("x"), Feature("gene", levels=("aa", "ab", "bb"))])
COUNT = 360
GENES = RNG.integers(0, 3, COUNT)
ROWS = np.column_stack([RNG.random(COUNT), np.eye(3)[GENES]])
LABELS = RNG.integers(0, 2, COUNT)
MEMBERS = ROWS[:120], LABELS[:120]
OTHERS = ROWS[120:], LABELS[120:]


def remembering(rows: Rows) -> Scores:
    """Sure of the label where it saw just this row, and of nothing else."""
    known = {row.tobytes(): label for row, label in zip(*MEMBERS, strict=True)}
    made = np.full((len(rows), 2), 0.5)
    for at, row in enumerate(rows):
        if (label := known.get(row.tobytes())) is not None:
            made[at] = 0.1
            made[at, label] = 0.9
    return made


def blind(rows: Rows) -> Scores:
    sure = 0.2 + 0.6 * rows[:, 0]
    return np.column_stack([1 - sure, sure])


def outcome(model: Predict) -> Outcome:
    target = Target(model, classes=2)
    settings = Settings(features=["gene"], rows=120)
    return tests.attribute(MEMBERS, OTHERS, target, SPACE, settings, 3)


def test_a_model_that_remembers_lets_everyone_guess() -> None:
    found = outcome(remembering)
    gained = found.measure(tests.ADVANTAGE)
    control = found.measure("gene: advantage over people it never saw")
    without = found.measure("gene: right without the model")
    assert gained is not None
    assert control is not None
    assert without is not None
    assert gained.low is not None
    assert gained.low > 0.4
    assert abs(control.value) < 0.25
    assert 0.2 < without.value < 0.5
    assert judge(found, tests.GATES[tests.ATTRIBUTE]) is Status.FAILED
    assert found.queries == 3 * (240 - 120 + 120 + 120)


def test_a_model_that_does_not_look_at_the_feature_adds_nothing() -> None:
    gained = outcome(blind).measure(tests.ADVANTAGE)
    assert gained is not None
    assert gained.low is not None
    assert gained.low <= 0.0 <= (gained.high or 0.0)


def test_an_attack_that_does_not_ask_misses_its_canary(monkeypatch: pytest.MonkeyPatch) -> None:
    def unheeding(target: Target, *rest: object) -> Guesses:
        deaf = Target(lambda rows: np.full((len(rows), 2), 0.5), classes=2)
        return guess(deaf, *rest)  # type: ignore[arg-type] # passed on

    monkeypatch.setattr(tests, "guess", unheeding)
    assert judge(outcome(remembering), []) is Status.INVALID


def test_an_attack_that_knows_the_answer_misses_its_canary(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def cheating(*rest: object) -> Guesses:
        found = guess(*rest)  # type: ignore[arg-type] # passed on
        return Guesses(found.without, dict.fromkeys(found.helped, found.without | True))

    monkeypatch.setattr(tests, "guess", cheating)
    assert judge(outcome(blind), []) is Status.INVALID


def test_the_advantage_is_the_difference_of_paired_guesses() -> None:
    helped = np.array([True] * 60 + [False] * 40)
    without = np.array([True] * 40 + [False] * 50 + [True] * 10)
    value, low, high = advantage(helped, without)
    assert value == pytest.approx(0.1)
    # Agresti & Min: 20 and 10 discordant, a half added to each of four cells.
    middle = 10 / 102
    spread = np.sqrt(31 / 102 - middle**2) / np.sqrt(102)
    assert (low, high) == pytest.approx(
        (middle - 1.959964 * spread, middle + 1.959964 * spread), abs=1e-6
    )


def test_the_bounds_hold_as_often_as_they_say() -> None:
    rng = np.random.default_rng(1)
    held = 0
    for _ in range(400):
        first, second = rng.random(60) < 0.5, rng.random(60) < 0.4
        _, low, high = advantage(first, second)
        held += low <= 0.1 <= high
    assert held >= stats.binom.ppf(0.001, 400, 0.95)


def test_a_number_is_guessed_by_tenths_none_of_them_empty() -> None:
    space = Space([Feature("x"), Feature("y")])
    for numbers in (
        RNG.random(100),
        RNG.integers(0, 3, 100) / 2.0,
        np.r_[np.zeros(95), np.ones(5)],
    ):
        rows = np.column_stack([numbers, numbers])
        values = values_of(space, "y", rows)
        assert set(values.of(rows)) == set(range(len(values.blocks)))
        at = values.of(np.column_stack([values.blocks[:, 0], values.blocks[:, 0]]))
        assert at.tolist() == list(range(len(values.blocks)))


def test_of_a_thousand_levels_the_commonest_are_guessed() -> None:
    space = Space([Feature("x"), Feature("code", levels=tuple(f"c{at}" for at in range(1_000)))])
    codes = np.r_[np.repeat(np.arange(500, 512), 9), np.arange(40)]
    rows = np.column_stack([RNG.random(len(codes)), np.eye(1_000)[codes]])
    values = values_of(space, "code", rows)
    assert values.blocks.shape == (10, 1_000)
    assert set(values.of(rows[:90])) == set(range(10))
    assert (values.of(rows[108:]) == -1).all()
    target = Target(lambda asked: np.full((len(asked), 2), 0.5), classes=2)
    found = guess(target, values, (rows, codes % 2), rows[108:], codes[108:] % 2, 1)
    assert not found.without.any()
    assert not found.helped["bayes"].any()


def test_what_cannot_be_guessed_is_refused_or_does_not_apply() -> None:
    with pytest.raises(ValidationError):
        values_of(SPACE, "none", ROWS)
    with pytest.raises(ValidationError):
        values_of(SPACE, "x", np.zeros((9, 4)))
    target = Target(blind, classes=2)
    run = tests.attribute
    assert "no sensitive" in run(MEMBERS, OTHERS, target, SPACE, Settings(), 1).reason
    with pytest.raises(ValidationError):
        run(MEMBERS, OTHERS, target, SPACE, Settings(features=["none"]), 1)
    same = OTHERS[0] * [0.0, 1.0, 1.0, 1.0], OTHERS[1]
    assert "one value" in run(MEMBERS, same, target, SPACE, Settings(features=["x"]), 1).reason
    few = ROWS[:39], LABELS[:39]
    settings = Settings(features=["gene"])
    assert "40 members" in run(few, OTHERS, target, SPACE, settings, 1).reason
    poor = Target(blind, classes=2, budget=400)
    assert "limit on queries" in run(MEMBERS, OTHERS, poor, SPACE, settings, 1).reason
    assert poor.queries == 0


def test_a_regression_is_guessed_by_its_numbers() -> None:
    numbers = 2.0 * GENES + ROWS[:, 0]

    def model(rows: Rows) -> Scores:
        return np.asarray(2.0 * rows[:, 1:].argmax(axis=1) + rows[:, 0])[:, None]

    found = guess(
        Target(model, classes=1), values_of(SPACE, "gene", ROWS), (ROWS[120:], numbers[120:]),
        ROWS[:120], numbers[:120], 1,
    )  # fmt: skip
    assert found.helped["bayes"].mean() > 0.95
