"""Pseudonyms of the people whose rows are assessed, in the place of their own key."""

import hmac
from hashlib import sha256

import pyarrow as pa

from strongroom.services.models.added_columns import PSEUDONYM

PURPOSE = "pseudonyms of assessments"
"""Of their key, among the secrets of the server."""


class Pseudonyms:
    """Keyed hashes of people: the same each time, others in each workspace."""

    def __init__(self, key: bytes) -> None:
        self._key = key

    def named(self, batch: pa.RecordBatch, subject: str, workspace: str) -> pa.RecordBatch:
        """Without the column that says whom a row is about: a pseudonym stands for it.

        Args:
            subject: name of that column; empty for none.
        """
        if not subject or subject not in batch.schema.names:
            return batch
        at = batch.schema.names.index(subject)
        people = [self._pseudonym(workspace, one) for one in batch.column(at).to_pylist()]
        arrays = [column for place, column in enumerate(batch.columns) if place != at]
        names = [name for name in batch.schema.names if name != subject]
        return pa.RecordBatch.from_arrays([*arrays, pa.array(people)], [*names, PSEUDONYM])

    def _pseudonym(self, workspace: str, person: object) -> str:
        message = f"{workspace}\0{person}".encode()
        return "p-" + hmac.digest(self._key, message, sha256).hex()[:12]
