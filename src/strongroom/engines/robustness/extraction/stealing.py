"""Copying a model by asking it: which rows to ask about, and how good the copy gets with each.

Tramèr et al., "Stealing machine learning models via prediction APIs", 2016; Orekondy et al.,
"Knockoff nets", 2019 (natural queries, and queries that are chosen); Pal et al., "ActiveThief:
model extraction using active learning and unannotated public data", 2020 (uncertainty, k-center).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.extraction.surrogates import FAMILIES, Copy, best_copy
from strongroom.engines.robustness.sampling import mixed, uniform
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Rows, Scores, Target

Way = Literal["natural", "uniform", "mixed", "active"]
WAYS: tuple[Way, ...] = ("natural", "uniform", "mixed", "active")
BUDGETS = (25, 50, 100, 250, 500, 1_000, 2_500, 5_000, 10_000)
SEEDS = 50
"""Natural rows that are at hand for mixing, and asked about first."""
ENOUGH = 0.95
"""Fidelity beyond which no more is asked."""
_ALL_TRIED = 500
"""Queries up to which all families are tried, then the two best of the step before."""
_CANDIDATES = 4
"""Made up for each row that the active attacker asks about."""
_MOST_SPREAD = 250
"""Rows of one step that are spread over the space; of a larger one the unsure, by chance."""


@dataclass(frozen=True, slots=True)
class Step:
    """A copy after so many queries.

    Attributes:
        agreed: (rows,) whether the copy gives each held-out row the model's class; of a
            regression, the one share of spread explained.
    """

    queries: int
    family: str
    agreed: NDArray[np.float64]

    @property
    def fidelity(self) -> float:
        """The share of rows on which both agree."""
        return float(self.agreed.mean())


def steal(
    target: Target, space: Space, way: Way, natural: Rows, judged: tuple[Rows, Scores], *,
    budgets: Sequence[int] = BUDGETS, families: tuple[str, ...] = FAMILIES, seed: int,
    progress: Callable[[float], None] | None = None,
) -> list[Step]:  # fmt: skip
    """Ask in growing steps, and copy after each, until the copy is good or nothing can be asked.

    Args:
        space: of `freed`.
        natural: rows the attacker has. `natural` asks about them, `mixed` and `active` mix a few.
        judged: held-out rows, and the model's answers, which the attacker does not have.
    """
    rng = np.random.default_rng(seed)
    rows, scores = np.empty((0, space.width)), np.empty((0, target.classes))
    steps: list[Step] = []
    copy: Copy | None = None
    for at, budget in enumerate(budgets):
        count = budget - len(rows)
        if way == "natural":
            count = min(count, len(natural) - len(rows))
        if target.left is not None:
            count = min(count, target.left)
        if count <= 0:
            break
        asked = _questions(way, space, natural, rows, copy, count, rng)
        rows = np.concatenate([rows, asked])
        scores = np.concatenate([scores, target.scores(asked)])
        tried = families if copy is None or len(rows) <= _ALL_TRIED else copy.ranked[:2]
        copy = best_copy(rows, scores, seed, tried)
        steps.append(Step(len(rows), copy.family, _agreed(copy.predict(judged[0]), judged[1])))
        if progress is not None:
            progress((at + 1) / len(budgets))
        if steps[-1].fidelity >= ENOUGH:
            break
    return steps


def _questions(
    way: Way, space: Space, natural: Rows, rows: Rows, copy: Copy | None, count: int,
    rng: np.random.Generator,
) -> Rows:  # fmt: skip
    if way == "natural":
        return natural[len(rows) : len(rows) + count]
    if way == "uniform":
        return uniform(space, count, rng)
    seeds = natural[:SEEDS]
    first = seeds[len(rows) : len(rows) + count]
    left = count - len(first)
    if way == "mixed" or copy is None or not left:
        return np.concatenate([first, mixed(space, seeds, left, rng)])
    made = mixed(space, seeds, _CANDIDATES * left, rng)
    return np.concatenate([first, _unsure(copy, made, rows, left, rng)])


def _unsure(copy: Copy, made: Rows, rows: Rows, count: int, rng: np.random.Generator) -> Rows:
    """Of made-up rows those of which the copy is unsure, far from what was asked and each other."""
    scores = copy.predict(made)
    if scores.shape[1] > 1:
        top = np.sort(scores, axis=1)[:, -2:]
        made = made[np.argsort(top[:, 1] - top[:, 0], kind="stable")[: 2 * count]]
    if count > _MOST_SPREAD:
        return made[np.sort(rng.permutation(len(made))[:count])]
    from scipy.spatial.distance import cdist

    apart = cdist(made, rows).min(axis=1)
    chosen = np.empty(count, dtype=np.int64)
    for place in range(count):  # k-center: the one farthest from all before it
        chosen[place] = int(apart.argmax())
        apart = np.minimum(apart, cdist(made, made[chosen[place]][None])[:, 0])
    return made[chosen]


def _agreed(copied: Scores, scores: Scores) -> NDArray[np.float64]:
    if scores.shape[1] > 1:
        return np.asarray(copied.argmax(axis=1) == scores.argmax(axis=1), dtype=np.float64)
    spread = float(scores.var())
    error = float(((copied - scores) ** 2).mean())
    return np.array([max(0.0, 1.0 - error / spread) if spread else float(error == 0.0)])
