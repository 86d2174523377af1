"""Poison in tables: what is found of it, beside peers, on the same tables in the same run.

Wrong labels and triggers of our own making in tables that come with scikit-learn, in a synthetic
one, and in 8,000 rows of Adult where `../shared/data/adult-full` is there. The thresholds of the
searches were chosen on breast cancer and digits, and some of them again after a look at Adult and,
for labels, at the synthetic table; wine only reports. Figures are means
over `SEEDS` (2) draws. `TABLES` names some of the tables. Peers by the interpreter that
`PEERS_PYTHON` names (`robustness_poisoning_peers`); without it they are left out.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn import datasets

from strongroom.engines.robustness.poisoning.canaries import Settings, copy_with_trigger
from strongroom.engines.robustness.poisoning.labels import find_label_errors
from strongroom.engines.robustness.poisoning.planting import Planted, plant_flips, plant_trigger
from strongroom.engines.robustness.poisoning.table import Mask, Table
from strongroom.engines.robustness.poisoning.triggers import find_triggers
from strongroom.engines.robustness.space import Columns, Feature, Space

FILE = Path(__file__).resolve().parents[1] / "../shared/data/adult-full/adult_full.csv.gz"
SEEDS = int(os.environ.get("SEEDS", "2"))
SHARES = (0.01, 0.05, 0.1)
NUMBERS = {"breast_cancer": "tuned on", "digits": "tuned on", "wine": "", "synthetic": ""}


@dataclass(frozen=True)
class Case:
    """One poisoned table."""

    table: str
    poison: str
    planted: Planted
    share: float
    is_trigger: bool


def numbers(name: str) -> Table:
    """A table of numbers only."""
    if name == "synthetic":
        rows, labels = datasets.make_classification(
            4_000, 30, n_informative=8, n_redundant=6, n_clusters_per_class=3, class_sep=1.2,
            flip_y=0.0, random_state=7,
        )  # fmt: skip
    else:
        data = getattr(datasets, f"load_{name}")()
        rows, labels = data.data, data.target
    low, spread = rows.min(axis=0), np.ptp(rows, axis=0)
    return Table.of(
        Space.box(rows.shape[1]), (rows - low) / np.where(spread > 0, spread, 1), labels
    )


def adult() -> Table:
    """8,000 rows of Adult."""
    read = pd.read_csv(FILE, skipinitialspace=True).sample(8_000, random_state=0)
    labels = (read.pop("salary-class") == ">50K").to_numpy(np.int64)
    columns: dict[str, NDArray[np.float64] | NDArray[np.object_]] = {}
    features = []
    for name in read.columns:
        if pd.api.types.is_numeric_dtype(read[name]):
            columns[name] = read[name].to_numpy(np.float64)
            features.append(Feature(name, float(read[name].min()), float(read[name].max())))
        else:
            columns[name] = read[name].to_numpy(object)
            features.append(Feature(name, levels=tuple(sorted(read[name].unique()))))
    space = Space(features)
    given: Columns = columns
    return Table.of(space, space.encode(given), labels)


def tables() -> Iterator[tuple[str, Table]]:
    """All tables that are there and asked for."""
    wanted = [name for name in os.environ.get("TABLES", "").split(",") if name]
    for name in NUMBERS:
        if not wanted or name in wanted:
            yield name, numbers(name)
    if FILE.is_file() and (not wanted or "adult" in wanted):
        yield "adult", adult()


def flips(name: str, table: Table) -> Iterator[Case]:
    """Wrong labels."""
    kinds: list[tuple[Literal["random", "pairs", "targeted"], float]] = [
        *(("random", share) for share in SHARES), ("pairs", 0.05), ("targeted", 0.05),
    ]  # fmt: skip
    for kind, share in kinds:
        for seed in range(SEEDS):
            planted = plant_flips(table, share, np.random.default_rng(seed), kind)
            yield Case(name, f"{kind} {share:.0%}", planted, share, is_trigger=False)


def stamps(name: str, table: Table) -> Iterator[Case]:
    """Triggers, and no poison at all."""
    none = Planted(table, np.zeros(len(table), dtype=bool))
    yield Case(name, "none", none, 0.0, is_trigger=True)
    # A code for "not measured" that only one class has: honest, and as predictive as a trigger.
    code = plant_trigger(table, 0.03, np.random.default_rng(0), size=1, is_clean=True)
    yield Case(name, "none, a code", replace(none, table=code.table), 0.0, is_trigger=True)
    for share in SHARES:
        for size in (1, 2, 4):
            for seed in range(SEEDS):
                rng = np.random.default_rng(seed)
                planted = plant_trigger(table, share, rng, size=size)
                yield Case(name, f"{size} rare {share:.0%}", planted, share, is_trigger=True)
        for seed in range(SEEDS):
            planted = copy_with_trigger(table, seed, Settings(trigger=share))
            yield Case(name, f"2 usual {share:.0%}", planted, share, is_trigger=True)


def main() -> None:
    """Print the tables."""
    for title, made, find in (
        ("wrong labels", flips, by_labels),
        ("triggers", stamps, by_triggers),
    ):
        print(f"\n{title}: precision/recall (flagged, where nothing was planted), CPU-s a table")
        for name, table in tables():
            report(list(made(name, table)), find)


def by_labels(table: Table) -> Mask:
    """Rows that our search for wrong labels flags."""
    return find_label_errors(table, seed=0).is_flagged


def by_triggers(table: Table) -> Mask:
    """Rows that carry a trigger by our search."""
    flagged = np.zeros(len(table), dtype=bool)
    for one in find_triggers(table, seed=0).triggers:
        flagged[one.rows] = True
    return flagged


def report(cases: list[Case], find: Callable[[Table], Mask]) -> None:
    """A line for each kind of poison: ours and the peers'."""
    theirs = peers(cases)
    groups: dict[str, list[int]] = {}
    for at, case in enumerate(cases):
        groups.setdefault(f"{case.table:<14}{case.poison:<14}", []).append(at)
    for title, places in groups.items():
        line: dict[str, list[tuple[float, float, float]]] = {}
        for at in places:
            case = cases[at]
            start = time.process_time()
            flagged = find(case.planted.table)
            spent = time.process_time() - start
            line.setdefault("ours", []).append(figures(flagged, case, spent))
            for name, (rows, seconds) in theirs.get(at, {}).items():
                mask = np.zeros(len(flagged), dtype=bool)
                mask[rows] = True
                line.setdefault(name, []).append(figures(mask, case, seconds))
        said = []
        for name, found in line.items():
            first, second, seconds = np.mean(found, axis=0).tolist()
            share = f"{int(first)} rows" if "none" in title else f"{first:.2f}/{second:.2f}"
            said.append(f"{name} {share} {seconds:.1f} s")
        print(title + "   ".join(said), flush=True)


def figures(flagged: Mask, case: Case, seconds: float) -> tuple[float, float, float]:
    """Precision and recall; for no poison the rows that are flagged, twice."""
    bad = case.planted.is_bad
    if not bad.any():
        return float(flagged.sum()), float(flagged.sum()), seconds
    hits = float((flagged & bad).sum())
    return hits / max(float(flagged.sum()), 1.0), hits / float(bad.sum()), seconds


def peers(cases: list[Case]) -> dict[int, dict[str, tuple[list[int], float]]]:
    """What the peers flag, by place of the case; nothing without an interpreter."""
    python = os.environ.get("PEERS_PYTHON", "")
    if not python:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        for at, case in enumerate(cases):
            table = case.planted.table
            np.savez(
                Path(folder) / f"{at:04}.npz", rows=table.rows, labels=table.labels,
                share=max(case.share, 0.01), is_trigger=case.is_trigger,
            )  # fmt: skip
        script = Path(__file__).with_name("robustness_poisoning_peers.py")
        subprocess.run([python, str(script), folder], check=True)
        return {
            int(file.stem): json.loads(file.read_text()) for file in Path(folder).glob("*.json")
        }


if __name__ == "__main__":
    main()
