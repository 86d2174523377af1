"""A server killed while it trains: the spend counts, and one model comes out of it."""

import signal
import subprocess
import sys
from pathlib import Path

from sqlalchemy import select
from tests.services.models.killed_training import MOMENTS
from tests.services.models.trainingroom import trainingroom

from strongroom.services.jobs.tables import JobRow
from strongroom.services.models.training import JOB_KIND
from strongroom.vault.blobs import BlobRow

REPOSITORY = Path(__file__).resolve().parents[3]


def test_killed_while_training(tmp_path: Path) -> None:
    with trainingroom(tmp_path, start_jobs=False) as room:
        assert room.spends() == 0
    done = subprocess.run(
        [sys.executable, "-m", "tests.services.models.killed_training", str(tmp_path)],
        cwd=REPOSITORY, capture_output=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    # Spent with the commit, and from then on; a version with the commit that registers it.
    counts = dict(zip(MOMENTS, done.stdout.decode().splitlines(), strict=True))
    assert counts == {
        "job written, not committed": f"{signal.SIGKILL.value} 0 0",
        "registered, not committed": f"{signal.SIGKILL.value} 1 0",
        "registered, the job not ended": f"{signal.SIGKILL.value} 1 1",
    }
    with trainingroom(tmp_path, who="dean") as room:
        database, blobs = room.data.house.database, room.data.blobs
        with database.read() as session:
            (job,) = session.scalars(select(JobRow.id).where(JobRow.kind == JOB_KIND))
        status = room.jobs.wait(job, 120)
        # The third try finds what the second has registered.
        assert (status.state, status.attempts, status.result["version"]) == ("done", 3, 1)
        room.checked(str(status.result["entry"]))
        assert room.show().state == "checked"
        assert room.spends() == 1
        events = [e for e in room.data.house.events() if e.operation == "model.train"]
        assert [e.actor_kind for e in events] == ["person", "job"]
        with database.read() as session:
            assert "training-wish" not in session.scalars(select(BlobRow.kind)).all()
        assert blobs.sweep().removed  # what the first try had staged
        assert room.show().state == "checked"
