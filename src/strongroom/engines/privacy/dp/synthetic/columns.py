"""Columns as a few places each, and made-up values for places."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from strongroom.engines.privacy.dp.training.coding import codes_of, numbered, places_of
from strongroom.engines.privacy.dp.training.domain import (
    LEVELS,
    Amount,
    Category,
    Domain,
    Feature,
    Number,
)
from strongroom.errors import ValidationError

COARSER = 4
"""Neighbouring bins of a number that are one place here: pairs of columns stay small."""

Codes = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Places:
    """Rows as places of their columns; the last place of a column is for missing and unknown."""

    codes: tuple[Codes, ...]
    sizes: tuple[int, ...]
    subjects: Codes | None = None

    def take(self, at: Codes) -> "Places":
        """The rows at these places."""
        subjects = None if self.subjects is None else self.subjects[at]
        return Places(tuple(one[at] for one in self.codes), self.sizes, subjects)

    def counts(self, columns: Sequence[int]) -> Codes:
        """How many rows have each combination of places, flat, the last column fastest."""
        flat = np.zeros(len(self.codes[0]), np.int64)
        for at in columns:
            flat = flat * self.sizes[at] + self.codes[at]
        cells = math.prod(self.sizes[at] for at in columns)
        return np.bincount(flat, minlength=cells).astype(np.int64)


def features_of(domain: Domain) -> tuple[Feature, ...]:
    """All columns of a domain; the target is the last, and like any other."""
    target = domain.target
    last: Feature = (
        Number(target.name, target.low, target.high)
        if isinstance(target, Amount)
        else Category(target.name, target.values)
    )
    return (*domain.features, last)


def placed(table: pa.Table, features: Sequence[Feature], subject: str = "") -> Places:
    """The rows of a table; those whose subject is not known are left out.

    Raises: ValidationError: a column is not there, or holds what has no place.
    """
    for name in [*(one.name for one in features), *([subject] if subject else [])]:
        if table.schema.names.count(name) != 1:
            raise ValidationError(f"the table has no column `{name}`, or several")
    codes = []
    for one in features:
        fine = codes_of(table.column(one.name), one).astype(np.int64)
        if isinstance(one, Number):
            fine = np.where(fine == places_of(one) - 1, size_of(one) - 1, fine // COARSER)
        codes.append(fine)
    found = Places(tuple(codes), tuple(size_of(one) for one in features))
    if not subject:
        return found
    subjects = numbered(table.column(subject))
    found = Places(found.codes, found.sizes, subjects)
    return found.take(np.flatnonzero(subjects >= 0))


def decoded(
    codes: Sequence[Codes], features: Sequence[Feature], generator: np.random.Generator
) -> pa.Table:
    """Values for places: numbers drawn evenly within their bin, null for the last place."""
    columns = {}
    for held, feature in zip(codes, features, strict=True):
        is_missing = held == size_of(feature) - 1
        if isinstance(feature, Category):
            values = np.array([*feature.values, None], object)[held]
            columns[feature.name] = pa.array(values, pa.string())
            continue
        edges = np.concatenate([[feature.low], feature.cuts(), [feature.high]])[::COARSER]
        at = np.where(is_missing, 0, held)
        drawn = edges[at] + generator.uniform(size=len(at)) * (edges[at + 1] - edges[at])
        if float(feature.low).is_integer() and float(feature.high).is_integer():
            drawn = _whole(drawn, edges[at], edges[at + 1])
        columns[feature.name] = pa.array(drawn, mask=is_missing)
    return pa.table(columns)


def _whole(
    drawn: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Whole numbers, within the bin where it has any."""
    down, least = np.floor(drawn), np.ceil(low)
    return np.where((down < low) & (least < high), least, down)


def size_of(feature: Feature) -> int:
    """How many places a column has, the last for missing and unknown values."""
    if isinstance(feature, Category):
        return places_of(feature)
    return (1 << LEVELS) // COARSER + 1
