"""From registration to approval, with everything real behind it."""

import io
import json
import tarfile
from base64 import b64decode
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import pytest
from sklearn.datasets import load_iris
from sqlalchemy import select
from tests.services.models.modelroom import (
    CONVERTED,
    HOSTILE,
    PLAIN,
    UNKNOWN,
    ModelRoom,
    honest_pickle,
    mlflow_folder,
    modelroom,
    reference,
)

from strongroom.engines.crypto import dsse
from strongroom.engines.crypto.signing import VerifyingKey
from strongroom.errors import (
    ConflictError,
    ModelRefusedError,
    NotFoundError,
    RefusedError,
    StateError,
    TamperedError,
    TooLargeError,
    ValidationError,
)
from strongroom.services.jobs.types import JobState
from strongroom.services.models.tables import ModelEntryRow, ModelFileRow
from strongroom.services.models.types import (
    ApproveModel,
    Checked,
    CheckState,
    DecideModel,
    ListModels,
    ModelFile,
    ModelState,
    Provenance,
    PullModel,
)


def approve(version: int = 1, *, accept_findings: bool = False, comment: str = "") -> ApproveModel:
    return ApproveModel(
        workspace="clinic",
        name="iris",
        version=version,
        accept_findings=accept_findings,
        comment=comment,
    )


def decide(comment: str = "") -> DecideModel:
    return DecideModel(workspace="clinic", name="iris", version=1, comment=comment)


def test_an_honest_model_is_checked_signed_and_converted(room: ModelRoom) -> None:
    entry = room.register(
        mlflow_folder(honest_pickle()),
        provenance=Provenance(run_id="run1", datasets=("sha256:aa",), parameters={"C": "1.0"}),
    )
    row = room.wait(entry)
    assert (row.state, row.verdict, row.reason) == ("checked", "clean", "")
    assert (row.serving, row.serving_reason) == ("onnx", "")
    shown = room.call(room.scientist, "model.show", reference())
    assert shown.facts["run_id"] == "run1"
    assert shown.classes == ["0", "1", "2"]
    assert len(shown.features) == 4
    assert {file.path for file in shown.files} == {"MLmodel", "model.pkl"}
    assert shown.findings == []
    with room.house.database.read() as session:
        assert room.room.states(session, [entry, "mdl_unknown"]) == {
            entry: Checked(CheckState.PASSED)
        }
    assert ("model.check", "allowed") in room.operations()


def test_statement_can_be_checked_with_the_key_alone(room: ModelRoom) -> None:
    room.checked(CONVERTED)
    room.call(room.engineer, "model.approve", approve())
    given = room.call(room.scientist, "model.statement", reference())
    key = VerifyingKey.from_pem(given.public_key.encode())
    statement = dsse.verify(given.envelope.encode(), [key])
    digests = {subject.name: subject.sha256 for subject in statement.subjects}
    assert digests["notes.md"] == sha256(CONVERTED["notes.md"]).hexdigest()
    assert key.algorithm == "ecdsa-p256"
    approval = dsse.verify(given.approval.encode(), [key])
    assert approval.predicate["approved_by"] == room.engineer.id
    payload = json.loads(b64decode(json.loads(given.envelope)["payload"]))
    assert payload["_type"] == "https://in-toto.io/Statement/v1"


def test_a_hostile_model_is_rejected_with_words(room: ModelRoom) -> None:
    entry = room.register(mlflow_folder(HOSTILE))
    row = room.wait(entry)
    assert row.state == "rejected"
    assert "os.system" in row.reason
    assert row.statement is None
    assert not Path("/tmp/fired").exists()
    with room.house.database.read() as session:
        checked = room.room.states(session, [entry])[entry]
    assert checked.state is CheckState.FAILED
    assert "os.system" in checked.reason
    assert ("model.check", "refused") in room.operations()
    for name, request in (("model.approve", approve()), ("model.verify", reference())):
        with pytest.raises(StateError, match="rejected"):
            room.call(room.engineer, name, request)
    with pytest.raises(ModelRefusedError, match=r"os\.system"):
        room.call(room.scientist, "model.pull", PullModel(**reference().model_dump()))
    with pytest.raises(StateError):
        room.room.servable("clinic", "iris", 1)


def test_a_hostile_file_beside_an_honest_model_is_found(room: ModelRoom) -> None:
    row = room.checked({**CONVERTED, "notes.txt": HOSTILE})
    assert row.state == "rejected"
    assert "notes.txt" in row.reason


def test_an_unknown_class_waits_for_a_person(room: ModelRoom) -> None:
    entry = room.register({"model.pkl": UNKNOWN})
    row = room.wait(entry)
    assert (row.state, row.verdict) == ("checked", "review")
    assert "clinic.Model" in row.reason
    assert "not converted" in row.serving_reason
    with room.house.database.read() as session:
        assert room.room.states(session, [entry])[entry].state is CheckState.FAILED
    with pytest.raises(StateError):
        room.call(room.scientist, "model.pull", PullModel(**reference().model_dump()))
    for request in (approve(), approve(accept_findings=True), approve(comment="known")):
        with pytest.raises(ModelRefusedError, match="a person"):
            room.call(room.engineer, "model.approve", request)
    done = room.call(
        room.engineer, "model.approve", approve(accept_findings=True, comment="our own class")
    )
    assert done.state is ModelState.APPROVED
    with room.house.database.read() as session:
        assert room.room.states(session, [entry])[entry].state is CheckState.PASSED


def test_who_makes_a_model_does_not_admit_it(room: ModelRoom) -> None:
    room.checked(PLAIN)
    with pytest.raises(RefusedError):
        room.call(room.scientist, "model.approve", approve())
    reader = room.house.person("rea", "Reader")
    for name, request in (
        ("model.pull", PullModel(**reference().model_dump())),
        ("model.reject", decide()),
        ("model.retire", decide()),
    ):
        with pytest.raises(RefusedError):
            room.call(reader, name, request)
    assert room.call(reader, "model.ls", ListModels(workspace="clinic")).versions


def test_only_approved_versions_are_served(room: ModelRoom) -> None:
    room.checked(mlflow_folder(honest_pickle()))
    with pytest.raises(StateError, match="checked, not approved"):
        room.room.servable("clinic", "iris", 1)
    room.call(room.engineer, "model.approve", approve())
    servable = room.room.servable("clinic", "iris", 1)
    assert servable.onnx is not None
    assert servable.files == {}
    x, y = load_iris(return_X_y=True)
    labels = onnxruntime.InferenceSession(servable.onnx).run(None, {"input": x.astype(np.float32)})[
        0
    ]
    assert np.mean(labels == y) > 0.95
    room.call(room.engineer, "model.retire", decide("old"))
    with pytest.raises(StateError, match="retired"):
        room.room.servable("clinic", "iris", 1)
    shown = room.call(room.engineer, "model.show", reference())
    assert [d.decision for d in shown.decisions] == [ModelState.APPROVED, ModelState.RETIRED]
    with pytest.raises(NotFoundError):
        room.room.servable("clinic", "iris", 2)


def test_a_model_that_does_not_convert_is_served_from_its_files(room: ModelRoom) -> None:
    row = room.checked(PLAIN)
    assert (row.state, row.serving) == ("checked", "confined")
    assert row.serving_reason
    room.call(room.engineer, "model.approve", approve())
    servable = room.room.servable("clinic", "iris", 1)
    assert servable.onnx is None
    assert servable.files == PLAIN


def test_rejecting_by_a_person_is_for_good(room: ModelRoom) -> None:
    room.checked(PLAIN)
    done = room.call(room.engineer, "model.reject", decide("not documented"))
    assert (done.state, done.reason) == (ModelState.REJECTED, "not documented")
    with pytest.raises(StateError):
        room.call(room.engineer, "model.approve", approve())
    with pytest.raises(StateError):
        room.call(room.engineer, "model.retire", decide())


def test_pull_streams_a_tar_or_one_file(room: ModelRoom) -> None:
    files = {**PLAIN, "deep/ä/notes.txt": b"x" * 3000}
    room.checked(files)
    stream = room.call(room.scientist, "model.pull", PullModel(**reference().model_dump()))
    with tarfile.open(fileobj=io.BytesIO(b"".join(stream.chunks))) as tar:
        found = {}
        for info in tar:
            member = tar.extractfile(info)
            assert member is not None
            found[info.name] = member.read()
    assert found == files
    one = PullModel(**reference().model_dump(), path="deep/ä/notes.txt")
    assert b"".join(room.call(room.scientist, "model.pull", one).chunks) == b"x" * 3000
    with pytest.raises(NotFoundError):
        room.call(
            room.scientist, "model.pull", PullModel(**reference().model_dump(), path="../etc/x")
        )


# ---- tampering ----


def _flip(path: Path, at: int = -100) -> None:
    data = bytearray(path.read_bytes())
    data[at] ^= 1
    path.write_bytes(data)


def test_a_changed_byte_is_detected_flagged_and_restored(room: ModelRoom) -> None:
    entry = room.register(CONVERTED)
    room.wait(entry)
    room.call(room.engineer, "model.approve", approve())
    assert room.call(room.engineer, "model.verify", reference()).files == 2
    with room.house.database.read() as session:
        blob = next(
            f.blob for f in room.room._registry.files(session, entry) if "additive" in f.path
        )
    place = room.file_of(blob)
    _flip(place)
    wanted = PullModel(workspace="clinic", name="iris", version=1)
    leaving = room.call(room.scientist, "model.pull", wanted)
    with pytest.raises(TamperedError):
        b"".join(leaving.chunks)
    assert room.operations().count(("model.tampered", "failed")) == 1
    # Who saw a download end too early and asks again is told why.
    with pytest.raises(TamperedError):
        room.call(room.scientist, "model.pull", wanted)
    with pytest.raises(TamperedError):
        room.call(room.engineer, "model.verify", reference())
    with pytest.raises(TamperedError):
        room.room.servable("clinic", "iris", 1)
    shown = room.call(room.engineer, "model.show", reference())
    assert shown.is_tampered
    assert shown.state is ModelState.APPROVED
    assert ("model.tampered", "failed") in room.operations()
    assert ("model.verify", "failed") in room.operations()
    _flip(place)
    room.call(room.engineer, "model.verify", reference())
    assert not room.call(room.engineer, "model.show", reference()).is_tampered
    assert ("model.restored", "allowed") in room.operations()


@pytest.mark.parametrize("part", ["statement", "onnx"])
def test_a_changed_part_of_ours_is_detected(room: ModelRoom, part: str) -> None:
    row = room.checked(CONVERTED)
    room.call(room.engineer, "model.approve", approve())
    _flip(room.file_of(getattr(row, part)), -20)
    with pytest.raises(TamperedError):
        room.room.servable("clinic", "iris", 1)
    assert room.row(row.id).tampered_reason


def test_swapped_rows_are_detected(room: ModelRoom) -> None:
    first = room.wait(room.register(CONVERTED, version=1))
    second = room.wait(room.register({"notes.md": b"other\n"}, version=2))
    for number in (1, 2):
        room.call(room.engineer, "model.approve", approve(number))

    def change(entry: str, **fields: object) -> None:
        with room.house.database.write() as session:
            row = session.get_one(ModelEntryRow, entry)
            for name, value in fields.items():
                setattr(row, name, value)

    one, two = room.row(first.id), room.row(second.id)
    for fields in (
        {"statement": two.statement},
        {"digest": two.digest},
        {"digest": two.digest, "statement": two.statement},
        {"approval": two.approval},
        {"approval": None},
        {"onnx": None},
        {"onnx": two.statement},
        {"statement": None},
    ):
        original = {name: getattr(one, name) for name in fields}
        change(first.id, **fields)
        with pytest.raises(TamperedError):
            room.room.servable("clinic", "iris", 1)
        change(first.id, **original)
    assert room.room.servable("clinic", "iris", 1).digest == one.digest


def test_a_state_written_into_the_database_is_not_believed(room: ModelRoom) -> None:
    rejected = room.wait(room.register(mlflow_folder(HOSTILE), version=1))
    checked = room.wait(room.register(PLAIN, version=2))
    with room.house.database.write() as session:
        for entry in (rejected.id, checked.id):
            session.get_one(ModelEntryRow, entry).state = "approved"
    for version, why in ((1, "nobody signed"), (2, "older")):
        with pytest.raises(TamperedError, match=why):
            room.room.servable("clinic", "iris", version)


# ---- bad input ----


def test_bad_registrations_change_nothing(room: ModelRoom) -> None:
    good = room.seal({"a.txt": b"a"})
    foreign = room.seal({"a.txt": b"a"}, workspace="other")
    cases: list[tuple[dict[str, Any], type[Exception]]] = [
        ({"files": []}, ValidationError),
        ({"files": [*good, *good]}, ValidationError),
        ({"files": [ModelFile("../a", good[0].blob)]}, ValidationError),
        ({"files": [ModelFile("/a", good[0].blob)]}, ValidationError),
        ({"files": [ModelFile("a\u202eb", good[0].blob)]}, ValidationError),
        (
            {"files": [ModelFile(path, good[0].blob) for path in ("A.txt", "a.TXT")]},
            ValidationError,
        ),
        (
            {"files": [ModelFile(path, good[0].blob) for path in ("\u00e4", "a\u0308")]},
            ValidationError,
        ),
        ({"files": [ModelFile(path, good[0].blob) for path in ("a", "a/b")]}, ValidationError),
        ({"files": [ModelFile("a//b", good[0].blob)]}, ValidationError),
        ({"files": [ModelFile("./a", good[0].blob)]}, ValidationError),
        (
            {"files": [ModelFile(f"f{number}", good[0].blob) for number in range(50_001)]},
            TooLargeError,
        ),
        ({"model": "ir\u200bis"}, ValidationError),
        ({"model": "\u202esiri"}, ValidationError),
        ({"model": "a\u0308"}, ValidationError),
        ({"model": "iris "}, ValidationError),
        ({"files": foreign}, ValidationError),
        ({"files": [ModelFile("a", "0" * 32)]}, NotFoundError),
        ({"model": "a/b"}, ValidationError),
        ({"version": 0}, ValidationError),
        ({"provenance": Provenance(parameters={"p": "x" * 5_000_000})}, TooLargeError),
    ]
    for fields, error in cases:
        request: dict[str, Any] = {
            "workspace": "clinic",
            "model": "iris",
            "version": 1,
            "files": good,
            "provenance": Provenance(),
            "actor": room.scientist.id,
            **fields,
        }
        with pytest.raises(error), room.house.database.write() as session:
            room.room.register(session, **request)
    listed = room.call(room.scientist, "model.ls", ListModels(workspace="clinic"))
    assert listed.versions == []


def test_the_same_version_twice_is_a_conflict(room: ModelRoom) -> None:
    room.checked(PLAIN)
    with pytest.raises(ConflictError):
        room.register(PLAIN)


# ---- crashes ----


def test_one_of_many_that_register_a_version_at_once_has_it(room: ModelRoom) -> None:
    sealed = [room.seal(PLAIN) for _ in range(6)]

    def register(files: list[ModelFile]) -> str | None:
        try:
            return room.register_sealed(files)
        except ConflictError:
            return None

    with ThreadPoolExecutor(6) as pool:
        entries = [entry for entry in pool.map(register, sealed) if entry is not None]
    assert len(entries) == 1
    assert room.wait(entries[0]).state == "checked"
    with room.house.database.read() as session:
        assert [row.entry for row in session.scalars(select(ModelFileRow))] == entries


def test_checks_that_a_crash_prevented_run_at_the_next_start(tmp_path: Path) -> None:
    with modelroom(tmp_path, start_jobs=False) as room:
        entry = room.register(PLAIN)
        with pytest.raises(StateError, match="quarantined"):
            room.call(room.engineer, "model.approve", approve())
        with room.house.database.read() as session:
            assert room.room.states(session, [entry])[entry].state is CheckState.PENDING
    with modelroom(tmp_path) as room:
        assert room.wait(entry).state == "checked"


@pytest.mark.parametrize("step", ["put", "commit", "write"])
def test_a_check_killed_midway_is_done_again(
    room: ModelRoom, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    class KilledError(Exception):
        pass

    hits = []
    from strongroom.services.models import checking

    def dying(*_arguments: object, **_options: object) -> object:
        hits.append(step)
        raise KilledError

    place = {
        "put": (room.blobs, "put"),
        "commit": (room.blobs, "commit"),
        "write": (checking.Checker, "_record"),
    }[step]
    sealed = room.seal(PLAIN)
    monkeypatch.setattr(*place, dying)
    with room.house.database.write() as session:
        entry = room.room.register(
            session,
            workspace="clinic",
            model="iris",
            version=1,
            files=sealed,
            provenance=Provenance(),
            actor=room.scientist.id,
        )
    assert room.jobs.wait(room.row(entry).job, 60).state is JobState.FAILED
    assert hits
    assert room.row(entry).state == "quarantined"
    with room.house.database.read() as session:
        assert "did not end" in room.room.states(session, [entry])[entry].reason
    monkeypatch.undo()
    room.room.start()
    assert room.wait(entry).state == "checked"
    room.blobs.sweep()
    assert room.call(room.engineer, "model.verify", reference()).files == 1


def test_a_job_that_runs_twice_decides_once(room: ModelRoom) -> None:
    row = room.checked(PLAIN)
    with room.house.database.write() as session:
        again = room.room._registry.enqueue_check(session, row, "x")
    assert room.jobs.wait(again, 60).result["state"] == "checked"
    assert room.row(row.id).statement == row.statement


def test_facts_follow_a_rotation_of_the_key(room: ModelRoom) -> None:
    room.checked(PLAIN)
    with room.house.database.write() as session:
        room.house.keyring.rotate(session, "clinic")
        assert room.room.rewrap(session, "clinic") == 1
        assert room.room.rewrap(session, "clinic") == 0
    assert room.call(room.scientist, "model.show", reference()).facts["run_id"] == ""
