"""The extraction test of an assessment, with its canaries and what an endpoint's limits allow."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from strongroom.engines.robustness.extraction.stealing import BUDGETS, WAYS, Step, Way, steal
from strongroom.engines.robustness.intervals import clopper_pearson
from strongroom.engines.robustness.outcome import Canary, Curve, Gate, Measure, Outcome
from strongroom.engines.robustness.sampling import freed, uniform
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Rows, Scores, Target

FIDELITY = "extraction.fidelity"
THREAT = 2
ATLAS = ("AML.T0024.002", "AML.T0005.001")
TO_90, TO_95 = "queries to 90 % fidelity", "queries to 95 % fidelity"
DAYS = 30
MARKS = (100, 1_000, 10_000)
FEWEST_ROWS = 60
_MOST_JUDGED = 1_000
_CANARY_BUDGETS = (500,)
_CANARY_COORDINATES = 2
_CANARY_FROM = 0.9


def allowed(per_minute: int | None, per_day: int | None) -> int | None:
    """Rows that the limits let one caller ask in 30 days; None: there are no limits."""
    found = [] if per_day is None else [per_day * DAYS]
    if per_minute is not None:
        found.append(per_minute * 60 * 24 * DAYS)
    return min(found) if found else None


def gates(allowance: int | None) -> tuple[Gate, ...]:
    """A copy must cost more than the limits give in 30 days; without limits nothing is enough."""
    return (Gate(TO_90, "at least", float("inf") if allowance is None else float(allowance)),)


GATES: Mapping[str, tuple[Gate, ...]] = {FIDELITY: ()}
"""Where limits are known, `gates` of them."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How much is asked.

    Attributes:
        most: queries of each way, at most.
        per_minute, per_day: rows that the endpoint lets one caller ask; None: no such limit.
    """

    most: int = 10_000
    ways: Sequence[Way] = WAYS
    per_minute: int | None = None
    per_day: int | None = None


def fidelity(
    rows: Rows, target: Target, space: Space, settings: Settings, seed: int,
    progress: Callable[[float], None] | None = None,
) -> Outcome:  # fmt: skip
    """How many queries make a copy that agrees with the model.

    Args:
        rows: natural ones; half are the attacker's, on the rest the copies are judged.
        target: each way of asking begins with its whole budget.
    """
    rows = rows[np.isfinite(rows).all(axis=1)]
    if len(rows) < FEWEST_ROWS:
        return Outcome(
            FIDELITY, THREAT, ATLAS, reason=f"it takes {FEWEST_ROWS} rows without missing values"
        )
    rows = rows[np.random.default_rng(seed).permutation(len(rows))]
    held = min(len(rows) // 2, _MOST_JUDGED)
    judged = rows[:held], target.again().scores(rows[:held])
    budgets = [one for one in BUDGETS if one <= settings.most]
    if not budgets or (target.left is not None and target.left < budgets[0]):
        return Outcome(
            FIDELITY, THREAT, ATLAS, reason=f"a copy takes {BUDGETS[0]} queries at the least"
        )
    free = freed(space)
    found: dict[Way, list[Step]] = {}
    spent = 0
    for done, way in enumerate(settings.ways):
        fresh = target.again(budget=target.left)
        told = _part(progress, done, len(settings.ways))
        found[way] = steal(
            fresh, free, way, rows[held:], judged, budgets=budgets, seed=seed, progress=told
        )
        spent += fresh.queries
    return _outcome(found, judged[1], settings, _canary(free, seed), spent)


def _outcome(
    found: Mapping[Way, list[Step]], scores: Scores, settings: Settings, canary: Canary, spent: int
) -> Outcome:
    most = max((steps[-1].queries for steps in found.values() if steps), default=0)
    bare = _constant(scores)
    measures = [Measure("fidelity of a constant answer", bare, unit="share")]
    measures += [
        _measure(f"fidelity at {mark:,} queries", best)
        for mark in MARKS
        if mark <= settings.most and (best := _best(found, mark)) is not None
    ]
    reached = {share: _reached(found, share) for share in (0.9, 0.95)}
    for name, share in ((TO_90, 0.9), (TO_95, 0.95)):
        measures.append(Measure(name, reached[share] or float(most), unit="queries"))
    allowance = allowed(settings.per_minute, settings.per_day)
    if allowance is not None:
        measures.append(Measure(f"queries that the limits allow in {DAYS} days", allowance))
    listed = {
        "reached": {f"{share:.0%}": count is not None for share, count in reached.items()},
        "copies": {
            way: [
                {"queries": one.queries, "family": one.family, "fidelity": one.fidelity}
                for one in steps
            ]
            for way, steps in found.items()
        },
    }
    return Outcome(
        FIDELITY, THREAT, ATLAS, tuple(measures), canary,
        tuple(_curve(way, steps) for way, steps in found.items() if steps),
        _words(reached, most, bare, allowance, settings), listed, spent,
    )  # fmt: skip


def _words(
    reached: Mapping[float, int | None], most: int, bare: float, allowance: int | None,
    settings: Settings,
) -> tuple[str, ...]:  # fmt: skip
    to_90 = reached[0.9]
    words = []
    if to_90 is None:
        words.append(
            f"No copy agreed with the model in 90 % of the rows within {most:,} queries; the "
            "figure is that number, and what more of them would give is not known."
        )
    else:
        words.append(f"After {to_90:,} queries a copy agrees with the model in 90 % of the rows.")
    if allowance is None:
        words.append("No limits of the endpoint were given, so nothing keeps a caller from this.")
    elif to_90 is not None and to_90 <= allowance:
        words.append(
            f"The limits let one caller ask {allowance:,} rows in {DAYS} days: they do not prevent "
            f"a copy, which takes {_days(to_90, settings)}."
        )
    else:
        words.append(f"The limits let one caller ask {allowance:,} rows in {DAYS} days.")
    words.append(
        "Small tabular models are copied with a few hundred natural rows whatever the limits; "
        "what helps is to know the callers, and to watch what they ask."
    )
    if bare >= 0.9:
        words.append(
            f"The model gives {bare:.1%} of the rows the same answer, so a copy that always gives "
            "it agrees as often, and fidelity says little."
        )
    words.append(
        "Limits count one caller: several, or one under several names, ask more. Asking stops at "
        "95 %, so a figure for more queries is the least that they give."
    )
    return tuple(words)


def _days(queries: int, settings: Settings) -> str:
    """How long the limits make so many queries take."""
    minutes = 0.0 if settings.per_minute is None else queries / settings.per_minute
    days = 0.0 if settings.per_day is None else queries / settings.per_day
    longest = max(minutes / (24 * 60), days if days > 1 else 0.0)
    if longest >= 1:
        return f"{longest:.1f} days"
    return f"{max(minutes, 1):.0f} minutes" if minutes < 120 else f"{minutes / 60:.1f} hours"


def _best(found: Mapping[Way, list[Step]], mark: int) -> Step | None:
    steps = [one for steps in found.values() for one in steps if one.queries <= mark]
    return max(steps, key=lambda one: one.fidelity, default=None)


def _reached(found: Mapping[Way, list[Step]], share: float) -> int | None:
    counts = [one.queries for steps in found.values() for one in steps if one.fidelity >= share]
    return min(counts, default=None)


def _measure(name: str, step: Step) -> Measure:
    if len(step.agreed) == 1:
        return Measure(name, step.fidelity, unit="share")
    low, high = clopper_pearson(int(step.agreed.sum()), len(step.agreed))
    return Measure(name, step.fidelity, low, high, "share")


def _curve(way: Way, steps: Sequence[Step]) -> Curve:
    points = []
    for one in steps:
        bounds = _measure("", one)
        low = one.fidelity if bounds.low is None else bounds.low
        high = one.fidelity if bounds.high is None else bounds.high
        points.append((float(one.queries), one.fidelity, low, high))
    return Curve(way, "queries", "fidelity", tuple(points))


def _constant(scores: Scores) -> float:
    if scores.shape[1] == 1:
        return 0.0
    return float(np.bincount(scores.argmax(axis=1)).max() / len(scores))


def _canary(space: Space, seed: int) -> Canary:
    """A model of one threshold, easily copied; and one whose answers follow from nothing."""
    rng = np.random.default_rng([seed, 1])  # not the attacker's own chance: rows would meet again
    rows, judged = uniform(space, 200, rng), uniform(space, 400, rng)
    moving = np.flatnonzero(judged.std(axis=0) > 0)
    slope = np.zeros(space.width)
    slope[rng.permutation(moving)[:_CANARY_COORDINATES]] = 1.0
    middle = float(np.median(judged @ slope))

    def plain(asked: Rows) -> Scores:
        return _two((asked @ slope > middle).astype(np.int64))

    def arbitrary(asked: Rows) -> Scores:
        salt = np.float64(seed + 1).tobytes()
        return _two(np.array([hash_bit(salt + row.tobytes()) for row in asked], dtype=np.int64))

    found = {}
    for name, model in (("plain", plain), ("arbitrary", arbitrary)):
        asked = Target(model, classes=2)
        steps = steal(
            asked, space, "uniform", rows, (judged, model(judged)), budgets=_CANARY_BUDGETS,
            families=("forest",), seed=seed,
        )  # fmt: skip
        found[name] = steps[-1].fidelity
    low = clopper_pearson(round(found["arbitrary"] * len(judged)), len(judged), 0.999)[0]
    usual = _constant(arbitrary(judged))
    return Canary(
        "a model of one threshold; and, as a control, one whose answers follow from nothing",
        found["plain"] >= _CANARY_FROM and low <= usual,
        f"fidelity {found['plain']:.3f}, {_CANARY_FROM} at least was asked for; of the control "
        f"{found['arbitrary']:.3f}, where a constant has {usual:.3f}",
    )


def hash_bit(data: bytes) -> int:
    """A bit that follows from the bytes, and from nothing less."""
    import hashlib

    return hashlib.sha256(data).digest()[0] & 1


def _two(labels: "np.ndarray[tuple[int], np.dtype[np.int64]]") -> Scores:
    return np.asarray(np.eye(2)[labels])


def _part(
    progress: Callable[[float], None] | None, done: int, parts: int
) -> Callable[[float], None] | None:
    if progress is None:
        return None
    return lambda share: progress((done + share) / parts)
