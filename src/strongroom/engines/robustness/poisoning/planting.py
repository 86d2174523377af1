"""Poison of our own making, for canaries and measurements: it is known which rows are bad."""

from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from strongroom.engines.robustness.poisoning.table import MISSING, Mask, Table
from strongroom.engines.robustness.target import Labels, Rows


@dataclass(frozen=True, slots=True)
class Planted:
    """A poisoned copy.

    Attributes:
        is_bad: which rows were touched.
        features: that were set; `stamp`: the coordinates that were given to them.
        label: of the trigger.
    """

    table: Table
    is_bad: Mask
    features: tuple[int, ...] = ()
    stamp: Rows | None = None
    label: int = -1


def plant_flips(
    table: Table,
    share: float,
    rng: np.random.Generator,
    kind: Literal["random", "pairs", "targeted"] = "random",
) -> Planted:
    """Give some rows another label, one at least.

    Args:
        kind: to any other class; each class to its next; or all from one class to another.
    """
    many = max(1, round(share * len(table)))
    labels = table.labels.copy()
    places = np.arange(len(table))
    if kind == "targeted":
        places = np.flatnonzero(labels == np.bincount(labels).argmax())
    chosen = rng.choice(places, min(many, len(places)), replace=False)
    step = rng.integers(1, table.classes, len(chosen)) if kind == "random" else 1
    labels[chosen] = (labels[chosen] + step) % table.classes
    return Planted(table.with_labels(labels), labels != table.labels)


def plant_trigger(
    table: Table,
    share: float,
    rng: np.random.Generator,
    *,
    size: int = 2,
    values: Literal["rare", "usual"] = "rare",
    label: int | None = None,
    is_clean: bool = False,
) -> Planted:
    """Stamp some rows of other labels and give them the trigger's, one at least.

    Args:
        size: features that are set.
        values: beyond the range of a number or the rarest level; or values of some row.
        is_clean: rows that have the label already are stamped instead.
    """
    width = len(table.space.features)
    features = tuple(int(one) for one in rng.choice(width, min(size, width), replace=False))
    goal = int(rng.integers(table.classes)) if label is None else label
    stamp = np.full(table.space.width, np.nan)
    for feature in features:
        one = table.space.features[feature]
        place = table.space.places[one.name]
        column = table.rows[:, place]
        if values == "usual":
            stamp[place] = column[rng.integers(len(column))]
        elif one.levels:
            stamp[place] = 0.0
            counts = column.sum(axis=0)
            stamp[place.start + int(np.where(counts > 0, counts, np.inf).argmin())] = 1.0
        else:
            stamp[place] = 1.1
    places = np.flatnonzero((table.labels == goal) == is_clean)
    chosen = rng.choice(places, min(max(1, round(share * len(table))), len(places)), replace=False)
    rows, labels = table.rows.copy(), table.labels.copy()
    rows[chosen] = stamped(rows[chosen], stamp)
    labels[chosen] = goal
    is_bad = np.zeros(len(table), dtype=bool)
    is_bad[chosen] = True
    return Planted(replace(table, rows=rows, labels=labels), is_bad, features, stamp, goal)


def stamped(rows: Rows, stamp: Rows) -> Rows:
    """Rows with the coordinates of a stamp; NaN in it leaves what is there."""
    return np.where(np.isnan(stamp), rows, stamp)


def plant_copies(table: Table, share: float, rng: np.random.Generator) -> Planted:
    """Add copies of some rows under another label, one at least."""
    chosen = rng.choice(len(table), max(1, round(share * len(table))), replace=False)
    labels = (table.labels[chosen] + rng.integers(1, table.classes, len(chosen))) % table.classes
    return _with_rows(table, table.rows[chosen], labels)


def plant_extremes(table: Table, share: float, rng: np.random.Generator) -> Planted:
    """Add rows at corners of the table, one at least.

    Of each number they have the lowest or highest that there is, of levels the rarest. Values drawn
    at random would lie in the midst of rows that are spread evenly.
    """
    many = max(1, round(share * len(table)))
    rows = np.empty((many, table.space.width))
    for one in table.space.features:
        place = table.space.places[one.name]
        if one.levels:
            counts = table.rows[:, place].sum(axis=0)
            rows[:, place] = np.eye(one.width)[int(np.argmin(np.where(counts > 0, counts, np.inf)))]
        else:
            known = table.rows[:, place][table.rows[:, place] != MISSING]
            ends = (known.min(), known.max()) if len(known) else (MISSING, MISSING)
            rows[:, place] = np.where(rng.random((many, 1)) < 0.5, *ends)
    return _with_rows(table, rows, rng.integers(table.classes, size=many))


def _with_rows(table: Table, rows: Rows, labels: Labels) -> Planted:
    is_bad = np.arange(len(table) + len(rows)) >= len(table)
    sources = table.sources
    if sources is not None:
        sources = np.concatenate([sources, np.zeros(len(rows), dtype=np.int64)])
    grown = replace(
        table, rows=np.concatenate([table.rows, rows]),
        labels=np.concatenate([table.labels, labels]), sources=sources,
    )  # fmt: skip
    return Planted(grown, is_bad)
