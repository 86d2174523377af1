"""ART's detector of adversarial inputs, by the interpreter named by `PEERS_PYTHON`.

Run as a script it needs adversarial-robustness-toolbox and scikit-learn, and nothing of ours.
"""

# mypy: ignore-errors
import json
import os
import subprocess
import sys
import tempfile
import time
import warnings
from pathlib import Path

import numpy as np

RATE = 0.01


def figures(**arrays: np.ndarray) -> dict:
    """Shares flagged at 1 % of false alarms, and CPU-µs of a row alone. Raises: ImportError."""
    python = os.environ.get("PEERS_PYTHON", "")
    if not python:
        raise ImportError("PEERS_PYTHON names no interpreter that has ART")
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.npz"
        np.savez(file, **arrays)
        done = subprocess.run(
            [python, str(Path(__file__)), str(file)], capture_output=True, text=True, check=False
        )
    if done.returncode:
        raise ImportError(done.stderr.strip().splitlines()[-1])
    return json.loads(done.stdout.strip().splitlines()[-1])


def main() -> None:
    """Train the detector on natural and attacked rows; answer with its figures."""
    warnings.filterwarnings("ignore")
    from art.defences.detector.evasion import BinaryInputDetector
    from art.estimators.classification import SklearnClassifier
    from sklearn.ensemble import RandomForestClassifier

    arrays = np.load(sys.argv[1])
    natural, attacks = arrays["natural"], arrays["attacks"]
    rows = np.concatenate([natural, attacks])
    is_attack = np.repeat([0, 1], [len(natural), len(attacks)])
    forest = RandomForestClassifier(100, random_state=0, n_jobs=1, class_weight="balanced")
    # ART's wrapper fits by one-hot labels, which makes of a forest one of two outputs: it is
    # fitted here, and the detector asks it.
    forest.fit(rows, is_attack)
    detector = BinaryInputDetector(SklearnClassifier(forest))

    def oddness(asked: np.ndarray) -> np.ndarray:
        report, _ = detector.detect(asked)
        return np.asarray(report["predictions"])[:, 1]

    ordered = np.sort(oddness(arrays["calibration"]))
    level = ordered[max(0, len(ordered) - max(1, int(RATE * (len(ordered) + 1))))]
    found = {name: float((oddness(arrays[name]) > level).mean()) if len(arrays[name]) else 0.0
             for name in ("blind", "overshot", "noise")}  # fmt: skip
    start = time.process_time()
    for place in range(20):
        oddness(natural[place : place + 1])
    found["alone"] = 1e6 * (time.process_time() - start) / 20
    print(json.dumps(found))


if __name__ == "__main__":
    main()
