"""The gatehouse, for all tests of the gate."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.gate.gatehouse import Gatehouse, gatehouse

from strongroom.vault.database import Database


@pytest.fixture
def house(tmp_path: Path) -> Iterator[Gatehouse]:
    """A gate over a new database, with the workspaces `clinic` and `other`."""
    database = Database.create_for_tests(tmp_path / "gate.db")
    with gatehouse(database) as built:
        built.workspace("clinic")
        built.workspace("other")
        yield built
    database.close()
