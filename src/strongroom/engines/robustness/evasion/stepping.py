"""Attacks that follow slopes, known or estimated: to the nearest edge, or within a radius."""

from collections.abc import Callable

import numpy as np

from strongroom.engines.robustness.evasion.gradients import Gradient
from strongroom.engines.robustness.evasion.hopskipjump import back
from strongroom.engines.robustness.evasion.hunt import Hunt, Numbers, Places, length
from strongroom.engines.robustness.evasion.linear import shortest
from strongroom.engines.robustness.target import QueriesSpent, Rows

Slopes = Callable[[Rows, Places], tuple[Numbers, Rows]]
"""Points, (rows, width), and which rows of the hunt they belong to → margins and their slopes."""

_OVERSHOOT = 1.02
"""Steps go a little beyond the edge (FAB's eta: 1.05)."""
_PRECISION = 1e-3
_NOISE = 0.3
"""Of a random start: this far on the way to a uniform point."""
_MOMENTUM = 0.75
_ENOUGH = 0.75
"""APGD's alpha and rho: momentum, and the share of steps that must gain for the size to stay."""


def known(hunt: Hunt, gradient: Gradient) -> Slopes:
    """Slopes of a model whose inside is known, for the rows of a hunt; no number becomes 0."""

    def slopes(points: Rows, which: Places) -> tuple[Numbers, Rows]:
        with np.errstate(all="ignore"):
            margins, found = gradient(points, hunt.labels[which])
        return np.nan_to_num(margins), np.nan_to_num(found)

    return slopes


def to_edge(
    hunt: Hunt,
    slopes: Slopes,
    *,
    steps: int = 20,
    restart: np.random.Generator | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> None:
    """Step to where the edge would be if the model were linear, again and again.

    Each step takes the shortest move from the origin that would do, within the bounds; on a linear
    model the first one is exact. Ends early when the queries are spent.

    Args:
        restart: starts at the nearest wrong answers known, and at random points where there are
            none, in place of the origins.

    Source: Croce & Hein, "Minimally distorted adversarial examples with a fast adaptive boundary
    attack" (FAB), 2020: projection onto the linearised edge within the box, search back from it.
    Where it differs: always the best rival, and the step is halved instead of biased where the
    point that it leads to is answered rightly again.
    """
    which = hunt.open()
    points = hunt.origins[which].copy()
    if restart is not None:
        drawn = restart.uniform(hunt.low[which], hunt.high[which])
        is_found = np.isfinite(hunt.distances[which])[:, None]
        points = np.where(is_found, hunt.best[which], points + _NOISE * (drawn - points))
    try:
        for turn in range(steps):
            margins, slope = slopes(points, which)
            origins = hunt.origins[which]
            need = margins + ((origins - points) * slope).sum(axis=1)
            moves, _ = shortest(
                need * _OVERSHOOT, -slope, origins, hunt.low[which], hunt.high[which], hunt.norm
            )
            points = _landed(hunt, origins + moves, which)
            progress((turn + 1) / steps)
    except QueriesSpent:
        return


def _landed(hunt: Hunt, goals: Rows, which: Places) -> Rows:
    """The goal, brought back to the edge where it is wrong, or halfway to it from a wrong point."""
    before = hunt.distances[which]
    tried = goals[:, None].copy()
    is_wrong = hunt.wrong(tried, which)[:, 0]
    landed = tried[:, 0].copy()
    nearer = is_wrong & (hunt.distances[which] < before)
    if nearer.any():
        landed[nearer] = back(hunt, landed[nearer], which[nearer], _PRECISION)
    # Where an edge is known already and the goal is not wrong: the linear picture was too wide.
    missed = ~is_wrong & np.isfinite(before)
    if missed.any():
        middle = (hunt.best[which[missed]] + goals[missed])[:, None] / 2
        hit = hunt.wrong(middle, which[missed])[:, 0]
        landed[missed] = np.where(hit[:, None], middle[:, 0], hunt.best[which[missed]])
    return landed


def within(
    hunt: Hunt,
    slopes: Slopes,
    radius: float,
    rng: np.random.Generator,
    *,
    steps: int = 30,
    is_random: bool = False,
    progress: Callable[[float], None] = lambda _: None,
) -> None:
    """Look for wrong answers within a radius, by projected steps whose size adapts.

    In a space with levels, steps or relations each point is repaired before it is asked, as CAPGD
    does. Rows of which a nearer wrong answer is known are left alone.

    Args:
        is_random: starts at a random point within the radius instead of the origin.

    Source: Croce & Hein, "Reliable evaluation of adversarial robustness with an ensemble of diverse
    parameter-free attacks", 2020, algorithm 1 (APGD), on the margin of logits; Simonetto et al.,
    "Towards adaptive attacks on constrained tabular machine learning", 2024 (CAPGD).
    """
    which = np.flatnonzero(hunt.distances > radius)
    if not len(which):
        return
    origins = hunt.origins[which]
    current = origins.copy()
    if is_random:
        current = _held(hunt, origins + rng.normal(size=origins.shape), which, radius)
    previous, best = current.copy(), current.copy()
    lowest = np.full(len(which), np.inf)
    size = np.full(len(which), 2 * radius)
    gains, was_halved, lowest_then = np.zeros(len(which)), np.zeros(len(which), bool), lowest.copy()
    checks, last = _checks(steps), 0
    try:
        for turn in range(steps):
            margins, slope = slopes(_tried(hunt, current, which), which)
            gains += margins < lowest
            is_lower = margins < lowest
            best[is_lower], lowest[is_lower] = current[is_lower], margins[is_lower]
            if turn in checks:
                halve = (gains < _ENOUGH * (turn - last)) | (~was_halved & (lowest >= lowest_then))
                size[halve] /= 2
                current[halve], previous[halve] = best[halve], best[halve]
                slope[halve] = slopes(_tried(hunt, current[halve], which[halve]), which[halve])[1]
                was_halved, lowest_then, last = halve, lowest.copy(), turn
                gains[:] = 0
            goal = _held(hunt, current - size[:, None] * _direction(slope, hunt), which, radius)
            mixed = current + _MOMENTUM * (goal - current) + (1 - _MOMENTUM) * (current - previous)
            previous, current = current, _held(hunt, mixed if turn else goal, which, radius)
            progress((turn + 1) / steps)
        _tried(hunt, current, which)
    except QueriesSpent:
        return


def _tried(hunt: Hunt, points: Rows, which: Places) -> Rows:
    """Points as they were asked: moved into the space."""
    asked = points[:, None].copy()
    hunt.wrong(asked, which)
    return asked[:, 0]


def _held(hunt: Hunt, points: Rows, which: Places, radius: float) -> Rows:
    """Points within the radius and the bounds."""
    origins = hunt.origins[which]
    moves = points - origins
    if hunt.norm == "l2":
        moves *= np.minimum(1.0, radius / np.maximum(length(moves, "l2"), 1e-300))[:, None]
    else:
        moves = np.clip(moves, -radius, radius)
    return np.clip(origins + moves, hunt.low[which], hunt.high[which])


def _direction(slopes: Rows, hunt: Hunt) -> Rows:
    if hunt.norm == "linf":
        return np.asarray(np.sign(slopes))
    return np.asarray(slopes / np.maximum(np.linalg.norm(slopes, axis=1, keepdims=True), 1e-300))


def _checks(steps: int) -> set[int]:
    """Turns at which the size is looked at: `w_j` of the paper's section 3."""
    shares = [0.0, 0.22]
    while shares[-1] < 1:
        shares.append(shares[-1] + max(shares[-1] - shares[-2] - 0.03, 0.06))
    return {int(np.ceil(share * steps)) for share in shares[1:]}
