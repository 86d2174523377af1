"""Evasion: distance, queries and CPU time of our attacks, HopSkipJump beside ART's.

Digits and breast cancer (scikit-learn's copies) on 0 to 1, a network and a forest of 100 trees.
Ours attacks 100 rightly answered rows at once; the toolbox goes row by row and gets the first few,
in the interpreter that `PEERS_PYTHON` names; distances are compared on the rows both attacked.
CPU-seconds a row; run with one thread of BLAS (OMP_NUM_THREADS=1, OPENBLAS_NUM_THREADS=1).
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from sklearn.datasets import load_breast_cancer, load_digits

from benchmarks.robustness_evasion_peers import fitted
from strongroom.engines.robustness.evasion import gradients, trees
from strongroom.engines.robustness.evasion.boundary import boundary
from strongroom.engines.robustness.evasion.certifying import certify
from strongroom.engines.robustness.evasion.differences import estimated
from strongroom.engines.robustness.evasion.hopskipjump import Jumps, hopskipjump
from strongroom.engines.robustness.evasion.hunt import Hunt, Norm, Numbers
from strongroom.engines.robustness.evasion.rays import rays
from strongroom.engines.robustness.evasion.square import square
from strongroom.engines.robustness.evasion.stepping import known, to_edge
from strongroom.engines.robustness.evasion.transfer import substitute, transfer
from strongroom.engines.robustness.evasion.trimming import trim
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Labels, Rows, Target

ROWS = 100
PEER_ROWS = {
    ("digits", "network"): 15,
    ("digits", "forest"): 6,
    ("breast cancer", "network"): 15,
    ("breast cancer", "forest"): 15,
}
SETS = {"digits": load_digits, "breast cancer": load_breast_cancer}
Attack = Callable[[Hunt, np.random.Generator], None]
Model = Any
"""Of scikit-learn, which has no types."""


def main() -> None:
    """Print all of it."""
    for name in SETS:
        fit, fit_labels, points, truth = _data(name)
        for kind in ("network", "forest"):
            model: Model = fitted(kind, fit, fit_labels)
            is_right = model.predict(points) == truth
            rows, labels = points[is_right][:ROWS], truth[is_right][:ROWS]
            print(f"\n{name}, {kind}: {len(rows)} rows of {rows.shape[1]} features")
            _against_peer(model, name, kind, (fit, fit_labels, rows, labels))
            for norm in ("l2", "linf"):
                _attacks(model, kind, fit, rows, labels, norm)
    _certificates()


def _data(name: str) -> tuple[Rows, Labels, Rows, Labels]:
    points, labels = SETS[name](return_X_y=True)
    spread = points.max(axis=0) - points.min(axis=0)
    points = (points - points.min(axis=0)) / np.where(spread > 0, spread, 1.0)
    order = np.random.default_rng(0).permutation(len(points))
    points, labels = points[order], labels[order].astype(np.int64)
    cut = int(0.7 * len(points))
    return points[:cut], labels[:cut], points[cut:], labels[cut:]


def _run(
    model: Model, rows: Rows, labels: Labels, norm: Norm, attack: Attack
) -> tuple[float, Hunt]:
    target = Target(model.predict_proba, classes=len(model.classes_))
    hunt = Hunt(target, Space.box(rows.shape[1]), rows, labels, norm)
    started = time.process_time()
    attack(hunt, np.random.default_rng(0))
    return (time.process_time() - started) / len(rows), hunt


def _line(title: str, seconds: float, queries: float, distances: Numbers) -> None:
    found = np.isfinite(distances)
    median = float(np.median(distances))
    cost = f"{1e3 * seconds:>8.1f} ms {queries:>6.0f} queries"
    print(f"  {title:<34} {cost}  found {found.mean():>4.0%}  median {median:.4f}", flush=True)


def _against_peer(
    model: Model, name: str, kind: str, data: tuple[Rows, Labels, Rows, Labels]
) -> None:
    fit, fit_labels, rows, labels = data

    def trimmed(hunt: Hunt, rng: np.random.Generator) -> None:
        hopskipjump(hunt, rng, pool=fit, jumps=Jumps(rounds=5))
        trim(hunt, rng)

    ways: dict[str, Attack] = {
        "l2 HopSkipJump, no rows held": hopskipjump,
        "l2 HopSkipJump": lambda hunt, rng: hopskipjump(hunt, rng, pool=fit),
        "l2 HopSkipJump, then trimmed": trimmed,
        "l2 boundary, 300 turns": lambda hunt, rng: boundary(hunt, rng, pool=fit, turns=300),
    }
    runs = {title: _run(model, rows, labels, "l2", attack) for title, attack in ways.items()}
    for title, (seconds, hunt) in runs.items():
        _line(title, seconds, hunt.found().queries / len(rows), hunt.distances)
    python = os.environ.get("PEERS_PYTHON", "")
    if not python:
        print("  ART left out: PEERS_PYTHON names no interpreter that has it")
        return
    count = PEER_ROWS[name, kind]
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "rows.npz"
        np.savez(file, fit=fit, fit_labels=fit_labels, rows=rows, labels=labels)
        script = Path(__file__).with_name("robustness_evasion_peers.py")
        answer = subprocess.run([python, "-W", "ignore", str(script), str(file), kind, str(count)],
                                check=True, capture_output=True, text=True)  # fmt: skip
    theirs = json.loads(answer.stdout.strip().splitlines()[-1])
    distances = np.array(theirs["distances"])
    distances[distances < 0] = np.inf
    _line(f"l2 HopSkipJump of ART, {count} rows", theirs["seconds"], theirs["queries"], distances)
    same = abs(theirs["scores"] - float(model.predict_proba(rows)[:, 0].sum())) < 1e-6
    print(f"  the same model: {same}; on these {count} rows:")
    for title, (seconds, hunt) in runs.items():
        ours = float(np.median(hunt.distances[:count]))
        print(f"    {title}: median {ours:.4f} against {np.median(distances):.4f}, "
              f"{theirs['seconds'] / seconds:.0f} times less CPU")  # fmt: skip


def _attacks(model: Model, kind: str, pool: Rows, rows: Rows, labels: Labels, norm: Norm) -> None:
    slopes = gradients.of_estimator(model)
    widest = 2.0 if norm == "l2" else 0.5

    def by_transfer(hunt: Hunt, rng: np.random.Generator) -> None:
        made = substitute(hunt.target, pool, rng, 1_000)
        if made is not None:
            transfer(hunt, made, rng)

    def by_rays(hunt: Hunt, rng: np.random.Generator) -> None:
        hopskipjump(hunt, rng, pool=pool, jumps=Jumps(first=20))
        rays(hunt, rng, turns=500)
        trim(hunt, rng)

    ways: dict[str, Attack] = {
        "differences": lambda hunt, _: to_edge(hunt, estimated(hunt), steps=6),
        "square": lambda hunt, rng: square(hunt, widest, rng),
        "transfer": by_transfer,
    }
    if norm == "linf":
        ways["HopSkipJump, rays, trimmed"] = by_rays
    if slopes is not None and kind == "network":
        ways["slopes"] = lambda hunt, _: to_edge(hunt, known(hunt, slopes))
    for title, attack in ways.items():
        seconds, hunt = _run(model, rows, labels, norm, attack)
        _line(f"{norm} {title}", seconds, hunt.found().queries / len(rows), hunt.distances)


def _certificates() -> None:
    from sklearn.ensemble import GradientBoostingClassifier, RandomForestClassifier

    fit, fit_labels, points, truth = _data("breast cancer")
    print("\ncertified distances, breast cancer, 20 rows, linf")
    for title, model in (
        ("forest of 5", RandomForestClassifier(5, max_depth=4, random_state=0)),
        ("forest of 20", RandomForestClassifier(20, max_depth=6, random_state=0)),
        ("boosting of 50", GradientBoostingClassifier(n_estimators=50, random_state=0)),
        ("forest of 100", RandomForestClassifier(100, random_state=0)),
    ):
        model.fit(fit, fit_labels)
        read = trees.of_estimator(model)
        is_right = model.predict(points) == truth
        rows, labels = points[is_right][:20], truth[is_right][:20]

        def attack(hunt: Hunt, rng: np.random.Generator) -> None:
            hopskipjump(hunt, rng, pool=fit, jumps=Jumps(rounds=4))
            rays(hunt, rng, turns=100)
            trim(hunt, rng)

        _, hunt = _run(model, rows, labels, "linf", attack)
        if read is None:
            continue
        attacked = hunt.distances.copy()
        started = time.process_time()
        proved = certify(read, hunt, most_sets=1 << 12)
        seconds = (time.process_time() - started) / len(rows)
        exact, low = proved.is_exact.mean(), np.median(proved.low)
        print(
            f"  {title:<16} {1e3 * seconds:>6.0f} ms a row, exact {exact:>4.0%}, "
            f"median proved {low:.4f}, by attack {np.median(attacked):.4f}",
            flush=True,
        )


if __name__ == "__main__":
    main()
