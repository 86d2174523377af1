"""One peer on the data of `drift.py`, in an environment of its own: prints JSON.

Run by `drift.py` with the interpreter that `STRONGROOM_PEER_<NAME>` names, for these libraries pin
versions that do not install beside ours. It imports NumPy and the peer only.

    python benchmarks/drift_peers.py nannyml 100000
"""

import importlib.metadata
import json
import sys
import time
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

COLUMNS, SHIFTED, SHIFT = 50, 5, 0.1
RATE = 0.05
Columns = dict[str, NDArray[np.float64]]


def columns(rows: int, seed: int, shift: float) -> Columns:
    """Normal values; the first few columns are shifted."""
    random = np.random.default_rng(seed)
    return {
        f"n{at}": random.normal(size=rows) + (shift if at < SHIFTED else 0.0)
        for at in range(COLUMNS)
    }


def _frouros(reference: Columns, current: Columns) -> set[str]:
    from frouros.detectors.data_drift import (
        KSTest,
    )

    found = set()
    for name, values in reference.items():
        detector = KSTest()
        detector.fit(X=values)
        if detector.compare(X=current[name])[0].p_value < RATE / COLUMNS:
            found.add(name)
    return found


def _alibi_detect(reference: Columns, current: Columns) -> set[str]:
    from alibi_detect.cd import KSDrift

    before, now = (np.column_stack(list(one.values())) for one in (reference, current))
    result = KSDrift(before, p_val=RATE).predict(now, drift_type="feature")
    names = list(reference)
    return {names[at] for at, p in enumerate(result["data"]["p_val"]) if p < RATE / COLUMNS}


def _nannyml(reference: Columns, current: Columns) -> set[str]:
    import nannyml
    import pandas as pd

    nannyml.disable_usage_logging()
    calculator = nannyml.UnivariateDriftCalculator(
        column_names=list(reference), continuous_methods=["kolmogorov_smirnov", "jensen_shannon"],
        chunk_number=10,
    )  # fmt: skip
    calculator.fit(pd.DataFrame(reference))
    table = calculator.calculate(pd.DataFrame(current)).to_df()
    return {
        name for name in reference
        if any(bool(table[name][how]["alert"].any())
               for how in ("kolmogorov_smirnov", "jensen_shannon"))
    }  # fmt: skip


def _evidently(reference: Columns, current: Columns) -> set[str]:
    import pandas as pd
    from evidently import Report
    from evidently.presets import (
        DataDriftPreset,
    )

    report = Report([DataDriftPreset()])
    result = report.run(pd.DataFrame(current), pd.DataFrame(reference)).dict()
    found = set()
    for metric in result["metrics"]:
        asked = metric.get("config", metric.get("params", {}))
        name, value = asked.get("column"), metric["value"]
        if name and isinstance(value, float) and value >= asked.get("threshold", 0.1):
            found.add(str(name))
    return found


def _whylogs(reference: Columns, current: Columns) -> set[str]:
    import pandas as pd
    import whylogs
    from whylogs.viz.drift.column_drift_algorithms import (
        calculate_drift_scores,
    )

    before, now = (whylogs.log(pd.DataFrame(one)).view() for one in (reference, current))
    scores = calculate_drift_scores(target_view=now, reference_view=before, with_thresholds=True)
    return {
        name for name, one in scores.items()
        if one and one.get("drift_category") not in {None, "NO_DRIFT"}
    }  # fmt: skip


PEERS: dict[str, Callable[[Columns, Columns], set[str]]] = {
    "frouros": _frouros, "alibi-detect": _alibi_detect, "nannyml": _nannyml,
    "evidently": _evidently, "whylogs": _whylogs,
}  # fmt: skip


def _river(rows: int) -> None:
    """River's ADWIN over the values of one column: microseconds a value."""
    from river import drift

    detector, values = drift.ADWIN(), columns(rows, 3, 0.0)["n0"].tolist()
    cpu = time.process_time()
    for value in values:
        detector.update(value)
    cost = (time.process_time() - cpu) / rows * 1e6
    print(json.dumps({"version": importlib.metadata.version("river"), "microseconds": cost}))


def main() -> None:
    """Run the peer that is named, once to load it and once for the time."""
    name, rows = sys.argv[1], int(sys.argv[2])
    if name == "river":
        _river(rows)
        return
    peer = PEERS[name]
    peer(columns(500, 3, 0.0), columns(500, 4, SHIFT))
    reference, current = columns(rows, 1, 0.0), columns(rows, 2, SHIFT)
    wall, cpu = time.perf_counter(), time.process_time()
    found = peer(reference, current)
    right = {f"n{at}" for at in range(SHIFTED)}
    print(json.dumps({
        "version": importlib.metadata.version(name), "wall": time.perf_counter() - wall,
        "cpu": time.process_time() - cpu, "found": len(found & right),
        "false": len(found - right),
    }))  # fmt: skip


if __name__ == "__main__":
    main()
