"""Tables as groups of equal rows: coded once, then rolled up from finer groups to coarser ones."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
import numpy.typing as npt

from strongroom.engines.privacy.anonymize.criteria import Demands, Sizes
from strongroom.engines.privacy.anonymize.hierarchy import Codes, Hierarchy, Shares

Node = tuple[int, ...]
"""A level for each quasi-identifier."""

_DENSE_PER_GROUP = 8
_DENSE_LEAST = 1 << 16
_BLOCK_CELLS = 4_000_000
_MOST_GAPS = 1 << 15
SmallCodes = npt.NDArray[np.int32]
_NO_CODES = np.zeros(0, dtype=np.int64)


@dataclass(frozen=True)
class Cells:
    """How often each value of a sensitive column occurs in each group, where it does."""

    group: Codes
    value: Codes
    count: Codes
    values: int


@dataclass(frozen=True)
class Groups:
    """Rows with equal quasi-identifiers on the levels `node`.

    Attributes:
        codes: for each quasi-identifier the node of its hierarchy, per group.
        rows: rows in each group; 0 in groups that only the population has.
        population: people of the population; empty without one.
        cells: by sensitive column.
    """

    node: Node
    codes: tuple[Codes, ...]
    rows: Codes
    population: Codes
    cells: Mapping[str, Cells]
    above: dict[tuple[int, int], SmallCodes] = field(default_factory=dict, repr=False)
    """Kept: for a column and a level the node above each group."""

    @property
    def count(self) -> int:
        """Groups."""
        return len(self.rows)


def numbered(columns: Sequence[Codes | SmallCodes], sizes: Sequence[int]) -> tuple[Codes, int]:
    """A number for each combination, below a count that is not much above the rows.

    Returns: the numbers, and how many may occur.
    """
    length = len(columns[0]) if columns else 0
    ids = np.zeros(length, dtype=np.int64)
    count = 1
    for column, size in zip(columns, sizes, strict=True):
        if size == 1:
            continue
        if count * size >= 1 << 62:
            ids, count = _compact(ids)
        ids = ids * size + column
        count *= size
    return ids, count


def _compact(ids: Codes) -> tuple[Codes, int]:
    values, ids = np.unique(ids, return_inverse=True)
    return ids.astype(np.int64), len(values)


def close_numbers(ids: Codes, count: int) -> tuple[Codes, int]:
    """The same numbers without gaps."""
    if count > max(_DENSE_PER_GROUP * len(ids), _DENSE_LEAST):
        return _compact(ids)
    present = np.zeros(count, dtype=np.bool_)
    present[ids] = True
    to = np.cumsum(present) - 1
    return to[ids], int(to[-1]) + 1 if count else 0


def distinct(ids: Codes, count: int) -> int:
    """How many different numbers there are; each is below `count`."""
    if count <= max(_DENSE_PER_GROUP * len(ids), _DENSE_LEAST):
        return int(np.count_nonzero(np.bincount(ids, minlength=1)))
    in_order = np.sort(ids)
    return int(np.count_nonzero(in_order[1:] != in_order[:-1])) + (len(ids) > 0)


def base_groups(
    codes: Sequence[Codes],
    hierarchies: Sequence[Hierarchy],
    sensitive: Mapping[str, tuple[Codes, int]],
    population: Sequence[Codes] | None = None,
    times: Codes | None = None,
) -> tuple[Groups, Codes]:
    """The groups of a table as it is, and the group of each row.

    Args:
        codes: leaves of each quasi-identifier, per row.
        sensitive: column → code of each row, and how many values there are.
        population: leaves of each quasi-identifier, per person of the population.
        times: how many rows each of the rows stands for; None: for itself.
    """
    sizes = [len(hierarchy.leaves) for hierarchy in hierarchies]
    length = len(codes[0]) if codes else 0
    joined = codes if population is None else [
        np.concatenate(pair) for pair in zip(codes, population, strict=True)
    ]  # fmt: skip
    ids, count = close_numbers(*numbered(joined, sizes))
    somewhere = np.zeros(count, dtype=np.int64)
    somewhere[ids] = np.arange(len(ids))
    often = np.ones(length, dtype=np.int64) if times is None else times
    rows = _summed(ids[:length], often, count)
    people = np.bincount(ids[length:], minlength=count) if population is not None else _NO_CODES
    cells = {}
    for name, (values, width) in sensitive.items():
        pairs, back = np.unique(ids[:length] * width + values, return_inverse=True)
        counts = _summed(back, often, len(pairs))
        cells[name] = Cells(pairs // width, pairs % width, counts, width)
    found = Groups(
        (0,) * len(codes), tuple(column[somewhere] for column in joined), rows, people, cells
    )
    return found, ids[:length]


class RollUp:
    """Maps from finer levels to coarser ones, kept."""

    def __init__(self, hierarchies: Sequence[Hierarchy]) -> None:
        self.hierarchies = tuple(hierarchies)
        self._map = lru_cache(maxsize=4_096)(self._made)

    def _made(self, column: int, finer: int, coarser: int) -> Codes:
        return self.hierarchies[column].between(finer, coarser)

    def above(self, groups: Groups, column: int, level: int) -> SmallCodes:
        """The node on a coarser level above each group, in one column."""
        kept = groups.above.get((column, level))
        if kept is None:
            found = self._map(column, groups.node[column], level)[groups.codes[column]]
            kept = groups.above[column, level] = found.astype(np.int32)
        return kept

    def ids(self, groups: Groups, node: Node) -> tuple[Codes, int]:
        """The group on the levels `node` of each group, and a count below which they stay.

        `node` must be coarser than the groups' own node, or the same, in each column. Some numbers
        may be nobody's where no values are counted: closing the gaps would take longer. The same
        node has the same numbers from whichever groups it is reached.
        """
        sizes = [len(tree.labels[level]) for tree, level in zip(
            self.hierarchies, node, strict=True)]  # fmt: skip
        which = [at for at, size in enumerate(sizes) if size > 1]
        if not which:
            return np.zeros(groups.count, dtype=np.int64), 1
        total = math.prod(sizes)
        if total >= 1 << 31:
            columns = [self.above(groups, at, node[at]) for at in which]
            return close_numbers(*numbered(columns, [sizes[at] for at in which]))
        ids = self.above(groups, which[0], node[which[0]]).copy()
        for at in which[1:]:
            ids *= np.int32(sizes[at])
            ids += self.above(groups, at, node[at])
        if total <= _MOST_GAPS and not groups.cells:
            return ids.astype(np.int64), total
        return close_numbers(ids.astype(np.int64), total)

    def rolled(self, groups: Groups, node: Node) -> Groups:
        """The groups on coarser levels."""
        if node == groups.node:
            return groups
        ids, count = close_numbers(*self.ids(groups, node))
        somewhere = np.zeros(count, dtype=np.int64)
        somewhere[ids] = np.arange(groups.count)
        codes = tuple(
            self._map(at, groups.node[at], node[at])[groups.codes[at][somewhere]]
            for at in range(len(node))
        )
        return Groups(
            node, codes, _summed(ids, groups.rows, count),
            _summed(ids, groups.population, count) if len(groups.population) else _NO_CODES,
            {name: _joined_cells(cells, ids) for name, cells in groups.cells.items()},
        )  # fmt: skip


def _summed(ids: Codes, weights: Codes, count: int) -> Codes:
    return np.bincount(ids, weights=weights, minlength=count).astype(np.int64)


def _joined_cells(cells: Cells, ids: Codes) -> Cells:
    keys = ids[cells.group] * cells.values + cells.value
    found, back = np.unique(keys, return_inverse=True)
    return Cells(
        found // cells.values, found % cells.values, _summed(back, cells.count, len(found)),
        cells.values,
    )  # fmt: skip


def histograms(
    cells: Cells, ids: Codes, count: int, wanted: Codes | None = None
) -> Iterator[tuple[Codes, Shares]]:
    """Counts of each value in each group, a block of groups at a time.

    Args:
        ids: for each group of `cells` the group that is counted.
        wanted: groups to count; None: all below `count`.

    Returns: numbers of the groups, and an array (groups, values).
    """
    chosen = np.arange(count) if wanted is None else wanted
    groups = ids[cells.group]
    step = max(_BLOCK_CELLS // max(cells.values, 1), 1)
    if len(chosen) <= step and wanted is None:
        flat = np.bincount(
            groups * cells.values + cells.value, weights=cells.count,
            minlength=count * cells.values,
        )  # fmt: skip
        yield chosen, flat.astype(np.float64).reshape(count, cells.values)
        return
    place = np.full(count, -1, dtype=np.int64)
    place[chosen] = np.arange(len(chosen))
    places = place[groups]
    for start in range(0, len(chosen), step):
        end = min(start + step, len(chosen))
        inside = (places >= start) & (places < end)
        flat = np.bincount(
            (places[inside] - start) * cells.values + cells.value[inside],
            weights=cells.count[inside], minlength=(end - start) * cells.values,
        )  # fmt: skip
        yield chosen[start:end], flat.astype(np.float64).reshape(end - start, cells.values)


@dataclass(frozen=True)
class Judged:
    """Groups against demands.

    Attributes:
        is_bad: per group: some criterion fails.
        is_lost: per group: bad on every finer level too, whatever else happens.
        bad_rows: rows to suppress.
        is_hopeless: no finer table can fulfil the demands.
        is_good: this table fulfils them with its bad rows suppressed.
    """

    is_bad: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
    is_lost: "np.ndarray[tuple[int], np.dtype[np.bool_]]"
    bad_rows: int
    is_hopeless: bool
    is_good: bool


def judged(groups: Groups, ids: Codes, count: int, demands: Demands, total: int) -> Judged:
    """Whether the groups `ids` fulfil the demands.

    Args:
        ids, count: the coarser group of each of `groups`.
        total: rows of the table.
    """
    rows = _summed(ids, groups.rows, count)
    people = _summed(ids, groups.population, count) if len(groups.population) else _NO_CODES
    allowed = int(demands.suppression * total + 1e-9)
    bad = np.zeros(count, dtype=np.bool_)
    lost = np.zeros(count, dtype=np.bool_)
    sizes = Sizes(rows, people)
    hopeless = False
    for size_criterion in demands.sizes:
        excess = size_criterion.excess(sizes)
        bad |= excess > 0
        if size_criterion.is_absorbing:
            lost |= excess > 0
        else:
            hopeless |= float(excess.sum()) > _limit(allowed, size_criterion.cap)
            hopeless |= bool(np.any(excess[rows == 0] > 0))
    hopeless |= int(rows[lost].sum()) > allowed
    for criterion in demands.values:
        if hopeless:
            break
        total_excess = 0.0
        for which, counts in histograms(groups.cells[criterion.column], ids, count):
            excess = criterion.excess(counts, rows[which])
            failed = excess > 0
            bad[which] |= failed
            if criterion.is_absorbing:
                lost[which] |= failed
            else:
                total_excess += float(excess.sum())
        if not criterion.is_absorbing:
            hopeless |= total_excess > _limit(allowed, criterion.cap)
    hopeless |= int(rows[lost].sum()) > allowed
    bad &= rows > 0
    bad_rows = int(rows[bad].sum())
    good = not hopeless and bad_rows <= allowed and bad_rows < total
    if good and demands.average_risk < 1:
        kept = int(np.count_nonzero(~bad & (rows > 0)))
        good = kept <= demands.average_risk * (total - bad_rows) + 1e-9
    return Judged(bad, lost & (rows > 0), bad_rows, bool(hopeless), bool(good))


def _limit(allowed: int, cap: float) -> float:
    """Excess of a table that fulfils a criterion once `allowed` rows are suppressed."""
    return (allowed * cap if allowed else 0.0) + 1e-6
