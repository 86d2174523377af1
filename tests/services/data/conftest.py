"""The room of datasets, for all its tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.services.data.dataroom import DataRoom, dataroom


@pytest.fixture
def room(tmp_path: Path) -> Iterator[DataRoom]:
    """A room with small limits: 1 MiB a row, 50 columns."""
    with dataroom(tmp_path) as built:
        yield built
