"""Registers a model and dies by SIGKILL at a chosen moment; run by `test_crashes.py`.

python -m tests.services.models.killed_registering FOLDER MOMENT
"""

import os
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.orm import Session
from tests.services.models.modelroom import honest_pickle, mlflow_folder, modelroom

from strongroom.services.jobs.queue import Jobs
from strongroom.services.models import conversion
from strongroom.services.models.checking import Checker
from strongroom.services.models.files import ModelFiles
from strongroom.services.models.registry import Registry
from strongroom.vault.blobs import BlobStore


def die(*_: object, **__: object) -> None:
    """End as a power cut would end the process."""
    os.kill(os.getpid(), signal.SIGKILL)


def dying(place: object, name: str, *, call: int = 1, before: bool = False) -> None:
    """Let the `call`-th call of `name` kill the process, before or after its work."""
    original: Callable[..., object] = getattr(place, name)
    left = [call]

    def wrapped(*arguments: object, **named: object) -> object:
        left[0] -= 1
        if before and left[0] == 0:
            die()
        answer = original(*arguments, **named)
        if left[0] == 0:
            die()
        return answer

    setattr(place, name, wrapped)


def dying_at_commit(place: type, name: str, when: str) -> None:
    """Die `before_commit` or `after_commit` of the transaction in which `name` was called."""
    original: Callable[..., object] = getattr(place, name)

    def wrapped(*arguments: object, **named: object) -> object:
        answer = original(*arguments, **named)
        event.listen(Session, when, die)
        return answer

    setattr(place, name, wrapped)


MOMENTS: dict[str, Callable[[], None]] = {
    # Taking the files in: two blobs, each staged, then its row committed.
    "first file staged, no row": lambda: dying(BlobStore, "put", call=1),
    "second file staged, no row": lambda: dying(BlobStore, "put", call=2),
    # Registering: rows of version and files and the job, in one transaction.
    "job asked for, not committed": lambda: dying(Registry, "enqueue_check"),
    "before the registration's commit": lambda: dying_at_commit(
        Registry, "register", "before_commit"
    ),
    "registered, not acknowledged": lambda: dying_at_commit(Registry, "register", "after_commit"),
    # Checking: claimed, hashed, converted, staged, decided, the job ended.
    "job claimed, nothing looked at": lambda: dying(Checker, "check", before=True),
    "files hashed": lambda: dying(ModelFiles, "manifest"),
    "converted in the sandbox": lambda: dying(conversion, "convert"),
    "report staged": lambda: dying(BlobStore, "put", call=3),
    "statement staged": lambda: dying(BlobStore, "put", call=4),
    "converted model staged": lambda: dying(BlobStore, "put", call=5),
    "rows of the decision written": lambda: dying(Checker, "_write"),
    "before the decision's commit": lambda: dying_at_commit(Checker, "_record", "before_commit"),
    "decided, the job not ended": lambda: dying_at_commit(Checker, "_record", "after_commit"),
    "before the job's end": lambda: dying(Jobs, "_finish", before=True),
    "after the job's end": lambda: dying(Jobs, "_finish"),
}
"""Every durable step of a registration."""

NEVER_REGISTERED = frozenset(list(MOMENTS)[:4])
"""Nothing may be seen of a registration that died then."""

DECIDED = frozenset(list(MOMENTS)[-3:])
"""The decision stands when it died then; in between the checks are done again."""


def main(folder: Path, moment: str) -> None:
    """Register until death."""
    with modelroom(folder) as room:
        MOMENTS[moment]()
        entry = room.register(mlflow_folder(honest_pickle()))
        sys.stdout.write(f"{entry}\n")
        sys.stdout.flush()
        room.wait(entry)
        # The job's end is waited for; its last words may come a moment later.
        room.jobs.stop()
    sys.exit("it was meant to die")


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
