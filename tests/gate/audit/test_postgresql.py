"""Database and log on PostgreSQL: the same promises by the same code."""

import io
import secrets
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import create_engine, make_url, text

from strongroom.engines.ledger.checkpoint import LogKey
from strongroom.engines.ledger.verification import verify_export
from strongroom.errors import BusyError, StrongroomError, TamperedError
from strongroom.gate.audit.export import export
from strongroom.gate.audit.log import AuditLog
from strongroom.gate.audit.reading import Filters
from strongroom.gate.audit.types import AuditClass, Event, Outcome
from strongroom.vault.database import Base, Database, UtcDateTime

PRIVATE = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
KEY = LogKey("example.com/log", PRIVATE.public_key().public_bytes_raw())


@pytest.fixture
def url(postgres_server_url: str) -> Iterator[str]:
    """A database of its own, dropped afterwards."""
    name = f"strongroom_test_{secrets.token_hex(4)}"
    server = make_url(postgres_server_url).set(drivername="postgresql+psycopg")
    engine = create_engine(server, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    yield server.set(database=name).render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
    engine.dispose()


@pytest.fixture
def postgres(url: str) -> Iterator[Database]:
    database = Database.open(url)
    with database.write() as session:
        Base.metadata.create_all(session.connection())
    yield database
    database.close()


def event(number: int) -> Event:
    return Event(
        time=1_700_000_000.123456 + number,
        workspace="clinic",
        actor_kind="person",
        actor=f"p{number % 3}",
        operation="data.read",
        action="readDataset",
        resource_type="Dataset",
        resource="d",
        audit_class=AuditClass.DATASTORE_ACTIVITY,
        request_id=f"r{number}",
        outcome=Outcome.ALLOWED,
        details={"percent": "100 % ?"},
    )


def make(database: Database) -> AuditLog:
    return AuditLog(database, payload_key=bytes(32), key=KEY, sign=PRIVATE.sign)


def test_writes_and_reads(postgres: Database) -> None:
    moment = datetime(2026, 3, 29, 3, 30, 0, 125, tzinfo=timezone(timedelta(hours=2)))
    with postgres.write() as session:
        session.execute(text("CREATE TABLE t (n bigint PRIMARY KEY, at timestamptz)"))
        session.execute(text("INSERT INTO t VALUES (1, :at)"), {"at": moment})
    with postgres.read() as session:
        statement = text("SELECT at FROM t").columns(at=UtcDateTime())
        found = session.execute(statement).scalar_one()
        assert found == moment
        assert found.tzinfo is UTC
        with postgres.write() as writer:
            writer.execute(text("INSERT INTO t VALUES (2, NULL)"))
        assert session.execute(text("SELECT count(*) FROM t")).scalar_one() == 1

    def fail_halfway() -> None:
        with postgres.write() as session:
            session.execute(text("INSERT INTO t VALUES (3, NULL)"))
            raise KeyError

    with pytest.raises(KeyError):
        fail_halfway()
    with postgres.read() as session:
        assert session.execute(text("SELECT max(n) FROM t")).scalar_one() == 2
    with pytest.raises(StrongroomError), postgres.read() as session:
        session.execute(text("INSERT INTO t VALUES (4, NULL)"))


def test_writers_take_turns_across_pools(url: str) -> None:
    first = Database.open(url, busy_timeout_seconds=0.2)
    second = Database.open(url, busy_timeout_seconds=0.2)
    with first.write(), pytest.raises(BusyError), second.write():
        pass
    with second.write():
        pass
    first.close()
    second.close()


def test_the_steps_run_there_too(url: str) -> None:
    database = Database.open(url)
    database.migrate()
    database.migrate()
    with make(database) as log:
        log.record(event(0))
        assert log.verify_live().checkpoint.size == 1
    database.close()


def test_two_logs_on_one_database(postgres: Database, url: str) -> None:
    other = Database.open(url)

    def work(log: AuditLog, database: Database) -> None:
        for number in range(50):
            with database.write() as session:
                log.append(session, event(number))
            log.record(event(number))

    with make(postgres) as here, make(other) as there:
        threads = [
            threading.Thread(target=work, args=pair) for pair in ((here, postgres), (there, other))
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert here.integrate().size == 200
        assert there.verify_live().checkpoint.size == 200
        for index in (0, 57, 199):
            here.receipt(index).verify([KEY])
    other.close()


def test_batches_exports_and_search(postgres: Database) -> None:
    with make(postgres) as log:
        futures = [log.submit(event(number)) for number in range(1500)]
        assert futures[-1].result().index == 1499
        assert verify_export(io.BytesIO(b"".join(export(log))), [KEY]).checkpoint.size == 1500
        with postgres.read() as session:
            found = log.search(session, Filters(actor="p1", workspaces=("clinic",)), limit=2)
        assert [each.index for each in found] == [1498, 1495]


def test_a_changed_entry_is_caught(postgres: Database) -> None:
    with make(postgres) as log:
        log.record(event(0))
        log.record(event(1))
        with postgres.write() as session:
            session.execute(
                text(
                    "UPDATE log_entries SET sealed = set_byte(sealed, 40, "
                    "255 - get_byte(sealed, 40))"
                )
            )
        with pytest.raises(TamperedError, match="entry 0"):
            log.verify_live()
