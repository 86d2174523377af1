"""The database: where every room keeps its rows, on SQLite or PostgreSQL through one API.

A room declares its tables on `Base` in its `tables.py`, and reaches them only through a
session: `with database.read() as session:` sees one consistent snapshot and cannot write;
`with database.write() as session:` commits when the block ends and rolls back when it
raises. Writers take turns, on SQLite by `BEGIN IMMEDIATE`, on PostgreSQL by an advisory
lock, so what a writer has read cannot change before it commits, and a room may check and
then insert without further thought (ADR 0005).
"""

import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cache
from pathlib import Path
from typing import Any, Self

from sqlalchemy import (
    BigInteger,
    Connection,
    DateTime,
    Dialect,
    Engine,
    Integer,
    MetaData,
    create_engine,
    create_mock_engine,
    event,
    make_url,
)
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import DeclarativeBase, Session
from sqlalchemy.types import TypeDecorator

from strongroom.errors import BusyError, StorageFullError, TamperedError, UnavailableError
from strongroom.vault.reserved import RESERVED_TABLES

BUSY_TIMEOUT_SECONDS = 10.0
"""How long a writer waits for its turn before `storage.busy`."""

# Any constant will do as long as nothing else in the same PostgreSQL database uses it.
_WRITER_LOCK = 0x5374726F6E67726D

_WRITES = "strongroom_writes"

OPENED = "opened"
"""In a session's `info`: `time.monotonic()` before its snapshot was taken."""
WRITES = "writes"
"""In a session's `info`: whether it may write."""


class UtcDateTime(TypeDecorator[datetime]):
    """A moment, always in UTC: naive values are refused, stored ones come back aware."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Turn an aware moment into UTC; SQLite has no zone, so it is dropped there."""
        if value is None:
            return None
        if value.tzinfo is None:
            raise ValueError("a stored moment must carry its time zone")
        moment = value.astimezone(UTC)
        return moment.replace(tzinfo=None) if dialect.name == "sqlite" else moment

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[Any], Any]:
        """How a stored value is read; SQLite keeps what is written, so it may be no moment.

        Raises: TamperedError, when the value is read.
        """
        read = super().result_processor(dialect, coltype) or _as_it_is

        def checked(value: Any) -> Any:  # noqa: ANN401 - whatever the driver gives
            try:
                return read(value)
            except (TypeError, ValueError, AttributeError):
                raise TamperedError("a moment in the database is none") from None

        return checked

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Give the moment back as an aware one in UTC."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if dialect.name == "sqlite" else value.astimezone(UTC)


def _as_it_is(value: Any) -> Any:  # noqa: ANN401 - whatever the driver gives
    return value


class Base(DeclarativeBase):
    """The base of every table; `Mapped[datetime]` is UTC and `Mapped[int]` has 64 bits."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )
    type_annotation_map = {  # noqa: RUF012 - SQLAlchemy reads it as a plain class attribute
        datetime: UtcDateTime(),
        # SQLite numbers rows by itself only in a column declared exactly INTEGER (64 bits there).
        int: BigInteger().with_variant(Integer(), "sqlite"),
    }

    def __init_subclass__(cls, **options: Any) -> None:  # noqa: ANN401 - as SQLAlchemy's own
        """Refuse a name that belongs to one of MLflow's tables, which share the database."""
        if (name := cls.__dict__.get("__tablename__")) in RESERVED_TABLES:
            raise TypeError(f"table `{name}` is MLflow's, give ours a name of its own")
        super().__init_subclass__(**options)


class Database:
    """One database and its pool of connections; safe to share between threads."""

    def __init__(self, engine: Engine, busy_timeout_seconds: float) -> None:
        self._engine = engine
        self._busy_timeout_seconds = busy_timeout_seconds
        self._reader = engine.execution_options(**{_WRITES: False})
        self._writer = engine.execution_options(**{_WRITES: True})
        # Threads of one process queue here; SQLite's own waiting sleeps and retries, which
        # would cost milliseconds at every hand-over.
        self._turn = threading.Lock()
        self._writing = threading.local()

    @classmethod
    def open(cls, url: str, *, busy_timeout_seconds: float = BUSY_TIMEOUT_SECONDS) -> Self:
        """Open a database by its URL, `sqlite:////absolute/path` or `postgresql+psycopg://…`.

        Raises: ValueError for another kind of database or one in memory; UnavailableError
            where it cannot be reached; TamperedError where its file is damaged.
        """
        try:
            parsed = make_url(url)
        except ArgumentError:
            raise ValueError("it is not the URL of a database") from None  # it may hold a password
        kind = parsed.get_backend_name()
        if kind == "sqlite":
            if not parsed.database or parsed.database == ":memory:" or parsed.query:
                raise ValueError("a SQLite database needs the path of a file and nothing else")
            engine = create_engine(
                parsed,
                connect_args={"timeout": busy_timeout_seconds},
                pool_timeout=30,
                hide_parameters=True,
            )
            event.listen(engine, "connect", _prepare_sqlite)
            event.listen(engine, "begin", _begin_sqlite)
        elif kind == "postgresql":
            milliseconds = int(busy_timeout_seconds * 1000)
            engine = create_engine(
                parsed.set(drivername="postgresql+psycopg"),
                connect_args={"options": f"-c lock_timeout={milliseconds} -c timezone=UTC"},
                pool_pre_ping=True,
                hide_parameters=True,
            )
            event.listen(engine, "begin", _begin_postgresql)
        else:
            raise ValueError("the database must be SQLite or PostgreSQL")
        database = cls(engine, busy_timeout_seconds)
        try:
            with database.read() as session:
                session.connection()
        except UnicodeDecodeError:  # the driver quotes a damaged table's name in its message
            raise TamperedError("the database file is damaged") from None
        return database

    @classmethod
    def create_for_tests(cls, path: Path) -> Self:
        """Open an SQLite file holding every table known so far, without migrations."""
        database = cls.open(f"sqlite:///{path}")
        with database.write() as session:
            connection = session.connection()
            if connection.exec_driver_sql("SELECT 1 FROM sqlite_master LIMIT 1").first():
                Base.metadata.create_all(connection)  # it is there already, from an earlier server
                return database
            for statement in _statements_for_tests(frozenset(Base.metadata.tables)):
                connection.exec_driver_sql(statement)
        return database

    @property
    def dialect(self) -> str:
        """Either `sqlite` or `postgresql`."""
        return self._engine.dialect.name

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that sees one snapshot from its first query on, and cannot write."""
        info = {OPENED: time.monotonic(), WRITES: False}
        with _translated(), Session(self._reader, expire_on_commit=False, info=info) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that commits at the end of the block, or rolls back where it raises.

        After the block everything in it is durable: a crash at any moment before leaves
        nothing of it, a crash after leaves all of it.

        Raises: BusyError, StorageFullError, TamperedError, UnavailableError; RuntimeError when
            this thread is already writing, which would otherwise wait for itself.
        """
        if getattr(self._writing, "now", False):
            raise RuntimeError("this thread already has a write open")
        if not self._turn.acquire(timeout=self._busy_timeout_seconds):
            raise BusyError("the database is busy with other writers")
        self._writing.now = True
        info = {OPENED: time.monotonic(), WRITES: True}
        try:
            with (
                _translated(),
                Session(self._writer, expire_on_commit=False, info=info) as session,
                session.begin(),
            ):
                # Take the turn now, not at the first statement, so that all that the block
                # reads it reads as the only writer.
                session.connection()
                yield session
        finally:
            self._writing.now = False
            self._turn.release()

    def migrate(self) -> None:
        """Bring the tables to this version's form; nothing happens where they have it.

        All steps are one transaction: a crash leaves the old form.

        Raises: HomeNewerError when a later version of Strongroom made them.
        """
        from strongroom.vault.migrations.run import upgrade

        with self.write() as session:
            upgrade(session.connection())

    def close(self) -> None:
        """Close every pooled connection."""
        self._engine.dispose()


@cache
def _statements_for_tests(tables: frozenset[str]) -> tuple[str, ...]:  # noqa: ARG001 - the key
    """What makes all tables known so far; put together once, for tests ask hundreds of times."""
    made: list[str] = []
    dialect = make_url("sqlite://").get_dialect()()
    engine = create_mock_engine(
        "sqlite://", lambda sql, *_, **__: made.append(str(sql.compile(dialect=dialect)))
    )
    Base.metadata.create_all(engine, checkfirst=False)
    return tuple(made)


def _prepare_sqlite(connection: sqlite3.Connection, record: object) -> None:  # noqa: ARG001 - SQLAlchemy passes it
    """Set up each new connection: durable, referentially sound, transactions begun by us."""
    # Python's own habit of opening transactions before some statements is switched off;
    # `_begin_sqlite` says BEGIN (docs.sqlalchemy.org, SQLite, transactions).
    connection.isolation_level = None
    for pragma in (
        "journal_mode = WAL",
        # FULL syncs the write-ahead log at each commit: NORMAL may lose acknowledged rows.
        "synchronous = FULL",
        # Moving the write-ahead log into the database stalls whoever commits just then: do it
        # every 32 MiB instead of every 4.
        "wal_autocheckpoint = 8192",
        f"journal_size_limit = {64 * 2**20}",
        "foreign_keys = ON",
        "trusted_schema = OFF",
        # What is deleted is overwritten, also in free pages.
        "secure_delete = ON",
        "temp_store = MEMORY",
    ):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    writes = bool(connection.get_execution_options().get(_WRITES))
    # Straight to the driver: this cannot fail, and it runs for every transaction.
    driver: Any = connection.connection.dbapi_connection
    driver.execute(f"PRAGMA query_only = {'OFF' if writes else 'ON'}").close()
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


def _begin_postgresql(connection: Connection) -> None:
    if connection.get_execution_options().get(_WRITES):
        connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_WRITER_LOCK})")
    else:
        connection.exec_driver_sql("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


@contextmanager
def _translated() -> Iterator[None]:
    """Stop the drivers' errors here; a broken constraint is the room's own matter and passes."""
    try:
        yield
    except PoolTimeout as error:
        raise BusyError("every database connection is in use") from error
    except DBAPIError as error:
        translated = _meaning(error)
        if translated is None:
            raise
        raise translated from error


def _meaning(error: DBAPIError) -> Exception | None:
    """The error of ours for a driver's error, by SQLite's result code or PostgreSQL's SQLSTATE."""
    # The messages stay our own: a driver's may quote values of rows.
    origin: Any = error.orig
    code = getattr(origin, "sqlite_errorname", None) or getattr(origin, "sqlstate", None) or ""
    if code.startswith("SQLITE_FULL") or code in {"53100", "53200"}:
        return StorageFullError("the disk of the database is full")
    if code.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")) or code in {"55P03", "40001", "40P01"}:
        return BusyError("the database is busy with other writers")
    if code.startswith(("SQLITE_CORRUPT", "SQLITE_NOTADB")) or code in {"XX001", "XX002"}:
        return TamperedError("the database file is damaged")
    unreachable = code.startswith(("SQLITE_IOERR", "SQLITE_CANTOPEN", "SQLITE_READONLY"))
    if unreachable or (isinstance(error, OperationalError) and error.connection_invalidated):
        return UnavailableError("the database cannot be read or written")
    if (
        code.startswith(("08", "57P"))
        or code == "25006"
        or (not code and isinstance(error, OperationalError))
    ):
        return UnavailableError("the database cannot be reached")
    return None
