"""Reconstruction: inputs that a model holds for typical of a class, searched for by its answers.

Fredrikson, Jha & Ristenpart, "Model inversion attacks that exploit confidence information and basic
countermeasures", 2015: climb the confidence in a class, by gradients where the model is at hand
(their algorithm 1) and by asking where it is not. Where the answers are labels alone, what is
climbed is how many neighbours of a point have the label (Kahla et al., "Label-only model inversion
attacks via boundary repulsion", 2022).
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.sampling import jittered, uniform
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Labels, Rows, Target

Gradient = Callable[[Rows, int], Rows]
"""Of the log of a class's probability, at points (n, width)."""

Points = NDArray[np.float64]
"""(searches, points, width)."""

_PARENTS, _CHILDREN = 6, 24
_MOST_FIRST = 200
"""Points by chance to begin with."""
_MOVED = 0.3
"""Of the coordinates, in each child."""
_FIRST_STEP, _LEAST_STEP = 0.25, 1e-3
_LABEL_COPIES = 6
_LABEL_NOISE = 0.15
_ASCENTS = 200


def climbed(
    target: Target, space: Space, places: Labels, queries: int, rng: np.random.Generator
) -> Rows:
    """For each place of a class, the point that the model is surest is of it.

    An evolution strategy (Beyer & Schwefel, "Evolution strategies: a comprehensive introduction",
    2002): the middle of the best, and they themselves, are varied in steps that grow while children
    improve and shrink when they don't. All searches go on side by side, each on its own.

    Args:
        space: of `freed`.
        places: (searches,)
        queries: rows asked for each; a hundred at least tell anything.

    Returns:
        (searches, width)
    """
    copies = _LABEL_COPIES if target.form.shows == "labels" else 1
    left = queries // copies
    count = max(1, min(left, max(_PARENTS, min(left // 3, _MOST_FIRST))))
    searches = len(places)
    points = uniform(space, searches * count, rng).reshape(searches, count, -1)
    worth = _worth(target, space, points, places, copies, rng)
    points, worth = _best(points, worth)
    left -= count
    step = np.full(searches, _FIRST_STEP)
    while left >= _CHILDREN:
        children = _children(space, points, step, rng)
        found = _worth(target, space, children, places, copies, rng)
        left -= _CHILDREN
        gains = found.max(axis=1) > worth.max(axis=1)
        step = np.clip(step * np.where(gains, 1.3, 0.8), _LEAST_STEP, 2 * _FIRST_STEP)
        points, worth = _best(
            np.concatenate([points, children], axis=1), np.concatenate([worth, found], axis=1)
        )
    return points[:, 0]


def ascended(gradient: Gradient, space: Space, place: int, rng: np.random.Generator) -> Rows:
    """The same by gradients, for a model that is at hand: (1, width)."""
    start = uniform(space, 1, rng)
    point = start.copy()
    for turn in range(_ASCENTS):
        slope = gradient(point, place)
        length = float(np.linalg.norm(slope))
        if length == 0.0 or not np.isfinite(length):
            break
        size = _FIRST_STEP * (1 - turn / _ASCENTS)
        point = space.relax(point + size * slope / length, start)
    return space.project(point, np.zeros_like(point))


def nearest(points: Rows, rows: Rows) -> NDArray[np.float64]:
    """(points,): how far the nearest of the rows is."""
    from scipy.spatial.distance import cdist

    return np.asarray(cdist(points, rows).min(axis=1))


def _best(points: Points, worth: Rows) -> tuple[Points, Rows]:
    """Of each search its best points, the best first."""
    order = np.argsort(-worth, axis=1, kind="stable")[:, :_PARENTS]
    return (
        np.take_along_axis(points, order[:, :, None], axis=1),
        np.take_along_axis(worth, order, axis=1),
    )


def _children(space: Space, points: Points, step: Rows, rng: np.random.Generator) -> Points:
    """Some coordinates of each start moved; of a category, a level by what the parents have."""
    searches, parents, width = points.shape
    half = _CHILDREN // 2
    middle = np.repeat(points.mean(axis=1, keepdims=True), half, axis=1)
    picked = rng.integers(parents, size=(searches, half))
    starts = np.concatenate([middle, np.take_along_axis(points, picked[:, :, None], axis=1)], 1)
    size = step[:, None, None]
    moves = rng.normal(size=starts.shape) * size
    moves *= rng.random(starts.shape) < np.maximum(_MOVED, size)
    for one in space.features:
        if one.levels:
            place = space.places[one.name]
            moves[:, :, place] = rng.gumbel(size=(searches, _CHILDREN, one.width)) * size
    flat = (starts + moves).reshape(-1, width)
    return space.project(flat, np.zeros_like(flat)).reshape(searches, _CHILDREN, width)


def _worth(
    target: Target, space: Space, points: Points, places: Labels, copies: int,
    rng: np.random.Generator,
) -> Rows:  # fmt: skip
    """(searches, points): how sure the model is of the search's class, at each point or around."""
    searches, count, width = points.shape
    flat = points.reshape(-1, width)
    if copies > 1:
        flat = jittered(space, np.repeat(flat, copies, axis=0), _LABEL_NOISE, rng)
    scores = target.scores(flat).reshape(searches, count, copies, target.classes).mean(axis=2)
    return np.asarray(np.take_along_axis(scores, places[:, None, None], axis=2)[:, :, 0])
