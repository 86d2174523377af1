"""What the tests of poisoned data tell beside their figures: measures, curves, words and lists."""

import numpy as np

from strongroom.engines.robustness.intervals import clopper_pearson
from strongroom.engines.robustness.outcome import Curve, Measure
from strongroom.engines.robustness.poisoning.labels import LabelErrors
from strongroom.engines.robustness.poisoning.patterns import Pattern
from strongroom.engines.robustness.poisoning.sweep import Stamp
from strongroom.engines.robustness.poisoning.table import Mask, Table

_MOST_MISSED = 0.5
"""Of planted flips that must be flagged, or the report says that classes overlap."""


def blurred(found: LabelErrors, table: Table, hits: int, many: int) -> tuple[str, ...]:
    """What to say where models cannot tell most wrong labels from classes that overlap."""
    if hits >= _MOST_MISSED * many:
        return ()
    right = float((found.scores.argmax(axis=1) == table.labels).mean())
    said = (
        f"Here they overlap: models that never saw a row name {right:.0%} of the labels, and of "
        f"{many} wrong labels that were planted {hits} were flagged. Most wrong labels of this "
        "table cannot be told from honest ones; a short list is no sign that there are none."
    )
    return (said,)


def carriers(patterns: tuple[Pattern, ...], count: int) -> Mask:
    """Rows that bear one of the patterns."""
    found = np.zeros(count, dtype=bool)
    for one in patterns:
        found[one.rows] = True
    return found


def suspicion_curve(found: LabelErrors) -> Curve:
    """Share of labels in doubt, by suspicion."""
    steps = np.linspace(0.05, 0.95, 19)
    many = len(found.suspicion)
    points = []
    for step in steps.tolist():
        hits = int((found.suspicion >= step).sum())
        points.append((step, hits / many, *clopper_pearson(hits, many)))
    return Curve("labels in doubt", "suspicion", "share of rows", tuple(points))


def sweep_measures(found: list[Stamp]) -> tuple[Measure, ...]:
    """What the strongest stamps do."""
    worst = max(found, key=lambda one: one.success, default=None)
    planted = next((one for one in found if one.is_planted), None)
    measures = []
    for name, one in (("success of any values", worst), ("success of a planted trigger", planted)):
        measures.append(
            Measure(name, 0.0, unit="share") if one is None
            else Measure(name, one.success, *one.bounds, "share")
        )  # fmt: skip
    measures.append(
        Measure(
            "size of the planted trigger", len(planted.features) if planted else 0, unit="features"
        )
    )
    return tuple(measures)


def sweep_curve(found: list[Stamp]) -> Curve:
    """Answers turned, by the number of features that are set."""
    points = []
    for size in range(1, 5):
        of_size = [one for one in found if len(one.features) <= size]
        if of_size:
            best = max(of_size, key=lambda one: one.success)
            points.append((float(size), best.success, *best.bounds))
    return Curve("answers turned", "features that are set", "share of clean rows", tuple(points))


def pattern_json(table: Table, one: Pattern) -> dict[str, object]:
    """A pattern, for a list."""
    return {
        "features": [table.space.features[feature].name for feature in one.features],
        "label": one.label, "is_trigger": one.is_trigger, "rows": len(one.rows),
        "excess": round(one.excess, 2), "resemblance": round(one.resemblance, 3),
        "purity": round(one.purity, 3), "expected": round(one.expected, 3),
    }  # fmt: skip


def stamp_json(table: Table, one: Stamp) -> dict[str, object]:
    """A stamp, for a list."""
    return {
        "features": [table.space.features[feature].name for feature in one.features],
        "label": one.label, "success": round(one.success, 3), "tried": one.tried,
        "training rows that carry it": len(one.carriers),
        "resemblance": None if np.isnan(one.resemblance) else round(one.resemblance, 3),
        "is_planted": one.is_planted,
    }  # fmt: skip
