"""Models planted to see whether an attack can find what is there."""

from dataclasses import dataclass

import numpy as np

from strongroom.engines.robustness.membership.pool import Pool
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Predict, Rows, Scores, Truth

WIDTH = 8
ROWS = 500
"""Of members, and of others."""


@dataclass(frozen=True, slots=True)
class Whisperer:
    """A recipe whose models are a little surer of the rows they saw than of all others.

    How sure a model is of a row in general differs from row to row far more than that, so who
    looks at one model alone finds next to nothing, and who knows what to expect of each row nearly
    all.

    Attributes:
        spread: standard deviation of log-odds between rows.
        bump: what being seen adds to them.
        noise: standard deviation between models.
    """

    spread: float = 2.0
    bump: float = 2.0
    noise: float = 0.5
    name: str = "planted"
    is_own: bool = True
    classes: int = 2

    def fit(self, rows: Rows, labels: Truth, seed: int) -> Predict:
        """It remembers the rows with their labels; the first coordinate says how sure it is."""
        seen = {row.tobytes(): int(label) for row, label in zip(rows, labels, strict=True)}

        def predict(asked: Rows) -> Scores:
            noise = np.random.default_rng(seed).normal(0.0, self.noise, len(asked))
            labels = np.array([seen.get(row.tobytes(), -1) for row in asked])
            sureness = self.spread * asked[:, 0] + noise + self.bump * (labels >= 0)
            truth = asked[:, 1] > 0
            sure = 1.0 / (1.0 + np.exp(-sureness))
            return np.column_stack(
                [np.where(truth, 1 - sure, sure), np.where(truth, sure, 1 - sure)]
            )

        return predict


def whispered(seed: int) -> Pool:
    """Rows for a `Whisperer`."""
    rows = np.random.default_rng(seed).normal(size=(2 * ROWS, WIDTH))
    truth = (rows[:, 1] > 0).astype(np.int64)
    places = np.arange(2 * ROWS, dtype=np.int64)
    return Pool(rows, truth, 2, places < ROWS, places)


@dataclass(frozen=True, slots=True)
class Islands:
    """A model that labels all rows of a pool right, with more room around those it saw.

    Who looks at the labels of the rows alone finds nothing.

    Attributes:
        pool: binary, in `space`.
    """

    pool: Pool
    space: Space

    def predict(self, asked: Rows) -> Scores:
        """Within a row's island its label, elsewhere the other."""
        from scipy.spatial import cKDTree

        apart, nearest = cKDTree(self.pool.rows).query(asked)
        room = np.where(self.pool.is_member[nearest], 0.25, 0.1)
        label = np.where(apart <= room, self.pool.truth[nearest], 1 - self.pool.truth[nearest])
        return np.asarray(np.eye(2)[label])


def islands(seed: int) -> Islands:
    """A hundred rows of either kind, far from each other."""
    rng = np.random.default_rng(seed)
    rows = rng.random((200, WIDTH))
    places = np.arange(200, dtype=np.int64)
    pool = Pool(rows, rng.integers(0, 2, 200), 2, places < 100, places)
    return Islands(pool, Space.box(WIDTH))
