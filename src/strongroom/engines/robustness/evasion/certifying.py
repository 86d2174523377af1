"""How far no attack can get below: exact distances or sound lower bounds for trees.

A wrong answer lies in one leaf of each tree, and these leaves' boxes share a point; boxes that meet
pairwise meet all (Helly). So the nearest wrong answer is the nearest set of leaves, one a tree,
that meet and add up to another class. Trees are merged two by two into groups of such sets; from
any stage on, the best that each group allows within a radius, summed, bounds what is possible
there, and where one group is left that is exact.

Source: Chen, Zhang, Si, Li, Boning & Hsieh, "Robustness verification of tree-based models", 2019,
sections 3.2 and 3.3; exact distances as in Kantchelian, Tygar & Joseph, "Evasion and hardening of
tree ensemble classifiers", 2016. Where it differs: sets that cannot reach the other class whatever
the other groups add are dropped, which makes it exact for larger ensembles; and the radius at which
the sum suffices is found by sorting in place of bisection.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from strongroom.engines.robustness.evasion.hunt import Flags, Hunt, Norm, Numbers, Places, length
from strongroom.engines.robustness.evasion.trees import Leaves, Trees
from strongroom.engines.robustness.target import QueriesSpent, Rows
from strongroom.errors import ValidationError

MAX_SETS = 1 << 15
"""Of leaves that a group may hold; where it would be more, the bound of the stage before stands."""
_SLACK = 1e-9
"""Sums nearer to a tie than this count as reaching it: rounding must not certify."""
_TIES = 50
"""Ties that are asked of the model, a row and stage."""
_WIDER = 1.2
"""By which the radius grows that is searched exactly."""
_INSIDE = 1e-6
"""How far within its box a witness stands: more than float32 loses near 1."""


@dataclass(frozen=True, slots=True)
class Certified:
    """What is sure about distances.

    Attributes:
        low: no wrong answer is nearer than this; infinite where there is none at all.
        is_exact: the model answers wrongly at that distance, or a hair beyond it.
        witnesses: a point just inside the nearest box, answered wrongly; the origin where none
            was made.
    """

    low: Numbers
    is_exact: Flags
    witnesses: Rows


def certify(
    trees: Trees,
    hunt: Hunt,
    *,
    most_sets: int = MAX_SETS,
    progress: Callable[[float], None] = lambda _: None,
) -> Certified:
    """Bounds of the distance of each row of a hunt, which must be of these trees.

    Only ranges, directions and what is immutable are seen of the space, not levels, steps and
    relations: bounds hold with them too, and may then be exact for a point that is no input.

    Raises: ValidationError: the trees look at other coordinates, or are too large for memory.
    """
    used = trees.used
    if len(used) and used[-1] >= hunt.space.width:
        raise ValidationError(f"the trees look at more than {hunt.space.width} coordinates")
    groups = trees.leaves()
    low, is_exact = np.zeros(len(hunt.origins)), np.ones(len(hunt.origins), dtype=bool)
    witnesses = hunt.origins.copy()
    for done, place in enumerate(hunt.open()):
        row = _Row(hunt.origins[place, used], hunt.low[place, used], hunt.high[place, used],
                   hunt.norm, most_sets, _asking(hunt, int(place), used))  # fmt: skip
        known = float(hunt.distances[place])
        low[place], witness = _of_row(row, groups, trees.base, int(hunt.labels[place]), known)
        is_exact[place] = witness is not None or low[place] >= known or np.isinf(low[place])
        if witness is not None:
            witnesses[place, used] = witness
        progress((done + 1) / len(hunt.origins))
    return Certified(low, is_exact, witnesses)


def _asking(hunt: Hunt, place: int, used: Places) -> Callable[[Numbers], bool | None]:
    def is_wrong(point: Numbers) -> bool | None:
        if not hunt.is_plain:
            return None
        asked = hunt.origins[place].copy()
        asked[used] = point
        try:
            return bool(hunt.wrong(asked[None, None], np.array([place]))[0, 0])
        except QueriesSpent:
            return None

    return is_wrong


@dataclass(frozen=True, slots=True)
class _Row:
    origin: Numbers
    floor: Numbers
    ceiling: Numbers
    norm: Norm
    most_sets: int
    is_wrong: Callable[[Numbers], bool | None]
    """Asks the model for one point; None: it cannot be asked."""

    def distances(self, low: Rows, high: Rows) -> Numbers:
        gaps = np.maximum(np.maximum(low - self.origin, self.origin - high), 0.0)
        return length(gaps, self.norm)

    def inside(self, group: Leaves) -> Leaves:
        """Boxes cut to where the row may go."""
        low = np.maximum(group.low, np.nextafter(self.floor, -np.inf))
        high = np.minimum(group.high, self.ceiling)
        return Leaves(low, high, group.values).chosen(np.asarray((low < high).all(axis=1)))

    def nearest(self, group: "_Group", lead: float) -> tuple[float, Numbers | None]:
        """Of complete sets the nearest that the model answers wrongly.

        All points of a box are answered alike, so one point tells how a tie ends.
        """
        able = group.chosen(group.lead + lead >= 0)
        for place in np.argsort(able.distances, kind="stable")[:_TIES]:
            low, high = able.low[place], able.high[place]
            margin = np.minimum(_INSIDE, (high - low) / 2)
            is_inside = (self.origin > low) & (self.origin <= high)
            point = np.where(
                is_inside, self.origin, np.clip(self.origin, low + margin, high - margin)
            )
            verdict = self.is_wrong(point)
            is_tie = able.lead[place] + lead <= 2 * _SLACK
            if verdict or not is_tie or verdict is None:
                return float(able.distances[place]), point if verdict else None
        beyond = np.sort(able.distances)[_TIES:]
        return (float(beyond[0]) if len(beyond) else np.inf), None


@dataclass(frozen=True, slots=True)
class _Group:
    """Sets of leaves: shared boxes, what they add to the rival's lead, distances."""

    low: Rows
    high: Rows
    lead: Numbers
    distances: Numbers

    def chosen(self, which: Flags) -> "_Group":
        """Some of them."""
        return _Group(self.low[which], self.high[which], self.lead[which], self.distances[which])


def _of_row(
    row: _Row, groups: list[Leaves], base: Numbers, label: int, found: float
) -> tuple[float, Numbers | None]:
    """A bound, and the witness where it is exact."""
    inside = [row.inside(one) for one in groups]
    starts, bounds = {}, {}
    for rival in range(len(base)):
        if rival == label:
            continue
        made = []
        for one in inside:
            lead = one.values[:, rival] - one.values[:, label]
            made.append(_Group(one.low, one.high, lead, row.distances(one.low, one.high)))
        starts[rival] = made
        # A tie is answered by the class that stands first; rounding may turn one, so it counts.
        bounds[rival] = _bound(made, float(base[rival] - base[label]) + _SLACK)
    best: tuple[float, Numbers | None] = (float("inf"), None)
    for rival in sorted(bounds, key=lambda one: bounds[one]):
        if bounds[rival] >= best[0]:
            continue
        start = float(base[rival] - base[label]) + _SLACK
        refined = _refined(row, starts[rival], start, bounds[rival], min(best[0], found))
        if refined[0] < best[0]:
            best = refined
    return best


def _bound(groups: list[_Group], lead: float) -> float:
    """The radius at which the groups' best leads, each within it, add up to 0 or more."""
    distances, gains = [], []
    for one in groups:
        order = np.argsort(one.distances, kind="stable")
        best = np.maximum.accumulate(one.lead[order])
        if not len(best):
            return np.inf
        lead += float(best[0])
        distances.append(one.distances[order])
        gains.append(np.append(0.0, np.diff(best)))
    at_least = max(float(one[0]) for one in distances)
    flat = np.concatenate(distances)
    order = np.argsort(flat, kind="stable")
    sums = lead + np.cumsum(np.concatenate(gains)[order])
    enough = np.flatnonzero(sums >= 0)
    return max(at_least, float(flat[order][enough[0]])) if len(enough) else np.inf


def _refined(
    row: _Row, groups: list[_Group], lead: float, bound: float, most: float
) -> tuple[float, Numbers | None]:
    """Merge within growing radii until it is exact, beyond `most`, or too much."""
    reach = float(length(np.maximum(row.origin - row.floor, row.ceiling - row.origin), row.norm))
    while np.isfinite(bound):
        radius = min(max(bound * _WIDER, 1e-3), most)
        kept, is_one = _merged(row, groups, lead, radius)
        if not is_one:
            return max(bound, min(_bound(kept, lead), radius)), None
        if kept:
            nearest, witness = row.nearest(kept[0], lead)
            if nearest <= radius:
                return nearest, witness
        if radius >= most:  # a wrong answer is known there
            return most, None
        bound = radius if radius < reach else np.inf
    return bound, None


def _merged(
    row: _Row, groups: list[_Group], lead: float, radius: float
) -> tuple[list[_Group], bool]:
    """The groups, merged as far as they may grow; whether that is all the way."""
    groups = [one.chosen(one.distances <= radius) for one in groups]
    while True:
        groups = _hopeful(groups, lead)
        if not groups or any(not len(one.lead) for one in groups):
            return [], True
        if len(groups) == 1:
            return groups, True
        groups.sort(key=lambda one: len(one.lead))
        merged = []
        for place in range(0, len(groups) - 1, 2):
            both = _both(row, groups[place], groups[place + 1], radius)
            if both is None:
                return groups, False
            merged.append(both)
        groups = merged + groups[len(groups) - len(groups) % 2 :]


def _hopeful(groups: list[_Group], lead: float) -> list[_Group]:
    """Without sets that stay behind whatever the best of all other groups adds."""
    if any(not len(one.lead) for one in groups):
        return []
    best = np.array([one.lead.max() for one in groups])
    total = lead + best.sum()
    return [one.chosen(one.lead + total - top >= 0) for one, top in zip(groups, best, strict=True)]


def _both(row: _Row, first: _Group, second: _Group, radius: float) -> _Group | None:
    """All sets of two groups that share a point within the radius; None: they are too many."""
    pairs = len(first.lead) * len(second.lead)
    if pairs > 64 * row.most_sets:
        return None
    portion = max(1, (1 << 18) // (len(second.lead) * len(row.origin)))
    parts, count = [], 0
    for start in range(0, len(first.lead), portion):
        end = start + portion
        low = np.maximum(first.low[start:end, None], second.low[None])
        high = np.minimum(first.high[start:end, None], second.high[None])
        at, other = np.nonzero((low < high).all(axis=2))
        low, high = low[at, other], high[at, other]
        lead = first.lead[start + at] + second.lead[other]
        part = _Group(low, high, lead, row.distances(low, high))
        parts.append(part.chosen(part.distances <= radius))
        count += len(parts[-1].lead)
        if count > row.most_sets:
            return None
    return _Group(
        np.concatenate([one.low for one in parts]), np.concatenate([one.high for one in parts]),
        np.concatenate([one.lead for one in parts]),
        np.concatenate([one.distances for one in parts]),
    )  # fmt: skip
