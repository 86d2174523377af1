"""The plan of a reference: which columns are counted, and into which bins. It holds no row.

A plan is made once (`planning.py`); every state that counts by the same plan can be merged and
compared. Codes are what a value becomes: its bin or category, below `MAX_BINS`, or one of the
special codes after them.
"""

import hashlib
import itertools
import math
from enum import StrEnum

import msgspec
import numpy as np
from numpy.typing import NDArray

from strongroom.errors import DriftStateError

MAX_BINS = 64
MISSING, TYPE_ERROR, REST, NEGATIVE_INFINITE, POSITIVE_INFINITE = range(MAX_BINS, MAX_BINS + 5)
"""Null or not a number; of another type; a category that the plan does not list; infinities."""
WIDTH = MAX_BINS + 5
"""Codes of a column."""
MAX_COLUMNS = 2_000
MAX_PAIRED = 64
"""Columns whose pairs are counted; the state grows with their square."""
MAX_NAME = 256
MAX_CATEGORY = 128
"""Characters of a category that a plan lists; longer ones count as the rest."""
HALF_RANK = 30
"""Scores for pairs run from -30 to 30: products of 16,384 rows are exact in single precision."""

Floats = NDArray[np.float64]
Counts = NDArray[np.int64]


class Kind(StrEnum):
    """How a column is compared."""

    NUMBER = "number"
    CATEGORY = "category"
    TEXT = "text"
    """Values that hardly repeat: only their lengths are counted."""
    TIME = "time"
    """Seconds since 1970 in UTC."""
    EMPTY = "empty"
    """Nothing but nulls in the reference."""
    OTHER = "other"
    """Nested or binary: only nulls are counted."""


class Grid(msgspec.Struct, frozen=True, array_like=True):
    """How a number becomes the index of a bin, in constant time.

    Attributes:
        form: `linear`: cells of equal width; `log`: cells by the leading bits of the number,
            of equal ratio; `cuts`: no cells, the edges themselves.
        origin: linear: where cell 0 begins. log: the number whose leading bits are cell 0.
        step: linear: width of a cell, a power of two. log: bits that are left out.
        cells: how many; what is outside goes to the first or last.
        starts: first cell of each bin, beginning with 0.
        cuts: of the form `cuts`: the edges between bins.
    """

    form: str
    origin: float = 0.0
    step: float = 1.0
    cells: int = 0
    starts: tuple[int, ...] = ()
    cuts: tuple[float, ...] = ()

    @property
    def bins(self) -> int:
        """Number of bins, the two outermost included, which are open."""
        return len(self.cuts) + 1 if self.form == "cuts" else len(self.starts)

    def edges(self) -> Floats:
        """The `bins - 1` edges between bins, ascending; bin i begins at edge i - 1."""
        if self.form == "cuts":
            return np.asarray(self.cuts, np.float64)
        starts = np.asarray(self.starts[1:], np.int64)
        if self.form == "linear":
            return np.asarray(self.origin + starts * self.step, np.float64)
        shift = int(self.step)
        key = int(np.float64(self.origin).view(np.int64)) >> shift
        keys: Counts = (starts + key) << shift
        return keys.view(np.float64)

    def require_sound(self) -> None:
        """Raise DriftStateError where it came from elsewhere and cannot be."""
        if self.form == "cuts":
            edges = self.edges()
            good = bool(np.isfinite(edges).all() and (edges[1:] > edges[:-1]).all())
        else:
            # Of any size, so that they are compared as Python's numbers.
            good = (
                self.form in {"linear", "log"}
                and 0 < self.cells <= 1 << 16
                and 0 < len(self.starts) <= MAX_BINS
                and self.starts[0] == 0
                and self.starts[-1] < self.cells
                and all(a < b for a, b in itertools.pairwise(self.starts))
                and math.isfinite(self.origin)
                and math.isfinite(self.step)
                and self.step > 0
                and math.isfinite(1.0 / self.step)
                and (self.form == "linear" or (self.origin > 0 and 0 < self.step < 64))
            )
        if not good or not 1 <= self.bins <= MAX_BINS:
            raise DriftStateError("the bins of a column make no sense")


class ColumnPlan(msgspec.Struct, frozen=True, array_like=True):
    """One column.

    Attributes:
        type: its Arrow type in the reference, as text.
        grid: of numbers, times and lengths.
        inside: first bin of the reference's range and the first one after it.
        categories: those listed, by code; the most frequent first.
        scores: of each code below `bins`, for pairs; 0 is the middle.
        spread: standard deviation in the reference's sample; 0 where it has none. With a minimum
            count values beyond the range count as its ends: one far away would be told by it.
        rest_is_known: the reference held categories that are not listed, so that a value that is
            not listed need not be new.
    """

    name: str
    kind: Kind
    type: str
    grid: Grid | None = None
    inside: tuple[int, int] = (0, 0)
    categories: tuple[str, ...] = ()
    scores: tuple[int, ...] = ()
    spread: float = 0.0
    rest_is_known: bool = False

    @property
    def bins(self) -> int:
        """Codes that values of the column can have, without the special ones."""
        return self.grid.bins if self.grid is not None else len(self.categories)

    @property
    def is_whole(self) -> bool:
        """Whether what is in bins are whole numbers: integers, or lengths."""
        return self.kind is Kind.TEXT or self.type.startswith(("int", "uint"))

    def require_sound(self) -> None:
        """Raise DriftStateError where it came from elsewhere and cannot be."""
        if self.grid is not None:
            self.grid.require_sound()
        first, last = self.inside
        if (
            len(self.name) > MAX_NAME
            or self.bins > MAX_BINS
            or len(set(self.categories)) != len(self.categories)
            or any(len(one) > MAX_CATEGORY for one in self.categories)
            or (self.scores and len(self.scores) != self.bins)
            or any(abs(score) > HALF_RANK for score in self.scores)
            or not 0 <= first <= last <= MAX_BINS
            or not math.isfinite(self.spread)
            or (self.grid is None) == (self.kind in _GRIDDED)
        ):
            raise DriftStateError("a column of the plan makes no sense")


_GRIDDED = {Kind.NUMBER, Kind.TIME, Kind.TEXT}


class Plan(msgspec.Struct, frozen=True, array_like=True):
    """What a reference looks like, in bins.

    Attributes:
        minimum_count: rows below which no category is listed, no bin is cut and no count is
            written; 0: everything is exact.
        paired: indexes of the columns whose pairs are counted.
    """

    columns: tuple[ColumnPlan, ...]
    minimum_count: int
    paired: tuple[int, ...] = ()

    @property
    def is_private(self) -> bool:
        """Whether small groups are kept out of all that is written."""
        return self.minimum_count > 0

    def digest(self) -> bytes:
        """16 bytes that say which plan it is."""
        return hashlib.sha256(msgspec.msgpack.encode(self)).digest()[:16]

    def index(self) -> dict[str, int]:
        """Name → place."""
        return {column.name: at for at, column in enumerate(self.columns)}

    def require_sound(self) -> None:
        """Raise DriftStateError where it came from elsewhere and cannot be."""
        names = {column.name for column in self.columns}
        if (
            not 0 < len(self.columns) <= MAX_COLUMNS
            or len(names) != len(self.columns)
            or not 0 <= self.minimum_count <= 1_000_000
            or len(self.paired) > MAX_PAIRED
            or list(self.paired) != sorted(set(self.paired))
            or any(not 0 <= at < len(self.columns) for at in self.paired)
        ):
            raise DriftStateError("the plan makes no sense")
        for column in self.columns:
            column.require_sound()
        if any(not self.columns[at].scores for at in self.paired):
            raise DriftStateError("a paired column has no scores")
