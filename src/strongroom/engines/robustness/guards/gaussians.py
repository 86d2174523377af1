"""How far a row lies from every class, in units of how rows scatter within one.

Source: Lee, Lee, Lee & Shin, "A simple unified framework for detecting out-of-distribution samples
and adversarial attacks", 2018 (class means, one shared covariance); Ledoit & Wolf, "A
well-conditioned estimator for large-dimensional covariance matrices", 2004 (shrinkage).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.guards.conformal import Numbers
from strongroom.engines.robustness.target import Labels, Rows

_FLOOR = 1e-6
"""Least variance of a coordinate: one that never moved still has a distance, and a large one."""


@dataclass(frozen=True, slots=True)
class Gaussians:
    """Means of classes and a shared scatter; no row.

    Attributes:
        whitener: (width, width): squared lengths of differences times it are squared distances.
        centres: (classes that occur, width): means of classes, times the whitener.
    """

    whitener: NDArray[np.float32]
    centres: NDArray[np.float32]

    @classmethod
    def fit(cls, rows: Rows, labels: Labels) -> "Gaussians":
        """Means and scatter of finite rows."""
        places, own = np.unique(labels, return_inverse=True)
        means = np.stack([rows[own == place].mean(axis=0) for place in range(len(places))])
        inner = rows - means[own]
        values, axes = np.linalg.eigh(shrunk(inner) + _FLOOR * np.eye(rows.shape[1]))
        whitener = axes / np.sqrt(np.maximum(values, _FLOOR))
        return cls(whitener.astype(np.float32), (means @ whitener).astype(np.float32))

    def distances(self, rows: Rows) -> Numbers:
        """Squared Mahalanobis distance of each row from the nearest class, (rows,)."""
        whitened = rows.astype(np.float32) @ self.whitener
        nearest = np.einsum("nw,nw->n", self.centres, self.centres) - 2 * whitened @ self.centres.T
        closest = np.minimum.reduce(nearest, axis=1)
        closest += np.einsum("nw,nw->n", whitened, whitened)
        return np.asarray(np.maximum(closest, 0.0), dtype=np.float64)


def shrunk(inner: Rows) -> Numbers:
    """Covariance of centred rows, shrunk towards a multiple of the identity.

    Ledoit & Wolf 2004, lemmas 3.2 to 3.4; the sum over rows of squared products is taken without
    forming each row's matrix.
    """
    count, width = inner.shape
    sample = inner.T @ inner / count
    size = np.trace(sample) / width
    spread = float(((sample - size * np.eye(width)) ** 2).sum()) / width
    squares = inner**2
    fourth = float((squares.sum(axis=1) ** 2).sum()) / count
    error = (fourth - float((sample**2).sum())) / count / width
    share = 0.0 if spread <= 0 else min(max(error, 0.0), spread) / spread
    return np.asarray((1 - share) * sample + share * size * np.eye(width))
