"""Hardening through the gate: trained anew in a sandbox, compared, registered, not promoted."""

import csv
import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import onnxruntime
import pyarrow as pa
import pyarrow.csv
import pytest
from sqlalchemy import select
from tests.engines.privacy.dp.training.people import people
from tests.services.models.assessingroom import AssessingRoom, assessingroom

from strongroom.errors import (
    ConflictError,
    NotFoundError,
    RefusedError,
    TamperedError,
    UnavailableError,
    ValidationError,
)
from strongroom.gate.access.policy_set import SlicedPolicies, policy_text, schema_text
from strongroom.gate.access.types import Principal
from strongroom.services.jobs.types import JobState
from strongroom.services.models import hardening_dialogue
from strongroom.services.models.assessing_types import (
    HARDENING,
    AssessmentState,
    ListAssessments,
    SetPlan,
)
from strongroom.services.models.hardening_types import (
    Hardening,
    HardenModel,
    ShowHardening,
    ShowQuarantine,
)
from strongroom.services.models.job_parts import REPORT_KIND
from strongroom.services.models.sealed_wishes import WISH_KIND
from strongroom.services.models.tables import ModelAssessmentRow, ModelEntryRow
from strongroom.vault.blobs import BlobRow

PLAN = """\
version = 1
name = "robustness"
tests = ["poisoning.labels", "membership.loss"]
[columns]
label = "rich"
[[gates]]
test = "membership.loss"
measure = "AUC"
at_most = 0.56
"""


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AssessingRoom]:
    """A tree that learned its rows by heart, and the plan that says so."""
    with assessingroom(tmp_path_factory.mktemp("hardening")) as built:
        plan = SetPlan(workspace="clinic", kind="robustness")
        built.call(built.data.owner, "model.set_plan", plan, PLAN)
        content = io.BytesIO()
        pyarrow.csv.write_csv(flawed(), content)
        built.data.add(content.getvalue(), name="flawed", subject_column="person")
        yield built


def flawed() -> pa.Table:
    """People who are rich from an age on, but for every fortieth, whose label is wrong."""
    table = people(400)
    rich = (table.column("age").to_numpy() > 54) ^ (np.arange(400) % 40 == 7)
    at = table.column_names.index("rich")
    return table.set_column(at, "rich", pa.array(np.where(rich, "yes", "no")))


def asked(room: AssessingRoom, by: Principal | None = None, **fields: Any) -> HardenModel:  # noqa: ANN401 # fields of a request
    return HardenModel.model_validate({
        "workspace": "clinic", "name": "rich", "version": 1, "dataset": "patients",
        "held_out": "others", **fields,
    })  # fmt: skip


def harden(room: AssessingRoom, by: Principal | None = None, **fields: Any) -> Hardening:  # noqa: ANN401 # as above
    found = room.call(by or room.engineer, "model.harden", asked(room, **fields))
    assert isinstance(found, Hardening)
    return found


def ended(room: AssessingRoom, job: str) -> Any:  # noqa: ANN401 # what the job gave
    status = room.jobs.wait(job, 240)
    assert status.state is JobState.DONE, status
    return status.result


def text(room: AssessingRoom, name: str, request: Any, by: Principal | None = None) -> str:  # noqa: ANN401 # each its own
    return b"".join(room.call(by or room.engineer, name, request).chunks).decode()


def report(room: AssessingRoom, form: str = "json", **fields: Any) -> str:  # noqa: ANN401 # as above
    about = {"workspace": "clinic", "name": "rich-hardened", "version": 1, "form": form, **fields}
    return text(room, "model.hardening", ShowHardening.model_validate(about))


def test_a_version_is_trained_anew_and_compared(room: AssessingRoom) -> None:
    house = room.data.house
    given = harden(room, way="regularised")
    assert (given.parent, given.into, given.left_out) == ("rich/1", "rich-hardened", 0)
    with pytest.raises(ConflictError, match="under way"):
        harden(room)
    assert ended(room, given.job) == {"model": "rich-hardened", "version": 1, "verdict": "passed"}

    found = json.loads(report(room))
    assert (found["before"]["verdict"], found["after"]["verdict"]) == ("failed", "passed")
    control, way = found["ways"]
    assert (control["is_control"], way["way"]) == (True, "regularised")
    area = next(one for one in way["changes"] if one["before"]["name"] == "AUC")
    assert area["effect"] == "better"
    assert area["after"]["high"] < min(area["before"]["low"], area["control"]["low"])
    assert way["cost"]["gain"] is not None
    page = report(room, "html")
    assert "rich-hardened 1, before and after" in page
    assert "<script" not in page

    registered_with_its_provenance(room)
    [event] = [
        one for one in house.events()
        if one.operation == "model.harden" and one.actor_kind == "job"
    ]  # fmt: skip
    assert event.details["parent"] == "rich/1"
    assert event.details["verdict"] == "passed"
    with house.database.read() as session:
        kinds = set(session.scalars(select(BlobRow.kind)).all())
    assert WISH_KIND not in kinds  # what was asked, and kept on the way, is gone
    listed = room.call(
        room.engineer, "model.assessments",
        ListAssessments(workspace="clinic", name="rich-hardened"),
    ).assessments  # fmt: skip
    assert [(one.kind, one.verdict, one.counts) for one in listed] == [
        ("(hardening)", "passed", False)
    ]


def registered_with_its_provenance(room: AssessingRoom) -> None:
    house, blobs = room.data.house, room.data.blobs
    with house.database.read() as session:
        entry = session.scalars(
            select(ModelEntryRow).where(ModelEntryRow.model == "rich-hardened")
        ).one()
        registry = room.hardening._registry
        parameters = registry.facts(session, entry)["parameters"]
        files = {one.path: one.blob for one in registry.files(session, entry.id)}
        with blobs.open(session, files["model.onnx"]) as reader:
            onnx = b"".join(reader.chunks())
    assert set(files) == {"model.onnx", "MLmodel", "recipe.json"}  # data alone: no pickle came out
    onnxruntime.InferenceSession(onnx, providers=["CPUExecutionProvider"])
    assert parameters["parent"] == "rich/1"
    assert parameters["way"] == "regularised"
    assert parameters["seed"] == "1"
    assert json.loads(parameters["hardening.recipe"])["kind"] == "DecisionTreeClassifier"
    with house.database.read() as session:
        job = session.get_one(ModelEntryRow, entry.id).job
    assert room.jobs.wait(job, 120).state is JobState.DONE
    with house.database.read() as session:
        assert session.get_one(ModelEntryRow, entry.id).state == "checked"  # and no more


def test_a_person_judges_the_list_and_the_rest_is_trained_on(room: AssessingRoom) -> None:
    ended(room, room.assess(dataset="flawed").job)
    show = ShowQuarantine(workspace="clinic", name="rich", version=1)
    given = text(room, "model.quarantine", show)
    rows = list(csv.DictReader(io.StringIO(given)))
    wrong = {str(row) for row in range(8, 401, 40)}
    assert len({one["row"] for one in rows} & wrong) >= 8
    assert all(one["name"].startswith("p-") and one["leave out"] == "yes" for one in rows)
    first = rows[0]
    edited = ["row,leave out,data"]
    edited += [f"{one['row']},{'yes' if one is first else 'no'},{one['data']}" for one in rows]
    request = asked(room, control=False, dataset="flawed")
    made = room.call(room.engineer, "model.harden_without", request, "\n".join(edited))
    assert made.left_out == 1
    result = ended(room, made.job)
    found = json.loads(report(room, version=result["version"]))
    [way] = found["ways"]
    assert (way["way"], found["left_out"]) == ("retrained", 1)
    members = [
        next(m for m in side["tests"][1]["outcome"]["measures"] if m["name"] == "members")["value"]
        for side in (found["before"], found["after"])
    ]
    assert members == [400, 399]
    for body, words in (
        (given.replace(first["data"], "sha256:0"), "other data"),
        (given + given.split("\r\n")[1] + "\r\n", "stands twice"),
        (given.replace(f"\r\n{first['row']},", "\r\n999,"), "no row"),
        ("a,b\r\n1,2\r\n", "no column"),
    ):
        with pytest.raises(ValidationError, match=words):
            room.call(room.engineer, "model.harden_without", request, body)


def test_who_may_not_is_refused(room: AssessingRoom) -> None:
    house = room.data.house
    for place, role in enumerate(("Data Scientist", "Reader", "Auditor")):
        person = house.person(f"r{place}", role)
        with pytest.raises(RefusedError):
            harden(room, person)
        with pytest.raises(RefusedError):
            room.call(person, "model.harden_without", asked(room), "row\n1\n")
        with pytest.raises(RefusedError):  # an Auditor reads reports, and may not train
            text(room, "model.quarantine",
                 ShowQuarantine(workspace="clinic", name="rich", version=1), person)  # fmt: skip
    reader = house.person("rey", "Reader")
    with pytest.raises(RefusedError):
        room.call(reader, "model.hardening",
                  ShowHardening(workspace="clinic", name="rich-hardened", version=1))  # fmt: skip


def test_who_may_not_register_or_train_is_refused(
    room: AssessingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    house = room.data.house
    for number, (action, kind, fields) in enumerate(
        (("registerModel", "Model", {"into": "secret"}), ("trainModel", "Dataset", {}))
    ):
        rule = (
            f'@id("clinic.rule{number}") forbid (principal, action == Action::"{action}", '
            f"resource is {kind}) when {{ "
            + ('resource has model && resource.model == "secret" };' if fields else "true };")
        )
        policies = SlicedPolicies.parse(schema_text(), policy_text() + rule)
        monkeypatch.setattr(house.access, "policies", policies)
        with pytest.raises(RefusedError):
            harden(room, house.person(f"q{number}", "ML Engineer"), **fields)


@pytest.mark.parametrize(
    ("fields", "error", "words"),
    [
        ({"version": 9}, NotFoundError, "no version 9"),
        ({"dataset": "nobodys"}, NotFoundError, "nobodys"),
        ({"dataset_version": 9}, NotFoundError, "9"),
        ({"held_out": "patients"}, ValidationError, "are the training rows"),
        ({"kind": "weather"}, ValidationError, "no plan"),
        ({"into": "rich"}, ConflictError, "registered by a client"),
        ({"into": "a/b"}, ValidationError, "no slash"),
        ({"way": "rounding"}, ValueError, "way"),
        ({"radius": 11}, ValueError, "radius"),
    ],
    ids=["version", "dataset", "its version", "held out", "kind", "into", "name", "way", "radius"],
)
def test_what_cannot_be_is_said(
    room: AssessingRoom, fields: dict[str, Any], error: type[Exception], words: str
) -> None:
    with pytest.raises(error, match=words):
        harden(room, **fields)


def test_what_did_not_come_of_a_hardening_has_no_report(room: AssessingRoom) -> None:
    with pytest.raises(NotFoundError, match="did not come of a hardening"):
        report(room, name="rich")


def test_a_report_that_was_exchanged_is_refused(room: AssessingRoom) -> None:
    whole, house = report(room), room.data.house
    with house.database.read() as session:
        found = session.scalars(
            select(ModelAssessmentRow).where(ModelAssessmentRow.kind == HARDENING)
        ).first()
    assert found is not None
    other = whole.replace('"passed"', '"failed"').encode()
    with (
        room.data.blobs.put("clinic", REPORT_KIND, [other]) as staged,
        house.database.write() as session,
    ):
        row = session.get_one(ModelAssessmentRow, found.id)
        before, row.report = row.report, room.data.blobs.commit(session, staged).id
    with pytest.raises(TamperedError, match="not the one that came with this version"):
        report(room)
    with house.database.write() as session:
        session.get_one(ModelAssessmentRow, found.id).report = before
    assert report(room) == whole


def test_a_job_that_is_done_again_goes_on(
    room: AssessingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It breaks off when the first side has been tested: these tests do not run again."""
    seen: list[str] = []
    told = hardening_dialogue._told

    def breaks_once(head: Any) -> str:  # noqa: ANN401 # an answer
        said = told(head)
        seen.append(said)
        if said == "old: tests done so far: 2" and "broke" not in seen:
            seen.append("broke")
            raise UnavailableError("the power is gone")
        return said

    monkeypatch.setattr(hardening_dialogue, "_told", breaks_once)
    given = harden(room, control=False)
    assert ended(room, given.job)["model"] == "rich-hardened"
    at = seen.index("broke")
    assert any(one.startswith("old: ") for one in seen[:at])
    assert seen[at + 1 :]
    assert not any(one.startswith("old: ") for one in seen[at + 1 :])


def test_a_job_that_ends_undone_lets_go(
    room: AssessingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fails(_head: Any) -> str:  # noqa: ANN401 # an answer
        raise ValidationError("the rows are odd")

    monkeypatch.setattr(hardening_dialogue, "_told", fails)
    given = harden(room, control=False)
    assert room.jobs.wait(given.job, 240).state is JobState.FAILED
    with room.data.house.database.read() as session:
        row = session.get_one(ModelAssessmentRow, given.id)
        assert row.state == AssessmentState.BROKEN
        assert (row.wish, row.kept, row.report) == (None, None, None)
