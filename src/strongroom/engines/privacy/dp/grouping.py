"""The groups of a query: known beforehand by keys, bins or type, or known to the data alone."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import pairwise, product
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np

from strongroom.engines.privacy.dp.intake import Kind, kind_of
from strongroom.engines.privacy.dp.predicates import moment
from strongroom.engines.privacy.dp.query import MAX_CELLS, Query, Terms, Value
from strongroom.errors import DpColumnError, DpGroupsError

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

Key: TypeAlias = tuple[Value, ...]
"""Of one group: a value, or the words for a bin, for each column that is grouped by."""


@dataclass(frozen=True, slots=True)
class Axis:
    """One column that is grouped by.

    Attributes:
        keys: the values that are told apart; None where only the data knows them.
        edges: of bins, where there are any; there is one key less.
    """

    column: str
    keys: tuple[Value, ...] | None
    edges: tuple[float, ...] = ()


def axes_of(query: Query, terms: Terms, kinds: Mapping[str, Kind]) -> tuple[Axis, ...]:
    """How the query groups. Raises: DpColumnError, DpGroupsError."""
    for column in (*terms.keys, *terms.bins):
        kind_of(column, kinds)
    axes = tuple(_axis(column, terms, kind_of(column, kinds)) for column in query.groupings)
    cells = math.prod(len(axis.keys or ()) or 1 for axis in axes)
    if cells * len(query.aggregates) > MAX_CELLS:
        raise DpGroupsError(f"a query has at most {MAX_CELLS:,} results, groups times aggregates")
    return axes


def _axis(column: str, terms: Terms, kind: Kind) -> Axis:
    if column in terms.bins:
        if kind not in (Kind.WHOLE, Kind.NUMBER):
            raise DpColumnError(f"`{column}` holds {kind.told}, and bins are of numbers")
        edges = terms.bins[column]
        return Axis(column, _told(edges), edges)
    if column in terms.keys:
        return Axis(column, tuple(_key(column, one, kind) for one in terms.keys[column]))
    if kind is Kind.TRUTH:
        return Axis(column, (False, True, None))
    if kind is Kind.NUMBER:
        raise DpColumnError(
            f"`{column}` holds numbers with fractions", next_step="give its bins to group by it"
        )
    return Axis(column, None)


def _told(edges: Sequence[float]) -> tuple[str, ...]:
    pairs = list(pairwise(edges))
    told = [f"[{low:.15g}, {high:.15g})" for low, high in pairs]
    told[-1] = told[-1][:-1] + "]"
    return tuple(told)


def _key(column: str, key: Value, kind: Kind) -> Value:
    """The key as the column holds it. Raises: DpColumnError."""
    match key:
        case None:
            return None
        case bool() if kind is Kind.TRUTH:
            return key
        case int() if kind is Kind.WHOLE and not isinstance(key, bool) and abs(key) < 1 << 63:
            return key
        case str() if kind is Kind.TEXT:
            return key
        case str() if kind is Kind.TIME:
            return moment(column, key)
        case datetime() if kind is Kind.TIME:
            return key
        case _:
            raise DpColumnError(f"`{column}` holds {kind.told}, and a key is another kind of value")


def cells_of(axes: Sequence[Axis]) -> tuple[Key, ...]:
    """The groups, in order, where all keys are known."""
    return tuple(product(*(axis.keys or () for axis in axes)))


def place_name(at: int) -> str:
    """Name of the column that tells the key, or the number of the bin, of the axis `at`."""
    return f"\0group{at}"


def in_cells(frame: "pl.DataFrame", axes: Sequence[Axis]) -> "pl.DataFrame":
    """The rows that are in one of the known keys and bins, with a column for each axis."""
    import polars as pl

    for at, axis in enumerate(axes):
        name = place_name(at)
        if axis.edges:
            bins = pl.Series(name, _bins(frame[axis.column], axis.edges), pl.Int64)
            frame = frame.with_columns(bins).filter(pl.col(name) >= 0)
            continue
        frame = frame.with_columns(pl.col(axis.column).alias(name))
        if axis.keys is not None:
            kind = frame.schema[name]
            known = pl.Series([key for key in axis.keys if key is not None], dtype=kind)
            is_known = pl.col(name).is_in(known.implode()).fill_null(value=None in axis.keys)
            frame = frame.filter(is_known)
    return frame


def _bins(values: "pl.Series", edges: Sequence[float]) -> "NDArray[np.int64]":
    """The bin of each value; -1 for those in none."""
    numbers = values.cast(float).fill_null(float("nan")).to_numpy()
    found = np.searchsorted(np.array(edges), numbers, side="right") - 1
    found[numbers == edges[-1]] = len(edges) - 2
    found[~((numbers >= edges[0]) & (numbers <= edges[-1]))] = -1
    return found.astype(np.int64)


def codes_of(
    frame: "pl.DataFrame", axes: Sequence[Axis], cells: Sequence[Key]
) -> "NDArray[np.int64]":
    """The place among `cells` of each row; -1 for those in none of them."""
    import polars as pl

    names = [place_name(at) for at in range(len(axes))]
    columns = [
        pl.Series(name, _stored(axis, [cell[at] for cell in cells]), dtype=frame.schema[name])
        for at, (name, axis) in enumerate(zip(names, axes, strict=True))
    ]
    numbers = pl.Series("\0code", np.arange(len(cells)), dtype=pl.Int64)
    places = pl.DataFrame([*columns, numbers])
    joined = frame.select(names).join(
        places, on=names, how="left", nulls_equal=True, maintain_order="left"
    )
    return joined["\0code"].fill_null(-1).to_numpy()


def _stored(axis: Axis, keys: Sequence[Value]) -> list[Value]:
    """Keys as they stand in the frame: bins by their number."""
    if not axis.edges:
        return list(keys)
    numbers = {key: number for number, key in enumerate(axis.keys or ())}
    return [numbers[key] for key in keys]


def counted_keys(
    frame: "pl.DataFrame", axes: Sequence[Axis], subject: str
) -> tuple[list[Key], list[int]]:
    """The groups that there are, and how many people are in each; rows, where none are named."""
    import polars as pl

    names = [place_name(at) for at in range(len(axes))]
    people = pl.col(subject).n_unique() if subject else pl.len()
    found = frame.group_by(names).agg(people.cast(pl.Int64).alias("\0people"))
    counts = found["\0people"].to_list()
    return [_shown(axes, key) for key in found.select(names).iter_rows()], counts


def _shown(axes: Sequence[Axis], stored: Key) -> Key:
    return tuple(
        (axis.keys or ())[number] if axis.edges and isinstance(number, int) else number
        for axis, number in zip(axes, stored, strict=True)
    )


def in_order(keys: Sequence[Key], axes: Sequence[Axis]) -> list[int]:
    """The places of keys in the order of their values, missing ones last."""
    ranks = [{key: rank for rank, key in enumerate(axis.keys or ())} for axis in axes]

    def order(at: int) -> list[tuple[bool, Any]]:
        return [
            (key is None, rank[key] if axis.keys is not None else key if key is not None else 0)
            for key, rank, axis in zip(keys[at], ranks, axes, strict=True)
        ]

    return sorted(range(len(keys)), key=order)
