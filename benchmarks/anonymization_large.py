"""Ten million rows, out of core: time and memory of the whole command, run once.

Needs `../shared/data/adult`, whose rows are drawn ten million times with a tenth of the cells
exchanged. `python -m benchmarks.anonymization_large [ROWS]` takes some minutes of one core and
500 MB of disk, which it gives back.
"""

import os
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet as pq

FOLDER = Path(__file__).resolve().parents[1] / "../shared/data/adult"
ROWS = 10_000_000
_BATCH = 500_000


def drawn(table: pa.Table, rows: int, seed: int) -> pa.Table:
    """So many rows of the table at random, a tenth of the cells from other rows."""
    chance = np.random.default_rng(seed)
    pick = chance.integers(0, table.num_rows, rows)
    columns = {}
    for name in table.column_names:
        places = pick.copy()
        other = chance.random(rows) < 0.1
        places[other] = chance.integers(0, table.num_rows, int(other.sum()))
        columns[name] = table.column(name).take(places)
    return pa.table(columns).combine_chunks()


def written(table: pa.Table, file: Path, rows: int) -> None:
    """A Parquet file of so many rows."""
    with pq.ParquetWriter(file, table.schema, compression="zstd") as writer:
        for at, start in enumerate(range(0, rows, _BATCH)):
            writer.write_table(drawn(table, min(_BATCH, rows - start), at))


def command(arguments: list[str], folder: Path) -> tuple[float, float, float, str]:
    """CPU-seconds, seconds, GiB at the most, and the words of one run of `strongroom`."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    started = time.perf_counter()
    done = subprocess.run(
        [sys.executable, "-m", "strongroom.faces.cli.main", *arguments],
        cwd=folder, capture_output=True, text=True, check=False, env={**os.environ, "LC_ALL": "C"},
    )  # fmt: skip
    seconds = time.perf_counter() - started
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    if done.returncode:
        raise RuntimeError(done.stderr[-2000:])
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return cpu, seconds, after.ru_maxrss / 2**20, done.stderr.strip()


def main() -> None:
    """Draw, anonymize, print."""
    if not FOLDER.is_dir():
        print("left out: there is no ../shared/data/adult")
        return
    rows = int(sys.argv[-1]) if sys.argv[-1].isdigit() else ROWS
    options = pyarrow.csv.ParseOptions(delimiter=";")
    table = pyarrow.csv.read_csv(FOLDER / "adult.csv", parse_options=options)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        trees = folder / "trees"
        trees.mkdir()
        for column in table.column_names:
            text = (FOLDER / f"adult_hierarchy_{column}.csv").read_text()
            (trees / f"{column}.csv").write_text(text)
        written(table, folder / "big.parquet", rows)
        asked = [one for column in table.column_names for one in ("--quasi", column)]
        cpu, seconds, memory, words = command(
            ["anonymize", "big.parquet", "--large", "--k", "5", *asked, "--hierarchies", "trees",
             "-o", "safe.parquet"], folder,
        )  # fmt: skip
        print(words)
        print(f"{rows:,} rows: {cpu:.0f} CPU-seconds, {seconds:.0f} s, at most {memory:.2f} GiB")


if __name__ == "__main__":
    main()
