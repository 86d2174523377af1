"""The database: what it promises of reading, writing and failing."""

import multiprocessing
import os
import sqlite3
import threading
import time
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest
from sqlalchemy import insert, select, text
from sqlalchemy.exc import IntegrityError, StatementError
from sqlalchemy.orm import Mapped, mapped_column

from strongroom.errors import (
    BusyError,
    HomeNewerError,
    StorageFullError,
    TamperedError,
    UnavailableError,
)
from strongroom.vault.database import Base, Database


class NoteRow(Base):
    """A table for these tests alone."""

    __tablename__ = "test_notes"

    id: Mapped[int] = mapped_column(primary_key=True)
    parent: Mapped[int | None]
    words: Mapped[str] = mapped_column(unique=True)
    written: Mapped[datetime | None]


def words(database: Database) -> list[str]:
    with database.read() as session:
        return list(session.scalars(select(NoteRow.words).order_by(NoteRow.id)))


def test_a_write_is_committed_or_rolled_back(database: Database) -> None:
    with database.write() as session:
        session.add(NoteRow(words="kept"))

    def fail_halfway() -> None:
        with database.write() as session:
            session.add(NoteRow(words="dropped"))
            session.flush()
            raise KeyError

    with pytest.raises(KeyError):
        fail_halfway()
    assert words(database) == ["kept"]


def test_a_read_cannot_write(database: Database) -> None:
    with pytest.raises(UnavailableError), database.read() as session:
        session.execute(insert(NoteRow), [{"words": "sneaked in"}])
    assert words(database) == []


def test_a_read_sees_one_snapshot(database: Database) -> None:
    with database.write() as session:
        session.add(NoteRow(words="first"))
    with database.read() as reader:
        assert len(reader.scalars(select(NoteRow)).all()) == 1
        with database.write() as session:
            session.add(NoteRow(words="second"))
        assert len(reader.scalars(select(NoteRow)).all()) == 1
    assert words(database) == ["first", "second"]


def test_connections_are_durable_and_strict(database: Database) -> None:
    expected = {
        "journal_mode": "wal",
        "synchronous": 2,
        "foreign_keys": 1,
        "secure_delete": 1,
        "trusted_schema": 0,
    }
    with database.write() as session:
        for pragma, value in expected.items():
            assert session.scalar(text(f"PRAGMA {pragma}")) == value


def test_a_broken_constraint_is_for_the_room_to_explain(database: Database) -> None:
    with database.write() as session:
        session.add(NoteRow(words="once"))
    with pytest.raises(IntegrityError), database.write() as session:
        session.add(NoteRow(words="once"))


def test_constraints_have_names(database: Database) -> None:
    with database.read() as session:
        schema = session.scalar(text("SELECT sql FROM sqlite_master WHERE name = 'test_notes'"))
    assert "CONSTRAINT uq_test_notes_words UNIQUE" in str(schema)


def test_moments_come_back_in_utc(database: Database) -> None:
    moment = datetime(2026, 3, 29, 3, 30, 0, 125, tzinfo=timezone(timedelta(hours=2)))
    with database.write() as session:
        session.add(NoteRow(words="when", written=moment))
        session.add(NoteRow(words="never", written=None))
    with database.read() as session:
        when, never = session.scalars(select(NoteRow.written).order_by(NoteRow.id)).all()
    assert when == moment
    assert when is not None
    assert when.tzinfo is UTC
    assert never is None


def test_a_moment_without_zone_is_refused(database: Database) -> None:
    with pytest.raises(StatementError, match="time zone"), database.write() as session:
        session.add(NoteRow(words="when", written=datetime(2026, 1, 1)))  # noqa: DTZ001 - the point


def test_a_write_within_a_write_is_told_at_once(database: Database) -> None:
    with database.write(), pytest.raises(RuntimeError, match="already"), database.write():
        pass
    with database.write() as session:
        session.add(NoteRow(words="afterwards"))
    assert words(database) == ["afterwards"]


def test_threads_take_turns(database: Database) -> None:
    def count_up() -> None:
        for _ in range(40):
            with database.write() as session:
                row = session.get_one(NoteRow, 1)
                row.parent = (row.parent or 0) + 1

    with database.write() as session:
        session.add(NoteRow(id=1, words="counter"))
    threads = [threading.Thread(target=count_up) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    with database.read() as session:
        assert session.get_one(NoteRow, 1).parent == 160


def _count_in_process(path: str) -> None:
    database = Database.open(f"sqlite:///{path}")
    for _ in range(30):
        with database.write() as session:
            session.execute(text("UPDATE test_notes SET parent = parent + 1"))


def test_processes_take_turns(database: Database, tmp_path: Path) -> None:
    with database.write() as session:
        session.add(NoteRow(id=1, words="counter", parent=0))
    context = multiprocessing.get_context("spawn")
    processes = [
        context.Process(target=_count_in_process, args=(str(tmp_path / "test.db"),))
        for _ in range(2)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    with database.read() as session:
        assert session.get_one(NoteRow, 1).parent == 60


def test_waiting_for_another_process_ends(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'busy.db'}", busy_timeout_seconds=0.1)
    other = sqlite3.connect(tmp_path / "busy.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    started = time.monotonic()
    with pytest.raises(BusyError), database.write():
        pass
    assert time.monotonic() - started < 5
    other.close()
    with database.write():
        pass
    database.close()


def test_waiting_for_another_thread_ends(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'busy.db'}", busy_timeout_seconds=0.1)
    holding, release = threading.Event(), threading.Event()

    def hold() -> None:
        with database.write():
            holding.set()
            release.wait()

    thread = threading.Thread(target=hold)
    thread.start()
    holding.wait()
    with pytest.raises(BusyError), database.write():
        pass
    release.set()
    thread.join()
    database.close()


def test_a_full_disk_is_said_and_changes_nothing(database: Database) -> None:
    with database.write() as session:
        session.add(NoteRow(words="before"))

    # SQLite itself refuses to grow: the same code path as a file system without space.
    def fill_up() -> None:
        with database.write() as session:
            pages = session.scalar(text("PRAGMA page_count"))
            session.execute(text(f"PRAGMA max_page_count = {pages}"))
            session.execute(text("INSERT INTO test_notes (words) VALUES (hex(zeroblob(1000000)))"))

    with pytest.raises(StorageFullError):
        fill_up()
    assert words(database) == ["before"]


def test_a_damaged_schema_is_said(tmp_path: Path) -> None:
    path = tmp_path / "damaged.db"
    Database.create_for_tests(path).close()
    whole = path.read_bytes()
    assert b"CREATE TABLE" in whole
    path.write_bytes(whole.replace(b"CREATE TABLE", b"CREATE \xf7ABLE"))
    with pytest.raises(TamperedError, match="damaged"):
        Database.open(f"sqlite:///{path}")


def test_a_damaged_file_is_said(tmp_path: Path) -> None:
    path = tmp_path / "damaged.db"
    path.write_bytes(os.urandom(8192))
    with pytest.raises(TamperedError):
        Database.open(f"sqlite:///{path}")


def test_a_place_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UnavailableError):
        Database.open(f"sqlite:///{tmp_path / 'missing' / 'x.db'}")
    with pytest.raises(UnavailableError):
        Database.open("postgresql://nobody@127.0.0.1:9/nothing")


@pytest.mark.parametrize(
    "url", ["sqlite://", "sqlite:///:memory:", "sqlite:///x?mode=ro", "mysql://x/y"]
)
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(ValueError, match="database"):
        Database.open(url)


def test_migrating_twice_changes_nothing(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'new.db'}")
    database.migrate()
    with database.read() as session:
        before = session.execute(text("SELECT sql FROM sqlite_master ORDER BY name")).all()
        version = session.scalar(text("SELECT version_num FROM strongroom_version"))
    assert version
    database.migrate()
    with database.read() as session:
        assert session.execute(text("SELECT sql FROM sqlite_master ORDER BY name")).all() == before
    database.close()


def test_a_newer_database_is_refused(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'new.db'}")
    database.migrate()
    with database.write() as session:
        session.execute(text("UPDATE strongroom_version SET version_num = '9999'"))
    with pytest.raises(HomeNewerError, match="9999"):
        database.migrate()
    database.close()
