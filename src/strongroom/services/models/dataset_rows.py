"""Rows of datasets on their way into sandboxes: some for the tests, all of them to train on."""

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from strongroom.engines.privacy.discover.sampling import RowSampler
from strongroom.engines.robustness.assessment.plan import Plan
from strongroom.errors import TooLargeError, ValidationError
from strongroom.services.data.catalog import Held
from strongroom.services.models.added_columns import LEFT_OUT, PSEUDONYM, ROW
from strongroom.services.models.pseudonyms import Pseudonyms
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database
from strongroom.vault.encrypted_tables import read_schema, read_table

MAX_ROWS = 20_000
"""Of each table in the tests; more are sampled, by the seed of the plan."""
_SHARE_OF_MEMORY, _SHARE_OF_TESTS = 8, 32
"""Parts of a sandbox's memory that training rows, and rows of the tests, may take: wider ones have
fewer rows."""
_FEWEST_ROWS, _CELL_BYTES = 500, 16


class DatasetRows:
    """Reads the rows of datasets."""

    def __init__(
        self, database: Database, blobs: BlobStore, pseudonyms: Pseudonyms, memory_bytes: int
    ) -> None:
        """Take what it reads from; `memory_bytes` has a sandbox."""
        self._database = database
        self._blobs = blobs
        self._pseudonyms = pseudonyms
        self._memory = memory_bytes

    def sampled(
        self, held: Held, plan: Plan, removed: NDArray[np.bool_] | None = None, *,
        at_most: int = MAX_ROWS,
    ) -> pa.Table:  # fmt: skip
        """Rows for the tests, with their numbers and pseudonyms.

        Args:
            removed: whether a row is not trained on; then a column says so.
            at_most: so many rows, or as many as there is memory for.
        """
        left = {one for one in plan.columns.left_out if one != held.record.subject_column}
        with self._database.read() as session:
            schema, _ = read_schema(self._blobs, session, held.row.blob)
            require_untaken(schema)
            wanted = [name for name in schema.names if name not in left]
            most = self._memory // _SHARE_OF_TESTS // (_CELL_BYTES * max(len(wanted), 1))
            sampler: RowSampler | None = None
            begin = 0
            for batch in read_table(self._blobs, session, held.row.blob, wanted):
                numbers = np.arange(begin, begin + batch.num_rows)
                begin += batch.num_rows
                named = self._pseudonyms.named(
                    batch, held.record.subject_column, held.dataset.workspace
                ).append_column(ROW, pa.array(numbers))
                if removed is not None:
                    named = named.append_column(LEFT_OUT, pa.array(removed[numbers]))
                sampler = sampler or RowSampler(
                    named.schema, plan.seed, max(min(most, at_most), _FEWEST_ROWS)
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


def require_untaken(schema: pa.Schema) -> None:
    """Return unless a column has a name that is given on the way: it would pass for pseudonyms."""
    if taken := {PSEUDONYM, ROW, LEFT_OUT} & {*schema.names}:
        raise ValidationError(
            f"the dataset has a column `{min(taken)}`: that name is taken here",
            next_step="add the dataset with another name for the column",
        )
