"""The search for the input that costs a model most.

Source: Shumailov, Zhao, Bates, Papernot, Mullins & Anderson, "Sponge examples: energy-latency
attacks on neural networks", 2021, section 4.2: a genetic algorithm whose fitness is the measured
cost. A measured cost is mostly noise, so whatever wins the search is measured anew, in pairs with a
natural row, and only that is believed.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import numpy as np

from strongroom.engines.robustness.load.costs import Clock, ask
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Rows, Scores

_ELITE = 0.25
_CHANGED = 0.15
"""Share of features that a mutation draws anew."""


@dataclass(frozen=True, slots=True)
class Search:
    """How much is tried.

    Attributes:
        population: 4 to 1,000. generations: 1 to 1,000.
        copies: of a row in one question: a longer question is measured better.
        looks: at each row; the least of the costs counts, for noise only adds.
    """

    population: int = 24
    generations: int = 12
    copies: int = 8
    looks: int = 2


def costliest(
    answer: Callable[[Rows], Scores], space: Space, rows: Rows, clock: Clock,
    rng: np.random.Generator, search: Search = Search(),
    progress: Callable[[float], None] = lambda _: None,
) -> Rows:  # fmt: skip
    """The row that was found to cost most, valid in the space, (1, width).

    Args:
        rows: natural and finite, one at least; the search starts from them.
    """
    population = rows[rng.integers(len(rows), size=search.population)].copy()
    origins = population.copy()
    kept = max(2, int(_ELITE * search.population))
    costs = _costs(answer, population, clock, search, kept)
    for turn in range(search.generations):
        elite = np.argsort(-costs, kind="stable")[:kept]
        parents = rng.choice(elite, size=(search.population, 2))
        children = _crossed(space, population, parents, rng)
        mutated = _mutated(space, children, rng)
        children = space.project(mutated, origins[parents[:, 0]])
        valid = space.valid(children, origins[parents[:, 0]])
        children[~valid] = population[parents[~valid, 0]]
        found = _costs(answer, children, clock, search, kept)
        # The elite is measured again: who was only lucky loses its place.
        again = _costs(answer, population[elite], clock, search, kept)
        again = np.minimum(costs[elite], again)
        population = np.concatenate([population[elite], children])
        origins = np.concatenate([origins[elite], origins[parents[:, 0]]])
        costs = np.concatenate([again, found])
        best = np.argsort(-costs, kind="stable")[: search.population]
        population, origins, costs = population[best], origins[best], costs[best]
        progress((turn + 1) / search.generations)
    finalists = population[: max(3, search.population // 8)]
    last = [_costs(answer, finalists, clock, search, len(finalists)) for _ in range(3)]
    best_at = int(np.median(last, axis=0).argmax())
    return finalists[best_at : best_at + 1]


def _costs(
    answer: Callable[[Rows], Scores], rows: Rows, clock: Clock, search: Search, wanted: int
) -> "np.ndarray[tuple[int], np.dtype[np.float64]]":
    """The least of each row's looks; those that one look shows to be cheap have no more of them.

    Args:
        wanted: how many of the costliest rows must have had all looks.
    """
    questions = [np.repeat(row[None], search.copies, axis=0) for row in rows]

    def look(at: int) -> float:
        return ask(partial(answer, questions[at]), clock).seconds

    made = np.array([look(at) for at in range(len(rows))])
    settled: list[float] = []
    for at in np.argsort(-made, kind="stable"):
        if len(settled) >= wanted and made[at] <= sorted(settled)[-wanted]:
            break  # further looks only take away
        made[at] = min(made[at], *(look(int(at)) for _ in range(search.looks - 1)), np.inf)
        settled.append(float(made[at]))
    return made


def _crossed(
    space: Space, population: Rows, parents: "np.ndarray[tuple[int, int], np.dtype[np.int64]]",
    rng: np.random.Generator,
) -> Rows:  # fmt: skip
    """Each feature of one parent or of the other."""
    first, second = population[parents[:, 0]], population[parents[:, 1]]
    made = first.copy()
    for one in space.features:
        place = space.places[one.name]
        other = rng.random(len(made)) < 0.5
        made[other, place] = second[other, place]
    return made


def _mutated(space: Space, rows: Rows, rng: np.random.Generator) -> Rows:
    """Some features drawn anew: a level, a number anywhere in the range, or one of its ends."""
    made = rows.copy()
    share = max(_CHANGED, 1.0 / len(space.features))
    for one in space.features:
        place = space.places[one.name]
        at = np.flatnonzero(rng.random(len(made)) < share)
        if one.levels:
            made[at, place] = 0.0
            made[at, place.start + rng.integers(one.width, size=len(at))] = 1.0
        else:
            drawn = rng.random(len(at))
            ends = rng.random(len(at)) < 0.3
            made[at, place.start] = np.where(ends, np.round(drawn), drawn)
    return made
