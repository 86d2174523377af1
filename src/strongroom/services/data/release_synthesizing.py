"""Releases of kind `synthetic`: made-up rows with differential privacy, whose cost is spent before.

No former release is looked at. What is made up tells of each person no more than epsilon, whatever
else a reader has; that all such answers together do not tell too much, the budget sees to.

A try that is killed has told nobody anything, and the next one draws noise of its own: one table
comes out of one spend.
"""

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from pydantic import ValidationError as Misfit
from sqlalchemy.orm import Session

from strongroom.errors import SandboxError, ValidationError
from strongroom.services.data.catalog import Held
from strongroom.services.data.release_record import ReleaseRecord
from strongroom.services.data.release_types import QualityShown, SyntheticProof
from strongroom.services.data.release_work import TABLE_KIND, Refusal, pour
from strongroom.services.data.releases import Release
from strongroom.services.jobs import sandbox
from strongroom.services.jobs.trying import JobContext
from strongroom.vault.blobs import BlobStore
from strongroom.vault.encrypted_tables import read_table


class Synthesizing:
    """One try; a `Work`."""

    function = "strongroom.services.data.synthetic_confined:start"
    tables: Mapping[str, str] = {"rows": TABLE_KIND}

    def __init__(
        self, blobs: BlobStore, session: Session, release: Release, held: Held, *, room: int
    ) -> None:
        """Begin; `room` is how many bytes the source may have."""
        self.argument: Mapping[str, Any] = json.loads(release.record.recipe)
        domain, subject = self.argument["domain"], self.argument["subject"]
        columns = [*domain["columns"], domain["target"]["name"], *([subject] if subject else [])]
        self._rows = read_table(blobs, session, held.row.blob, columns)
        self._room = room
        self._proof: SyntheticProof | None = None
        self._quality: QualityShown | None = None

    def make(self, context: JobContext, worker: sandbox.Worker) -> Refusal | None:
        """As `Work`."""
        context.progress("reading")
        pour(worker, {"do": "source"}, self._rows, self._room)
        context.progress("making up")
        answer, _ = worker.request({"do": "make"})
        if "failed" in answer:
            return Refusal(str(answer["failed"]), str(answer.get("next_step", "")))
        try:
            self._proof = SyntheticProof.model_validate(answer["proof"])
        except (KeyError, Misfit):
            raise ValidationError("the sandbox answered out of shape") from None
        return None

    def judge(self, context: JobContext, worker: sandbox.Worker) -> None:
        """As `Work`: the figures are for whoever approves, and a table is one without them too."""
        context.progress("comparing")
        try:
            answer, _ = worker.request({"do": "quality"})
            self._quality = QualityShown.model_validate(answer["quality"])
        except (SandboxError, KeyError, Misfit):
            self._quality = None

    def still_holds(self, session: Session) -> bool:  # noqa: ARG002 # as `Work`
        """Always: nothing that others did makes the promise less."""
        return True

    def recorded(self, record: ReleaseRecord, blobs: Mapping[str, str]) -> ReleaseRecord:
        """As `Work`."""
        assert self._proof is not None  # noqa: S101 # made without a refusal
        return replace(
            record, blob=blobs["rows"], synthetic=self._proof, quality=self._quality,
            rows=self._proof.rows,
        )  # fmt: skip
