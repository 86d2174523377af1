"""A whole drift report of a million rows by fifty columns, its state, and peers on the same data.

Five of the columns are shifted by a tenth of a standard deviation. Peers run where they are
installed: SciPy's two-sample Kolmogorov-Smirnov test on each column, River's detectors for single
values, and DataSketches' quantile sketches, whose merging is not exact. Times are wall and CPU
seconds, the median of rounds.
"""

import importlib.util
import resource
import statistics
import time
from collections.abc import Callable

import numpy as np
import pyarrow as pa
from scipy import stats

from strongroom.engines.drift.comparison import compare
from strongroom.engines.drift.detectors import Adwin
from strongroom.engines.drift.document import report_json
from strongroom.engines.drift.estimation import estimated
from strongroom.engines.drift.packing import to_bytes
from strongroom.engines.drift.plan import Plan
from strongroom.engines.drift.planning import plan_of
from strongroom.engines.drift.scores import ScoreState
from strongroom.engines.drift.state import State

COLUMNS, SHIFTED = 50, 5
SHIFT = 0.1
SIZES = (100_000, 1_000_000)
SAMPLE_ROWS = 50_000
ROUNDS = 3


def _table(rows: int, seed: int, shift: float) -> pa.Table:
    random = np.random.default_rng(seed)
    return pa.table({
        f"n{at}": random.normal(size=rows) + (shift if at < SHIFTED else 0.0)
        for at in range(COLUMNS)
    })  # fmt: skip


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
    if importlib.util.find_spec("river") is not None:
        from river import drift  # type: ignore[import-not-found,unused-ignore] # may be absent

        other = drift.ADWIN()
        _, cpu = _measured(lambda: [other.update(value) for value in values], 1)
        print(f"ADWIN of River, one value: {cpu / len(values) * 1e6:.2f} us CPU")
    else:
        print("River is not installed: left out")
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
    _rows()
    _estimate()


if __name__ == "__main__":
    main()
