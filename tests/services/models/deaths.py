"""Processes that die one after the other, forked from one that has loaded what all of them need."""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
LONGEST_SECONDS = 800


def one_after_the_other(
    folder: Path, moments: Iterable[str], die: Callable[[Path, str], None]
) -> None:
    """Let a process die at each moment in a folder of its own, called by the moment's number.

    What signals ended them is written into the file `ended`. Whoever calls has lived through all of
    it once, so that what is loaded at its first use is loaded for all of them; threads are over.
    """
    assert threading.active_count() == 1
    ended = []
    for number, moment in enumerate(moments):
        own = folder / str(number)
        own.mkdir()
        child = os.fork()
        if child == 0:
            try:
                die(own, moment)
            finally:
                os._exit(1)
        _, status = os.waitpid(child, 0)
        ended.append(str(os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0))
    (folder / "ended").write_text(" ".join(ended))


def folders_of_deaths(module: str, folder: Path, moments: Iterable[str]) -> Mapping[str, Path]:
    """Run `module`, which calls `one_after_the_other`; the folder that each death left."""
    moments = list(moments)
    done = subprocess.run(
        [sys.executable, "-m", module, str(folder)],
        cwd=REPOSITORY,
        capture_output=True,
        timeout=LONGEST_SECONDS,
        check=False,
    )
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    ended = [int(one) for one in (folder / "ended").read_text().split()]
    assert ended == [signal.SIGKILL] * len(moments), done.stderr.decode()[-2000:]
    return {moment: folder / str(number) for number, moment in enumerate(moments)}
