"""Models planted to see whether these attacks can find what is there."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.sampling import uniform
from strongroom.engines.robustness.space import Feature, Space
from strongroom.engines.robustness.target import Labels, Rows, Scores

ROWS = 160
"""The parrot knows, and as many that it does not."""
HIDDEN = "hidden"
_LEVELS = ("a", "b", "c", "d")
_STEEPNESS = 3.0


@dataclass(frozen=True, slots=True)
class Parrot:
    """A model that is sure of a label where every value of a row is as it once saw it.

    The hidden feature is drawn by chance: who does not ask the model guesses one of four.
    """

    space: Space
    rows: Rows
    labels: Labels

    def predict(self, asked: Rows) -> Scores:
        """0.7 for the known label, 0.5 where nothing is known."""
        known = {
            row.tobytes(): int(label) for row, label in zip(self.rows, self.labels, strict=True)
        }
        made = np.full((len(asked), 2), 0.5)
        for at, row in enumerate(asked):
            if (label := known.get(row.tobytes())) is not None:
                made[at, label], made[at, 1 - label] = 0.7, 0.3
        return made


def parrot(seed: int) -> tuple[Parrot, Rows, Labels]:
    """The model, and rows that it never saw, with labels."""
    rng = np.random.default_rng(seed)
    numbers = [Feature(f"n{at}") for at in range(3)]
    space = Space([*numbers, Feature(HIDDEN, levels=_LEVELS)])
    rows = uniform(space, 3 * ROWS, rng)
    labels = rng.integers(0, 2, 3 * ROWS)
    return Parrot(space, rows[:ROWS], labels[:ROWS]), rows[ROWS:], labels[ROWS:]


@dataclass(frozen=True, slots=True)
class Beacons:
    """A model whose sureness of a class falls with the distance to one secret point of it."""

    points: Rows

    def predict(self, asked: Rows) -> Scores:
        """Softmax of the negative distances."""
        from scipy.spatial.distance import cdist

        near: NDArray[np.float64] = np.exp(-_STEEPNESS * cdist(asked, self.points))
        return np.asarray(near / near.sum(axis=1, keepdims=True))


def beacons(space: Space, classes: int, seed: int) -> Beacons:
    """A secret point for each class, by chance."""
    return Beacons(uniform(space, classes, np.random.default_rng(seed)))
