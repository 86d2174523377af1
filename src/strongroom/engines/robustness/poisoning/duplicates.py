"""Rows that are there twice, or nearly: with other labels, or in the test data too."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.poisoning.folds import standardized
from strongroom.engines.robustness.poisoning.table import Mask, Table
from strongroom.engines.robustness.target import Rows

NEAR = 0.05
"""Distance of near duplicates, as a share of the median distance to the nearest other row."""
_NEAR_ROWS = 50_000
"""More rows are searched for exact duplicates only."""


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What is there twice.

    Attributes:
        group: of each row, the first row that equals it exactly.
        contradicts: rows in a group that holds more than one label.
        near: of each row, the nearest row that differs but only a little; -1 for none.
        near_contradicts: rows whose near duplicate has another label.
        leaked: rows that stand in the held-out rows too.
        near_searched: whether near duplicates were looked for.
    """

    group: NDArray[np.int64]
    contradicts: Mask
    near: NDArray[np.int64]
    near_contradicts: Mask
    leaked: Mask
    near_searched: bool

    @property
    def is_repeated(self) -> Mask:
        """Rows beyond the first of their group."""
        return np.asarray(self.group != np.arange(len(self.group)))


def find_duplicates(table: Table, held: Rows | None = None) -> Duplicates:
    """Exact and near duplicates.

    Args:
        held: rows of the test data, in the same space.
    """
    group = _groups(table.rows)
    contradicts = _mixed(group, table.labels)
    near = np.full(len(table), -1, dtype=np.int64)
    firsts = np.unique(group)
    searched = 2 < len(firsts) <= _NEAR_ROWS
    if searched:
        near[firsts] = _near(standardized(table.rows[firsts]), firsts)
        near = near[group]
    other = (near >= 0) & (table.labels[np.maximum(near, 0)] != table.labels)
    leaked = np.zeros(len(table), dtype=bool)
    if held is not None and len(held):
        seen = set(_keys(held))
        leaked = np.array([key in seen for key in _keys(table.rows)], dtype=bool)
    return Duplicates(group, contradicts, near, other, leaked, searched)


def _keys(rows: Rows) -> list[bytes]:
    # Rounding makes the same value read from two files the same; adding 0 turns -0 into 0.
    plain = np.ascontiguousarray(np.round(np.nan_to_num(rows, nan=-1.0), 9) + 0.0)
    return [one.tobytes() for one in plain]


def _groups(rows: Rows) -> NDArray[np.int64]:
    first: dict[bytes, int] = {}
    return np.array([first.setdefault(key, at) for at, key in enumerate(_keys(rows))], np.int64)


def _mixed(group: NDArray[np.int64], labels: NDArray[np.int64]) -> Mask:
    differs = labels != labels[group]
    mixed = np.zeros(len(group), dtype=bool)
    np.logical_or.at(mixed, group, differs)
    return np.asarray(mixed[group])


def _near(rows: Rows, places: NDArray[np.int64]) -> NDArray[np.int64]:
    from sklearn.neighbors import NearestNeighbors

    distance, at = NearestNeighbors(n_neighbors=2).fit(rows).kneighbors(rows)
    own = np.arange(len(rows))
    nearest = np.where(at[:, 0] == own, at[:, 1], at[:, 0])
    away = np.where(at[:, 0] == own, distance[:, 1], distance[:, 0])
    return np.where(away <= NEAR * np.median(away), places[nearest], -1)
