"""Killed at each durable step of a registration: all of it is there afterwards, or nothing."""

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TypeVar

import pytest
from sqlalchemy import select
from tests.services.models.deaths import folders_of_deaths
from tests.services.models.killed_registering import (
    DECIDED,
    HALF_SENT,
    IMPORTED,
    MOMENTS,
    NEVER_REGISTERED,
)
from tests.services.models.modelroom import (
    CONVERTED,
    ModelRoom,
    modelroom,
    reference,
)
from tests.services.models.test_importing import begin, finish, send

from strongroom.services.jobs.tables import JobRow
from strongroom.services.models.tables import ModelEntryRow, ModelFileRow
from strongroom.vault.blobs import BlobRow

CHECKED_ONCE = {*NEVER_REGISTERED, "registered, not acknowledged", "after the job's end"}
Row = TypeVar("Row")


pytestmark = pytest.mark.timeout(900)  # the first test waits for all the deaths


@pytest.fixture(scope="module")
def deaths(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The folder that each death left, by its moment."""
    folder = tmp_path_factory.mktemp("deaths")
    moments = [*MOMENTS, HALF_SENT]
    return folders_of_deaths("tests.services.models.killed_registering", folder, moments)


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed(deaths: Mapping[str, Path], moment: str) -> None:
    left = deaths[moment]
    said = left / "acknowledged"
    acknowledged = said.read_text() if said.exists() else ""
    with modelroom(left) as room:
        (entry,) = entries(room) or [""]
        assert bool(entry) == (moment not in NEVER_REGISTERED)
        assert acknowledged in {"", entry}
        if not entry:
            # The same call again does what it should have done.
            assert kept(room, ModelFileRow) == []
            assert kept(room, JobRow) == []
            entry = room.register(CONVERTED)
        room.wait(entry)
        row = room.row(entry)
        assert (row.state, row.verdict, row.serving) == ("checked", "clean", "onnx")
        assert room.call(room.engineer, "model.verify", reference()).files == 2
        check_leftovers(room)
        decisions = [it for it in room.operations() if it[0] == "model.check"]
        assert decisions == [("model.check", "allowed")]
        jobs = kept(room, JobRow)
        assert {job.state for job in jobs} == {"done"}
        (job,) = jobs
        assert job.attempts == (1 if moment in CHECKED_ONCE else 2)
        if moment in DECIDED:
            assert job.result["state"] == "checked"


def test_killed_while_a_file_is_sent(deaths: Mapping[str, Path]) -> None:
    left = deaths[HALF_SENT]
    assert (left / "half").exists()
    with modelroom(left, start_jobs=False) as room:
        assert entries(room) == []
        check_leftovers(room)  # half a file is no file
        sender = replace(room.scientist, id=(left / "sender").read_text())
        again = begin(room, IMPORTED, sender)
        assert again.missing == ["second.md"]
        send(room, again, "second.md", IMPORTED["second.md"], who=sender)
        assert finish(room, again, sender) == 1
        check_leftovers(room)


def entries(room: ModelRoom) -> list[str]:
    return [row.id for row in kept(room, ModelEntryRow)]


def kept(room: ModelRoom, table: type[Row]) -> list[Row]:
    with room.house.database.read() as session:
        return list(session.scalars(select(table)))


def check_leftovers(room: ModelRoom) -> None:
    """What died on its way is swept, and nothing else is missing."""
    report = room.blobs.sweep()
    assert (report.missing, report.changed) == ((), ())
    files = {path.name for path in room.stored()}
    assert files == {row.id for row in kept(room, BlobRow)}
