"""Values and errors over time, for `strongroom drift --detect`: collected, then told apart."""

import numpy as np
import pyarrow as pa

from strongroom.engines.drift.changes import changes_of
from strongroom.engines.drift.findings import Series
from strongroom.engines.drift.plan import Floats
from strongroom.errors import TooLargeError, UsageError
from strongroom.faces.cli.drift_columns import ModelColumns, column_numbers, errors_of
from strongroom.faces.cli.drift_reading import times_of

ERROR = "error"
"""What to write for the error of the model, where no column is called so."""
MAX_VALUES = 10_000_000
"""Of all series together; they are held to be put in order."""
MAX_SERIES = 20


class SeriesWatch:
    """Told of every batch of the current sample, it collects what detectors will look at."""

    def __init__(self, names: tuple[str, ...], time: str, columns: ModelColumns) -> None:
        if names and not time:
            raise UsageError("--detect needs --time: the column that puts rows in order")
        if len(names) > MAX_SERIES:
            raise UsageError(f"--detect looks at no more than {MAX_SERIES} columns")
        self._names, self._time, self._columns = tuple(dict.fromkeys(names)), time, columns
        self._seconds: list[Floats] = []
        self._values: dict[str, list[Floats]] = {name: [] for name in self._names}
        self._held = 0

    def current(self, batch: pa.RecordBatch) -> None:
        """A batch of the current sample."""
        if not self._names:
            return
        self._held += batch.num_rows * len(self._names)
        if self._held > MAX_VALUES:
            raise TooLargeError(
                f"--detect holds {MAX_VALUES:,} values at most",
                next_step="look at fewer columns, or at a shorter time",
            )
        self._seconds.append(times_of(batch, self._time))
        for name, values in self._values.items():
            values.append(self._of(batch, name))

    def _of(self, batch: pa.RecordBatch, name: str) -> Floats:
        found = column_numbers(batch, name)
        if found is None and name == ERROR:
            found = errors_of(batch, self._columns)
            if found is None:
                raise UsageError(
                    "--detect error needs labels in the current sample, and what the model said",
                    next_step="give --label, and --score or --prediction",
                )
        if found is None:
            raise UsageError(
                f"the current sample has no column `{name}`",
                next_step="name a column of numbers with --detect, or `error`",
            )
        return found

    def found(self, rate: float, minimum: int) -> tuple[Series, ...]:
        """What the detectors say of each series; the rate is shared among them."""
        if not self._names:
            return ()
        seconds = np.concatenate(self._seconds) if self._seconds else np.zeros(0)
        share = rate / len(self._names)
        return tuple(
            changes_of(
                name, seconds, np.concatenate(parts) if parts else np.zeros(0), share,
                minimum=minimum,
            )
            for name, parts in self._values.items()
        )  # fmt: skip
