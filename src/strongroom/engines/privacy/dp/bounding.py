"""Whatever a person has in a table, only so much of it is counted.

Each person stays in at most so many groups, with at most so many rows in each. What is kept of a
person depends on nothing but this person's own rows and their order: taking a person out of the
table takes out what was kept of them, and changes no other row. So the sums of two neighbouring
tables differ by what one person may add, which the tests check for any table.

What is kept is spread evenly over what a person has, from a place on that a hash tells (systematic
sampling, Madow 1949): the same each time, each row as likely as any other, and no sort of the
whole table. How good the hash is matters to how fair that is, and not to anybody's privacy.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

if TYPE_CHECKING:
    import polars as pl

_SEEDS = (0x5EED, 0xFEED)


def bounded(
    frame: "pl.DataFrame", subject: str, grouped_by: Sequence[str], *, groups: int, rows: int
) -> "pl.DataFrame":
    """The rows that count: at most `rows` of each person in a group, in at most `groups` groups.

    Rows without a person are left out; the others stay in their order.

    Args:
        subject: column that says whose a row is.
        grouped_by: columns whose values make a group; missing ones are a value too.
    """
    import polars as pl

    if frame[subject].null_count():
        frame = frame.filter(pl.col(subject).is_not_null())
    people, starts = _people(frame[subject])
    if not grouped_by:
        kept = _spread(people, starts, rows)
    else:
        kept = _in_few_groups(people, starts, _cells(frame, grouped_by), groups=groups, rows=rows)
    return frame if kept.all() else frame.filter(pl.Series(kept))


def _in_few_groups(
    people: "_Numbered", starts: NDArray[np.uint64], cells: "_Numbered", *, groups: int, rows: int
) -> NDArray[np.bool_]:
    """Which rows count, where each person is in some of their groups and has some rows in each."""
    pairs, first = _pairs(people, cells)
    owners = _Numbered(people.codes[first], people.size)
    is_in = _spread(owners, starts, groups)
    own = starts[owners.codes] ^ _places(owners).astype(np.uint64)
    return is_in[pairs.codes] & _spread(pairs, _hashed(own), rows)


# ---- what is kept ----


def _spread(of: "_Numbered", starts: NDArray[np.uint64], most: int) -> NDArray[np.bool_]:
    """Which of some things are kept: at most `most` of each owner's, evenly spread.

    Args:
        of: the owner of each thing.
        starts: for each owner any number, by which the first that is kept is chosen.
    """
    counts = np.bincount(of.codes, minlength=of.size)
    kept = np.ones(len(of.codes), bool)
    over = counts > most
    if not over.any():
        return kept
    at = np.flatnonzero(over[of.codes])
    codes = of.codes[at]
    count = counts[codes]
    start = (starts[codes] % count.astype(np.uint64)).astype(np.int64)
    # Steps of `most` around a circle of `count` fall `most` times into its first `most` places.
    # Both are below 2**31, so that their product is exact.
    kept[at] = (_places(_Numbered(codes, of.size)) * most + start) % count < most
    return kept


def _places(of: "_Numbered") -> NDArray[np.int64]:
    """Of each thing how many its owner has before it."""
    order = _order(of)
    ends = np.cumsum(np.bincount(of.codes, minlength=of.size))
    firsts = np.concatenate([np.zeros(1, np.int64), ends[:-1]])
    places = np.empty(len(order), np.int64)
    places[order] = np.arange(len(order)) - firsts[of.codes[order]]
    return places


def _order(of: "_Numbered") -> NDArray[np.int64]:
    """What sorts numbers; equal ones stay in their order."""
    # By halves of 16 bits, which NumPy sorts by counting.
    order = np.argsort((of.codes & 0xFFFF).astype(np.uint16), kind="stable")
    if of.size > 1 << 16:
        high = (of.codes >> 16)[order].astype(np.uint16)
        order = order[np.argsort(high, kind="stable")]
    return order


# ---- numbers for values ----


@dataclass(frozen=True, slots=True)
class _Numbered:
    """Equal values by one number, below `size` and 2**31; `codes` is as long as the values."""

    codes: NDArray[np.int64]
    size: int


def _people(values: "pl.Series") -> tuple[_Numbered, NDArray[np.uint64]]:
    """A number for each person, and what the person's name hashes to."""
    import polars as pl

    encoded = _arrow(values).dictionary_encode()
    names = pl.Series(encoded.dictionary)
    return _Numbered(_codes(encoded.indices), len(names)), names.hash(_SEEDS[0]).to_numpy()


def _cells(frame: "pl.DataFrame", columns: Sequence[str]) -> _Numbered:
    """A number for each group; a missing value is a value."""
    found = _Numbered(np.zeros(frame.height, np.int64), 1)
    for column in columns:
        encoded = _arrow(frame[column]).dictionary_encode(null_encoding="encode")
        own = _codes(encoded.indices)
        found = _numbered(found.codes * len(encoded.dictionary) + own)
    return found


def _pairs(people: _Numbered, cells: _Numbered) -> tuple[_Numbered, NDArray[np.int64]]:
    """A number for each person in a group, and the first row of each.

    They are numbered in the order of these first rows, which for the pairs of one person is an
    order of the person's own.
    """
    order = _order(cells)
    order = order[_order(_Numbered(people.codes[order], people.size))]
    person, cell = people.codes[order], cells.codes[order]
    is_new = np.ones(len(order), bool)
    is_new[1:] = (person[1:] != person[:-1]) | (cell[1:] != cell[:-1])
    is_first = np.zeros(len(order), bool)
    is_first[order[is_new]] = True
    numbers = np.cumsum(is_first) - 1
    codes = np.empty(len(order), np.int64)
    codes[order] = numbers[order[is_new]][np.cumsum(is_new) - 1]
    first = np.flatnonzero(is_first)
    return _Numbered(codes, len(first)), first


def _numbered(values: NDArray[np.int64]) -> _Numbered:
    """Smaller numbers for few different ones."""
    import polars as pl

    encoded = _arrow(pl.Series(values)).dictionary_encode()
    return _Numbered(_codes(encoded.indices), len(encoded.dictionary))


def _arrow(values: "pl.Series") -> "pa.Array[Any]":
    return values.alias("").to_arrow()  # a name with a NUL in it has no place in Arrow


def _codes(indices: "pa.Array[Any]") -> NDArray[np.int64]:
    import polars as pl

    # Arrow's own way to NumPy loads pandas, which takes longer than the whole of a small table.
    return pl.Series(indices).to_numpy().astype(np.int64)


def _hashed(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    import polars as pl

    return pl.Series(values).hash(_SEEDS[1]).to_numpy()
