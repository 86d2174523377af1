"""The gate: identify → decide → do → record, and that no path leaves out the record."""

import contextlib
from pathlib import Path

import pytest
from pydantic import BaseModel, ConfigDict
from sqlalchemy import String, select
from sqlalchemy.orm import Mapped, Session, mapped_column
from tests.gate.gatehouse import Gatehouse, gatehouse

from strongroom.errors import (
    ConflictError,
    InternalError,
    RateLimitedError,
    RefusedError,
    SignInError,
    StrongroomError,
    TruncatedError,
    UndeclaredError,
)
from strongroom.gate.access.types import ANONYMOUS, Entity, Principal, workspace_entity
from strongroom.gate.audit.types import AuditClass, Event, Outcome
from strongroom.gate.declaration import (
    DECLARED,
    BoundOperation,
    Limits,
    in_workspace,
    operation,
    operations_of,
)
from strongroom.gate.operation import Call
from strongroom.vault.database import Base, Database


class NoteRow(Base):
    """What the room of these tests keeps."""

    __tablename__ = "tests_gate_notes"

    text: Mapped[str] = mapped_column(String(100), primary_key=True)


class Write(BaseModel):
    """A note to write."""

    model_config = ConfigDict(extra="forbid")

    workspace: str
    text: str


class Notes:
    """A room whose verbs do, one each, all that a verb can do."""

    def __init__(self, house: Gatehouse) -> None:
        self.house = house

    @operation(
        "test.write", action="addDataset", resource=in_workspace, audit=AuditClass.AI_OPERATION
    )
    def write(self, call: Call, request: Write) -> str:
        """Write a note."""
        call.note(length=len(request.text))
        with call.transaction() as session:
            session.add(NoteRow(text=request.text))
        return request.text

    @operation(
        "test.read", action="readDataset", resource=in_workspace, audit=AuditClass.AI_OPERATION
    )
    def read(self, call: Call, request: Write) -> str:
        """Read a note."""
        with call.reading() as session:
            session.scalars(select(NoteRow)).all()
        return request.text

    @operation(
        "test.fail", action="addDataset", resource=in_workspace, audit=AuditClass.AI_OPERATION
    )
    def fail(self, call: Call, request: Write) -> str:
        """Write a note, then fail in the same transaction."""
        with call.transaction() as session:
            session.add(NoteRow(text=request.text))
            session.flush()
            raise ConflictError("no")

    @operation(
        "test.crash", action="addDataset", resource=in_workspace, audit=AuditClass.AI_OPERATION
    )
    def crash(self, call: Call, request: Write) -> str:  # as declared
        """Fail as nobody foresaw."""
        raise ZeroDivisionError(request.text)

    @operation(
        "test.outlive", action="addDataset", resource=in_workspace, audit=AuditClass.AI_OPERATION
    )
    def outlive(self, call: Call, request: Write) -> str:
        """Write a note when the permission has been withdrawn meanwhile."""
        self.house.revoke(call.principal, "Data Scientist")
        with call.transaction() as session:
            session.add(NoteRow(text=request.text))
        return request.text

    @operation(
        "test.gain", action="addDataset", resource=in_workspace, audit=AuditClass.AI_OPERATION
    )
    def gain(self, call: Call, request: Write) -> str:
        """Write a note when some other grant has changed meanwhile."""
        self.house.grant(call.principal, "Auditor")
        with call.transaction() as session:
            session.add(NoteRow(text=request.text))
        return request.text

    @operation(
        "test.twice", action="addDataset", resource=in_workspace, audit=AuditClass.AI_OPERATION
    )
    def twice(self, call: Call, request: Write) -> str:
        """Try to record twice."""
        for text in ("one", "two"):
            with call.transaction() as session:
                session.add(NoteRow(text=text))
        return request.text

    @operation(
        "test.late", action="addDataset", resource=in_workspace, audit=AuditClass.AI_OPERATION
    )
    def late(self, call: Call, request: Write) -> str:
        """Write a note, and fail once that is committed."""
        with call.transaction() as session:
            session.add(NoteRow(text=request.text))
        call.note(answered=False)
        if request.text == "refuse":
            call.require("approveModel")
        raise ConflictError("no")

    @operation(
        "test.choose",
        action="readDatasetRows",
        resource=in_workspace,
        audit=AuditClass.AI_OPERATION,
    )
    def choose(self, call: Call, request: Write) -> str:
        """Choose by a further permission, and require another."""
        clear = call.allows("readDatasetClear")
        if request.text == "require":
            call.require("approveModel")
        if request.text == "elsewhere":
            call.require("readDatasetRows", workspace_entity("other"))
        return "clear" if clear else "masked"

    @operation(
        "test.rare", action="readDataset", resource=in_workspace, audit=AuditClass.AI_OPERATION,
        limits=Limits(per_minute=2),
    )  # fmt: skip
    def rare(self, call: Call, request: Write) -> str:  # as declared
        """Read, but rarely."""
        return request.text

    @operation(
        "test.body", action="addDataset", resource=in_workspace, audit=AuditClass.AI_OPERATION
    )
    def body(self, call: Call, request: Write) -> bytes:  # as declared
        """Read the body of the request."""
        return b"".join(call.stream())


# They are for this file only: other tests walk what the product declares.
for _name in [name for name in DECLARED if name.startswith("test.")]:
    del DECLARED[_name]


@pytest.fixture
def ann(house: Gatehouse) -> Principal:
    """A data scientist of the workspace `clinic`."""
    return house.person("ann", "Data Scientist")


def bound(house: Gatehouse, name: str) -> BoundOperation:
    found = operations_of(Notes(house))
    return next(one for one in found if one.declared.name == f"test.{name}")


def perform(
    house: Gatehouse, who: Principal, name: str, text: str = "hello", workspace: str = "clinic"
) -> object:
    request = Write(workspace=workspace, text=text)
    return house.gate.perform(bound(house, name), who, request).result


def last(house: Gatehouse) -> Event:
    return house.events()[-1]


def notes(house: Gatehouse) -> list[str]:
    with house.database.read() as session:
        return list(session.scalars(select(NoteRow.text).order_by(NoteRow.text)))


# ---- done and recorded ----


def test_a_change_and_its_record_are_one_transaction(house: Gatehouse, ann: Principal) -> None:
    request = Write(workspace="clinic", text="hello")
    answer = house.gate.perform(bound(house, "write"), ann, request, request_id="r1")
    assert answer.result == "hello"
    assert notes(house) == ["hello"]
    (event,) = house.events()
    assert (event.operation, event.action, event.outcome) == (
        "test.write", "addDataset", Outcome.ALLOWED,
    )  # fmt: skip
    assert (event.actor, event.resource_type, event.resource, event.workspace) == (
        ann.id, "Workspace", "clinic", "clinic",
    )  # fmt: skip
    assert event.policies == ("data_scientist.data",)
    assert (event.details, event.request_id) == ({"length": 5}, "r1")
    with house.database.read() as session:
        assert house.log.entry(session, answer.entry.index).event == event


def test_a_record_that_cannot_be_written_undoes_the_change(
    house: Gatehouse, ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_session: Session, _event: Event) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(house.log, "append", full)
        with pytest.raises(OSError, match="full"):
            perform(house, ann, "write")
    assert notes(house) == []
    assert last(house).outcome is Outcome.FAILED


def test_a_call_that_changes_nothing_is_recorded_before_its_answer(
    house: Gatehouse, ann: Principal
) -> None:
    assert perform(house, ann, "read") == "hello"
    assert (last(house).operation, last(house).outcome) == ("test.read", Outcome.ALLOWED)


def test_without_a_record_there_is_no_answer(
    house: Gatehouse, ann: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_event: Event) -> None:
        raise OSError("disk full")

    with monkeypatch.context() as patched:
        patched.setattr(house.log, "record", full)
        with pytest.raises(OSError, match="full"):
            perform(house, ann, "read")


def test_a_call_has_one_record_of_its_change(house: Gatehouse, ann: Principal) -> None:
    with pytest.raises(InternalError, match="one record"):
        perform(house, ann, "twice")
    assert notes(house) == ["one"]  # the second was rolled back
    outcomes = [(event.outcome, event.details) for event in house.events()]
    assert outcomes == [(Outcome.ALLOWED, {}), (Outcome.FAILED, {"after": 0})]


@pytest.mark.parametrize(
    ("text", "error", "outcome"),
    [
        ("fail", ConflictError, Outcome.FAILED),
        ("refuse", RefusedError, Outcome.REFUSED),
    ],
)
def test_a_call_that_fails_after_its_change_has_an_entry_for_each(
    house: Gatehouse, ann: Principal, text: str, error: type[StrongroomError], outcome: Outcome
) -> None:
    perform(house, ann, "write")
    with pytest.raises(error) as caught:
        perform(house, ann, "late", text)
    assert notes(house) == sorted(["hello", text])
    _, change, ending = house.events()
    assert (change.outcome, change.details) == (Outcome.ALLOWED, {})
    assert (ending.outcome, ending.request_id) == (outcome, change.request_id)
    assert (ending.details["after"], ending.details["answered"]) == (1, False)
    assert caught.value.entry == 2


# ---- refused ----


@pytest.mark.parametrize("workspace", ["other", "nowhere"])
def test_a_refused_call_does_nothing_and_is_recorded(
    house: Gatehouse, ann: Principal, workspace: str
) -> None:
    with pytest.raises(RefusedError, match="addDataset"):
        perform(house, ann, "write", workspace=workspace)
    assert notes(house) == []
    event = last(house)
    assert (event.outcome, event.actor, event.workspace) == (Outcome.REFUSED, ann.id, workspace)
    assert event.reason.startswith("refused")
    assert event.policies == ()


def test_nobody_is_refused_and_recorded(house: Gatehouse) -> None:
    with pytest.raises(SignInError):
        perform(house, ANONYMOUS, "write")
    assert notes(house) == []
    assert (last(house).actor_kind, last(house).outcome) == ("anonymous", Outcome.REFUSED)


def test_a_credential_is_good_in_its_workspaces_only(house: Gatehouse, ann: Principal) -> None:
    house.grant(ann, "Data Scientist", "other")
    limited = Principal(ann.kind, ann.id, ann.name, "srk_x", ("other",))
    assert perform(house, limited, "write", workspace="other") == "hello"
    with pytest.raises(RefusedError, match="credential"):
        perform(house, limited, "write", "second")
    assert (last(house).outcome, last(house).credential) == (Outcome.REFUSED, "srk_x")
    assert notes(house) == ["hello"]


def test_a_limited_credential_reaches_no_other_workspace_from_within_a_call(
    house: Gatehouse, ann: Principal
) -> None:
    house.grant(ann, "Data Scientist", "other")
    assert perform(house, ann, "choose", "elsewhere") == "masked"
    limited = Principal(ann.kind, ann.id, ann.name, "srk_x", ("clinic",))
    assert perform(house, limited, "choose") == "masked"
    with pytest.raises(RefusedError, match="readDatasetRows"):
        perform(house, limited, "choose", "elsewhere")
    assert last(house).details["may.readDatasetRows"] is False


def test_a_permission_withdrawn_while_the_call_runs_stops_it(
    house: Gatehouse, ann: Principal
) -> None:
    with pytest.raises(RefusedError, match="withdrawn"):
        perform(house, ann, "outlive")
    assert notes(house) == []
    assert last(house).outcome is Outcome.REFUSED


def test_another_change_of_grants_does_not_stop_a_call(house: Gatehouse, ann: Principal) -> None:
    assert perform(house, ann, "gain") == "hello"
    assert notes(house) == ["hello"]


def test_further_permissions_are_decided_and_noted(house: Gatehouse, ann: Principal) -> None:
    assert perform(house, ann, "choose") == "masked"
    assert last(house).details == {"may.readDatasetClear": False}
    assert perform(house, house.person("bob", "Privacy Officer"), "choose") == "clear"
    with pytest.raises(RefusedError, match="approveModel"):
        perform(house, ann, "choose", "require")
    assert last(house).outcome is Outcome.REFUSED
    assert last(house).details["may.approveModel"] is False


# ---- failed ----


def test_a_failed_call_is_rolled_back_and_recorded(house: Gatehouse, ann: Principal) -> None:
    with pytest.raises(ConflictError):
        perform(house, ann, "fail")
    assert notes(house) == []
    assert (last(house).outcome, last(house).reason) == (Outcome.FAILED, "conflict")


def test_an_unforeseen_fault_is_recorded_by_its_kind_alone(
    house: Gatehouse, ann: Principal
) -> None:
    with pytest.raises(ZeroDivisionError):
        perform(house, ann, "crash", "a row of data")
    assert (last(house).outcome, last(house).reason) == (
        Outcome.FAILED, "internal: ZeroDivisionError",
    )  # fmt: skip
    assert "a row of data" not in repr(house.events())


def test_a_missing_body_is_a_truncated_one(house: Gatehouse, ann: Principal) -> None:
    with pytest.raises(TruncatedError):
        perform(house, ann, "body")
    request = Write(workspace="clinic", text="")
    body = iter([b"a", b"b"])
    assert house.gate.perform(bound(house, "body"), ann, request, body=body).result == b"ab"


# ---- limits ----


def test_too_many_calls_are_refused_and_recorded(tmp_path: Path) -> None:
    database = Database.create_for_tests(tmp_path / "limited.db")
    with gatehouse(database, calls_per_minute=3) as house:
        house.workspace("clinic")
        ann, bob = house.person("ann", "Reader"), house.person("bob", "Reader")
        for _ in range(3):
            perform(house, ann, "read")
        with pytest.raises(RateLimitedError) as refused:
            perform(house, ann, "read")
        assert 0 < refused.value.retry_after_seconds <= 20
        assert (last(house).outcome, last(house).actor) == (Outcome.REFUSED, ann.id)
        perform(house, bob, "read")  # each caller has their own bucket
    database.close()


def test_refusals_of_a_flood_do_not_fill_the_log(tmp_path: Path) -> None:
    database = Database.create_for_tests(tmp_path / "flooded.db")
    with gatehouse(database, calls_per_minute=3) as house:
        house.workspace("clinic")
        ann, bob = house.person("ann", "Reader"), house.person("bob", "Reader")
        before = len(house.events())
        for _ in range(200):
            with contextlib.suppress(RateLimitedError):
                perform(house, ann, "read")
        for _ in range(200):
            with pytest.raises((RateLimitedError, UndeclaredError)):
                house.gate.refuse_undeclared(bob, "GET /nothing", "r")
        mine = [event for event in house.events()[before:] if event.actor == ann.id]
        others = [event for event in house.events()[before:] if event.actor == bob.id]
        # The admitted calls, a minute's refusals, and what refills meanwhile.
        assert 60 < len(mine) < 80
        assert 60 < len(others) < 80
    database.close()


def test_a_limit_of_an_operation_is_its_own(house: Gatehouse, ann: Principal) -> None:
    for _ in range(2):
        perform(house, ann, "rare")
    with pytest.raises(RateLimitedError):
        perform(house, ann, "rare")
    perform(house, ann, "read")


# ---- declarations ----


def test_what_is_undeclared_is_refused_and_recorded(house: Gatehouse, ann: Principal) -> None:
    with pytest.raises(UndeclaredError):
        house.gate.refuse_undeclared(ann, "GET /secret", "r2")
    event = last(house)
    assert (event.operation, event.resource, event.outcome, event.request_id) == (
        "undeclared", "GET /secret", Outcome.REFUSED, "r2",
    )  # fmt: skip


def test_one_name_is_declared_once() -> None:
    def first(self: object, call: Call, request: Write) -> str:
        """Do it."""
        return request.text

    def second(self: object, call: Call, request: Write) -> str:
        """Do it otherwise."""
        return request.text

    declare = operation(
        "test.once", action="readDataset", resource=in_workspace, audit=AuditClass.AI_OPERATION
    )
    declare(first)
    with pytest.raises(TypeError, match="twice"):
        declare(second)
    DECLARED.pop("test.once")


def test_a_declaration_needs_a_docstring() -> None:
    def silent(self: object, call: Call, request: Write) -> str:
        return request.text

    with pytest.raises(TypeError, match="docstring"):
        operation(
            "test.silent", action="readDataset", resource=in_workspace,
            audit=AuditClass.AI_OPERATION,
        )(silent)  # fmt: skip
    assert "test.silent" not in DECLARED


def test_the_entity_of_a_face_is_decided_on_as_given(house: Gatehouse, ann: Principal) -> None:
    """`admit`, as the MLflow face uses it."""
    with house.gate.admit(
        ann, name="mlflow.log", action="writeExperiment", audit=AuditClass.AI_OPERATION,
        entity=Entity("Experiment", "clinic/7", "clinic"),
    ) as admitted:  # fmt: skip
        assert admitted.workspace == "clinic"
    assert (last(house).operation, last(house).resource) == ("mlflow.log", "clinic/7")
    with (
        pytest.raises(RefusedError),
        house.gate.admit(
            ann, name="mlflow.log", action="manageMembers", audit=AuditClass.AI_OPERATION,
            entity=workspace_entity("clinic"),
        ),
    ):  # fmt: skip
        raise AssertionError("the body of a refused call ran")
    assert last(house).outcome is Outcome.REFUSED
