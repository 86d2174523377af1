"""Intervals hold what they promise, and are not much wider than they must be."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from strongroom.engines.privacy.dp.answering import run
from strongroom.engines.privacy.dp.document import expectations
from strongroom.engines.privacy.dp.intake import kinds_of
from strongroom.engines.privacy.dp.mechanisms import Noise
from strongroom.engines.privacy.dp.planning import plan_query
from strongroom.engines.privacy.dp.query import Aggregate, Bounds, Function, Query, Terms

TRIALS = 1_000
ROWS = 60
_MOST_MISSED = 0.05 + 5 * (0.05 * 0.95 / TRIALS) ** 0.5
"""Five standard deviations above what may be missed."""


def shares_missed(aggregate: Aggregate, noise: Noise, trials: int = TRIALS) -> tuple[float, float]:
    """How many intervals miss the answer without noise, and how many a share of their width."""
    random = np.random.default_rng(3)
    values = np.clip(random.gamma(3, 9, (trials, ROWS)).round(), 0, 100)
    table = pa.table({
        "trial": np.repeat(np.arange(trials), ROWS), "x": values.astype(np.int64).ravel(),
    })  # fmt: skip
    terms = Terms(
        2.0, 1e-5 if noise is Noise.GAUSSIAN else 0.0, bounds={"x": Bounds(0.0, 100.0)},
        keys={"trial": tuple(range(trials))},
    )  # fmt: skip
    plan = plan_query(Query((aggregate,), ("trial",)), terms, kinds_of(table.schema), noise=noise)
    right = _RIGHT[aggregate.function](values)
    found = [row[0] for _, row in run(plan, table).rows]
    missed = [not one.low <= is_so <= one.high for one, is_so in zip(found, right, strict=True)]
    near = [
        abs(one.value - is_so) <= 0.6 * max(one.high - one.value, one.value - one.low)
        for one, is_so in zip(found, right, strict=True)
    ]
    return float(np.mean(missed)), 1 - float(np.mean(near))


_RIGHT: dict[Function, Callable[[Any], Any]] = {
    Function.COUNT: lambda values: np.full(len(values), ROWS),
    Function.SUM: lambda values: values.sum(axis=1),
    Function.MEAN: lambda values: values.mean(axis=1),
    Function.VARIANCE: lambda values: values.var(axis=1),
    Function.DEVIATION: lambda values: values.std(axis=1),
    Function.QUANTILE: lambda values: np.sort(values, axis=1)[:, ROWS // 2 - 1],
}


@pytest.mark.parametrize("noise", list(Noise))
@pytest.mark.parametrize("function", [
    Function.COUNT, Function.SUM, Function.MEAN, Function.VARIANCE, Function.DEVIATION,
])  # fmt: skip
def test_intervals_hold_what_they_promise(function: Function, noise: Noise) -> None:
    missed, beyond_half = shares_missed(Aggregate(function, "y", "x"), noise)
    assert missed <= _MOST_MISSED
    assert beyond_half > 0.05, "the interval is far wider than it must be"


@pytest.mark.parametrize("noise", list(Noise))
def test_intervals_of_quantiles_hold(noise: Noise) -> None:
    missed, _ = shares_missed(Aggregate(Function.QUANTILE, "y", "x"), noise, 300)
    assert missed <= 0.05


def test_what_is_foreseen_is_what_comes() -> None:
    rows = 20_000
    table = pa.table({"x": np.random.default_rng(1).integers(0, 101, rows)})
    query = Query((
        Aggregate(Function.COUNT, "n"), Aggregate(Function.SUM, "s", "x"),
        Aggregate(Function.MEAN, "m", "x"), Aggregate(Function.QUANTILE, "q", "x"),
    ))  # fmt: skip
    plan = plan_query(query, Terms(1.0, bounds={"x": Bounds(0, 100)}), kinds_of(table.schema))
    count, total, mean, middle = expectations(plan)
    estimates = run(plan, table).rows[0][1]
    assert count.half_width == estimates[0].high - estimates[0].value
    assert total.half_width == pytest.approx(estimates[1].high - estimates[1].value)
    # At worst all values are at a bound; in the middle the interval is narrower.
    assert mean.per_row is not None
    assert 0.6 < (estimates[2].high - estimates[2].value) / (mean.per_row / rows) <= 1.01
    assert middle.ranks is not None
    below = int((table["x"].to_numpy() < estimates[3].value).sum())
    assert below - middle.ranks <= rows / 2 <= below + 200 + middle.ranks
