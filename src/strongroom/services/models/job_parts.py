"""What the jobs have in common that read rows of datasets into a sandbox and attack with them."""

from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime
from typing import Any

from sqlalchemy.orm import Session

from strongroom.errors import NotFoundError
from strongroom.gate.audit.types import AuditClass, Event, Outcome
from strongroom.gate.operation import new_request_id
from strongroom.gate.undecided import Recorder
from strongroom.services.data.catalog import Catalog, Held
from strongroom.services.data.tables import DatasetRow
from strongroom.services.jobs import sandbox
from strongroom.services.jobs.trying import JobContext
from strongroom.services.models.dataset_rows import DatasetRows
from strongroom.services.models.pseudonyms import PURPOSE, Pseudonyms
from strongroom.services.models.sealed_wishes import SealedWishes
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database
from strongroom.vault.keys import Keyring

REPORT_KIND = "assessment-report"


class JobParts:
    """What such a job works with; the jobs stand in classes that come from this one."""

    def __init__(
        self, blobs: BlobStore, keyring: Keyring, catalog: Catalog, log: Recorder,
        settings: Settings, now: Callable[[], datetime], *, longest_seconds: float,
        output_bytes: int,
    ) -> None:  # fmt: skip
        """Take the parts.

        Args:
            longest_seconds: of one request to a sandbox; `output_bytes` of its answer.
        """
        self._blobs = blobs
        self._catalog = catalog
        self._log = log
        self._now = now
        self._wishes = SealedWishes(blobs, now)
        self._pseudonyms = Pseudonyms(keyring.secret(PURPOSE))
        self._memory = settings.sandbox_memory_bytes
        self._required = sandbox.required_layers(settings.sandbox_required_layers)
        self._limits = sandbox.Limits(
            memory_bytes=self._memory, wall_seconds=longest_seconds, output_bytes=output_bytes
        )

    def _held(
        self, session: Session, workspace: str, tables: Mapping[str, tuple[str, int]]
    ) -> dict[str, Held]:
        """The datasets of a wish, by the names that it gives them.

        Args:
            tables: name → id of the dataset and number of its version.
        """
        found = {}
        for name, (dataset, version) in tables.items():
            row = session.get(DatasetRow, dataset)
            if row is None:
                raise NotFoundError("a dataset of this job is gone")
            found[name] = self._catalog.find(session, workspace, row.name, version)
        return found

    def _rows(self, database: Database) -> DatasetRows:
        return DatasetRows(database, self._blobs, self._pseudonyms, self._memory)

    def _begun(
        self, stack: ExitStack, function: str, argument: Mapping[str, object],
        files: Mapping[str, bytes] | None = None,
    ) -> sandbox.Worker:  # fmt: skip
        """A function in a sandbox, which ends with the stack."""
        worker = sandbox.Worker(
            function, argument, files_in=files, limits=self._limits, required=self._required
        )
        stack.callback(worker.stop)
        return worker

    def _record(
        self, session: Session, context: JobContext, operation: str, about: tuple[str, str],
        details: Mapping[str, Any],
    ) -> None:  # fmt: skip
        """Leave a record of what the job did.

        Args:
            about: type and name of the resource, which begins with its workspace.
        """
        self._log.append(session, Event(
            time=self._now().timestamp(),
            workspace=about[1].partition("/")[0],
            actor_kind="job",
            actor=context.job_id,
            operation=operation,
            action="",
            resource_type=about[0],
            resource=about[1],
            audit_class=AuditClass.AI_OPERATION,
            request_id=new_request_id(),
            outcome=Outcome.ALLOWED,
            reason="",
            details=details,
        ))  # fmt: skip
