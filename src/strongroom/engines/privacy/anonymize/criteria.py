"""What a group of rows must fulfil so that nobody in it is singled out or found out.

Each criterion gives for a group an *excess*: 0 where it is fulfilled, else how far it is not, times
rows. Two kinds let a search leave out tables unseen:

- An *absorbing* criterion (k-anonymity, k-map, distinct l-diversity) that a group fulfils is
  fulfilled by every group around it: rows that fail in a coarser table fail in every finer one.
- The excess of the others is a convex function of a group's counts and grows in proportion with
  them, so joining groups never raises the sum. Where a share s of rows may be suppressed, a table
  that works has an excess of at most s · rows · `cap`, and so has every coarser one.

Sources: Sweeney 2002 (k-anonymity); Machanavajjhala et al. 2007 (l-diversity); Li, Li &
Venkatasubramanian 2007 (t-closeness); Nergiz, Atzori & Clifton 2007 (δ-presence); Cao & Karras 2012
(β-likeness); Brickell & Shmatikov 2008 (δ-disclosure).
"""

import math
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar

import numpy as np

from strongroom.engines.privacy.anonymize.hierarchy import Codes, Hierarchy, Shares
from strongroom.errors import ValidationError

TOLERANCE = 1e-9
"""Distances this much over a threshold count as equal to it."""


class Distance(StrEnum):
    """How far two values of a sensitive column are apart."""

    EQUAL = "equal"
    ORDERED = "ordered"
    HIERARCHICAL = "hierarchical"


@dataclass(frozen=True, slots=True)
class Sizes:
    """Groups by size.

    Attributes:
        rows: of each group.
        population: people of the population in each group; empty without one.
    """

    rows: Codes
    population: Codes


@dataclass(frozen=True, slots=True)
class KAnonymity:
    """Each group has at least `k` rows."""

    k: int

    def __post_init__(self) -> None:
        _require(self.k >= 1, "k is a whole number of at least 1")

    def excess(self, sizes: Sizes) -> Shares:
        """Rows of groups that are too small."""
        return np.where(sizes.rows < self.k, sizes.rows, 0).astype(np.float64)

    is_absorbing: ClassVar[bool] = True
    cap: ClassVar[float] = 1.0


@dataclass(frozen=True, slots=True)
class KMap:
    """Each group has at least `k` people of the population."""

    k: int

    def __post_init__(self) -> None:
        _require(self.k >= 1, "k of k-map is a whole number of at least 1")

    def excess(self, sizes: Sizes) -> Shares:
        """Rows of groups that too few people of the population are in."""
        _require(bool(len(sizes.population) == len(sizes.rows)), "k-map needs a population table")
        return np.where(sizes.population < self.k, sizes.rows, 0).astype(np.float64)

    is_absorbing: ClassVar[bool] = True
    cap: ClassVar[float] = 1.0


@dataclass(frozen=True, slots=True)
class DeltaPresence:
    """Of the population's people in a group, a share of `low` to `high` is in the table."""

    low: float
    high: float

    def __post_init__(self) -> None:
        _require(0 <= self.low <= self.high <= 1, "δ-presence is two shares, the lower first")

    def excess(self, sizes: Sizes) -> Shares:
        """Rows too many, or population that the table lacks."""
        _require(
            bool(len(sizes.population) == len(sizes.rows)), "δ-presence needs a population table"
        )
        above = sizes.rows - self.high * sizes.population
        below = self.low * sizes.population - sizes.rows
        found = np.maximum(np.maximum(above, below), 0.0)
        # A group that nobody of the table is in is not written; it says that they are absent.
        return np.where(found <= TOLERANCE * (sizes.rows + 1), 0.0, found)

    is_absorbing: ClassVar[bool] = False
    cap: ClassVar[float] = math.inf


SizeCriterion = KAnonymity | KMap | DeltaPresence


@dataclass(frozen=True, slots=True)
class DistinctDiversity:
    """Each group has at least `l` different values of `column`."""

    column: str
    l: int  # noqa: E741 # the literature's letter

    def __post_init__(self) -> None:
        _require(self.l >= 1, "l is a whole number of at least 1")

    def excess(self, counts: Shares, rows: Codes) -> Shares:
        """Rows of groups with too few values."""
        return np.where(np.count_nonzero(counts, axis=1) < self.l, rows, 0).astype(np.float64)

    is_absorbing: ClassVar[bool] = True

    @property
    def cap(self) -> float:
        """Of one row."""
        return 1.0


@dataclass(frozen=True, slots=True)
class EntropyDiversity:
    """The entropy of `column` in each group is at least log `l`; `l` need not be whole."""

    column: str
    l: float  # noqa: E741 # the literature's letter

    def __post_init__(self) -> None:
        _require(self.l >= 1, "l is at least 1")

    def excess(self, counts: Shares, rows: Codes) -> Shares:
        """Nats that are missing, times rows."""
        shares = counts / np.maximum(rows, 1)[:, None]
        logs = np.log(np.where(shares > 0, shares, 1.0))
        missing = math.log(self.l) + np.einsum("ij,ij->i", shares, logs)
        return np.where(missing > TOLERANCE, missing * rows, 0.0)

    is_absorbing: ClassVar[bool] = False

    @property
    def cap(self) -> float:
        """Of one row."""
        return math.log(self.l)


@dataclass(frozen=True, slots=True)
class RecursiveDiversity:
    """The commonest value of a group is rarer than `c` times all from the `l`-th commonest on."""

    column: str
    c: float
    l: int  # noqa: E741 # the literature's letter

    def __post_init__(self) -> None:
        _require(self.l >= 1, "l is a whole number of at least 1")
        _require(self.c > 0, "c is above 0")

    def excess(self, counts: Shares, rows: Codes) -> Shares:
        """Rows of the commonest value that are too many, and next to nothing for a tie."""
        sorted_counts = -np.sort(-counts, axis=1)
        tail = sorted_counts[:, self.l - 1 :].sum(axis=1)
        over = sorted_counts[:, 0] - self.c * tail
        # "Rarer than" is strict: an exact tie fails, by an excess too small to prune anything.
        failed = (over >= -TOLERANCE) & (rows > 0)
        return np.where(failed, np.maximum(over, TOLERANCE), 0.0)

    is_absorbing: ClassVar[bool] = False

    @property
    def cap(self) -> float:
        """Of one row."""
        return 1.0


@dataclass(frozen=True)
class TCloseness:
    """The values of `column` in each group are spread nearly as in the whole table.

    Attributes:
        t: earth mover's distance that is allowed, in [0, 1].
        whole: share of each value in the whole table.
        hierarchy: of `column`; only for the hierarchical distance.
    """

    column: str
    t: float
    whole: Shares
    distance: Distance = Distance.EQUAL
    hierarchy: Hierarchy | None = None

    def __post_init__(self) -> None:
        _require(0 <= self.t <= 1, "t is in [0, 1]")
        _require(
            self.distance is not Distance.HIERARCHICAL or self.hierarchy is not None,
            f"the hierarchical distance needs a hierarchy of `{self.column}`",
        )

    def distances(self, counts: Shares, rows: Codes) -> Shares:
        """Earth mover's distance of each group to the whole."""
        extra = counts / np.maximum(rows, 1)[:, None] - self.whole
        if self.distance is Distance.EQUAL:
            return np.asarray(np.maximum(extra, 0.0).sum(axis=1))
        if self.distance is Distance.ORDERED:
            steps = max(extra.shape[1] - 1, 1)
            return np.asarray(np.abs(np.cumsum(extra, axis=1)).sum(axis=1) / steps)
        assert self.hierarchy is not None  # noqa: S101 # checked when made
        return _hierarchical(extra, self.hierarchy)

    def excess(self, counts: Shares, rows: Codes) -> Shares:
        """Distance over the threshold, times rows."""
        over = self.distances(counts, rows) - self.t
        return np.where((over > TOLERANCE) & (rows > 0), over * rows, 0.0)

    is_absorbing: ClassVar[bool] = False

    @property
    def cap(self) -> float:
        """Of one row: distances are at most 1."""
        return 1.0 - self.t


def _hierarchical(extra: Shares, hierarchy: Hierarchy) -> Shares:
    """Li, Li & Venkatasubramanian 2007, section 4.2: what each node moves among its children."""
    total = np.zeros(len(extra))
    height = hierarchy.height
    for level in range(1, height + 1):
        above = hierarchy.between(level - 1, level)
        joined = np.zeros((len(extra), len(hierarchy.labels[level])))
        given, taken = joined.copy(), joined.copy()
        for child, node in enumerate(above):
            given[:, node] += np.maximum(extra[:, child], 0.0)
            taken[:, node] += np.maximum(-extra[:, child], 0.0)
        total += (level / height) * np.minimum(given, taken).sum(axis=1)
        extra = given - taken
    return total


@dataclass(frozen=True)
class BetaLikeness:
    """No value of `column` becomes more than `beta` times likelier by knowing the group.

    The relative gain (q - p) / p of each value is at most `beta`, and with `is_enhanced` at most
    min(beta, -ln p).
    """

    column: str
    beta: float
    whole: Shares
    is_enhanced: bool = True

    def __post_init__(self) -> None:
        _require(self.beta > 0, "β is above 0")

    def excess(self, counts: Shares, rows: Codes) -> Shares:
        """Share of the value that gains too much, beyond what it may have, times rows."""
        gain = np.full(len(self.whole), self.beta)
        known = np.maximum(self.whole, 1e-300)
        if self.is_enhanced:
            gain = np.minimum(gain, -np.log(known))
        allowed = self.whole * (1.0 + gain)
        over = counts - allowed * rows[:, None]
        worst = over.max(axis=1)
        return np.where(worst > TOLERANCE * (rows + 1), worst, 0.0)

    is_absorbing: ClassVar[bool] = False

    @property
    def cap(self) -> float:
        """Of one row."""
        return 1.0


@dataclass(frozen=True)
class DeltaDisclosure:
    """Of each value of `column`, |ln(share in the group / share in the table)| is below `delta`."""

    column: str
    delta: float
    whole: Shares

    def __post_init__(self) -> None:
        _require(self.delta > 0, "δ is above 0")

    def excess(self, counts: Shares, rows: Codes) -> Shares:
        """Share beyond what a value may have or must have, times rows."""
        above = counts - self.whole * math.exp(self.delta) * rows[:, None]
        below = self.whole * math.exp(-self.delta) * rows[:, None] - counts
        worst = np.maximum(above, below)[:, self.whole > 0].max(axis=1, initial=-math.inf)
        return np.where((worst >= 0) & (rows > 0), np.maximum(worst, TOLERANCE), 0.0)

    is_absorbing: ClassVar[bool] = False

    @property
    def cap(self) -> float:
        """Of one row."""
        return 1.0


ValueCriterion = (
    DistinctDiversity
    | EntropyDiversity
    | RecursiveDiversity
    | TCloseness
    | BetaLikeness
    | DeltaDisclosure
)


@dataclass(frozen=True)
class Demands:
    """Everything that a table must fulfil.

    Attributes:
        sizes: on the sizes of groups.
        values: on the values of sensitive columns.
        average_risk: one over the average size of groups at most; 1 asks nothing.
        suppression: share of the rows that may be left out, in [0, 1].
    """

    sizes: tuple[SizeCriterion, ...] = ()
    values: tuple[ValueCriterion, ...] = ()
    average_risk: float = 1.0
    suppression: float = 0.0

    def __post_init__(self) -> None:
        _require(0 <= self.suppression <= 1, "the suppression limit is a share in [0, 1]")
        _require(0 < self.average_risk <= 1, "the average risk is in (0, 1]")
        needs_all = any(isinstance(one, DeltaPresence) and one.low > 0 for one in self.sizes)
        _require(
            not (needs_all and self.suppression),
            "δ-presence with a lower bound allows no suppression: who is left out is known absent",
        )

    @property
    def columns(self) -> tuple[str, ...]:
        """The sensitive columns that are looked at."""
        return tuple(dict.fromkeys(one.column for one in self.values))

    @property
    def is_absorbing(self) -> bool:
        """Every group around a good group is good."""
        return all(one.is_absorbing for one in (*self.sizes, *self.values))


def _require(holds: bool, words: str) -> None:
    if not holds:
        raise ValidationError(words)
