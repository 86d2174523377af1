"""Jobs through the gate: seen in their own workspace only, cancelled by those who may."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from pydantic import BaseModel
from tests.gate.gatehouse import Gatehouse, gatehouse

from strongroom.errors import NotFoundError, RefusedError, StateError
from strongroom.gate.access.types import Principal
from strongroom.gate.declaration import operations_of
from strongroom.services.jobs.operations import JobOperations
from strongroom.services.jobs.queue import Jobs
from strongroom.services.jobs.types import JobList, JobName, JobState, JobStatus, ListJobs
from strongroom.vault.database import Database


class Room:
    """The room of jobs behind a real gate."""

    def __init__(self, house: Gatehouse) -> None:
        self.house = house
        self.jobs = Jobs(house.database)
        self.jobs.register_kind("work", lambda _context, _payload: {"done": True})
        self.operations = JobOperations(self.jobs)

    def __call__(self, name: str, who: Principal, request: BaseModel) -> object:
        bound = next(b for b in operations_of(self.operations) if b.declared.name == f"job.{name}")
        return self.house.gate.perform(bound, who, request).result

    def ask(self, workspace: str = "clinic") -> str:
        with self.house.database.write() as session:
            return self.jobs.enqueue(session, "work", {}, workspace, "usr_1")


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Room]:
    database = Database.create_for_tests(tmp_path / "test.db")
    with gatehouse(database) as house:
        house.workspace("clinic")
        room = Room(house)
        yield room
        room.jobs.stop()
    database.close()


def test_list_show_cancel(room: Room) -> None:
    operator = room.house.person("olga", "Compute Operator")
    first, second = room.ask(), room.ask()
    room.ask("other")
    listed = room("ls", operator, ListJobs(workspace="clinic"))
    assert isinstance(listed, JobList)
    assert {job.id for job in listed.jobs} == {first, second}
    name = JobName(workspace="clinic", job=first)
    cancelled = room("cancel", operator, name)
    assert isinstance(cancelled, JobStatus)
    assert cancelled.state is JobState.CANCELLED
    with pytest.raises(StateError, match="finished"):
        room("cancel", operator, name)
    queued = room("ls", operator, ListJobs(workspace="clinic", state=JobState.QUEUED))
    assert isinstance(queued, JobList)
    assert [job.id for job in queued.jobs] == [second]
    room.jobs.start()
    room.jobs.wait(second, 10)
    shown = room("show", operator, JobName(workspace="clinic", job=second))
    assert isinstance(shown, JobStatus)
    assert (shown.state, shown.result) == (JobState.DONE, {"done": True})
    assert room.jobs.status(first).state is JobState.CANCELLED
    cancels = [event for event in room.house.events() if event.operation == "job.cancel"]
    assert [event.outcome.value for event in cancels] == ["allowed", "failed"]


def test_another_workspaces_job_is_not_there(room: Room) -> None:
    operator = room.house.person("olga", "Compute Operator")
    job = room.ask("other")
    for verb in ("show", "cancel"):
        with pytest.raises(NotFoundError):
            room(verb, operator, JobName(workspace="clinic", job=job))
        with pytest.raises(RefusedError):
            room(verb, operator, JobName(workspace="other", job=job))


def test_a_role_that_may_not_cancel(room: Room) -> None:
    auditor = room.house.person("adam", "Auditor")
    job = room.ask()
    assert room("show", auditor, JobName(workspace="clinic", job=job))
    with pytest.raises(RefusedError):
        room("cancel", auditor, JobName(workspace="clinic", job=job))
    assert room.jobs.status(job).state is JobState.QUEUED
