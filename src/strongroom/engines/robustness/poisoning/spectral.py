"""Spectral signatures: rows of a class that lie far along its main direction in an embedding.

Source: Tran, Li & Madry, "Spectral signatures in backdoor attacks", 2018, algorithm 1. For models
of tables the embedding is the leaves of a forest: two rows are near when many trees send them to
one leaf. It is a weak sign there (docs/robustness-poisoning.md has figures), so it never names a
row alone.
"""

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.poisoning.table import Table
from strongroom.engines.robustness.target import Labels

_WIDTH = 64
"""Random directions that one-hot leaves are folded into."""


def spectral_scores(embedding: NDArray[np.float64], labels: Labels) -> NDArray[np.float64]:
    """The squared length of each row along the first singular vector of its class.

    Args:
        embedding: (rows, width), of the layer or leaves that the answer is made from.
        labels: that the rows were learned with.
    """
    scores = np.zeros(len(embedding))
    for label in np.unique(labels):
        at = np.flatnonzero(labels == label)
        centred = embedding[at] - embedding[at].mean(axis=0)
        _, _, directions = np.linalg.svd(centred, full_matrices=False)
        scores[at] = (centred @ directions[0]) ** 2
    return scores


def leaf_embedding(table: Table, seed: int) -> NDArray[np.float64]:
    """Leaves of a forest, folded into few numbers that keep distances (Achlioptas 2003)."""
    from sklearn.ensemble import ExtraTreesClassifier

    forest = ExtraTreesClassifier(
        n_estimators=50, min_samples_leaf=3, random_state=seed, n_jobs=1
    ).fit(table.rows, table.labels)
    leaves = forest.apply(table.rows)
    rng = np.random.default_rng(seed)
    embedding = np.zeros((len(table), _WIDTH))
    for tree in range(leaves.shape[1]):
        signs = rng.choice([-1.0, 1.0], (int(leaves[:, tree].max()) + 1, _WIDTH))
        embedding += signs[leaves[:, tree]]
    return np.asarray(embedding / np.sqrt(leaves.shape[1] * _WIDTH))
