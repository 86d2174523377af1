"""From a model version to the data that it was trained on, and what has become of that since.

What a run recorded is looked up when the version is registered, and kept sealed with its
provenance: names, ids and versions, so that data which is erased later is still known by name.
"""

import hmac
from collections.abc import Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sqlalchemy import select
from sqlalchemy.orm import Session

from strongroom.errors import TamperedError
from strongroom.services.data.catalog import Catalog, Held
from strongroom.services.data.tables import DatasetRow, DatasetVersionRow

FACT = "lineage"
"""Of the facts of a version: what `traced` gave when it was registered."""
_OURS = ("sha256:", "hmac-sha256:")
_MOST_DATASETS = 500
"""Of a workspace, that are looked through for a digest: the one that is named, then the newest."""


class SourceState(StrEnum):
    """What has become of the data."""

    PRESENT = "present"
    ERASED = "erased"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class DataSource:
    """Data that a version was trained on.

    Attributes:
        name: of the dataset; as the run called it, where it is none of this workspace.
        version: 0 where it is not known.
        view: how it was read: clear or masked; empty where it is not known.
        purpose: for which it was gathered; empty where it is not known.
    """

    name: str
    version: int
    view: str
    purpose: str
    state: SourceState

    @property
    def label(self) -> str:
        """Name and version."""
        return f"{self.name}/{self.version}" if self.version else self.name


class Lineage:
    """Looks the data of versions up."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def traced(
        self, session: Session, workspace: str, recorded: Sequence[str]
    ) -> list[dict[str, object]]:
        """What a run recorded, as facts to keep: `name@digest` or a digest each."""
        return [self._traced(session, workspace, one) for one in recorded]

    def of(self, session: Session, workspace: str, facts: Mapping[str, Any]) -> list[DataSource]:
        """The data of a version, with its state now."""
        kept = facts.get(FACT)
        if not isinstance(kept, list):
            # Registered before there was a lineage: what can still be found, is.
            kept = self.traced(session, workspace, [str(one) for one in facts.get("datasets", ())])
        return [self._source(session, workspace, one) for one in kept]

    def _source(self, session: Session, workspace: str, kept: Mapping[str, Any]) -> DataSource:
        identifier, fingerprint = str(kept.get("dataset", "")), str(kept.get("fingerprint", ""))
        state = SourceState.UNKNOWN
        if identifier:
            # By content and not by number: that of a removed version may be another's by now.
            here = (
                select(DatasetVersionRow.version)
                .join(DatasetRow, DatasetRow.id == DatasetVersionRow.dataset)
                .where(
                    DatasetRow.id == identifier,
                    DatasetRow.workspace == workspace,
                    DatasetVersionRow.fingerprint == fingerprint,
                )
            )
            is_here = session.scalar(here) is not None
            state = SourceState.PRESENT if is_here else SourceState.ERASED
        return DataSource(
            name=str(kept.get("name", "")), version=int(kept.get("version", 0)),
            view=str(kept.get("view", "")), purpose=str(kept.get("purpose", "")), state=state,
        )  # fmt: skip

    def _traced(self, session: Session, workspace: str, recorded: str) -> dict[str, object]:
        name, at, digest = recorded.rpartition("@")
        if not at:
            name, digest = "", recorded
        for held in self._candidates(session, workspace, name, digest):
            for view, known in (("clear", held.record.digest), ("masked", held.commitment)):
                if hmac.compare_digest(digest.encode(), known.encode()):
                    return {
                        "dataset": held.dataset.id, "name": held.dataset.name,
                        "version": held.row.version, "fingerprint": held.row.fingerprint,
                        "view": view, "purpose": held.row.purpose,
                    }  # fmt: skip
        return {"dataset": "", "name": name[:200], "version": 0, "view": "", "purpose": ""}

    def _candidates(
        self, session: Session, workspace: str, name: str, digest: str
    ) -> Iterable[Held]:
        """Versions that may be meant: of the dataset of that name first."""
        if not digest.startswith(_OURS):
            return  # a digest that another tool has made is none of a version here
        rows = session.scalars(
            select(DatasetRow)
            .where(DatasetRow.workspace == workspace)
            .order_by((DatasetRow.name == name).desc(), DatasetRow.created_at.desc())
            .limit(_MOST_DATASETS)
        )
        for row in rows.all():
            # Its record cannot be opened: that has an alarm of its own, and is no reason to
            # refuse a model of other data.
            with suppress(TamperedError):
                yield from self._catalog.versions(session, row)
