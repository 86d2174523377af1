"""Adds a table and dies by SIGKILL, at each of some moments; run by `test_crashes.py`.

python -m tests.services.data.killed_adding FOLDER: each death has a folder of its own.
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from sqlalchemy import event
from sqlalchemy.orm import Session
from tests.services.data.dataroom import dataroom
from tests.services.models.deaths import one_after_the_other

from strongroom.services.data.catalog import Catalog, Held
from strongroom.vault.folders import LocalUpload

ROWS = 20_000
CSV = b"name,n\n" + b"".join(b"name %d,%d\n" % (i, i) for i in range(ROWS))


def die(*_: object) -> object:
    """End as a power cut would end the process."""
    os.kill(os.getpid(), signal.SIGKILL)
    return None


def dying(place: type, name: str, *, before: bool) -> None:
    """Let the method `name` of `place` kill the process, before or after its work."""
    original: Callable[..., object] = getattr(place, name)

    def wrapped(*arguments: object, **named: object) -> object:
        if before:
            die()
        original(*arguments, **named)
        return die()

    setattr(place, name, wrapped)


MOMENTS: dict[str, Callable[[], None]] = {
    "first bytes written": lambda: dying(LocalUpload, "write", before=False),
    "before the file is synced": lambda: dying(LocalUpload, "finish", before=True),
    "file synced, no row": lambda: dying(LocalUpload, "finish", before=False),
    "rows written, not committed": lambda: dying(Catalog, "add", before=False),
    "before the commit": lambda: event.listen(Session, "before_commit", _die_with_rows),
    "committed, not answered": lambda: event.listen(Session, "after_commit", _die_with_rows),
}


def _die_with_rows(session: Session) -> None:
    """Die if this is the transaction of the operation, not one of the log's own."""
    if _adding:
        die(session)


_adding: list[bool] = []


def _die(folder: Path, moment: str) -> None:
    """Add the table until death."""
    with dataroom(folder) as room:
        room.add(CSV, "before")
        MOMENTS[moment]()
        add = Catalog.add

        def noted(catalog: Catalog, *arguments: Any, **named: Any) -> tuple[Held, bool]:  # noqa: ANN401 # passed on
            _adding.append(True)
            return add(catalog, *arguments, **named)

        if moment in {"before the commit", "committed, not answered"}:
            setattr(Catalog, "add", noted)  # noqa: B010 # mypy forbids the plain assignment
        room.add(CSV, "patients")


if __name__ == "__main__":
    alive = Path(sys.argv[1]) / "alive"
    alive.mkdir()
    with dataroom(alive) as living:
        living.add(CSV, "before")
    one_after_the_other(Path(sys.argv[1]), MOMENTS, _die)
