"""Asks for models and dies by SIGKILL, at each of some moments; run by `test_training_killed.py`.

python -m tests.services.models.killed_training FOLDER: one process after the other works and dies;
what signal ended it, and how many spends and versions there are then, is said, a line each.
"""

import os
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.services.models.killed_registering import dying, dying_at_commit
from tests.services.models.trainingroom import trainingroom

from strongroom.engines.privacy.dp.training.noise import rho_for
from strongroom.services.jobs.queue import Jobs
from strongroom.services.models.registry import Registry
from strongroom.services.models.training import Trainer

EPSILON = 0.8
MOMENTS: dict[str, tuple[bool, Callable[[], None]]] = {
    "job written, not committed": (True, lambda: dying(Jobs, "enqueue")),
    "registered, not committed": (True, lambda: dying_at_commit(
        Registry, "register", "before_commit")),
    "registered, the job not ended": (False, lambda: dying(Trainer, "_tried")),
}  # fmt: skip
"""Whether it asks for a model, or goes on with what the one before has left; and when it dies."""


def _work(folder: Path, number: int, moment: str) -> None:
    """Until death."""
    asks, break_it = MOMENTS[moment]
    with trainingroom(folder, who=f"dana{number}", start_jobs=False) as room:
        break_it()
        if asks:
            room.train(epsilon=EPSILON)
        room.jobs.start()
        time.sleep(120)


def _count(folder: Path, table: str) -> int:
    with sqlite3.connect(folder / "data.db") as database:
        found = database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()  # noqa: S608 # ours
    return int(found[0])


def main(folder: Path) -> None:
    """One death after the other."""
    rho_for(EPSILON, 1e-6)  # what all of them need is found once
    for number, moment in enumerate(MOMENTS):
        child = os.fork()
        if child == 0:
            _work(folder, number, moment)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        counts = _count(folder, "privacy_spends"), _count(folder, "model_entries")
        sys.stdout.write(f"{ended} {counts[0]} {counts[1]}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
