"""The job that searches a dataset version for poison, before a model is trained on it.

The plan was fixed when the job was asked for. The rows are read into a sandbox, and only figures,
numbers of rows and pseudonyms come out. What a kill leaves: tests that have run are kept after each
one, so the next try goes on; the verdict is signed and put on the record in one transaction, once.
"""

import json
import tomllib
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any

import msgspec
import pyarrow as pa
from sqlalchemy.orm import Session

from strongroom.engines.robustness.assessment import document
from strongroom.engines.robustness.assessment.keeping import MAX_BYTES, kept_from
from strongroom.engines.robustness.assessment.plan import Plan, parse_plan
from strongroom.engines.robustness.assessment.running import Report
from strongroom.engines.robustness.assessment.table import features_of
from strongroom.errors import ValidationError
from strongroom.gate.undecided import Recorder
from strongroom.services.data.catalog import Catalog, Held
from strongroom.services.data.tables import DatasetAssessmentRow, DatasetRow
from strongroom.services.jobs.trying import JobContext
from strongroom.services.models.assessing import LONGEST_SECONDS, TESTS_START, carry
from strongroom.services.models.assessing_types import AssessmentState
from strongroom.services.models.between_sandboxes import pour
from strongroom.services.models.dataset_assessing_types import AssessDataset
from strongroom.services.models.dataset_rows import require_untaken
from strongroom.services.models.dataset_standing import SignedSearches
from strongroom.services.models.job_parts import REPORT_KIND, JobParts
from strongroom.services.models.sealed_wishes import gone
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.keys import Keyring

JOB_KIND = "data.assess"
MAX_ROWS = 100_000
"""That are searched; more are sampled, by the seed of the plan."""


@dataclass(frozen=True, slots=True)
class SearchWish:
    """What was asked for, as it lies sealed until the job has ended.

    Attributes:
        plan: its text, with the columns that were named.
        in_force: digest of the plan of the workspace that it comes of.
    """

    plan: str
    in_force: str

    def to_bytes(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(self)


class DatasetAssessor(JobParts):
    """Does the jobs of kind `data.assess`."""

    def __init__(
        self, blobs: BlobStore, keyring: Keyring, catalog: Catalog, searches: SignedSearches,
        log: Recorder, settings: Settings, now: Callable[[], datetime],
    ) -> None:  # fmt: skip
        super().__init__(
            blobs, keyring, catalog, log, settings, now, longest_seconds=LONGEST_SECONDS,
            output_bytes=MAX_BYTES + (1 << 20),
        )  # fmt: skip
        self._searches = searches

    def assess(self, context: JobContext, payload: dict[str, Any]) -> Mapping[str, Any]:
        """Search one version; a search that has ended is left as it is."""
        with context.database.read() as session:
            row = _asked(session, payload)
            if row.state != AssessmentState.QUEUED:
                return {"verdict": row.verdict}
            wish = msgspec.json.decode(self._wishes.wish(session, row), type=SearchWish)
            held = self._of(session, row)
            kept = self._wishes.kept(session, row)
        plan = parse_plan(wish.plan)
        context.progress("reading the rows")
        table = self._rows(context.database).sampled(held, plan, at_most=MAX_ROWS)
        searched = len(table)
        with ExitStack() as stack:
            tests = self._begun(stack, TESTS_START, {"plan": wish.plan, "has_model": False})
            pour(tests, table, "trained")
            del table
            if kept is not None:
                tests.request({"do": "kept"}, kept)
            keep = partial(self._keep, context, row, held.dataset.workspace)
            report, classes = carry(plan, tests, None, context.progress, keep)
        context.progress("signing")
        return self._conclude(context, row.id, wish, report, classes, searched)

    def give_up(self, session: Session, _job: str, payload: dict[str, Any], why: str) -> None:
        """The job ended undone: say so, and let go of what it held."""
        row = session.get(DatasetAssessmentRow, str(payload["assessment"]))
        self._wishes.give_up(session, row, why)

    def _of(self, session: Session, row: DatasetAssessmentRow) -> Held:
        dataset = session.get_one(DatasetRow, row.dataset)
        return self._catalog.find(session, dataset.workspace, dataset.name, row.version)

    def _keep(
        self, context: JobContext, row: DatasetAssessmentRow, workspace: str, kept: bytes
    ) -> None:
        kept_from(kept)  # what cannot be read again is not kept
        self._wishes.keep(context.database, workspace, row, kept)

    def _conclude(
        self, context: JobContext, assessment: str, wish: SearchWish, report: Report,
        classes: tuple[str, ...], searched: int,
    ) -> dict[str, Any]:  # fmt: skip
        at = self._now()
        with context.database.read() as session:
            held = self._of(session, _asked(session, {"assessment": assessment}))
        if searched < held.row.rows:
            said = (
                f"{searched:,} of {held.row.rows:,} rows were searched, drawn by the seed of the "
                "plan: nothing is said of the others"
            )
            report = replace(report, remarks=(*report.remarks, said))
        found = {
            **document.report_json(report), "classes": list(classes),
            "rows": {"searched": searched, "of": held.row.rows},
        }  # fmt: skip
        content = json.dumps(found, ensure_ascii=False).encode()
        with (
            self._blobs.put(held.dataset.workspace, REPORT_KIND, [content]) as staged,
            context.database.write() as session,
        ):
            row = _asked(session, {"assessment": assessment})
            if row.state != AssessmentState.QUEUED:
                return {"verdict": row.verdict}
            held = self._of(session, row)
            row.report = self._blobs.commit(session, staged).id
            about = {"at": at, "in_force": wish.in_force, "rows": searched}
            self._searches.sign(session, row, held, report, content, about)
            self._wishes.end(session, row, report.verdict.value, at)
            about_rows = ("Dataset", f"{held.dataset.workspace}/{held.dataset.name}")
            self._record(session, context, "data.assess", about_rows, {
                "kind": row.kind, "version": row.version, "verdict": report.verdict.value,
                "plan": report.plan.digest, "digest": held.commitment, "assessment": row.id,
            })  # fmt: skip
        return {"verdict": report.verdict.value}


def pinned(in_force: Plan, request: AssessDataset, held: Held, schema: pa.Schema) -> Plan:
    """The plan of the workspace, with the columns that a request names where it names none.

    Args:
        schema: of the dataset.

    Raises:
        ValidationError: both name columns, neither the label, one that there is not, or the label
            as something else, too; or a column is neither number nor text, and not left out.
    """
    told = {
        "label": request.label, "source": request.source, "left_out": list(request.leave_out),
    }  # fmt: skip
    lines = [
        f"{name} = {json.dumps(value, ensure_ascii=False)}" for name, value in told.items() if value
    ]
    plan = in_force
    if "columns" in tomllib.loads(in_force.text):
        if lines:
            raise ValidationError(
                f"the plan `{request.kind}` says which columns are what",
                next_step="leave out --label, --source and --leave-out, or set a plan without "
                "[columns]",
            )
    elif lines:
        plan = parse_plan("\n".join([in_force.text, "[columns]", *lines, ""]))
    roles = plan.columns
    if not roles.label:
        raise ValidationError(
            "nobody says which column a model would predict",
            next_step="name it with --label, or in the plan, at [columns]",
        )
    named = [one for one in (roles.label, roles.source, *roles.left_out, *roles.groups) if one]
    if missing := [one for one in named if one not in schema.names]:
        raise ValidationError(f"the dataset has no column `{missing[0]}`")
    if roles.label in {roles.source, *roles.left_out}:
        raise ValidationError(
            f"the label `{roles.label}` is named twice: it is neither source nor left out"
        )
    if held.record.subject_column in {roles.label, roles.source} - {""}:
        raise ValidationError(
            f"the column `{held.record.subject_column}` says whom a row is about: it is neither "
            "label nor source"
        )
    require_untaken(schema)
    features = [one for one in schema if one.name != held.record.subject_column]
    features_of(pa.schema(features).empty_table(), roles)
    return plan


def _asked(session: Session, payload: Mapping[str, Any]) -> DatasetAssessmentRow:
    row = session.get(DatasetAssessmentRow, str(payload["assessment"]))
    if row is None:
        raise gone()
    return row
