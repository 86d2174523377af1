"""A disk that can really be filled: a small tmpfs in a namespace of its own, without root."""

import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

PIECE = 2**16


@dataclass(frozen=True, slots=True)
class SmallDisk:
    """A disk of few MiB.

    Attributes:
        mount: where it is within its namespace.
        seen_at: where it is seen from here.
        prefix: the command that runs another within the namespace.
    """

    mount: Path
    seen_at: Path
    prefix: tuple[str, ...]

    @property
    def free_bytes(self) -> int:
        """What may still be written."""
        return shutil.disk_usage(self.seen_at).free

    def fill(self, leave_bytes: int = 0) -> None:
        """Fill the disk, up to what is to be left."""
        with (self.seen_at / "filler").open("ab", buffering=0) as filler:
            # To the very end in ever smaller pieces: the last page may not fit.
            for piece in (PIECE, 4096, 1):
                with suppress(OSError):
                    while self.free_bytes > leave_bytes:
                        filler.write(bytes(min(piece, max(self.free_bytes - leave_bytes, 1))))

    def free(self) -> None:
        """Make room again."""
        (self.seen_at / "filler").unlink()


@contextmanager
def small_disk(folder: Path, mebibytes: int) -> Iterator[SmallDisk]:
    """Mount a disk of that size at `folder`; skips where no one but root may mount."""
    folder.mkdir()
    mounting = (
        f"mount -t tmpfs -o size={mebibytes}m,mode=700 tmpfs '{folder}' && echo mounted && exec cat"
    )
    try:
        holder = subprocess.Popen(
            ["unshare", "--user", "--map-root-user", "--mount", "sh", "-c", mounting],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
    except FileNotFoundError:
        pytest.skip("no `unshare` to mount a small disk with")
    with holder:
        assert holder.stdin is not None
        assert holder.stdout is not None
        assert holder.stderr is not None
        if holder.stdout.readline() != "mounted\n":
            pytest.skip(f"no small disk can be mounted here: {holder.stderr.read().strip()}")
        enter = (
            "nsenter", f"--target={holder.pid}", "--user", "--mount", "--preserve-credentials", "--"
        )  # fmt: skip
        yield SmallDisk(folder, Path(f"/proc/{holder.pid}/root") / folder.relative_to("/"), enter)
        # The disk is gone with the last process that sees it.
        holder.stdin.close()


def sealed_files(home: Path) -> set[str]:
    """Names of the sealed files in a home; what was swept away waits in the trash."""
    blobs = home / "blobs"
    found = (entry for entry in blobs.rglob("*") if entry.is_file())
    return {entry.name for entry in found if entry.relative_to(blobs).parts[0] != "trash"}
