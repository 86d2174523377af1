"""Queries with differential privacy on Adult: error and CPU time, beside OpenDP and diffprivlib.

Count, sum, mean, variance, quantiles of age, a histogram of it, and groups by education, with
bounds of 0 to 100 for all. Error is the median of absolute errors over rounds, and over the groups
or bins of a query; a group that is not shown counts as 0. OpenDP is asked as its documentation does
(`dp_queries_opendp`), diffprivlib where the interpreter named by `PEERS_PYTHON` has it. Where a
peer takes the number of rows as public, it promises less than we do, and says so by a `*`. Counted
are the rows above 40: diffprivlib would cut off the noise at the number of all rows. Ours answers
with an interval in the same time. `ROUNDS` (300) can be set.
"""

import json
import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.csv
from numpy.typing import NDArray

from benchmarks.dp_queries_opendp import LOWER, UPPER, Ways, opendp_ways, sized_ways
from strongroom.engines.privacy.dp.answering import Answer, answer
from strongroom.engines.privacy.dp.functions import (
    histogram,
    mean,
    quantile,
    total,
    variance,
)
from strongroom.engines.privacy.dp.query import Bounds, Terms, Unit
from strongroom.engines.privacy.dp.sql import parse_sql

ADULT = Path(__file__).resolve().parents[1] / "../shared/data/adult/adult.csv"
EPSILONS = (0.1, 0.5, 1.0, 4.0)
ROUNDS = int(os.environ.get("ROUNDS", "300"))
OLDER, DELTA = 40, 1e-6
BINS = tuple(range(0, 101, 10))
_BIG = 3_000_000

Real = NDArray[np.float64]


def _levels(table: pa.Table) -> tuple[NDArray[np.int32], list[str]]:
    """Education as numbers, and what they stand for."""
    encoded = table["education"].combine_chunks().dictionary_encode()
    return encoded.indices.to_numpy().astype(np.int32), [
        str(name) for name in encoded.dictionary.to_pylist()
    ]


def _rights(ages: NDArray[np.int32], levels: NDArray[np.int32]) -> dict[str, Real]:
    """The answers without noise."""
    counts = np.bincount(levels).astype(np.float64)
    sums = np.bincount(levels, weights=ages)
    return {
        "count": np.array([float((ages > OLDER).sum())]),
        "sum": np.array([float(ages.sum(dtype=np.int64))]),
        "mean": np.array([ages.mean()]),
        "variance": np.array([ages.var()]),
        "median": np.array([float(np.median(ages))]),
        "quantile .9": np.quantile(ages, [0.9], method="inverted_cdf").astype(np.float64),
        "histogram": np.histogram(ages, BINS)[0].astype(np.float64),
        "groups, known": counts,
        "groups, unknown": counts,
        "means of groups": sums / counts,
    }


def _ours(table: pa.Table, names: list[str]) -> Ways:
    bounds = (float(LOWER), float(UPPER))
    limits = {"age": Bounds(*bounds)}
    keys = {"education": tuple(names)}
    older = parse_sql(f"SELECT COUNT(*) FROM adult WHERE age > {OLDER}").query  # noqa: S608 # a number of ours, and no database
    grouped = parse_sql("SELECT education, COUNT(*) FROM adult GROUP BY education").query
    means = parse_sql("SELECT education, AVG(age) FROM adult GROUP BY education").query

    def only(ask: Callable[[float], Answer]) -> Callable[[float], Sequence[float]]:
        return lambda epsilon: [ask(epsilon).only.value]

    def by_group(ask: Callable[[float], Answer]) -> Callable[[float], Sequence[float]]:
        def values(epsilon: float) -> Sequence[float]:
            shown = {key[0]: found[0].value for key, found in ask(epsilon).rows}
            return [shown.get(name, 0.0) for name in names]

        return values

    def by_bins(epsilon: float) -> Sequence[float]:
        found = histogram(table, "age", BINS, epsilon=epsilon)
        return [estimates[0].value for _, estimates in found.rows]

    return {
        "count": only(lambda epsilon: answer(older, table, Terms(epsilon))),
        "sum": only(lambda epsilon: total(table, "age", bounds, epsilon=epsilon)),
        "mean": only(lambda epsilon: mean(table, "age", bounds, epsilon=epsilon)),
        "variance": only(lambda epsilon: variance(table, "age", bounds, epsilon=epsilon)),
        "median": only(lambda epsilon: quantile(table, "age", bounds, 0.5, epsilon=epsilon)),
        "quantile .9": only(lambda epsilon: quantile(table, "age", bounds, 0.9, epsilon=epsilon)),
        "histogram": by_bins,
        "groups, known": by_group(lambda e: answer(grouped, table, Terms(e, keys=keys))),
        "groups, unknown": by_group(lambda e: answer(grouped, table, Terms(e, DELTA))),
        "means of groups": by_group(
            lambda e: answer(means, table, Terms(e, bounds=limits, keys=keys))
        ),
    }


def _measured(
    ask: Callable[[float], Sequence[float]], epsilon: float, right: Real, rounds: int
) -> tuple[float, float]:
    """Median absolute error, and milliseconds of CPU time."""
    ask(epsilon)
    started = time.process_time()
    errors = [np.abs(np.array(ask(epsilon)) - right) for _ in range(rounds)]
    return float(np.median(errors)), (time.process_time() - started) / rounds * 1e3


def _diffprivlib(
    ages: NDArray[np.int32], levels: NDArray[np.int32], rights: dict[str, Real]
) -> dict[str, list[float]]:
    python = os.environ.get("PEERS_PYTHON", "")
    if not python:
        print("  diffprivlib left out: PEERS_PYTHON names no interpreter that has it")
        return {}
    right: dict[str, Any] = {f"right {name}": value for name, value in rights.items()}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "adult.npz"
        given: dict[str, Any] = {
            "ages": ages, "levels": levels, "bins": BINS, "older": OLDER, "epsilons": EPSILONS,
        }  # fmt: skip
        np.savez(file, **given, **right)
        script = Path(__file__).with_name("dp_queries_peers.py")
        done = subprocess.run(
            [python, str(script), str(file), str(ROUNDS)], capture_output=True, text=True,
            check=False,
        )  # fmt: skip
    if done.returncode:
        print("  diffprivlib left out:", *done.stderr.strip().splitlines()[-1:])
        return {}
    found: dict[str, list[float]] = json.loads(done.stdout)
    return found


def _bounding() -> None:
    """SQL over many rows of many people, who are bounded first."""
    rng = np.random.default_rng(0)
    people = rng.integers(0, _BIG // 3, _BIG)
    wards = pa.array([f"ward {number}" for number in range(40)])
    table = pa.table({
        "who": pa.array(people),
        "age": pa.array(rng.integers(17, 91, _BIG)),
        "ward": wards.take(rng.integers(0, 40, _BIG)),
    })  # fmt: skip
    texts = (
        "SELECT COUNT(*), AVG(age), MEDIAN(age) FROM t",
        (
            "SELECT ward, COUNT(*), COUNT(DISTINCT who), AVG(age), MEDIAN(age) FROM t "
            "WHERE age > 20 GROUP BY ward"
        ),
    )
    for text, groups in zip(texts, (1, 2), strict=True):
        query = parse_sql(text, "who").query
        unit = Unit("who", groups=groups, rows=2)
        terms = Terms(1.0, DELTA, unit, {"age": Bounds(LOWER, UPPER)})
        started = time.process_time()
        answer(query, table, terms)
        spent = time.process_time() - started
        print(f"  {_BIG:,} rows, people bounded, {text.split(' FROM')[0]}: {spent:.1f} s CPU")


def main() -> None:
    """Print errors and times."""
    if not ADULT.is_file():
        print("  no ../shared/data/adult beside the repository")
        return
    options = pyarrow.csv.ParseOptions(delimiter=";")
    table = pyarrow.csv.read_csv(ADULT, parse_options=options)
    ages = table["age"].to_numpy().astype(np.int32)
    levels, names = _levels(table)
    rights = _rights(ages, levels)
    ours, sized = _ours(table, names), sized_ways(ages)
    theirs = opendp_ways(ages, ages[ages > OLDER], levels, DELTA, BINS)
    others = _diffprivlib(ages, levels, rights)
    heads = ("ours", "OpenDP", "OpenDP *", "diffprivlib *")
    print(f"Adult, {len(ages):,} rows, {ROUNDS} rounds: median absolute error, ms of CPU time")
    print("  * takes the number of rows as public")
    print(f"  {'':<22}" + "".join(f"{head:>20}" for head in heads))
    for name, right in rights.items():
        for epsilon in EPSILONS:
            cells = [
                _measured(ways[name], epsilon, right, ROUNDS) if name in ways else None
                for ways in (ours, theirs, sized)
            ]
            other = others.get(f"{epsilon:g} {name}")
            cells.append((other[0], other[1]) if other else None)
            told = "".join(
                f"{one[0]:>12.4g} {one[1]:>4.1f} ms" if one else f"{'':>20}" for one in cells
            )
            print(f"  {name:<16}ε {epsilon:<4g}{told}", flush=True)
    _bounding()


if __name__ == "__main__":
    main()
