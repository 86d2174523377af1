"""Killed at each durable step of registration: nothing acknowledged is lost, nothing half done."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.services.models.deaths import folders_of_deaths
from tests.services.models.killed_checking import MOMENTS
from tests.services.models.modelroom import PLAIN, modelroom, reference

from strongroom.services.models.tables import ModelEntryRow
from strongroom.services.models.types import ListModels

pytestmark = pytest.mark.timeout(900)  # the first test waits for all the deaths


@pytest.fixture(scope="module")
def deaths(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The folder that each death left, by its moment."""
    folder = tmp_path_factory.mktemp("deaths")
    return folders_of_deaths("tests.services.models.killed_checking", folder, MOMENTS)


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed(deaths: Mapping[str, Path], moment: str) -> None:
    with modelroom(deaths[moment]) as room:
        listed = room.call(room.engineer, "model.ls", ListModels(workspace="clinic")).versions
        if moment == "registering, not committed":
            assert listed == []
            assert room.register(PLAIN)
            return
        with room.house.database.read() as session:
            entry = session.query(ModelEntryRow).one().id
        row = room.wait(entry)
        assert (row.state, row.verdict) == ("checked", "clean")
        report = room.blobs.sweep()
        assert (report.missing, report.changed) == ((), ())
        assert room.call(room.engineer, "model.verify", reference()).files == 1
        decided = [event for event in room.house.events() if event.operation == "model.check"]
        assert len(decided) == 1
        # One file of the model, one report, one statement: nothing is left over or doubled.
        assert len(room.stored()) == 3
