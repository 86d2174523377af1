"""What costs are together: published figures, closed forms, dp-accounting itself as the oracle."""

import itertools
import json
import math

import numpy as np
import pytest
from dp_accounting import dp_event
from dp_accounting.pld import common
from dp_accounting.pld import privacy_loss_distribution as pld
from dp_accounting.pld.pld_privacy_accountant import PLDAccountant
from dp_accounting.rdp.rdp_privacy_accountant import RdpAccountant
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm

from strongroom.engines.privacy.dp.accounting import (
    MAX_EVENTS,
    MAX_JSON,
    Composition,
    Cost,
    epsilon,
)
from strongroom.engines.privacy.dp.losses import zcdp_delta
from strongroom.errors import ValidationError

KINDS = st.one_of(
    st.floats(0.2, 50).map(Cost.laplace),
    st.floats(1, 100).map(Cost.gaussian),
    st.floats(0.01, 2).map(Cost.pure),
    st.floats(1e-5, 0.3).map(Cost.zcdp),
    st.tuples(st.floats(0.01, 1), st.floats(0, 1e-8)).map(lambda pair: Cost.approximate(*pair)),
    st.tuples(st.floats(5, 500), st.integers(1, 5)).map(lambda pair: Cost.geometric(*pair)),
)


# ---- published figures ----


def test_dp_sgd_as_published() -> None:
    """5,000 steps at q = .01, sigma = 1: RDP 4.59, PLD 4.20 (Gopi, Lee & Wutschitz 2021: 4.21)."""
    found = epsilon(Cost.subsampled_gaussian(1.0, 0.01, 5_000), 1e-5)
    assert found == pytest.approx(4.202, abs=2e-3)
    by_rdp = RdpAccountant()
    by_rdp.compose(dp_event.PoissonSampledDpEvent(0.01, dp_event.GaussianDpEvent(1.0)), 5_000)
    assert found < by_rdp.get_epsilon(1e-5) == pytest.approx(4.59, abs=0.01)


def test_a_hundred_laplace_answers_cost_less_than_half_of_their_sum() -> None:
    assert epsilon([Cost.laplace(10.0)] * 100, 1e-5) == pytest.approx(4.2203, abs=1e-3)


# ---- closed forms ----


@pytest.mark.parametrize("bound", [0.01, 0.1, 1.0, 3.0])
@pytest.mark.parametrize("delta", [1e-9, 1e-6, 1e-3])
def test_one_pure_promise(bound: float, delta: float) -> None:
    """delta = (e^eps - e^x) / (1 + e^eps), Kairouz et al. 2015."""
    true = math.log(math.exp(bound) - delta * (1 + math.exp(bound)))
    assert true * (1 - 1e-12) <= epsilon(Cost.pure(bound), delta) <= true + 1e-3 * bound


@pytest.mark.parametrize("noise", [0.5, 2.0, 30.0])
def test_one_gaussian(noise: float) -> None:
    """delta = Phi(1/2s - xs) - e^x Phi(-1/2s - xs), Balle & Wang 2018."""
    for x in (0.01, 0.5, 2.0):
        half = 1 / (2 * noise)
        delta = norm.cdf(half - x * noise) - math.exp(x) * norm.cdf(-half - x * noise)
        if delta > 1e-11:
            assert x - 1e-7 <= epsilon(Cost.gaussian(noise), float(delta)) <= x + 1e-3


def test_an_approximate_promise_has_no_epsilon_below_its_delta() -> None:
    cost = Cost.approximate(1.0, 1e-5)
    assert epsilon(cost, 1e-5) == pytest.approx(1.0, abs=1e-3)
    assert epsilon(cost, 0.9e-5) == math.inf
    assert epsilon(Cost.approximate(0.0, 1e-6), 1e-5) == 0.0
    assert epsilon([cost] * 3, 2.9e-5) == math.inf


def test_whole_numbers_at_sensitivity_1_cost_as_the_worst_of_their_epsilon() -> None:
    geometric, pure = epsilon([Cost.geometric(10)] * 50, 1e-6), epsilon([Cost.pure(0.1)] * 50, 1e-6)
    assert geometric == pytest.approx(pure, rel=1e-4)
    assert epsilon([Cost.laplace(10)] * 50, 1e-6) < 0.99 * geometric
    fine = epsilon([Cost.geometric(10_000, 1_000)] * 50, 1e-6)
    assert fine == pytest.approx(epsilon([Cost.laplace(10)] * 50, 1e-6), rel=1e-3)


def test_rho_is_converted_as_published() -> None:
    """Canonne, Kamath & Steinke 2020, proposition 12, by brute force over orders."""
    orders = 1 + np.geomspace(1e-4, 1e4, 200_000)
    for rho, bound in itertools.product((1e-3, 0.1, 0.5, 5.0), (0.1, 1.0, 8.0)):
        logarithms = (
            (orders - 1) * (orders * rho - bound)
            - np.log(orders - 1) + orders * np.log1p(-1 / orders)
        )  # fmt: skip
        found = float(zcdp_delta(rho, np.array([bound]))[0])
        brute = min(1.0, float(np.exp(logarithms.min())), math.sqrt(rho / 2))
        assert found == pytest.approx(brute, rel=1e-4, abs=1e-300)
        if 1e-11 < found < 1e-2:
            assert bound - 1e-6 <= epsilon(Cost.zcdp(rho), found) <= bound * 1.01 + 2e-3


def test_a_gaussian_does_not_stand_for_its_rho() -> None:
    """All that keeps rho is more than the Gaussian that does."""
    for noise in (0.7, 2.0, 10.0):
        for delta in (1e-9, 1e-5):
            gaussian = epsilon(Cost.gaussian(noise), delta)
            assert gaussian < epsilon(Cost.zcdp(1 / (2 * noise**2)), delta)


@pytest.mark.parametrize("noise", [1.0, 3.0])
def test_what_rho_promises_covers_mechanisms_of_that_rho_together(noise: float) -> None:
    """Randomized response is epsilon^2/2-zCDP (Bun & Steinke 2016), as is the discrete Gaussian."""
    for bound in (0.1, 0.5):
        alone = [Cost.pure(bound)] * 20
        assert epsilon(alone, 1e-6) <= epsilon([Cost.zcdp(bound**2 / 2)] * 20, 1e-6)
    discrete = pld.from_discrete_gaussian_mechanism(noise).self_compose(10)
    true = discrete.get_epsilon_for_delta(1e-6)
    assert true <= epsilon([Cost.zcdp(1 / (2 * noise**2))] * 10, 1e-6)


# ---- the library as oracle ----


def test_ours_is_dp_accountings_own_figure_and_not_below() -> None:
    accountant = PLDAccountant()
    accountant.compose(dp_event.LaplaceDpEvent(4.0), 7)
    accountant.compose(dp_event.GaussianDpEvent(3.0), 5)
    accountant.compose(dp_event.DiscreteLaplaceDpEvent(0.05, 3), 11)
    accountant.compose(dp_event.PoissonSampledDpEvent(0.1, dp_event.GaussianDpEvent(2.0)), 40)
    costs = [
        *[Cost.laplace(4.0)] * 7, *[Cost.gaussian(3.0)] * 5, *[Cost.geometric(20.0, 3)] * 11,
        Cost.subsampled_gaussian(2.0, 0.1, 40),
    ]  # fmt: skip
    for delta in (1e-8, 1e-5, 1e-2):
        finer = accountant.get_epsilon(delta)
        assert finer - 1e-5 <= epsilon(costs, delta) <= finer * 1.002


def test_laplace_curves_are_the_librarys() -> None:
    for noise, grid in ((0.1, 1e-4), (1.0, 1e-4), (17.3, 1e-5), (800.0, 1e-5)):
        own = Cost.laplace(noise)
        library = pld.from_laplace_mechanism(noise, value_discretization_interval=grid)
        for delta in (1e-9, 1e-4):
            finer = float(library.get_epsilon_for_delta(delta))
            assert finer - 1e-5 <= epsilon(own, delta) <= finer * 1.002 + 6e-5


@given(st.floats(1e-3, 20))
@settings(max_examples=30, deadline=None)
def test_one_answer_costs_no_more_than_it_promises(bound: float) -> None:
    for cost in (Cost.pure(bound), Cost.laplace(1 / bound)):
        assert 0.97 * bound < epsilon(cost, 1e-9) <= bound * (1 + 1e-12)


def test_promises_are_no_less_than_the_librarys_rounded_ones() -> None:
    parameters = common.DifferentialPrivacyParameters(0.1, 1e-9)
    library = pld.from_privacy_parameters(parameters, 1e-5).self_compose(30)
    ours = epsilon([Cost.approximate(0.1, 1e-9)] * 30, 1e-6)
    assert ours == pytest.approx(library.get_epsilon_for_delta(1e-6), rel=1e-3)


# ---- adding up ----


@given(st.lists(KINDS, min_size=1, max_size=6), st.sampled_from([1e-9, 1e-6, 1e-3]))
@settings(max_examples=40, deadline=None)
def test_one_by_one_is_all_at_once_and_more_costs_more(costs: list[Cost], delta: float) -> None:
    step, before = Composition(), 0.0
    for cost in costs:
        step = step.plus(cost)
        after = step.epsilon(delta)
        assert after >= before - 1e-7
        before = after
    assert before == pytest.approx(epsilon(costs, delta), rel=1e-4, abs=1e-6)
    assert Cost.total(costs) == Cost.total(reversed(costs))


@given(KINDS, st.floats(0.05, 0.95))
@settings(max_examples=30, deadline=None)
def test_a_smaller_scale_costs_less(cost: Cost, factor: float) -> None:
    assert epsilon(cost.scaled(factor), 1e-5) <= epsilon(cost, 1e-5) + 1e-7


def test_what_fits_is_the_most_that_fits() -> None:
    earlier = Composition.of(Cost.pure(0.5))
    for cost in (Cost.pure(2.0), Cost.laplace(0.5), Cost.zcdp(0.4), Cost.gaussian(0.8)):
        factor = earlier.fitting(cost.scaled, 1.0, 1e-6)
        assert earlier.plus(cost.scaled(factor)).epsilon(1e-6) <= 1.0
        assert earlier.plus(cost.scaled(factor + 2 / 1024)).epsilon(1e-6) > 1.0
    assert earlier.fitting(Cost.pure(1.0).scaled, 0.4, 1e-6) == 0.0


def test_equal_events_are_counted_and_nothing_costs_nothing() -> None:
    cost = Cost.laplace(3.0) + Cost.pure(1.0) + Cost.laplace(3.0)
    assert [(one.kind, one.count) for one in cost.events] == [("laplace", 2), ("pure", 1)]
    assert cost == Cost.total([Cost.pure(1.0), Cost.laplace(3.0), Cost.laplace(3.0)])
    assert Cost() + cost == cost
    assert epsilon(Cost(), 1e-6) == 0.0
    assert Cost.subsampled_gaussian(2.0, 1.0, 3) == Cost.total([Cost.gaussian(2.0)] * 3)


def test_what_is_too_much_to_count_is_infinite_and_at_once() -> None:
    assert epsilon([Cost.pure(100.0)] * 100, 1e-6) == math.inf
    assert epsilon(Cost.subsampled_gaussian(0.1, 1e-2, 10_000_000), 1e-6) == math.inf
    assert epsilon([Cost.zcdp(50.0)] * 20, 1e-6) == math.inf


# ---- as text ----


@given(st.lists(KINDS, max_size=6))
@settings(max_examples=50, deadline=None)
def test_text_brings_the_same_cost_back(costs: list[Cost]) -> None:
    cost = Cost.total(costs)
    assert Cost.from_json(cost.to_json()) == cost


_GOOD = {"version": 1, "events": [{"kind": "pure", "values": [1.0], "count": 1}]}


@pytest.mark.parametrize(
    "text",
    [
        "", "null", "[]", "{}", "{", '"x"', "\x00", "[" * 100_000,
        json.dumps({**_GOOD, "version": 2}), json.dumps({**_GOOD, "more": 1}),
        json.dumps({**_GOOD, "version": "1"}),
        *(
            json.dumps({"version": 1, "events": events})
            for events in (
                [{"kind": "magic", "values": [1.0], "count": 1}],
                [{"kind": "pure", "values": [], "count": 1}],
                [{"kind": "pure", "values": [1.0, 1.0], "count": 1}],
                [{"kind": "pure", "values": [-1.0], "count": 1}],
                [{"kind": "pure", "values": [0.0], "count": 1}],
                [{"kind": "pure", "values": [1e9], "count": 1}],
                [{"kind": "pure", "values": ["1"], "count": 1}],
                [{"kind": "pure", "values": [1.0], "count": 0}],
                [{"kind": "pure", "values": [1.0], "count": -5}],
                [{"kind": "pure", "values": [1.0], "count": 10**12}],
                [{"kind": "pure", "values": [1.0], "count": 1.5}],
                [{"kind": "geometric", "values": [1.0, 1.5], "count": 1}],
                [{"kind": "pure", "values": [1.0], "count": 1}] * 2,
                [
                    {"kind": "pure", "values": [1.0], "count": 1},
                    {"kind": "laplace", "values": [1.0], "count": 1},
                ],
            )
        ),
        '{"version":1,"events":[{"kind":"pure","values":[NaN],"count":1}]}',
        '{"version":1,"events":[{"kind":"pure","values":[1e999],"count":1}]}',
        " " * (MAX_JSON + 1),
    ],
)  # fmt: skip
def test_hostile_text_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        Cost.from_json(text)


@given(st.data())
@settings(max_examples=80, deadline=None)
def test_mutated_text_is_refused_or_another_cost(data: st.DataObject) -> None:
    text = bytearray((Cost.laplace(10.0) + Cost.zcdp(0.5)).to_json().encode())
    for _ in range(data.draw(st.integers(1, 3))):
        text[data.draw(st.integers(0, len(text) - 1))] = data.draw(st.integers(0, 255))
    try:
        found = Cost.from_json(bytes(text))
    except ValidationError:
        return
    assert found == Cost.from_json(found.to_json())


# ---- bad input ----


@pytest.mark.parametrize("figure", [0.0, -1.0, math.inf, -math.inf, math.nan, 1e12])
def test_figures_out_of_range_make_no_cost(figure: float) -> None:
    for make in (Cost.laplace, Cost.gaussian, Cost.pure, Cost.zcdp, Cost.geometric):
        with pytest.raises(ValidationError):
            make(figure)
    with pytest.raises(ValidationError):
        Cost.approximate(0.1, figure or 1.0)
    with pytest.raises(ValidationError):
        Cost.subsampled_gaussian(1.0, figure, 10)


@pytest.mark.parametrize("delta", [0.0, 1.0, -1e-6, 1e-13, math.nan, math.inf])
def test_a_delta_is_in_range(delta: float) -> None:
    with pytest.raises(ValidationError):
        epsilon(Cost.pure(1.0), delta)


def test_a_cost_has_not_more_than_so_many_events() -> None:
    with pytest.raises(ValidationError):
        Cost.total(Cost.laplace(1.0 + number / 1e5) for number in range(MAX_EVENTS + 1))
