"""How far sums of noise reach, against draws and against what is known exactly."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.engines.privacy.dp.mechanisms import Noise
from strongroom.engines.privacy.dp.tails import many_reach, reach


def test_one_term_is_the_quantile_of_its_distribution() -> None:
    one = np.array([[1.0], [-3.0], [0.0]])
    found = reach(Noise.LAPLACE, 2.0, one, 0.05)
    np.testing.assert_allclose(found, [2 * math.log(20), 6 * math.log(20), 0], atol=1e-9)
    found = reach(Noise.GAUSSIAN, 2.0, one, 0.05)
    np.testing.assert_allclose(found, [3.919928, 11.759784, 0], atol=1e-5)


def test_two_equal_terms() -> None:
    # The sum of two standard Laplace variables exceeds s in size with chance (1 + s/2) * exp(-s).
    (found,) = reach(Noise.LAPLACE, 1.0, np.array([[1.0, 1.0]]), 0.05)
    assert (1 + found / 2) * math.exp(-found) == pytest.approx(0.05, rel=5e-3)


@given(
    st.lists(st.floats(-1, 1), min_size=1, max_size=3).filter(lambda w: max(map(abs, w)) > 0.01),
    st.sampled_from([0.2, 0.05, 0.01]),
)
def test_tail_is_what_it_should_be(weights: list[float], miss: float) -> None:
    drawn = _DRAWS[:, : len(weights)] @ np.array(weights)
    (found,) = reach(Noise.LAPLACE, 1.0, np.array([weights]), miss)
    beyond = float((np.abs(drawn) > found).mean())
    assert abs(beyond - miss) < 0.006 + miss / 20


_DRAWS = np.random.default_rng(5).laplace(size=(40_000, 3))


@pytest.mark.parametrize("terms", [1, 4, 30])
def test_bound_for_many_terms_holds(terms: int) -> None:
    drawn = np.random.default_rng(terms).laplace(size=(100_000, terms)).sum(axis=1) / 2
    bound = many_reach(Noise.LAPLACE, 1.0, 0.5, terms, 0.01)
    assert (drawn > bound).mean() <= 0.01
    assert bound < 2.2 * np.quantile(drawn, 0.99)
    assert many_reach(Noise.GAUSSIAN, 2.0, 0.5, terms, 0.01) == pytest.approx(
        2.3263479 * math.sqrt(terms), rel=1e-6
    )
