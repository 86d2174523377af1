"""The state of a sample: how often each code occurred. No row is kept, and merging is adding."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from strongroom.engines.drift import unseen
from strongroom.engines.drift.batches import Met, Rows, aligned
from strongroom.engines.drift.coding import ColumnCoder, Scratch, Source, coders_of
from strongroom.engines.drift.plan import WIDTH, Counts, Plan
from strongroom.engines.drift.row_buffer import WAITING_ROWS, RowBuffer
from strongroom.engines.drift.threads import one_thread, processors
from strongroom.engines.drift.values import Column, Texts
from strongroom.errors import DriftStateError

BLOCK_ROWS = 1 << 15
"""Rows coded at a time: few enough for the processor's cache, and so many that threads seldom wait
for the interpreter's lock."""
_EXACT_ROWS = 1 << 14
"""Rows whose products of two scores add up to less than 2^24, where single precision is exact."""
_THREADED_ROWS = 1 << 17
MAX_REMARKS = 200


class State:
    """Counts of a sample by the plan of its reference.

    Whatever is counted is an integer and merging adds: the same rows give the same state in any
    order, batch by batch or row by row, merged from any parts in any order.
    """

    def __init__(self, plan: Plan) -> None:
        columns, paired = len(plan.columns), len(plan.paired)
        self.plan = plan
        self._remarks: set[str] = set()
        self.hidden = 0
        """Rows that a count may lack, for small ones were not written."""
        self.noise = 0.0
        """Variance of the count of neighbouring bins, for they were rounded when written."""
        self._rows = 0
        self._counts: Counts = np.zeros((columns, WIDTH), np.int64)
        self._absent: Counts = np.zeros(columns, np.int64)
        self._products: Counts = np.zeros((paired, paired), np.int64)
        self._unseen: dict[int, Counts] = {}
        self._scores = _score_table(plan)
        self._buffer: RowBuffer | None = None

    # ---- counting ----

    def update(self, rows: Rows, *, threads: int | None = None) -> None:
        """Count a batch of rows; see `batches.Rows` for what it may be.

        Args:
            threads: that count together, where there are many rows; by default as many as the
                machine has processors, up to eight. The result is the same.

        Raises: TableError: the rows are of no kind that is taken.
        """
        met, coders = aligned(rows, self.plan), coders_of(self.plan)
        self._rows += met.rows
        self._remark(met.remarks)
        self._absent += [0 if column is not None else met.rows for column in met.columns]
        asked = processors() if threads is None else threads
        threads = max(asked, 1) if met.rows >= _THREADED_ROWS else 1
        prepared = [self._prepared(part, coders, threads) for part in met.parts()]
        work = [(one, begin) for one in prepared for begin in range(0, one.rows, BLOCK_ROWS)]
        parts = [work[at::threads] for at in range(min(threads, len(work)))]
        # Threads of our own, each on its blocks; products within a block gain nothing from more.
        with one_thread():
            founds = _each(parts, partial(_counted, plan=self.plan, coders=coders), threads)
        for counts, products in founds:
            self._counts += counts
            self._products += products

    def _prepared(self, part: Met, coders: Sequence[ColumnCoder], threads: int) -> "_Prepared":
        """A part whose columns are ready to be coded."""
        there = [(at, values) for at, values in enumerate(part.columns) if values is not None]
        unlisted: list[tuple[int, Texts]] = []

        def source(one: tuple[int, Column]) -> Source:
            at, values = one
            return coders[at].source(values, lambda found: unlisted.append((at, found)))

        sources = _each(there, source, threads)
        for at, found in unlisted:
            self.note_unlisted(at, found)
        return _Prepared(part.rows, {at: one for (at, _), one in zip(there, sources, strict=True)})

    def update_row(self, row: Mapping[str, Any]) -> None:
        """Count one row: values by name. What is not in the plan is left out.

        A name that is missing counts as a missing column, None as a missing value. Up to
        `WAITING_ROWS` rows wait as they came until they are counted, or until the state is read.
        """
        if self._buffer is None:
            self._buffer = RowBuffer(self.plan)
        self._buffer.add(row)
        if len(self._buffer) >= WAITING_ROWS:
            self._flush()

    def _flush(self) -> None:
        """Count the rows that came one by one."""
        if not self._buffer:
            return
        block, unlisted = self._buffer.take()
        for at in self._buffer.absent:
            self._absent[at] += 1
            self._remark((f"there is no column `{self.plan.columns[at].name}`",))
        self._buffer.absent.clear()
        for at, found in unlisted.items():
            self.note_unlisted(at, pa.array(found, pa.string()))
        self._rows += len(block)
        columns = len(self.plan.columns)
        flat = block + np.arange(columns) * (WIDTH + 1)
        counts = np.bincount(flat.ravel(), minlength=columns * (WIDTH + 1))
        self._counts += counts.reshape(columns, WIDTH + 1)[:, :WIDTH]
        if self.plan.paired:
            paired = list(self.plan.paired)
            scores = self._scores[np.arange(len(paired))[:, None], block[:, paired].T]
            self._products += np.rint(scores @ scores.T).astype(np.int64)

    def _sketch(self, at: int) -> Counts:
        return self._unseen.setdefault(at, np.zeros(unseen.SHAPE, np.int64))

    def note_unlisted(self, at: int, values: Texts) -> None:
        """Count texts of a column that the plan does not list."""
        unseen.add(self._sketch(at), values)

    def _remark(self, remarks: Iterable[str]) -> None:
        self._remarks.update(remarks)
        if len(self._remarks) > MAX_REMARKS:
            # The same ones stay, whatever order they came in.
            self._remarks = set(sorted(self._remarks)[:MAX_REMARKS])

    # ---- what was counted ----

    @property
    def rows(self) -> int:
        """Rows counted."""
        return self._rows + (len(self._buffer) if self._buffer is not None else 0)

    @property
    def remarks(self) -> frozenset[str]:
        """What was odd about the rows, in words that quote no value."""
        self._flush()
        return frozenset(self._remarks)

    @property
    def counts(self) -> Counts:
        """Columns by codes; see `plan.py` for the codes. Not to be changed."""
        self._flush()
        return self._counts

    @property
    def absent(self) -> Counts:
        """For each column, the rows of batches that lacked it."""
        self._flush()
        return self._absent

    @property
    def products(self) -> Counts:
        """Sums over the rows of products of scores, for each two of the plan's paired columns."""
        self._flush()
        return self._products

    @property
    def scores(self) -> NDArray[np.float32]:
        """Paired columns by codes: the score of each code, 0 for special ones."""
        return self._scores

    @property
    def sketches(self) -> Mapping[int, Counts]:
        """Place of a column → sketch of what the plan does not list."""
        self._flush()
        return self._unseen

    # ---- merging ----

    def merge(self, other: "State") -> None:
        """Add what another state has counted. Raises: DriftStateError: it has another plan."""
        if other.plan is not self.plan and other.plan != self.plan:
            raise DriftStateError("states of different plans cannot be merged")
        self._flush()
        self._counts += other.counts
        self._rows += other.rows
        self._absent += other.absent
        self._products += other.products
        for at, sketch in other.sketches.items():
            mine = self._sketch(at)
            mine += sketch
        self._remark(other.remarks)
        self.hidden += other.hidden
        self.noise += other.noise

    def restore(
        self, rows: int, counts: Counts, absent: Counts, products: Counts,
        sketches: Mapping[int, Counts], remarks: Iterable[str],
    ) -> None:  # fmt: skip
        """Become what was written; for `packing`, which has checked it."""
        self._rows, self._counts, self._absent = rows, counts, absent
        self._products, self._unseen = products, dict(sketches)
        self._remarks = set(remarks)
        self.hidden = max(self.plan.minimum_count - 1, 0)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, State):
            return NotImplemented
        return (
            self.plan == other.plan
            and self.rows == other.rows
            and np.array_equal(self.counts, other.counts)
            and np.array_equal(self.absent, other.absent)
            and np.array_equal(self.products, other.products)
            and self.sketches.keys() == other.sketches.keys()
            and all(np.array_equal(one, other.sketches[at]) for at, one in self.sketches.items())
            and self.remarks == other.remarks
        )

    __hash__ = None  # type: ignore[assignment] # it changes


def merged(states: Iterable[State], plan: Plan) -> State:
    """One state of all; empty where there is none. Raises: DriftStateError."""
    whole = State(plan)
    for state in states:
        whole.merge(state)
    return whole


def _score_table(plan: Plan) -> NDArray[np.float32]:
    table = np.zeros((len(plan.paired), WIDTH + 1), np.float32)
    for row, at in enumerate(plan.paired):
        scores = plan.columns[at].scores
        table[row, : len(scores)] = scores
    return table


@dataclass(frozen=True, slots=True)
class _Prepared:
    """A batch whose columns, by their place in the plan, are ready to be coded block by block."""

    rows: int
    sources: dict[int, Source]


_One = TypeVar("_One")
_Found = TypeVar("_Found")


def _each(items: Sequence[_One], work: Callable[[_One], _Found], threads: int) -> list[_Found]:
    """What `work` gives for each of the items."""
    if threads <= 1 or len(items) <= 1:
        return [work(one) for one in items]
    with ThreadPoolExecutor(min(threads, len(items))) as pool:
        return list(pool.map(work, items))


def _counted(
    work: Sequence[tuple[_Prepared, int]], plan: Plan, coders: Sequence[ColumnCoder]
) -> tuple[Counts, Counts]:
    """Counts of codes and sums of products over some blocks; by one thread."""
    rows = max((min(prepared.rows - begin, BLOCK_ROWS) for prepared, begin in work), default=0)
    found = [np.zeros(len(coder.codes), np.int64) for coder in coders]
    row_of = {at: row for row, at in enumerate(plan.paired)}
    products = np.zeros((len(plan.paired),) * 2, np.int64)
    cells, scratch = np.empty(rows, np.intp), Scratch(rows)
    scored = np.zeros((len(plan.paired), rows), np.float32)
    for prepared, begin in work:
        end = min(begin + BLOCK_ROWS, prepared.rows)
        out, wide = cells[: end - begin], scored[:, : end - begin]
        if len(prepared.sources) < len(coders):
            wide[:] = 0.0
        for at, source in prepared.sources.items():
            coders[at].fill(source, begin, end, out, scratch)
            found[at] += np.bincount(out, minlength=len(found[at]))
            if at in row_of:
                np.take(coders[at].scores, out, out=wide[row_of[at]], mode="clip")
        if len(products):
            for place in range(0, end - begin, _EXACT_ROWS):
                part = wide[:, place : place + _EXACT_ROWS]
                products += np.rint(part @ part.T).astype(np.int64)
    counts = np.stack([coder.counts(one) for coder, one in zip(coders, found, strict=True)])
    return counts, products
