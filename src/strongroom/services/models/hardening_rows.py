"""Rows of datasets for a hardening: some of them for the tests, all of them to train on."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from strongroom.engines.privacy.discover.sampling import RowSampler
from strongroom.engines.robustness.assessment.plan import Plan
from strongroom.errors import TooLargeError, ValidationError
from strongroom.services.data.catalog import Held
from strongroom.services.models.assessing import Assessor
from strongroom.services.models.confined_weighing import LEFT_OUT, ROW
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database
from strongroom.vault.encrypted_tables import read_schema, read_table

MAX_ROWS = 20_000
"""Of each table in the tests; a model is trained on all rows."""
_SHARE_OF_MEMORY, _SHARE_OF_TESTS = 8, 32
"""Parts of a sandbox's memory that training rows, and rows of the tests, may take."""
_FEWEST_ROWS, _CELL_BYTES = 500, 16


class HardeningRows:
    """Reads the rows of datasets."""

    def __init__(
        self, database: Database, blobs: BlobStore, assessor: Assessor, memory_bytes: int
    ) -> None:
        """Take what it reads from; `memory_bytes` has a sandbox."""
        self._database = database
        self._blobs = blobs
        self._assessor = assessor
        self._memory = memory_bytes

    def sampled(self, held: Held, plan: Plan, removed: NDArray[np.bool_] | None) -> pa.Table:
        """Rows for the tests, with their numbers, pseudonyms, and whether they are left out."""
        left = {one for one in plan.columns.left_out if one != held.record.subject_column}
        with self._database.read() as session:
            schema, _ = read_schema(self._blobs, session, held.row.blob)
            wanted = [name for name in schema.names if name not in left]
            most = self._memory // _SHARE_OF_TESTS // (_CELL_BYTES * max(len(wanted), 1))
            sampler: RowSampler | None = None
            begin = 0
            for batch in read_table(self._blobs, session, held.row.blob, wanted):
                numbers = np.arange(begin, begin + batch.num_rows)
                begin += batch.num_rows
                named = self._assessor.named(
                    batch, held.record.subject_column, held.dataset.workspace
                ).append_column(ROW, pa.array(numbers))
                if removed is not None:
                    named = named.append_column(LEFT_OUT, pa.array(removed[numbers]))
                sampler = sampler or RowSampler(
                    named.schema, plan.seed, max(min(most, MAX_ROWS), _FEWEST_ROWS)
                )
                sampler.add(named)
        if sampler is None:
            raise ValidationError(f"the dataset `{held.dataset.name}` has no rows")
        return sampler.table()

    def training_rows(self, held: Held, columns: list[str], removed: NDArray[np.bool_]) -> pa.Table:
        """All rows to train on, of these columns alone."""
        room = self._memory // _SHARE_OF_MEMORY
        batches, begin = [], 0
        with self._database.read() as session:
            for batch in read_table(self._blobs, session, held.row.blob, columns):
                kept = batch.filter(pa.array(~removed[begin : begin + batch.num_rows]))
                begin += batch.num_rows
                room -= kept.nbytes
                if room < 0:
                    raise TooLargeError(
                        "the training rows take more than an eighth of a sandbox's memory",
                        next_step="harden on fewer columns, or ask the operator for more memory",
                    )
                batches.append(kept)
        return pa.Table.from_batches(batches)
