"""The walk along the edge: near the exact distance on a linear model, valid where a space binds."""

import numpy as np
import pytest
from tests.engines.robustness.evasion.evasion_models import (
    BIAS,
    WEIGHTS,
    linear_hunt,
    loan_model,
    loan_rows,
    loan_space,
)  # fmt: skip

from strongroom.engines.robustness.evasion import boundary as module
from strongroom.engines.robustness.evasion import linear
from strongroom.engines.robustness.evasion.boundary import boundary
from strongroom.engines.robustness.evasion.hunt import Hunt, Norm
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Target


@pytest.mark.parametrize(("norm", "most"), [("l2", 1.05), ("linf", 1.5)])
def test_comes_near_the_exact_distance_and_never_below(norm: Norm, most: float) -> None:
    # In Linf the walk, which is measured in L2, ends at the L2 nearest: farther, as it must be.
    hunt, pool = linear_hunt(norm)
    _, exact = linear.nearest(
        WEIGHTS, BIAS, hunt.origins, hunt.labels, hunt.low, hunt.high, norm
    )  # fmt: skip
    seen: list[float] = []
    boundary(hunt, np.random.default_rng(0), pool=pool, turns=700, progress=seen.append)
    ratios = hunt.found().distances / exact
    assert (ratios >= 1 - 1e-9).all()
    assert np.median(ratios) <= most
    assert seen == sorted(seen)
    assert seen[-1] == 1.0


def test_a_seed_repeats_and_more_turns_never_do_worse() -> None:
    distances = []
    for turns in (50, 400, 400):
        hunt, pool = linear_hunt("l2", rows=6)
        boundary(hunt, np.random.default_rng(3), pool=pool, turns=turns)
        distances.append(hunt.found().distances)
    assert (distances[1] <= distances[0]).all()
    assert (distances[1] == distances[2]).all()
    assert distances[1].mean() < distances[0].mean()


def test_a_walk_without_sizes_that_adapt_stays_far(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_sized", lambda sizes, _wrong, _rate: sizes)
    hunt, pool = linear_hunt("l2")
    exact = linear.nearest(
        WEIGHTS, BIAS, hunt.origins, hunt.labels, hunt.low, hunt.high, "l2"
    )[1]  # fmt: skip
    boundary(hunt, np.random.default_rng(0), pool=pool, turns=700)
    assert np.median(hunt.found().distances / exact) > 1.05


def test_what_a_space_forbids_is_never_found() -> None:
    space = loan_space()
    rows, model = loan_rows(space), loan_model(space)
    labels = np.asarray(model(rows).argmax(axis=1), dtype=np.int64)
    hunt = Hunt(Target(model, classes=2), space, rows, labels)
    boundary(hunt, np.random.default_rng(0), pool=rows, turns=150)
    found = hunt.found()
    assert found.is_found.mean() >= 0.9
    assert space.valid(found.points, rows).all()
    assert (model(found.points).argmax(axis=1) != labels)[found.is_found].all()


def test_it_ends_when_the_queries_are_spent_or_nothing_is_wrong() -> None:
    hunt, pool = linear_hunt("l2", budget=200)
    boundary(hunt, np.random.default_rng(0), pool=pool)
    assert hunt.found().queries <= 200
    same = Target(lambda rows: np.tile([1.0, 0.0], (len(rows), 1)), classes=2)
    none = Hunt(same, Space.box(3), np.full((2, 3), 0.5), np.zeros(2, dtype=np.int64))
    boundary(none, np.random.default_rng(0), pool=np.zeros((4, 3)))
    assert not none.found().is_found.any()
