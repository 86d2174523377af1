"""Bounds of a column where none are publicly known: found at a cost, never looked up.

The values are counted by powers of two, and the counts get noise; the bounds are those of the
lowest and the highest power whose noisy count says that somebody is there (Wilson et al. 2020,
"Differentially private SQL with bounded user contribution", section 5.1.1). They are wide by up to
twice, and leave out what only a few rows hold.
"""

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from strongroom.engines.privacy.dp.accounting import Cost
from strongroom.engines.privacy.dp.bounding import bounded
from strongroom.engines.privacy.dp.intake import Kind, check_subject, frame_of, kind_of, kinds_of
from strongroom.engines.privacy.dp.mechanisms import Noise, adding_scale, with_noise
from strongroom.engines.privacy.dp.query import Bounds, Unit, check_budget
from strongroom.errors import DpColumnError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]

LOWEST_POWER, HIGHEST_POWER = -20, 49
"""Values up to 2**-20 count as 0, and those beyond 2**49 as 2**49."""
_MISS = 1e-6
"""Chance that an empty power of two is taken for one where somebody is."""


@dataclass(frozen=True, slots=True)
class FoundBounds:
    """Bounds that were found.

    Attributes:
        bounds: None where too few rows hold a value; the cost is spent all the same.
    """

    bounds: Bounds | None
    cost: Cost


def estimate_bounds(
    table: pa.Table, column: str, epsilon: float, unit: Unit | None = None
) -> FoundBounds:
    """About between which values those of a column lie.

    Raises:
        DpBudgetError: for an epsilon out of its range.
        DpColumnError: there is no such column, or it holds no numbers.
    """
    check_budget(epsilon)
    unit = unit or Unit()
    kinds = kinds_of(table.schema)
    if kind_of(column, kinds) not in (Kind.WHOLE, Kind.NUMBER):
        raise DpColumnError(f"`{column}` holds {kinds[column].told}, and bounds are of numbers")
    used = [column]
    if unit.subject:
        check_subject(unit.subject, kinds)
        used.append(unit.subject)
    frame = frame_of(table, used)
    if unit.subject:
        frame = bounded(frame, unit.subject, (), groups=1, rows=unit.rows)
    counts = _counted(frame[column].drop_nulls().cast(float).to_numpy())
    scale, spent = adding_scale(Noise.LAPLACE, unit.rows, float(unit.rows), epsilon)
    noisy = with_noise(Noise.LAPLACE, scale, counts)
    # P(noise > x) <= exp(-x / scale) / 2, for each of the powers.
    threshold = scale * math.log(len(counts) / (2 * _MISS))
    return FoundBounds(_spanned(np.flatnonzero(noisy > threshold)), Cost.pure(spent))


def _powers() -> int:
    return HIGHEST_POWER - LOWEST_POWER


def _counted(values: "NDArray[np.float64]") -> "Whole":
    """How many values lie in each power of two: negative ones, those about 0, positive ones."""
    sizes = np.clip(np.abs(values), 2.0**LOWEST_POWER, 2.0**HIGHEST_POWER)
    mantissas, exponents = np.frexp(sizes)
    # frexp gives a mantissa in [0.5, 1): a power of two itself belongs to what lies below it.
    powers = exponents - (mantissas == 0.5) - LOWEST_POWER
    places = _powers() + np.sign(values).astype(np.int64) * powers
    return np.bincount(places, minlength=2 * _powers() + 1).astype(np.int64)


def _edge(place: int) -> float:
    """The end of a power of two that is farther from 0."""
    power = place - _powers()
    return math.copysign(2.0 ** (abs(power) + LOWEST_POWER), power) if power else 0.0


def _spanned(places: "NDArray[np.intp]") -> Bounds | None:
    if not places.size:
        return None
    first, last = int(places[0]), int(places[-1])
    middle = _powers()
    lower = _edge(first) if first <= middle else _edge(first - 1)
    upper = _edge(last) if last >= middle else _edge(last + 1)
    if lower == upper:
        return Bounds(-(2.0**LOWEST_POWER), 2.0**LOWEST_POWER)
    return Bounds(lower, upper)
