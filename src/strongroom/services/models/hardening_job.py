"""The job that hardens a version: trains it anew, compares before and after, registers what came.

Its model runs in one sandbox, the new one is fitted in a second, the tests run in a third. Plan,
rows and way were fixed when the job was asked for. What a kill leaves: tests that have run
are kept after each one; a model is fitted again from the same rows by the same seed, so it is the
same. The new version, its report and the end of the asking are one transaction, once. It is
quarantined like any other and promoted by nobody but people.
"""

import json
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from datetime import datetime
from functools import partial
from hashlib import sha256
from typing import Any

import msgspec
from sqlalchemy import func, select
from sqlalchemy.orm import Session

from strongroom.engines.robustness.assessment.plan import parse_plan
from strongroom.gate.undecided import Recorder
from strongroom.services.data.catalog import Catalog, Held
from strongroom.services.jobs.trying import JobContext
from strongroom.services.models.assessing_types import AssessmentState
from strongroom.services.models.hardening import HardenedModel
from strongroom.services.models.hardening_dialogue import (
    LONGEST_SECONDS,
    MAX_REPORT_BYTES,
    Dialogue,
)
from strongroom.services.models.hardening_types import Wish
from strongroom.services.models.import_reuse import MODEL_FILE_KIND
from strongroom.services.models.job_parts import REPORT_KIND
from strongroom.services.models.registry import Registry
from strongroom.services.models.tables import ModelAssessmentRow, ModelEntryRow
from strongroom.services.models.training import SOURCE
from strongroom.services.models.types import ModelFile, Provenance
from strongroom.services.models.verifying import Verifier
from strongroom.services.models.version_jobs import MODEL_START, VersionJob
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.keys import Keyring

JOB_KIND = "models.harden"
REPORT_DIGEST = "report.sha256"
"""Among the parameters of the new version: which report is its own."""


class Hardener(VersionJob):
    """Does the jobs of kind `models.harden`."""

    def __init__(
        self, blobs: BlobStore, keyring: Keyring, catalog: Catalog, registry: Registry,
        verifier: Verifier, log: Recorder, settings: Settings, now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        super().__init__(
            blobs, keyring, catalog, registry, verifier, log, settings, now,
            longest_seconds=LONGEST_SECONDS, output_bytes=MAX_REPORT_BYTES + (1 << 20),
        )  # fmt: skip

    def harden(self, context: JobContext, payload: dict[str, Any]) -> Mapping[str, Any]:
        """Harden one version; once its successor is registered, a job is not done again."""
        with context.database.read() as session:
            row = self._asked(session, payload["hardening"])
            if row.state != AssessmentState.QUEUED:
                return self._result(session, row)
            entry = session.get_one(ModelEntryRow, row.entry)
            self._require_attackable(session, entry)
            wish = msgspec.json.decode(self._wishes.wish(session, row), type=Wish)
            held = self._held(session, entry.workspace, wish.tables)
            kept = self._wishes.kept(session, row)
        context.progress("verifying")
        self._verifier.verify(entry.workspace, entry.model, entry.version)
        dialogue = Dialogue(
            self._rows(context.database), self._begun, partial(self._keep, context, row.id),
            context.progress, wish, held,
        )  # fmt: skip
        contents = self._contents(
            context.database, entry, what="hardened", offline="strongroom harden"
        )
        with ExitStack() as stack:
            model = self._begun(stack, MODEL_START, {}, contents)
            made, report = dialogue.weighed(stack, model, kept)
        context.progress("registering")
        return self._conclude(context, row.id, wish, held, made, report)

    def give_up(self, session: Session, _job: str, payload: dict[str, Any], why: str) -> None:
        """The job ended undone: say so, and let go of what it held."""
        row = session.get(ModelAssessmentRow, str(payload["hardening"]))
        self._wishes.give_up(session, row, why)

    # ---- the end ----

    def _conclude(
        self, context: JobContext, hardening: str, wish: Wish, held: Mapping[str, Held],
        made: HardenedModel, report: Mapping[str, Any],
    ) -> dict[str, Any]:  # fmt: skip
        trained = held["trained"]
        workspace = trained.dataset.workspace
        content = json.dumps(report, ensure_ascii=False).encode()
        with ExitStack() as stack:
            staged = {
                name: stack.enter_context(self._blobs.put(workspace, MODEL_FILE_KIND, [one]))
                for name, one in made.files.items()
            }
            shown = stack.enter_context(self._blobs.put(workspace, REPORT_KIND, [content]))
            with context.database.write() as session:
                row = self._asked(session, hardening)
                if row.state != AssessmentState.QUEUED:
                    return self._result(session, row)
                parent = session.get_one(ModelEntryRow, row.entry)
                self._require_attackable(session, parent)
                number = 1 + (session.scalar(_newest(workspace, wish.into)) or 0)
                entry = self._registry.register(
                    session, workspace=workspace, model=wish.into, version=number,
                    files=[
                        ModelFile(name, self._blobs.commit(session, one).id)
                        for name, one in staged.items()
                    ],
                    provenance=Provenance(
                        run_id=context.job_id, source=SOURCE,
                        datasets=(f"{trained.dataset.name}@{trained.record.digest}",),
                        parameters={
                            **_parameters(parent, wish, held, made, report),
                            REPORT_DIGEST: sha256(content).hexdigest(),
                        },
                    ),
                    actor=context.actor,
                )  # fmt: skip
                row.report = self._blobs.commit(session, shown).id
                row.entry = entry
                self._wishes.end(session, row, str(report["verdict"]), self._now())
                about = ("ModelVersion", f"{parent.workspace}/{wish.into}/{number}")
                self._record(session, context, "model.harden", about, {
                    "parent": f"{parent.model}/{parent.version}", "way": wish.way,
                    "verdict": row.verdict, "hardening": row.id,
                    "plan": parse_plan(wish.plan).digest, "without": bool(wish.quarantine),
                })  # fmt: skip
                return {"model": wish.into, "version": number, "verdict": row.verdict}

    def _result(self, session: Session, row: ModelAssessmentRow) -> dict[str, Any]:
        entry = session.get_one(ModelEntryRow, row.entry)
        return {"model": entry.model, "version": entry.version, "verdict": row.verdict}


def _newest(workspace: str, model: str) -> Any:  # noqa: ANN401 # a statement
    return select(func.max(ModelEntryRow.version)).where(
        ModelEntryRow.workspace == workspace, ModelEntryRow.model == model
    )


def _parameters(
    parent: ModelEntryRow, wish: Wish, held: Mapping[str, Held], made: HardenedModel,
    report: Mapping[str, Any],
) -> dict[str, str]:  # fmt: skip
    """What the provenance of the new version says of how it came to be."""
    plan = parse_plan(wish.plan)
    found: dict[str, object] = {
        "parent": f"{parent.model}/{parent.version}", "parent.digest": parent.digest or "",
        "way": wish.way, "seed": plan.seed, "plan": plan.digest, "rows left out":
        report.get("left_out", 0), "verdict": report.get("verdict", ""),
        **{f"rows.{name}": f"{one.dataset.name}/{one.row.version}" for name, one in held.items()},
        **{f"hardening.{name}": value for name, value in made.record.items()},
    }  # fmt: skip
    return {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in found.items()
    }
