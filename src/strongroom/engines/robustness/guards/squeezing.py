"""Whether the answer survives when the row is made coarser.

Source: Xu, Evans & Qi, "Feature squeezing: detecting adversarial examples in deep neural networks",
2018, section 3. For tables a coordinate is replaced by the median of its quantile bin, in place of
a smaller bit depth. It asks the model a second time, so it costs what the model costs.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.guards.conformal import Numbers
from strongroom.engines.robustness.target import Rows, Scores

BINS = 16


@dataclass(frozen=True, slots=True)
class Squeezer:
    """Quantile bins of each coordinate.

    Attributes:
        edges: (width, BINS - 1), ascending.
        middles: (width, BINS): medians of the bins.
    """

    edges: NDArray[np.float32]
    middles: NDArray[np.float32]

    @classmethod
    def fit(cls, rows: Rows) -> "Squeezer":
        """Bins of finite rows."""
        shares = np.arange(1, 2 * BINS) / (2 * BINS)
        quantiles = np.quantile(rows, shares, axis=0, method="nearest").T.astype(np.float32)
        return cls(
            np.ascontiguousarray(quantiles[:, 1::2]), np.ascontiguousarray(quantiles[:, ::2])
        )

    def squeezed(self, rows: Rows) -> Rows:
        """The rows, coarser."""
        made = np.empty_like(rows)
        for place in range(rows.shape[1]):
            bins = np.searchsorted(self.edges[place], rows[:, place].astype(np.float32))
            made[:, place] = self.middles[place, bins]
        return made


def moved(scores: Scores, squeezed: Scores) -> Numbers:
    """How far the answers moved: L1, in [0, 2] (section 5 of the paper)."""
    return np.asarray(np.abs(scores - squeezed).sum(axis=1))
