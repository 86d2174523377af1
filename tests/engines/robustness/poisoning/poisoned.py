"""Small tables with honest rules, for the tests of this room."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.poisoning.table import Table
from strongroom.engines.robustness.space import Feature, Space

LEVELS = ("red", "green", "blue", "grey")


def space() -> Space:
    """Six numbers and one category."""
    numbers = [Feature(f"n{at}") for at in range(6)]
    return Space([*numbers, Feature("colour", levels=LEVELS)])


def table(count: int = 500, seed: int = 0, sources: Sequence[str] | None = None) -> Table:
    """Two classes that four numbers part, nearly; two more numbers and the colour say nothing."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(0, 2, count)
    centre = np.array([0.35, 0.65])[labels][:, None]
    told = centre + rng.normal(0, 0.12, (count, 4))
    numbers = np.clip(np.hstack([told, rng.random((count, 2))]), 0, 1)
    colours = np.eye(4)[rng.integers(0, 4, count)]
    return Table.of(space(), np.hstack([numbers, colours]), labels, sources=sources)


def accuracy(found: NDArray[np.bool_], true: NDArray[np.bool_]) -> tuple[float, float]:
    """Precision and recall."""
    hits = float((found & true).sum())
    return hits / max(found.sum(), 1), hits / max(true.sum(), 1)
