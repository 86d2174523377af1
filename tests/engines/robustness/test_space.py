"""The space of inputs: values and points, and what could be an input."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from strongroom.engines.robustness.space import MAX_LEVELS, Feature, Relation, Space
from strongroom.errors import ValidationError

SPACE = Space(
    [
        Feature("age", 18, 98, step=1, direction=1),
        Feature("income", 0, 1_000),
        Feature("spent", 0, 1_000),
        Feature("blood", levels=("A", "B", "0"), is_mutable=False),
        Feature("work", levels=("none", "part", "full")),
    ],
    [Relation({"spent": 1, "income": -1}, 0)],
)


def rows(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    rng = np.random.default_rng(seed)
    income = rng.uniform(0, 1_000, count)
    return {
        "age": rng.integers(18, 99, count).astype(float),
        "income": income,
        "spent": income * rng.uniform(0, 1, count),
        "blood": rng.choice(["A", "B", "0"], count).astype(object),
        "work": rng.choice(["none", "part", "full"], count).astype(object),
    }


def test_values_come_back_as_they_were() -> None:
    table = rows(50)
    back = SPACE.decode(SPACE.encode(table))
    for name, values in table.items():
        if values.dtype == object:
            assert back[name].tolist() == values.tolist()
        else:
            np.testing.assert_allclose(back[name].astype(float), values.astype(float), atol=1e-9)


def test_coordinates_are_shares_of_the_range_and_whole_levels() -> None:
    point = SPACE.encode(
        {
            "age": np.array([58.0]), "income": np.array([250.0]), "spent": np.array([0.0]),
            "blood": np.array(["B"], dtype=object), "work": np.array(["full"], dtype=object),
        }
    )  # fmt: skip
    np.testing.assert_allclose(point, [[0.5, 0.25, 0, 0, 1, 0, 0, 0, 1]])
    np.testing.assert_allclose(SPACE.matrix(point), [[58, 250, 0, 1, 2]])


def test_what_was_there_can_be_an_input() -> None:
    points = SPACE.encode(rows(200))
    assert SPACE.valid(points, points).all()


@settings(max_examples=60, deadline=None)
@given(
    arrays.arrays(np.float64, (4, SPACE.width), elements=st.floats(-2, 3)),
    st.integers(0, 1_000),
)
def test_a_projected_point_can_be_an_input(points: np.ndarray, seed: int) -> None:
    origins = SPACE.encode(rows(4, seed))
    made = SPACE.project(points, origins)
    assert SPACE.valid(made, origins).all()
    np.testing.assert_allclose(SPACE.project(made, origins), made, atol=1e-9)
    assert (made[:, 0] >= origins[:, 0] - 1e-9).all()
    np.testing.assert_array_equal(made[:, 3:6], origins[:, 3:6])


@pytest.mark.parametrize(
    ("place", "value"),
    [(0, 0.3001), (0, 0.0), (1, 1.2), (2, 0.9), (3, 1.0), (6, 0.4)],
    ids=[
        "between steps",
        "against its direction",
        "out of range",
        "relation",
        "immutable",
        "level",
    ],
)
def test_what_cannot_be_an_input_is_told(place: int, value: float) -> None:
    origin = np.array([[0.3, 0.5, 0.25, 0, 1, 0, 1, 0, 0]])
    assert SPACE.valid(origin, origin).all()
    point = origin.copy()
    point[0, place] = value
    assert not SPACE.valid(point, origin).any()


def test_an_equality_holds_after_projection() -> None:
    space = Space(
        [Feature("a", 0, 10), Feature("b", 0, 10), Feature("sum", 0, 20)],
        [Relation({"a": 1, "b": 1, "sum": -1}, 0, is_equality=True)],
    )
    origins = space.encode({"a": np.array([1.0]), "b": np.array([2.0]), "sum": np.array([3.0])})
    moved = space.decode(space.project(origins + np.array([[0.4, 0, 0]]), origins))
    assert math.isclose(moved["a"][0] + moved["b"][0], moved["sum"][0], abs_tol=1e-4)
    assert moved["a"][0] > 2


def test_a_missing_number_is_no_input_and_stays_missing() -> None:
    space = Space([Feature("a", 0, 10)])
    points = space.encode({"a": np.array([np.nan, 5.0])})
    assert space.valid(points, points).tolist() == [False, True]
    assert np.isnan(space.decode(points)["a"].astype(float)).tolist() == [True, False]


def test_values_beyond_the_range_may_stay_where_they_are() -> None:
    space = Space([Feature("a", 0, 10)])
    points = space.encode({"a": np.array([12.0])})
    assert space.valid(points, points).all()
    np.testing.assert_allclose(space.relax(points + 1, points), [[1.2]])


@pytest.mark.parametrize(
    "features",
    [
        [],
        [Feature("a"), Feature("a")],
        [Feature("a", 1, 0)],
        [Feature("a", 0, math.inf)],
        [Feature("a", levels=("x", "x"))],
        [Feature("a", levels=tuple(map(str, range(MAX_LEVELS + 1))))],
    ],
    ids=["none", "one name twice", "no range", "infinite", "one level twice", "too many levels"],
)
def test_a_space_that_makes_no_sense_is_refused(features: list[Feature]) -> None:
    with pytest.raises(ValidationError):
        Space(features)


def test_relations_are_between_numbers_that_are_there() -> None:
    for name in ("b", "c"):
        with pytest.raises(ValidationError, match=name):
            Space([Feature("a"), Feature("c", levels=("x",))], [Relation({"a": 1, name: 1}, 0)])


def test_a_foreign_level_and_a_missing_column_are_named() -> None:
    with pytest.raises(ValidationError, match="work"):
        SPACE.encode({**rows(2), "work": np.array(["none", "night"], dtype=object)})
    table = rows(2)
    del table["spent"]
    with pytest.raises(ValidationError, match="spent"):
        SPACE.encode(table)
