"""A server killed while it makes releases: spends count, and nothing is half published."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest
from tests.services.data.budgetroom import budget_of, set_budget
from tests.services.data.killed_releasing import EPSILON, MOMENTS
from tests.services.data.releaseroom import ReleaseRoom, patients, releaseroom

from strongroom.errors import RefusedError, StateError
from strongroom.services.data.release_record import LONGEST_CALL

REPOSITORY = Path(__file__).resolve().parents[3]
DAY = 86_400
DEAD = {
    # Spends and releases after each death.
    "query noted, not committed": (0, 0),
    "query paid, no row read": (1, 1),
    "query answered, nothing sealed": (2, 2),
    "query sealed, not committed": (3, 3),
    "made-up rows noted, not committed": (3, 3),
    "anonymized rows sealed, not committed": (3, 4),
    "the sandbox has the rows to be made up": (4, 5),
}
QUERIES = (1, 2, 3)
ANONYMIZED, SYNTHETIC = 4, 5


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the deaths have left."""
    made = tmp_path_factory.mktemp("killed")
    with releaseroom(made, start_jobs=False) as room:
        room.data.add(patients(), subject_column="id")
        set_budget(room.data, room.owner, 5.0, delta=1e-6)
        room.data.house.person("nina")
    done = subprocess.run(
        [sys.executable, "-m", "tests.services.data.killed_releasing", str(made)],
        cwd=REPOSITORY, capture_output=True, timeout=280, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    told = [tuple(map(int, line.split())) for line in done.stdout.decode().splitlines()]
    assert dict(zip(MOMENTS, told, strict=True)) == {
        moment: (signal.SIGKILL.value, *counts) for moment, counts in DEAD.items()
    }
    return made


def test_killed_while_making_releases(folder: Path) -> None:
    with releaseroom(folder, who="-after", start_jobs=False) as room:
        assert [room.show(number).shown.state for number in range(1, 6)] == ["making"] * 5
        for number in range(1, 6):
            _require_closed(room, number)
        spends = budget_of(room.data, room.owner).spends
        assert [one.kind for one in spends] == ["release"] * 4
        asked = [e.operation for e in room.data.house.events() if e.outcome == "allowed"]
        assert asked.count("data.release_query") == 3
        assert asked.count("data.release_synthetic") == 1
        # Jobs are tried again; calls are not, and after a while their releases say so.
        room.jobs.start()
        for number in (ANONYMIZED, SYNTHETIC):
            status = room.jobs.wait(room.show(number).shown.job, 240)
            assert (status.state, status.result["state"]) == ("done", "waiting"), status
        room.pass_days(LONGEST_CALL.total_seconds() / DAY)
        for number in QUERIES:
            shown = room.show(number).shown
            assert (shown.state, shown.refusal) == ("refused", "the server ended while it was made")
            assert shown.next_step.endswith("the epsilon counts as spent")
            _require_closed(room, number)
        assert room.show(ANONYMIZED).shown.rows == 60
        proof = room.show(SYNTHETIC).synthetic
        assert proof is not None
        assert proof.epsilon == EPSILON
        assert len(budget_of(room.data, room.owner).spends) == 4
        report = room.data.blobs.sweep()
        assert len(report.removed) == 3  # of a query, and two tables of the anonymized release
        assert (report.missing, report.changed) == ((), ())
        room.call(room.officer, "data.approve_release", room.reference(SYNTHETIC))


def _require_closed(room: ReleaseRoom, number: int) -> None:
    with pytest.raises(StateError):
        room.call(room.officer, "data.approve_release", room.reference(number))
    with pytest.raises(RefusedError):
        room.read(number)
