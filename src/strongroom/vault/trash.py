"""What a sweep takes away is kept for some days, in case the database is the one that is wrong.

A file without a row is usually what a crash left. But where an older database was put beside newer
files, it is somebody's data. So sweeps move such files here, and a later sweep brings back those
that have a row again; only what nobody missed for `KEPT` is deleted. Deleting on purpose does not
pass here.
"""

import os
import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path

from strongroom.errors import UnavailableError
from strongroom.vault.durable import sync_folder

FOLDER = "trash"
KEPT = timedelta(days=14)
"""How long what was swept is kept."""


class Trash:
    """A folder beside the objects of a local store.

    Args:
        root: folder of the store.
        clock: seconds since 1970, UTC.
    """

    def __init__(self, root: Path, clock: Callable[[], float] = time.time) -> None:
        self._folder = root / FOLDER
        self._clock = clock
        self._folder.mkdir(mode=0o700, exist_ok=True)

    def put(self, path: Path) -> None:
        """Take a file away. A crash in between leaves it in one of both places."""
        try:
            # When it was taken away is its time from now on: nothing else is kept of it.
            os.utime(path, (self._clock(), self._clock()))
            path.rename(self._folder / path.name)
            sync_folder(self._folder)
        except FileNotFoundError:
            return
        except OSError:
            raise UnavailableError("the blob store cannot be written") from None

    def take_back(self, path: Path) -> bool:
        """Put a file back in its place; whether it was here."""
        try:
            (self._folder / path.name).rename(path)
            sync_folder(path.parent)
        except FileNotFoundError:
            return False
        except OSError:
            raise UnavailableError("the blob store cannot be written") from None
        return True

    def names(self) -> Iterator[tuple[str, int]]:
        """Name and size of each file."""
        with os.scandir(self._folder) as entries:
            for entry in entries:
                if entry.is_file(follow_symlinks=False):
                    yield entry.name, entry.stat(follow_symlinks=False).st_size

    def empty(self, kept: timedelta = KEPT) -> int:
        """Delete for good what was taken away longer ago than `kept`; how many files."""
        before = self._clock() - kept.total_seconds()
        gone = 0
        try:
            with os.scandir(self._folder) as entries:
                for entry in entries:
                    if (
                        entry.is_file(follow_symlinks=False)
                        and entry.stat(follow_symlinks=False).st_mtime < before
                    ):
                        Path(entry.path).unlink(missing_ok=True)
                        gone += 1
        except OSError:
            raise UnavailableError("the blob store cannot be written") from None
        return gone
