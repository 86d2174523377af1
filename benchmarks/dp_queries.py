"""Count, mean and median of age on Adult, with differential privacy: error and CPU time.

Beside OpenDP's own functions, asked as its documentation does, and diffprivlib where the
interpreter named by `PEERS_PYTHON` has it. The bounds are 0 to 100 for all. Counted are the rows
above 40: diffprivlib takes the number of all rows as public, and would cut off the noise there.
Ours answers with an interval in the same time. Error is the mean of absolute errors.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import opendp.prelude as dp
import pyarrow as pa
import pyarrow.csv

from strongroom.engines.privacy.dp.answering import Answer, answer
from strongroom.engines.privacy.dp.functions import mean, median
from strongroom.engines.privacy.dp.query import Bounds, Terms, Unit
from strongroom.engines.privacy.dp.sql import parse_sql

ADULT = Path(__file__).resolve().parents[1] / "../shared/data/adult/adult.csv"
EPSILONS = (0.1, 0.5, 1.0, 4.0)
ROUNDS = 200
LOWER, UPPER, OLDER = 0, 100, 40


def _opendp(
    ages: "np.ndarray[tuple[int], np.dtype[np.int64]]",
) -> dict[str, Callable[[float], float]]:
    """The same three queries in OpenDP's own way: sum and count for the mean."""
    dp.enable_features("contrib")
    space = dp.vector_domain(dp.atom_domain(T=int)), dp.symmetric_distance()
    given, older = ages.tolist(), ages[ages > OLDER].tolist()

    def counted(epsilon: float, rows: list[int] = older) -> float:
        return float((space >> dp.t.then_count() >> dp.m.then_laplace(1 / epsilon))(rows))

    def averaged(epsilon: float) -> float:
        scale = 2 * UPPER / epsilon
        bounded: Any = space >> dp.t.then_clamp((LOWER, UPPER))
        summed = bounded >> cast("Any", dp.t).then_sum() >> dp.m.then_laplace(scale)
        return float(summed(given)) / max(counted(epsilon / 2, given), 1)

    def middle(epsilon: float) -> float:
        candidates = list(range(LOWER, UPPER + 1))
        scored = space >> dp.t.then_quantile_score_candidates(candidates, 0.5)
        scale = 2 * scored.map(1) / epsilon
        choose = scored >> dp.m.then_noisy_max(dp.max_divergence(), scale, negate=True)
        return float(candidates[choose(given)])

    return {"count": counted, "mean": averaged, "median": middle}


def _ours(table: pa.Table) -> dict[str, Callable[[float], float]]:
    bounds = (float(LOWER), float(UPPER))
    older = parse_sql(f"SELECT COUNT(*) FROM adult WHERE age > {OLDER}").query  # noqa: S608 # a number of ours, and no database
    asks: dict[str, Callable[[float], Answer]] = {
        "count": lambda epsilon: answer(older, table, Terms(epsilon)),
        "mean": lambda epsilon: mean(table, "age", bounds, epsilon=epsilon),
        "median": lambda epsilon: median(table, "age", bounds, epsilon=epsilon),
    }

    def value(ask: Callable[[float], Answer]) -> Callable[[float], float]:
        return lambda epsilon: ask(epsilon).only.value

    return {name: value(ask) for name, ask in asks.items()}


def _measured(
    ask: Callable[[float], float], epsilon: float, right: float, rounds: int
) -> tuple[float, float]:
    """Mean absolute error, and milliseconds of CPU time."""
    ask(epsilon)
    started = time.process_time()
    errors = [abs(ask(epsilon) - right) for _ in range(rounds)]
    return float(np.mean(errors)), (time.process_time() - started) / rounds * 1e3


def _diffprivlib(ages: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> dict[str, list[float]]:
    python = os.environ.get("PEERS_PYTHON", "")
    if not python:
        return {}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "ages.npy"
        np.save(file, ages)
        script = Path(__file__).with_name("dp_queries_peers.py")
        done = subprocess.run(
            [python, str(script), str(file), str(ROUNDS)], capture_output=True, text=True,
            check=False,
        )  # fmt: skip
    if done.returncode:
        print("  diffprivlib could not be asked:", done.stderr.strip().splitlines()[-1:])
        return {}
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def _grouped(table: pa.Table) -> None:
    """Whole SQL queries with groups and people."""
    people = table.append_column("who", pa.array(np.arange(table.num_rows) // 3))
    query = parse_sql(
        "SELECT education, COUNT(*), AVG(age), MEDIAN(age) FROM adult WHERE age > 20 "
        "GROUP BY education", "who",
    ).query  # fmt: skip
    terms = Terms(
        1.0, 1e-6, Unit("who", groups=3, rows=2), {"age": Bounds(LOWER, UPPER)}
    )  # fmt: skip
    answer(query, people, terms)
    started = time.process_time()
    groups = len(answer(query, people, terms).rows)
    spent = (time.process_time() - started) * 1e3
    print(f"  SQL, {groups} groups from the data, people bounded: {spent:.0f} ms CPU")


def main() -> None:
    """Print errors and times."""
    if not ADULT.is_file():
        print("  no ../shared/data/adult beside the repository")
        return
    options = pyarrow.csv.ParseOptions(delimiter=";")
    table = pyarrow.csv.read_csv(ADULT, parse_options=options)
    ages = table["age"].to_numpy()
    rights = {"count": float((ages > OLDER).sum()), "mean": ages.mean(), "median": np.median(ages)}
    ours, theirs, others = _ours(table), _opendp(ages), _diffprivlib(ages)
    print(f"Adult, {len(ages):,} rows: mean absolute error, and ms of CPU time")
    print(f"  {'':<14}{'ours':>20}{'OpenDP':>20}{'diffprivlib':>20}")
    for epsilon in EPSILONS:
        for name, right in rights.items():
            cells = [
                _measured(ours[name], epsilon, right, ROUNDS),
                _measured(theirs[name], epsilon, right, ROUNDS // 4),
            ]
            if f"{epsilon:g} {name}" in others:
                error, spent = others[f"{epsilon:g} {name}"]
                cells.append((error, spent))
            told = "".join(f"{error:>10.4f} {spent:>6.2f} ms" for error, spent in cells)
            print(f"  ε {epsilon:<4g} {name:<7}{told}")
    _grouped(table)


if __name__ == "__main__":
    main()
