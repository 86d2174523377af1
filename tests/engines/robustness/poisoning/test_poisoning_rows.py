import numpy as np
import pytest
from tests.engines.robustness.poisoning import poisoned

from strongroom.engines.robustness.poisoning.duplicates import find_duplicates
from strongroom.engines.robustness.poisoning.labels import LabelErrors
from strongroom.engines.robustness.poisoning.outliers import find_outliers
from strongroom.engines.robustness.poisoning.planting import (
    plant_copies,
    plant_extremes,
)
from strongroom.engines.robustness.poisoning.quarantine import as_json, quarantine
from strongroom.engines.robustness.poisoning.spectral import leaf_embedding, spectral_scores
from strongroom.engines.robustness.poisoning.table import Table
from strongroom.engines.robustness.space import Space


def test_equal_rows_by_hand() -> None:
    rows = np.array([[0.1, 0.2], [0.3, 0.4], [0.1, 0.2], [-0.0, np.nan], [0.0, np.nan]])
    table = Table.of(Space.box(2), rows, np.array([0, 1, 1, 0, 0]))
    found = find_duplicates(table, held=np.array([[0.3, 0.4], [0.9, 0.9]]))
    assert found.group.tolist() == [0, 1, 0, 3, 3]
    assert found.is_repeated.tolist() == [False, False, True, False, True]
    assert found.contradicts.tolist() == [True, False, True, False, False]
    assert found.leaked.tolist() == [False, True, False, False, False]


def test_almost_equal_rows_with_another_label() -> None:
    table = poisoned.table(200)
    rows = np.vstack([table.rows, table.rows[:3] + 0.001 * np.eye(10)[0]])
    labels = np.concatenate([table.labels, 1 - table.labels[:3]])
    found = find_duplicates(Table.of(table.space, rows, labels))
    assert found.near[200:].tolist() == [0, 1, 2]
    assert np.flatnonzero(found.near_contradicts).tolist() == [0, 1, 2, 200, 201, 202]
    assert not found.contradicts.any()


def test_planted_copies_are_all_found() -> None:
    planted = plant_copies(poisoned.table(200), 0.05, np.random.default_rng(0))
    found = find_duplicates(planted.table)
    assert (found.contradicts & found.is_repeated)[planted.is_bad].all()
    assert found.contradicts.sum() == 2 * planted.is_bad.sum()


@pytest.mark.parametrize("spread", ["normal", "even", "skewed"])
def test_rows_of_rarest_values_lie_outside(spread: str) -> None:
    rng = np.random.default_rng(0)
    drawn = {
        "normal": rng.normal(0.5, 0.1, (400, 8)),
        "even": rng.random((400, 8)),
        "skewed": rng.exponential(0.1, (400, 8)),
    }
    rows = np.clip(drawn[spread], 0, 1)
    table = Table.of(Space.box(8), rows, rng.integers(0, 2, 400))
    planted = plant_extremes(table, 0.02, rng)
    found = find_outliers(planted.table, seed=0)
    assert found.is_outlier[planted.is_bad].mean() > 0.8
    assert found.is_outlier[~planted.is_bad].mean() < 0.05
    assert found.score[planted.is_bad].min() > 0.9
    assert np.median(found.score[planted.is_bad]) > 0.97


def test_equal_rows_are_no_outliers() -> None:
    table = Table.of(Space.box(2), np.full((30, 2), 0.5), np.arange(30) % 2)
    assert not find_outliers(table, seed=0).is_outlier.any()


def test_spectral_scores_are_along_the_main_direction() -> None:
    """A tenth of a class moved along one axis by ten deviations lies on its first direction."""
    rng = np.random.default_rng(0)
    embedding = rng.normal(size=(200, 5))
    embedding[:20, 2] += 10
    scores = spectral_scores(embedding, np.zeros(200, np.int64))
    assert set(np.argsort(-scores)[:20].tolist()) == set(range(20))
    covariance = np.cov(embedding.T, bias=True)
    assert scores.mean() == pytest.approx(np.linalg.eigvalsh(covariance)[-1])


def test_rows_that_share_leaves_are_near() -> None:
    table = poisoned.table(200)
    made = leaf_embedding(table, seed=0)
    same = np.linalg.norm(made[table.labels == 0].mean(axis=0) - made[table.labels == 0], axis=1)
    other = np.linalg.norm(made[table.labels == 0].mean(axis=0) - made[table.labels == 1], axis=1)
    assert same.mean() < other.mean()


def test_the_list_names_places_and_reasons() -> None:
    table = poisoned.table(100)
    copies = plant_copies(table, 0.02, np.random.default_rng(0))
    suspicion = np.where(np.arange(len(copies.table)) < 5, 0.8, 0.1)
    errors = LabelErrors(
        suspicion, suspicion > 0.3, 1 - copies.table.labels, np.eye(2), {}, np.eye(2), is_told=True,
    )  # fmt: skip
    listed = quarantine(copies.table, labels=errors, duplicates=find_duplicates(copies.table))
    assert [one.suspicion for one in listed] == sorted(
        (one.suspicion for one in listed), reverse=True
    )
    assert {one.row for one in listed if one.suggested is not None} == set(range(5))
    assert {one.row for one in listed} >= set(np.flatnonzero(copies.is_bad).tolist())
    plain = as_json(listed, ["no", "yes"])
    assert set(plain[0]) == {"row", "suspicion", "reasons", "suggested_label"}
    assert plain[0]["suggested_label"] in {"no", "yes"}
    assert plain[-1]["suggested_label"] is None
