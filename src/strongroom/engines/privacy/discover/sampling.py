"""A uniform sample of a stream of rows, in bounded memory, with what it can have missed."""

import math

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from strongroom.engines.privacy.discover.findings import SampleGuarantee

DEFAULT_ROWS = 2_000
MISS_PROBABILITY = 0.01


class RowSampler:
    """Keeps `rows` rows chosen uniformly among all that `add` has seen.

    Each row gets a random key and the rows with the smallest keys stay (bottom-k sampling), so
    any set of rows is equally likely, however the stream is cut into batches. Memory: one and a
    half times the sample, plus one batch.
    """

    def __init__(self, schema: pa.Schema, seed: int, rows: int = DEFAULT_ROWS) -> None:
        """`seed` makes the choice repeatable; an attacker must not be able to guess it."""
        self._schema = schema
        self._rows = rows
        self._random = np.random.Generator(np.random.PCG64(seed))
        # Parts of the stream, in order, with the keys of their rows: settled when they have grown
        # by half, for settling copies all that is kept.
        self._parts: list[pa.Table] = [schema.empty_table()]
        self._keys: list[NDArray[np.float64]] = [np.empty(0)]
        self._held = 0
        self._below = math.inf
        """Rows with larger keys cannot stay."""
        self._seen = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Look at the next rows."""
        self._seen += batch.num_rows
        keys = self._random.random(batch.num_rows)
        if self._below <= 1.0:
            smaller = np.flatnonzero(keys < self._below)
            keys, batch = keys[smaller], batch.take(smaller)
        if len(keys):
            self._parts.append(pa.Table.from_batches([batch], self._schema))
            self._keys.append(keys)
            self._held += len(keys)
        if self._held > self._rows + self._rows // 2:
            self._settle()

    def _settle(self) -> None:
        """Leave the rows that stay, as one part."""
        keys, table = np.concatenate(self._keys), pa.concat_tables(self._parts)
        if len(keys) > self._rows:
            stay = np.sort(np.argpartition(keys, self._rows - 1)[: self._rows])
            keys, table = keys[stay], table.take(stay)
        self._parts, self._keys, self._held = [table.combine_chunks()], [keys], len(keys)
        if len(keys) == self._rows:
            self._below = float(keys.max())

    def table(self) -> pa.Table:
        """The sampled rows, in the order of the stream."""
        if len(self._parts) > 1:
            self._settle()
        return self._parts[0]

    def guarantee(self) -> SampleGuarantee:
        """What may be missing: see `SampleGuarantee`.

        A share p of the rows escapes n independent draws with probability (1 - p)^n, and
        drawing without replacement misses no more often; solved for p. A sample that is the
        whole table misses nothing.
        """
        sampled = self.table().num_rows
        if sampled == self._seen:
            return SampleGuarantee(self._seen, sampled, 0.0, 0.0)
        share = 1.0 - math.exp(math.log(MISS_PROBABILITY) / sampled)
        return SampleGuarantee(self._seen, sampled, round(share, 6), MISS_PROBABILITY)
