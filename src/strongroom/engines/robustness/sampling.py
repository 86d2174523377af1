"""Inputs that an attacker makes up: they keep to types, ranges and relations, and to nothing else.

Who asks a model about rows of nobody is free in what others hold to be immutable.
"""

from dataclasses import replace

import numpy as np

from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Rows

_MIXED = 0.4
"""Of the Beta distribution of mix-up's weights: the largest that its authors found to help."""


def freed(space: Space) -> Space:
    """The same space with every feature mutable in both directions."""
    return Space(
        [replace(one, is_mutable=True, direction=0) for one in space.features], space.relations
    )


def uniform(space: Space, count: int, rng: np.random.Generator) -> Rows:
    """So many points, each feature by itself and every value of it as likely.

    Args:
        space: of `freed`.
    """
    points = rng.random((count, space.width))  # of a category, the largest coordinate is its level
    return space.project(points, np.zeros_like(points))


def mixed(space: Space, rows: Rows, count: int, rng: np.random.Generator) -> Rows:
    """So many points between two of the rows each; a category is that of one of both.

    Zhang et al., "mixup: beyond empirical risk minimization", 2018; most lie near one of the two.

    Args:
        space: of `freed`.
    """
    first, second = rows[rng.integers(len(rows), size=(2, count))]
    weight = rng.beta(_MIXED, _MIXED, (count, 1))
    points = weight * first + (1 - weight) * second
    for one in space.features:
        if one.levels:
            place = space.places[one.name]
            points[:, place] = np.where(
                rng.random((count, 1)) < weight, first[:, place], second[:, place]
            )
    return space.project(points, first)


def jittered(space: Space, rows: Rows, scale: float, rng: np.random.Generator) -> Rows:
    """Each row with noise on it: normal on numbers; categories change with the chance `scale`.

    Args:
        space: of `freed`.
        scale: standard deviation, in parts of a number's range.
    """
    points = rows + rng.normal(0.0, scale, rows.shape)
    for one in space.features:
        if one.levels:
            place = space.places[one.name]
            changes = rng.random((len(rows), 1)) < scale
            points[:, place] = np.where(changes, rng.random((len(rows), one.width)), rows[:, place])
    return space.project(points, rows)
