"""What many tests need: a database, a home folder, the published vectors."""

import gc
import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.distribution import (  # noqa: F401 # pytest finds them here
    pytest_xdist_auto_num_workers,
    pytest_xdist_make_scheduler,
)
from tests.postgres import postgres_server

from strongroom.vault.database import Database
from strongroom.vault.home import Home

# Tests load ONNX Runtime themselves, too: no test reports to its maker.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"
# JAX would take longer to compile well than small tables take to be made up.
os.environ["JAX_DISABLE_MOST_OPTIMIZATIONS"] = "1"
# Processes that share the work have no core to spare: threads of one that wait for each other in
# a loop took three quarters of the time of fitting small models.
os.environ["OMP_NUM_THREADS"] = os.environ["OPENBLAS_NUM_THREADS"] = "1"
# What is loaded and collected stays until the end: nobody need look through it for garbage.
gc.disable()


def pytest_collection_finish() -> None:
    """From here on there is garbage."""
    gc.freeze()
    gc.enable()


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The folder of published vectors and data sets, kept beside the repository."""
    folder = Path(__file__).resolve().parents[1] / "../shared/data"
    if not folder.is_dir():
        pytest.skip("no folder ../shared/data beside the repository")
    return folder.resolve()


@pytest.fixture(scope="session")
def postgres_server_url() -> Iterator[str]:
    """URL of a PostgreSQL server on which databases may be made."""
    with postgres_server() as url:
        yield url


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    """A new SQLite database holding the tables of every room that the test has imported."""
    opened = Database.create_for_tests(tmp_path / "test.db")
    yield opened
    opened.close()


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    """A new home folder, opened."""
    Home.create(tmp_path / "home")
    with Home.open(tmp_path / "home") as opened:
        yield opened
