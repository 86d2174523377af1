"""Inputs that an attacker makes up: always ones that could be."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.engines.robustness.sampling import freed, jittered, mixed, uniform
from strongroom.engines.robustness.space import Feature, Relation, Space

TIED = Space(
    [
        Feature("age", 0, 100, step=1.0, is_mutable=False),
        Feature("spent", 0.0, 10.0, direction=1),
        Feature("income", 0.0, 10.0),
        Feature("ward", levels=("a", "b", "c"), is_mutable=False),
    ],
    [Relation({"spent": 1.0, "income": -1.0}, 0.0)],
)
FREE = freed(TIED)


@given(st.integers(0, 1_000), st.floats(0.0, 2.0))
@settings(max_examples=25, deadline=None)
def test_what_is_made_up_could_be_a_row(seed: int, scale: float) -> None:
    rng = np.random.default_rng(seed)
    points = uniform(FREE, 20, rng)
    ground = np.zeros_like(points)
    assert FREE.valid(points, ground).all()
    assert FREE.valid(mixed(FREE, points, 30, rng), np.zeros((30, FREE.width))).all()
    assert FREE.valid(jittered(FREE, points, scale, rng), points).all()


def test_who_asks_about_nobody_is_free_in_what_others_are_not() -> None:
    points = uniform(FREE, 200, np.random.default_rng(0))
    assert len(set(FREE.decode(points)["ward"])) == 3
    assert len(set(FREE.decode(points)["age"])) > 50
    assert FREE.relations == TIED.relations


def test_a_mixture_lies_between_its_rows_and_takes_categories_whole() -> None:
    space = Space([Feature("x"), Feature("c", levels=("a", "b"))])
    rows = np.array([[0.2, 1.0, 0.0], [0.4, 0.0, 1.0]])
    made = mixed(space, rows, 300, np.random.default_rng(1))
    assert 0.199 < made[:, 0].min() < 0.25 < 0.35 < made[:, 0].max() < 0.401
    assert set(made[:, 1]) == {0.0, 1.0}
    assert ((made[:, 0] < 0.3) == (made[:, 1] == 1.0)).mean() > 0.8


@pytest.mark.parametrize("scale", [0.0, 0.1])
def test_noise_has_the_size_that_was_asked_for(scale: float) -> None:
    space = Space([Feature("x"), Feature("c", levels=("a", "b"))])
    rows = np.tile([0.5, 1.0, 0.0], (4_000, 1))
    made = jittered(space, rows, scale, np.random.default_rng(1))
    assert made[:, 0].std() == pytest.approx(scale, abs=0.005)
    assert (made[:, 2] == 1.0).mean() == pytest.approx(scale / 2, abs=0.02)
