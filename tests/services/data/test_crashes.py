"""Killed at each durable step of taking a table in: all of it is there afterwards, or nothing."""

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.services.data.dataroom import dataroom
from tests.services.data.killed_adding import CSV, MOMENTS, ROWS
from tests.services.models.deaths import folders_of_deaths

from strongroom.services.data.types import DatasetReference, ListDatasets
from strongroom.vault.trash import FOLDER

pytestmark = pytest.mark.timeout(900)  # the first test waits for all the deaths


@pytest.fixture(scope="module")
def deaths(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Path]:
    """The folder that each death left, by its moment."""
    folder = tmp_path_factory.mktemp("deaths")
    return folders_of_deaths("tests.services.data.killed_adding", folder, MOMENTS)


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed(deaths: Mapping[str, Path], moment: str) -> None:
    kept = moment == "committed, not answered"
    with dataroom(deaths[moment], owner="omar") as room:
        listed = room.call(room.owner, "data.ls", ListDatasets(workspace="clinic")).datasets
        assert [d.name for d in listed] == (["before", "patients"] if kept else ["before"])
        report = room.blobs.sweep()
        assert (report.missing, report.changed) == ((), ())
        # A file without a row is no dataset: it waits in the trash (docs/sealing.md), sealed.
        swept = [file for file in room.files() if FOLDER in file.parts]
        assert len(room.files()) - len(swept) == (2 if kept else 1)
        assert sorted(file.name for file in swept) == sorted(report.removed)
        assert not (kept and swept)
        assert not any(b"name 1" in file.read_bytes() for file in swept)
        events = [event for event in room.house.events() if event.operation == "data.add"]
        assert [event.details["dataset"] for event in events if event.outcome == "allowed"] == (
            ["clinic/before", "clinic/patients"] if kept else ["clinic/before"]
        )
        if kept:
            assert room.table(room.owner).num_rows == ROWS
        # The same call again does what it should have done.
        again = room.add(CSV, "patients")
        assert (again.version, again.rows, again.existed) == (1, ROWS, kept)
        shown = room.call(
            room.owner, "data.show", DatasetReference(workspace="clinic", name="patients")
        )
        assert len(shown.versions) == 1
