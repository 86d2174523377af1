"""Exact distances of linear models against SciPy's solvers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.optimize import linprog, minimize

from strongroom.engines.robustness.evasion.hunt import Norm
from strongroom.engines.robustness.evasion.linear import nearest, shortest


def drawn(seed: int) -> tuple[np.ndarray, np.ndarray, float]:
    rng = np.random.default_rng(seed)
    slopes = rng.normal(size=5) * (rng.random(5) < 0.8)
    origin = rng.random(5)
    most = float(np.where(slopes > 0, slopes * (1 - origin), -slopes * origin).sum())
    return slopes, origin, most


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10_000), st.floats(0.05, 0.95))
def test_linf_is_what_linear_programming_finds(seed: int, part: float) -> None:
    slopes, origin, most = drawn(seed)
    need = part * most
    moves, found = shortest(
        np.array([need]), slopes[None], origin[None], np.zeros((1, 5)), np.ones((1, 5)), "linf"
    )
    # min r with |m| <= r, slopes . m >= need, 0 <= origin + m <= 1
    side = np.concatenate([np.vstack([np.eye(5), -np.eye(5)]), -np.ones((10, 1))], axis=1)
    oracle = linprog(
        np.append(np.zeros(5), 1.0),
        A_ub=np.vstack([np.append(-slopes, 0.0), side]), b_ub=np.append(-need, np.zeros(10)),
        bounds=[*zip(-origin, 1 - origin, strict=True), (0, None)],
    )  # fmt: skip
    assert found[0] == pytest.approx(oracle.fun, abs=1e-7)
    assert moves[0] @ slopes >= need - 1e-9


@pytest.mark.parametrize("seed", range(6))
def test_l2_is_what_a_solver_finds(seed: int) -> None:
    slopes, origin, most = drawn(seed)
    need = 0.6 * most
    moves, found = shortest(
        np.array([need]), slopes[None], origin[None], np.zeros((1, 5)), np.ones((1, 5)), "l2"
    )
    oracle = minimize(
        lambda m: float(m @ m), np.full(5, 0.01), jac=lambda m: 2 * m, method="SLSQP",
        bounds=list(zip(-origin, 1 - origin, strict=True)),
        constraints={"type": "ineq", "fun": lambda m: float(slopes @ m - need)},
        options={"ftol": 1e-14, "maxiter": 500},
    )  # fmt: skip
    assert found[0] == pytest.approx(np.sqrt(oracle.fun), rel=1e-4)
    assert moves[0] @ slopes == pytest.approx(need)


@pytest.mark.parametrize("norm", ["l2", "linf"])
def test_what_the_bounds_do_not_allow_is_infinitely_far(norm: Norm) -> None:
    slopes, origin, most = drawn(1)
    _, found = shortest(
        np.array([most * 1.01]), slopes[None], origin[None], np.zeros((1, 5)), np.ones((1, 5)), norm
    )
    assert np.isinf(found[0])


def test_of_three_classes_the_nearest_rival_counts() -> None:
    weights = np.array([[1.0, 0.0], [-1.0, 0.0], [0.0, 3.0]])
    origin = np.array([[0.5, 0.1]])
    wide = np.full((1, 2), 10.0)
    _, found = nearest(weights, np.zeros(3), origin, np.array([0]), -wide, wide, "l2")
    # To class 1: 2 * 0.5 / 2; to class 2: (0.5 - 0.3) / sqrt(10).
    assert found[0] == pytest.approx(0.2 / np.sqrt(10))
