import numpy as np
import pytest
from sklearn.datasets import load_breast_cancer
from tests.engines.robustness.poisoning import poisoned

from strongroom.engines.robustness.poisoning.folds import fold_of, mixture, standardized
from strongroom.engines.robustness.poisoning.labels import (
    FLAGGED,
    claims,
    confident_joint,
    find_label_errors,
    thresholds,
)
from strongroom.engines.robustness.poisoning.mistakes import know_the_labels, wrongness
from strongroom.engines.robustness.poisoning.planting import plant_flips
from strongroom.engines.robustness.poisoning.table import Table
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Labels, Scores
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


def drawn_classes(count: int) -> tuple[Scores, Labels]:
    """Twelve classes that overlap, with the very chances of their labels."""
    rng = np.random.default_rng(1)
    scores = rng.dirichlet(np.full(12, 0.3), count)
    labels = (rng.random((count, 1)) < scores.cumsum(axis=1)).argmax(axis=1)
    return scores, labels.astype(np.int64)


def test_honest_labels_of_classes_that_overlap_are_left_alone() -> None:
    """Models that are a little wrong about twelve classes: their error is no mistake of labels.

    Occupations of Adult were flagged at 43 % while each pair of classes had a rate of its own.
    """
    scores, labels = drawn_classes(3_000)
    assert (scores.argmax(axis=1) == labels).mean() < 0.6
    blurred = 0.8 * scores + 0.2 * np.roll(scores, 1, axis=1)  # each class for the next
    for given in (scores, blurred):
        suspicion, rates = wrongness(given, labels)
        assert (suspicion >= FLAGGED).mean() <= 0.04
        assert 1 - np.diag(rates).mean() <= 0.06


def test_a_pair_of_classes_gets_a_rate_of_its_own_where_it_pays() -> None:
    rng = np.random.default_rng(0)
    true = rng.integers(0, 6, 1_200)
    scores = np.full((1_200, 6), 0.01) + 0.94 * np.eye(6)[true]
    labels = true.copy()
    wrong = (true == 2) & (rng.random(1_200) < 0.3)
    labels[wrong] = 4
    suspicion, rates = wrongness(scores, labels)
    assert rates[2, 4] == pytest.approx(wrong.sum() / (true == 2).sum(), abs=0.02)
    others = rates.copy()
    np.fill_diagonal(others, 0)
    others[2, 4] = 0
    assert others.max() <= 0.0021  # the least: one in a hundred, over five others
    assert (suspicion[wrong] > 0.9).all()
    assert (suspicion[~wrong] < 0.1).all()


def test_answers_that_know_no_more_than_the_shares_tell_nothing() -> None:
    rng = np.random.default_rng(0)
    labels = rng.choice(3, 600, p=[0.8, 0.15, 0.05])
    shares = np.bincount(labels) / 600
    vain = rng.dirichlet(30 * shares, 600)
    assert not know_the_labels(vain, labels)
    assert not know_the_labels(np.tile(shares, (600, 1)), labels)
    # A rare class that is known is enough, although the commonest is always named.
    knowing = np.tile(shares, (600, 1))
    knowing[labels == 2] = [0.6, 0.1, 0.3]
    assert (knowing.argmax(axis=1) == 0).all()
    assert know_the_labels(knowing, labels)
    suspicion, rates = wrongness(vain, labels)
    assert np.diag(rates).min() >= 0.5 - 1e-9
    assert np.isfinite(suspicion).all()


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
