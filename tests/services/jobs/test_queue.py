"""Jobs: nothing acknowledged is lost, nothing runs twice at once, failures say why."""

import errno
import json
import logging
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from huey.exceptions import HueyException
from sqlalchemy.orm import Session

from strongroom.errors import (
    BusyError,
    ConflictError,
    NotFoundError,
    StorageFullError,
    UnavailableError,
    ValidationError,
)
from strongroom.services.jobs import queue as queue_module
from strongroom.services.jobs import trying
from strongroom.services.jobs.handing import JsonSerializer
from strongroom.services.jobs.queue import Jobs, describe
from strongroom.services.jobs.tables import JobRow
from strongroom.services.jobs.trying import JobContext
from strongroom.services.jobs.types import MAX_ATTEMPTS, JobState
from strongroom.vault.database import Database


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database.create_for_tests(tmp_path / "test.db")
    yield database
    database.close()


@pytest.fixture
def jobs(database: Database) -> Iterator[Jobs]:
    jobs = Jobs(database)
    yield jobs
    jobs.stop()


def ask(jobs: Jobs, database: Database, kind: str, payload: dict[str, Any] | None = None) -> str:
    with database.write() as session:
        return jobs.enqueue(session, kind, payload or {}, "clinic", "usr_1")


def test_a_job_runs_after_the_commit(jobs: Jobs, database: Database) -> None:
    seen: list[JobContext] = []

    def double(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
        seen.append(context)
        context.progress("half way")
        with database.read() as session:
            assert describe(session.get_one(JobRow, context.job_id)).progress == "half way"
        return {"value": payload["value"] * 2}

    jobs.register_kind("double", double)
    jobs.start()
    job_id = ask(jobs, database, "double", {"value": 21})
    status = jobs.wait(job_id, 10)
    assert (status.state, status.result, status.attempts) == (JobState.DONE, {"value": 42}, 1)
    assert status.progress == ""  # no job that is done shows a share of the work
    assert (seen[0].workspace, seen[0].actor) == ("clinic", "usr_1")


def test_a_rolled_back_caller_leaves_no_job(jobs: Jobs, database: Database) -> None:
    ran = threading.Event()

    def handler(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
        ran.set()
        return {}

    jobs.register_kind("never", handler)
    jobs.start()

    def fail() -> str:
        with database.write() as session:
            job_id = jobs.enqueue(session, "never", {}, "clinic", "usr_1")
            raise LookupError(job_id)

    with pytest.raises(LookupError) as caught:
        fail()
    with pytest.raises(NotFoundError):
        jobs.status(str(caught.value.args[0]))
    assert not ran.wait(0.3)


def test_rows_of_a_dead_server_run_again(database: Database) -> None:
    dead = Jobs(database)
    dead.register_kind("work", lambda _context, _payload: {})
    waiting = ask(dead, database, "work")
    running = ask(dead, database, "work")
    spent = ask(dead, database, "work")
    assert dead._claim(running) is not None
    with database.write() as session:
        row = session.get_one(JobRow, spent)
        row.state, row.attempts = JobState.RUNNING, 3
    alive = Jobs(database)
    alive.register_kind("work", lambda _context, _payload: {"by": "the next server"})
    alive.start()
    try:
        assert alive.wait(waiting, 10).attempts == 1
        again = alive.wait(running, 10)
        assert (again.state, again.attempts) == (JobState.DONE, 2)
        assert alive.wait(spent, 10).error == "the server ended during the last attempt"
    finally:
        alive.stop()


def test_a_living_servers_jobs_are_left_alone_until_the_lease_is_out(database: Database) -> None:
    now = [1_000_000.0]
    first = Jobs(database, is_only_server=False, clock=lambda: now[0])
    first.register_kind("work", lambda _context, _payload: {})
    job_id = ask(first, database, "work")
    assert first._claim(job_id) is not None
    second = Jobs(database, is_only_server=False, clock=lambda: now[0])
    second._take_over(at_start=True)
    assert second.status(job_id).state == JobState.RUNNING
    assert second._claim(job_id) is None
    now[0] += queue_module.LEASE_SECONDS - 1
    first._renew()
    now[0] += queue_module.LEASE_SECONDS - 1
    second._take_over(at_start=False)
    assert second.status(job_id).state == JobState.RUNNING
    now[0] += 2
    second._take_over(at_start=False)
    assert second.status(job_id).state == JobState.QUEUED


def test_the_end_of_a_job_that_another_server_took_over_is_not_written(database: Database) -> None:
    now = [1_000_000.0]
    slow = Jobs(database, is_only_server=False, clock=lambda: now[0])
    second = Jobs(database, is_only_server=False, clock=lambda: now[0])
    second.register_kind("work", lambda _context, _payload: {"by": "the second"})

    def work(_context: JobContext, _payload: dict[str, Any]) -> dict[str, Any]:
        now[0] += queue_module.LEASE_SECONDS + 1  # the first stood still for that long
        second._take_over(at_start=False)
        second._work(job_id)
        return {"by": "the first"}

    slow.register_kind("work", work)
    job_id = ask(slow, database, "work")
    slow._work(job_id)
    done = second.status(job_id)
    assert (done.state, done.result, done.attempts) == (JobState.DONE, {"by": "the second"}, 2)
    assert job_id not in slow._mine


def test_a_passing_trouble_is_tried_again_and_a_lasting_one_given_up(
    jobs: Jobs, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "_feed", _without_delay(jobs))

    def shaky(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
        if context.attempt <= payload["failures"]:
            raise BusyError("the disk is busy")
        return {}

    jobs.register_kind("shaky", shaky)
    jobs.start()
    passing = ask(jobs, database, "shaky", {"failures": 2})
    lasting = ask(jobs, database, "shaky", {"failures": 9})
    assert jobs.wait(passing, 20).attempts == 3
    status = jobs.wait(lasting, 20)
    assert (status.state, status.attempts) == (JobState.FAILED, 3)
    assert status.error == "storage.busy: the disk is busy"


def test_what_is_tried_later_is_tried_later(jobs: Jobs, database: Database) -> None:
    """With huey's own schedule, which the test before goes around to be quick."""

    def shaky(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
        if context.attempt == 1:
            raise BusyError("the disk is busy")
        return {}

    jobs.register_kind("shaky", shaky)
    jobs.start()
    done = jobs.wait(ask(jobs, database, "shaky"), 20)
    assert (done.state, done.attempts) == (JobState.DONE, 2)


def test_without_space_a_job_waits_until_there_is_some(jobs: Jobs, database: Database) -> None:
    full = [StorageFullError("the disk is full"), OSError(errno.ENOSPC, "/tmp/a-name")]

    def storing(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
        if full:
            raise full[payload["how"]]
        return {"attempt": context.attempt}

    jobs.register_kind("storing", storing)
    waiting = [ask(jobs, database, "storing", {"how": how}) for how in (0, 1)]
    said = set()
    for job_id in waiting:
        # More often than a job is tried for any other reason.
        for _ in range(MAX_ATTEMPTS + 1):
            jobs._work(job_id)  # its turn
            status = jobs.status(job_id)
            assert (status.state, status.attempts) == (JobState.WAITING, 0)
            said.add(status.error)
    assert said == {"storage.full: the disk is full", "storage.full: a disk of the server is full"}
    full.clear()
    for job_id in waiting:
        jobs._work(job_id)
        done = jobs.status(job_id)
        assert (done.state, done.result, done.error) == (JobState.DONE, {"attempt": 1}, "")


@pytest.mark.parametrize(
    ("age", "state", "delay"),
    [
        (0.0, JobState.WAITING, 5.0),
        (5.0, JobState.WAITING, 5.0),
        (10.0, JobState.WAITING, 10.0),
        (100.0, JobState.WAITING, 100.0),
        (1_000.0, JobState.WAITING, 300.0),
        (86_399.0, JobState.WAITING, 300.0),
        (86_400.0, JobState.FAILED, 0.0),
    ],
)
def test_waits_for_space_grow_and_end(
    database: Database, age: float, state: JobState, delay: float
) -> None:
    def storing(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
        raise StorageFullError("the disk is full")

    context = JobContext("job_1", "clinic", "usr_1", MAX_ATTEMPTS, database)
    ending = trying.tried(storing, context, {}, lambda: age)
    assert (ending.state, ending.delay_seconds) == (state, delay)
    assert ending.error == "storage.full: the disk is full"


def test_a_job_that_waits_for_space_is_cancelled_at_once_and_outlives_its_server(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(trying, "FIRST_WAIT_SECONDS", 1.0)

    def storing(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
        raise StorageFullError("the disk is full")

    dead = Jobs(database)
    dead.register_kind("storing", storing)
    waiting, unwanted, later = (ask(dead, database, "storing") for _ in range(3))
    for job_id in (waiting, unwanted, later):
        dead._work(job_id)
        assert dead.status(job_id).state is JobState.WAITING
    with database.write() as session:
        dead.cancel(session, session.get_one(JobRow, unwanted))
        # Its turn has come while no server was there.
        session.get_one(JobRow, waiting).leased_until = datetime.now(UTC) - timedelta(seconds=1)
    assert dead.status(unwanted).state is JobState.CANCELLED
    alive = Jobs(database)
    alive.register_kind("storing", lambda _context, _payload: {"by": "the next server"})
    alive.start()
    try:
        assert alive.wait(waiting, 10).result == {"by": "the next server"}
        assert alive.status(later).state is JobState.WAITING
        assert alive.wait(later, 30).result == {"by": "the next server"}
    finally:
        alive.stop()


def test_an_end_that_cannot_be_written_for_want_of_space_is_kept(
    jobs: Jobs, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(queue_module, "_AGAIN_SECONDS", 0.02)
    ran: list[int] = []

    def work(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
        ran.append(context.attempt)
        return {"made": 1}

    finish, failures = jobs._finish, [StorageFullError("the disk of the database is full")] * 5

    def full(context: JobContext, ending: trying.Ending) -> None:
        with database.write() as session:
            session.get_one(JobRow, context.job_id).leased_until = None  # nobody could renew it
        jobs._take_over(at_start=False)
        if failures:
            raise failures.pop()
        finish(context, ending)

    monkeypatch.setattr(jobs, "_finish", full)
    jobs.register_kind("work", work)
    jobs.start()
    done = jobs.wait(ask(jobs, database, "work"), 20)
    assert (done.state, done.result, ran) == (JobState.DONE, {"made": 1}, [1])


def _without_delay(jobs: Jobs) -> Any:  # noqa: ANN401 # stands for a method
    feed = Jobs._feed
    return lambda job_id, _delay=0.0: feed(jobs, job_id)


def test_failures_say_why_without_data(
    jobs: Jobs, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)

    def refuse(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
        raise ValidationError("column `age` is missing")

    def break_down(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
        raise RuntimeError("patient Jane Roe")

    def answer_no_json(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
        return {"value": object()}

    kinds = (refuse, break_down, answer_no_json)
    for handler in kinds:
        jobs.register_kind(handler.__name__, handler)
    jobs.start()
    found = [jobs.wait(ask(jobs, database, handler.__name__), 10) for handler in kinds]
    assert [status.state for status in found] == [JobState.FAILED] * 3
    assert [status.attempts for status in found] == [1, 1, 1]
    assert [status.error for status in found] == [
        "request.field: column `age` is missing",
        "internal: RuntimeError",
        "internal: TypeError",
    ]


def test_a_database_that_is_busy_loses_no_job(
    database: Database, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.CRITICAL)
    now = [1_000_000.0]
    jobs = Jobs(database, clock=lambda: now[0])
    monkeypatch.setattr(jobs, "_feed", _without_delay(jobs))
    ran: list[int] = []

    def work(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
        ran.append(context.attempt)
        return {}

    jobs.register_kind("work", work)
    failures = {"_claim": 2, "_finish": 1}

    def failing(name: str) -> Any:  # noqa: ANN401 # stands for a method
        real = getattr(jobs, name)

        def method(*arguments: object) -> object:
            if failures[name]:
                failures[name] -= 1
                raise BusyError("the database is busy with other writers")
            return real(*arguments)

        return method

    for name in failures:
        monkeypatch.setattr(jobs, name, failing(name))
    jobs.start()
    try:
        job_id = ask(jobs, database, "work")
        while failures["_finish"]:
            time.sleep(0.01)
        assert jobs.status(job_id).state == JobState.RUNNING
        jobs._renew()
        now[0] += queue_module.LEASE_SECONDS + 1
        jobs._take_over(at_start=False)
        assert jobs.wait(job_id, 10).state == JobState.DONE
        assert ran == [1, 2]
    finally:
        jobs.stop()


def test_a_room_hears_of_jobs_that_end_undone_in_the_same_transaction(
    jobs: Jobs, database: Database
) -> None:
    heard: list[tuple[str, str]] = []

    def given_up(session: Session, job: str, payload: dict[str, Any], why: str) -> None:
        row = session.get_one(JobRow, job)
        assert JobState(row.state).is_final
        heard.append((payload["is"], why))
        row.progress = "given up"
        if payload["is"] == "broken":
            session.flush()
            raise NotFoundError("nothing there")

    def handler(_context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
        if payload["is"] == "done":
            return {}
        raise ValidationError("no use")

    jobs.register_kind("work", handler, given_up)
    names = ("done", "failed", "broken", "cancelled", "killed")
    found = {name: ask(jobs, database, "work", {"is": name}) for name in names}
    with database.write() as session:
        jobs.cancel(session, session.get_one(JobRow, found["cancelled"]))
        row = session.get_one(JobRow, found["killed"])
        row.state, row.attempts = JobState.RUNNING, MAX_ATTEMPTS
    jobs.start()
    ended = {name: jobs.wait(job, 20) for name, job in found.items()}
    assert [one.state for one in ended.values()] == [
        "done", "failed", "failed", "cancelled", "failed"
    ]  # fmt: skip
    assert sorted(heard) == [
        ("broken", "its job ended undone"), ("cancelled", "the job was cancelled"),
        ("failed", "its job ended undone"), ("killed", "the server ended during the last attempt"),
    ]  # fmt: skip
    # What a room does then is undone where it fails; the job has ended all the same.
    assert [one.progress for one in ended.values()] == [
        "", "given up", "", "given up", "given up"
    ]  # fmt: skip


def test_cancelling(jobs: Jobs, database: Database) -> None:
    started, go_on = threading.Event(), threading.Event()

    def slow(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
        started.set()
        go_on.wait(10)
        context.progress("next step")
        return {}

    jobs.register_kind("slow", slow)
    queued = ask(jobs, database, "slow")
    with database.write() as session:
        jobs.cancel(session, session.get_one(JobRow, queued))
    assert jobs.status(queued).state == JobState.CANCELLED
    jobs.start()
    running = ask(jobs, database, "slow")
    assert started.wait(10)
    with database.write() as session:
        jobs.cancel(session, session.get_one(JobRow, running))
    assert jobs.status(running).state == JobState.RUNNING
    go_on.set()
    assert jobs.wait(running, 10).state == JobState.CANCELLED


def test_waiting_ends(jobs: Jobs, database: Database) -> None:
    jobs.register_kind("work", lambda _context, _payload: {})
    job_id = ask(jobs, database, "work")
    with pytest.raises(UnavailableError, match="not finished"):
        jobs.wait(job_id, 0.05)
    with pytest.raises(NotFoundError):
        jobs.wait("job_absent", 1)


@pytest.mark.parametrize(
    ("kind", "payload", "message"),
    [
        ("absent", {}, "no job kind `absent`"),
        ("work", {"x": object()}, "must be JSON"),
        ("work", {"x": float("nan")}, "must be JSON"),
        ("work", {"x": "y" * 300_000}, "too large"),
    ],
)
def test_bad_requests_leave_nothing(
    jobs: Jobs, database: Database, kind: str, payload: dict[str, Any], message: str
) -> None:
    jobs.register_kind("work", lambda _context, _payload: {})
    with pytest.raises(ValidationError, match=message):
        ask(jobs, database, kind, payload)
    with database.read() as session:
        assert session.query(JobRow).count() == 0


def test_a_kind_has_one_handler(jobs: Jobs) -> None:
    jobs.register_kind("work", lambda _context, _payload: {})
    with pytest.raises(ConflictError):
        jobs.register_kind("work", lambda _context, _payload: {})


def test_many_jobs_each_run_once(jobs: Jobs, database: Database) -> None:
    ran: list[int] = []

    def count(context: JobContext, payload: dict[str, Any]) -> dict[str, Any]:
        ran.append(payload["n"])
        return {}

    jobs.register_kind("count", count)
    jobs.start()
    with database.write() as session:
        ids = [jobs.enqueue(session, "count", {"n": n}, "clinic", "usr_1") for n in range(100)]
    for job_id in ids:
        assert jobs.wait(job_id, 30).state == JobState.DONE
    assert sorted(ran) == list(range(100))


def test_messages_are_json_and_never_pickles(jobs: Jobs) -> None:
    message = jobs._huey.serialize_task(jobs._task.s("job_1"))
    assert json.loads(message)[1].endswith("job")
    hostile = b"\x80\x04\x95\x1a\x00\x00\x00\x00\x00\x00\x00\x8c\x05posix\x94\x8c\x06system\x94."
    with pytest.raises(ValueError, match="decode"):
        JsonSerializer().deserialize(hostile)
    with pytest.raises(HueyException):
        jobs._huey.deserialize_task(b'["id", "os.system", null, 0, 0, null, ["id"], {}]')


def test_stop_leaves_waiting_jobs_for_the_next_start(database: Database) -> None:
    jobs = Jobs(database, threads=1)
    release = threading.Event()
    jobs.register_kind("slow", lambda _context, _payload: {"waited": release.wait(5)})
    jobs.start()
    first, second = ask(jobs, database, "slow"), ask(jobs, database, "slow")
    while jobs.status(first).state != JobState.RUNNING:
        time.sleep(0.01)
    threading.Timer(0.2, release.set).start()
    jobs.stop()
    assert jobs.status(first).state == JobState.DONE
    assert jobs.status(second).state == JobState.QUEUED
    jobs.start()
    assert jobs.wait(second, 10).state == JobState.DONE
    jobs.stop()
