"""The sweep: what it reads, when, how fast, and what becomes of a difference."""

import threading
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import update
from tests.services.models.modelroom import PLAIN, ModelRoom, modelroom, reference

from strongroom.errors import TamperedError
from strongroom.services.models.sweeping import Pace, StoppedError, Sweep
from strongroom.services.models.tables import ModelEntryRow, ModelFileRow
from strongroom.services.models.types import ApproveModel, DecideModel

BIG = {"notes.md": b"a line\n" * 400_000}


class Moment:
    """A clock that is set by hand."""

    def __init__(self) -> None:
        self.now = datetime.now(UTC)

    def __call__(self) -> datetime:
        return self.now


def sweep_of(room: ModelRoom, moment: Moment, alarms: list[tuple[str, ...]]) -> Sweep:
    return Sweep(
        room.house.database, room.room._verifier, moment, hours=24, bytes_per_second=1 << 30,
        alarm=lambda *told: alarms.append(told),
    )  # fmt: skip


def approved(room: ModelRoom, *files: dict[str, bytes]) -> list[str]:
    """Ids of versions 1, 2, … of one model, all of them approved."""
    entries = [room.register(one, version=number) for number, one in enumerate(files, 1)]
    for number, entry in enumerate(entries, 1):
        room.wait(entry)
        room.call(
            room.engineer, "model.approve",
            ApproveModel(workspace="clinic", name="iris", version=number),
        )  # fmt: skip
    return entries


def flip(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[-100] ^= 1
    path.write_bytes(data)


def blob_of(room: ModelRoom, entry: str, path: str) -> str:
    with room.house.database.read() as session:
        return session.get_one(ModelFileRow, (entry, path)).blob


def test_each_approved_version_is_verified_once_an_interval(tmp_path: Path) -> None:
    with modelroom(tmp_path) as room:
        moment, alarms = Moment(), list[tuple[str, ...]]()
        first, second, third = approved(room, PLAIN, BIG, PLAIN)
        room.call(
            room.engineer, "model.retire", DecideModel(workspace="clinic", name="iris", version=3)
        )
        sweep = sweep_of(room, moment, alarms)
        assert [sweep.look() for _ in range(3)] == [2, 2, 2]
        at = moment.now
        assert [room.row(one).verified_at for one in (first, second, third)] == [at, at, None]
        moment.now += timedelta(hours=23)
        sweep.look()
        assert room.row(first).verified_at == at
        # A row that claims to be verified just now, or in years, puts nothing off.
        for claimed in (moment.now, moment.now + timedelta(days=3_650)):
            with room.house.database.write() as session:
                session.execute(update(ModelEntryRow).values(verified_at=claimed))
            moment.now += timedelta(hours=2)
            for _ in range(2):
                sweep.look()
            assert room.row(second).verified_at == moment.now
            moment.now += timedelta(hours=25)
        # The next server goes on where this one was.
        again = sweep_of(room, moment, alarms)
        flip(room.file_of(blob_of(room, first, "notes.md")))
        for _ in range(2):
            again.look()
        assert [told[:2] for told in alarms] == [("ModelVersion", "clinic/iris/1")]
        assert room.operations().count(("model.tampered", "failed")) == 1
        shown = room.call(room.scientist, "model.show", reference())
        assert (shown.is_tampered, shown.state) == (True, "approved")
        with pytest.raises(TamperedError):
            room.room.servable("clinic", "iris", 1)
        # What was loaded before goes on: it was verified, and is in memory.
        with room.house.database.read() as session:
            room.room.require_standing(session, "clinic", "iris", 1)
        assert room.room.servable("clinic", "iris", 2).files == BIG


def test_files_swapped_between_versions_are_found_and_calm_returns_with_them(
    room: ModelRoom,
) -> None:
    moment, alarms = Moment(), list[tuple[str, ...]]()
    first, second = approved(room, PLAIN, {"notes.md": b"# another\n"})
    blobs = [blob_of(room, one, "notes.md") for one in (first, second)]
    for entries in ((second, first), (first, second)):
        with room.house.database.write() as session:
            for entry, blob in zip(entries, blobs, strict=True):
                session.get_one(ModelFileRow, (entry, "notes.md")).blob = blob
        sweep = sweep_of(room, moment, alarms)
        moment.now += timedelta(hours=25)
        for _ in range(2):
            sweep.look()
    # Each found once, and each is whole again in the end.
    assert sorted(told[1] for told in alarms) == ["clinic/iris/1", "clinic/iris/2"]
    assert room.operations().count(("model.tampered", "failed")) == 2
    assert room.operations().count(("model.restored", "allowed")) == 2


def test_a_version_that_cannot_be_read_keeps_no_other_waiting(
    room: ModelRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    moment, alarms = Moment(), list[tuple[str, ...]]()
    first, second = approved(room, PLAIN, PLAIN)
    verify = room.room._verifier.verify

    def failing(workspace: str, model: str, version: int, **more: Any) -> object:  # noqa: ANN401 # as it is
        if version == 1:
            raise OSError("the disk is gone")
        return verify(workspace, model, version, **more)

    monkeypatch.setattr(room.room._verifier, "verify", failing)
    sweep = sweep_of(room, moment, alarms)
    failed = 0
    for _ in range(3):
        try:
            sweep.look()
        except OSError:
            failed += 1
    assert failed == 1
    assert room.row(first).verified_at is None
    assert room.row(second).verified_at == moment.now
    assert alarms == []


def test_it_reads_no_faster_than_told_and_stops_in_the_middle() -> None:
    stopping = threading.Event()
    waits: list[float] = []

    class Waiting(threading.Event):
        def wait(self, timeout: float | None = None) -> bool:
            waits.append(timeout or 0.0)
            return stopping.is_set()

    pace = Pace(1_000, Waiting(), lambda: 7.0)
    for _ in range(3):
        pace(500)
    assert waits == [0.5, 1.0, 1.5]
    stopping.set()
    with pytest.raises(StoppedError):
        pace(1)


def test_it_runs_in_a_thread_and_ends(room: ModelRoom) -> None:
    entry = approved(room, PLAIN)[0]
    sweep = Sweep(
        room.house.database, room.room._verifier, Moment(), hours=1, bytes_per_second=1 << 30
    )
    sweep.start()
    for _ in range(400):
        if room.row(entry).verified_at is not None:
            break
        threading.Event().wait(0.05)
    sweep.stop()
    assert room.row(entry).verified_at is not None
    never = Sweep(room.house.database, room.room._verifier, Moment(), hours=0, bytes_per_second=1)
    never.start()
    never.stop()
