"""A disk that is really full while a model is checked: the checks wait, and end once it is not."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.journeys.small_disk import SmallDisk, small_disk
from tests.services.models.modelroom import PLAIN, ModelRoom, modelroom, reference

from strongroom.services.jobs.types import MAX_ATTEMPTS, JobState
from strongroom.services.models.types import CheckState

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    """Holds the blobs of the room in `room`; the database lies elsewhere and goes on."""
    with small_disk(tmp_path / "disk", 4) as mounted:
        (tmp_path / "room").mkdir()
        (mounted.seen_at / "blobs").mkdir()
        (tmp_path / "room" / "blobs").symlink_to(mounted.seen_at / "blobs")
        yield mounted


def quarantined(room: ModelRoom, disk: SmallDisk) -> tuple[str, str]:
    """Ids of a version and of the job that checks it, with no space left for what it finds."""
    entry = room.register(PLAIN)
    disk.fill()
    return entry, room.row(entry).job


def check_that_it_waits(room: ModelRoom, entry: str, job: str) -> None:
    """Whoever looks sees it, and it is not held against the model."""
    status = room.jobs.status(job)
    assert (status.state, status.attempts) == (JobState.WAITING, 0)
    assert status.error.startswith("storage.full: ")
    assert room.row(entry).state == "quarantined"
    with room.house.database.read() as session:
        checked = room.room.states(session, [entry])[entry]
    assert (checked.state, "disk is full" in checked.reason) == (CheckState.PENDING, True)
    assert room.room.is_pending("clinic", "iris", 1)


def check_that_it_ended(room: ModelRoom, entry: str) -> None:
    """Decided once, and nothing is left over."""
    assert room.wait(entry).state == "checked"
    report = room.blobs.sweep()
    assert (report.missing, report.changed) == ((), ())
    assert room.call(room.engineer, "model.verify", reference()).files == 1
    assert [operation for operation, _ in room.operations()].count("model.check") == 1
    # One file of the model, one report, one statement.
    assert len(room.stored()) == 3


def test_checks_wait_for_space_and_go_on(disk: SmallDisk, tmp_path: Path) -> None:
    with modelroom(tmp_path / "room", start_jobs=False) as room:
        entry, job = quarantined(room, disk)
        for _ in range(MAX_ATTEMPTS + 1):
            room.jobs._work(job)  # its turn
            check_that_it_waits(room, entry, job)
        disk.free()
        room.jobs._work(job)
        check_that_it_ended(room, entry)


def test_a_server_killed_while_checks_wait_goes_on_with_them(
    disk: SmallDisk, tmp_path: Path
) -> None:
    with modelroom(tmp_path / "room", start_jobs=False) as room:
        entry, job = quarantined(room, disk)
    done = subprocess.run(
        [sys.executable, "-m", "tests.services.models.killed_waiting", tmp_path / "room", job],
        cwd=REPOSITORY, capture_output=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    with modelroom(tmp_path / "room", start_jobs=False) as room:
        check_that_it_waits(room, entry, job)
        disk.free()
        room.jobs.start()
        check_that_it_ended(room, entry)
