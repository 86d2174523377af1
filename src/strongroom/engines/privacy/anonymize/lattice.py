"""The best full-domain generalization: every value of a column on the same level.

Levels of all columns form a lattice, and what is wanted is the point in it that fulfils the
demands and loses least. It is found by branch and bound over boxes of the lattice, the most
promising first:

1. A box lies between a finest and a coarsest point. Nothing in it loses less than its finest point
   does, plus what is lost on rows that even its coarsest point must suppress (`criteria.py` says
   for which demands that holds).
2. The coarsest point is checked. Where no finer table can do, the box is left out whole, and so is
   every other one below that point.
3. Where it fulfils the demands, it is a candidate. Then the box is cut in two along one column.

The bound of the best open box is a proof: no table loses less. It is 0 away from the best one found
when the search ends by itself, and says how far when it is stopped before. Checks roll up the
groups of the box's finest point: coarser tables are never counted from rows.
"""

import heapq
import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

import numpy as np

from strongroom.engines.privacy.anonymize.criteria import Demands
from strongroom.engines.privacy.anonymize.groups import (
    Groups,
    Judged,
    Node,
    RollUp,
    distinct,
    judged,
)
from strongroom.engines.privacy.anonymize.objective import BY_COLUMN, Objective

_TIE = 1e-12
_LARGE_LATTICE = 50_000
_MOST_EXCHANGES = 600
_WORTH_A_LOOK = 6.0
"""Rolling up is tried where the levels have so many times fewer combinations."""
_WORTH_ROLLING = 0.6


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a search has come.

    Attributes:
        loss: of the best table found; above 1 where none was found yet.
        bound: no table loses less.
        checked: tables that were counted.
        open_boxes: parts of the lattice that may still hold a better one.
    """

    loss: float
    bound: float
    checked: int
    open_boxes: int


Watch = Callable[[Progress], bool]
"""Told now and then; False ends the search with the best table so far."""


@dataclass(frozen=True, slots=True)
class Found:
    """The outcome of a search.

    Attributes:
        node: levels of the best table; None where none fulfils the demands, or none was found
            before the end.
        bad_rows: rows of it that are suppressed.
        size: points of the lattice.
        is_optimal: proven: nothing in the lattice loses less.
    """

    node: Node | None
    loss: float
    bound: float
    bad_rows: int
    checked: int
    size: int
    is_optimal: bool


@dataclass(slots=True)
class _Box:
    low: Node
    high: Node
    source: Groups
    lost: float = 0.0


@dataclass(slots=True)
class _Check:
    verdict: Judged
    loss: float


class Search:
    """One search over one table."""

    def __init__(self, roll: RollUp, base: Groups, demands: Demands, objective: Objective) -> None:
        self._roll = roll
        self._base = base
        self._demands = demands
        self._objective = objective
        self._top: Node = tuple(hierarchy.height for hierarchy in roll.hierarchies)
        self._checks: dict[Node, _Check] = {}
        self._as_many: set[tuple[Node, Node]] = set()
        self._hopeless: list[Node] = []
        self._hopeless_array = np.zeros((0, len(self._top)), dtype=np.int64)
        self._best: Node | None = None
        self._loss = float("inf")
        self._order = count()

    def run(self, watch: Watch | None = None, *, most_checks: int | None = None) -> Found:
        """The best table.

        Args:
            watch: may end the search.
            most_checks: ends it after so many tables were counted.
        """
        bottom = (0,) * len(self._top)
        heap = [(self._objective.least(bottom), 0.0, next(self._order),
                 _Box(bottom, self._top, self._base))]  # fmt: skip
        bound = heap[0][0]
        first = self._check(self._top, self._base)
        if not first.verdict.is_hopeless:
            self._descend()
            if self._size() > _LARGE_LATTICE:
                self._exchange(watch)
        stopped = False
        while heap:
            bound = min(max(heap[0][0], 0.0), self._loss)
            if bound >= self._loss - _TIE:
                break
            checked = len(self._checks)
            stopped = most_checks is not None and checked >= most_checks
            if watch is not None and not stopped:
                stopped = not watch(Progress(self._loss, bound, checked, len(heap)))
            if stopped:
                break
            box = heapq.heappop(heap)[-1]
            for part in self._parts(box):
                least = self._least(part)
                if least < self._loss - _TIE:
                    # Of equal promise the one nearer to its end first.
                    heapq.heappush(heap, (least, -sum(part.low), next(self._order), part))
        if not stopped:
            bound = self._loss if self._best is not None else 1.0
        self._refine()
        size = self._size()
        check = self._checks[self._best] if self._best is not None else None
        return Found(
            self._best, self._loss if check else 1.0, min(bound, 1.0),
            check.verdict.bad_rows if check else 0, len(self._checks), size, not stopped,
        )  # fmt: skip

    # ---- boxes ----

    def _parts(self, box: _Box) -> list[_Box]:
        """The box after its coarsest point was checked: cut in two, or nothing."""
        if self._is_hopeless(box.high):
            return []
        source, check = box.source, self._checks.get(box.high)
        if check is None:
            source = self._source(box)
            check = self._check(box.high, source)
        if check.verdict.is_hopeless or box.low == box.high:
            return []
        lost = self._lost(box, source, check.verdict)
        at = self._widest(box)
        middle = (box.low[at] + box.high[at]) // 2
        lower = (*box.high[:at], middle, *box.high[at + 1 :])
        upper = (*box.low[:at], middle + 1, *box.low[at + 1 :])
        return [
            _Box(box.low, lower, source, lost),
            _Box(upper, box.high, source),
        ]

    def _source(self, box: _Box) -> Groups:
        """The groups on the levels of the finest point, where these are much fewer."""
        source = box.source
        ratio = 1.0
        for at, tree in enumerate(self._roll.hierarchies):
            ratio *= len(tree.labels[source.node[at]]) / len(tree.labels[box.low[at]])
        if ratio < _WORTH_A_LOOK:
            return source
        # Boxes that begin at one point are met again and again.
        if (source.node, box.low) in self._as_many:
            return source
        if distinct(*self._roll.ids(source, box.low)) > _WORTH_ROLLING * source.count:
            self._as_many.add((source.node, box.low))
            return source
        return self._roll.rolled(source, box.low)

    def _widest(self, box: _Box) -> int:
        """The column whose levels in the box differ most in what they lose."""
        static = self._objective.static
        gaps = [
            (float(static[at][high] - static[at][low]), high - low)
            for at, (low, high) in enumerate(zip(box.low, box.high, strict=True))
        ]
        return max(range(len(gaps)), key=lambda at: (gaps[at][1] > 0, *gaps[at]))

    def _least(self, box: _Box) -> float:
        if self._is_hopeless(box.high):
            return float("inf")
        least = self._objective.least(box.low) + box.lost
        if self._objective.measure not in BY_COLUMN:
            ids, groups = self._roll.ids(box.source, box.low)
            least = max(least, self._objective.least_above(ids, groups, box.source))
        return least

    def _lost(self, box: _Box, source: Groups, verdict: Judged) -> float:
        """What rows that every table of the box must suppress lose beyond its finest point."""
        if self._objective.measure not in BY_COLUMN or not verdict.is_lost.any():
            return 0.0
        ids, _ = self._roll.ids(source, box.high)
        which = np.flatnonzero(verdict.is_lost[ids])
        lost = 1.0 - self._objective.row_losses(self._roll, source, box.low, which)
        return float(lost @ source.rows[which]) / self._objective.total

    # ---- points ----

    def _check(self, node: Node, source: Groups) -> _Check:
        if node not in self._checks:
            ids, groups = self._roll.ids(source, node)
            verdict = judged(source, ids, groups, self._demands, self._objective.total)
            loss = float("inf")
            if verdict.is_good:
                loss = self._objective.value(self._roll, source, node, ids, verdict)
                if (loss, node) < (self._loss, self._best or node):
                    self._best, self._loss = node, loss
            if verdict.is_hopeless:
                self._hopeless.append(node)
            self._checks[node] = _Check(verdict, loss)
        return self._checks[node]

    def _is_hopeless(self, node: Node) -> bool:
        """Whether a coarser table was hopeless, or this one."""
        if len(self._hopeless) != len(self._hopeless_array):
            self._hopeless_array = np.array(self._hopeless, dtype=np.int64)
        return bool(np.any(np.all(self._hopeless_array >= np.array(node), axis=1)))

    def _size(self) -> int:
        return math.prod(height + 1 for height in self._top)

    def _refine(self) -> None:
        """Of tables that lose the same the finer one: levels that hide something for nothing go.

        A column with one value has such levels, and one that weighs nothing.
        """
        node, found = self._best, self._best is not None
        while found and node is not None:
            found = False
            for at in range(len(node)):
                finer = (*node[:at], node[at] - 1, *node[at + 1 :])
                least = self._objective.least(node) - _TIE
                if node[at] and self._objective.least(finer) >= least:
                    check = self._check(finer, self._base)
                    if check.verdict.is_good and check.loss <= self._loss + _TIE:
                        node, found = finer, True
        self._best = node

    def _exchange(self, watch: Watch | None) -> None:
        """Better tables near the best: one column finer by a level, or that and another coarser.

        Where a lattice is too large to be searched to its end, good ones come from here.
        """
        is_better = self._best is not None
        while is_better and len(self._checks) < _MOST_EXCHANGES:
            before = self._loss
            for node in self._near(self._best or self._top):
                if self._objective.least(node) >= self._loss or self._is_hopeless(node):
                    continue
                self._check(node, self._base)
                if watch is not None and not watch(Progress(self._loss, 0.0, len(self._checks), 1)):
                    return
            is_better = self._loss < before

    def _near(self, node: Node) -> list[Node]:
        columns = range(len(node))
        found = []
        for finer in columns:
            for coarser in columns:
                one = list(node)
                one[finer] -= 1
                if coarser != finer:
                    one[coarser] += 1
                if one[finer] >= 0 and one[coarser] <= self._top[coarser]:
                    found.append(tuple(one))
        return sorted(found, key=lambda one: (self._objective.least(one), one))

    def _descend(self) -> None:
        """From the top down, always to the neighbour that loses least: a first good table."""
        node = self._top
        while True:
            below = [
                (*node[:at], node[at] - 1, *node[at + 1 :]) for at in range(len(node)) if node[at]
            ]
            below.sort(key=lambda one: (self._objective.least(one), one))
            for one in below:
                if self._objective.measure in BY_COLUMN and self._is_hopeless(one):
                    continue
                if self._check(one, self._base).verdict.is_good:
                    node = one
                    break
            else:
                return


def search(
    roll: RollUp,
    base: Groups,
    demands: Demands,
    objective: Objective,
    *,
    watch: Watch | None = None,
    most_checks: int | None = None,
) -> Found:
    """The full-domain generalization of `base` that fulfils the demands and loses least."""
    return Search(roll, base, demands, objective).run(watch, most_checks=most_checks)
