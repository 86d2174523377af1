"""Datasets searched for poison through the gate: the plan first, then a signed verdict."""

import json
from collections.abc import Callable, Iterator
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pytest
from sqlalchemy import delete, select, update
from tests.engines.privacy.dp.training.people import people
from tests.services.models.searchingroom import PLAN, SearchingRoom, searchingroom

from strongroom.engines.crypto import dsse
from strongroom.engines.robustness.assessment import catalog
from strongroom.engines.robustness.assessment.plan import parse_plan
from strongroom.engines.robustness.poisoning.quarantine_list import left_out
from strongroom.errors import (
    ConflictError,
    NotFoundError,
    RefusedError,
    StrongroomError,
    TamperedError,
    UnavailableError,
    ValidationError,
)
from strongroom.gate.access.policy_set import SlicedPolicies, policy_text, schema_text
from strongroom.services.data.tables import DatasetAssessmentRow
from strongroom.services.data.types import RemoveDataset
from strongroom.services.jobs.types import JobState
from strongroom.services.models import assessing_parts, dataset_assessing, dataset_rows
from strongroom.services.models.assessing_types import AssessmentState, SetPlan
from strongroom.services.models.assessment_plans import DEFAULTS
from strongroom.services.models.dataset_assessing import DatasetAssessor, pinned
from strongroom.services.models.dataset_assessing_operations import withheld
from strongroom.services.models.dataset_assessing_types import AssessDataset, DatasetAssessment
from strongroom.services.models.dataset_rows import require_untaken
from strongroom.services.models.dataset_standing import DATASET_ASSESSMENT_TYPE
from strongroom.services.models.job_parts import REPORT_KIND
from strongroom.services.models.sealed_wishes import WISH_KIND
from strongroom.services.models.statements import ModelKeys
from strongroom.vault.blobs import BlobRow


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SearchingRoom]:
    """Rows of which some are there twice, with another label."""
    with searchingroom(tmp_path_factory.mktemp("searching")) as built:
        yield built


def ended(room: SearchingRoom, asked: DatasetAssessment) -> Any:  # noqa: ANN401 # what the job gave
    status = room.jobs.wait(asked.job, 240)
    assert status.state is JobState.DONE, status
    return status.result


def found(room: SearchingRoom, asked: DatasetAssessment) -> DatasetAssessment:
    return next(one for one in room.listed() if one.id == asked.id)


def assessed(room: SearchingRoom) -> DatasetAssessment:
    """The newest of the labelled rows; made where no test has made one."""
    done = [one for one in room.listed() if one.kind == "copies" and one.in_force]
    if not done:
        asked = room.assess()
        ended(room, asked)
        return found(room, asked)
    return done[0]


def numbers(text: str) -> set[int]:
    return {int(line.partition(",")[0]) for line in text.splitlines()[1:]}


def test_rows_are_searched_and_what_is_suspect_is_listed_for_a_person(room: SearchingRoom) -> None:
    asked = room.assess(source="uploader")
    assert ended(room, asked) == {"verdict": "failed"}
    one = found(room, asked)
    assert (one.version, one.state, one.verdict, one.in_force) == (
        1, AssessmentState.DONE, "failed", True,
    )  # fmt: skip
    owner = room.data.owner
    text = room.text(owner)
    report = json.loads(text)
    assert report["classes"] == ["no", "yes"]
    assert report["rows"] == {"searched": 306, "of": 306}
    everybody = set(people(300, 3).column("person").to_pylist())
    assert not everybody & set(text.split('"'))

    listed = room.text(owner, "data.quarantine")
    assert numbers(listed) == room.turned
    assert all(line.split(",")[1].startswith("p-") for line in listed.splitlines()[1:])
    commitment = listed.splitlines()[1].rpartition(",")[2]
    removed = left_out(listed, 306, commitment)  # as `model harden-without` reads it
    assert {int(at) + 1 for at in removed.nonzero()[0]} == room.turned

    page = room.text(owner, form="html")
    assert "rows of patients 1: failed" in page
    assert "<script" not in page
    signed_and_on_record(room, asked.id, text, commitment)


def signed_and_on_record(room: SearchingRoom, asked: str, text: str, commitment: str) -> None:
    house = room.data.house
    with house.database.read() as session:
        row = session.get_one(DatasetAssessmentRow, asked)
        key = ModelKeys(house.keyring).verifying_key(session)
        statement = dsse.verify(row.envelope or b"", [key])
        left = set(session.scalars(select(BlobRow.kind)))
    assert statement.predicate_type == DATASET_ASSESSMENT_TYPE
    assert [one.sha256 for one in statement.subjects] == [sha256(text.encode()).hexdigest()]
    said = statement.predicate
    assert (said["dataset"], said["version"], said["verdict"], said["commitment"]) == (
        "patients", 1, "failed", commitment,
    )  # fmt: skip
    assert said["plan_in_force"] == parse_plan(PLAN).digest
    assert said["rows"] == {"searched": 306, "of": 306}
    assert WISH_KIND not in left  # what was asked, and kept on the way, is gone
    assert REPORT_KIND in left
    event = [one for one in house.events() if one.actor_kind == "job"][-1]
    assert (event.operation, event.resource) == ("data.assess", "clinic/patients")
    assert event.details["verdict"] == "failed"


def test_the_plan_of_the_start_has_the_tests_that_need_no_model_but_one() -> None:
    alone = [one.id for one in catalog.tests() if not one.needs_model]
    alone.remove("poisoning.outliers")
    plan = parse_plan(DEFAULTS["poisoning"])
    assert (plan.name, list(plan.tests)) == ("poisoning", alone)


@pytest.mark.parametrize(
    ("fields", "error", "says"),
    [
        ({"label": ""}, ValidationError, "nobody says which column"),
        ({"label": "poor"}, ValidationError, "no column `poor`"),
        ({"source": "lab"}, ValidationError, "no column `lab`"),
        ({"leave_out": "town,zip"}, ValidationError, "no column `zip`"),
        ({"source": "rich"}, ValidationError, "named twice"),
        ({"leave_out": "town,rich"}, ValidationError, "named twice"),
        ({"label": "person"}, ValidationError, "whom a row is about"),
        ({"source": "person"}, ValidationError, "whom a row is about"),
        ({"kind": "unheard"}, ValidationError, "no plan for assessments of kind `unheard`"),
        ({"version": 9}, NotFoundError, "no version 9"),
        ({"name": "unheard"}, NotFoundError, "no dataset `unheard`"),
    ],
    ids=[
        "label", "no-label", "no-source", "no-column", "label-source", "label-out", "person",
        "source", "kind", "version", "name",
    ],
)  # fmt: skip
def test_what_is_not_there_is_named_at_once(
    room: SearchingRoom, fields: dict[str, Any], error: type[StrongroomError], says: str
) -> None:
    with pytest.raises(error, match=says):
        room.assess(**fields)


def test_a_plan_that_names_columns_takes_no_others(room: SearchingRoom) -> None:
    request = SetPlan(workspace="clinic", kind="named")
    empty = PLAN.replace('"copies"', '"named"') + "[columns]\n"
    plan = empty + 'label = "rich"\n'
    for text in (empty, plan):
        room.call(room.data.owner, "model.set_plan", request, text)
        with pytest.raises(ValidationError, match="says which columns are what"):
            room.assess(kind="named")
    with room.data.house.database.read() as session:
        held = room.room._catalog.find(session, "clinic", "patients", 0)
    request_without = AssessDataset(workspace="clinic", name="patients", kind="named")
    schema = pa.table({"age": [40.5], "rich": ["yes"]}).schema
    assert pinned(parse_plan(plan), request_without, held, schema).text == plan


def test_thresholds_set_anew_make_a_verdict_one_of_yesterday(room: SearchingRoom) -> None:
    asked = assessed(room)
    for text, holds in ((PLAN.replace("0.0", "1.0"), False), (PLAN, True)):
        request = SetPlan(workspace="clinic", kind="copies")
        room.call(room.data.owner, "model.set_plan", request, text)
        one = found(room, asked)
        assert (one.verdict, one.in_force) == ("failed", holds)


@pytest.mark.parametrize("role", ["Reader", "Auditor", "Compute Operator", ""])
def test_who_may_not_read_rows_is_refused(room: SearchingRoom, role: str) -> None:
    roles = [role] if role else []
    other = room.data.house.person(f"no-{role.lower().replace(' ', '-')}", *roles)
    for ask in (
        lambda: room.assess(other),
        lambda: room.text(other),
        lambda: room.text(other, "data.quarantine"),
    ):
        with pytest.raises(RefusedError):
            ask()


def test_who_has_no_view_of_the_rows_is_refused(
    room: SearchingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    hidden = (
        '@id("clinic.hidden") forbid (principal, action == Action::"readDatasetMasked", resource);'
    )
    policies = SlicedPolicies.parse(schema_text(), policy_text() + hidden)
    monkeypatch.setattr(room.data.house.access, "policies", policies)
    other = room.data.house.person("noor", "ML Engineer")
    for ask in (
        lambda: room.assess(other),
        lambda: room.text(other),
        lambda: room.text(other, "data.quarantine"),
    ):
        with pytest.raises(RefusedError, match="no view"):
            ask()


def test_a_masked_view_shows_no_value_of_a_masked_column(room: SearchingRoom) -> None:
    tests_found = [
        {"test": "poisoning.sources", "outcome": {
            "listed": {"sources": [{"name": "Dr Grim", "rows": 3}, {"name": "Dr Who", "rows": 4}]},
        }},
        {"test": "poisoning.labels", "outcome": {
            "listed": {"quarantine": [
                {"row": 4, "name": "Ann", "suspicion": 1.0, "suggested_label": 1},
            ]},
        }},
        {"test": "poisoning.outliers", "outcome": None},
    ]  # fmt: skip
    whole = {"classes": ["ill", "well"], "tests": tests_found, "remarks": []}
    nothing = json.dumps(withheld(whole, label=False, source=False, names=False))
    assert not [
        word for word in ("Dr Grim", "Dr Who", "Ann", "ill", "well") if f'"{word}"' in nothing
    ]
    assert '"suggested_label": null' in nothing
    assert '"source 2"' in nothing
    some = withheld(whole, label=True, source=True, names=True)
    assert (some["classes"], some["tests"]) == (whole["classes"], tests_found)

    assessed(room)
    engineer = room.data.house.person("max", "ML Engineer")
    assert "your view" in room.text(engineer)
    assert numbers(room.text(engineer, "data.quarantine")) == room.turned


def test_a_broken_try_goes_on_and_only_one_is_under_way(
    room: SearchingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    conclude, tries, kept = DatasetAssessor._conclude, [0], [0]
    keep = DatasetAssessor._keep

    def once(self: DatasetAssessor, *arguments: Any) -> Any:  # noqa: ANN401 # as the method
        tries[0] += 1
        if tries[0] == 1:
            with pytest.raises(ConflictError, match="under way on this version"):
                room.assess()
            raise UnavailableError("the power is gone")
        return conclude(self, *arguments)

    def counted(self: DatasetAssessor, *arguments: Any) -> None:  # noqa: ANN401 # as the method
        kept[0] += 1
        keep(self, *arguments)

    monkeypatch.setattr(assessing_parts, "MAX_UNDER_WAY", 0)
    with pytest.raises(ConflictError, match="under way on this server"):
        room.assess()
    monkeypatch.undo()
    monkeypatch.setattr(DatasetAssessor, "_conclude", once)
    monkeypatch.setattr(DatasetAssessor, "_keep", counted)
    assert ended(room, room.assess()) == {"verdict": "failed"}
    assert (tries, kept) == ([2], [1])  # the test did not run a second time


def test_of_many_rows_some_are_searched_and_keep_their_numbers(
    room: SearchingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dataset_assessing, "MAX_ROWS", 200)
    monkeypatch.setattr(dataset_rows, "_FEWEST_ROWS", 200)
    asked = room.assess()
    ended(room, asked)
    report = json.loads(room.text(room.data.owner))
    assert report["rows"] == {"searched": 200, "of": 306}
    assert any("200 of 306 rows were searched" in one for one in report["remarks"])
    listed = numbers(room.text(room.data.owner, "data.quarantine"))
    # Rows and their copies, both by their numbers in the dataset, not among those that were drawn.
    pairs = {(one, one + 300) for one in range(1, 7) if one in listed}
    assert pairs
    assert {number for pair in pairs for number in pair} == listed & room.turned


def _other_report(room: SearchingRoom, row: DatasetAssessmentRow) -> None:
    database = room.data.house.database
    with room.data.blobs.put("clinic", REPORT_KIND, [b"{}"]) as staged, database.write() as session:
        session.get_one(DatasetAssessmentRow, row.id).report = room.data.blobs.commit(
            session, staged
        ).id


def _no_signature(room: SearchingRoom, row: DatasetAssessmentRow) -> None:
    with room.data.house.database.write() as session:
        session.execute(update(DatasetAssessmentRow).where(
            DatasetAssessmentRow.id == row.id).values(envelope=None))  # fmt: skip


def _taken_away(room: SearchingRoom, row: DatasetAssessmentRow) -> None:
    with room.data.house.database.write() as session:
        session.execute(delete(DatasetAssessmentRow).where(DatasetAssessmentRow.id == row.id))


def _verdict_alone(room: SearchingRoom, row: DatasetAssessmentRow) -> None:
    with room.data.house.database.write() as session:
        session.execute(update(DatasetAssessmentRow).where(
            DatasetAssessmentRow.id == row.id).values(verdict="passed"))  # fmt: skip


@pytest.mark.parametrize("damage", [_other_report, _no_signature, _taken_away])
def test_what_was_changed_outside_the_server_is_not_believed(
    room: SearchingRoom, damage: Callable[[SearchingRoom, DatasetAssessmentRow], None]
) -> None:
    asked = assessed(room)
    with room.data.house.database.read() as session:
        row = session.get_one(DatasetAssessmentRow, asked.id)
        fields = {
            column.name: getattr(row, column.name)
            for column in DatasetAssessmentRow.__table__.columns
        }
    _verdict_alone(room, row)
    assert found(room, asked).verdict == "failed"  # as it was signed
    damage(room, row)
    with pytest.raises(TamperedError):
        room.text(room.data.owner)
    with pytest.raises(TamperedError):
        room.text(room.data.owner, "data.quarantine")
    assert not any(one.in_force and one.kind == "copies" for one in room.listed()) or (
        damage is _other_report
    )
    with room.data.house.database.write() as session:
        session.merge(DatasetAssessmentRow(**fields))
    assert found(room, asked).in_force


def test_columns_that_no_search_can_take_are_named_at_once(room: SearchingRoom) -> None:
    content = b"dose,rich,strongroom pseudonym\n" + b"1,y,Ann\n2,n,Bob\n" * 20
    room.data.add(content, name="forged")  # who made it wants a column to pass for pseudonyms
    with pytest.raises(ValidationError, match="that name is taken"):
        room.assess(name="forged")
    with pytest.raises(ValidationError, match="that name is taken"):
        require_untaken(pa.table({"strongroom row": [1]}).schema)
    room.data.add(b"seen,rich\n" + b"2026-11-20,y\n2026-11-21,n\n" * 20, name="dated")
    with pytest.raises(ValidationError, match="`seen` holds date32"):
        room.assess(name="dated")


def test_a_search_that_fails_ends_without_a_verdict(
    room: SearchingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    def none(*_: object, **__: object) -> None:
        raise ValidationError("the rows are gone")

    monkeypatch.setattr(dataset_rows.DatasetRows, "sampled", none)
    room.data.add(b"dose,rich\n" + b"1,y\n2,n\n" * 20, name="lost")
    status = room.jobs.wait(room.assess(name="lost").job, 240)
    assert (status.state, status.error) == (JobState.FAILED, "request.field: the rows are gone")
    with room.data.house.database.read() as session:
        row = session.scalars(
            select(DatasetAssessmentRow).where(DatasetAssessmentRow.job == status.id)
        ).one()
    assert (row.state, row.verdict, row.wish) == (AssessmentState.BROKEN, "", None)
    assert f"strongroom job show {status.id}" in row.reason
    with pytest.raises(NotFoundError, match=f"broke off: .*job show {status.id}"):
        room.text(room.data.owner, name="lost")


def test_rows_that_are_removed_while_they_are_searched_leave_nothing(
    room: SearchingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep = DatasetAssessor._keep

    def removed(self: DatasetAssessor, *arguments: Any) -> None:  # noqa: ANN401 # as the method
        room.data.call(room.data.owner, "data.rm", RemoveDataset(workspace="clinic", name="brief"))
        keep(self, *arguments)

    content = b"dose,rich\n" + b"".join(b"%d,%s\n" % (at, b"yn"[at % 2 :][:1]) for at in range(60))
    room.data.add(content, name="brief")
    monkeypatch.setattr(DatasetAssessor, "_keep", removed)
    status = room.jobs.wait(room.assess(name="brief").job, 240)
    said = "not_found: what this job was asked for is gone"
    assert (status.state, status.error) == (JobState.FAILED, said)
    with room.data.house.database.read() as session:
        assert WISH_KIND not in set(session.scalars(select(BlobRow.kind)))


def test_reports_go_with_the_version(room: SearchingRoom) -> None:
    content = b"dose,rich\n" + b"".join(b"%d,%s\n" % (at, b"yn"[at % 2 :][:1]) for at in range(60))
    room.data.add(b"dose,rich\n1,y\n", name="short")
    room.data.add(content, name="short")
    asked = room.assess(name="short")
    ended(room, asked)
    assert json.loads(room.text(room.data.owner, name="short", version=2))["kind"] == "copies"
    database = room.data.house.database
    with database.read() as session:
        blob = session.get_one(DatasetAssessmentRow, asked.id).report
    request = RemoveDataset(workspace="clinic", name="short", version=2)
    room.data.call(room.data.owner, "data.rm", request)
    with database.read() as session:
        assert session.get(DatasetAssessmentRow, asked.id) is None
        assert session.get(BlobRow, blob) is None
    assert room.data.add(content + b"61,y\n", name="short").version == 2
    with pytest.raises(NotFoundError, match="no report"):  # it was of other rows
        room.text(room.data.owner, name="short", version=2)
