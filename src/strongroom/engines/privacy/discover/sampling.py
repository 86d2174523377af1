"""A uniform sample of a stream of rows, in bounded memory, with what it can have missed."""

import math

import numpy as np
import pyarrow as pa

from strongroom.engines.privacy.discover.findings import SampleGuarantee

DEFAULT_ROWS = 2_000
MISS_PROBABILITY = 0.01


class RowSampler:
    """Keeps `rows` rows chosen uniformly among all that `add` has seen.

    Each row gets a random key and the rows with the smallest keys stay (bottom-k sampling), so
    any set of rows is equally likely, however the stream is cut into batches. Memory: the
    sample, plus one batch.
    """

    def __init__(self, schema: pa.Schema, seed: int, rows: int = DEFAULT_ROWS) -> None:
        """`seed` makes the choice repeatable; an attacker must not be able to guess it."""
        self._schema = schema
        self._rows = rows
        self._random = np.random.Generator(np.random.PCG64(seed))
        self._kept: pa.Table = schema.empty_table()
        self._keys = np.empty(0)
        self._seen = 0

    def add(self, batch: pa.RecordBatch) -> None:
        """Look at the next rows."""
        self._seen += batch.num_rows
        keys = self._random.random(batch.num_rows)
        if len(self._keys) == self._rows:
            below = np.flatnonzero(keys < self._keys.max())
            if not len(below):
                return
            keys, batch = keys[below], batch.take(below)
        all_keys = np.concatenate([self._keys, keys])
        table = pa.concat_tables([self._kept, pa.Table.from_batches([batch], self._schema)])
        if len(all_keys) > self._rows:
            stay = np.sort(np.argpartition(all_keys, self._rows - 1)[: self._rows])
            all_keys, table = all_keys[stay], table.take(stay)
        self._keys, self._kept = all_keys, table.combine_chunks()

    def table(self) -> pa.Table:
        """The sampled rows, in the order of the stream."""
        return self._kept

    def guarantee(self) -> SampleGuarantee:
        """What may be missing: see `SampleGuarantee`.

        A share p of the rows escapes n independent draws with probability (1 - p)^n, and
        drawing without replacement misses no more often; solved for p. A sample that is the
        whole table misses nothing.
        """
        sampled = self._kept.num_rows
        if sampled == self._seen:
            return SampleGuarantee(self._seen, sampled, 0.0, 0.0)
        share = 1.0 - math.exp(math.log(MISS_PROBABILITY) / sampled)
        return SampleGuarantee(self._seen, sampled, round(share, 6), MISS_PROBABILITY)
