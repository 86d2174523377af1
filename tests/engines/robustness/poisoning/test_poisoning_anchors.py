"""Flips that models learn: decoded where one class alone is mixed, left alone everywhere else."""

import numpy as np
import pytest
from numpy.typing import NDArray
from sklearn.datasets import load_iris

from strongroom.engines.robustness.poisoning import labels as module
from strongroom.engines.robustness.poisoning.anchors import by_anchors, decoded, mixed_class
from strongroom.engines.robustness.poisoning.labels import find_label_errors
from strongroom.engines.robustness.poisoning.mistakes import wrongness
from strongroom.engines.robustness.poisoning.planting import plant_flips
from strongroom.engines.robustness.poisoning.table import Table
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Labels, Scores

Numbers = NDArray[np.float64]


def mixed(
    share: float, classes: int = 4, rows: int = 200, spread: float = 0.08
) -> tuple[Scores, Labels, NDArray[np.bool_]]:
    """Scores of models that learned that a share of class 0 is called 1; and which rows these are.

    Args:
        spread: of what the models say, for rows of class 0.
    """
    rng = np.random.default_rng(0)
    true = np.repeat(np.arange(classes), rows)
    is_bad = (true == 0) & (rng.random(len(true)) < share)
    labels = np.where(is_bad, 1, true)
    scores = np.full((len(true), classes), 0.01)
    scores[np.arange(len(true)), true] = 1.0
    own = true == 0
    said = np.clip(share + rng.normal(0, spread, own.sum()), 0, 1)
    scores[own, 0], scores[own, 1] = 1 - said, said + 0.01
    return scores / scores.sum(axis=1, keepdims=True), labels, is_bad


@pytest.mark.parametrize("share", [0.2, 0.4, 0.55])
def test_what_one_class_lost_is_found(share: float) -> None:
    scores, labels, is_bad = mixed(share)
    found = mixed_class(scores, labels)
    assert found is not None
    assert found[0] == 0
    wrong = by_anchors(scores, labels)
    assert wrong is not None
    assert (wrong[is_bad] >= module.FLAGGED).mean() >= 0.95
    assert (wrong[~is_bad] >= module.FLAGGED).mean() <= 0.01
    # A class that is right keeps its rows, whatever the first one lost to it.
    assert wrong[(labels == 1) & ~is_bad].max() < 0.5


def test_true_classes_are_decoded_with_known_rates() -> None:
    rates = np.array([[0.5, 0.5, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.0]])
    true = np.array([[1.0, 0.0, 0.0], [0.4, 0.6, 0.0], [0.0, 0.3, 0.7]])
    made = decoded(true @ rates, rates, np.full((3, 3), 1 / 3), 400)
    np.testing.assert_allclose(made, true, atol=0.01)


def test_it_speaks_only_where_one_class_alone_is_mixed() -> None:
    scores, labels, _ = mixed(0.0)
    assert by_anchors(scores, labels) is None  # nothing was flipped
    scores, labels, _ = mixed(0.4, classes=2)
    assert by_anchors(scores, labels) is None  # of two, either could be the mixed one
    scores, labels, _ = mixed(0.4)
    blurred = 0.7 * scores + 0.3 / scores.shape[1]
    assert by_anchors(blurred, labels) is None  # classes overlap everywhere
    scores, labels, _ = mixed(0.9)
    assert by_anchors(scores, labels) is None  # hardly any row is called so
    few = np.flatnonzero((labels != 3) | (np.cumsum(labels == 3) <= 3))
    assert by_anchors(scores[few], labels[few]) is None
    assert by_anchors(np.full((12, 3), 1 / 3), np.arange(12) % 3) is None


def test_targeted_flips_of_a_table_are_found_with_it_and_not_without() -> None:
    rows, labels = load_iris(return_X_y=True)
    rows = (rows - rows.min(axis=0)) / np.ptp(rows, axis=0)
    table = Table.of(Space.box(4), rows, labels.astype(np.int64))
    planted = plant_flips(table, 0.05, np.random.default_rng(0), "targeted")
    found = find_label_errors(planted.table, 0)
    hits = found.is_flagged & planted.is_bad
    assert hits.sum() >= 7  # of 8
    assert hits.sum() / found.is_flagged.sum() >= 0.8
    assert (found.suggested[hits] == labels[hits]).all()
    without, _ = wrongness(found.scores, planted.table.labels)
    assert (without[planted.is_bad] >= module.FLAGGED).sum() <= 5
