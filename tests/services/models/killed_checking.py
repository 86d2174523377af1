"""Registers a model and dies by SIGKILL at each of some moments of its checks.

Run by `test_crashes.py`; as `killed_registering`, it forks for each death:

python -m tests.services.models.killed_checking FOLDER
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tests.services.models.deaths import one_after_the_other
from tests.services.models.modelroom import PLAIN, modelroom

from strongroom.services.models.checking import Checker
from strongroom.services.models.files import ModelFiles
from strongroom.services.models.operations import ModelOperations
from strongroom.services.models.registry import Registry
from strongroom.vault.blobs import BlobStore


def die() -> None:
    """End as a power cut would end the process."""
    os.kill(os.getpid(), signal.SIGKILL)
    time.sleep(60)


def dying(place: type, name: str, *, before: bool) -> None:
    """Let the method `name` of `place` kill the process, before or after its work."""
    original: Callable[..., Any] = getattr(place, name)

    def wrapped(*arguments: Any, **named: Any) -> Any:  # noqa: ANN401 # passed on
        if before:
            die()
        result = original(*arguments, **named)
        die()
        return result

    setattr(place, name, wrapped)


MOMENTS: dict[str, Callable[[], None]] = {
    "registering, not committed": lambda: dying(Registry, "register", before=False),
    "while it is hashed": lambda: dying(ModelFiles, "manifest", before=False),
    "scanned, nothing stored": lambda: dying(Checker, "_decide", before=True),
    "report sealed, no row": lambda: dying(BlobStore, "put", before=False),
    "rows written, not committed": lambda: dying(Checker, "_record", before=False),
    "decided, job not finished": lambda: dying(Checker, "_decide", before=False),
}


def _die(folder: Path, moment: str) -> None:
    """Register and check until death."""
    with modelroom(folder, start_jobs=False) as room:
        files = room.seal(PLAIN)
        MOMENTS[moment]()
        entry = room.register_sealed(files)
        assert isinstance(room.room, ModelOperations)
        room.jobs.start()
        room.wait(entry)
        time.sleep(60)


if __name__ == "__main__":
    alive = Path(sys.argv[1]) / "alive"
    alive.mkdir()
    with modelroom(alive) as living:
        living.checked(PLAIN)
    one_after_the_other(Path(sys.argv[1]), MOMENTS, _die)
