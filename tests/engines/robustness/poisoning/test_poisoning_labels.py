import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from tests.engines.robustness.poisoning import poisoned

from strongroom.engines.robustness.poisoning.folds import fold_of, mixture, standardized
from strongroom.engines.robustness.poisoning.labels import (
    claims,
    confident_joint,
    find_label_errors,
    thresholds,
    wrongness,
)
from strongroom.engines.robustness.poisoning.planting import plant_flips
from strongroom.engines.robustness.poisoning.table import Table
from strongroom.engines.robustness.space import Space
from strongroom.errors import ValidationError

SCORES = np.array([[0.9, 0.1], [0.8, 0.2], [0.1, 0.9], [0.3, 0.7], [0.2, 0.8]])
LABELS = np.array([0, 0, 0, 1, 1])


def test_claims_by_hand() -> None:
    # Class 0: (0.9 + 0.8 + 0.1) / 3 = 0.6; class 1: (0.7 + 0.8) / 2 = 0.75.
    assert np.allclose(thresholds(SCORES, LABELS), [0.6, 0.75])
    assert claims(SCORES, LABELS).tolist() == [0, 0, 1, -1, 1]


def test_the_confident_joint_by_hand() -> None:
    # Claims by given label: 0: (2, 1), 1: (0, 1); scaled to 3 and 2 rows.
    assert np.allclose(confident_joint(SCORES, LABELS), [[2, 1], [0, 2]])


def test_a_class_without_rows_claims_nothing() -> None:
    scores = np.hstack([SCORES, np.zeros((5, 1))])
    assert thresholds(scores, LABELS)[2] == 1.0
    assert confident_joint(scores, LABELS).sum() == 5 + 0


def test_rates_of_a_known_mixture() -> None:
    """Labels of known chances, 8 % of class 0 mistaken for 1: suspicion is known by Bayes' rule."""
    rng = np.random.default_rng(0)
    chance = rng.beta(0.15, 0.15, 6_000)
    true = (rng.random(6_000) < chance).astype(int)
    wrong = (true == 0) & (rng.random(6_000) < 0.08)
    given = np.where(wrong, 1, true)
    suspicion, rates = wrongness(np.column_stack([1 - chance, chance]), given)
    assert rates[0, 1] == pytest.approx(0.08, abs=0.02)
    assert rates[1, 0] == pytest.approx(0.01)  # never less
    # Calibrated: of rows with suspicion around s, a share of s is wrong.
    for low, high in ((0.3, 0.7), (0.7, 1.01)):
        within = (suspicion >= low) & (suspicion < high)
        assert wrong[within].mean() == pytest.approx(suspicion[within].mean(), abs=0.12)
    bayes = given * (1 - chance) * 0.08 / (chance + (1 - chance) * 0.08)
    assert np.abs(bayes - suspicion).mean() < 0.02


def test_the_mixture_prefers_who_is_right() -> None:
    rng = np.random.default_rng(0)
    labels = rng.integers(0, 2, 300)
    good = np.where(np.eye(2)[labels] > 0, 0.9, 0.1)
    answers = {"good": good, "even": np.full((300, 2), 0.5)}
    scores, weights = mixture(answers, labels)
    assert weights["good"] > 0.95
    assert np.allclose(scores.sum(axis=1), 1)


def test_folds_spread_every_class() -> None:
    labels = np.repeat([0, 1], [50, 10])
    folds = fold_of(labels, 5, seed=1)
    for fold in range(5):
        assert (labels[folds == fold] == 1).sum() == 2


def test_a_constant_column_is_nothing() -> None:
    assert (standardized(np.ones((4, 2))) == 0).all()


def test_flips_in_breast_cancer() -> None:
    """Cleanlab 2.9 and a forest reach 0.82 and 0.88 here (mean of three draws)."""
    data = load_breast_cancer()
    low, high = data.data.min(axis=0), data.data.max(axis=0)
    clean = Table.of(Space.box(30), (data.data - low) / (high - low), data.target)
    planted = plant_flips(clean, 0.1, np.random.default_rng(0))
    found = find_label_errors(planted.table, seed=0)
    precision, recall = poisoned.accuracy(found.is_flagged, planted.is_bad)
    assert precision >= 0.82
    assert recall >= 0.82
    hits = found.is_flagged & planted.is_bad
    assert (found.suggested[hits] == clean.labels[hits]).all()


def test_targeted_flips_are_of_one_class() -> None:
    clean = poisoned.table(300)
    planted = plant_flips(clean, 0.1, np.random.default_rng(0), "targeted")
    assert len(np.unique(clean.labels[planted.is_bad])) == 1
    assert planted.is_bad.sum() == 30


def test_too_few_rows_are_refused() -> None:
    with pytest.raises(ValidationError, match="fewer than 20"):
        find_label_errors(poisoned.table(10), seed=0)
