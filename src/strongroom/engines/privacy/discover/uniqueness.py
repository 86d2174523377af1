"""Which sets of columns single people out, and what each column adds to it.

A person is singled out by columns where some combination of values in them is theirs alone. A set
is reported where it does so for at least `LEAST_SHARE` of the people and none of its columns could
be left out without losing as much again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute

from strongroom.engines.privacy.discover.findings import (
    ColumnFinding,
    ColumnUniqueness,
    QuasiIdentifier,
    Role,
    Shape,
    Uniqueness,
)
from strongroom.engines.privacy.discover.population import population_share

# The stubs' overloads know fewer argument types than the functions take.
pc: Any = pyarrow.compute
_Numbers: TypeAlias = npt.NDArray[np.int64]
_Columns: TypeAlias = tuple[int, ...]

LEAST_SHARE = 0.05
"""Sets that single out fewer people than this are not reported, nor is a smaller gain."""
LARGEST_SET = 4
MOST_ROWS = 500_000
"""Rows that are gone through in all to count sets: 250 sets of 2,000 rows."""
LEAST_SETS = 100
"""So many sets are counted however many rows there are."""
MAX_COLUMNS = 60
_MAX_REPORTED = 20
_MIN_ROWS = 20
_PROMISE_ROWS = 64
_WIDTHS = {2: MAX_COLUMNS, 3: 40, 4: 20, 5: 14}
"""Sets of so many columns are made of so many columns, those with the most different values."""
_TABLE_PER_ROW = 8
_SHAPES = frozenset(
    {Shape.CATEGORY, Shape.SHORT_TEXT, Shape.UNIQUE_TEXT, Shape.DATE, Shape.UNIQUE_INTEGER}
)


def is_candidate(finding: ColumnFinding) -> bool:
    """True where others may know the values: a quasi-identifier must be known elsewhere.

    Measurements (numbers without a personal meaning) are unique in most tables, yet nobody
    outside knows them; they are not counted. Nor are columns that name people by themselves:
    those are findings already.
    """
    if finding.role in (Role.DIRECT, Role.SECRET):
        return False
    if finding.role is Role.QUASI:
        return True
    return finding.type is None and finding.profile.shape in _SHAPES


@dataclass(frozen=True, slots=True)
class _Coded:
    """Columns as numbers: equal numbers for equal values, missing being a value too."""

    names: tuple[str, ...]
    codes: tuple[_Numbers, ...]
    sizes: tuple[int, ...]
    people: _Numbers
    people_count: int


@dataclass(frozen=True, slots=True)
class _Groups:
    """Rows grouped by some columns; rows of groups with one person have been set aside.

    Attributes:
        rows: that are still among others.
        ids: of their groups, below `count`.
        count: groups of those rows.
        apart: people who are singled out.
    """

    rows: _Numbers
    ids: _Numbers
    count: int
    apart: npt.NDArray[np.bool_]


def find_uniqueness(
    columns: Mapping[str, "pa.ChunkedArray[Any] | pa.Array[Any]"],
    *,
    people: "pa.ChunkedArray[Any] | pa.Array[Any] | None" = None,
    population: int = 0,
    largest: int = LARGEST_SET,
    most_rows: int = MOST_ROWS,
) -> Uniqueness:
    """How far `columns` single people out, together and in sets.

    Args:
        columns: name → values, all as long; at most `MAX_COLUMNS` are looked at.
        people: whom a row is about; None: each row is another person. A missing value is
            somebody not named again.
        population: people in the table that these rows were drawn from at random; 0 or as many
            as there are rows: this is the whole table.
        largest: columns in a set, 1 to 5.
        most_rows: to go through in all to count sets; `LEAST_SETS` are counted in any case.

    Returns: shares over the rows given; `population_share` extends them to the population.
    """
    coded = _coded(columns, people)
    if coded is None:
        return Uniqueness(people=0, sets=(), columns=(), share=0.0, is_complete=True)
    search = _Search(coded, max(1, min(largest, 5)), most_rows)
    found = search.run()
    whole = _group(coded, tuple(range(len(coded.names))))
    share = _share(coded, whole.apart)
    sets = tuple(
        _reported(coded, chosen, search.shares, population) for chosen in found[:_MAX_REPORTED]
    )
    return Uniqueness(
        people=coded.people_count,
        sets=sets,
        columns=_columns(coded, search.shares, share, sets),
        share=round(share, 4),
        is_complete=search.is_complete and len(found) <= _MAX_REPORTED,
        population=max(population, coded.people_count),
    )


# ---- numbers for values ----


def _codes(column: "pa.ChunkedArray[Any] | pa.Array[Any]") -> _Numbers:
    """A number for each distinct value, null being one of them."""
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    encoded: Any = pc.dictionary_encode(column, null_encoding="encode")
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    indices: _Numbers = encoded.indices.to_numpy(zero_copy_only=False)
    return indices.astype(np.int64)


def _coded(
    columns: Mapping[str, "pa.ChunkedArray[Any] | pa.Array[Any]"],
    people: "pa.ChunkedArray[Any] | pa.Array[Any] | None",
) -> _Coded | None:
    names: list[str] = []
    codes: list[_Numbers] = []
    for name, column in columns.items():
        if len(names) == MAX_COLUMNS:
            break
        try:
            codes.append(_codes(column))
        except pa.ArrowNotImplementedError:
            continue  # of a type whose values cannot be compared
        names.append(name)
    if not codes or len(codes[0]) < _MIN_ROWS:
        return None
    whose = np.arange(len(codes[0]), dtype=np.int64)
    if people is not None:
        whose = _codes(people)
        nobody = pc.is_null(people).to_numpy(zero_copy_only=False)
        whose[nobody] = whose.max() + 1 + np.arange(int(nobody.sum()))
        _, whose = np.unique(whose, return_inverse=True)
    sizes = tuple(int(column.max()) + 1 for column in codes)
    return _Coded(tuple(names), tuple(codes), sizes, whose, int(whose.max()) + 1)


# ---- grouping ----


def _everyone(coded: _Coded) -> _Groups:
    rows = np.arange(len(coded.people), dtype=np.int64)
    apart = np.zeros(coded.people_count, dtype=np.bool_)
    return _Groups(rows, np.zeros(len(rows), dtype=np.int64), 1, apart)


def _split(coded: _Coded, groups: _Groups, column: int) -> _Groups:
    """The groups, split by one more column."""
    size = coded.sizes[column]
    joined = groups.ids * size + coded.codes[column][groups.rows]
    count = groups.count * size  # fits 64 bits: groups are at most rows
    if count > _TABLE_PER_ROW * len(joined) + 1_024:  # too sparse for a table of all
        values, joined = np.unique(joined, return_inverse=True)
        count = len(values)
    whose = coded.people[groups.rows]
    # Somebody of each group; a group has one person only where all of its rows are theirs.
    somebody = np.zeros(count, dtype=np.int64)
    somebody[joined] = whose
    is_mixed = np.zeros(count, dtype=np.bool_)
    is_mixed[joined[somebody[joined] != whose]] = True
    stays = is_mixed[joined]
    apart = groups.apart.copy()
    apart[whose[~stays]] = True
    # Only groups that stay keep a number.
    numbers = np.cumsum(is_mixed) - 1
    return _Groups(groups.rows[stays], numbers[joined[stays]], int(is_mixed.sum()), apart)


def _share_with(coded: _Coded, groups: _Groups, column: int) -> float:
    """Share of the people singled out once the groups are split by one more column."""
    if coded.people_count < len(coded.people):
        return _share(coded, _split(coded, groups, column).apart)
    # Each row is somebody else: who has a group of one stands alone.
    size = coded.sizes[column]
    joined = groups.ids * size + coded.codes[column][groups.rows]
    if groups.count * size > _TABLE_PER_ROW * len(joined) + 1_024:
        sizes = np.unique(joined, return_counts=True)[1]
    else:
        sizes = np.bincount(joined)
    alone = len(coded.people) - len(groups.rows) + int(np.count_nonzero(sizes == 1))
    return alone / coded.people_count


def _group(coded: _Coded, columns: _Columns) -> _Groups:
    groups = _everyone(coded)
    for column in columns:
        if not len(groups.rows):
            break
        groups = _split(coded, groups, column)
    return groups


def _share(coded: _Coded, apart: npt.NDArray[np.bool_]) -> float:
    return int(np.count_nonzero(apart)) / coded.people_count


# ---- searching ----


class _Search:
    """Counts the sets that promise most, as far as the allowance goes."""

    def __init__(self, coded: _Coded, largest: int, most_rows: int) -> None:
        self._coded = coded
        self._largest = min(largest, len(coded.names))
        self._most = max(LEAST_SETS, most_rows // len(coded.people))
        self.shares: dict[_Columns, float] = {}
        self._kept = [_everyone(coded)]  # by the first columns of the set asked last
        self._last: _Columns = ()
        self.is_complete = True

    def run(self) -> list[_Columns]:
        """The sets to report, most telling first."""
        for column in range(len(self._coded.names)):
            self.share((column,))
        promising = self._promising()
        self.is_complete &= len(promising) <= self._most
        for chosen in sorted(promising[: self._most]):
            self.share(chosen)
        found = [chosen for chosen in list(self.shares) if self._is_telling(chosen)]
        return sorted(found, key=lambda chosen: (-self.shares[chosen], len(chosen), chosen))

    def share(self, chosen: _Columns) -> float:
        """Share of the people whom these columns single out."""
        if not chosen:
            return 0.0
        if chosen not in self.shares:
            groups = self._grouped(chosen[:-1])
            self.shares[chosen] = _share_with(self._coded, groups, chosen[-1])
        return self.shares[chosen]

    def _grouped(self, columns: _Columns) -> _Groups:
        """The groups by these columns; what they share with the last ones asked is kept."""
        same = 0
        while same < min(len(columns), len(self._last)) and columns[same] == self._last[same]:
            same += 1
        del self._kept[same + 1 :]
        for column in columns[same:]:
            self._kept.append(_split(self._coded, self._kept[-1], column))
        self._last = columns
        return self._kept[-1]

    def _is_telling(self, chosen: _Columns) -> bool:
        least = self.shares[chosen] - LEAST_SHARE + 1e-9
        if least < 0.0:
            return False
        parts = list(combinations(chosen, len(chosen) - 1))
        # First those that are known: most sets fail there.
        parts.sort(key=lambda part: part not in self.shares)
        return all(self.share(part) <= least for part in parts)

    def _promising(self) -> list[_Columns]:
        """Sets of several columns that may be telling, those that promise most first.

        Were the columns independent, a row with a combination of probability p would be alone
        among n with probability exp(-n p). People's traits hang together, which leaves fewer of
        them alone, so this is more of a bound than a guess.
        """
        coded = self._coded
        count = len(coded.people)
        rows = np.linspace(0, count - 1, min(count, _PROMISE_ROWS)).astype(np.int64)
        logs = np.stack(
            [
                np.log(np.bincount(column, minlength=size)[column[rows]] / count)
                for column, size in zip(coded.codes, coded.sizes, strict=True)
            ]
        )
        width = len(coded.names)
        varied = np.argsort(logs.mean(axis=1), kind="stable")
        below = np.array([self.shares[(column,)] for column in range(width)])
        promised: list[tuple[float, _Columns]] = []
        for size in range(2, self._largest + 1):
            usable = np.sort(varied[: _WIDTHS[size]])
            self.is_complete &= len(usable) == width
            chosen = np.array(list(combinations(usable.tolist(), size)))
            if not len(chosen):
                break
            total = sum(logs[chosen[:, at]] for at in range(size))
            share = np.exp(-(count - 1) * np.exp(total)).mean(axis=1)
            promise = np.zeros((width,) * size, dtype=np.float32)
            promise[tuple(chosen.T)] = share
            without = np.max(
                [below[tuple(np.delete(chosen, at, axis=1).T)] for at in range(size)], axis=0
            )
            gain = share - without
            good = np.flatnonzero((share >= LEAST_SHARE) & (gain >= LEAST_SHARE / 2))
            promised.extend(
                (float(gain[at]), tuple(int(column) for column in chosen[at])) for at in good
            )
            below = promise
        promised.sort(key=lambda item: (-item[0], len(item[1]), item[1]))
        return [chosen for _, chosen in promised]


# ---- reporting ----


def _reported(
    coded: _Coded, chosen: _Columns, shares: Mapping[_Columns, float], population: int
) -> QuasiIdentifier:
    sizes = _group_sizes(coded, chosen)
    added = tuple(
        round(shares[chosen] - shares.get(tuple(c for c in chosen if c != column), 0.0), 4)
        for column in chosen
    )
    return QuasiIdentifier(
        columns=tuple(coded.names[column] for column in chosen),
        unique_share=round(shares[chosen], 4),
        smallest_group=int(sizes.min()),
        population_share=round(population_share(sizes, max(population, int(sizes.sum()))), 4),
        added=added,
    )


def _group_sizes(coded: _Coded, chosen: _Columns) -> _Numbers:
    """People in each group; one with several combinations counts in each of them."""
    ids = np.zeros(len(coded.people), dtype=np.int64)
    for column in chosen:
        _, ids = np.unique(ids * coded.sizes[column] + coded.codes[column], return_inverse=True)
    pairs = np.unique(ids * coded.people_count + coded.people)
    _, sizes = np.unique(pairs // coded.people_count, return_counts=True)
    return sizes


def _columns(
    coded: _Coded,
    shares: Mapping[_Columns, float],
    share: float,
    sets: tuple[QuasiIdentifier, ...],
) -> tuple[ColumnUniqueness, ...]:
    """What each column does, the one that does most first."""
    found = []
    for column, name in enumerate(coded.names):
        rest = tuple(other for other in range(len(coded.names)) if other != column)
        without = _share(coded, _group(coded, rest).apart)
        added = sum(item.added[item.columns.index(name)] for item in sets if name in item.columns)
        found.append(
            ColumnUniqueness(
                column=name,
                alone_share=round(shares[(column,)], 4),
                lost_without=round(share - without, 4),
                added_in_sets=round(added, 4),
            )
        )
    return tuple(
        sorted(found, key=lambda item: (-item.added_in_sets, -item.lost_without, item.column))
    )
