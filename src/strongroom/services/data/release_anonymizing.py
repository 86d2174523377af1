"""Releases of kind `anonymized`: anonymize, count again, compare with former releases."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import datetime
from typing import Any

from pydantic import ValidationError as Misfit
from sqlalchemy.orm import Session

from strongroom.errors import ValidationError
from strongroom.services.data.catalog import Held
from strongroom.services.data.release_record import ReleaseRecord
from strongroom.services.data.release_types import (
    BreachShown,
    CompositionShown,
    ProofShown,
)
from strongroom.services.data.release_wording import NEXT_STEP, OWN_NEXT_STEP, refusal_of
from strongroom.services.data.release_work import TABLE_KIND, TRACE_KIND, Refusal, pour
from strongroom.services.data.releases import Release, Releases
from strongroom.services.jobs import sandbox
from strongroom.services.jobs.trying import JobContext
from strongroom.vault.blobs import BlobStore
from strongroom.vault.encrypted_tables import read_table


class Anonymizing:
    """One try; a `Work`."""

    function = "strongroom.services.data.release_confined:start"
    tables: Mapping[str, str] = {"rows": TABLE_KIND, "trace": TRACE_KIND}

    def __init__(
        self, blobs: BlobStore, releases: Releases, session: Session, release: Release, held: Held,
        *, now: Callable[[], datetime], seconds: float, room: int,
    ) -> None:  # fmt: skip
        """Begin.

        Args:
            seconds: of the search at most.
            room: bytes that source and traces may have.

        Raises: ValidationError: it could not be checked against former ones.
        """
        self._releases = releases
        self._release = release
        self._now = now
        self._room = room
        found = releases.formers(session, release, now())
        _require_comparable(release, found)
        self._against = tuple(one.number for one in found)
        self._traces = [read_table(blobs, session, one.record.trace_blob) for one in found]
        self._rows = read_table(blobs, session, held.row.blob)
        self._proof: ProofShown | None = None
        self._composition: CompositionShown | None = None
        self._suppressed = 0
        self.argument: Mapping[str, Any] = {
            "recipe": release.record.recipe,
            "seconds": seconds,
            "subject": held.record.subject_column,
            "key": releases.trace_key(session, release.dataset).hex(),
            "formers": [one.record.recipe for one in found],
        }

    def make(self, context: JobContext, worker: sandbox.Worker) -> Refusal | None:
        """As `Work`."""
        context.progress("reading")
        room = pour(worker, {"do": "source"}, self._rows, self._room)
        for at, trace in enumerate(self._traces):
            room = pour(worker, {"do": "former", "at": at}, trace, room)
        context.progress("anonymizing")
        answer, _ = worker.request({"do": "make"})
        return self._read(answer)

    def judge(self, context: JobContext, worker: sandbox.Worker) -> None:
        """All is known already."""

    def still_holds(self, session: Session) -> bool:
        """As `Work`: releases may have come or gone while it was made."""
        found = self._releases.formers(session, self._release, self._now())
        return tuple(one.number for one in found) == self._against

    def recorded(self, record: ReleaseRecord, blobs: Mapping[str, str]) -> ReleaseRecord:
        """As `Work`."""
        assert self._proof is not None  # noqa: S101 # made without a refusal
        return replace(
            record, blob=blobs["rows"], trace_blob=blobs["trace"], proof=self._proof,
            composition=self._composition, rows=self._proof.rows, suppressed=self._suppressed,
        )  # fmt: skip

    def _read(self, answer: Mapping[str, object]) -> Refusal | None:
        """Take what the sandbox says, whose shape is not to be relied on."""
        if "failed" in answer:
            return Refusal(str(answer["failed"]), str(answer.get("next_step", "")))
        against = self._against
        try:
            found = dict(answer["composition"])  # type: ignore[call-overload] # checked by what follows
            numbers = [*against, 0]  # the new one stands last, and has no number among them
            breaches = [
                BreachShown(**{**dict(one), "release": numbers[one["release"]]})
                for one in found.pop("breaches")
            ]
            composition = CompositionShown(against=list(against), breaches=breaches, **found)
            culprits = [against[int(one)] for one in answer["culprits"]]  # type: ignore[attr-defined] # JSON
            self._proof = ProofShown.model_validate(answer["proof"])
            is_safe_alone = bool(answer["alone"])
            self._suppressed = int(str(answer["suppressed"]))
        except (KeyError, TypeError, ValueError, IndexError, Misfit):
            raise ValidationError("the sandbox answered out of shape") from None
        self._composition = composition
        if not breaches:
            return None
        words = refusal_of(composition, culprits, is_safe_alone=is_safe_alone)
        return Refusal(words, NEXT_STEP if is_safe_alone else OWN_NEXT_STEP, composition)


def _require_comparable(release: Release, formers: list[Release]) -> None:
    """Refuse what could not be checked: people would seem to be others, and nothing to cross."""
    for former in formers:
        if former.record.known_by != release.record.known_by:
            raise ValidationError(
                f"release {former.number} was made of a version whose people are known by other "
                "columns: it cannot be told who is in both",
                next_step="add the data with the subject column of that version, or, where it has "
                "none, with its columns",
            )
