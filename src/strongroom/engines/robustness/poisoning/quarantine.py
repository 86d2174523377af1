"""The rows that a person should look at, each with why, as plain JSON.

Rows stand there by place in the table, never by value. Nothing is removed by being listed:
`comparison.retrain_without` says what removing would change.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.poisoning.duplicates import Duplicates
from strongroom.engines.robustness.poisoning.labels import LabelErrors
from strongroom.engines.robustness.poisoning.outliers import Outliers
from strongroom.engines.robustness.poisoning.table import Mask, Table
from strongroom.engines.robustness.poisoning.triggers import Triggers

MOST_LISTED = 10_000
_DUPLICATE = 0.5
_OUTLIER = 0.2
"""Suspicion of a row for which nothing else speaks: of two rows that contradict one is wrong, and
most outliers are honest."""


@dataclass(frozen=True, slots=True)
class Suspect:
    """One row to look at.

    Attributes:
        row: its place in the table.
        suspicion: in [0, 1], how likely it is bad, as far as the searches can tell.
        reasons: in words.
        suggested: the label that it probably should have; None where nobody can tell.
    """

    row: int
    suspicion: float
    reasons: tuple[str, ...]
    suggested: int | None


def quarantine(
    table: Table,
    *,
    labels: LabelErrors | None = None,
    triggers: Triggers | None = None,
    duplicates: Duplicates | None = None,
    outliers: Outliers | None = None,
) -> list[Suspect]:
    """All rows that a search called suspect, the worst first."""
    reasons: dict[int, list[str]] = {}
    suspicion = np.zeros(len(table))
    suggested: dict[int, int] = {}

    def add(rows: NDArray[np.int64] | Mask, why: str, level: NDArray[np.float64] | float) -> None:
        at = np.flatnonzero(rows) if rows.dtype == np.bool_ else rows
        levels = np.broadcast_to(level, at.shape)
        suspicion[at] = 1 - (1 - suspicion[at]) * (1 - levels)
        for row in at.tolist():
            reasons.setdefault(row, []).append(why)

    if labels is not None:
        at = np.flatnonzero(labels.is_flagged).astype(np.int64)
        add(at, "label contradicted by models that never saw the row", labels.suspicion[at])
        suggested |= dict(zip(at.tolist(), labels.suggested[at].tolist(), strict=True))
    if triggers is not None:
        for one in triggers.triggers:
            names = [table.space.features[feature].name for feature in one.features]
            level = float(np.clip(1 - one.resemblance, 0.5, 0.99))
            add(one.rows, f"carries a trigger in {', '.join(names)}", level)
    if duplicates is not None:
        add(duplicates.contradicts, "an equal row has another label", _DUPLICATE)
        near = duplicates.near_contradicts & ~duplicates.contradicts
        add(near, "an almost equal row has another label", _DUPLICATE)
        add(duplicates.leaked, "stands in the test data too", 0.0)
    if outliers is not None:
        add(outliers.is_outlier, "unlike the other rows", _OUTLIER)
    rows = sorted(reasons, key=lambda row: (-suspicion[row], row))[:MOST_LISTED]
    return [
        Suspect(row, float(suspicion[row]), tuple(reasons[row]), suggested.get(row)) for row in rows
    ]


def as_json(
    suspects: Sequence[Suspect], class_names: Sequence[str] = ()
) -> list[Mapping[str, Any]]:
    """The list as plain JSON; labels by name where names are given."""
    named: Sequence[str | int] = class_names
    return [
        {
            "row": one.row,
            "suspicion": round(one.suspicion, 4),
            "reasons": list(one.reasons),
            "suggested_label": None
            if one.suggested is None
            else (named[one.suggested] if class_names else one.suggested),
        }
        for one in suspects
    ]
