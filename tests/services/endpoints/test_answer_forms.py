"""What leaves an endpoint is rounded the same way in a batch as alone, and is no -0.0."""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from strongroom.errors import UnavailableError
from strongroom.services.endpoints.answer_forms import in_form
from strongroom.services.endpoints.guard_policies import GuardPolicy
from strongroom.services.endpoints.runners import Prediction

PLAIN = GuardPolicy()


def _form(table: NDArray[np.floating], decimals: int) -> list[list[float]]:
    labels = np.zeros(len(table), dtype=np.int64)
    probabilities = in_form(Prediction(labels, table), PLAIN, decimals)[1]
    assert probabilities is not None
    return probabilities


def _bits(rows: list[list[float]]) -> list[list[str]]:
    return [[number.hex() for number in row] for row in rows]


@pytest.mark.parametrize("kind", [np.float32, np.float64])
@pytest.mark.parametrize("decimals", [0, 1, 2, 4, 6, 9, 15])
def test_many_rows_are_rounded_as_each_alone(decimals: int, kind: type[np.floating]) -> None:
    rng = np.random.default_rng(decimals)
    halves = rng.integers(0, 2 * 10 ** min(decimals, 6), (400, 3)) / (2 * 10.0 ** min(decimals, 6))
    table = np.concatenate(
        [
            rng.random((400, 3)),
            rng.dirichlet([0.01] * 3, 400) - 1e-12,
            halves,
            np.nextafter(halves, 2),
            np.nextafter(halves, -1),
            rng.normal(0, 1e12, (50, 3)),
        ]
    ).astype(kind)
    together = _form(table, decimals)
    alone = [_form(table[place : place + 1], decimals)[0] for place in range(len(table))]
    assert _bits(together) == _bits(alone)
    for row, before in zip(together, table.tolist(), strict=True):
        assert row.index(max(row)) == before.index(max(before))
        assert all(math.copysign(1, number) > 0 for number in row if number == 0)


@pytest.mark.parametrize("rows", [1, 40], ids=["one", "many"])
@pytest.mark.parametrize("policy", [PLAIN, GuardPolicy(top=2)], ids=["plain", "top"])
def test_less_than_nothing_is_nothing(rows: int, policy: GuardPolicy) -> None:
    table = np.array([[-1e-9, 0.4, 0.6]] * rows)
    labels = np.array([-1e-9] * rows)
    numbers, probabilities = in_form(Prediction(labels, table), policy, 4)
    assert probabilities is not None
    assert "-" not in repr(numbers)
    assert "-" not in repr(probabilities)


@pytest.mark.parametrize("rows", [1, 40], ids=["one", "many"])
def test_what_is_no_number_does_not_leave(rows: int) -> None:
    table = np.full((rows, 2), 0.5)
    table[-1, 0] = np.nan
    with pytest.raises(UnavailableError):
        _form(table, 4)
