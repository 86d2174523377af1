"""The notes server, and a client that talks to it in this process."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.faces.house import House, housed
from tests.faces.notes import NotesServer
from tests.faces.serving import Switch, serving


@pytest.fixture
def notes(tmp_path: Path) -> Iterator[NotesServer]:
    server = NotesServer(tmp_path)
    yield server
    server.close()


@pytest.fixture(scope="module")
def switch() -> Iterator[tuple[Switch, int]]:
    """A running server whose application a test sets, and its port."""
    passing = Switch()
    with serving(passing) as port:
        yield passing, port


@pytest.fixture(scope="session")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    """A server over the real rooms; tests add to it and leave what they find."""
    with housed(tmp_path_factory.mktemp("house")) as running:
        yield running
