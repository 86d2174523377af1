"""A whole drift report of a million rows by fifty columns, its state, and peers on the same data.

Five of the columns are shifted by a tenth of a standard deviation. Peers run where they are
installed: SciPy's two-sample Kolmogorov-Smirnov test and a chi-square test over ten bins on each
column, and DataSketches' quantile sketches, whose merging is not exact. Those that do not install
beside us run with the interpreter that an environment variable names, e.g. STRONGROOM_PEER_NANNYML
or STRONGROOM_PEER_RIVER, at the size of STRONGROOM_PEER_ROWS; see `drift_peers.py`.
Times are wall and CPU seconds, the median of rounds.
"""

import importlib.util
import json
import os
import resource
import statistics
import subprocess
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
from scipy import stats

from benchmarks.drift_peers import COLUMNS, PEERS, SHIFT, SHIFTED
from benchmarks.drift_peers import columns as drawn
from strongroom.engines.drift.comparison import compare
from strongroom.engines.drift.detectors import Adwin
from strongroom.engines.drift.document import report_json
from strongroom.engines.drift.estimation import estimated
from strongroom.engines.drift.packing import to_bytes
from strongroom.engines.drift.plan import Floats, Plan
from strongroom.engines.drift.planning import plan_of
from strongroom.engines.drift.scores import ScoreState
from strongroom.engines.drift.state import State

PEER_SECONDS = 600
SIZES = (100_000, 1_000_000)
SAMPLE_ROWS = 50_000
ROUNDS = 3


def _table(rows: int, seed: int, shift: float) -> pa.Table:
    return pa.table(dict(drawn(rows, seed, shift)))


def _measured(work: Callable[[], object], rounds: int = ROUNDS) -> tuple[float, float]:
    """Median wall and CPU seconds."""
    seen = []
    for _ in range(rounds):
        wall, cpu = time.perf_counter(), time.process_time()
        work()
        seen.append((time.perf_counter() - wall, time.process_time() - cpu))
    return statistics.median(one[0] for one in seen), statistics.median(one[1] for one in seen)


def _counted(table: pa.Table, plan: Plan) -> State:
    state = State(plan)
    state.update(table)
    return state


def _report(rows: int) -> None:
    reference, current = _table(rows, 1, 0.0), _table(rows, 2, SHIFT)
    step = max(rows // SAMPLE_ROWS, 1)
    sample = reference.take(np.arange(0, rows, step))
    plan = plan_of(sample)
    first = _counted(reference, plan)
    print(f"\n{rows:,} rows x {COLUMNS} columns, {SHIFTED} shifted by {SHIFT}")
    steps: dict[str, Callable[[], object]] = {
        "plan from a sample": lambda: plan_of(sample),
        "count one sample": lambda: _counted(current, plan),
        "compare and write JSON": lambda: report_json(compare(first, second)),
        "report of a current sample": lambda: report_json(
            compare(first, _counted(current, plan))),
        "report of both samples, plan and all": lambda: report_json(
            compare(_counted(reference, plan_of(sample)), _counted(current, plan))),
    }  # fmt: skip
    second = _counted(current, plan)
    for title, work in steps.items():
        wall, cpu = _measured(work)
        print(f"  {title:<38} {wall:7.3f} s wall {cpu:7.3f} s CPU")
    found = compare(first, second)
    hits = {one.name for one in found.columns if one.q_value <= found.thresholds.rate}
    right = {f"n{at}" for at in range(SHIFTED)}
    print(f"  found {len(hits & right)} of {SHIFTED}, {len(hits - right)} false")
    print(f"  state {len(to_bytes(first)):,} bytes with its plan, "
          f"{len(to_bytes(first, with_plan=False)):,} without")  # fmt: skip
    print(f"  peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024:,} MiB, both "
          "tables included")  # fmt: skip
    columns = [
        (reference[name].to_numpy(), current[name].to_numpy()) for name in reference.schema.names
    ]
    wall, cpu = _measured(lambda: [stats.ks_2samp(a, b, method="asymp") for a, b in columns], 1)
    print(f"  {'SciPy, KS on each column':<38} {wall:7.3f} s wall {cpu:7.3f} s CPU")
    wall, cpu = _measured(lambda: [_chi_square(a, b) for a, b in columns], 1)
    print(f"  {'SciPy, chi-square over ten bins':<38} {wall:7.3f} s wall {cpu:7.3f} s CPU")


def _chi_square(reference: Floats, current: Floats) -> float:
    edges = np.quantile(reference, np.linspace(0.1, 0.9, 9))
    counts = [
        np.bincount(np.searchsorted(edges, one), minlength=10) for one in (reference, current)
    ]
    return float(stats.chi2_contingency(counts).pvalue)


def _peers(rows: int) -> None:
    """Peers in environments of their own, and we between them, on the same data."""
    print(f"\n{rows:,} rows x {COLUMNS} columns, each peer in its own process")
    reference, current = _table(rows, 1, 0.0), _table(rows, 2, SHIFT)
    script = Path(__file__).with_name("drift_peers.py")
    for name in PEERS:
        python = os.environ.get(f"STRONGROOM_PEER_{name.upper().replace('-', '_')}")
        if python is None:
            print(f"  {name}: no interpreter is named: left out")
            continue
        wall, cpu = _measured(
            lambda: report_json(
                compare(_counted(reference, plan := plan_of(reference)), _counted(current, plan))
            )
        )
        try:
            ended = subprocess.run(  # whoever runs the benchmark names it
                [python, "-W", "ignore", str(script), name, str(rows)],
                capture_output=True, check=True, timeout=PEER_SECONDS,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            print(f"  {name}: more than {PEER_SECONDS} s; we {wall:.2f} s wall {cpu:.2f} s CPU")
            continue
        except subprocess.CalledProcessError as met:
            told = met.stderr.decode().splitlines() or ["it said nothing"]
            print(f"  {name}: failed: {told[-1][:100]}")
            continue
        found = json.loads(ended.stdout.splitlines()[-1])
        print(f"  {name} {found['version']}: {found['wall']:.2f} s wall {found['cpu']:.2f} s CPU, "
              f"found {found['found']} of {SHIFTED}, {found['false']} false; we {wall:.2f} s wall "
              f"{cpu:.2f} s CPU: {found['cpu'] / cpu:.0f} times the CPU")  # fmt: skip


def _rows() -> None:
    table = _table(20_000, 3, 0.0)
    plan = plan_of(table)
    rows = table.slice(0, 2_000).to_pylist()
    state = State(plan)

    def run() -> None:
        for row in rows:
            state.update_row(row)

    _, cpu = _measured(run)
    print(f"\none row of {COLUMNS} columns: {cpu / len(rows) * 1e6:.1f} us CPU")
    detector, values = Adwin(), table["n0"].to_numpy().tolist()
    _, cpu = _measured(lambda: [detector.update(value) for value in values], 1)
    print(f"ADWIN, one value: {cpu / len(values) * 1e6:.2f} us CPU")
    if (python := os.environ.get("STRONGROOM_PEER_RIVER")) is not None:
        script = Path(__file__).with_name("drift_peers.py")
        ended = subprocess.run(  # whoever runs the benchmark names it
            [python, str(script), "river", str(len(values))], capture_output=True, check=True,
            timeout=PEER_SECONDS,
        )  # fmt: skip
        found = json.loads(ended.stdout.splitlines()[-1])
        print(f"ADWIN of River {found['version']}, one value: {found['microseconds']:.2f} us CPU")
    else:
        print("River: no interpreter is named: left out")
    if importlib.util.find_spec("datasketches") is not None:
        import datasketches  # type: ignore[import-not-found,unused-ignore] # may be absent

        sketch, column = datasketches.kll_doubles_sketch(200), np.ascontiguousarray(table["n0"])
        _, cpu = _measured(lambda: sketch.update(column))
        size = len(sketch.serialize())
        print(f"KLL sketch of one column: {cpu / len(column) * 1e9:.0f} ns a value, {size:,} bytes")
    else:
        print("DataSketches is not installed: left out")


def _estimate() -> None:
    random = np.random.default_rng(4)
    scores = random.beta(2, 2, 1_000_000)
    reference, current = ScoreState(), ScoreState()
    reference.update(scores, random.random(1_000_000) < scores)
    wall, cpu = _measured(lambda: current.update(scores), 1)
    print(f"\ncount a million scores: {wall:.3f} s wall {cpu:.3f} s CPU")
    wall, cpu = _measured(lambda: estimated(reference, current))
    print(f"performance without labels, with errors and tests: {wall * 1e3:.1f} ms wall "
          f"{cpu * 1e3:.1f} ms CPU")  # fmt: skip


def main() -> None:
    """Print every figure."""
    for rows in SIZES:
        _report(rows)
    _peers(int(os.environ.get("STRONGROOM_PEER_ROWS", "100000")))
    _rows()
    _estimate()


if __name__ == "__main__":
    main()
