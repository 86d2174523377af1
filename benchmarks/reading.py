"""Reading files against plain pyarrow on the same bytes: CPU-seconds of one pass, and the ratio.

Plain pyarrow checks nothing: no limits, no verified values, no encodings, no leading zeros. The
candidates alternate, and the median of the rounds counts. For the forms that pyarrow does not
read, the other side is what reads them elsewhere, or the speed alone is shown.
"""

import gzip
import io
import json
import statistics
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa
import pyarrow.csv
import pyarrow.json
import pyarrow.parquet as pq

from strongroom.engines.reading.reading import read_one
from strongroom.engines.reading.types import Form, ReadLimits, ReadOptions
from strongroom.services.data.sandboxed_tables import SandboxedTables
from strongroom.services.jobs import sandbox

ROUNDS = 5
ROWS = 300_000

Candidates = dict[str, Callable[[], int]]


def _table() -> pa.Table:
    choose = np.random.default_rng(1)
    numbers = {f"n{i}": choose.random(ROWS).round(6) for i in range(4)}
    words = {
        "name": [f"Person {i}" for i in range(ROWS)],
        "city": [f"City {i % 500}" for i in range(ROWS)],
        "note": [f"seen on ward {i % 31}, to return" for i in range(ROWS)],
    }
    return pa.table({"id": np.arange(ROWS), **numbers, **words})


def _ours(content: bytes, member: str | None = None) -> Callable[[], int]:
    def run() -> int:
        table = read_one(io.BytesIO(content), name="file", options=ReadOptions(member=member))
        return sum(batch.num_rows for batch in table.batches)

    return run


def _measure(title: str, size: int, candidates: Candidates) -> None:
    seen: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(ROUNDS + 1):
        for name, candidate in candidates.items():
            started = time.process_time()
            candidate()
            if number:
                seen[name].append(time.process_time() - started)
    medians = {name: statistics.median(times) for name, times in seen.items()}
    ours = medians.pop("ours")
    rates = [f"{size / 1e6 / ours:7.0f} MB a CPU-second"]
    rates += [f"{ours / other:5.2f} times the CPU of {name}" for name, other in medians.items()]
    print(f"{title:<22} {size / 1e6:6.0f} MB  {'; '.join(rates)}", flush=True)


def _wall_in_sandbox(content: bytes) -> None:
    """What the sandbox costs: starting it, and carrying the file in and the batches out."""
    confined = SandboxedTables(ReadLimits(), 4 << 30, sandbox.DEFAULT_REQUIRED)

    def run(file: bytes) -> float:
        started = time.perf_counter()
        opened = io.BufferedReader(io.BytesIO(file))
        with confined.reading(
            opened, name="f", form=Form.AUTO, options=ReadOptions(), size=len(file)
        ) as table:
            for _ in table.batches:
                pass
        return time.perf_counter() - started

    sink = io.BytesIO()
    pq.write_table(pa.table({"a": [1]}), sink)
    small = statistics.median(run(sink.getvalue()) for _ in range(ROUNDS))
    large = statistics.median(run(content) for _ in range(3))
    started = time.perf_counter()
    _ours(content)()
    here = time.perf_counter() - started
    print(f"\nParquet in the sandbox (wall time): {small:.2f} s for one row; "
          f"{large:.2f} s for {len(content) / 1e6:.0f} MB, {here:.2f} s in process")  # fmt: skip


def main() -> None:
    """Print a line a form."""
    table = _table()
    rows = table.slice(0, ROWS // 3).to_pylist()
    text = io.BytesIO()
    pa.csv.write_csv(table, text)
    csv = text.getvalue()
    _measure("csv", len(csv), {
        "ours": _ours(csv),
        "pyarrow": lambda: sum(b.num_rows for b in pa.csv.open_csv(io.BytesIO(csv))),
    })  # fmt: skip
    western = csv.replace(b"Person", "Pérson".encode("cp1252"))
    _measure("csv, windows-1252", len(western), {"ours": _ours(western)})
    lines = "".join(json.dumps(row) + "\n" for row in rows).encode()
    _measure("jsonl", len(lines), {
        "ours": _ours(lines),
        "pyarrow": lambda: pa.json.read_json(io.BytesIO(lines)).num_rows,
    })  # fmt: skip
    nested = json.dumps({"page": 1, "people": rows}, indent=1).encode()
    _measure("json, nested", len(nested), {
        "ours": _ours(nested, "people"),
        "json.loads": lambda: pa.Table.from_pylist(json.loads(nested)["people"]).num_rows,
    })  # fmt: skip
    sink = io.BytesIO()
    pq.write_table(table, sink)
    parquet = sink.getvalue()
    _measure("parquet", len(parquet), {
        "ours": _ours(parquet),
        "pyarrow": lambda: sum(map(len, pq.ParquetFile(io.BytesIO(parquet)).iter_batches())),
    })  # fmt: skip
    sink = io.BytesIO()
    with pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    arrow = sink.getvalue()
    _measure("arrow", len(arrow), {
        "ours": _ours(arrow),
        "pyarrow": lambda: pa.ipc.open_stream(io.BytesIO(arrow)).read_all().num_rows,
    })  # fmt: skip
    log = b"".join(b"2024-01-01 10:00:%02d INFO person %d logged in\n" % (i % 60, i)
                   for i in range(ROWS))  # fmt: skip
    _measure("log", len(log), {"ours": _ours(log)})
    packed = gzip.compress(csv, 6)
    _measure("csv in gzip", len(csv), {
        "ours": _ours(packed),
        "gzip and pyarrow": lambda: pa.csv.read_csv(io.BytesIO(gzip.decompress(packed))).num_rows,
    })  # fmt: skip
    _wide()
    _wall_in_sandbox(parquet)


def _wide() -> None:
    names = ",".join(f"c{i}" for i in range(10_000)) + "\n"
    wide = (names + (",".join(str(i) for i in range(10_000)) + "\n") * 200).encode()
    _measure("csv, 10,000 columns", len(wide), {
        "ours": _ours(wide),
        "pyarrow": lambda: sum(b.num_rows for b in pa.csv.open_csv(io.BytesIO(wide))),
    })  # fmt: skip
