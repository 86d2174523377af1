"""Content that need not be sent again: files of versions that the caller may pull anyway.

So that somebody says "it is there" tells them nothing: they could have read it. Nothing is looked
for in another workspace, and only among blobs that belong to model versions alone: a run's artifact
may be deleted by its owner.
"""

from collections.abc import Mapping

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.errors import ModelRefusedError, StateError, TamperedError
from strongroom.gate.access.types import Entity
from strongroom.gate.operation import Call
from strongroom.services.models.parts import require_pullable
from strongroom.services.models.registry import Registry
from strongroom.services.models.tables import ModelEntryRow, ModelFileRow
from strongroom.vault.blobs import BlobRow, BlobStore

MODEL_FILE_KIND = "model-file"
"""Of blobs that belong to model versions and to nothing else."""
MIN_BYTES = 4_096
"""Smaller files are sent again: looking for them costs more."""
_SIZES_AT_ONCE = 500
_MOST_LOOKED_AT = 5_000
"""Blobs of the right size, of the newest versions, whose digest is unsealed in one call."""


class Reusable:
    """Finds such content by its digest."""

    def __init__(self, blobs: BlobStore, registry: Registry) -> None:
        self._blobs = blobs
        self._registry = registry

    def find(
        self, call: Call, session: Session, workspace: str, wanted: Mapping[str, int]
    ) -> dict[str, str]:
        """Blobs by digest, for those of `wanted` (sizes by digest) that are there."""
        sizes = sorted({size for size in wanted.values() if size >= MIN_BYTES})
        found: dict[str, str] = {}
        is_open: dict[str, bool] = {}
        left = _MOST_LOOKED_AT
        for at in range(0, len(sizes), _SIZES_AT_ONCE):
            some = sizes[at : at + _SIZES_AT_ONCE]
            for entry, blob in self._of_size(session, workspace, some, left):
                left -= 1
                if entry not in is_open:
                    is_open[entry] = self._is_open(call, session, entry)
                if not is_open[entry]:
                    continue
                try:
                    digest = self._blobs.info(session, blob).sha256
                except TamperedError:
                    continue  # not to be built on; the sweep of models raises the alarm
                if digest in wanted:
                    found.setdefault(digest, blob)
        return found

    @staticmethod
    def _of_size(
        session: Session, workspace: str, sizes: list[int], most: int
    ) -> list[tuple[str, str]]:
        query = (
            select(ModelFileRow.entry, ModelFileRow.blob)
            .join(ModelEntryRow, ModelEntryRow.id == ModelFileRow.entry)
            .join(BlobRow, BlobRow.id == ModelFileRow.blob)
            .where(
                ModelEntryRow.workspace == workspace,
                ModelEntryRow.deleted_at.is_(None),
                ModelEntryRow.tampered_at.is_(None),
                BlobRow.workspace == workspace,
                BlobRow.kind == MODEL_FILE_KIND,
                BlobRow.size.in_(sizes),
            )
            .order_by(ModelEntryRow.registered_at.desc(), ModelFileRow.path)
            .limit(most)
        )
        return [(entry, blob) for entry, blob in session.execute(query)]

    def _is_open(self, call: Call, session: Session, entry: str) -> bool:
        """Whether the caller could pull that version now, and its rows are as they were sealed."""
        row = session.get_one(ModelEntryRow, entry)
        about = Entity(
            "ModelVersion", f"{row.workspace}/{row.model}/{row.version}", row.workspace,
            {"state": row.state, "model": row.model},
        )  # fmt: skip
        if not call.allows("pullModel", about):
            return False
        try:
            require_pullable(row)
            self._registry.require_current(session, row)
            self._registry.require_files(session, entry)
        except (StateError, ModelRefusedError, TamperedError):
            return False
        return True
