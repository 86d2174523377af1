"""The signals of a guard, against independent implementations."""

import numpy as np
import pytest
from scipy.spatial.distance import cdist
from sklearn.covariance import LedoitWolf
from sklearn.datasets import load_wine

from strongroom.engines.robustness.guards.gaussians import Gaussians, shrunk
from strongroom.engines.robustness.guards.neighbours import NEAREST, VOTERS, Neighbours, averaged
from strongroom.engines.robustness.guards.squeezing import BINS, Squeezer, moved
from strongroom.engines.robustness.target import Labels, Rows


@pytest.fixture(scope="module")
def wine() -> tuple[Rows, Labels]:
    rows, labels = load_wine(return_X_y=True)
    rows = (rows - rows.min(axis=0)) / np.ptp(rows, axis=0)
    order = np.random.default_rng(0).permutation(len(rows))
    return rows[order], labels[order].astype(np.int64)


def test_the_scatter_is_that_of_ledoit_and_wolf(wine: tuple[Rows, Labels]) -> None:
    for rows in (wine[0], wine[0][:15]):
        inner = rows - rows.mean(axis=0)
        np.testing.assert_allclose(shrunk(inner), LedoitWolf().fit(rows).covariance_, atol=1e-12)


def test_distances_are_those_from_the_nearest_class(wine: tuple[Rows, Labels]) -> None:
    rows, labels = wine
    fitted = Gaussians.fit(rows, labels)
    means = np.stack([rows[labels == place].mean(axis=0) for place in range(3)])
    inner = rows - means[labels]
    inverse = np.linalg.inv(shrunk(inner) + 1e-6 * np.eye(13))
    expected = cdist(rows, means, "mahalanobis", VI=inverse).min(axis=1) ** 2
    np.testing.assert_allclose(fitted.distances(rows), expected, rtol=1e-3)
    assert fitted.distances(np.full((1, 13), 50.0))[0] > 100 * expected.max()


def test_votes_and_nearness_are_those_of_a_plain_search(wine: tuple[Rows, Labels]) -> None:
    rows, labels = wine
    fitted = Neighbours.fit(rows[:100], labels[:100], 3, 1, np.random.default_rng(0))
    asked, answers = rows[100:], np.roll(labels[100:], 1)
    odds, nearness = fitted.evidence(asked, answers)
    distances = cdist(asked, rows[:100])
    for place, row in enumerate(distances):
        near = np.argsort(row)[:VOTERS]
        weights = 1 / (row[near] + 0.1 * row[near].mean())
        agreed = VOTERS * weights[labels[near] == answers[place]].sum() / weights.sum()
        assert odds[place] == pytest.approx(
            np.log((VOTERS - agreed + 0.5) / (agreed + 0.5)), abs=1e-3
        )
        means = [np.sort(row[labels[:100] == one])[:NEAREST].mean() for one in range(3)]
        own = means.pop(int(answers[place]))
        assert nearness[place] == pytest.approx(np.log(own / min(means)), abs=1e-3)


def test_a_class_without_rows_is_infinitely_far(wine: tuple[Rows, Labels]) -> None:
    rows, labels = wine
    kept = labels < 2
    fitted = Neighbours.fit(rows[kept], labels[kept], 4, 1, np.random.default_rng(0))
    own = rows[labels == 0][:2]
    odds, nearness = fitted.evidence(own, np.array([3, 0]))
    assert np.isfinite(odds).all()
    assert np.isfinite(nearness).all()
    assert nearness[0] > 80
    assert nearness[1] < 0


@pytest.mark.parametrize("group", [1, 2, 5, 40])
def test_points_are_means_of_so_many_rows(group: int) -> None:
    rows = np.random.default_rng(group).random((203, 3))
    points = averaged(rows, group)
    assert len(points) <= len(rows) // group
    if group == 1:
        np.testing.assert_array_equal(points, rows)
        return
    assert cdist(points, rows).min() > 1e-6, "a point is one of the rows"
    assert len(averaged(rows[: group - 1], group)) == 1


def test_squeezed_rows_are_medians_of_bins(wine: tuple[Rows, Labels]) -> None:
    rows, _ = wine
    squeezer = Squeezer.fit(rows)
    made = squeezer.squeezed(rows)
    for place in range(rows.shape[1]):
        values = np.unique(made[:, place])
        assert len(values) <= BINS
        order = np.argsort(rows[:, place], kind="stable")
        assert (np.diff(made[order, place]) >= 0).all(), "larger values squeeze to smaller ones"
        spread = np.abs(made[:, place] - rows[:, place])
        assert np.median(spread) < 0.05
    scores = np.array([[1.0, 0.0], [0.5, 0.5]])
    np.testing.assert_allclose(moved(scores, scores[::-1]), [1.0, 1.0])
