"""Noise that costs what is said, and no less of it than that."""

import math

import numpy as np
import pytest
from dp_accounting import dp_event
from dp_accounting.rdp import RdpAccountant

from strongroom.engines.privacy.dp.training.noise import gaussian, rho_for
from strongroom.errors import ValidationError


@pytest.mark.parametrize(
    ("epsilon", "delta"), [(0.1, 1e-6), (0.5, 1e-5), (1, 1e-5), (4, 1e-7), (50, 1e-6)]
)
def test_rho_keeps_the_promise_by_another_accountant(epsilon: float, delta: float) -> None:
    """dp-accounting's Rényi accountant, on a fine grid of orders, is the independent oracle."""
    rho = rho_for(epsilon, delta)
    orders = (1 + np.geomspace(1e-3, 1e4, 4_000)).tolist()
    other = RdpAccountant(orders).compose(dp_event.ZCDpEvent(rho, 0.0)).get_epsilon(delta)
    assert other == pytest.approx(epsilon, rel=0.03)
    assert (
        rho
        >= (math.sqrt(epsilon + math.log(1 / delta)) - math.sqrt(math.log(1 / delta))) ** 2 * 0.95
    )


def test_noise_has_the_spread_that_rho_needs() -> None:
    noisy = gaussian(1_000, 0.125)
    drawn = noisy(np.zeros(4_000, np.int64))
    assert abs(drawn.mean()) < 2_000 * 5 / math.sqrt(4_000)
    assert drawn.std() == pytest.approx(2_000, rel=0.06)


def test_noise_that_does_not_fit_is_refused() -> None:
    with pytest.raises(ValidationError, match="larger"):
        gaussian(1 << 50, 1e-12)


@pytest.mark.parametrize(
    ("epsilon", "delta"),
    [(0.0, 1e-6), (-1, 1e-6), (math.nan, 1e-6), (math.inf, 1e-6), (101, 1e-6), (1, 0.0), (1, -1e-6),
     (1, 0.02), (1, 0.5), (1, 1.0), (1, math.nan)],
)  # fmt: skip
def test_a_promise_that_is_none_is_refused(epsilon: float, delta: float) -> None:
    with pytest.raises(ValidationError):
        rho_for(epsilon, delta)
