"""The tests of an assessment that ask what guards are worth, with their canaries."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness import sampling
from strongroom.engines.robustness.evasion.hopskipjump import Jumps
from strongroom.engines.robustness.guards import guard as guarding
from strongroom.engines.robustness.guards import streams, traffic
from strongroom.engines.robustness.guards.conformal import Numbers, fewest_rows
from strongroom.engines.robustness.guards.guard import Guard
from strongroom.engines.robustness.guards.knowing import JUMPS, Attacked, attacked, flagged
from strongroom.engines.robustness.guards.outputs import bits_per_answer
from strongroom.engines.robustness.guards.traffic import Habits, Traffic
from strongroom.engines.robustness.intervals import clopper_pearson
from strongroom.engines.robustness.outcome import Canary, Curve, Gate, Measure, Outcome
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Labels, OutputForm, Predict, Rows, Scores, Target

DETECTION, MONITOR = "guards.detection", "guards.extraction_monitor"
FALSE_ALARMS = "false alarms on right answers"
OVERSHOT = "caught when overshooting"
STOPPED = "stopped within 1.5 times the distance"
HONEST = "honest streams that raise an alarm"
GATES: Mapping[str, tuple[Gate, ...]] = {
    DETECTION: (Gate(FALSE_ALARMS, "at most", 0.03), Gate(OVERSHOT, "at least", 0.5)),
    MONITOR: (Gate(HONEST, "at most", 0.1), Gate("streams caught: mixed", "at least", 0.5)),
}
"""Proposals; see docs/robustness-guards.md."""

FEWEST_VICTIMS = 10
_FACTORS = (1.0, 1.25, 1.5, 2.0, 2.5, 3.0, 4.0)

Progress = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class DetectionSettings:
    """What is measured.

    Attributes:
        victims: rows attacked, at most.
        jumps: how hard.
    """

    guard: guarding.Settings = field(default_factory=guarding.Settings)
    victims: int = 100
    jumps: Jumps = JUMPS


@dataclass(frozen=True, slots=True)
class MonitorSettings:
    """What is measured.

    Attributes:
        streams: of each kind.
        cover: natural queries among those of an attacker who knows, as a share.
    """

    habits: Habits = field(default_factory=Habits)
    streams: int = 20
    cover: float = 0.5


# ---- detection ----


def detection(
    reference: tuple[Rows, Labels], held_out: tuple[Rows, Labels], target: Target, space: Space,
    settings: DetectionSettings = DetectionSettings(), seed: int = 0,
    progress: Progress = lambda _: None,
) -> Outcome:  # fmt: skip
    """What a guard of this model would see of attackers who do not know it, and who do.

    Args:
        reference: rows neighbours are sought among; the training rows will do.
        held_out: rows the model never saw: half sets the guard's threshold, half is attacked.
    """
    inside = target.again(form=OutputForm())
    reference, held_out = _whole(*reference), _whole(*held_out)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(held_out[1]))
    first, second = order[: len(order) // 2], order[len(order) // 2 :]
    if reason := _detection_reason(target, reference, held_out, first, inside, settings):
        return _not_applicable(DETECTION, 3, reason)
    calibration = (held_out[0][first], held_out[1][first])
    guard = guarding.fit(
        reference, calibration, inside.scores, classes=target.classes, settings=settings.guard,
        seed=seed,
    )  # fmt: skip
    progress(0.1)
    rows, labels = held_out[0][second], held_out[1][second]
    scores = inside.scores(rows)
    right = np.flatnonzero(scores.argmax(axis=1) == labels)
    if len(right) < FEWEST_VICTIMS:
        return _not_applicable(DETECTION, 3, "the model answers too few held-out rows rightly")
    victims = right[: settings.victims]
    made = attacked(
        inside.scores, guard, space, rows[victims], labels[victims], reference[0], seed=seed,
        jumps=settings.jumps, progress=lambda share: progress(0.1 + 0.8 * share),
    )  # fmt: skip
    canary = _island(seed)
    measures = detection_measures(inside.scores, guard, made, rows, labels, scores)
    progress(1.0)
    return Outcome(
        DETECTION, 3, ("AML.T0043.001", "AML.T0015"), measures, canary,
        (_stopped_curve(made),), _detection_words(guard, len(victims)), {}, inside.queries,
    )  # fmt: skip


def _detection_reason(
    target: Target, reference: tuple[Rows, Labels], held_out: tuple[Rows, Labels],
    calibration: NDArray[np.intp], inside: Target, settings: DetectionSettings,
) -> str:  # fmt: skip
    if target.classes < 2:
        return "a guard compares labels: a regression has none"
    if len(reference[1]) < guarding.FEWEST_REFERENCE or len(np.unique(reference[1])) < 2:
        return "there are too few reference rows, or all have one label"
    fewest = fewest_rows(settings.guard.rate)
    if len(calibration) < fewest:
        return (
            f"a rate of {settings.guard.rate:g} takes {2 * fewest:,} held-out rows, there are "
            f"{len(held_out[1]):,}"
        )
    answers = inside.labels(held_out[0][calibration])
    if settings.guard.over == "right" and (answers == held_out[1][calibration]).sum() < fewest:
        return f"the model answers fewer than {fewest:,} of the calibration rows rightly"
    return ""


def detection_measures(
    predict: Predict, guard: Guard, made: Attacked, rows: Rows, labels: Labels, scores: Scores
) -> tuple[Measure, ...]:
    """What a guard saw of attackers, and of natural rows with their true labels and answers."""
    natural = flagged(predict, guard, rows, scores)
    is_right = scores.argmax(axis=1) == labels
    won = np.isfinite(made.blind_distances)
    still = won & (predict(made.overshot).argmax(axis=1) != made.labels)
    both = won & np.isfinite(made.knowing_distances)
    ratio = made.knowing_distances[both] / np.maximum(made.blind_distances[both], 1e-12)
    return (
        _share(FALSE_ALARMS, natural[is_right]),
        _share("alarms on wrong answers", natural[~is_right]),
        _share("alarms on natural rows", natural),
        _share("caught at the edge", flagged(predict, guard, made.blind[won])),
        _share(OVERSHOT, flagged(predict, guard, made.overshot[still])),
        _share("alarms on noise of the same length", flagged(predict, guard, made.noise[won])),
        _share(STOPPED, made.stopped(1.5)),
        _share("stopped within twice the distance", made.stopped(2.0)),
        Measure("times as far to pass the guard", float(np.median(ratio)) if len(ratio) else 1.0),
        Measure("rate that was asked for", guard.settings.rate, guard.rate.low, guard.rate.high),
    )


def _stopped_curve(made: Attacked) -> Curve:
    points = []
    for factor in _FACTORS:
        stopped = made.stopped(factor)
        low, high = clopper_pearson(int(stopped.sum()), len(stopped))
        points.append((factor, float(stopped.mean()) if len(stopped) else 0.0, low, high))
    return Curve(
        "Attackers who know the guard, stopped", "times the distance without a guard",
        "share stopped", tuple(points),
    )  # fmt: skip


def _detection_words(guard: Guard, victims: int) -> tuple[str, ...]:
    rate = guard.rate
    return (
        f"{victims} rows were attacked, by an attacker who holds model and guard.",
        (
            f"With {len(guard.calibration):,} calibration rows a rate of {guard.settings.rate:g} "
            f"means between {rate.low:.3f} and {rate.high:.3f}."
        ),
        (
            "Who walks far enough arrives among rows of the other class, which no guard can tell "
            "from an honest row; what a guard does is to make the way longer."
        ),
        "It sees nothing of a row that is false and looks natural with its answer.",
    )


def _island(seed: int) -> Canary:
    """A model that is wrong within an island of a class, and a guard fitted and asked as above."""
    rng = np.random.default_rng(seed)
    labels = rng.integers(2, size=900)
    centres = np.array([[0.3, 0.3, 0.5], [0.7, 0.7, 0.5]])
    rows = np.clip(centres[labels] + 0.08 * rng.standard_normal((900, 3)), 0, 1)

    def predict(asked: Rows) -> Scores:
        is_second = asked[:, :2].sum(axis=1) > 1
        is_second ^= np.abs(asked - [0.3, 0.3, 0.95]).max(axis=1) < 0.1
        return np.stack([~is_second, is_second], axis=1).astype(np.float64)

    guard = guarding.fit(
        (rows[:500], labels[:500]), (rows[500:], labels[500:]), predict, classes=2, seed=seed
    )
    island = np.array([0.3, 0.3, 0.95]) + 0.08 * (rng.random((100, 3)) - 0.5)
    caught = int(flagged(predict, guard, island).sum())
    noise = np.clip(rows[500:600] + 0.02 * rng.standard_normal((100, 3)), 0, 1)
    cried = int(flagged(predict, guard, noise).sum())
    return Canary(
        "a model that answers wrongly within an island beside a class, and rows under small noise",
        caught >= 90 and cried <= 10,
        f"{caught} of 100 rows of the island were flagged, and {cried} of 100 noisy ones; 90 at "
        "least and 10 at most were asked for",
    )


# ---- monitor ----


def extraction_monitor(
    natural: tuple[Rows, Labels], target: Target, space: Space,
    settings: MonitorSettings = MonitorSettings(), seed: int = 0,
    progress: Progress = lambda _: None,
) -> Outcome:  # fmt: skip
    """What a monitor of callers would see of those who copy the model or search its edge.

    Args:
        natural: rows the model never saw: half teach the monitor, half are what callers ask.
    """
    inside = target.again(form=OutputForm())
    rows, labels = _whole(*natural)
    if reason := _monitor_reason(target, len(rows), settings):
        return _not_applicable(MONITOR, 2, reason)
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(rows))
    first, fresh = order[: len(order) // 2], rows[order[len(order) // 2 :]]
    known = traffic.fit(
        rows[first], labels[first], inside.scores(rows[first]), habits=settings.habits, seed=seed
    )
    measures = []
    kinds = _kinds(inside.scores, target.classes, space, fresh, settings, seed)
    for place, (name, stream) in enumerate(kinds.items()):
        found = [_alarm(known, inside.scores, stream(turn)) for turn in range(settings.streams)]
        raised = np.array([one is not None for one in found])
        label = HONEST if name == "honest" else f"streams caught: {name}"
        measures.append(_share(label, raised))
        if name != "honest" and raised.any():
            median = float(np.median([one for one in found if one is not None]))
            measures.append(Measure(f"queries until caught: {name}", median, unit="queries"))
        progress((place + 1) / len(kinds))
    bits = bits_per_answer(target.form, target.classes)
    measures.append(Measure("bits that an answer can tell", bits, unit="bits"))
    return Outcome(
        MONITOR, 2, ("AML.T0024.002", "AML.T0040"), tuple(measures), _walk(known, inside, fresh),
        (), _monitor_words(settings), {"kinds": list(kinds)}, inside.queries,
    )  # fmt: skip


def _kinds(
    predict: Predict, classes: int, space: Space, rows: Rows, settings: MonitorSettings, seed: int
) -> dict[str, Callable[[int], Rows]]:
    length, free = settings.habits.length, sampling.freed(space)

    def rng(turn: int) -> np.random.Generator:
        return np.random.default_rng([seed, turn])

    def decisions(turn: int) -> Rows:
        at = turn % len(rows)
        return streams.decisions(
            predict, classes, space, rows[at : at + 1], rows[:50], length, seed + turn
        )

    return {
        "honest": lambda turn: streams.natural(rows, length, settings.habits.repeats, rng(turn)),
        "natural extraction": lambda turn: streams.natural(rows, length, 0.0, rng(turn)),
        "uniform": lambda turn: sampling.uniform(free, length, rng(turn)),
        "mixed": lambda turn: sampling.mixed(free, rows, length, rng(turn)),
        "lines": lambda turn: streams.lines(predict, free, rows, length, rng(turn)),
        "decision attack": decisions,
        "decision attack under cover": lambda turn: streams.stretched(
            decisions(turn), rows, settings.cover, rng(turn)
        ),
    }


def _alarm(known: Traffic, predict: Predict, rows: Rows) -> int | None:
    return traffic.first_alarm(known, known.ask(rows, predict(rows)))


def _walk(known: Traffic, inside: Target, rows: Rows) -> Canary:
    """A caller who goes from one row to another in small steps, and one who asks one row again."""
    steps = np.linspace(0, 1, 256)[:, None]
    far = rows[int(((rows - rows[0]) ** 2).sum(axis=1).argmax())]
    walk = rows[0] + (far - rows[0]) * steps
    caught = _alarm(known, inside.scores, walk)
    again = _alarm(known, inside.scores, np.repeat(rows[:1], 256, axis=0))
    return Canary(
        "a caller who walks from one row to another in 256 steps, and one who asks one row 256 "
        "times",
        caught is not None and again is None,
        f"the walk was {'not caught' if caught is None else f'caught after {caught} queries'}; the "
        f"repeated row raised {'no' if again is None else 'an'} alarm",
    )


def _monitor_reason(target: Target, rows: int, settings: MonitorSettings) -> str:
    if target.classes < 2:
        return "a monitor watches answers with classes: a regression has none"
    if rows < 2 * traffic.FEWEST_ROWS:
        return f"the monitor takes {2 * traffic.FEWEST_ROWS} natural rows, there are {rows:,}"
    if settings.habits.streams // 2 < fewest_rows(settings.habits.rate):
        return "the rate of alarms takes more honest streams"
    return ""


def _monitor_words(settings: MonitorSettings) -> tuple[str, ...]:
    habits = settings.habits
    return (
        (
            f"Honest callers were taken to ask {habits.length:,} natural rows, "
            f"{habits.repeats:.0%} of them again and {habits.edits:.0%} with one value changed; "
            "others will raise more alarms: a person who tries what-if after what-if walks like an "
            "attack."
        ),
        "Nothing tells a caller who asks natural rows to copy the model from one who needs them.",
        "An attacker with many accounts, or mostly natural rows, stays unseen for longer.",
    )


# ---- shared ----


def _whole(rows: Rows, labels: Labels) -> tuple[Rows, Labels]:
    """Without rows in which something is missing: attacks step from whole rows only."""
    keep = np.isfinite(rows).all(axis=1)
    return rows[keep], labels[keep]


def _share(name: str, hits: NDArray[np.bool_] | Numbers) -> Measure:
    low, high = clopper_pearson(int(hits.sum()), len(hits))
    return Measure(name, float(hits.mean()) if len(hits) else 0.0, low, high, "share")


def _not_applicable(test: str, threat: int, reason: str) -> Outcome:
    return Outcome(test, threat, (), reason=reason)
