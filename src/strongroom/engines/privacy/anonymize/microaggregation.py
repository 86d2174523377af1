"""Microaggregation: groups of near rows, each written as its mean.

MDAV (Domingo-Ferrer & Torra 2005): take the row farthest from the mean of those left with its k - 1
nearest, then the row farthest from that one with its own, until fewer than 2k are left.
"""

import numpy as np

from strongroom.engines.privacy.anonymize.criteria import Demands, KAnonymity
from strongroom.engines.privacy.anonymize.hierarchy import Codes
from strongroom.engines.privacy.anonymize.local import Rows, cut_into_groups
from strongroom.errors import ValidationError

_MOST_TOGETHER = 4_096
"""MDAV takes time with the square of the rows: larger tables are cut into such parts first."""


def microaggregated(rows: Rows, demands: Demands) -> Codes:
    """The group of each row, numbered from 0.

    Tables of more than a few thousand rows are cut into parts of near rows, each done by itself.

    Raises: ValidationError: anything but k is asked.
    """
    if demands.values or any(not isinstance(one, KAnonymity) for one in demands.sizes):
        raise ValidationError(
            "microaggregation keeps k and nothing else", next_step="take the local recoding"
        )
    k = max((one.k for one in demands.sizes if isinstance(one, KAnonymity)), default=1)
    k = max(k, int(np.ceil(1.0 / demands.average_risk - 1e-9)))
    if rows.count < k:
        raise ValidationError(f"the table has {rows.count} rows, fewer than k = {k}")
    points = np.stack(
        [np.sqrt(weight) * places[codes] for codes, places, weight in zip(
            rows.codes, rows.places, rows.weights, strict=True)], axis=1,
    )  # fmt: skip
    parts = np.zeros(rows.count, dtype=np.int64)
    if rows.count > _MOST_TOGETHER:
        parts = cut_into_groups(rows, Demands((KAnonymity(max(k, _MOST_TOGETHER // 2)),)))
    groups = np.zeros(rows.count, dtype=np.int64)
    count = 0
    order = np.argsort(parts, kind="stable")
    for inside in np.split(order, np.cumsum(np.bincount(parts))[:-1]):
        found = _mdav(points[inside], k)
        groups[inside] = found + count
        count += int(found.max()) + 1
    return groups


def _mdav(points: "np.ndarray[tuple[int, int], np.dtype[np.float64]]", k: int) -> Codes:
    """Groups of k to 2k - 1 of some points, by squared distance."""
    group = np.full(len(points), -1, dtype=np.int64)
    left = np.arange(len(points))
    count = 0

    def gather(center: int) -> None:
        nonlocal left, count
        far = ((points[left] - points[center]) ** 2).sum(axis=1)
        far[left == center] = -1.0
        near = np.argpartition(far, k - 1)[:k]
        group[left[near]] = count
        left = np.delete(left, near)
        count += 1

    while len(left) >= 3 * k:
        middle = points[left].mean(axis=0)
        first = int(left[np.argmax(((points[left] - middle) ** 2).sum(axis=1))])
        gather(first)
        second = int(left[np.argmax(((points[left] - points[first]) ** 2).sum(axis=1))])
        gather(second)
    if len(left) >= 2 * k:
        middle = points[left].mean(axis=0)
        gather(int(left[np.argmax(((points[left] - middle) ** 2).sum(axis=1))]))
    group[left] = count
    return group
