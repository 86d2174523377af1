"""The samples of `strongroom drift`: read in bounded memory, counted, split into windows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pyarrow as pa

from strongroom.engines.drift.packing import MAGIC, MAX_BYTES, from_bytes
from strongroom.engines.drift.plan import Kind, Plan
from strongroom.engines.drift.planning import PlanOptions, plan_of
from strongroom.engines.drift.state import State, merged
from strongroom.engines.drift.values import kind_of_type, numbers
from strongroom.engines.drift.windows import Every, Windows, window_name, window_of
from strongroom.engines.privacy.discover.sampling import RowSampler
from strongroom.errors import ChoiceError, TooLargeError, UsageError
from strongroom.faces.cli.files import NotRead, WalkLimits, walk
from strongroom.faces.cli.study import SAMPLE_SEED, StudyOptions, tables_of

SAMPLE_ROWS = 200_000
"""Rows that a plan is made from, and that models of rows look at."""
MAX_WINDOWS = 400

Watch = Callable[[str, str, int], None]
Each = Callable[[pa.RecordBatch], None]


@dataclass(frozen=True, slots=True)
class ReadingOptions:
    """How samples are read and counted.

    Attributes:
        time: column whose windows the current sample is split into; empty for none.
    """

    study: StudyOptions
    plan: PlanOptions
    time: str = ""
    every: Every = Every.DAY


@dataclass(slots=True)
class Sample:
    """One sample, counted.

    Attributes:
        rows: a sample of its rows, for models that need rows; None where a state was given.
        windows: by name, in order.
    """

    state: State
    rows: pa.Table | None = None
    windows: dict[str, State] = field(default_factory=dict)


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
    with _opened(path) as file:
        found = tables_of(file, path.name, options)
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

    A table is read twice where it is larger than the sample that the plan is made from.

    Args:
        each: told of every batch, once.
    """
    data = saved_state(path)
    if data is not None:
        return Sample(from_bytes(data))
    sampled, is_whole = _sampled(path, options.study, watch)
    state = State(plan_of(sampled, options.plan))
    again = sampled.to_batches() if is_whole else batches(path, options.study, watch)
    for batch in again:
        state.update(batch)
        each(batch)
    return Sample(state, sampled)


def _sampled(path: Path, options: StudyOptions, watch: Watch) -> tuple[pa.Table, bool]:
    """A sample of the rows of a file, and whether it is all of them."""
    sampler: RowSampler | None = None
    seen = 0
    for batch in batches(path, options, watch):
        sampler = sampler or RowSampler(batch.schema, SAMPLE_SEED, SAMPLE_ROWS)
        sampler.add(batch)
        seen += batch.num_rows
    if sampler is None:
        return _empty(path, options), True
    table = sampler.table()
    return table, table.num_rows == seen


def _empty(path: Path, options: StudyOptions) -> pa.Table:
    """A table without rows, whose columns are known."""
    with _opened(path) as file:
        table = next(tables_of(file, path.name, options), None)
        if table is None:
            raise ChoiceError(f"`{path}` holds no table")
        return table.schema.empty_table()


def current_sample(
    path: Path, plan: Plan, options: ReadingOptions, watch: Watch, each: Each, *, rows: bool
) -> Sample:
    """The current sample, counted by the plan of the reference.

    Args:
        each: told of every batch, once.
        rows: a sample of rows is kept too.
    """
    data = saved_state(path)
    if data is not None:
        return Sample(from_bytes(data, plan))
    windows = Windows(plan, options.every) if options.time else None
    state, sampler = State(plan), None
    for batch in batches(path, options.study, watch):
        each(batch)
        if rows:
            sampler = sampler or RowSampler(batch.schema, SAMPLE_SEED, SAMPLE_ROWS)
            sampler.add(batch)
        if windows is None:
            state.update(batch)
        else:
            _split(batch, windows, state, options.time)
    named = {}
    if windows is not None:
        named = {window_name(number, options.every): one for number, one in windows}
        state.merge(merged(named.values(), plan))
    kept = sampler.table() if sampler is not None else None
    return Sample(state, kept, named)


def _split(batch: pa.RecordBatch, windows: Windows, rest: State, column: str) -> None:
    """Count the rows of a batch in their windows; those without a time in `rest`."""
    if column not in batch.schema.names:
        raise UsageError(
            f"there is no column `{column}`", next_step="name a column of times with --time"
        )
    values = batch.column(column)
    if kind_of_type(values.type) is not Kind.TIME:
        raise UsageError(
            f"`{column}` holds no times but {values.type}",
            next_step="name a column of dates or times with --time",
        )
    seconds = numbers(values)
    known = np.isfinite(seconds)
    place = np.array(
        [window_of(one, windows.every) if one == one else 0 for one in seconds.tolist()],  # NaN
        np.int64,
    )
    for number in np.unique(place[known]).tolist():
        windows.of(number).update(batch.filter(pa.array(known & (place == number))))
        if len(windows) > MAX_WINDOWS:
            raise TooLargeError(
                f"there are more than {MAX_WINDOWS} windows",
                next_step="take longer ones: --every week, or month",
            )
    if not known.all():
        rest.update(batch.filter(pa.array(~known)))
