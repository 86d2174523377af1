"""Adds a large CSV and says how much memory that took; run by `test_memory.py`.

python -m tests.services.data.streamed_adding FOLDER MEBIBYTES
"""

import resource
import sys
from collections.abc import Iterator
from pathlib import Path

from tests.services.data.dataroom import dataroom

from strongroom.services.data.types import AddDataset

_ROWS = b"".join(b"person %d,%d,%s\n" % (i, i, b"%d " % i * 200) for i in range(1_000))


def body(mebibytes: int) -> Iterator[bytes]:
    """A CSV of that size."""
    yield b"name,n,x\n"
    for _ in range(mebibytes * 2**20 // len(_ROWS)):
        yield _ROWS


def main(folder: Path, mebibytes: int) -> None:
    """Print the growth of the peak in MiB, and the rows taken in."""
    with dataroom(folder, max_field_bytes=16 << 20) as room:
        room.add(b"a,b\nAda Lovelace,1\nAlan Turing,2\n", "first")  # loads what is loaded once
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        request = AddDataset(workspace="clinic", name="large")
        added = room.call(room.owner, "data.add", request, body(mebibytes))
        after = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    sys.stdout.write(f"{(after - before) // 1024} {added.rows}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
