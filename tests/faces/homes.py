"""Homes for tests of what happens on the host: made, put back to an earlier state, restored."""

import atexit
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

from strongroom.faces.foundation import Foundation, open_foundation
from strongroom.gate.access.roles import OWNER, READER
from strongroom.gate.hosting import host_event
from strongroom.gate.identity.bootstrap import bootstrap
from strongroom.settings import Settings

CONTENT = b"sealed once and for all " * 1000


def settings_of(home: Path) -> Settings:
    return Settings(home=home, min_free_bytes=1)


def served(home: Path) -> tuple[Settings, str]:
    """A home that was served: an operator who owns the workspace `clinic`; and their id.

    All are copies of one, so of one root key and one log.
    """
    pattern, first = _pattern()
    shutil.copytree(pattern, home)
    return settings_of(home), first


@cache
def _pattern() -> tuple[Path, str]:
    folder = Path(tempfile.mkdtemp(prefix="sr-home-"))
    atexit.register(shutil.rmtree, folder)
    return folder / "home", newly_served(folder / "home")[1]


def newly_served(home: Path, database_url: str = "") -> tuple[Settings, str]:
    """As `served`, with a root key and log of its own."""
    settings = replace(settings_of(home), database_url=database_url)
    with open_foundation(settings) as foundation:
        first = bootstrap(
            foundation.database, foundation.log, foundation.issuer, foundation.grants,
            api_key_days=9, link_minutes=9,
        )  # fmt: skip
        assert first is not None
        with foundation.database.write() as session:
            foundation.keyring.create_workspace_key(session, "clinic")
            foundation.grants.grant(
                session, first.id, OWNER, "clinic", by=first.id, now=datetime.now(UTC)
            )
            foundation.log.append(session, host_event("test.workspace"))
    return settings, first.id


def give_reader(foundation: Foundation, who: str, *, by: str = "usr_by") -> None:
    with foundation.database.write() as session:
        foundation.grants.grant(session, who, READER, "clinic", by=by, now=datetime.now(UTC))
        foundation.log.append(session, host_event("test.grant"))


def keep_blob(foundation: Foundation, content: bytes = CONTENT) -> str:
    with (
        foundation.blobs.put("clinic", "artifact", [content]) as staged,
        foundation.database.write() as session,
    ):
        return foundation.blobs.commit(session, staged).id


def operations(foundation: Foundation) -> list[str]:
    """Names of the operations in the log, oldest first."""
    with foundation.log.snapshot() as session:
        size = foundation.log.newest(session).size
        return [foundation.log.entry(session, index).event.operation for index in range(size)]


@contextmanager
def database_of(home: Path) -> Iterator[sqlite3.Connection]:
    """The database as somebody who can write there has it."""
    with closing(sqlite3.connect(home / "strongroom.db")) as connection:
        yield connection
        connection.commit()


def keep_database(home: Path, to: Path) -> None:
    """Copy the database of a stopped home."""
    to.mkdir()
    for file in home.glob("strongroom.db*"):
        shutil.copy(file, to / file.name)


def put_back(home: Path, kept: Path) -> None:
    """Put an earlier database in the place of the present one."""
    for file in home.glob("strongroom.db*"):
        file.unlink()
    for file in kept.iterdir():
        shutil.copy(file, home / file.name)
