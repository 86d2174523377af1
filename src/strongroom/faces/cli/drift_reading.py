"""The samples of `strongroom drift`: read in bounded memory, counted, split into windows."""

from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from strongroom.engines.drift.model_state import ModelState
from strongroom.engines.drift.packing import MAGIC, MAX_BYTES, Kept, kept_from_bytes
from strongroom.engines.drift.plan import Floats, Kind, Plan
from strongroom.engines.drift.planning import PlanOptions, plan_of
from strongroom.engines.drift.state import State, merged
from strongroom.engines.drift.values import kind_of_type, numbers
from strongroom.engines.drift.windows import Every, Windows, phase_of, window_name, windows_of
from strongroom.engines.privacy.discover.sampling import RowSampler
from strongroom.errors import ChoiceError, TooLargeError, UsageError
from strongroom.faces.cli.files import NotRead, WalkLimits, walk
from strongroom.faces.cli.study import SAMPLE_SEED, StudyOptions, tables_of

SAMPLE_ROWS = 100_000
"""Rows that a plan is made from, and that models of rows look at."""
_HELD_BYTES = 512 << 20
"""Of a table that is held so that it is read once only."""
MAX_WINDOWS = 400

Watch = Callable[[str, str, int], None]
Each = Callable[[pa.RecordBatch], None]
Fill = Callable[[pa.RecordBatch], pa.RecordBatch]


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How samples are read and counted.

    Attributes:
        time: column whose windows the current sample is split into; empty for none.
        has_season: windows are compared with those like them, so that the reference is split too.
    """

    study: StudyOptions
    plan: PlanOptions
    time: str = ""
    every: Every = Every.DAY
    has_season: bool = False


@dataclass(slots=True)
class Sample:
    """One sample, counted.

    Attributes:
        state: of all rows.
        rows: a sample of its rows, for models that need rows; None where a state was given.
        windows: by number; of a reference with a season by phase; None where it was not split.
        untimed: rows in no window, where it was split.
        by_phase: windows are numbered by their place in the season.
        is_saved: it was given as a state.
        model: what a state keeps of the model.
    """

    state: State
    rows: pa.Table | None = None
    windows: Windows | None = None
    untimed: State | None = None
    by_phase: bool = False
    is_saved: bool = False
    model: ModelState | None = None

    def named(self) -> dict[str, State]:
        """Windows by name, in order; none for a reference."""
        if self.windows is None or self.by_phase:
            return {}
        return {window_name(at, self.windows.every): one for at, one in self.windows}


def _saved(kept: Kept) -> Sample:
    return Sample(kept.state, None, kept.windows, kept.untimed, by_phase=kept.by_phase,
                  is_saved=True, model=kept.model)  # fmt: skip


def saved_state(path: Path) -> bytes | None:
    """The bytes of a file that holds a state; None where it holds something else."""
    with _opened(path) as file:
        if file.read(len(MAGIC)) != MAGIC:
            return None
        data = MAGIC + file.read(MAX_BYTES + 1)
    if len(data) > MAX_BYTES:
        raise TooLargeError(f"`{path}` has more than {MAX_BYTES:,} bytes")
    return data


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    """One file, opened with the care of `walk`. Raises: UsageError, CallerError."""
    if path.is_dir():
        raise UsageError(f"`{path}` is a folder", next_step="give a file")
    for one in walk([path], WalkLimits(files=1)):
        if isinstance(one, NotRead):
            raise UsageError(f"`{path}`: {one.reason}")
        yield one.handle


def batches(path: Path, options: StudyOptions, watch: Watch) -> Iterator[pa.RecordBatch]:
    """The rows of the only table of a file. Raises: ChoiceError: it holds several."""
    # Both are ended in order, also where rows are no longer wanted.
    with _opened(path) as file, closing(tables_of(file, path.name, options)) as found:
        table = next(found, None)
        if table is None:
            raise ChoiceError(f"`{path}` holds no table")
        for batch in table.batches:
            watch(str(path), "", table.rows)
            yield batch
        if next(found, None) is not None:
            raise ChoiceError(f"`{path}` holds several tables", next_step="give one in a file")


def reference_sample(path: Path, options: ReadingOptions, watch: Watch, each: Each) -> Sample:
    """The reference: a state that was saved, or a table, from which the plan is made.

    A table is read twice where it is too large to be held until the plan is made.

    Args:
        each: told of every batch, once.
    """
    data = saved_state(path)
    if data is not None:
        return _saved(kept_from_bytes(data))
    sampled, held = _sampled(path, options.study, watch)
    plan = plan_of(sampled, options.plan)
    counting = _Counting(plan, options, in_phases=True) if options.has_season else None
    state = State(plan)
    again = batches(path, options.study, watch) if held is None else held
    for batch in again:
        if counting is None:
            state.update(batch)
        else:
            counting.add(batch)
        each(batch)
    return Sample(state, sampled) if counting is None else counting.sample(sampled)


def _sampled(
    path: Path, options: StudyOptions, watch: Watch
) -> tuple[pa.Table, list[pa.RecordBatch] | None]:
    """A sample of the rows of a file, and all of them; None where they are too many to hold."""
    sampler: RowSampler | None = None
    held: list[pa.RecordBatch] | None = []
    size = 0
    for batch in batches(path, options, watch):
        sampler = sampler or RowSampler(batch.schema, SAMPLE_SEED, SAMPLE_ROWS)
        sampler.add(batch)
        size += batch.nbytes
        if size > _HELD_BYTES:
            held = None
        elif held is not None:
            held.append(batch)
    if sampler is None:
        return _empty(path, options), []
    return sampler.table(), held


def _empty(path: Path, options: StudyOptions) -> pa.Table:
    """A table without rows, whose columns are known."""
    with _opened(path) as file, closing(tables_of(file, path.name, options)) as found:
        table = next(found, None)
        if table is None:
            raise ChoiceError(f"`{path}` holds no table")
        return table.schema.empty_table()


def current_sample(
    path: Path,
    plan: Plan,
    options: ReadingOptions,
    watch: Watch,
    each: Each,
    *,
    rows: bool,
    fill: Fill | None = None,
) -> Sample:
    """The current sample, counted by the plan of the reference.

    Args:
        each: told of every batch, once.
        rows: a sample of rows is kept too.
        fill: puts into a batch what came elsewhere, before anything is counted.
    """
    data = saved_state(path)
    if data is not None:
        return _saved(kept_from_bytes(data, plan))
    counting = _Counting(plan, options) if options.time else None
    state, sampler = State(plan), None
    for raw in batches(path, options.study, watch):
        batch = raw if fill is None else fill(raw)
        each(batch)
        if rows:
            sampler = sampler or RowSampler(batch.schema, SAMPLE_SEED, SAMPLE_ROWS)
            sampler.add(batch)
        if counting is None:
            state.update(batch)
        else:
            counting.add(batch)
    kept = sampler.table() if sampler is not None else None
    return Sample(state, kept) if counting is None else counting.sample(kept)


class _Counting:
    """Counts rows in their windows, and those without a time apart."""

    def __init__(self, plan: Plan, options: ReadingOptions, *, in_phases: bool = False) -> None:
        self._windows, self._rest = Windows(plan, options.every), State(plan)
        self._time, self._in_phases = options.time, in_phases

    def add(self, batch: pa.RecordBatch) -> None:
        """Count a batch."""
        every = self._windows.every
        seconds = times_of(batch, self._time)
        known = np.isfinite(seconds)
        place = windows_of(np.where(known, seconds, 0.0), every)
        if self._in_phases:
            there, inverse = np.unique(place, return_inverse=True)
            place = np.array([phase_of(one, every) for one in there.tolist()], np.int64)[inverse]
        for number in np.unique(place[known]).tolist():
            self._windows.of(number).update(batch.filter(pa.array(known & (place == number))))
            if len(self._windows) > MAX_WINDOWS:
                raise TooLargeError(
                    f"there are more than {MAX_WINDOWS} windows",
                    next_step="take longer ones: --every week, or month",
                )
        if not known.all():
            self._rest.update(batch.filter(pa.array(~known)))

    def sample(self, rows: pa.Table | None) -> Sample:
        """All that was counted."""
        state = merged([self._rest, *(one for _, one in self._windows)], self._rest.plan)
        return Sample(state, rows, self._windows, self._rest, by_phase=self._in_phases)


def times_of(batch: pa.RecordBatch, column: str) -> Floats:
    """Seconds since 1970 UTC; NaN where a row has no time, or one that no calendar knows.

    Raises: UsageError: there is no such column, or it holds no times.
    """
    if batch.schema.names.count(column) != 1:
        raise UsageError(
            f"there is no column `{column}`, or two", next_step="name a column of times with --time"
        )
    values = batch.column(column)
    kind = kind_of_type(values.type)
    if values.null_count == len(values):
        return np.full(len(values), np.nan)
    if kind is not Kind.TIME:
        raise UsageError(
            f"`{column}` holds no times but {values.type}",
            next_step="name a column of dates or times with --time",
        )
    seconds = numbers(values)
    with np.errstate(invalid="ignore"):
        return np.where((seconds >= _EARLIEST) & (seconds < _LATEST), seconds, np.nan)


_EARLIEST, _LATEST = -62_135_596_800, 253_402_300_800
"""The years 1 to 9999, which calendars know: what lies outside is no time."""
