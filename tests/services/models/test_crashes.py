"""Killed at each durable step of registration: nothing acknowledged is lost, nothing half done."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.services.models.killed_checking import MOMENTS
from tests.services.models.modelroom import PLAIN, modelroom, reference

from strongroom.services.models.tables import ModelEntryRow
from strongroom.services.models.types import ListModels

REPOSITORY = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize("moment", MOMENTS)
def test_killed(tmp_path: Path, moment: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.services.models.killed_checking", str(tmp_path), moment],
        cwd=REPOSITORY,
        capture_output=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()[-2000:]
    with modelroom(tmp_path) as room:
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
