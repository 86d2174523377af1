"""Training with privacy on Adult: area under the curve and CPU-seconds at five epsilons.

Needs `../shared/data/adult-full`. All learn from the same random four fifths and are measured on
the rest, with the public bounds that the data's description gives, at delta 1e-5; figures are means
over splits (`SPLITS`, 3), each with noise of its own, and how far the splits lie from each other
(standard deviation). Plans and rates are the products' defaults. Peers: interpret's DP-EBM as its
authors ship it; Opacus as its tutorials use it, where PyTorch is installed (our `network` takes
its clipping and noise, with steps of our own); diffprivlib's logistic regression by the interpreter
named by `PEERS_PYTHON`. `WAYS` names the trainers to measure, divided by commas; all without it.
"""

import math
import os
import resource
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from sklearn.metrics import roc_auc_score

from benchmarks import dp_training_peers
from strongroom.engines.privacy.dp.training.domain import Category, Choice, Domain, Number
from strongroom.engines.privacy.dp.training.running import Method, Wish, train
from strongroom.errors import MissingExtraError

FILE = Path(__file__).resolve().parents[1] / "../shared/data/adult-full/adult_full.csv.gz"
TARGET = "salary-class"
BOUNDS = {
    "age": (17, 90), "fnlwgt": (12_285, 1_484_705), "education-num": (1, 16),
    "capital-gain": (0, 99_999), "capital-loss": (0, 4_356), "hours-per-week": (1, 99),
}  # fmt: skip
EPSILONS = (0.1, 0.5, 1.0, 2.0, 4.0)
MARKS = (math.nan, 0.89, 0.895, 0.897, 0.90)
DELTA = 1e-5
SPLITS = int(os.environ.get("SPLITS", "3"))

Scores = Callable[[pd.DataFrame, pd.DataFrame, float], np.ndarray]
"""Learns from one table, scores the other."""


def _domain(table: pd.DataFrame) -> Domain:
    """As the data's description: its categories are published with it."""
    features = tuple(
        Number(name, *BOUNDS[name]) if name in BOUNDS
        else Category(name, tuple(sorted(table[name].unique())))
        for name in table.columns if name != TARGET
    )  # fmt: skip
    return Domain(features, Choice(TARGET, ("<=50K", ">50K")))


def _ours(method: Method, domain: Domain) -> Scores:
    def scores(first: pd.DataFrame, second: pd.DataFrame, epsilon: float) -> np.ndarray:
        learned = pa.Table.from_pandas(first, preserve_index=False)
        model = train(learned, domain, Wish(epsilon, DELTA, method)).model
        return model.scores(pa.Table.from_pandas(second, preserve_index=False))

    return scores


def _interpret(first: pd.DataFrame, second: pd.DataFrame, epsilon: float) -> np.ndarray:
    from interpret.privacy import DPExplainableBoostingClassifier

    names = [name for name in first.columns if name != TARGET]
    machine = DPExplainableBoostingClassifier(
        epsilon=epsilon, delta=DELTA, n_jobs=1,
        feature_types=["continuous" if name in BOUNDS else "nominal" for name in names],
        privacy_bounds={at: BOUNDS[name] for at, name in enumerate(names) if name in BOUNDS},
    )  # fmt: skip
    machine.fit(first[names], first[TARGET])
    found: np.ndarray = machine.predict_proba(second[names])[:, 1]
    return found


def _numbers(first: pd.DataFrame, second: pd.DataFrame) -> tuple[np.ndarray, np.ndarray]:
    """The rows of both as numbers in 0 to 1: amounts by their bounds, a column a category."""
    both = pd.concat([first, second]).drop(columns=TARGET)
    for name, (low, high) in BOUNDS.items():
        both[name] = (both[name] - low) / (high - low)
    rows = pd.get_dummies(both).to_numpy(float)
    return rows[: len(first)], rows[len(first) :]


def _opacus(first: pd.DataFrame, second: pd.DataFrame, epsilon: float) -> np.ndarray:
    rows, fresh = _numbers(first, second)
    truth = (first[TARGET] == ">50K").to_numpy(float)
    found: np.ndarray = dp_training_peers.opacus_scores(rows, truth, fresh, epsilon, DELTA)
    return found


def _diffprivlib(first: pd.DataFrame, second: pd.DataFrame, epsilon: float) -> np.ndarray:
    rows, fresh = _numbers(first, second)
    truth = (first[TARGET] == ">50K").to_numpy(int)
    found: np.ndarray = dp_training_peers.diffprivlib_scores(rows, truth, fresh, epsilon)
    return found


def main() -> None:
    """Print the table."""
    if not FILE.is_file():
        print("no ../shared/data/adult-full: nothing to measure")
        return
    table = pd.read_csv(FILE, skipinitialspace=True)
    domain = _domain(table)
    ways: dict[str, Scores] = {
        "additive (ours)": _ours(Method.ADDITIVE, domain),
        "boosting (ours)": _ours(Method.BOOSTING, domain),
        "interpret DP-EBM": _interpret,
        "network (ours)": _ours(Method.NETWORK, domain),
        "Opacus": _opacus,
        "diffprivlib": _diffprivlib,
    }
    print(f"{'AUC at epsilon':<18}" + "".join(f"{one:>13g}" for one in EPSILONS) + "   CPU-s each")
    print(f"{'mark':<18}" + "".join(f"{one:>13.3f}" for one in MARKS) + "     <= 10")
    wanted = [name for name in os.environ.get("WAYS", "").split(",") if name]
    for name, scores in ways.items():
        if wanted and name not in wanted:
            continue
        try:
            _row(name, scores, table)
        except (ImportError, MissingExtraError) as error:
            print(f"{name:<20}  left out: {str(error)[:60]}")


def _row(name: str, scores: Scores, table: pd.DataFrame) -> None:
    found: dict[float, list[float]] = {one: [] for one in EPSILONS}
    spent = []
    for split in range(SPLITS):
        order = np.random.default_rng(split).permutation(len(table))
        cut = len(table) * 4 // 5
        first, second = table.iloc[order[:cut]], table.iloc[order[cut:]]
        for epsilon in EPSILONS:
            before = _spent()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                result = scores(first, second, epsilon)
            spent.append(_spent() - before)
            found[epsilon].append(float(roc_auc_score(second[TARGET] == ">50K", result)))
    figures = "".join(
        f"{np.mean(one):>8.4f}±{np.std(one, ddof=1) if SPLITS > 1 else math.nan:.3f}".rjust(13)
        for one in found.values()
    )
    print(f"{name:<18}{figures}{np.median(spent):>10.1f}", flush=True)


def _spent() -> float:
    """CPU-seconds of this process and of those that it waited for."""
    own, others = (
        resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    return own.ru_utime + own.ru_stime + others.ru_utime + others.ru_stime
