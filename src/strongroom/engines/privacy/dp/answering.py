"""Answering a query: bounded rows, exact sums, noise by OpenDP, values with intervals.

What leaves this module went through a mechanism, or is public. No error here depends on what
stands in the rows. Groups come in the order of their keys, not of the table.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from strongroom.engines.privacy.dp import estimates
from strongroom.engines.privacy.dp.accounting import Cost
from strongroom.engines.privacy.dp.bounding import bounded
from strongroom.engines.privacy.dp.estimates import Estimates
from strongroom.engines.privacy.dp.grouping import (
    Key,
    cells_of,
    codes_of,
    counted_keys,
    in_cells,
    in_order,
    place_name,
)
from strongroom.engines.privacy.dp.intake import frame_of, kinds_of
from strongroom.engines.privacy.dp.mechanisms import chosen, released, with_noise
from strongroom.engines.privacy.dp.planning import Draw, Plan, plan_query
from strongroom.engines.privacy.dp.predicates import columns_of, expression
from strongroom.engines.privacy.dp.query import Aggregate, Query, Terms
from strongroom.engines.privacy.dp.statistic import (
    StatisticKind,
    counts_of,
    ranked,
    scores_of,
    sums_of,
)
from strongroom.errors import DpColumnError

if TYPE_CHECKING:
    import polars as pl
    from numpy.typing import NDArray

    Whole = NDArray[np.int64]

_CHUNK = 1 << 22
"""Candidates that are counted at once, of all groups."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A value, and the interval that holds the one without noise with a chance of 95 %."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Answer:
    """What may be shown to those who may not see the rows.

    Attributes:
        rows: key of a group and, in order, its aggregates.
        cost: for the budget; it is spent once this was drawn, whatever happens to it.
    """

    plan: Plan
    rows: tuple[tuple[Key, tuple[Estimate, ...]], ...]
    cost: Cost

    @property
    def only(self) -> Estimate:
        """Of an answer of one value, that value. Raises: ValueError, of another."""
        ((_, (estimate,)),) = self.rows
        return estimate


def answer(query: Query, table: pa.Table, terms: Terms) -> Answer:
    """Plan a query and answer it. Raises: DpQueryError and the errors below it."""
    return run(plan_query(query, terms, kinds_of(table.schema)), table)


def run(plan: Plan, table: pa.Table) -> Answer:
    """Answer a planned query from a table with the columns that it was planned for.

    Raises:
        DpColumnError: the columns are of other types.
    """
    frame = _rows_that_count(plan, table)
    groups = _groups(plan, frame)
    drawn = [_drawn(plan, draw, groups) for draw in plan.draws]
    found = [
        _estimates(one, plan, source, drawn[source])
        for one, source in zip(plan.query.aggregates, plan.sources, strict=True)
    ]
    rows = tuple(
        (key, tuple(_estimate(one, at) for one in found)) for at, key in enumerate(groups.keys)
    )
    return Answer(plan, rows, plan.cost)


def _estimate(found: Estimates, at: int) -> Estimate:
    return Estimate(float(found.values[at]), float(found.lows[at]), float(found.highs[at]))


# ---- rows and groups ----


def _rows_that_count(plan: Plan, table: pa.Table) -> "pl.DataFrame":
    """The rows that the condition holds for, in known groups, and so many of each person."""
    query, unit = plan.query, plan.terms.unit
    used = [one.column for one in query.aggregates if one.column] + [*query.groupings]
    if query.where is not None:
        used += columns_of(query.where)
    if unit.subject:
        used.append(unit.subject)
    kinds = kinds_of(table.schema)
    for column in used:
        if kinds.get(column) is not plan.kinds[column]:
            raise DpColumnError(f"`{column}` is not the column that the query was planned for")
    frame = frame_of(table, used)
    if query.where is not None:
        frame = frame.filter(expression(query.where, plan.kinds))
    frame = in_cells(frame, plan.axes)
    if unit.subject:
        names = [place_name(at) for at in range(len(plan.axes))]
        frame = bounded(frame, unit.subject, names, groups=plan.groups, rows=unit.rows)
    return frame


@dataclass(frozen=True, slots=True)
class _Groups:
    """The groups that are answered.

    Attributes:
        codes: the group of each row of the frame; None where all rows are one.
        counts: of people, noisy, where the keys came from the data.
    """

    keys: tuple[Key, ...]
    frame: "pl.DataFrame"
    codes: "Whole | None"
    counts: "Whole"


def _groups(plan: Plan, frame: "pl.DataFrame") -> _Groups:
    nothing = np.zeros((0, 1), np.int64)
    if not plan.axes:
        return _Groups(((),), frame, None, nothing)
    keys, counts = cells_of(plan.axes), nothing
    if plan.is_open:
        keys, counts = _released(plan, frame)
    codes = codes_of(frame, plan.axes, keys)
    is_in = codes >= 0
    if not is_in.all():
        frame, codes = frame.filter(is_in), codes[is_in]
    return _Groups(keys, frame, codes, counts)


def _released(plan: Plan, frame: "pl.DataFrame") -> tuple[tuple[Key, ...], "Whole"]:
    """The keys that enough people share, in order, and how many do, both noisy."""
    draw = next(one for one in plan.draws if one.statistic.kind is StatisticKind.KEYS)
    keys, counts = counted_keys(frame, plan.axes, plan.terms.unit.subject)
    noisy = released(plan.noise, draw.scale, draw.threshold, counts)
    kept = [keys[at] for at in noisy]
    order = in_order(kept, plan.axes)
    values = list(noisy.values())
    numbers = np.array([values[at] for at in order], np.int64).reshape(-1, 1)
    return tuple(kept[at] for at in order), numbers


# ---- draws ----


def _drawn(plan: Plan, draw: Draw, groups: _Groups) -> "Whole | Estimates":
    """The noisy numbers of a statistic; of a quantile, what follows from them."""
    kind, unit = draw.statistic.kind, plan.terms.unit
    match kind:
        case StatisticKind.KEYS:
            return groups.counts
        case StatisticKind.QUANTILE:
            return _quantiles(plan, draw, groups)
        case StatisticKind.ROWS:
            exact = counts_of(groups.frame.height, groups.codes, len(groups.keys))
        case StatisticKind.PEOPLE:
            exact = _people(groups, unit.subject)
        case _:
            values, codes = _values(groups, draw.statistic.column)
            if draw.grid is None:
                exact = counts_of(len(values), codes, len(groups.keys))
            else:
                exact = sums_of(kind, draw.grid, values.to_numpy(), codes, len(groups.keys))
    return with_noise(plan.noise, draw.scale, exact)


def _values(groups: _Groups, column: str) -> tuple["pl.Series", "Whole | None"]:
    """The values of a column that are there, and their groups."""
    values = groups.frame[column]
    if not values.null_count():
        return values, groups.codes
    is_there = values.is_not_null()
    codes = None if groups.codes is None else groups.codes[is_there.to_numpy()]
    return values.filter(is_there), codes


def _people(groups: _Groups, subject: str) -> "Whole":
    """How many different people each group has."""
    import polars as pl

    codes = groups.codes
    if codes is None:
        return np.array([[groups.frame[subject].n_unique()]], np.int64)
    pairs = pl.DataFrame([groups.frame[subject], pl.Series("\0code", codes)]).unique()
    return counts_of(pairs.height, pairs["\0code"].to_numpy(), len(groups.keys))


def _quantiles(plan: Plan, draw: Draw, groups: _Groups) -> Estimates:
    """For each group the candidate that was chosen, and the interval from the counts around it."""
    assert draw.grid is not None  # noqa: S101 # a quantile has one
    values, codes = _values(groups, draw.statistic.column)
    numbers, count = values.to_numpy(), len(groups.keys)
    step = max(_CHUNK // (draw.grid.steps + 1), 1)
    places: list[int] = []
    edges: list[list[int]] = []
    cells: list[Whole] = []
    for start in range(0, count, step):
        size = min(step, count - start)
        part, inside = numbers, codes
        if codes is not None and size < count:
            is_in = (codes >= start) & (codes < start + size)
            part, inside = numbers[is_in], codes[is_in] - start
        for exact in ranked(draw.grid, part, inside, size):
            place = chosen(plan.noise, draw.scale, scores_of(exact, draw.statistic.share))
            places.append(place)
            edges.append(estimates.quantile_edges(draw.grid, place))
            cells.append(np.add.reduceat(exact, edges[-1][:-1]))
    exact = np.concatenate(cells) if cells else np.zeros(0, np.int64)
    noisy = np.split(
        with_noise(plan.noise, draw.bar_scale, exact), np.cumsum([len(one) for one in cells])[:-1]
    ) if cells else []  # fmt: skip
    found = [
        estimates.quantile_interval(draw, plan.noise, place, cut, counts)
        for place, cut, counts in zip(places, edges, noisy, strict=True)
    ]
    table = np.array(found, np.float64).reshape(-1, 3)
    return Estimates(table[:, 0], table[:, 1], table[:, 2])


def _estimates(one: Aggregate, plan: Plan, source: int, drawn: "Whole | Estimates") -> Estimates:
    draw = plan.draws[source]
    if isinstance(drawn, Estimates):
        return drawn
    match draw.statistic.kind:
        case StatisticKind.SUM:
            return estimates.summed(draw, plan.noise, drawn)
        case StatisticKind.MEAN | StatisticKind.MOMENTS:
            return estimates.spread(one, draw, plan.noise, drawn)
        case _:
            return estimates.counted(draw, plan.noise, drawn)
