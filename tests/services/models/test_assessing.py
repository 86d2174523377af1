"""Assessments through the gate: plan first, rows in the sandbox, verdict signed, rules met."""

import io
import json
from collections.abc import Iterator
from hashlib import sha256
from typing import Any

import numpy as np
import pyarrow.csv
import pytest
from sqlalchemy import delete, select
from tests.engines.privacy.dp.training.people import people
from tests.services.models.assessingroom import PLAN, AssessingRoom, assessingroom

from strongroom.engines.crypto import dsse
from strongroom.engines.crypto.signing import VerifyingKey
from strongroom.engines.robustness.target import ModelError
from strongroom.errors import (
    ConflictError,
    NotFoundError,
    PromotionError,
    RefusedError,
    StateError,
    TamperedError,
    UnavailableError,
    ValidationError,
)
from strongroom.gate.access.policy_set import SlicedPolicies, policy_text, schema_text
from strongroom.gate.access.types import Principal
from strongroom.services.jobs import sandbox
from strongroom.services.jobs.types import JobState
from strongroom.services.models import assessing
from strongroom.services.models.assessing import ASSESSMENT_TYPE, Assessor
from strongroom.services.models.assessing_types import (
    Assessment,
    AssessmentState,
    ListAssessments,
    SetPlan,
    ShowAssessment,
    ShowPlan,
)
from strongroom.services.models.between_sandboxes import answered
from strongroom.services.models.files import ModelFiles
from strongroom.services.models.job_parts import REPORT_KIND
from strongroom.services.models.promotion_rules import DEFAULT_TEXT
from strongroom.services.models.promotion_types import SetPolicy, ShowHistory
from strongroom.services.models.sealed_wishes import WISH_KIND
from strongroom.services.models.tables import (
    ModelAssessmentRow,
    ModelDecisionRow,
    ModelEntryRow,
    ModelPlanRow,
)
from strongroom.services.models.types import ApproveModel, DecideModel, ShowModelKey
from strongroom.vault.blobs import BlobRow

RULES = (
    DEFAULT_TEXT.replace("approvals = 2", "approvals = 1")
    + '\n[[assessments]]\nkind = "robustness"\nnewer_than_days = 90\n'
)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AssessingRoom]:
    """A model that learned its rows by heart, and rows that it never saw."""
    with assessingroom(tmp_path_factory.mktemp("assessing")) as built:
        yield built


def set_plan(room: AssessingRoom, most: float, kind: str = "robustness") -> None:
    request = SetPlan(workspace="clinic", kind=kind)
    room.call(room.data.owner, "model.set_plan", request, PLAN.format(most=most, kind=kind))


def ended(room: AssessingRoom, asked: Assessment) -> Any:  # noqa: ANN401 # what the job gave
    status = room.jobs.wait(asked.job, 240)
    assert status.state is JobState.DONE, status
    return status.result


def listed(room: AssessingRoom, asked: Assessment) -> Assessment:
    request = ListAssessments(workspace="clinic", name="rich")
    found = room.call(room.engineer, "model.assessments", request).assessments
    [one] = [one for one in found if one.id == asked.id]
    assert isinstance(one, Assessment)
    return one


def report(room: AssessingRoom, form: str = "json", kind: str = "robustness") -> str:
    request = ShowAssessment.model_validate(
        {"workspace": "clinic", "name": "rich", "version": 1, "form": form, "kind": kind}
    )
    return b"".join(room.call(room.engineer, "model.assessment", request).chunks).decode()


def test_a_version_is_attacked_and_the_verdict_admits_it_or_not(room: AssessingRoom) -> None:
    house = room.data.house
    second = house.person("nina", "ML Engineer")
    room.call(room.data.owner, "model.set_policy", SetPolicy(workspace="clinic"), RULES)
    with pytest.raises(PromotionError, match="no assessment of kind robustness under the plan"):
        approve(room, second)

    set_plan(room, 0.55)  # a tree that knows its rows by heart does not keep it
    first = room.assess()
    assert ended(room, first) == {"verdict": "failed"}
    assert listed(room, first).model_dump(include={"verdict", "counts"}) == {
        "verdict": "failed", "counts": True,
    }  # fmt: skip
    with pytest.raises(PromotionError, match="the assessment robustness did not pass"):
        approve(room, second)

    set_plan(room, 1.0)  # whoever sets the plan decides; the former verdict counts no more
    assert not listed(room, first).counts
    with pytest.raises(PromotionError, match="no assessment of kind robustness under the plan"):
        approve(room, second)
    assert ended(room, room.assess()) == {"verdict": "passed"}
    told_of_no_person(room)
    signed_and_on_record(room)
    assert approve(room, second).state == "approved"


def approve(room: AssessingRoom, by: Principal) -> Any:  # noqa: ANN401 # a version
    return room.call(by, "model.approve", ApproveModel(workspace="clinic", name="rich", version=1))


def told_of_no_person(room: AssessingRoom) -> None:
    text = report(room)
    found = json.loads(text)
    [test] = found["tests"]
    listed = test["outcome"]["listed"]
    names = [one["row"] for one in listed["most exposed"]]
    assert all(name.startswith("p-") and len(name) == 14 for name in names)
    assert set(listed["groups"]) == {"town: east", "town: north", "town: south"}
    everybody = set(people(400).column("person").to_pylist())
    assert not everybody & set(text.split('"'))
    page = report(room, "html")
    assert "rich 1: passed" in page
    assert "<script" not in page


def signed_and_on_record(room: AssessingRoom) -> None:
    house = room.data.house
    given = room.call(room.engineer, "model.key", ShowModelKey(workspace="clinic"))
    key = VerifyingKey.from_pem(b"".join(given.chunks))
    with house.database.read() as session:
        entry = session.scalars(select(ModelEntryRow)).one()
        envelope = session.scalars(
            select(ModelDecisionRow.envelope).order_by(ModelDecisionRow.number.desc())
        ).first()
        left = session.scalars(select(BlobRow.kind)).all()
    assert WISH_KIND not in left  # the plan and what was kept on the way are gone
    statement = dsse.verify(envelope or b"", [key])
    said: Any = statement.predicate
    assert statement.predicate_type == ASSESSMENT_TYPE
    assert [subject.sha256 for subject in statement.subjects] == [entry.digest]
    assert said["report_sha256"] == sha256(report(room).encode()).hexdigest()
    assert said["tests"] == {"membership.loss": "passed"}
    assert {name: one["dataset"] for name, one in said["rows"].items()} == {
        "trained": "patients", "held_out": "others",
    }  # fmt: skip
    assert all(one["commitment"].startswith("hmac-sha256:") for one in said["rows"].values())
    events = [one for one in house.events() if one.operation == "model.assess"]
    assert [one.actor_kind for one in events[-2:]] == ["person", "job"]
    assert events[-1].details["verdict"] == "passed"
    request = ShowHistory(workspace="clinic", name="rich")
    decided = room.call(room.engineer, "model.history", request).decisions
    assert [one.decision.value for one in decided] == ["assessed", "assessed"]


def test_the_plan_of_the_start_is_shown_and_others_must_be_set(room: AssessingRoom) -> None:
    stream = room.call(room.engineer, "model.plan", ShowPlan(workspace="clinic", kind="robustness"))
    assert b"version = 1" in b"".join(stream.chunks)
    with pytest.raises(ValidationError, match="no plan"):
        room.call(room.engineer, "model.plan", ShowPlan(workspace="clinic", kind="privacy"))
    with pytest.raises(ValidationError, match="names itself"):
        room.call(
            room.data.owner, "model.set_plan", SetPlan(workspace="clinic", kind="privacy"),
            PLAN.format(most=1, kind="robustness"),
        )  # fmt: skip
    with pytest.raises(ValidationError, match=r"no test `evasion\.magic`"):
        room.call(
            room.data.owner, "model.set_plan", SetPlan(workspace="clinic", kind="robustness"),
            'version = 1\ntests = ["evasion.magic"]\n',
        )  # fmt: skip


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"version": 9}, NotFoundError),
        ({"dataset": "nobodys"}, NotFoundError),
        ({"held_out": "nobodys"}, NotFoundError),
        ({"dataset_version": 9}, NotFoundError),
        ({"kind": "weather"}, ValidationError),
        ({"kind": "Weather!"}, ValueError),
    ],
    ids=["version", "dataset", "held out", "dataset version", "kind", "name of kind"],
)
def test_what_is_not_there_is_named(
    room: AssessingRoom, fields: dict[str, str | int], error: type[Exception]
) -> None:
    with pytest.raises(error):
        room.assess(**fields)


def test_rows_that_the_model_was_trained_on_are_no_held_out_rows(room: AssessingRoom) -> None:
    with pytest.raises(ValidationError, match="are the training rows"):
        room.assess(held_out="patients")
    content = io.BytesIO()
    pyarrow.csv.write_csv(people(400, 1), content)  # `patients`, under another name
    room.data.add(content.getvalue(), name="renamed", subject_column="person")
    with pytest.raises(ValidationError, match="are the training rows"):
        room.assess(held_out="renamed")


def test_who_may_not_is_refused(room: AssessingRoom) -> None:
    house = room.data.house
    scientist = house.person("sam", "Data Scientist")
    reader = house.person("rea", "Reader")
    with pytest.raises(RefusedError):
        room.assess_as(scientist)
    for by in (scientist, reader):
        with pytest.raises(RefusedError):
            room.call(
                by, "model.assessment", ShowAssessment(workspace="clinic", name="rich", version=1)
            )
    with pytest.raises(RefusedError):
        room.call(
            room.engineer, "model.set_plan", SetPlan(workspace="clinic", kind="robustness"),
            PLAN.format(most=1, kind="robustness"),
        )  # fmt: skip


def test_a_model_that_the_rows_do_not_fit_ends_without_a_verdict(room: AssessingRoom) -> None:
    text = PLAN.format(most=1, kind="misfit").replace("rich", "town")
    request = SetPlan(workspace="clinic", kind="misfit")
    room.call(room.data.owner, "model.set_plan", request, text)
    asked = room.assess(kind="misfit")
    assert room.jobs.wait(asked.job, 240).state is JobState.FAILED
    found = listed(room, asked)
    assert (found.state, found.verdict, found.counts) == (AssessmentState.BROKEN, "", False)
    assert found.reason  # the job says what did not fit
    request_report = ShowAssessment(workspace="clinic", name="rich", version=1, kind="misfit")
    with pytest.raises(NotFoundError, match=f"broke off: .*job show {asked.job}"):
        room.call(room.data.owner, "model.assessment", request_report)


@pytest.mark.parametrize("limit", ["clock", "size"])
def test_a_model_that_takes_too_much_ends_without_a_verdict(
    room: AssessingRoom, monkeypatch: pytest.MonkeyPatch, limit: str
) -> None:
    set_plan(room, 1.0, limit)
    if limit == "clock":
        monkeypatch.setattr(assessing, "_WALL_FOR_CPU", 0.0)
        monkeypatch.setattr(assessing, "_WALL_SECONDS", 0.0)
    else:
        monkeypatch.setattr(ModelFiles, "total_bytes", lambda _: 1 << 40)
    asked = room.assess(kind=limit)
    status = room.jobs.wait(asked.job, 240)
    assert status.state is JobState.FAILED
    assert ("far longer" if limit == "clock" else "can be assessed") in status.error
    assert listed(room, asked).state is AssessmentState.BROKEN


def test_versions_that_policies_hide_are_not_listed(
    room: AssessingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_plan(room, 1.0, "hidden")
    asked = room.assess(kind="hidden")
    ended(room, asked)
    assert listed(room, asked).counts
    secret = (
        '@id("clinic.secret") forbid (principal, action == Action::"readModel", '
        'resource is ModelVersion) when { resource has model && resource.model == "rich" };'
    )
    policies = SlicedPolicies.parse(schema_text(), policy_text() + secret)
    monkeypatch.setattr(room.data.house.access, "policies", policies)
    other = room.data.house.person("noor", "ML Engineer")  # of whom nothing is decided yet
    request = ListAssessments(workspace="clinic", name="rich")
    assert room.call(other, "model.assessments", request).assessments == []


def test_what_a_model_must_refuse_ends_no_assessment(room: AssessingRoom) -> None:
    plan = 'version = 1\nname = "load"\nrows = 20\ntests = ["load.inputs"]\n'
    plan += '[columns]\nlabel = "rich"\nleft_out = ["town"]\n'
    request = SetPlan(workspace="clinic", kind="load")
    room.call(room.data.owner, "model.set_plan", request, plan)
    assert ended(room, room.assess(kind="load")) == {"verdict": "passed"}
    [test] = json.loads(report(room, kind="load"))["tests"]
    said = test["outcome"]["listed"]["hostile inputs"]
    assert said["all infinite"] == {"said": "refused", "error": "ValueError"}


class Speaking:
    """A model whose errors quote what it was asked."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def request(self, *_: object, **__: object) -> None:
        raise self.error


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (sandbox.ConfinedError("ValueError", "40.5 is ill"), "ValueError"),
        (sandbox.ConfinedError("Mary is ill", "40.5 is ill"), "Exception"),
        (sandbox.OversteppedError("Mary is ill"), ModelError.ENDED),
    ],
    ids=["words", "kind", "end"],
)
def test_what_a_model_says_in_errors_stays_in_its_sandbox(error: Exception, told: str) -> None:
    told_of_it = answered(Speaking(error), {}, b"", 1.0)  # type: ignore[arg-type] # as a worker
    assert told_of_it == ({"do": "next", "raised": told}, b"")


def test_a_rejected_version_is_not_attacked(room: AssessingRoom) -> None:
    room.register(seed=2)
    request = DecideModel(workspace="clinic", name="rich", version=2, comment="no")
    room.call(room.engineer, "model.reject", request)
    with pytest.raises(StateError, match="rejected"):
        room.assess(version=2)


def test_a_broken_try_goes_on_and_only_one_is_under_way(
    room: AssessingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_plan(room, 1.0, "broken")
    conclude, tries, ran = Assessor._conclude, [0], [0]
    keep = Assessor._keep

    def once(self: Assessor, *arguments: Any) -> Any:  # noqa: ANN401 # as the method
        tries[0] += 1
        if tries[0] == 1:
            with pytest.raises(ConflictError, match="under way"):
                room.assess(kind="broken")
            raise UnavailableError("the power is gone")
        return conclude(self, *arguments)

    def counted(self: Assessor, *arguments: Any) -> None:  # noqa: ANN401 # as the method
        ran[0] += 1
        keep(self, *arguments)

    monkeypatch.setattr(Assessor, "_conclude", once)
    monkeypatch.setattr(Assessor, "_keep", counted)
    assert ended(room, room.assess(kind="broken")) == {"verdict": "passed"}
    assert (tries, ran) == ([2], [16 + 1])  # fits and the test: not run a second time


def test_shadow_models_of_a_broken_try_are_not_fitted_again(
    room: AssessingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = PLAN.replace("membership.loss", "membership.lira").format(most=1.0, kind="shadows")
    request = SetPlan(workspace="clinic", kind="shadows")
    room.call(room.data.owner, "model.set_plan", request, text)
    keep, sizes = Assessor._keep, list[int]()

    def dying(self: Assessor, context: Any, assessment: str, kept: bytes) -> None:  # noqa: ANN401 # as the method
        keep(self, context, assessment, kept)
        sizes.append(len(kept))
        if len(sizes) == 3:
            raise UnavailableError("the power is gone")

    monkeypatch.setattr(Assessor, "_keep", dying)
    assert ended(room, room.assess(kind="shadows"))["verdict"] in {"passed", "failed", "invalid"}
    # Three fits of sixteen, then the other thirteen, and the test that has ended.
    assert len(sizes) == 3 + 13 + 1
    grown = np.diff(sizes[:16])
    assert (grown >= 4 * 700).all()  # each bundle holds the answers of one more fit
    outcome = json.loads(report(room, kind="shadows"))["tests"][0]["outcome"]
    fits = {one["name"]: one["value"] for one in outcome["measures"]}["shadow fits"]
    assert fits == 16


def test_what_was_changed_outside_the_server_counts_for_nothing(room: AssessingRoom) -> None:
    set_plan(room, 1.0, "tampered")
    asked = room.assess(kind="tampered")
    ended(room, asked)
    database = room.data.house.database
    assert listed(room, asked).counts
    with database.read() as session:
        assessed = session.scalars(
            select(ModelAssessmentRow).where(ModelAssessmentRow.kind == "tampered")
        ).one()
        plan = session.get_one(ModelPlanRow, ("clinic", "tampered")).plan

    with database.write() as session:
        session.get_one(ModelAssessmentRow, assessed.id).verdict = "failed"
    assert listed(room, asked).verdict == "passed"  # as it was signed

    with (
        room.data.blobs.put("clinic", REPORT_KIND, [b"{}"]) as staged,
        database.write() as session,
    ):
        session.get_one(ModelAssessmentRow, assessed.id).report = room.data.blobs.commit(
            session, staged
        ).id
    with pytest.raises(TamperedError, match="not the one that was signed"):
        report(room, kind="tampered")
    with database.write() as session:
        session.get_one(ModelAssessmentRow, assessed.id).report = assessed.report
    assert json.loads(report(room, kind="tampered"))["kind"] == "tampered"

    with database.write() as session:
        session.get_one(ModelPlanRow, ("clinic", "tampered")).plan = b"another"
    assert not listed(room, asked).counts
    with pytest.raises(TamperedError):
        room.assess(kind="tampered")
    with database.write() as session:
        session.get_one(ModelPlanRow, ("clinic", "tampered")).plan = plan
    assert listed(room, asked).counts

    with database.write() as session:
        taken = session.scalars(
            select(ModelDecisionRow).order_by(ModelDecisionRow.number.desc())
        ).first()
        assert taken is not None
        number = taken.number
        fields = {
            name: getattr(taken, name)
            for name in ("number", "entry", "decision", "by", "at", "comment", "envelope")
        }
        session.execute(delete(ModelDecisionRow).where(ModelDecisionRow.number == number))
    found = listed(room, asked)
    assert (found.counts, found.verdict) == (False, "")
    assert "no signed verdict" in found.reason
    with pytest.raises(TamperedError):
        report(room, kind="tampered")
    with database.write() as session:
        session.add(ModelDecisionRow(**fields))
    assert listed(room, asked).counts
