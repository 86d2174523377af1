"""Guards of model versions: fitted in the sandbox, sealed like the data, gone with the version."""

import io
import os
import signal
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from sqlalchemy import delete, select, update
from tests.engines.privacy.dp.training.people import people
from tests.services.models.assessingroom import AssessingRoom, assessingroom
from tests.services.models.trainingroom import trainingroom

from strongroom.engines.robustness.guards.guard import clean
from strongroom.errors import (
    ConflictError,
    NotFoundError,
    RefusedError,
    TamperedError,
    ValidationError,
)
from strongroom.services.jobs import sandbox
from strongroom.services.models import confined_guard, guard_fitting
from strongroom.services.models.fitted_guard import Coder, FittedGuard
from strongroom.services.models.guard_types import FitGuard, GuardState, ModelGuard
from strongroom.services.models.guards import GUARD_KIND
from strongroom.services.models.keeping_types import DeleteVersion
from strongroom.services.models.tables import ModelGuardRow
from strongroom.services.models.types import ModelReference
from strongroom.vault.blobs import BlobRow

VERSION = ModelReference(workspace="clinic", name="rich", version=1)


@pytest.fixture(scope="module")
def room(tmp_path_factory: pytest.TempPathFactory) -> Iterator[AssessingRoom]:
    """A model of people's wealth, and rows that it never saw."""
    with assessingroom(tmp_path_factory.mktemp("guards")) as built:
        yield built


def fit(room: AssessingRoom, *, version: int = 1, **fields: object) -> ModelGuard:
    request = FitGuard.model_validate({
        "workspace": "clinic", "name": "rich", "version": version, "dataset": "patients",
        "held_out": "others", "label": "rich", **fields,
    })  # fmt: skip
    found = room.call(room.engineer, "model.fit_guard", request)
    assert isinstance(found, ModelGuard)
    return found


def ended(room: AssessingRoom, asked: ModelGuard) -> ModelGuard:
    room.jobs.wait(asked.job, 240)
    reference = ModelReference(workspace="clinic", name=asked.name, version=asked.version)
    found = room.call(room.engineer, "model.guard", reference)
    assert isinstance(found, ModelGuard)
    return found


def guard_of(room: AssessingRoom, version: int = 1) -> FittedGuard:
    with room.data.house.database.read() as session:
        name = room.models.guard_of(session, "clinic", "rich", version)
        assert name is not None
        return room.models.open_guard(session, name)


def test_a_guard_is_fitted_sealed_and_on_the_record(room: AssessingRoom) -> None:
    asked = fit(room)
    assert asked.state is GuardState.QUEUED
    with pytest.raises(ConflictError, match="is being fitted"):
        fit(room)
    found = ended(room, asked)
    assert (found.state, found.has_guard, found.reason) == (GuardState.DONE, True, "")
    assert_it_knows_its_rows(room)
    assert_it_is_sealed_and_on_the_record(room)
    assert_it_is_not_swapped_or_taken_away(room)
    assert_damage_is_told(room)


def assert_damage_is_told(room: AssessingRoom) -> None:
    with room.data.house.database.read() as session:
        name = session.scalars(select(ModelGuardRow.guard)).one()
    [path] = [one for one in room.data.folder.rglob(f"*{name}*") if one.is_file()]
    good = path.read_bytes()
    for bad in (good[:-1], good[:200] + bytes([good[200] ^ 1]) + good[201:]):
        path.write_bytes(bad)
        found = room.call(room.engineer, "model.guard", VERSION)
        assert (found.state, found.has_guard) == (GuardState.DAMAGED, True)
        assert found.reason
    path.write_bytes(good)
    assert room.call(room.engineer, "model.guard", VERSION).state is GuardState.DONE


def assert_it_knows_its_rows(room: AssessingRoom) -> None:
    known = guard_of(room)
    assert [one.name for one in known.features] == ["age", "wealth"]
    assert known.classes == ("no", "yes")
    assert not known.tells_of_private
    assert known.traffic is not None
    frame = people(400, 3).to_pandas()  # strangers
    rows = Coder(known.space).rows(frame[["age", "wealth"]].to_numpy(float))
    truth = (frame["rich"] == "yes").to_numpy(int)
    right = known.guard.check(rows, np.eye(2)[truth])
    assert right.is_flagged.mean() < 0.06
    odd = clean(np.full((5, 2), 50.0), known.guard.middles)
    assert known.guard.check(odd, np.eye(2)[[0, 1, 0, 1, 0]]).is_flagged.all()


def assert_it_is_sealed_and_on_the_record(room: AssessingRoom) -> None:
    house = room.data.house
    with house.database.read() as session:
        blobs = session.scalars(select(BlobRow).where(BlobRow.kind == GUARD_KIND)).all()
    assert len(blobs) == 1
    content = guard_of(room).to_bytes()
    stored = [path for path in room.data.folder.rglob("*") if path.is_file()]
    assert not any(content[40:200] in path.read_bytes() for path in stored)
    fitted = [one for one in house.events() if one.operation == "model.fit_guard"]
    allowed = [one.actor_kind for one in fitted if one.outcome == "allowed"]
    assert allowed == ["person", "job"]
    assert fitted[-1].details["rate"] == 0.01


def assert_it_is_not_swapped_or_taken_away(room: AssessingRoom) -> None:
    database = room.data.house.database
    with database.read() as session:
        row = session.scalars(select(ModelGuardRow)).one()
        other = session.scalars(select(BlobRow.id).where(BlobRow.id != row.guard)).first()
    changes = [
        update(ModelGuardRow).values(guard=other),
        update(ModelGuardRow).values(guard=None),
        delete(ModelGuardRow),
    ]
    for change in changes:
        with database.write() as session:
            session.execute(change)
        with database.read() as session, pytest.raises(TamperedError):
            room.models.guard_of(session, "clinic", "rich", 1)
        with database.write() as session:
            session.merge(row)
    assert guard_of(room).classes == ("no", "yes")


def test_a_worker_that_is_killed_leaves_the_former_guard_and_says_why(
    room: AssessingRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed: list[int] = []
    request_of = sandbox.Worker.request

    def request(
        self: sandbox.Worker,
        head: Mapping[str, object],
        body: bytes = b"",
        **more: Any,  # noqa: ANN401 # as it is
    ) -> Any:  # noqa: ANN401 # as it is
        if head["do"] == "go" and not killed:
            killed.append(self._process._child.pid)  # what an operator would do
            threading.Timer(0.1, os.kill, (killed[0], signal.SIGKILL)).start()
        return request_of(self, head, body, **more)

    before = guard_of(room).to_bytes()
    monkeypatch.setattr(sandbox.Worker, "request", request)
    found = ended(room, fit(room))
    assert len(killed) == 1
    assert (found.state, found.has_guard) == (GuardState.BROKEN, True)
    assert found.reason == "the confined code ended without an answer"
    assert guard_of(room).to_bytes() == before


ARGUMENT = {
    "label": "rich", "values": [], "rates": [0.01, 0.05], "group": 1, "squeezing": False, "seed": 3,
    "features": ["age", "wealth"], "texts": [False, False], "classes": ["no", "yes"],
    "digest": "d" * 64, "private": False,
}  # fmt: skip


def fitted(argument: dict[str, Any], rows: int = 400) -> tuple[dict[str, Any], bytes]:
    """What the part in the sandbox comes to, with a model that knows who is rich."""
    handle = confined_guard.start({**ARGUMENT, **argument}, Path())
    table = people(rows, 1)
    table = table.drop_columns(["person"]).append_column(
        confined_guard.PERSON, pa.array(range(rows), pa.int64())
    )
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    handle({"do": "rows", "table": "trained"}, sink.getvalue())
    head, body = handle({"do": "go"}, b"")
    while "ask" in head:
        match head["ask"]["do"]:
            case "about":
                told = {**ABOUT, "is_regression": not argument.get("classes", True)}
                head, body = handle({"do": "next", "head": told}, b"")
            case "answer":
                points = np.frombuffer(body).reshape(head["ask"]["rows"], -1)
                scores = np.eye(2)[(points[:, 1] > np.median(points[:, 1])).astype(int)]
                told = {"classes": 2, "cpu": 0.0}
                head, body = handle({"do": "next", "head": told}, scores.tobytes())
            case _:
                head, body = handle({"do": "next", "head": {}}, b"")
    return head, body


ABOUT = {
    "kind": "sklearn", "class": "x", "features": ["age", "wealth"], "count": 2,
    "classes": ["no", "yes"], "probabilities": True, "can_fit": False,
}  # fmt: skip


@pytest.mark.parametrize(
    ("argument", "why"),
    [
        ({"label": "fortune"}, "no column `fortune`"),
        ({"label": "town"}, "no row is left"),
        ({"features": ["age", "height"]}, "takes 2 features, the rows have 4"),
        ({"texts": [True, False]}, "numbers where the rows have words"),
        ({"values": ["no"]}, "the model has 2 classes, and 1 values"),
        ({"classes": []}, "a regression has none"),
    ],
    ids=["label", "labels", "features", "kinds", "values", "regression"],
)
def test_what_does_not_fit_together_is_said(argument: dict[str, Any], why: str) -> None:
    head, _ = fitted(argument)
    assert why in head["failed"]


def test_the_label_may_be_named_otherwise_than_the_classes() -> None:
    head, body = fitted({"classes": ["0", "1"], "values": ["no", "yes"]})
    assert "failed" not in head
    assert FittedGuard.from_bytes(body).classes == ("0", "1")


def test_the_first_rate_that_the_rows_allow_is_taken() -> None:
    head, body = fitted({"rates": [0.0001, 0.05]}, rows=150)
    assert head["rate"] == 0.05
    assert head["reference"] + head["calibration"] == 150
    assert FittedGuard.from_bytes(body).digest == "d" * 64


def test_whoever_may_not_train_on_the_rows_may_not_fit(room: AssessingRoom) -> None:
    reader = room.data.house.person("rita", "Reader")
    request = FitGuard(workspace="clinic", name="rich", version=1, dataset="patients", label="rich")
    for person in (reader, room.data.house.person("cara", "Compute Operator")):
        with pytest.raises(RefusedError):
            room.call(person, "model.fit_guard", request)
    with pytest.raises(NotFoundError):
        fit(room, dataset="nobody")
    with pytest.raises(NotFoundError):
        fit(room, version=9)


def test_a_label_that_is_none_is_told_at_once(room: AssessingRoom) -> None:
    with pytest.raises(ValidationError, match="`patients` has no column `poor`"):
        fit(room, label="poor")
    with pytest.raises(ValidationError, match="whom a row is about"):
        fit(room, label="person")


def test_it_goes_with_the_version(room: AssessingRoom) -> None:
    gone = DeleteVersion(workspace="clinic", name="rich", version=1, comment="old")
    room.call(room.data.owner, "model.rm", gone)
    with room.data.house.database.read() as session:
        assert session.scalars(select(BlobRow).where(BlobRow.kind == GUARD_KIND)).all() == []
        assert room.models.guard_of(session, "clinic", "rich", 1) is None
    assert room.call(room.engineer, "model.guard", VERSION).state is GuardState.GONE


def test_a_model_that_is_trained_here_gets_one_unasked(tmp_path: Path) -> None:
    with trainingroom(tmp_path, guards="fitted") as room:
        trained = room.finished(room.train(rows=3).job)
        reference = ModelReference(workspace="clinic", name="rich", version=trained["version"])
        room.checked(trained["entry"])  # which queues the fitting
        found = room.of_models(room.data.owner, "model.guard", reference)
        room.jobs.wait(found.job, 240)
        found = room.of_models(room.data.owner, "model.guard", reference)
        assert (found.state, found.reason) == (GuardState.DONE, "")
        with room.data.house.database.read() as session:
            name = room.models.guard_of(session, "clinic", "rich", 1)
            assert name is not None
            known = room.models.open_guard(session, name)
        # It was paid for, and what the guard refuses is no part of that.
        assert known.tells_of_private
        assert [one.name for one in known.features] == ["age", "wealth", "town"]
        assert known.guard.settings.rate == 0.01


def test_people_are_numbers_that_nobody_can_guess() -> None:
    batch = people(10, 1).to_batches()[0]
    keys = b"a" * 32, b"b" * 32
    first, second = (guard_fitting._numbered(batch, "person", key) for key in keys)  # no other way
    assert "person" not in first.schema.names
    assert first.column(-1).to_pylist() != second.column(-1).to_pylist()
    assert len(set(first.column(-1).to_pylist())) == len(set(batch.column("person").to_pylist()))
