"""Asks for releases and dies by SIGKILL, at each of some moments; run by `test_releases_killed.py`.

python -m tests.services.data.killed_releasing FOLDER: one process after the other works and dies;
what signal ended it, and how many spends and releases there are then, is said, a line each.
"""

import os
import sqlite3
import sys
import time
from collections.abc import Callable
from pathlib import Path

from tests.services.data.killed_adding import die, dying
from tests.services.data.releaseroom import ReleaseRoom, recipe, releaseroom
from tests.services.models.killed_registering import dying_at_commit

from strongroom.engines.privacy.dp.accounting import Composition, Cost
from strongroom.engines.privacy.dp.mechanisms import warm_up
from strongroom.engines.privacy.dp.sql import parse_sql
from strongroom.engines.privacy.dp.training.noise import rho_for
from strongroom.services.data import release_query
from strongroom.services.data.release_query import ReleaseQueryOperations
from strongroom.services.data.release_synthesizing import Synthesizing
from strongroom.services.data.release_types import ReleaseQuery, SynthesizeRelease
from strongroom.services.data.releases import Releases
from strongroom.services.jobs.queue import Jobs
from strongroom.services.jobs.sandbox import Worker

SQL = "SELECT COUNT(*) FROM data"
EPSILON = 0.5
DOMAIN = """
[target]
name = "illness"
values = ["flu", "gout"]
[columns.age]
low = 0
high = 60
"""


def query(room: ReleaseRoom) -> None:
    """Ask for an answer as a release."""
    request = ReleaseQuery(
        workspace="clinic", name="patients", sql=SQL, epsilon=EPSILON, purpose="study",
        recipients=["nina"],
    )  # fmt: skip
    room.data.call(room.owner, "data.release_query", request)


def synthesize(room: ReleaseRoom) -> None:
    """Ask for made-up rows, and work until death."""
    request = SynthesizeRelease(
        workspace="clinic", name="patients", epsilon=EPSILON, purpose="study", recipients=["nina"]
    )
    room.call(room.owner, "data.release_synthetic", request, DOMAIN)
    _work(room)


def anonymize(room: ReleaseRoom) -> None:
    """Ask for an anonymized release, and work until death."""
    room.ask(recipe(), recipients=["nina"])
    _work(room)


def _work(room: ReleaseRoom) -> None:
    room.jobs.start()
    time.sleep(120)


def _going_on(place: type, name: str, then: Callable[[], None]) -> None:
    """Break the next thing only once `name` was called."""
    original: Callable[..., object] = getattr(place, name)

    def wrapped(*arguments: object, **named: object) -> object:
        then()
        return original(*arguments, **named)

    setattr(place, name, wrapped)


MOMENTS: dict[str, tuple[Callable[[ReleaseRoom], None], Callable[[], None]]] = {
    "query noted, not committed": (query, lambda: dying(Releases, "new", before=False)),
    "query paid, no row read": (query, lambda: dying(
        ReleaseQueryOperations, "_rows", before=True)),
    "query answered, nothing sealed": (query, lambda: setattr(release_query, "_table", die)),
    "query sealed, not committed": (query, lambda: dying_at_commit(
        Releases, "set", "before_commit")),
    "made-up rows noted, not committed": (synthesize, lambda: dying(
        Jobs, "enqueue", before=False)),
    "anonymized rows sealed, not committed": (anonymize, lambda: dying_at_commit(
        Releases, "set", "before_commit")),
    "the sandbox has the rows to be made up": (synthesize, lambda: _going_on(
        Synthesizing, "make", lambda: dying(Worker, "request", before=False))),
}  # fmt: skip
"""What is asked for, and when it dies. Jobs of one moment are gone on with in the next."""


def _die(folder: Path, number: int, moment: str) -> None:
    work, break_it = MOMENTS[moment]
    with releaseroom(folder, who=f"-{number}", start_jobs=False) as room:
        break_it()
        work(room)


def _count(folder: Path, table: str) -> int:
    with sqlite3.connect(folder / "data.db") as database:
        found = database.execute(f"SELECT COUNT(*) FROM {table}").fetchone()  # noqa: S608 # ours
    return int(found[0])


def main(folder: Path) -> None:
    """One death after the other."""
    warm_up()  # what all of them need is loaded and found once
    parse_sql(SQL)
    Composition.of(Cost.pure(EPSILON)).epsilon(1e-6)
    rho_for(EPSILON, 1e-6)
    for number, moment in enumerate(MOMENTS):
        child = os.fork()
        if child == 0:
            _die(folder, number, moment)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        ended = os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0
        counts = _count(folder, "privacy_spends"), _count(folder, "dataset_releases")
        sys.stdout.write(f"{ended} {counts[0]} {counts[1]}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
