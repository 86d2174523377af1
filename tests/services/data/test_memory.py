"""A table is taken in within bounded memory."""

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
MEBIBYTES = 768
MAX_GROWTH_MIB = 650
"""Blocks of 16 MiB, a row group of 64 MiB, and what the allocator keeps; not the table."""


def test_the_peak_does_not_follow_the_size(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "tests.services.data.streamed_adding",
            str(tmp_path),
            str(MEBIBYTES),
        ],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        timeout=200,
        check=True,
    )
    growth, rows = map(int, done.stdout.split())
    assert rows > MEBIBYTES * 900
    assert growth < MAX_GROWTH_MIB
