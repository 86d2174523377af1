"""The numbered steps end in exactly the tables that the rooms declare."""

import importlib
import pkgutil
import re
from pathlib import Path
from typing import Literal

from alembic.autogenerate import produce_migrations, render_python_code
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Table

import strongroom
from strongroom.vault.database import Base, Database, UtcDateTime
from strongroom.vault.migrations.run import VERSION_TABLE

_ROOM = re.compile(r"strongroom\.(vault\.\w+|(gate|services)\.\w+\.tables)")


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
