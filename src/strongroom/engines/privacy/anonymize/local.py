"""Local recoding: each group its own ranges, found by cutting the table in two again and again.

All parts of a table are cut at once, a depth at a time, with one sort for each column. Three rules
of where to cut:

- `widest`: Mondrian (LeFevre, DeWitt & Ramakrishnan 2006) over the order of the hierarchies: the
  column that is widest in the part, at its median.
- `best`: of all columns and all places in them the cut after which the two parts lose least.
- where the demands forbid that one: the best of the other columns, then a cut of each sensitive
  value's rows at their own median, so that both parts have the mixture of the whole.

A part is a group once no cut leaves two parts that fulfil the demands. Nothing is suppressed.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np
import numpy.typing as npt

from strongroom.engines.privacy.anonymize.criteria import Demands, KAnonymity, ValueCriterion
from strongroom.engines.privacy.anonymize.groups import close_numbers, numbered
from strongroom.engines.privacy.anonymize.hierarchy import Codes, Hierarchy, Shares
from strongroom.errors import ValidationError

_Flags = npt.NDArray[np.bool_]
_LEAST_BALANCE = 0.125
"""Share of a part's rows that the smaller side of a cut has at least while parts are large."""
_LARGE = 64
_DENSE = 8
"""Up to so many possible keys for each row they are counted in an array and not sorted."""


class Cuts(StrEnum):
    """Where parts are cut."""

    WIDEST = "widest"
    BEST = "best"


@dataclass(frozen=True)
class Rows:
    """The rows to group.

    Attributes:
        codes: leaves of each column, per row.
        places: where each leaf lies in [0, 1], for each column.
        weights: of the columns, summing up to 1.
        sensitive: column → code of each row and how many values there are.
    """

    codes: tuple[Codes, ...]
    places: tuple[Shares, ...]
    weights: Shares
    sensitive: Mapping[str, tuple[Codes, int]]

    @property
    def count(self) -> int:
        """Rows."""
        return len(self.codes[0]) if self.codes else 0


def rows_of(
    codes: Sequence[Codes],
    hierarchies: Sequence[Hierarchy],
    weights: Shares,
    sensitive: Mapping[str, tuple[Codes, int]],
) -> Rows:
    """The rows of a coded table."""
    return Rows(tuple(codes), tuple(one.places for one in hierarchies), weights, sensitive)


def cut_into_groups(rows: Rows, demands: Demands, *, cuts: Cuts = Cuts.BEST) -> Codes:
    """The group of each row, numbered from 0.

    Raises:
        ValidationError: a demand that no grouping of rows alone can answer (a population, an
            average risk is turned into k before), or the table as a whole does not fulfil them.
    """
    k = 1
    for size in demands.sizes:
        if not isinstance(size, KAnonymity):
            raise ValidationError(
                "local recoding has no k-map and no δ-presence",
                next_step="take the global recoding for them",
            )
        k = max(k, size.k)
    # Groups of at least 1/r rows each are fewer than r times the rows.
    k = max(k, int(np.ceil(1.0 / demands.average_risk - 1e-9)))
    if rows.count < k:
        raise ValidationError(f"the table has {rows.count} rows, fewer than k = {k}")
    if not demands.values:
        return _by_distinct_rows(rows, k, cuts)
    state = _Parts(rows, k, demands.values, cuts)
    if not state.holds_as_one():
        raise ValidationError(
            "the whole table does not fulfil the demands on its sensitive columns",
            next_step="ask for a smaller l, or another sensitive column",
        )
    while state.cut_all():
        pass
    return state.part


def _by_distinct_rows(rows: Rows, k: int, cuts: Cuts) -> Codes:
    """Groups where only sizes count: equal rows stay together, so each is cut once."""
    ids, count = close_numbers(*numbered(rows.codes, [len(places) for places in rows.places]))
    somewhere = np.zeros(count, dtype=np.int64)
    somewhere[ids] = np.arange(rows.count)
    distinct = Rows(tuple(codes[somewhere] for codes in rows.codes), rows.places, rows.weights, {})
    state = _Parts(distinct, k, (), cuts, np.bincount(ids, minlength=count))
    while state.cut_all():
        pass
    return state.part[ids]


def _order(keys: Codes, bound: int) -> Codes:
    """The order of some keys below a bound; sorting key and place as one number is much faster."""
    bits = max(len(keys) - 1, 1).bit_length()
    if bound >= 1 << (62 - bits):
        return np.argsort(keys, kind="stable")
    joined = (keys << bits) | np.arange(len(keys))
    joined.sort()
    places: Codes = joined & ((1 << bits) - 1)
    return places


def _weighed(groups: Codes, times: Codes, count: int) -> Codes:
    """How many rows of the table are in each group."""
    return np.bincount(groups, weights=times, minlength=count).astype(np.int64)


class _Parts:
    """The parts so far: a number for each row."""

    def __init__(
        self,
        rows: Rows,
        k: int,
        values: Sequence[ValueCriterion],
        cuts: Cuts,
        times: Codes | None = None,
    ) -> None:
        self._rows = rows
        self._times = np.ones(rows.count, dtype=np.int64) if times is None else times
        """Rows of the table that each row stands for."""
        self._k = k
        self._values = tuple(values)
        self._cuts = cuts
        self._spread = [
            places * weight for places, weight in zip(rows.places, rows.weights, strict=True)
        ]
        self._sizes = [len(places) for places in rows.places]
        self.part: Codes = np.zeros(rows.count, dtype=np.int64)
        self._count = 1
        self._open: Codes = np.arange(rows.count, dtype=np.int64)
        """Rows of parts that may still be cut."""

    def holds_as_one(self) -> bool:
        """Whether the whole table fulfils the demands."""
        return bool(self._fulfilled(np.zeros(self._rows.count, dtype=np.int64), 1,
                                    np.arange(self._rows.count))[0])  # fmt: skip

    def cut_all(self) -> bool:
        """Cut every open part once; False when none is open any more."""
        rows = self._open
        if not len(rows):
            return False
        part, count = close_numbers(self.part[rows], self._count)
        sizes = _weighed(part, self._times[rows], count)
        large = sizes[part] >= 2 * self._k
        rows, part = rows[large], part[large]
        if not len(rows):
            self._open = rows
            return False
        part, count = close_numbers(part, count)
        sides = self._sides(rows, part, count)
        is_cut = np.zeros(count, dtype=np.bool_)
        is_cut[part[sides]] = True
        # The right side of each part that was cut gets a new number.
        fresh = self._count + np.cumsum(is_cut) - 1
        moved = rows[sides]
        self.part[moved] = fresh[part[sides]]
        self._count += int(np.count_nonzero(is_cut))
        self._open = rows[is_cut[part]]
        return bool(len(self._open))

    # ---- one depth ----

    def _sides(self, rows: Codes, part: Codes, count: int) -> _Flags:
        """Per row whether it goes to the right; parts that stay whole have no such row."""
        if self._cuts is Cuts.WIDEST:
            return self._widest(rows, part, count)
        sizes = _weighed(part, self._times[rows], count)
        found = [self._best_cut(at, rows, part, sizes) for at in range(len(self._spread))]
        table = np.stack([cost for cost, _ in found])
        ranked = np.argsort(table, axis=0, kind="stable")
        right = np.zeros(len(rows), dtype=np.bool_)
        waiting = np.ones(count, dtype=np.bool_)
        tries = len(self._spread) if self._values else 1
        for rank in range(tries):
            chosen = ranked[rank]
            possible = waiting & np.isfinite(table[chosen, np.arange(count)])
            if not possible.any():
                break
            trial = np.zeros(len(rows), dtype=np.bool_)
            for column in np.unique(chosen[possible]).tolist():
                # The last code that stays left; nothing of other parts is beyond it.
                last = np.where(
                    possible & (chosen == column), found[column][1], self._sizes[column]
                )
                trial |= self._rows.codes[column][rows] > last[part]
            good = possible
            if self._values:
                good = possible & self._both_hold(rows, part, count, trial)
                trial &= good[part]
            right |= trial
            waiting &= ~good
        if self._values and waiting.any():
            self._mixed(rows, part, count, waiting, right)
        return right

    def _best_cut(
        self, column: int, rows: Codes, part: Codes, sizes: Codes
    ) -> tuple[Shares, Codes]:
        """For each part the place in one column after which both sides lose least.

        Args:
            sizes: rows of the table in each part.

        Returns: for each part how much it loses after the cut, less what it does now, infinite
        where no cut can be; and the last code that goes left.
        """
        width, count = self._sizes[column], len(sizes)
        pairs, times = self._pairs(
            part * width + self._rows.codes[column][rows], rows, count * width
        )
        whose = pairs // width
        value = self._spread[column][pairs - whose * width]
        last = np.append(whose[1:] != whose[:-1], True)
        ends = np.flatnonzero(last)
        starts = np.append(0, ends[:-1] + 1)
        low, high = value[starts], value[ends]
        # Only a pair that is not the last of its part can be the left side's last.
        open_ = np.flatnonzero(~last)
        best, cut = np.full(count, np.inf), np.zeros(count, dtype=np.int64)
        if not len(open_):
            return best, cut
        of = whose[open_]
        left = np.cumsum(times)[open_] - (np.cumsum(sizes) - sizes)[of]
        size = sizes[of]
        right = size - left
        least = np.where(sizes > _LARGE * self._k,
                         np.maximum(sizes * _LEAST_BALANCE, self._k), self._k)[of]  # fmt: skip
        here, following = value[open_], value[open_ + 1]
        cost = left * (here - low[of]) + right * (high[of] - following) - size * (high - low)[of]
        # Rows with the same value stay together, unless that leaves one side too small.
        cost = np.where((left >= least) & (right >= least) & (following > here), cost, np.inf)
        firsts = np.flatnonzero(np.append(True, of[1:] != of[:-1]))
        best[of[firsts]] = np.minimum.reduceat(cost, firsts)
        at = np.flatnonzero(cost == best[of])[::-1]
        cut[of[at]] = pairs[open_[at]] - of[at] * width
        return best, cut

    def _pairs(self, keys: Codes, rows: Codes, bound: int) -> tuple[Codes, Codes]:
        """The different keys in order, and how many rows of the table have each."""
        if bound <= _DENSE * len(keys):
            counts = np.bincount(keys, weights=self._times[rows], minlength=bound)
            pairs = np.flatnonzero(counts)
            return pairs, counts[pairs].astype(np.int64)
        order = _order(keys, bound)
        keys = keys[order]
        starts = np.flatnonzero(np.append(True, keys[1:] != keys[:-1]))
        return keys[starts], np.add.reduceat(self._times[rows][order], starts)

    def _widest(self, rows: Codes, part: Codes, count: int) -> _Flags:
        """Mondrian: the widest column at its median; where the demands forbid it, the next one."""
        order = _order(part, count)
        entries = np.bincount(part, minlength=count)
        starts = np.cumsum(entries) - entries
        widths = []
        for column, spread in enumerate(self._spread):
            value = spread[self._rows.codes[column][rows[order]]]
            widths.append(np.maximum.reduceat(value, starts) - np.minimum.reduceat(value, starts))
        table = np.stack(widths)
        ranked = np.argsort(-table, axis=0, kind="stable")
        right = np.zeros(len(rows), dtype=np.bool_)
        waiting = np.ones(count, dtype=np.bool_)
        for rank in range(len(self._spread)):
            chosen = ranked[rank]
            possible = waiting & (table[chosen, np.arange(count)] > 0)
            if not possible.any():
                break
            # Later ranks are about few parts: only their rows are looked at.
            inside = np.flatnonzero(possible[part])
            some, (mine, width) = rows[inside], close_numbers(part[inside], count)
            trial = self._at_median(some, mine, chosen[possible])
            good = np.zeros(count, dtype=np.bool_)
            good[possible] = self._both_hold(some, mine, width, trial)
            right[inside] |= trial & good[part[inside]]
            waiting &= ~good
        return right

    def _at_median(self, rows: Codes, part: Codes, chosen: Codes) -> _Flags:
        """The rows right of the median of their part's chosen column, values kept together."""
        value = np.zeros(len(rows), dtype=np.int64)
        for column in np.unique(chosen).tolist():
            inside = np.flatnonzero(chosen[part] == column)
            value[inside] = self._rows.codes[column][rows[inside]]
        times, count = self._times[rows], len(chosen)
        order = _order(part * max(self._sizes) + value, count * max(self._sizes))
        sizes = _weighed(part, times, count)
        upto = np.cumsum(times[order])
        place = np.searchsorted(upto, np.cumsum(sizes) - sizes + sizes // 2, side="right")
        middle = value[order][np.minimum(place, len(order) - 1)]
        left = value < middle[part]
        below = _weighed(part[left], times[left], count)
        left = value <= middle[part]
        within = _weighed(part[left], times[left], count)
        # Of the two places around the median's value the more even one.
        before = np.abs(2 * below - sizes) <= np.abs(2 * within - sizes)
        trial: _Flags = np.where(before[part], value >= middle[part], value > middle[part])
        return trial

    # ---- demands ----

    def _both_hold(self, rows: Codes, part: Codes, count: int, right: _Flags) -> _Flags:
        """For each part whether both of its sides fulfil the demands."""
        holds = self._fulfilled(part * 2 + right, 2 * count, rows)
        return holds[0::2] & holds[1::2]

    def _fulfilled(self, groups: Codes, count: int, rows: Codes) -> _Flags:
        """Whether each of some groups fulfils the demands."""
        sizes = _weighed(groups, self._times[rows], count)
        holds: _Flags = sizes >= self._k
        for criterion in self._values:
            values, width = self._rows.sensitive[criterion.column]
            which = np.flatnonzero(holds)
            place = np.full(count, -1, dtype=np.int64)
            place[which] = np.arange(len(which))
            at = place[groups]
            inside = at >= 0
            counts = np.bincount(
                at[inside] * width + values[rows[inside]], minlength=len(which) * width
            ).reshape(len(which), width)
            holds[which] = criterion.excess(counts.astype(np.float64), sizes[which]) == 0
        return holds

    def _mixed(self, rows: Codes, part: Codes, count: int, waiting: _Flags, right: _Flags) -> None:
        """Cut parts so that each sensitive value's rows are halved along a column."""
        name = self._values[0].column
        values, width = self._rows.sensitive[name]
        inside = np.flatnonzero(waiting[part])
        some, mine = rows[inside], part[inside]
        sensitive = values[some]
        stratum = mine * width + sensitive
        sizes = np.bincount(stratum, minlength=count * width)
        starts = np.cumsum(sizes) - sizes
        # Odd strata round up and down in turn, else one side would get all the odd rows.
        odd = (sizes % 2 == 1).reshape(count, width)
        half = (sizes // 2).reshape(count, width) + (odd & (np.cumsum(odd, axis=1) % 2 == 0))
        best = np.full(count, 0.0)
        trial = np.zeros(len(inside), dtype=np.bool_)
        for column in range(len(self._spread)):
            codes = self._rows.codes[column][some]
            order = _order(stratum * self._sizes[column] + codes,
                           count * width * self._sizes[column])  # fmt: skip
            at = stratum[order]
            goes = np.zeros(len(inside), dtype=np.bool_)
            goes[order] = np.arange(len(order)) - starts[at] >= half.reshape(-1)[at]
            cost = self._change(some, mine, count, goes)
            better = cost < best
            best = np.where(better, cost, best)
            trial = np.where(better[mine], goes, trial)
        whole = np.zeros(len(rows), dtype=np.bool_)
        whole[inside] = trial
        good = waiting & (best < 0) & self._both_hold(rows, part, count, whole)
        right |= whole & good[part]

    def _change(self, rows: Codes, part: Codes, count: int, goes: _Flags) -> Shares:
        """How much all columns together lose after a cut, less what they do now, per part."""
        sides = part * 2 + goes
        sizes = np.bincount(sides, minlength=2 * count)
        total = np.zeros(count)
        order = _order(sides, 2 * count)
        filled = np.flatnonzero(sizes)
        starts = (np.cumsum(sizes) - sizes)[filled]
        for column, spread in enumerate(self._spread):
            value = spread[self._rows.codes[column][rows[order]]]
            low, high = np.full(2 * count, np.inf), np.full(2 * count, -np.inf)
            low[filled] = np.minimum.reduceat(value, starts)
            high[filled] = np.maximum.reduceat(value, starts)
            both_low = np.minimum(low[0::2], low[1::2])
            both_high = np.maximum(high[0::2], high[1::2])
            with np.errstate(invalid="ignore"):
                cut = sizes * np.where(sizes > 0, high - low, 0.0)
                whole = (sizes[0::2] + sizes[1::2]) * np.where(
                    both_high >= both_low, both_high - both_low, 0.0
                )
            total += cut[0::2] + cut[1::2] - whole
        return total
