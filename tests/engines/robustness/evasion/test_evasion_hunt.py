"""The hunt: what it takes, what it keeps, what it counts."""

import numpy as np
import pytest
from tests.engines.robustness.evasion.evasion_models import linear, linear_hunt, loan_space

from strongroom.engines.robustness.evasion.hunt import Hunt, margins_of
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import QueriesSpent, Rows, Target
from strongroom.errors import ValidationError


@pytest.mark.parametrize(
    ("origins", "labels", "says"),
    [
        (np.zeros((2, 5)), [0, 0], "coordinates"),
        (np.zeros((0, 6)), [], "attacked at once"),
        (np.zeros((2, 6)), [0, 2], "label"),
        (np.zeros((2, 6)), [0], "label"),
        (np.full((2, 6), np.nan), [0, 0], "no number"),
    ],
    ids=["width", "none", "class", "count", "missing"],
)
def test_refuses_rows_that_cannot_be_attacked(origins: Rows, labels: list[int], says: str) -> None:
    with pytest.raises(ValidationError, match=says):
        Hunt(Target(linear, classes=2), Space.box(6), origins, np.array(labels, dtype=np.int64))


def test_refuses_a_regression() -> None:
    target = Target(lambda rows: rows[:, :1], classes=1)
    with pytest.raises(ValidationError, match="classes"):
        Hunt(target, Space.box(6), np.zeros((2, 6)), np.zeros(2, dtype=np.int64))


def test_keeps_the_nearest_wrong_answer_and_counts() -> None:
    hunt, _ = linear_hunt("l2", rows=1)
    origin = hunt.origins[0]
    step = -np.sign(linear(origin[None])[0, 1] - 0.5) * np.array([1.0, -1, 1, 1, -1, 0])
    points = np.stack([origin + 0.9 * step, origin + 0.6 * step, origin])[None]
    is_wrong = hunt.wrong(points, np.array([0]))
    assert is_wrong[0, 0]
    assert not is_wrong[0, 2]
    nearest = min(np.linalg.norm(point - origin) for point in points[0][is_wrong[0]])
    found = hunt.found()
    assert found.distances[0] == pytest.approx(nearest)
    assert linear(found.points).argmax(axis=1)[0] != hunt.labels[0]
    assert found.queries == 4


def test_nothing_is_asked_without_budget() -> None:
    target = Target(linear, classes=2, budget=1)
    with pytest.raises(QueriesSpent):
        Hunt(target, Space.box(6), np.zeros((2, 6)), np.zeros(2, dtype=np.int64))


def test_a_tie_goes_to_the_first_class_as_in_an_answer() -> None:
    scores = np.array([[0.5, 0.5], [0.5, 0.5], [0.2, 0.8]])
    margins = margins_of(scores, np.array([0, 1, 1]))
    assert margins[0] > 0 > margins[1]
    assert margins[2] == pytest.approx(0.6)


def test_bounds_follow_the_space() -> None:
    space = loan_space()
    origins = np.tile(np.array([[0.5, 0.2, 0.4, 1, 0, 0, 0.3, 0, 1]]), (2, 1))
    hunt = Hunt(
        Target(lambda rows: np.tile([1.0, 0.0], (len(rows), 1)), classes=2),
        space, origins, np.zeros(2, dtype=np.int64),
    )  # fmt: skip
    assert not hunt.is_plain
    assert hunt.low[0, 6] == 0.3  # age only grows
    assert hunt.low[0, 7:].tolist() == hunt.high[0, 7:].tolist() == [0.0, 1.0]
