"""Registers a model that converts and dies by SIGKILL, at each of some moments.

Run by `test_registering_killed.py`:

python -m tests.services.models.killed_registering FOLDER

One process after the other works and dies, each in a folder of its own.
"""

import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from sqlalchemy import event
from sqlalchemy.orm import Session
from tests.services.models.deaths import one_after_the_other
from tests.services.models.modelroom import CONVERTED, modelroom
from tests.services.models.test_importing import begin, perform, send

from strongroom.services.jobs.queue import Jobs
from strongroom.services.models import conversion
from strongroom.services.models.checking import Checker
from strongroom.services.models.import_types import SendFile
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
    "second file staged, no row": lambda: dying(BlobStore, "put", call=2),
    "before the registration's commit": lambda: dying_at_commit(
        Registry, "register", "before_commit"
    ),
    "registered, not acknowledged": lambda: dying_at_commit(Registry, "register", "after_commit"),
    "converted in the sandbox": lambda: dying(conversion, "convert"),
    "statement staged": lambda: dying(BlobStore, "put", call=4),
    "converted model staged": lambda: dying(BlobStore, "put", call=5),
    "before the decision's commit": lambda: dying_at_commit(Checker, "_record", "before_commit"),
    "decided, the job not ended": lambda: dying_at_commit(Checker, "_record", "after_commit"),
    "after the job's end": lambda: dying(Jobs, "_finish"),
}
"""Durable steps of a registration, up to the converted model; `killed_checking` has others."""

NEVER_REGISTERED = frozenset(list(MOMENTS)[:2])
"""Nothing may be seen of a registration that died then."""

DECIDED = frozenset(list(MOMENTS)[-2:])
"""The decision stands when it died then; in between the checks are done again."""


HALF_SENT = "half a file of an import sent"
"""Beside `MOMENTS`: `send_until_death` has no registration."""
IMPORTED = {"first.md": b"# sent before\n", "second.md": b"# of two parts\n" * 200_000}


def send_until_death(folder: Path) -> None:
    """Send an import's first file, and die in the middle of the second."""
    with modelroom(folder, start_jobs=False) as room:
        (folder / "sender").write_text(room.scientist.id)
        begun = begin(room, IMPORTED)
        send(room, begun, "first.md", IMPORTED["first.md"])
        content = IMPORTED["second.md"]
        request = SendFile(workspace="clinic", name=begun.name, id=begun.id, path="second.md")

        def half() -> Iterator[bytes]:
            yield content[: len(content) // 2]
            (folder / "half").touch()
            die()

        perform(room, room.scientist, "model.send_file", request, half())


if __name__ == "__main__":

    def _die(folder: Path, moment: str) -> None:
        """Register until death, or import."""
        if moment == HALF_SENT:
            send_until_death(folder)
        with modelroom(folder) as room:
            MOMENTS[moment]()
            entry = room.register(CONVERTED)
            (folder / "acknowledged").write_text(entry)
            room.wait(entry)
            time.sleep(60)  # the job's last step may come a moment after its end is seen

    alive = Path(sys.argv[1]) / "alive"
    alive.mkdir()
    with modelroom(alive) as living:
        living.checked(CONVERTED)
    one_after_the_other(Path(sys.argv[1]), [*MOMENTS, HALF_SENT], _die)
