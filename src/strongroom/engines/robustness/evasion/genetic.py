"""A search by generations, for what gradients do not reach: categories, steps, relations.

Source: Simonetto, Dyrmishi, Ghamizi, Cordy & Le Traon, "A unified framework for adversarial attack
and defense in constrained feature space", 2022 (MoEvA2): objectives are the lead of the right
class, the distance, and broken constraints; Deb & Jain, "An evolutionary many-objective
optimization algorithm using reference-point-based nondominated sorting approach, part I", 2014
(NSGA-III). Where it differs: each child is repaired at once, and what cannot be repaired ranks
behind all others, so two objectives are left; all rows evolve together; within a niche the nearest
to its direction comes first, then the second of each niche, in place of counting niches.
"""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.evasion.hunt import PIECE, Hunt, Numbers, Places
from strongroom.engines.robustness.target import QueriesSpent, Rows

_DIRECTIONS = 12
"""Divisions between the two objectives (NSGA-III's p)."""
_HOME = 0.3
"""Chance that a changed feature goes back to where it was."""
_LOGS = (float(np.log(0.003)), float(np.log(0.3)))
"""Logarithms between which the scale of a number's change is drawn, as a share of its range."""


def evolve(
    hunt: Hunt,
    rng: np.random.Generator,
    *,
    generations: int = 40,
    population: int = 30,
    radius: float = 0.0,
    progress: Callable[[float], None] = lambda _: None,
) -> None:
    """Search nearer wrong answers for rows without one within `radius`.

    Costs `population` queries a row and generation; ends early when the queries are spent.
    """
    which = np.flatnonzero(hunt.distances > radius)
    # Rows in groups, for memory; those of one group evolve together.
    size = max(1, 4 * PIECE // (2 * population * hunt.space.width))
    try:
        for start in range(0, len(which), size):
            some = which[start : start + size]
            for done in _evolve(hunt, some, rng, generations, population):
                progress((start + done * len(some)) / len(which))
    except QueriesSpent:
        return


def _evolve(
    hunt: Hunt, which: Places, rng: np.random.Generator, generations: int, population: int
) -> Iterator[float]:
    """Gives the share done after each generation."""
    features = [hunt.space.places[one.name] for one in hunt.space.features]
    breeding = _Breeding(hunt, which, features, rng)
    people = np.repeat(hunt.origins[which][:, None], population, axis=1)
    people = breeding.mutated(people, spread=0.3)
    is_found = np.isfinite(hunt.distances[which])
    people[is_found, 0] = hunt.best[which[is_found]]
    goals = breeding.judged(people)
    for generation in range(generations):
        children = breeding.mutated(breeding.crossed(people, goals), spread=2 / len(features))
        children_goals = breeding.judged(children)
        people = np.concatenate([people, children], axis=1)
        goals = np.concatenate([goals, children_goals], axis=1)
        kept = survivors(goals, population)
        people = np.take_along_axis(people, kept[:, :, None], axis=1)
        goals = np.take_along_axis(goals, kept[:, :, None], axis=1)
        yield (generation + 1) / generations


def survivors(goals: Numbers, count: int) -> NDArray[np.intp]:
    """Of each row's people the `count` that go on: by front, then by turns from all niches.

    Args:
        goals: (rows, people, 2), both to be small; infinite: cannot live.
    """
    ranks = fronts(goals)
    finite = np.where(np.isfinite(goals), goals, np.nan)
    low = np.nanmin(np.where(np.isnan(finite), np.inf, finite), axis=1, keepdims=True)
    high = np.nanmax(np.where(np.isnan(finite), -np.inf, finite), axis=1, keepdims=True)
    spread = np.where(np.isfinite(high - low) & (high > low), high - low, 1.0)
    scaled = np.where(np.isnan(finite), 2.0, (finite - np.where(np.isfinite(low), low, 0)) / spread)
    angle = np.linspace(0, 1, _DIRECTIONS + 1)
    lines = np.stack([angle, 1 - angle], axis=1)
    lines /= np.linalg.norm(lines, axis=1, keepdims=True)
    along = scaled @ lines.T
    aside = np.sqrt(np.maximum((scaled**2).sum(axis=2)[:, :, None] - along**2, 0.0))
    niche = aside.argmin(axis=2)
    offset = aside.min(axis=2)
    # The place of a person within the niche among those of the same front.
    same = (niche[:, :, None] == niche[:, None]) & (ranks[:, :, None] == ranks[:, None])
    ahead = offset[:, None] < offset[:, :, None]
    order = np.arange(goals.shape[1])
    ahead |= (offset[:, None] == offset[:, :, None]) & (order[None, None] < order[None, :, None])
    place = (same & ahead).sum(axis=2)
    return np.lexsort((offset, place, ranks), axis=1)[:, :count]


def fronts(goals: Numbers) -> NDArray[np.intp]:
    """The front of each person: 0 where no other is better in one goal and no worse in any."""
    not_worse = (goals[:, :, None] <= goals[:, None]).all(axis=3)
    better = (goals[:, :, None] < goals[:, None]).any(axis=3)
    dominates = not_worse & better
    ranks = np.full(goals.shape[:2], -1, dtype=np.intp)
    front = 0
    while (ranks < 0).any():
        alive = ranks < 0
        is_first = alive & ~(dominates & alive[:, :, None]).any(axis=1)
        ranks[is_first] = front
        front += 1
    return ranks


class _Breeding:
    def __init__(
        self, hunt: Hunt, which: Places, features: list[slice], rng: np.random.Generator
    ) -> None:
        self.hunt, self.which, self.features, self.rng = hunt, which, features, rng
        self.is_category = np.array([bool(one.levels) for one in hunt.space.features])
        self.feature_of = np.concatenate([
            np.full(place.stop - place.start, at) for at, place in enumerate(features)
        ])  # fmt: skip

    def judged(self, people: Rows) -> Numbers:
        """Both goals of each, (rows, people, 2); moves people to where they could be inputs."""
        margins = self.hunt.margins(people, self.which)
        lengths = np.where(np.isfinite(margins), self.hunt.lengths(people, self.which), np.inf)
        # Beyond the edge there is nothing to gain by leading further.
        return np.stack([np.maximum(margins, 0.0), lengths], axis=2)

    def crossed(self, people: Rows, goals: Numbers) -> Rows:
        """A child of two for each place: every feature from one of them; parents by tournament."""
        rows, count, _ = people.shape
        ranks = fronts(goals)
        parents = []
        for _ in range(2):
            pair = self.rng.integers(count, size=(2, rows, count))
            first, second = (np.take_along_axis(ranks, one, axis=1) for one in pair)
            chosen = np.where(first <= second, pair[0], pair[1])
            parents.append(np.take_along_axis(people, chosen[:, :, None], axis=1))
        coin = self.rng.random((rows, count, len(self.features))) < 0.5
        return np.where(coin[:, :, self.feature_of], parents[0], parents[1])

    def mutated(self, people: Rows, spread: float) -> Rows:
        """Each feature changed with chance `spread`: a number a little, a category wholly."""
        rows, count, width = people.shape
        changed = self.rng.random((rows, count, len(self.features))) < spread
        home = self.rng.random(changed.shape) < _HOME
        scale = np.exp(self.rng.uniform(*_LOGS, size=(rows, count, 1)))
        moved = people + scale * self.rng.normal(size=people.shape)
        for at in np.flatnonzero(self.is_category):
            block = self.features[at]
            levels = block.stop - block.start
            moved[:, :, block] = np.eye(levels)[self.rng.integers(levels, size=(rows, count))]
        origins = self.hunt.origins[self.which][:, None]
        moved = np.where(home[:, :, self.feature_of], origins, moved)
        made = np.where(changed[:, :, self.feature_of], moved, people)
        low, high = self.hunt.low[self.which][:, None], self.hunt.high[self.which][:, None]
        return np.clip(made, low, high).reshape(rows, count, width)
