"""Membership and extraction beside ART: who finds the training rows, and at what cost of CPU.

Digits and breast cancer of scikit-learn, and Adult from `../shared/data/adult-full` where it is
there; a forest of 100 trees and, on digits, a logistic regression. Half of the rows are members.
Ours fits `FITS` shadow models (16) and, on digits, 64, for the mark that 16 fits reach 85 % of what
64 do; figures are means over `MODELS` attacked models (3), each with rows of its own.

ART runs by the interpreter named by `PEERS_PYTHON`, on the same rows and models fitted the same
way: its black-box attack learns from half of the members and of the others which it is told, and
is judged on the rest; `ShadowModels` with as many fits gives it what ours has.
"""

import os
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
from sklearn.base import ClassifierMixin
from sklearn.datasets import load_breast_cancer, load_digits
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression

from benchmarks import robustness_membership_peers
from strongroom.engines.robustness.extraction.tests import Settings, fidelity
from strongroom.engines.robustness.membership.attacks import lira, loss, rmia
from strongroom.engines.robustness.membership.evidence import gather
from strongroom.engines.robustness.membership.label_only import robustness
from strongroom.engines.robustness.membership.pool import pooled
from strongroom.engines.robustness.membership.rates import auc, tpr_at
from strongroom.engines.robustness.recipes import Estimator
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import OutputForm, Target

FILE = Path(__file__).resolve().parents[1] / "../shared/data/adult-full/adult_full.csv.gz"
FITS = int(os.environ.get("FITS", "16"))
MODELS = int(os.environ.get("MODELS", "3"))
MARK = 0.85
ADULT_ROWS = 4_000

Figures = dict[str, list[tuple[float, float, float]]]
"""Attack → AUC, TPR at 1 % of false alarms, CPU-seconds of each attacked model."""


def _scaled(rows: np.ndarray) -> np.ndarray:
    spread = np.ptp(rows, axis=0)
    return np.asarray((rows - rows.min(axis=0)) / np.where(spread > 0, spread, 1.0))


def _adult() -> tuple[np.ndarray, np.ndarray] | None:
    if not FILE.exists():
        return None
    import pandas as pd

    table = pd.read_csv(FILE, skipinitialspace=True).sample(ADULT_ROWS, random_state=0)
    truth = (table.pop("salary-class") == ">50K").to_numpy().astype(np.int64)
    return _scaled(pd.get_dummies(table).to_numpy(dtype=np.float64)), truth


def _attacks(rows: np.ndarray, truth: np.ndarray, model: ClassifierMixin, most: int,
             seed: int) -> Figures:  # fmt: skip
    """One attacked model; with `most` fits, of which the first `FITS` are looked at alone, too."""
    order = np.random.default_rng(seed).permutation(len(rows))
    rows, truth = rows[order], truth[order]
    half, classes = len(rows) // 2, int(truth.max()) + 1
    recipe = Estimator("own", model, classes, is_own=True)
    target = Target(recipe.fit(rows[:half], truth[:half], seed), classes=classes)
    pool = pooled((rows[:half], truth[:half]), (rows[half:], truth[half:]), classes=classes,
                  seed=seed)  # fmt: skip
    found = gather(pool, target, recipe, fits=most, seed=seed + 1)
    assert found.shadows is not None  # noqa: S101 # just gathered
    matrix, is_in = found.shadows.matrix(), found.shadows.design.is_in()
    figures: Figures = {}

    def told(name: str, score: Callable[[], np.ndarray], before: float) -> None:
        begun = time.process_time()
        scores = score()
        cost = before + time.process_time() - begun
        share = tpr_at(scores, pool.is_member, 0.01).value
        figures[name] = [(auc(scores, pool.is_member).value, share, cost)]

    for fits in sorted({FITS, most}):
        cost, part, seen = found.shadows.seconds * fits / most, matrix[:fits], is_in[:fits]
        told(f"LiRA, {fits} fits", partial(lira, found.own, part, seen), cost)
        told(f"LiRA offline, {fits} fits",
             partial(lira, found.own, part, seen, is_offline=True), cost)  # fmt: skip
        told(f"RMIA, {fits} fits", partial(rmia, found.own, part, seen, classes=classes), cost)
    told("loss", partial(loss, found.own), 0.0)
    copies = np.random.default_rng(seed)
    told("labels alone",
         partial(robustness, target, Space.box(rows.shape[1]), pool.rows,
                 pool.truth.astype(np.int64), copies), 0.0)  # fmt: skip
    return figures


def _row(name: str, figures: list[tuple[float, float, float]]) -> float:
    area, share, cost = np.mean(figures, axis=0)
    print(f"  {name:34} AUC {area:.3f}   TPR at 1 % {share:.3f}   {cost:8.2f} CPU-s")
    return float(share)


def _set(name: str, rows: np.ndarray, truth: np.ndarray, model: ClassifierMixin,
         many: int) -> None:  # fmt: skip
    print(f"\n{name}: {len(rows):,} rows, {MODELS} attacked models")
    figures: Figures = {}
    for seed in range(MODELS):
        for attack, one in _attacks(rows, truth, model, many or FITS, seed).items():
            figures.setdefault(attack, []).extend(one)
    shares = {attack: _row(attack, found) for attack, found in figures.items()}
    for attack in ("LiRA", "RMIA"):
        if many:
            part = shares[f"{attack}, {FITS} fits"] / max(shares[f"{attack}, {many} fits"], 1e-9)
            print(f"  {attack}: {FITS} fits reach {part:.0%} of {many}; mark {MARK:.0%}")
    try:
        peers = robustness_membership_peers.figures(rows, truth, model, MODELS, FITS)
    except ImportError as error:
        print(f"  ART: skipped, {error}")
        return
    for attack, found in peers.items():
        _row(f"ART {attack}", found)


def _extraction(name: str, rows: np.ndarray, truth: np.ndarray) -> None:
    half, classes = len(rows) // 2, int(truth.max()) + 1
    order = np.random.default_rng(0).permutation(len(rows))
    rows, truth = rows[order], truth[order]
    forest = Estimator("forest", RandomForestClassifier(100, n_jobs=1), classes)
    model = forest.fit(rows[:half], truth[:half], 0)
    for form, shown in ((OutputForm(decimals=2), "two decimals"),
                        (OutputForm(shows="labels"), "labels")):  # fmt: skip
        target = Target(model, classes=classes, form=form)
        start = time.process_time()
        found = fidelity(rows[half:], target, Space.box(rows.shape[1]), Settings(1_000), 3)
        cost = time.process_time() - start
        print(f"\nextraction, {name}, {shown}: {cost:.1f} CPU-s")
        for way, steps in found.listed["copies"].items():
            told = ", ".join(f"{one['queries']:,}: {one['fidelity']:.3f}" for one in steps)
            print(f"  {way:8} {told}")


def main() -> None:
    """Print the figures."""
    digits = load_digits(return_X_y=True)
    cancer = load_breast_cancer(return_X_y=True)
    forest = RandomForestClassifier(100, n_jobs=1)
    digits = _scaled(digits[0]), digits[1]
    cancer = _scaled(cancer[0]), cancer[1]
    _set("digits, forest", *digits, forest, 64)
    _set("digits, logistic regression", *digits, LogisticRegression(max_iter=500), 0)
    _set("breast cancer, forest", *cancer, forest, 0)
    adult = _adult()
    if adult is None:
        print("\nAdult: skipped, no ../shared/data/adult-full")
    else:
        _set("Adult, forest", *adult, forest, 0)
    for name, (rows, truth) in {"digits": digits, "breast cancer": cancer}.items():
        _extraction(name, rows, truth)


if __name__ == "__main__":
    main()
