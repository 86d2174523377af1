"""The room of models, for all its tests."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.services.models.modelroom import ModelRoom, modelroom


@pytest.fixture
def room(tmp_path: Path) -> Iterator[ModelRoom]:
    """A room with running jobs."""
    with modelroom(tmp_path) as built:
        yield built
