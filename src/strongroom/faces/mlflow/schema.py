"""MLflow's tables: made in an empty database, and checked for the version that is installed.

They are made by MLflow's own migrations, in one transaction of ours: a crash leaves none of
them. Bringing tables of an older MLflow up to date is for the operator to ask for, after a
backup: `upgrade`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from types import SimpleNamespace

from alembic import command
from alembic.runtime.migration import MigrationContext
from mlflow.store.db.utils import _get_alembic_config, _get_latest_schema_revision
from mlflow.store.tracking.dbmodels.initial_models import Base as InitialBase
from sqlalchemy import Connection, text
from sqlalchemy.orm import Session

from strongroom.errors import HomeError, HomeNewerError
from strongroom.faces.mlflow.guard import SCHEMA, in_mlflow_schema
from strongroom.vault.database import Database


def prepare(database: Database) -> None:
    """Make MLflow's tables where there are none, else check that they are this version's.

    Raises:
        HomeNewerError: another version of MLflow made them; nothing was changed.
    """
    with database.read() as session:
        found = _revision(session)
    if found is None:
        with database.write() as session:
            _migrate(session, make=True)
        return
    wanted = _get_latest_schema_revision()
    if found != wanted:
        raise HomeNewerError(
            f"MLflow's tables have the form `{found}`, the installed version needs `{wanted}`",
            next_step="make a backup, then run `strongroom migrate`",
        )


def upgrade(database: Database) -> None:
    """Bring MLflow's tables to the form of the installed version, in one transaction."""
    with database.write() as session:
        _migrate(session, make=_revision(session) is None)


def _revision(session: Session) -> str | None:
    with in_mlflow_schema(session):
        return MigrationContext.configure(session.connection()).get_current_revision()


def _migrate(session: Session, *, make: bool) -> None:
    connection = session.connection()
    if connection.dialect.name == "postgresql":
        connection.execute(text(f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}"))
    with in_mlflow_schema(session):
        if make:
            InitialBase.metadata.create_all(connection)
        config = _get_alembic_config("")
        # MLflow's env.py asks the connection's engine for a connection of its own; it is lent
        # ours, so that all is one transaction.
        config.attributes["connection"] = SimpleNamespace(
            engine=SimpleNamespace(connect=lambda: _lent(connection))
        )
        command.upgrade(config, "heads")
        if (
            _get_latest_schema_revision()
            != MigrationContext.configure(connection).get_current_revision()
        ):
            raise HomeError("MLflow's tables could not be made")


@contextmanager
def _lent(connection: Connection) -> Iterator[Connection]:
    yield connection
