"""Guards of a model: what they catch, of attackers who do not know them and who do, and their cost.

Settings were chosen on digits and breast cancer; wine, Adult (from `../shared/data/adult-full`,
where it is there), a synthetic mixture and shells around a centre were not looked at before. Half
of the rows train the model and are the guard's reference, 30 % set its threshold at 1 % of false
alarms (wine has too few rows: 5 %), the rest is attacked. `VICTIMS` rows (30) a model, `ROUNDS`
rounds (8) of the attack.

- caught: of nearest wrong answers (HopSkipJump and trimming), and of the same 1.5 times as far;
- noise: alarms on rows as far off in random directions;
- passes at: how many times as far an attacker who holds model and guard has to go to pass both, and
  the share that does not pass within 1.5 and 2 times.

Peer: ART's `BinaryInputDetector` over a forest, trained on the same reference rows and attacks on
them, at the same rate of false alarms, by the interpreter named by `PEERS_PYTHON`. ART has no
monitor of callers and no conformal threshold. Below, the whole guard of an endpoint against who
has only the endpoint to ask (`robustness_guards_online`). Then monitors of callers, and forms of
answers.
"""

import os
import time
from pathlib import Path

import numpy as np
from sklearn.datasets import (
    load_breast_cancer,
    load_digits,
    load_wine,
    make_classification,
    make_gaussian_quantiles,
)
from sklearn.ensemble import RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier

from benchmarks import robustness_guards_online, robustness_guards_peers
from strongroom.engines.robustness.evasion.hopskipjump import Jumps, hopskipjump
from strongroom.engines.robustness.evasion.hunt import Hunt
from strongroom.engines.robustness.evasion.trimming import trim
from strongroom.engines.robustness.guards import guard as guarding
from strongroom.engines.robustness.guards import tests as room
from strongroom.engines.robustness.guards.callers import STATE_BYTES, Caller, remember
from strongroom.engines.robustness.guards.guard import Guard, Settings
from strongroom.engines.robustness.guards.knowing import Attacked, attacked
from strongroom.engines.robustness.guards.outputs import FORMS, price
from strongroom.engines.robustness.guards.packing import to_bytes
from strongroom.engines.robustness.guards.traffic import Habits
from strongroom.engines.robustness.guards.traffic import fit as learn
from strongroom.engines.robustness.membership.attacks import lira
from strongroom.engines.robustness.membership.evidence import gather
from strongroom.engines.robustness.membership.pool import pooled
from strongroom.engines.robustness.membership.rates import tpr_at
from strongroom.engines.robustness.recipes import Estimator
from strongroom.engines.robustness.space import Feature, Space
from strongroom.engines.robustness.target import Predict, Target

FILE = Path(__file__).resolve().parents[1] / "../shared/data/adult-full/adult_full.csv.gz"
VICTIMS = int(os.environ.get("VICTIMS", "30"))
JUMPS = Jumps(rounds=int(os.environ.get("ROUNDS", "8")), first=50)
ADULT_ROWS = 3_000
MODELS = {
    "network": MLPClassifier((64,), max_iter=300),
    "forest": RandomForestClassifier(30, n_jobs=1),
}

Case = tuple[np.ndarray, np.ndarray, Space, float]
"""Rows, labels, space, rate of false alarms."""


def main() -> None:
    """Print the tables."""
    print("guards: share of …  (settings were chosen on the first two)")
    print(f"{'':26}{'alarms on natural':>26}{'caught':>14}{'noise':>7}{'stopped within':>17}"
          f"{'passes':>8}{'µs':>12}{'kB':>6}")  # fmt: skip
    print(f"{'':26}{'right':>8}{'wrong':>9}{'all':>9}{'edge':>7}{'1.5x':>7}{'':>7}{'1.5x':>9}"
          f"{'2x':>8}{'at':>8}{'alone':>7}{'many':>5}")  # fmt: skip
    for name, case in _cases().items():
        for kind in MODELS:
            _guard(name, kind, case)
    for name, case in _cases().items():
        if name in {"breast cancer", "digits", "synthetic", "adult"}:
            _monitor(name, case)
    _forms()


def _cases() -> dict[str, Case]:
    made = {}
    rows, labels = load_breast_cancer(return_X_y=True)
    made["breast cancer"] = _plain(rows, labels, 0.01)
    rows, labels = load_digits(return_X_y=True)
    pixels = Space([Feature(f"x{at}", step=1 / 16) for at in range(64)])
    made["digits"] = (*_shuffled(rows / 16, labels), pixels, 0.01)
    rows, labels = load_wine(return_X_y=True)
    made["wine"] = _plain(rows, labels, 0.05)
    rows, labels = make_classification(
        3_000, 20, n_informative=8, n_redundant=4, n_classes=3, class_sep=1.5, random_state=1
    )
    made["synthetic"] = _plain(rows, labels, 0.01)
    rows, labels = make_gaussian_quantiles(n_samples=3_000, n_features=8, n_classes=3,
                                           random_state=2)  # fmt: skip
    made["shells"] = _plain(rows, labels, 0.01)
    if FILE.exists():
        made["adult"] = _adult()
    else:
        print("adult left out: there is no ../shared/data/adult-full")
    return made


def _plain(rows: np.ndarray, labels: np.ndarray, rate: float) -> Case:
    rows = (rows - rows.min(axis=0)) / np.ptp(rows, axis=0)
    return (*_shuffled(rows, labels), Space.box(rows.shape[1]), rate)


def _shuffled(rows: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    order = np.random.default_rng(0).permutation(len(rows))
    return rows[order], labels[order].astype(np.int64)


def _adult() -> Case:
    import pandas as pd

    table = pd.read_csv(FILE, skipinitialspace=True).sample(ADULT_ROWS, random_state=0)
    labels = (table.pop("salary-class") == ">50K").to_numpy().astype(np.int64)
    features, columns = [], {}
    for name in table.columns:
        if table[name].dtype.kind in "if":
            columns[name] = table[name].to_numpy(float)
            low, high = columns[name].min(), columns[name].max()
            features.append(Feature(name, float(low), float(high), step=1.0))
        else:
            columns[name] = table[name].astype(str).to_numpy(object)
            features.append(Feature(name, levels=tuple(sorted(set(columns[name])))))
    space = Space(features)
    return space.encode(columns), labels, space, 0.01


def _guard(name: str, kind: str, case: Case) -> None:
    rows, labels, space, rate = case
    first, second = int(0.5 * len(rows)), int(0.8 * len(rows))
    classes = int(labels.max()) + 1
    predict = Estimator(kind, MODELS[kind], classes).fit(rows[:first], labels[:first], 0)
    guard = guarding.fit(
        (rows[:first], labels[:first]), (rows[first:second], labels[first:second]), predict,
        classes=classes, settings=Settings(rate=rate),
    )  # fmt: skip
    fresh, truth = rows[second:], labels[second:]
    scores = predict(fresh)
    right = np.flatnonzero(scores.argmax(axis=1) == truth)[:VICTIMS]
    made = attacked(
        predict, guard, space, fresh[right], truth[right], rows[:first], seed=1, jumps=JUMPS
    )
    measures = room.detection_measures(predict, guard, made, fresh, truth, scores)
    found = {one.name: one.value for one in measures}
    alone, many = _cost(guard, predict, fresh)
    print(
        f"{name + ', ' + kind:26}{found[room.FALSE_ALARMS]:8.3f}"
        f"{found['alarms on wrong answers']:9.2f}{found['alarms on natural rows']:9.3f}"
        f"{found['caught at the edge']:7.2f}{found[room.OVERSHOT]:7.2f}"
        f"{found['alarms on noise of the same length']:7.2f}{found[room.STOPPED]:9.2f}"
        f"{found['stopped within twice the distance']:8.2f}"
        f"{found['times as far to pass the guard']:7.2f}x{alone:7.0f}{many:5.0f}"
        f"{len(to_bytes(guard)) / 1e3:6.0f}",
        flush=True,
    )
    _peer(predict, (rows, labels), first, second, made, space)
    tables = (
        (rows[:first], labels[:first]), (rows[first:second], labels[first:second]), (fresh, truth),
    )  # fmt: skip
    robustness_guards_online.show(predict, guard, space, tables, made, JUMPS)


def _cost(guard: Guard, predict: Predict, rows: np.ndarray) -> tuple[float, float]:
    """CPU-µs of a verdict on one row, the best of some rounds, and a row in a batch."""
    scores, alone, many = predict(rows), [], []
    for _ in range(5):
        start = time.process_time()
        for place in range(100):
            at = place % len(rows)
            guard.check(rows[at : at + 1], scores[at : at + 1])
        alone.append((time.process_time() - start) / 100)
        start = time.process_time()
        guard.check(rows, scores)
        many.append((time.process_time() - start) / len(rows))
    return 1e6 * min(alone), 1e6 * min(many)


def _peer(
    predict: Predict, table: tuple[np.ndarray, np.ndarray], first: int, second: int, made: Attacked,
    space: Space,
) -> None:  # fmt: skip
    rows, labels = table
    right = np.flatnonzero(predict(rows[:first]).argmax(axis=1) == labels[:first])[: 2 * VICTIMS]
    hunt = Hunt(Target(predict, classes=int(labels.max()) + 1), space, rows[right], labels[right])
    rng = np.random.default_rng(2)
    hopskipjump(hunt, rng, pool=rows[:first], jumps=JUMPS)
    trim(hunt, rng, rounds=1)
    still = predict(made.overshot).argmax(axis=1) != made.labels
    try:
        found = robustness_guards_peers.figures(
            natural=rows[:first], attacks=hunt.best, calibration=rows[first:second],
            blind=made.blind, overshot=made.overshot[still], noise=made.noise,
        )  # fmt: skip
    except ImportError as error:
        print(f"    ART left out: {error}")
        return
    print(f"{'    ART, input detector':26}{'':26}{found['blind']:7.2f}{found['overshot']:7.2f}"
          f"{found['noise']:7.2f}{'':25}{found['alone']:7.0f}")  # fmt: skip


def _monitor(name: str, case: Case) -> None:
    rows, labels, space, _ = case
    first = int(0.3 * len(rows))
    classes = int(labels.max()) + 1
    model = LogisticRegression(C=10, max_iter=2_000)
    predict = Estimator("logistic", model, classes).fit(rows[:first], labels[:first], 0)
    settings = room.MonitorSettings(Habits(), streams=20)
    outcome = room.extraction_monitor(
        (rows[first:], labels[first:]), Target(predict, classes=classes), space, settings, 1
    )
    known = learn(rows[first:], labels[first:], predict(rows[first:]))
    part, scores = rows[first : first + 128], predict(rows[first : first + 128])
    best = []
    for _ in range(5):
        caller, start = Caller(), time.process_time()
        for place in range(0, 128, 16):
            asked = known.ask(part[place : place + 16], scores[place : place + 16])
            remember(caller, asked, known.habits.length)
            known.alarm(caller)
        best.append((time.process_time() - start) / 128)
    print(f"\nmonitor, {name}: {STATE_BYTES:,} bytes a caller, {1e6 * min(best):.0f} µs a query")
    for one in outcome.measures:
        if one.name.startswith(("streams caught", "honest")):
            until = outcome.measure(one.name.replace("streams caught", "queries until caught"))
            after = f", after {until.value:.0f} queries" if until and until is not one else ""
            print(f"  {one.name:46}{one.value:6.2f}{after}")


def _forms() -> None:
    print("\nforms of answers: digits, forest; membership by LiRA with 8 shadow fits")
    rows, labels = load_digits(return_X_y=True)
    rows, labels = _shuffled(rows / 16, labels)
    half = len(rows) // 2
    recipe = Estimator("forest", MODELS["forest"], 10, is_own=True)
    model = recipe.fit(rows[:half], labels[:half], 0)
    pool = pooled((rows[:half], labels[:half]), (rows[half:], labels[half:]), classes=10, seed=0)
    for name, form in FORMS:
        one = price(name, form, model(rows[half:]), labels[half:])
        told = ""
        if form.shows == "probabilities":
            found = gather(pool, Target(model, classes=10, form=form), recipe, fits=8, seed=1)
            assert found.shadows is not None  # noqa: S101 # just gathered
            scores = lira(found.own, found.shadows.matrix(), found.shadows.design.is_in())
            told = f"  TPR at 1 % {tpr_at(scores, pool.is_member, 0.01).value:.3f}"
        print(f"  {name:20}{one.bits:7.1f} bits  accuracy {one.accuracy:.3f}  Brier {one.brier:.3f}"
              f"  calibration error {one.calibration_error:.3f}{told}")  # fmt: skip


if __name__ == "__main__":
    main()
