"""An attack on the promise: tables that differ by one person are told apart as well as can be.

Each group of a query is one trial, for each person is in one group alone. The attack looks for the
outcome that tells the tables apart best on half of the trials and measures it on the other half;
the true epsilon is above the bound with a confidence of 99.9998 %. The same attack finds what is
broken.
"""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa
import pytest
from scipy.stats import beta

from strongroom.engines.privacy.dp import answering, mechanisms, planning
from strongroom.engines.privacy.dp.intake import kinds_of
from strongroom.engines.privacy.dp.mechanisms import Noise
from strongroom.engines.privacy.dp.query import Aggregate, Bounds, Function, Query, Terms, Unit

if TYPE_CHECKING:
    from numpy.typing import NDArray

TRIALS = 5_000
EPSILON = 1.0
_MISS = 1e-6


def epsilon_at_least(first: list[float], second: list[float], delta: float = 0.0) -> float:
    """A lower bound of the epsilon of two samples of the same mechanism (Jagielski et al. 2020)."""
    both = [np.array(one) for one in (first, second)]
    seen, fresh = ([half[at::2] for half in both] for at in (0, 1))
    cuts = np.unique(np.quantile(np.concatenate(seen), np.linspace(0, 1, 60)))
    outcomes = [
        (cut, above, one) for cut in cuts for above in (True, False) for one in (0, 1)
    ]  # fmt: skip
    best = max(outcomes, key=lambda outcome: _bound(seen, outcome, delta))
    return _bound(fresh, best, delta)


def _bound(
    samples: list["NDArray[np.float64]"], outcome: tuple[float, bool, int], delta: float
) -> float:
    """By Clopper & Pearson's bounds of the chances of one outcome."""
    cut, above, one = outcome
    likely, rare = (samples[one] >= cut) == above, (samples[1 - one] >= cut) == above
    hits, others = int(likely.sum()), int(rare.sum())
    low = float(beta.ppf(_MISS, hits, len(likely) - hits + 1)) if hits else 0.0
    high = 1.0
    if others < len(rare):
        high = float(beta.ppf(1 - _MISS, others + 1, len(rare) - others))
    return math.log(max(low - delta, 1e-9) / high)


def trials(
    aggregate: Aggregate, number: int, noise: Noise, delta: float, *, with_person: bool
) -> list[float]:
    """One answer for each group: two people in each, and in one of the tables one more."""
    groups = np.arange(number)
    who, trial, value = [], [], []
    people = ("a", "b", "victim") if with_person else ("a", "b")
    for person in people:
        # The one who is added has far more rows, and far larger values, than may count.
        rows = 9 if person == "victim" else 1
        who += [f"{person}{group}" for group in groups for _ in range(rows)]
        trial += [int(group) for group in groups for _ in range(rows)]
        value += [1e9 if person == "victim" else 1.0] * (rows * number)
    table = pa.table({"who": who, "trial": trial, "value": value})
    unit = Unit("who", groups=1, rows=2)
    terms = Terms(
        EPSILON, delta, unit, {"value": Bounds(0.0, 10.0)}, {"trial": tuple(groups.tolist())}
    )  # fmt: skip
    query = Query((aggregate,), ("trial",))
    plan = planning.plan_query(query, terms, kinds_of(table.schema), noise=noise)
    return [row[0].value for _, row in answering.run(plan, table).rows]


def attacked(
    aggregate: Aggregate, number: int = TRIALS, noise: Noise = Noise.LAPLACE, delta: float = 0.0
) -> float:
    first, second = (
        trials(aggregate, number, noise, delta, with_person=one) for one in (True, False)
    )
    return epsilon_at_least(first, second, delta)


COUNT = Aggregate(Function.COUNT, "n")
SUM = Aggregate(Function.SUM, "s", "value")


@pytest.mark.parametrize("aggregate", [
    COUNT, SUM, Aggregate(Function.MEAN, "m", "value"), Aggregate(Function.VARIANCE, "v", "value"),
    Aggregate(Function.PEOPLE, "p"), Aggregate(Function.COUNT, "c", "value"),
], ids=lambda one: one.function.value + one.column)  # fmt: skip
def test_nobody_is_told_apart_better_than_promised(aggregate: Aggregate) -> None:
    assert attacked(aggregate) <= EPSILON


def test_nor_by_a_quantile() -> None:
    assert attacked(Aggregate(Function.QUANTILE, "q", "value", 0.5), 600) <= EPSILON


def test_nor_with_gaussian_noise() -> None:
    found = attacked(SUM, noise=Noise.GAUSSIAN, delta=0.01)
    assert found <= EPSILON


def test_attack_comes_close_to_what_is_promised() -> None:
    assert attacked(SUM) > 0.6 * EPSILON


def _half_the_noise() -> Callable[..., tuple[float, float]]:
    right = mechanisms.adding_scale

    def wrong(noise: Noise, l1: int, l2: float, loss: float) -> tuple[float, float]:
        scale, spent = right(noise, l1, l2, loss)
        return scale / 2, spent

    return wrong


@pytest.mark.parametrize("aggregate", [COUNT, SUM], ids=["count", "sum"])
def test_attack_finds_too_little_noise(
    monkeypatch: pytest.MonkeyPatch, aggregate: Aggregate
) -> None:
    monkeypatch.setattr(planning, "adding_scale", _half_the_noise())
    assert attacked(aggregate) > EPSILON


@pytest.mark.parametrize("aggregate", [COUNT, SUM], ids=["count", "sum"])
def test_attack_finds_people_who_are_not_bounded(
    monkeypatch: pytest.MonkeyPatch, aggregate: Aggregate
) -> None:
    monkeypatch.setattr(answering, "bounded", lambda frame, *_, **__: frame)
    assert attacked(aggregate) > EPSILON
