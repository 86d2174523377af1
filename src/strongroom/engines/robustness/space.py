"""The space of inputs in which attacks move: what each feature may be, and what may change.

A point has one coordinate for each number, its place in the feature's range (0 at `low`, 1 at
`high`), and for a category one for each level, 1 at its own and 0 elsewhere. So a distance of 0.1
is a tenth of a range, and another category is the square root of 2 away.

Constraints are those of Simonetto et al., "Towards adaptive attacks on constrained tabular machine
learning", 2024: types, ranges, immutable features, and relations between features, here linear;
and directions, for what can only grow or shrink.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.target import Rows
from strongroom.errors import ValidationError

Columns = Mapping[str, NDArray[np.float64] | NDArray[np.object_]]
"""Feature → its values: numbers as float64 (NaN: missing), categories as str."""

MAX_WIDTH = 100_000
MAX_LEVELS = 1_000
_ROUNDS = 20
"""Of repairing relations one after the other."""
_SLACK = 1e-7


@dataclass(frozen=True, slots=True)
class Feature:
    """One input of a model.

    Attributes:
        low, high: of a number, in its own unit.
        levels: of a category, in the order of their places.
        is_mutable: whether an attacker can change it.
        direction: 1: can only grow, -1: only shrink, 0: both.
        step: of a number: it is `low` plus a multiple of this; 0: any.
    """

    name: str
    low: float = 0.0
    high: float = 1.0
    levels: tuple[str, ...] = ()
    is_mutable: bool = True
    direction: Literal[-1, 0, 1] = 0
    step: float = 0.0

    @property
    def width(self) -> int:
        """How many coordinates it takes."""
        return len(self.levels) or 1


@dataclass(frozen=True, slots=True)
class Relation:
    """Factors times features, in the features' units, sum to `bound` at most, or exactly."""

    factors: Mapping[str, float]
    bound: float
    is_equality: bool = False


class Space:
    """Features and relations, and the way from values to points and back.

    Attributes:
        features: in the order of the model's inputs.
        relations: between numbers.
        width: coordinates of a point.
        places: feature → the slice of its coordinates.
    """

    def __init__(self, features: Sequence[Feature], relations: Sequence[Relation] = ()) -> None:
        """Lay out the coordinates.

        Raises:
            ValidationError: two features of one name, a range that is none, too many levels, a
            relation with an unknown feature or a category.
        """
        self.features = tuple(features)
        self.relations = tuple(relations)
        self.width = sum(one.width for one in self.features)
        _require_sound(self.features, self.width)
        self.places: dict[str, slice] = {}
        start = 0
        for one in self.features:
            self.places[one.name] = slice(start, start + one.width)
            start += one.width
        self._lay_out()
        self._factors, self._bounds = self._relations()

    @classmethod
    def box(cls, width: int, low: float = 0.0, high: float = 1.0) -> "Space":
        """Bare numbers between two bounds, as of an image's pixels, named from `x0` on."""
        return cls([Feature(f"x{place}", low, high) for place in range(width)])

    # ---- values and points ----

    def encode(self, columns: Columns) -> Rows:
        """Values as points; a missing number is NaN.

        Raises:
            ValidationError: a column is missing, or holds a level that the feature does not have.
        """
        count = len(next(iter(columns.values()))) if columns else 0
        points = np.zeros((count, self.width))
        for one in self.features:
            if one.name not in columns:
                raise ValidationError(f"the rows have no column `{one.name}`")
            place = self.places[one.name]
            if one.levels:
                points[np.arange(count), place.start + _codes(one, columns[one.name])] = 1.0
            else:
                values = np.asarray(columns[one.name], dtype=np.float64)
                points[:, place.start] = (values - one.low) / (one.high - one.low or 1.0)
        return points

    def decode(self, points: Rows) -> dict[str, NDArray[np.float64] | NDArray[np.object_]]:
        """Points as values; of a category the level with the largest coordinate."""
        columns: dict[str, NDArray[np.float64] | NDArray[np.object_]] = {}
        for one in self.features:
            block = points[:, self.places[one.name]]
            if one.levels:
                columns[one.name] = np.array(one.levels, dtype=object)[block.argmax(axis=1)]
            else:
                columns[one.name] = block[:, 0] * (one.high - one.low or 1.0) + one.low
        return columns

    def matrix(self, points: Rows) -> NDArray[np.float64]:
        """Points as values, one column a feature; a category as the place of its level."""
        made = np.empty((len(points), len(self.features)))
        for column, one in enumerate(self.features):
            block = points[:, self.places[one.name]]
            if one.levels:
                made[:, column] = block.argmax(axis=1)
            else:
                made[:, column] = block[:, 0] * (one.high - one.low or 1.0) + one.low
        return made

    # ---- what may be ----

    def relax(self, points: Rows, origins: Rows) -> Rows:
        """The nearest points within ranges, directions and what is immutable; in between levels.

        For attacks that step through the space; what they end with goes through `project`.
        """
        return np.clip(points, self._lowest(origins), self._highest(origins))

    def project(self, points: Rows, origins: Rows) -> Rows:
        """Points that could be inputs, near these: whole levels, steps, ranges and relations.

        Relations are repaired one after the other over what is mutable (Agmon, "The relaxation
        method for linear inequalities", 1954); where that fails, `valid` says so.
        """
        made = self._whole(self.relax(points, origins), origins)
        if len(self._bounds):
            broken = ~self._related(made)
            if broken.any():
                made[broken] = self._repaired(made[broken], origins[broken])
        return made

    def valid(self, points: Rows, origins: Rows) -> NDArray[np.bool_]:
        """Which points could be inputs, reached from their origins; a missing number is none."""
        within = (points >= self._lowest(origins) - _SLACK) & (
            points <= self._highest(origins) + _SLACK
        )
        is_valid = within.all(axis=1)
        is_valid &= np.abs(self._whole(points, origins) - points).max(axis=1, initial=0) <= _SLACK
        return np.asarray(is_valid & self._related(points), dtype=np.bool_)

    def _lay_out(self) -> None:
        count = self.width
        self._is_mutable = np.ones(count, dtype=bool)
        self._direction = np.zeros(count)
        self._step = np.zeros(count)
        self._blocks: list[slice] = []
        for one in self.features:
            place = self.places[one.name]
            self._is_mutable[place] = one.is_mutable and (bool(one.levels) or one.high > one.low)
            if one.levels:
                self._blocks.append(place)
            else:
                self._direction[place] = one.direction
                self._step[place] = one.step / (one.high - one.low or 1.0)

    def _lowest(self, origins: Rows) -> Rows:
        floor = np.where(self._is_mutable & (self._direction <= 0), 0.0, origins)
        return np.fmin(floor, origins)

    def _highest(self, origins: Rows) -> Rows:
        ceiling = np.where(self._is_mutable & (self._direction >= 0), 1.0, origins)
        return np.fmax(ceiling, origins)

    def _whole(self, points: Rows, origins: Rows) -> Rows:
        """Levels and steps in place of what lies between them; what was not moved stays."""
        made = points.copy()
        stepped = self._step > 0
        if stepped.any():
            steps = self._step[stepped]
            near = np.round(made[:, stepped] / steps) * steps
            moved = np.abs(made[:, stepped] - origins[:, stepped]) > _SLACK
            near = np.where(near > 1 + _SLACK, near - steps, near)
            made[:, stepped] = np.where(moved, near, made[:, stepped])
        for place in self._blocks:
            best = made[:, place].argmax(axis=1)
            made[:, place] = 0.0
            made[np.arange(len(made)), place.start + best] = 1.0
        return made

    # ---- relations ----

    def _relations(self) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Factors and bounds in coordinates; an equality as two inequalities."""
        factors, bounds = [], []
        by_name = {one.name: one for one in self.features}
        for relation in self.relations:
            line, bound = np.zeros(self.width), relation.bound
            for name, factor in relation.factors.items():
                one = by_name.get(name)
                if one is None or one.levels:
                    raise ValidationError(f"a relation names `{name}`, which is no number here")
                line[self.places[name]] = factor * (one.high - one.low or 1.0)
                bound -= factor * one.low
            for sign in (1.0, -1.0) if relation.is_equality else (1.0,):
                factors.append(sign * line)
                bounds.append(sign * bound)
        return np.array(factors).reshape(len(factors), self.width), np.array(bounds)

    def _related(self, points: Rows) -> NDArray[np.bool_]:
        if not len(self._bounds):
            return np.ones(len(points), dtype=bool)
        excess = points @ self._factors.T - self._bounds
        return np.asarray((excess <= _SLACK * (1 + np.abs(self._bounds))).all(axis=1))

    def _repaired(self, points: Rows, origins: Rows) -> Rows:
        for _ in range(_ROUNDS):
            for factors, bound in zip(self._factors, self._bounds, strict=True):
                free = np.where(self._is_mutable, factors, 0.0)
                length = free @ free
                if length:
                    excess = np.maximum(points @ factors - bound, 0.0)
                    points = self.relax(points - np.outer(excess / length, free), origins)
            points = self._whole(points, origins)
            if self._related(points).all():
                break
        return points


def _codes(feature: Feature, values: NDArray[np.float64] | NDArray[np.object_]) -> NDArray[np.intp]:
    places = {level: place for place, level in enumerate(feature.levels)}
    try:
        return np.array([places[value] for value in values.tolist()], dtype=np.intp)
    except KeyError:
        raise ValidationError(
            f"`{feature.name}` holds a category that is not in its levels"
        ) from None


def _require_sound(features: Sequence[Feature], width: int) -> None:
    if len({one.name for one in features}) < len(features):
        raise ValidationError("two features have one name")
    if not 0 < width <= MAX_WIDTH:
        raise ValidationError(f"a space has 1 to {MAX_WIDTH:,} coordinates, this one {width:,}")
    for one in features:
        if len(one.levels) > MAX_LEVELS or len(set(one.levels)) < len(one.levels):
            raise ValidationError(f"`{one.name}` has more than {MAX_LEVELS:,} levels, or one twice")
        if not (np.isfinite([one.low, one.high, one.step]).all() and one.low <= one.high):
            raise ValidationError(f"`{one.name}` has no range: {one.low} to {one.high}")
