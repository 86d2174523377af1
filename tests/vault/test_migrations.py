"""The numbered steps end in exactly the tables that the rooms declare."""

import importlib
import pkgutil
import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

import pytest
from alembic.autogenerate import produce_migrations, render_python_code
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection, Table, create_engine, inspect, make_url, text

import strongroom
from strongroom.errors import HomeNewerError
from strongroom.vault.database import Base, Database, UtcDateTime
from strongroom.vault.migrations.run import VERSION_TABLE, upgrade

_ROOM = re.compile(r"strongroom\.(vault\.\w+|(gate|services)\.\w+\.(\w+_)?tables)")


def rooms_tables() -> set[str]:
    """Names of the tables that the product declares; importing the modules declares them."""
    for module in pkgutil.walk_packages(strongroom.__path__, "strongroom."):
        if _ROOM.fullmatch(module.name):
            importlib.import_module(module.name)
    return {
        mapper.local_table.name
        for mapper in Base.registry.mappers
        if mapper.class_.__module__.startswith("strongroom.")
        and isinstance(mapper.local_table, Table)
    }


def in_our_words(kind: str, each: object, _: object) -> str | Literal[False]:
    """How a step spells a type of our own."""
    return "UtcDateTime()" if kind == "type" and isinstance(each, UtcDateTime) else False


def test_the_steps_make_the_declared_tables(tmp_path: Path) -> None:
    ours = rooms_tables()
    assert {"log_entries", "workspace_keys"} <= ours
    database = Database.open(f"sqlite:///{tmp_path / 'new.db'}")
    database.migrate()
    with database.read() as session:
        context = MigrationContext.configure(
            session.connection(),
            opts={
                "version_table": VERSION_TABLE,
                "compare_type": True,
                "render_item": in_our_words,
                "include_name": lambda name, kind, _: kind != "table" or name in ours,
                "include_object": lambda _, name, kind, *__: kind != "table" or name in ours,
            },
        )
        missing = produce_migrations(context, Base.metadata).upgrade_ops
        assert missing is not None
        # What fails here is printed as the code that a further step needs.
        assert missing.is_empty(), render_python_code(
            missing, render_item=in_our_words, migration_context=context
        )
    database.close()


@contextmanager
def own_database(server: str) -> Iterator[str]:
    """A PostgreSQL database that is dropped afterwards."""
    name = f"strongroom_test_{secrets.token_hex(4)}"
    url = make_url(server).set(drivername="postgresql+psycopg")
    engine = create_engine(url, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(text(f"CREATE DATABASE {name}"))
    try:
        yield url.set(database=name).render_as_string(hide_password=False)
    finally:
        with engine.connect() as connection:
            connection.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
        engine.dispose()


def filled_with_the_first_step(database: Database) -> None:
    """A database as the first version left it, with a few rows."""
    with database.write() as session:
        connection = session.connection()
        upgrade(connection, to="0001")
        assert "seal_changes" not in inspect(connection).get_table_names()
        now = datetime(2026, 11, 1, tzinfo=UTC)
        for number in range(3):
            connection.execute(
                text("INSERT INTO accounts VALUES (:id, 'person', :name, 'op', :now)"),
                {"id": f"usr_{number}", "name": f"name {number}", "now": now},
            )
        connection.execute(
            text("INSERT INTO policy_epoch (id, epoch) VALUES (1, 41)"),
        )


def upgraded_with_data_intact(database: Database) -> None:
    filled_with_the_first_step(database)
    for _ in range(2):  # the second time nothing is left to do
        database.migrate()
        with database.read() as session:
            connection = session.connection()
            assert heads(connection) == newest()
            assert connection.execute(text("SELECT epoch FROM policy_epoch")).scalar() == 41
            names = connection.execute(text("SELECT name FROM accounts ORDER BY id")).scalars()
            assert list(names) == ["name 0", "name 1", "name 2"]
            assert connection.execute(text("SELECT count(*) FROM seal_changes")).scalar() == 0


def heads(connection: Connection) -> tuple[str, ...]:
    options = {"version_table": VERSION_TABLE}
    return MigrationContext.configure(connection, opts=options).get_current_heads()


def newest() -> tuple[str, ...]:
    """The last step of a single line of steps: two that follow the same one would be two heads."""
    folder = Path(strongroom.__path__[0]) / "vault" / "migrations" / "versions"
    numbers = sorted(file.name[:4] for file in folder.glob("[0-9]*.py"))
    assert numbers == [f"{number:04}" for number in range(1, len(numbers) + 1)]
    return (numbers[-1],)


def test_a_database_of_the_first_step_keeps_its_data(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'first.db'}")
    upgraded_with_data_intact(database)
    database.close()


def test_a_postgresql_database_of_the_first_step_keeps_its_data(postgres_server_url: str) -> None:
    with own_database(postgres_server_url) as url:
        database = Database.open(url)
        upgraded_with_data_intact(database)
        database.close()


def test_a_database_of_a_later_step_is_refused_unchanged(tmp_path: Path) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'later.db'}")
    database.migrate()
    with database.write() as session:
        session.execute(text("UPDATE strongroom_version SET version_num = '9999'"))
    with pytest.raises(HomeNewerError, match="9999"):
        database.migrate()
    with database.read() as session:
        assert heads(session.connection()) == ("9999",)
    database.close()


def test_a_step_that_fails_leaves_the_form_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    database = Database.open(f"sqlite:///{tmp_path / 'first.db'}")
    filled_with_the_first_step(database)

    def fail(*_: object, **__: object) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patched:
        patched.setattr("alembic.op.create_index", fail)
        with pytest.raises(ZeroDivisionError):
            database.migrate()
    with database.read() as session:
        assert heads(session.connection()) == ("0001",)
        assert "seal_changes" not in inspect(session.connection()).get_table_names()
    upgraded = Database.open(f"sqlite:///{tmp_path / 'first.db'}")
    upgraded.migrate()
    upgraded.close()
    database.close()
