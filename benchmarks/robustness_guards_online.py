"""The whole guard of an endpoint against an attacker who has only the endpoint to ask.

The attacker knows the code, the settings, reference and calibration rows with their labels, and not
the model. Rows and callers are each looked at by one false alarm in a hundred.

- *Copy*: ask natural rows as honest callers do (512), train four models on the answers, fit this
  very guard to each, and find rows that are wrong and pass there. Of each victim `TRIES` such rows
  go to the endpoint, stretched to the distance that is allowed; the first is wrong for three copies
  at once. An account for each victim, one for all, and one that hides them among nine natural rows
  each.
- *Search*: HopSkipJump against the endpoint itself, where a refusal is one more answer that is not
  wrong, until the caller has an alarm. An account for each victim.

Distances are in those that an attacker with the model needs where nothing guards it. Two bounds go
with them: the share of victims that have a *natural* row of another class, answered rightly, within
that distance (no guard may flag more than its rate of those), and how much of attacks that do not
know it the best of two detectors catches that were *trained on such attacks*.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from sklearn.ensemble import ExtraTreesClassifier, RandomForestClassifier
from sklearn.linear_model import LogisticRegression
from sklearn.neural_network import MLPClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVC

from strongroom.engines.robustness.evasion.hopskipjump import Jumps, hopskipjump
from strongroom.engines.robustness.evasion.hunt import Hunt
from strongroom.engines.robustness.evasion.trimming import trim
from strongroom.engines.robustness.guards import guard as guarding
from strongroom.engines.robustness.guards.callers import Caller
from strongroom.engines.robustness.guards.guard import Guard, Settings
from strongroom.engines.robustness.guards.knowing import Attacked, flagged
from strongroom.engines.robustness.guards.traffic import STEP, Traffic
from strongroom.engines.robustness.guards.traffic import fit as learn
from strongroom.engines.robustness.recipes import Estimator
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Predict, Target

NATURAL = 512
TRIES = 10
COVER = 9
"""Natural rows to each of an attack."""
FACTORS = (1.5, 2.0)
MOST_SEARCHED = 20_000
TAUGHT, ASKED = 200, 100
"""Rows whose attacks teach a detector, and rows whose attacks it is shown."""

Table = tuple[np.ndarray, np.ndarray]


class AlarmRaisedError(Exception):
    """The caller is answered no more."""


@dataclass
class Endpoint:
    """A model behind its guard and the monitor of callers, as one account sees it."""

    predict: Predict
    guard: Guard
    known: Traffic
    rows: int = 0
    alarm: int = 0
    """Rows after which it was raised; 0 for none."""

    def __post_init__(self) -> None:
        self.caller = Caller()

    def ask(self, rows: np.ndarray) -> np.ndarray:
        """Answers; -1 where there is none."""
        told = np.full(len(rows), -1)
        for start in range(0, len(rows), STEP):
            if self.alarm:
                break
            part = rows[start : start + STEP]
            scores = self.predict(part)
            held = self.guard.check(part, scores).is_flagged
            told[start : start + STEP] = np.where(held, -1, scores.argmax(axis=1))
            self.rows += len(part)
            self.known.hear(self.caller, self.known.ask(part, scores))
            if self.known.alarm(self.caller).is_raised:
                self.alarm = self.rows
        return told


@dataclass
class Site:
    """What is attacked, and what with."""

    space: Space
    classes: int
    predict: Predict
    guard: Guard
    settings: Settings
    reference: Table
    calibration: Table
    fresh: Table
    origins: np.ndarray
    labels: np.ndarray
    reach: np.ndarray
    """Of each victim, the distance an attacker with the unguarded model needs."""
    jumps: Jumps

    def __post_init__(self) -> None:
        rows, labels = self.calibration
        self.known = learn(rows, labels, self.predict(rows))

    def account(self) -> Endpoint:
        """A caller that nobody has seen before."""
        return Endpoint(self.predict, self.guard, self.known)


def show(
    predict: Predict, guard: Guard, space: Space, tables: tuple[Table, Table, Table],
    made: Attacked, jumps: Jumps,
) -> None:  # fmt: skip
    """Print what the online guard stops of rows that were attacked already."""
    start = time.process_time()
    won = np.isfinite(made.blind_distances) & (made.blind_distances > 0)
    site = Site(
        space, guard.classes, predict, guard, guard.settings, *tables, made.origins[won],
        made.labels[won], made.blind_distances[won], jumps,
    )  # fmt: skip
    _show_copy(site)
    _show_search(site)
    _show_bounds(site)
    print(f"    ({time.process_time() - start:.0f} s of CPU)", flush=True)


# ---- by a copy ----


def _show_copy(site: Site) -> None:
    rng = np.random.default_rng(3)
    honest = site.account()
    asked = site.reference[0][rng.permutation(len(site.reference[0]))[:NATURAL]]
    answers = honest.ask(asked)
    copies = _copies(asked[answers >= 0], answers[answers >= 0], site.classes)
    agree = np.mean([
        (one(site.fresh[0]).argmax(axis=1) == site.predict(site.fresh[0]).argmax(axis=1)).mean()
        for one in copies
    ])  # fmt: skip
    guards = [
        guarding.fit(site.reference, site.calibration, one, classes=site.classes,
                     settings=site.settings) for one in copies
    ]  # fmt: skip
    groups = [(copies[:3], guards[:3]), *(([one], [own]) for one, own in
                                          zip(copies, guards, strict=True))]  # fmt: skip
    found = [_crafted(site, *group, 30 + place) for place, group in enumerate(groups)]
    print(f"    online, by a copy (agrees {agree:.2f}; {len(asked)} natural rows asked, "
          f"{'alarm' if honest.alarm else 'no alarm'})")  # fmt: skip
    for factor in FACTORS:
        tries = _stretched(site, found, factor)
        bare = site.predict(tries.reshape(-1, tries.shape[2])).argmax(axis=1)
        bare = (bare.reshape(tries.shape[:2]) != site.labels[:, None]).any(axis=1)
        own = np.array([
            _wins(site.account().ask(some), label) for some, label in
            zip(tries, site.labels, strict=True)
        ])  # fmt: skip
        one, hidden = _one_account(site, tries, 0, rng), _one_account(site, tries, COVER, rng)
        print(f"      within {factor}x: stopped {1 - bare.mean():.2f} by the model alone, "
              f"{1 - own.mean():.2f} an account each, {one[0]:.2f} one account (alarm {one[1]}), "
              f"{hidden[0]:.2f} hidden (alarm {hidden[1]})", flush=True)  # fmt: skip


def _copies(rows: np.ndarray, answers: np.ndarray, classes: int) -> list[Predict]:
    models = {
        "network": MLPClassifier((64,), max_iter=2_000, random_state=11),
        "another": MLPClassifier((64,), max_iter=2_000, random_state=12),
        "forest": RandomForestClassifier(50, n_jobs=1, random_state=13),
        "logistic": LogisticRegression(C=10, max_iter=2_000),
    }
    return [Estimator(name, one, classes).fit(rows, answers, 0) for name, one in models.items()]


def _crafted(
    site: Site, copies: list[Predict], guards: list[Guard], seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest rows that all these copies answer wrongly and all their guards let pass."""

    def behind(label: int) -> Predict:
        def answer(rows: np.ndarray) -> np.ndarray:
            scores = np.stack([one(rows) for one in copies])
            is_won = (scores.argmax(axis=2) != label).all(axis=0)
            for copy, guard in zip(copies, guards, strict=True):
                at = np.flatnonzero(is_won)
                if len(at):
                    is_won[at] = ~flagged(copy, guard, rows[at])
            mean = scores.mean(axis=0)
            mean[is_won, label] = -1.0
            mean[~is_won] = np.eye(site.classes)[label]
            return np.asarray(mean)

        return answer

    return _hunted(site, behind, site.origins, site.labels, seed)


def _stretched(site: Site, found: list[tuple[np.ndarray, np.ndarray]], factor: float) -> np.ndarray:
    """(victims, tries, width): as far as is allowed, and half way there."""
    tries, most = [], factor * site.reach
    for points, distances in found:
        lengths = np.where(np.isfinite(distances) & (distances > 0), distances, 1.0)
        for wanted in (most, np.minimum((lengths + most) / 2, most)):
            step = (wanted / lengths)[:, None] * (points - site.origins)
            moved = site.space.project(site.origins + step, site.origins)
            within = np.linalg.norm(moved - site.origins, axis=1) <= most * (1 + 1e-6)
            tries.append(np.where(within[:, None], moved, site.origins))
    return np.stack(tries, axis=1)[:, :TRIES]


def _wins(answers: np.ndarray, label: int) -> bool:
    return bool(((answers >= 0) & (answers != label)).any())


def _one_account(
    site: Site, tries: np.ndarray, cover: int, rng: np.random.Generator
) -> tuple[float, int]:
    """Share of victims stopped, and rows until the alarm."""
    rows = tries.reshape(-1, tries.shape[2])
    owners = np.repeat(np.arange(len(tries)), tries.shape[1])
    stream = site.fresh[0][rng.integers(len(site.fresh[0]), size=len(rows) * (1 + cover))]
    places = np.sort(rng.permutation(len(stream))[: len(rows)])
    stream[places] = rows
    account = site.account()
    answers = account.ask(stream)[places]
    won = [_wins(answers[owners == one], site.labels[one]) for one in range(len(tries))]
    return 1 - float(np.mean(won)), account.alarm


# ---- by asking ----


def _show_search(site: Site) -> None:
    for cover in (0, COVER):
        distances, alarms = np.full(len(site.labels), np.inf), []
        for victim in range(len(site.labels)):
            distances[victim], alarm = _searched(site, victim, cover)
            alarms.append(alarm)
        ratio = distances / site.reach
        told = ", ".join(f"{(ratio > one).mean():.2f} within {one}x" for one in (*FACTORS, 3.0))
        raised = [one for one in alarms if one]
        after = f"median after {np.median(raised):.0f}" if raised else "never"
        print(f"    online, by asking, {cover} natural rows to each: stopped {told}; alarms "
              f"{len(raised) / len(alarms):.2f}, {after}", flush=True)  # fmt: skip


def _searched(site: Site, victim: int, cover: int) -> tuple[float, int]:
    account, label = site.account(), int(site.labels[victim])
    rng, best = np.random.default_rng(victim), [np.inf]

    def answer(rows: np.ndarray) -> np.ndarray:
        scores = np.zeros((len(rows), site.classes))
        for start in range(0, len(rows), STEP):
            part = rows[start : start + STEP]
            stream = np.concatenate([
                part, site.fresh[0][rng.integers(len(site.fresh[0]), size=cover * len(part))],
            ])  # fmt: skip
            order, told = rng.permutation(len(stream)), np.empty(len(stream), dtype=int)
            told[order] = account.ask(stream[order])
            won = (told[: len(part)] >= 0) & (told[: len(part)] != label)
            if won.any():
                lengths = np.linalg.norm(part[won] - site.origins[victim], axis=1)
                best[0] = min(best[0], float(lengths.min()))
            at = np.arange(start, start + len(part))
            scores[at, np.where(won, told[: len(part)], label)] = 1.0
            if account.alarm or account.rows > MOST_SEARCHED:
                raise AlarmRaisedError
        return scores

    try:
        one = slice(victim, victim + 1)
        _hunted(site, lambda _: answer, site.origins[one], site.labels[one], victim)
    except AlarmRaisedError:
        pass
    return best[0], account.alarm


# ---- bounds ----


def _show_bounds(site: Site) -> None:
    (rows, labels), (fresh, truth) = (
        tuple(np.concatenate(both) for both in zip(site.reference, site.calibration, strict=True)),
        site.fresh,
    )  # fmt: skip
    is_right = site.predict(rows).argmax(axis=1) == labels
    rows, labels = rows[is_right], labels[is_right]
    is_right = site.predict(fresh).argmax(axis=1) == truth
    fresh, truth = fresh[is_right], truth[is_right]
    natural, classes = np.concatenate([rows, fresh]), np.concatenate([labels, truth])
    nearest = np.array([
        np.linalg.norm(natural[classes != label] - one, axis=1).min()
        for one, label in zip(site.origins, site.labels, strict=True)
    ])  # fmt: skip
    near = ", ".join(f"{(nearest <= f * site.reach).mean():.2f} within {f}x" for f in FACTORS)
    order = np.random.default_rng(5).permutation(len(rows))[:TAUGHT]
    lessons = _moved(site, rows[order], labels[order])
    shown = _moved(site, fresh[:ASKED], truth[:ASKED])
    print(f"    bounds: a natural row of another class {near}; a detector trained on the attacks "
          f"catches {_taught(site, rows, lessons, fresh, shown):.2f} of such at 1.5x, one who "
          "knows it not counted", flush=True)  # fmt: skip


def _moved(site: Site, rows: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Attacks without a guard, overshot by half, that are still wrong."""
    points, distances = _hunted(site, lambda _: site.predict, rows, labels, 7)
    won = np.isfinite(distances) & (distances > 0)
    rows, labels, points = rows[won], labels[won], points[won]
    moved = site.space.project(rows + FACTORS[0] * (points - rows), rows)
    return np.asarray(moved[site.predict(moved).argmax(axis=1) != labels])


def _taught(
    site: Site, natural: np.ndarray, attacks: np.ndarray, fresh: np.ndarray, shown: np.ndarray
) -> float:
    """Share of attacks that the better of two detectors flags, at the guard's rate over `fresh`."""

    def seen(rows: np.ndarray) -> np.ndarray:
        return np.column_stack([rows, 2 * np.eye(site.classes)[site.predict(rows).argmax(axis=1)]])

    inputs = np.concatenate([seen(natural), seen(attacks)])
    is_attack = np.repeat([0, 1], [len(natural), len(attacks)])
    best = 0.0
    for model in (
        make_pipeline(StandardScaler(), SVC(C=10)),
        ExtraTreesClassifier(200, min_samples_leaf=2, random_state=0, n_jobs=1),
    ):
        model.fit(inputs, is_attack)
        says = (model.decision_function if hasattr(model, "decision_function")
                else lambda rows, model=model: model.predict_proba(rows)[:, 1])  # fmt: skip
        ordered = np.sort(says(seen(fresh)))
        level = ordered[-max(1, int(site.settings.rate * (len(ordered) + 1)))]
        best = max(best, float((says(seen(shown)) > level).mean()))
    return best


def _hunted(
    site: Site, behind: Callable[[int], Predict], rows: np.ndarray, labels: np.ndarray, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Nearest rows that `behind` a true label answers otherwise, and how far they are."""
    points, distances = rows.copy(), np.full(len(rows), np.inf)
    rng = np.random.default_rng(seed)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        hunt = Hunt(Target(behind(int(label)), classes=site.classes), site.space, rows[own],
                    labels[own])  # fmt: skip
        hopskipjump(hunt, rng, pool=site.reference[0], jumps=site.jumps)
        trim(hunt, rng, rounds=1)
        found = hunt.found()
        points[own], distances[own] = found.points, found.distances
    return points, distances
