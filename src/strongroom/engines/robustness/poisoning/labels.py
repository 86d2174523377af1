"""Wrong labels: rows whose label models deny that never saw them.

Confident learning (Northcutt, Jiang & Chuang, "Confident learning: estimating uncertainty in
dataset labels", 2021, sections 3.1 and 3.2): a class claims a row when its probability is above the
class's mean over its own rows; claims by labels make the confident joint, which counts how many
labels of each class are another's. Which rows these are, it tells less well: with few errors most
of what it prunes is honest. So the probabilities are those of several kinds of models (`folds`),
neighbours among them, and a row is flagged by how likely its label is wrong (`mistakes`), which
weighs each claim with how rare errors are in this table. Where one class alone is mixed with
another, its rows are weighed once more (`anchors`).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.poisoning.anchors import by_anchors
from strongroom.engines.robustness.poisoning.folds import out_of_fold
from strongroom.engines.robustness.poisoning.mistakes import know_the_labels, wrongness
from strongroom.engines.robustness.poisoning.table import Mask, Table
from strongroom.engines.robustness.target import Labels, Scores

FLAGGED = 0.3
"""Suspicion from which a row is flagged: of three rows on the list, one is wrong at the least."""


@dataclass(frozen=True, slots=True)
class LabelErrors:
    """What a search for wrong labels found.

    Attributes:
        suspicion: of each row, the probability that its label is wrong.
        is_flagged: rows to look at.
        suggested: the likeliest other class.
        joint: (given label, true label), estimated counts: the confident joint.
        weights: the part that each kind of model has in the answers.
        scores: the answers, (rows, classes).
        is_told: the answers know more of the labels than how frequent each is; else no label can
            be called wrong.
    """

    suspicion: NDArray[np.float64]
    is_flagged: Mask
    suggested: Labels
    joint: NDArray[np.float64]
    weights: dict[str, float]
    scores: Scores
    is_told: bool


def find_label_errors(
    table: Table, seed: int, progress: Callable[[float], None] = lambda _: None
) -> LabelErrors:
    """Search for wrong labels.

    Raises:
        ValidationError: the table is too small or has one class (`Table.lacks`).
    """
    table.require()
    answers = out_of_fold(table, seed, progress=progress)
    scores = answers.scores
    suspicion, _ = wrongness(scores, table.labels)
    mixed = by_anchors(scores, table.labels)
    if mixed is not None:
        suspicion = np.maximum(suspicion, mixed)
    others = scores.copy()
    others[np.arange(len(table)), table.labels] = -1.0
    return LabelErrors(
        suspicion, suspicion >= FLAGGED, others.argmax(axis=1).astype(np.int64),
        confident_joint(scores, table.labels), answers.weights, scores,
        know_the_labels(scores, table.labels),
    )  # fmt: skip


def thresholds(scores: Scores, labels: Labels) -> NDArray[np.float64]:
    """The mean probability of each class over its own rows; 1 for a class without rows."""
    counts = np.bincount(labels, minlength=scores.shape[1])
    sums = np.bincount(
        labels, weights=scores[np.arange(len(labels)), labels], minlength=scores.shape[1]
    )
    return np.where(counts > 0, sums / np.maximum(counts, 1), 1.0)


def claims(scores: Scores, labels: Labels) -> Labels:
    """The class that claims each row with the largest probability; -1 for none."""
    above = scores >= thresholds(scores, labels)
    claim = np.where(above, scores, -1.0).argmax(axis=1)
    return np.where(above.any(axis=1), claim, -1).astype(np.int64)


def confident_joint(scores: Scores, labels: Labels) -> NDArray[np.float64]:
    """Estimated counts by given and true label: claims, scaled to the counts of given labels."""
    classes = scores.shape[1]
    claim = claims(scores, labels)
    sure = claim >= 0
    counts = np.bincount(labels[sure] * classes + claim[sure], minlength=classes**2)
    joint = counts.reshape(classes, classes).astype(np.float64)
    given = np.bincount(labels, minlength=classes)
    empty = joint.sum(axis=1) == 0
    joint[empty, empty] = 1.0
    return np.asarray(joint / joint.sum(axis=1, keepdims=True) * given[:, None])
