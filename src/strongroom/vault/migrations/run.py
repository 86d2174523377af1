"""Alembic, driven from the program: no alembic.ini, no command line, our own connection."""

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, inspect

from strongroom.errors import HomeNewerError, TamperedError

VERSION_TABLE = "strongroom_version"
"""Where Alembic notes the form of our tables."""
_FIRST_TABLE = "workspace_keys"


def upgrade(connection: Connection, to: str = "head") -> None:
    """Apply every step up to `to` that the database lacks, inside the caller's transaction.

    Raises:
        HomeNewerError: the database names a step that this version does not know.
        TamperedError: it has our tables, and names none.
    """
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent).replace("%", "%%"))
    config.attributes["connection"] = connection
    known = {script.revision for script in ScriptDirectory.from_config(config).walk_revisions()}
    options = {"version_table": VERSION_TABLE}
    present = set(MigrationContext.configure(connection, opts=options).get_current_heads())
    if unknown := sorted(present - known):
        raise HomeNewerError(f"the database has the form `{unknown[0]}` of a newer version")
    if not present and inspect(connection).has_table(_FIRST_TABLE):
        raise TamperedError("the database no longer says which form its tables have")
    command.upgrade(config, to)
