"""Keeps pyarrow's reading thread near its parser: it would read 32 blocks ahead."""

import threading
from collections.abc import Iterator
from typing import Any

import pyarrow as pa

_BLOCKS_AHEAD = 4
_WAIT_SECONDS = 0.2


class Pace:
    """Between the file that pyarrow reads from and the batches that it gives."""

    def __init__(self) -> None:
        self._read = self._parsed = 0
        self._change = threading.Condition()

    def reading(self) -> None:
        """Wait until the parser has caught up, or for a moment where it cannot yet."""
        with self._change:
            self._change.wait_for(lambda: self._read - self._parsed < _BLOCKS_AHEAD, _WAIT_SECONDS)
            self._read += 1

    def watched(self, reader: Any) -> Iterator[pa.RecordBatch]:  # noqa: ANN401 # a CSV or JSON reader
        """The batches of `reader`, each of which is one block."""
        for batch in reader:
            with self._change:
                self._parsed += 1
                self._change.notify()
            yield batch
