"""The square attack for tables: random changes of few features that are kept where they help.

Source: Andriushchenko, Croce, Flammarion & Hein, "Square attack: a query-efficient black-box
adversarial attack via random search", 2020, algorithm 1. A block is a random set of features where
the paper has a square of pixels; a category's levels go together. In L2 a block gets a new random
direction and the whole move its old length. Where it differs: the radius of a row shrinks whenever
a wrong answer is found, so one run finds short distances instead of trying one radius.
"""

from collections.abc import Callable

import numpy as np

from strongroom.engines.robustness.evasion.hopskipjump import back
from strongroom.engines.robustness.evasion.hunt import Flags, Hunt, Numbers, Places
from strongroom.engines.robustness.target import QueriesSpent, Rows

_SHARE = 0.3
"""Of the features that change at first."""
_HALVED_AT = (0.02, 0.05, 0.1, 0.2, 0.4, 0.6, 0.8)
"""Shares of the run after which half as many features change (the paper's schedule, its first
entries left out: they are for 10,000 queries)."""
_SHRINK = 0.95
"""The next radius, as a share of the nearest wrong answer."""
_PRECISION = 1e-2


def square(
    hunt: Hunt,
    radius: float,
    rng: np.random.Generator,
    *,
    turns: int = 300,
    progress: Callable[[float], None] = lambda _: None,
) -> None:
    """Look for wrong answers within a radius and nearer; ends early when the queries are spent.

    Args:
        radius: at first; where a nearer wrong answer is known, that.
        turns: each costs a query a row.
    """
    which = hunt.open()
    if not len(which):
        return
    search = _Search(hunt, which, radius, rng)
    try:
        search.begin()
        for turn in range(turns):
            halvings = sum(turn >= share * turns for share in _HALVED_AT)
            search.turn(_SHARE * 0.5**halvings)
            progress((turn + 1) / turns)
        found = which[np.isfinite(hunt.distances[which])]
        if len(found):
            back(hunt, hunt.best[found].copy(), found, _PRECISION)
    except QueriesSpent:
        return


class _Search:
    """A direction and levels for each row, and the margin they reach at the row's radius."""

    def __init__(self, hunt: Hunt, which: Places, radius: float, rng: np.random.Generator) -> None:
        self.hunt, self.which, self.rng = hunt, which, rng
        self.blocks = [hunt.space.places[one.name] for one in hunt.space.features if one.levels]
        is_number = np.ones(hunt.space.width, dtype=bool)
        for block in self.blocks:
            is_number[block] = False
        self.is_free = (hunt.high[which] > hunt.low[which]) & is_number
        self.radii = np.minimum(hunt.distances[which] * _SHRINK, radius)
        self.directions = self._drawn(np.ones_like(self.is_free)) * self.is_free
        self.levels = np.zeros_like(self.directions)
        self.margins = np.full(len(which), np.inf)

    def begin(self) -> None:
        """Ask for the first points."""
        self.margins = self.hunt.margins(self._points(self.directions, self.levels), self.which)[
            :, 0
        ]
        self._shrink()

    def turn(self, share: float) -> None:
        """Change a share of the features, keep what leads further."""
        mask = self.rng.random(self.is_free.shape) < share
        mask[np.arange(len(mask)), self.rng.integers(mask.shape[1], size=len(mask))] = True
        directions = np.where(mask & self.is_free, self._drawn(mask), self.directions)
        levels = self._other_levels()
        asked = self._points(directions, levels)
        margins = self.hunt.margins(asked, self.which)[:, 0]
        helps = margins < self.margins
        self.directions[helps], self.levels[helps] = directions[helps], levels[helps]
        self.margins[helps] = margins[helps]
        self._shrink()

    def _drawn(self, mask: Flags) -> Numbers:
        if self.hunt.norm == "linf":
            return np.asarray(self.rng.choice([-1.0, 1.0], size=mask.shape))
        # As much on a changed feature as on the average one.
        count = np.maximum(self.is_free.sum(axis=1, keepdims=True), 1)
        return np.asarray(self.rng.normal(size=mask.shape) / np.sqrt(count))

    def _points(self, directions: Numbers, levels: Numbers) -> Rows:
        moves = directions * self.radii[:, None]
        if self.hunt.norm == "l2":
            spent = (levels**2).sum(axis=1)
            left = np.sqrt(np.maximum(self.radii**2 - spent, 0.0))
            norms = np.maximum(np.linalg.norm(directions, axis=1), 1e-12)
            moves = directions * (left / norms)[:, None]
        return (self.hunt.origins[self.which] + moves + levels)[:, None]

    def _other_levels(self) -> Numbers:
        """One category of each row at another level, or back at its own, where it can pay that."""
        levels = self.levels.copy()
        if not self.blocks:
            return levels
        price = np.sqrt(2) if self.hunt.norm == "l2" else 1.0
        for place, block in enumerate(self.blocks):
            chosen = (self.rng.integers(len(self.blocks), size=len(levels)) == place) & (
                self.radii >= price
            )
            rows = np.flatnonzero(chosen & (self.rng.random(len(levels)) < _SHARE))
            origins = self.hunt.origins[self.which[rows], block]
            drawn = np.eye(origins.shape[1])[self.rng.integers(origins.shape[1], size=len(rows))]
            levels[rows, block] = np.where(
                self.hunt.high[self.which[rows], block] > self.hunt.low[self.which[rows], block],
                drawn - origins, 0.0,
            )  # fmt: skip
        return levels

    def _shrink(self) -> None:
        """Rows that were found go on with a smaller radius, in the same direction."""
        hit = np.flatnonzero(self.margins < 0)
        at = self.which[hit]
        self.radii[hit] = np.minimum(self.radii[hit], self.hunt.distances[at]) * _SHRINK
        too_dear = (self.levels[hit] ** 2).sum(axis=1) > self.radii[hit] ** 2
        self.levels[hit[too_dear]] = 0.0
        self.margins[hit] = np.inf
