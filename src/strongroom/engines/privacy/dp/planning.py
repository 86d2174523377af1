"""How a query will be answered, what it costs and how exact it will be; without the rows.

The budget is divided evenly among what must be drawn. Laplace noise makes every loss pure; Gaussian
noise grows with the root of the number of draws and groups and needs a delta: whichever gives the
narrower intervals is taken.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from statistics import NormalDist

from strongroom.engines.privacy.dp.accounting import MAX_NOISE, Cost
from strongroom.engines.privacy.dp.grouping import Axis, axes_of
from strongroom.engines.privacy.dp.intake import Kind, check_subject, kind_of
from strongroom.engines.privacy.dp.mechanisms import (
    MAX_SCALE,
    Noise,
    adding_scale,
    choosing_scale,
    releasing_scale,
    rho_of,
)
from strongroom.engines.privacy.dp.predicates import check_predicate
from strongroom.engines.privacy.dp.query import Aggregate, Function, Query, Terms
from strongroom.engines.privacy.dp.statistic import (
    Grid,
    Statistic,
    StatisticKind,
    grid_of,
    one_row,
)
from strongroom.errors import DpBudgetError, DpColumnError, DpUnboundedError

MISS = 0.05
"""Chance that an interval misses what it is about."""
BARS_SHARE = 0.25
"""Of the loss of a quantile, for the counts that its interval is made of."""
_COUNTS = (StatisticKind.ROWS, StatisticKind.PEOPLE, StatisticKind.VALUES)
_SPARE = 1 - 2**-40
"""Of a loss that is divided, so that the rounded parts are not more than the whole."""


@dataclass(frozen=True, slots=True)
class Draw:
    """A statistic as it will be drawn.

    Attributes:
        loss: what it may cost: epsilon of Laplace, rho of Gaussian noise.
        scale: of the noise; of a quantile, of the choice in each group.
        bar_scale: of a quantile: of the counts around it.
        threshold: of keys: above which noisy count they are released.
    """

    statistic: Statistic
    grid: Grid | None
    loss: float
    scale: float
    cost: Cost
    bar_scale: float = 0.0
    threshold: int = 0


@dataclass(frozen=True, slots=True)
class Plan:
    """What will be done.

    Attributes:
        axes: the columns that are grouped by.
        is_open: only the data knows the groups.
        sources: for each aggregate, the place of the draw that it is made of.
        delta: chance that the promise fails, of all draws.
    """

    query: Query
    terms: Terms
    kinds: Mapping[str, Kind]
    axes: tuple[Axis, ...]
    is_open: bool
    noise: Noise
    draws: tuple[Draw, ...]
    sources: tuple[int, ...]
    delta: float

    @property
    def groups(self) -> int:
        """That one person is in at most."""
        return self.terms.unit.groups if self.axes else 1

    @property
    def cost(self) -> Cost:
        """Of the whole query, for the budget."""
        return Cost.total(draw.cost for draw in self.draws)

    @property
    def cells(self) -> int | None:
        """Number of groups; None where only the data knows it."""
        return None if self.is_open else math.prod(len(axis.keys or ()) for axis in self.axes)


def plan_query(
    query: Query,
    terms: Terms,
    kinds: Mapping[str, Kind],
    *,
    noise: Noise | None = None,
    at: float = 0.0,
) -> Plan:
    """How a query is answered on these terms.

    Args:
        kinds: of the columns, as `intake.kinds_of` tells them from the schema.
        noise: the family; None: the better one.
        at: delta at which Gaussian noise keeps epsilon, where whoever counts rhos has one for all
            queries together; the delta of the terms is then for keys alone. 0: there is none.

    Raises: DpQueryError and the errors below it.
    """
    _check_columns(query, terms, kinds)
    axes = axes_of(query, terms, kinds)
    is_open = any(axis.keys is None for axis in axes)
    if is_open and not terms.delta:
        unknown = next(axis.column for axis in axes if axis.keys is None)
        raise DpBudgetError(
            f"the values of `{unknown}` are read from the data, which needs a delta",
            next_step=f"give a delta, or the keys of `{unknown}` that are publicly known",
        )
    statistics, sources = _statistics(query, terms, is_open=is_open)
    taken = noise or _better(terms, statistics, grouped=bool(axes), is_open=is_open)
    total, key_delta = _total(terms, taken, at, is_open=is_open)
    loss = total * _SPARE / len(statistics)
    groups = terms.unit.groups if axes else 1
    sizing = _Sizing(terms, kinds, taken, loss, groups, key_delta, is_grouped=bool(axes))
    draws = tuple(sizing.draw(statistic) for statistic in statistics)
    delta = terms.delta if is_open or (taken is Noise.GAUSSIAN and not at) else 0.0
    if taken is Noise.GAUSSIAN:
        delta += at
    return Plan(query, terms, kinds, axes, is_open, taken, draws, sources, delta)


def _check_columns(query: Query, terms: Terms, kinds: Mapping[str, Kind]) -> None:
    if query.where is not None:
        check_predicate(query.where, kinds)
    for column in terms.bounds:
        kind_of(column, kinds)
    subject = terms.unit.subject
    if subject:
        check_subject(subject, kinds)
        if subject in query.groupings:
            raise DpColumnError(
                f"a group for each `{subject}` would be about one person",
                next_step="group by something that many share",
            )
    for one in query.aggregates:
        _check_aggregate(one, terms, kinds)


def _check_aggregate(one: Aggregate, terms: Terms, kinds: Mapping[str, Kind]) -> None:
    if one.function is Function.PEOPLE and not terms.unit.subject:
        raise DpColumnError("to count people, the column that says whose a row is must be named")
    if not one.column:
        if one.function not in (Function.COUNT, Function.PEOPLE):
            raise DpColumnError(f"`{one.name}` needs a column")
        return
    kind = kind_of(one.column, kinds)
    if one.function is Function.COUNT:
        return
    if kind not in (Kind.WHOLE, Kind.NUMBER):
        raise DpColumnError(f"`{one.column}` holds {kind.told}, and `{one.name}` is of numbers")
    if one.column not in terms.bounds:
        raise DpUnboundedError(f"`{one.column}` has no bounds, so one row could change all")


def _statistics(
    query: Query, terms: Terms, *, is_open: bool
) -> tuple[list[Statistic], tuple[int, ...]]:
    """What must be drawn, each thing once, and of which each aggregate is made."""
    needed: dict[Statistic, int] = {}
    if is_open:
        needed[Statistic(StatisticKind.KEYS)] = 0
    spread = (Function.VARIANCE, Function.DEVIATION)
    with_moments = {one.column for one in query.aggregates if one.function in spread}
    sources = []
    for one in query.aggregates:
        statistic = _statistic(one, terms, with_moments, is_open=is_open)
        sources.append(needed.setdefault(statistic, len(needed)))
    return list(needed), tuple(sources)


def _statistic(one: Aggregate, terms: Terms, with_moments: set[str], *, is_open: bool) -> Statistic:
    is_one_row = terms.unit.rows == 1
    match one.function:
        case Function.PEOPLE if is_open:
            return Statistic(StatisticKind.KEYS)
        case Function.PEOPLE:
            return Statistic(StatisticKind.ROWS if is_one_row else StatisticKind.PEOPLE)
        case Function.COUNT if not one.column:
            return Statistic(StatisticKind.KEYS if is_open and is_one_row else StatisticKind.ROWS)
        case Function.COUNT:
            return Statistic(StatisticKind.VALUES, one.column)
        case Function.SUM:
            return Statistic(StatisticKind.SUM, one.column)
        case Function.QUANTILE:
            return Statistic(StatisticKind.QUANTILE, one.column, one.share)
        case _ if one.column in with_moments:
            return Statistic(StatisticKind.MOMENTS, one.column)
        case _:
            return Statistic(StatisticKind.MEAN, one.column)


def _total(terms: Terms, noise: Noise, at: float, *, is_open: bool) -> tuple[float, float]:
    """All that the draws may lose, and the delta of the keys."""
    if noise is Noise.LAPLACE:
        return terms.epsilon, terms.delta
    if at:
        return rho_of(terms.epsilon, at), terms.delta
    if not terms.delta:
        raise DpBudgetError("Gaussian noise needs a delta")
    share = 0.5 if is_open else 1.0
    return rho_of(terms.epsilon, terms.delta * share), terms.delta * (1 - share)


def _better(terms: Terms, statistics: list[Statistic], *, grouped: bool, is_open: bool) -> Noise:
    """The family whose intervals are the narrower, as counts have them."""
    if not terms.delta:
        return Noise.LAPLACE
    groups = terms.unit.groups if grouped else 1
    draws = len(statistics)
    rho, _ = _total(terms, Noise.GAUSSIAN, 0.0, is_open=is_open)
    if rho <= 0:
        return Noise.LAPLACE
    laplace = groups * draws / terms.epsilon * -math.log(MISS)
    gaussian = math.sqrt(groups * draws / (2 * rho)) * NormalDist().inv_cdf(1 - MISS / 2)
    return Noise.GAUSSIAN if gaussian < laplace else Noise.LAPLACE


@dataclass(frozen=True, slots=True)
class _Sizing:
    """How much noise each statistic needs."""

    terms: Terms
    kinds: Mapping[str, Kind]
    noise: Noise
    loss: float
    groups: int
    key_delta: float
    is_grouped: bool

    def draw(self, statistic: Statistic) -> Draw:
        """The statistic with its noise."""
        if statistic.kind is StatisticKind.KEYS:
            return self._keys(statistic)
        grid = self._grid(statistic)
        rows = 1 if statistic.kind is StatisticKind.PEOPLE else self.terms.unit.rows
        each = rows * one_row(statistic, grid)
        if statistic.kind is StatisticKind.QUANTILE:
            return self._quantile(statistic, grid, each)
        scale, spent = adding_scale(self.noise, *self._spread(each), self.loss)
        return Draw(statistic, grid, self.loss, scale, self._cost(statistic, each, scale, spent))

    def _spread(self, each: int) -> tuple[int, float]:
        """By L1 and by L2, what one person changes who changes each group by so much."""
        return self.groups * each, math.nextafter(math.sqrt(self.groups) * each, math.inf)

    def _grid(self, statistic: Statistic) -> Grid | None:
        if not statistic.column or statistic.kind is StatisticKind.VALUES:
            return None
        bounds = self.terms.bounds[statistic.column]
        is_whole = (
            self.kinds[statistic.column] is Kind.WHOLE
            and float(bounds.lower).is_integer()
            and float(bounds.upper).is_integer()
        )
        one = self._spread(self.terms.unit.rows)
        most = MAX_SCALE / 4 * self.loss / one[0]
        if self.noise is Noise.GAUSSIAN:
            most = MAX_SCALE / 4 * math.sqrt(2 * self.loss) / one[1]
        return grid_of(statistic.kind, bounds, is_whole=is_whole, most=most)

    def _keys(self, statistic: Statistic) -> Draw:
        scale, threshold, (spent, delta) = releasing_scale(
            self.noise, self.groups, self.loss, self.key_delta
        )
        cost = Cost.approximate(spent, delta)
        if self.noise is Noise.GAUSSIAN:
            cost = Cost.zcdp(spent) + Cost.approximate(0, delta)
        return Draw(statistic, None, self.loss, scale, cost, threshold=threshold)

    def _quantile(self, statistic: Statistic, grid: Grid | None, each: int) -> Draw:
        """A choice in each group, and counts around it."""
        scale, chosen = choosing_scale(self.noise, each, self.loss * (1 - BARS_SHARE) / self.groups)
        rows = self.terms.unit.rows
        bar_scale, counted = adding_scale(self.noise, *self._spread(rows), self.loss * BARS_SHARE)
        cost = self._loss(chosen * self.groups + counted)
        return Draw(statistic, grid, self.loss, scale, cost, bar_scale)

    def _cost(self, statistic: Statistic, each: int, scale: float, spent: float) -> Cost:
        is_single = statistic.kind in _COUNTS and not self.is_grouped
        if self.noise is Noise.LAPLACE and is_single and each > 1 and scale <= MAX_NOISE:
            # One number alone: what is known of its noise costs less than the promise.
            return Cost.geometric(scale, each)
        return self._loss(spent)

    def _loss(self, spent: float) -> Cost:
        return Cost.pure(spent) if self.noise is Noise.LAPLACE else Cost.zcdp(spent)
