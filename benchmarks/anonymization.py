"""Anonymizing Adult against ARX's published figures, pycanon, anonypy, anonypyx and anjana.

Needs `../shared/data/adult`. Times are CPU-seconds; ARX's were measured in a warm JVM elsewhere, on
the same tasks. Peers that need another pandas or NumPy than we do run in
the interpreter that `PEERS_PYTHON` names; without it they are left out by name. pycanon is the
oracle: it counts again what we wrote.
"""

import json
import os
import signal
import subprocess
import tempfile
import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.csv

from benchmarks.anonymization_large import command
from benchmarks.anonymization_peers import MOST_SECONDS
from strongroom.engines.privacy.anonymize.coding import Coded, coded_table
from strongroom.engines.privacy.anonymize.criteria import Demands, KAnonymity
from strongroom.engines.privacy.anonymize.demands import demands_of
from strongroom.engines.privacy.anonymize.groups import RollUp, base_groups
from strongroom.engines.privacy.anonymize.lattice import search
from strongroom.engines.privacy.anonymize.local import Cuts, cut_into_groups, rows_of
from strongroom.engines.privacy.anonymize.objective import Measure, objective_of, weights_of
from strongroom.engines.privacy.anonymize.recipe import (
    ColumnRecipe,
    ColumnRole,
    DemandsRecipe,
    Diversity,
    MethodRecipe,
    Recipe,
    Recoding,
    Tree,
)
from strongroom.engines.privacy.anonymize.running import anonymize
from strongroom.engines.privacy.anonymize.utility import utility_of

FOLDER = Path(__file__).resolve().parents[1] / "../shared/data/adult"
MILLION = 1_000_000
_PEER_SECONDS = 600
PEERS = Path(__file__).with_name("anonymization_peers.py")

TASKS = {
    "k=5, no suppression": (DemandsRecipe(k=5, suppression=0.0), "", "0.04-0.08 s, 181 checked"),
    "k=5, 5 %": (DemandsRecipe(k=5), "", "1.2 s, GCP .280"),
    "k=5, distinct l=2": (DemandsRecipe(k=5, l=2), "occupation", "0.57 s"),
    "k=5, distinct l=5": (DemandsRecipe(k=5, l=5), "occupation", "0.66 s"),
    "k=5, entropy l=3": (
        DemandsRecipe(k=5, l=3, diversity=Diversity.ENTROPY), "occupation", "0.63 s",
    ),
    "k=5, t=0.2": (DemandsRecipe(k=5, t=0.2), "occupation", "1.04 s, GCP .840"),
}  # fmt: skip
"""Task → demands, sensitive column, what ARX is known to take and to leave."""


def _recipe(table: pa.Table, asked: DemandsRecipe, sensitive: str, way: Recoding) -> Recipe:
    return Recipe(
        asked,
        MethodRecipe(way, seconds=0.0),
        {
            name: ColumnRecipe(
                ColumnRole.SENSITIVE if name == sensitive else ColumnRole.QUASI,
                Tree.FILE,
                f"adult_hierarchy_{name}.csv",
            )
            for name in table.column_names
        },
    )


def _values(coded: Coded) -> dict[str, tuple[np.ndarray, int]]:
    return {name: (one.codes, len(one.hierarchy.leaves)) for name, one in coded.sensitive.items()}


def _global(table: pa.Table, files: dict[str, str]) -> None:
    print(f"{'global: task':<22} {'s':>6} {'checked':>8} {'of':>7} {'loss':>6} {'proven':>7}  ARX")
    for title, (asked, sensitive, arx) in TASKS.items():
        recipe = _recipe(table, asked, sensitive, Recoding.GLOBAL)
        coded = coded_table(table, recipe, files)
        started = time.process_time()
        base, _ = base_groups(coded.codes, coded.hierarchies, _values(coded))
        objective = objective_of(Measure.GCP, coded.hierarchies, base, weights_of(coded.names, {}))
        found = search(RollUp(coded.hierarchies), base, demands_of(recipe, coded), objective)
        seconds = time.process_time() - started
        print(
            f"{title:<22} {seconds:>6.2f} {found.checked:>8,} {found.size:>7,} {found.loss:>6.3f}"
            f" {found.is_optimal!s:>7}  {arx}"
        )


def _local(table: pa.Table, files: dict[str, str]) -> None:
    print(f"\n{'local: task':<22} {'cuts':<8} {'s':>6} {'groups':>7} {'GCP':>6}")
    for title in ("k=5, 5 %", "k=5, distinct l=2", "k=5, t=0.2"):
        asked, sensitive, _ = TASKS[title]
        recipe = _recipe(table, asked, sensitive, Recoding.LOCAL)
        coded = coded_table(table, recipe, files)
        rows = rows_of(coded.codes, coded.hierarchies, weights_of(coded.names, {}), _values(coded))
        for cuts in Cuts:
            started = time.process_time()
            group = cut_into_groups(rows, demands_of(recipe, coded), cuts=cuts)
            seconds = time.process_time() - started
            found = utility_of(coded, group, asked.k)
            print(f"{title:<22} {cuts:<8} {seconds:>6.2f} {found.groups:>7,} {found.gcp:>6.3f}")


def _million(table: pa.Table, files: dict[str, str]) -> None:
    """Adult drawn a million times, a tenth of the cells exchanged between rows."""
    recipe = _recipe(table, DemandsRecipe(k=5), "", Recoding.GLOBAL)
    coded = coded_table(table, recipe, files)
    chance = np.random.default_rng(1)
    pick = chance.integers(0, table.num_rows, MILLION)
    codes = []
    for column in coded.codes:
        drawn = column[pick]
        other = chance.random(MILLION) < 0.1
        drawn[other] = column[chance.integers(0, table.num_rows, int(other.sum()))]
        codes.append(drawn)
    started = time.process_time()
    base, _ = base_groups(codes, coded.hierarchies, {})
    objective = objective_of(Measure.GCP, coded.hierarchies, base, weights_of(coded.names, {}))
    demands = Demands((KAnonymity(5),), suppression=0.05)
    found = search(RollUp(coded.hierarchies), base, demands, objective)
    print(
        f"\n1 M rows, k=5, 5 %: {time.process_time() - started:.1f} s (ARX 45 s), {found.loss:.3f}"
    )
    for cuts in Cuts:
        started = time.process_time()
        rows = rows_of(codes, coded.hierarchies, weights_of(coded.names, {}), {})
        cut_into_groups(rows, Demands((KAnonymity(5),)), cuts=cuts)
        print(f"1 M rows, local, {cuts}: {time.process_time() - started:.1f} s")


def _command() -> None:
    """The whole command, from the start of the process to the written file."""
    quasi = ("sex", "age", "race", "marital-status", "education", "native-country", "workclass",
             "occupation", "salary-class")  # fmt: skip
    asked = [one for name in quasi for one in ("--quasi", name)]
    print("\nwhole command (ARX with its JVM and loading: 4-26 s)")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        (folder / "adult.csv").write_bytes((FOLDER / "adult.csv").read_bytes())
        (folder / "trees").mkdir()
        for column in quasi:
            text = (FOLDER / f"adult_hierarchy_{column}.csv").read_text()
            (folder / "trees" / f"{column}.csv").write_text(text)
        for way in ("global", "local"):
            cpu, _, memory, _ = command(
                ["anonymize", "adult.csv", "--k", "5", "--method", way, *asked,
                 "--hierarchies", "trees", "-o", f"{way}.csv"], folder,
            )  # fmt: skip
            print(f"k=5, {way}: {cpu:.1f} CPU-seconds, at most {memory:.2f} GiB")


def _peers(table: pa.Table, files: dict[str, str]) -> None:
    interpreter = os.environ.get("PEERS_PYTHON")
    if not interpreter:
        print("\nleft out, for PEERS_PYTHON names no interpreter: pycanon, anonypy, anjana")
        return
    print("\npycanon on what we wrote (asked: k=5, and l=2 or t=0.2 where there is one)")
    with tempfile.TemporaryDirectory() as folder:
        for title in ("k=5, 5 %", "k=5, distinct l=2", "k=5, t=0.2"):
            asked, sensitive, _ = TASKS[title]
            for way in (Recoding.GLOBAL, Recoding.LOCAL):
                recipe = _recipe(table, asked, sensitive, way)
                outcome = anonymize(table, recipe, draw=os.urandom, files=files)
                file = Path(folder) / "written.csv"
                pyarrow.csv.write_csv(outcome.table, file)
                quasi = ",".join(outcome.coded.names)
                print(
                    f"{title:<22} {way:<8} {_run(interpreter, 'pycanon', file, quasi, sensitive)}"
                )
    print("peers on k=5")
    adult = FOLDER / "adult.csv"
    print(f"anonypy: {_run(interpreter, 'anonypy', adult, '5')}")
    print(f"anonypyx: {_run(interpreter, 'anonypyx', adult, '5')}")
    print(f"anjana, 5 %: {_run(interpreter, 'anjana', adult, '5', '0.05')}")
    print(f"anjana, t=0.2: {_run(interpreter, 'anjana', adult, '5', '0.05', 'occupation', '0.2')}")


def _run(interpreter: str, *arguments: object) -> str:
    try:
        done = subprocess.run(
            [interpreter, str(PEERS), *(str(one) for one in arguments)],
            capture_output=True, text=True, check=False, timeout=_PEER_SECONDS,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        return f"did not end in {_PEER_SECONDS} s"
    if done.returncode == -signal.SIGXCPU:
        return f"did not end in {MOST_SECONDS} CPU-seconds"
    if done.returncode:
        return f"failed: {done.stderr.strip().splitlines()[-1] if done.stderr else '?'}"
    found = json.loads(done.stdout.splitlines()[-1])
    return ", ".join(f"{name} {value:.3g}" for name, value in found.items())


def main() -> None:
    """Print the tables."""
    if not FOLDER.is_dir():
        print("left out: there is no ../shared/data/adult")
        return
    options = pyarrow.csv.ParseOptions(delimiter=";")
    table = pyarrow.csv.read_csv(FOLDER / "adult.csv", parse_options=options)
    files = {one.name: one.read_text() for one in FOLDER.glob("adult_hierarchy_*.csv")}
    _global(table, files)
    _local(table, files)
    _million(table, files)
    _command()
    _peers(table, files)


if __name__ == "__main__":
    main()
