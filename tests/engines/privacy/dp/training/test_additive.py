"""The default trainer: what one person changes is bounded, and what is learned is of use."""

import math
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.privacy.dp.training.people import AMOUNTS, DOMAIN, auc, people

from strongroom.engines.privacy.dp.accounting import epsilon as epsilon_of
from strongroom.engines.privacy.dp.training import additive
from strongroom.engines.privacy.dp.training.additive import (
    Plan,
    blocks_of,
    plan_for,
    price,
    row_length,
    train_additive,
)
from strongroom.engines.privacy.dp.training.coding import Coded, coded_table, places_of
from strongroom.engines.privacy.dp.training.contributions import bounded
from strongroom.engines.privacy.dp.training.noise import Whole, gaussian
from strongroom.errors import ValidationError

CODED = coded_table(people(600), DOMAIN)
PLACES = tuple(places_of(one) for one in DOMAIN.features)


def test_it_learns_what_can_be_learned() -> None:
    trained = train_additive(coded_table(people(6_000), DOMAIN), DOMAIN, 1.0, 1e-6)
    fresh = people(3_000, seed=2)
    truth = np.array(fresh.column("rich").to_pylist()) == "yes"
    assert auc(truth, trained.model.scores(fresh)) > 0.85
    assert trained.rows == pytest.approx(6_000, abs=300)
    assert set(trained.model.strength()) == {"age", "wealth", "town"}


def test_it_learns_amounts() -> None:
    trained = train_additive(coded_table(people(6_000), AMOUNTS), AMOUNTS, 4.0, 1e-6)
    fresh = people(3_000, seed=2)
    income = np.array(fresh.column("income").to_pylist())
    error = np.std(income - trained.model.predict(fresh))
    assert error < 0.5 * np.std(income)


@pytest.mark.parametrize(("epsilon", "delta"), [(0.1, 1e-6), (1.0, 1e-5), (8.0, 1e-9)])
def test_the_cost_is_what_was_asked_for(epsilon: float, delta: float) -> None:
    trained = train_additive(CODED, DOMAIN, epsilon, delta, plan=Plan(1, 1.0))
    assert trained.cost == price(epsilon, delta)
    assert 0.98 * epsilon < epsilon_of(trained.cost, delta) <= epsilon


def test_the_rounds_and_the_count_spend_rho_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    spent: list[float] = []
    real = gaussian

    def counting(sensitivity: int, rho: float) -> Callable[[Whole], Whole]:
        noisy = real(sensitivity, rho)

        def once(values: Whole) -> Whole:
            spent.append(rho)
            return noisy(values)

        return once

    monkeypatch.setattr(additive, "gaussian", counting)
    plan = Plan(7, 1.0)
    trained = train_additive(CODED, DOMAIN, 1.0, 1e-6, plan=plan)
    assert len(spent) == 8
    assert math.fsum(spent) == pytest.approx(trained.rho, rel=1e-12)
    assert math.fsum(spent) <= trained.rho * (1 + 1e-12)


def _sums(coded: Coded, weights: np.ndarray, *, is_choice: bool) -> Whole:
    descent = additive._Descent(coded, blocks_of(DOMAIN, PLACES), is_choice=is_choice)
    descent.move(weights)
    return descent.sums()


@settings(max_examples=40)
@given(
    st.lists(
        st.tuples(*(st.integers(0, one - 1) for one in PLACES), st.integers(0, 1 << 16)),
        min_size=1, max_size=12,
    ),
    st.integers(0, 2**32 - 1), st.sampled_from([0.0, 1.0, 100.0]), st.booleans(), st.integers(1, 4),
)  # fmt: skip
def test_no_person_changes_the_sums_by_more_than_is_said(
    rows: list[tuple[int, ...]], seed: int, size: float, is_choice: bool, each: int
) -> None:
    *columns, target = (np.array(one) for one in zip(*rows, strict=True))
    coded = Coded(tuple(one.astype(np.int32) for one in columns), PLACES, target.astype(np.int64))
    blocks = blocks_of(DOMAIN, PLACES)
    count = sum(block.size for block in blocks)
    weights = np.random.default_rng(seed).normal(0, 1, count) * size
    own = min(each, coded.rows)
    without = coded.take(np.arange(own, coded.rows))
    change = _sums(coded, weights, is_choice=is_choice).astype(object)
    change = change - _sums(without, weights, is_choice=is_choice).astype(object)
    assert sum(int(one) ** 2 for one in change) <= (own * row_length(blocks)) ** 2


def test_a_person_with_many_rows_is_cut_to_few() -> None:
    table = people(900)
    coded = coded_table(table, DOMAIN, "person")
    kept = bounded(coded, 2)
    assert kept.subjects is not None
    assert np.bincount(kept.subjects).max() == 2
    assert kept.rows == 600


def test_more_rows_each_need_more_noise(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []

    def noting(sensitivity: int, _rho: float) -> Callable[[Whole], Whole]:
        asked.append(sensitivity)
        return lambda values: values

    monkeypatch.setattr(additive, "gaussian", noting)
    plan = Plan(1, 1.0)
    for each in (1, 3):
        train_additive(CODED, DOMAIN, 1.0, 1e-6, rows_each=each, plan=plan)
    length = row_length(blocks_of(DOMAIN, PLACES))
    assert asked == [1, length, 3, 3 * length]


def test_two_trainings_are_never_the_same() -> None:
    plan = Plan(2, 1.0)
    first, second = (train_additive(CODED, DOMAIN, 1.0, 1e-6, plan=plan).model for _ in range(2))
    assert first.terms[0].scores != second.terms[0].scores


def test_a_table_without_rows_makes_a_model_of_noise() -> None:
    trained = train_additive(CODED.take(np.array([], np.int64)), DOMAIN, 1.0, 1e-6)
    assert np.isfinite(trained.model.predict(people(5))).all()


@pytest.mark.parametrize(
    ("epsilon", "delta", "each"),
    [(0, 1e-6, 1), (-1, 1e-6, 1), (math.nan, 1e-6, 1), (math.inf, 1e-6, 1), (101, 1e-6, 1),
     (1, 0, 1), (1, 1, 1), (1, -1, 1), (1, math.nan, 1), (1, 1e-6, 0), (1, 1e-6, 1_001)],
)  # fmt: skip
def test_promises_out_of_range_are_refused(epsilon: float, delta: float, each: int) -> None:
    with pytest.raises(ValidationError):
        train_additive(CODED, DOMAIN, epsilon, delta, rows_each=each)


@pytest.mark.parametrize("wrong", [(0, 1.0, 0.9), (1, 0.0, 0.9), (1, 1.0, 1.0), (10**5, 1.0, 0.9)])
def test_plans_out_of_range_are_refused(wrong: tuple[int, float, float]) -> None:
    with pytest.raises(ValidationError):
        Plan(*wrong)


def test_less_noise_bears_a_longer_plan() -> None:
    rounds = [plan_for(clearness).rounds for clearness in (0.0, 20.0, 50.0, 1e9)]
    assert rounds == sorted(rounds)
    assert rounds[0] < rounds[-1]
