"""The curves that turn raw scores into confidences."""

import pytest

from strongroom.engines.privacy.discover.calibration import CURVES
from strongroom.engines.privacy.discover.confidence import calibrated


def test_the_curves_rise() -> None:
    assert {"any", "checksum", "dictionary", "name", "values", "statistics"} <= set(CURVES)
    for points in CURVES.values():
        assert list(points) == sorted(points)
        assert [share for _, share in points] == sorted(share for _, share in points)
        assert all(0 < share < 1 for _, share in points)


@pytest.mark.parametrize("basis", [*CURVES, "a basis of a later version"])
def test_a_better_score_is_never_less_sure(basis: str) -> None:
    sure = [calibrated(basis, score / 100) for score in range(101)]
    assert sure == sorted(sure)
    assert 0 <= sure[0] <= sure[-1] < 1
    points = CURVES.get(basis, CURVES["any"])
    assert calibrated(basis, points[0][0]) == points[0][1]
    between = (points[0][0] + points[1][0]) / 2
    assert points[0][1] <= calibrated(basis, between) <= points[1][1]
