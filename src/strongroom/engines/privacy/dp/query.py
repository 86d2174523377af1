"""What is asked: aggregates over one table, for whom, and within which bounds.

All of it is public: it is decided without a look at the rows, and the answer says it again.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from itertools import pairwise
from typing import TypeAlias

from strongroom.engines.privacy.dp.predicates import Predicate
from strongroom.errors import DpBudgetError, DpQueryError, DpUnboundedError

Value: TypeAlias = str | int | float | bool | datetime | None
"""One value of a group's key."""

MIN_EPSILON, MAX_EPSILON = 1e-4, 20.0
"""Below, the answer is noise alone; above, epsilon promises nothing (e^20 is 500 million)."""
LARGE_EPSILON = 5.0
MIN_DELTA, MAX_DELTA = 1e-12, 1e-2
MAX_AGGREGATES = 20
MAX_GROUPINGS = 5
MAX_CELLS = 100_000
"""Groups whose keys are known, times aggregates."""
MAX_CONTRIBUTION = 1_000_000
"""Of groups, and of rows in a group, that one person may be in."""
MAX_KEYS = 10_000
MAX_BOUND = 1e15
"""Of the size of a bound; beyond it, doubles lose whole numbers."""


class Function(StrEnum):
    """What is computed of the rows of a group."""

    COUNT = "count"
    PEOPLE = "people"
    SUM = "sum"
    MEAN = "mean"
    VARIANCE = "variance"
    DEVIATION = "deviation"
    QUANTILE = "quantile"


@dataclass(frozen=True, slots=True)
class Aggregate:
    """One column of the answer.

    Attributes:
        name: of that column.
        column: of the table; empty for `count` of rows and for `people`.
        share: of a quantile, in (0, 1); 0.5 is the median.
    """

    function: Function
    name: str
    column: str = ""
    share: float = 0.5


@dataclass(frozen=True, slots=True)
class Query:
    """Aggregates of the rows that a condition holds for, in groups.

    Attributes:
        groupings: columns by whose values, or bins, rows are grouped.
    """

    aggregates: tuple[Aggregate, ...]
    groupings: tuple[str, ...] = ()
    where: Predicate | None = None

    def __post_init__(self) -> None:
        """Raises: DpQueryError."""
        if not 1 <= len(self.aggregates) <= MAX_AGGREGATES:
            raise DpQueryError(f"a query has 1 to {MAX_AGGREGATES} aggregates")
        if len(self.groupings) > MAX_GROUPINGS:
            raise DpQueryError(f"a query groups by at most {MAX_GROUPINGS} columns")
        names = [*self.groupings, *(one.name for one in self.aggregates)]
        if len(set(names)) < len(names):
            raise DpQueryError("two columns of the answer have the same name")
        for one in self.aggregates:
            if one.function is Function.QUANTILE and not 0.001 <= one.share <= 0.999:
                raise DpQueryError("the share of a quantile is between 0.001 and 0.999")


@dataclass(frozen=True, slots=True)
class Bounds:
    """Between which values a column is clamped; known without the data.

    Raises: DpUnboundedError.
    """

    lower: float
    upper: float

    def __post_init__(self) -> None:
        """Both finite, in order."""
        if not (math.isfinite(self.lower) and math.isfinite(self.upper)):
            raise DpUnboundedError("bounds are finite numbers")
        if not self.lower < self.upper:
            raise DpUnboundedError(f"{self.lower:g} is not below {self.upper:g}")
        if max(abs(self.lower), abs(self.upper)) > MAX_BOUND:
            raise DpUnboundedError(f"bounds are within ±{MAX_BOUND:g}")
        if self.upper - self.lower < max(abs(self.lower), abs(self.upper), 1e-290) * 1e-9:
            raise DpUnboundedError("the bounds are so close that numbers between them blur")

    @property
    def width(self) -> float:
        """Upper less lower."""
        return self.upper - self.lower


@dataclass(frozen=True, slots=True)
class Unit:
    """Whom the promise is for: neighbouring tables differ by all rows of one of them.

    Attributes:
        subject: column that says whose a row is; empty: each row is somebody else's.
        groups: that one person may be in; of others some are left out.
        rows: of one person in one group; of others some are left out.
    """

    subject: str = ""
    groups: int = 1
    rows: int = 1

    def __post_init__(self) -> None:
        """Raises: DpQueryError, DpUnboundedError."""
        for name, value in (("groups", self.groups), ("rows in a group", self.rows)):
            if not 1 <= value <= MAX_CONTRIBUTION:
                raise DpUnboundedError(f"a person has 1 to {MAX_CONTRIBUTION:,} {name}")
        if not self.subject and (self.groups > 1 or self.rows > 1):
            raise DpQueryError(
                "groups and rows per person need to know the person",
                next_step="name the column that says whose a row is",
            )


@dataclass(frozen=True, slots=True)
class Terms:
    """On which terms a query is answered.

    Attributes:
        epsilon: all of the query may cost.
        delta: chance that the promise fails; 0: none, so that neither Gaussian noise nor keys
            that are read from the data can be had.
        bounds: of columns that are summed, averaged or ranked.
        keys: of columns that are grouped by: the values that there are, as publicly known.
        bins: of columns that are grouped by: edges, each bin from one up to below the next, the
            last one with its end.
        people: how many there are at least, where that is public: only to warn and to foresee.
    """

    epsilon: float
    delta: float = 0.0
    unit: Unit = field(default_factory=Unit)
    bounds: Mapping[str, Bounds] = field(default_factory=dict)
    keys: Mapping[str, tuple[Value, ...]] = field(default_factory=dict)
    bins: Mapping[str, tuple[float, ...]] = field(default_factory=dict)
    people: int = 0

    def __post_init__(self) -> None:
        """Raises: DpBudgetError, DpQueryError."""
        check_budget(self.epsilon, self.delta)
        for column, keys in self.keys.items():
            if not 1 <= len(keys) <= MAX_KEYS or len(set(keys)) < len(keys):
                raise DpQueryError(f"`{column}` has 1 to {MAX_KEYS:,} different keys")
            if column in self.bins:
                raise DpQueryError(f"`{column}` has either keys or bins")
        for column, edges in self.bins.items():
            if not 2 <= len(edges) <= MAX_KEYS or not all(map(math.isfinite, edges)):
                raise DpQueryError(f"the bins of `{column}` have 2 to {MAX_KEYS:,} finite edges")
            if any(low >= high for low, high in pairwise(edges)):
                raise DpQueryError(f"the edges of the bins of `{column}` rise")


def check_budget(epsilon: float, delta: float = 0.0) -> None:
    """Raises: DpBudgetError, for an epsilon or delta that promises nothing or is none."""
    if not MIN_EPSILON <= epsilon <= MAX_EPSILON:
        raise DpBudgetError(f"epsilon is from {MIN_EPSILON:g} to {MAX_EPSILON:g}")
    if not (delta == 0 or MIN_DELTA <= delta <= MAX_DELTA):
        raise DpBudgetError(f"delta is 0, or from {MIN_DELTA:g} to {MAX_DELTA:g}")
