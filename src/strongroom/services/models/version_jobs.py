"""What the jobs that attack a model version have in common: assessing it, and hardening it."""

from collections.abc import Callable
from datetime import datetime

from sqlalchemy.orm import Session

from strongroom.errors import StateError, TooLargeError
from strongroom.gate.undecided import Recorder
from strongroom.services.data.catalog import Catalog
from strongroom.services.jobs.trying import JobContext
from strongroom.services.models.files import ModelFiles
from strongroom.services.models.job_parts import JobParts
from strongroom.services.models.registry import Registry
from strongroom.services.models.sealed_wishes import gone
from strongroom.services.models.tables import ModelAssessmentRow, ModelEntryRow
from strongroom.services.models.types import ModelState
from strongroom.services.models.verifying import Verifier
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database
from strongroom.vault.keys import Keyring

MODEL_START = "strongroom.services.models.confined_subject:start"
"""What answers for a version, in a sandbox of its own."""
ATTACKABLE = (ModelState.CHECKED, ModelState.APPROVED)
_SHARE_OF_MODEL = 4
"""The model's files, which are held in memory, may take this part of the sandbox's."""


class VersionJob(JobParts):
    """What such a job works with."""

    def __init__(
        self, blobs: BlobStore, keyring: Keyring, catalog: Catalog, registry: Registry,
        verifier: Verifier, log: Recorder, settings: Settings, now: Callable[[], datetime], *,
        longest_seconds: float, output_bytes: int,
    ) -> None:  # fmt: skip
        """Take the parts; see `JobParts`."""
        super().__init__(
            blobs, keyring, catalog, log, settings, now, longest_seconds=longest_seconds,
            output_bytes=output_bytes,
        )  # fmt: skip
        self._registry = registry
        self._verifier = verifier

    def _asked(self, session: Session, identifier: object) -> ModelAssessmentRow:
        row = session.get(ModelAssessmentRow, str(identifier))
        if row is None:
            raise gone()
        return row

    def _require_attackable(self, session: Session, entry: ModelEntryRow) -> None:
        if entry.state not in ATTACKABLE or entry.deleted_at is not None:
            raise StateError(f"version {entry.version} of `{entry.model}` is {entry.state}")
        self._registry.require_current(session, entry)

    def _contents(
        self, database: Database, entry: ModelEntryRow, *, what: str, offline: str
    ) -> dict[str, bytes]:
        """The model's files.

        Args:
            what: is done with it, for a person; `offline`, the command that does it elsewhere.
        """
        most = self._memory // _SHARE_OF_MODEL
        with database.read() as session:
            files = self._registry.files(session, entry.id)
        with ModelFiles(database, self._blobs, files) as opened:
            if (size := opened.total_bytes()) > most:
                raise TooLargeError(
                    f"the model has {size:,} bytes; {most:,} can be {what}",
                    next_step=f"use `{offline}` where it lies, or ask for more memory",
                )
            return opened.contents()

    def _keep(self, context: JobContext, asked: str, kept: bytes) -> None:
        """Put away what another try would need."""
        with context.database.read() as session:
            row = self._asked(session, asked)
            workspace = session.get_one(ModelEntryRow, row.entry).workspace
        self._wishes.keep(context.database, workspace, row, kept)
