"""An intruder with a table of people and their quasi-identifiers, tried out on the result.

For each person the groups are found in which they could be: those that cover their values in every
column. What the intruder then knows is measured; nobody is named.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from strongroom.engines.privacy.anonymize.groups import Node, close_numbers, numbered
from strongroom.engines.privacy.anonymize.hierarchy import Codes, Hierarchy, Shares

MAX_TARGETS = 2_000
_CELLS = 20_000_000


@dataclass(frozen=True, slots=True)
class LinkageAttack:
    """What linking the auxiliary table to the anonymized one yields.

    Attributes:
        targets: people looked for.
        matched: share of them with at least one row that could be theirs.
        singled_out: share of them with exactly one such row.
        expected_hits: mean over the targets of one over the rows that could be theirs.
        fewest: rows that could be the best matched person's; 0 where nobody matches.
        told: by sensitive column the share of targets all of whose rows have one value.
    """

    targets: int
    matched: float
    singled_out: float
    expected_hits: float
    fewest: int
    told: tuple[tuple[str, float], ...]


def link(
    targets: Sequence[Codes],
    hierarchies: Sequence[Hierarchy],
    codes: Sequence[Codes],
    group: Codes,
    sensitive: Sequence[tuple[str, Codes]],
    *,
    node: Node | None = None,
) -> LinkageAttack:
    """Try to link people to rows.

    Args:
        targets: leaf of each person, for each quasi-identifier; the first `MAX_TARGETS` are tried.
        codes, group: of the anonymized rows, -1 being suppressed.
        sensitive: name and code of each row.
        node: levels, where each column has one; else groups cover their own ranges and sets.
    """
    count = int(group.max(initial=-1)) + 1
    people = min(len(targets[0]) if targets else 0, MAX_TARGETS)
    kept = np.flatnonzero(group >= 0)
    if not count or not people:
        return LinkageAttack(people, 0.0, 0.0, 0.0, 0, tuple((name, 0.0) for name, _ in sensitive))
    wanted = [column[:people] for column in targets]
    rows = [column[kept] for column in codes]
    values = [column[kept] for _, column in sensitive]
    if node is not None:
        candidates, told = _by_level(wanted, hierarchies, rows, values, node)
    else:
        candidates, told = _by_cover(wanted, hierarchies, rows, values, group[kept])
    return LinkageAttack(
        targets=people,
        matched=float(np.mean(candidates > 0)),
        singled_out=float(np.mean(candidates == 1)),
        expected_hits=float(np.mean(np.where(candidates > 0, 1 / np.maximum(candidates, 1), 0))),
        fewest=int(candidates[candidates > 0].min(initial=np.inf)) if candidates.any() else 0,
        told=tuple((name, float(told[at].mean())) for at, (name, _) in enumerate(sensitive)),
    )


_Told: TypeAlias = npt.NDArray[np.bool_]


def _by_level(
    targets: Sequence[Codes], hierarchies: Sequence[Hierarchy], rows: Sequence[Codes],
    sensitive: Sequence[Codes], node: Node,
) -> tuple[Shares, _Told]:  # fmt: skip
    """Rows that could be each target's, and what these tell, where a column has one level."""
    above = [
        np.concatenate([tree.codes[level][column], tree.codes[level][target]])
        for tree, level, column, target in zip(hierarchies, node, rows, targets, strict=True)
    ]
    sizes = [len(tree.labels[level]) for tree, level in zip(hierarchies, node, strict=True)]
    ids, count = close_numbers(*numbered(above, sizes))
    mine, theirs = ids[: len(rows[0])], ids[len(rows[0]) :]
    lowest, highest = _extremes(mine, count, sensitive)
    told = [low[theirs] == high[theirs] for low, high in zip(lowest, highest, strict=True)]
    candidates = np.bincount(mine, minlength=count)[theirs].astype(np.float64)
    return candidates, np.array(told, dtype=np.bool_).reshape(len(sensitive), len(theirs))


def _by_cover(
    targets: Sequence[Codes], hierarchies: Sequence[Hierarchy], rows: Sequence[Codes],
    sensitive: Sequence[Codes], group: Codes,
) -> tuple[Shares, _Told]:  # fmt: skip
    """The same where each group covers ranges and sets of its own."""
    count, people = int(group.max()) + 1, len(targets[0])
    sizes = np.bincount(group, minlength=count)
    candidates = np.zeros(people)
    told = np.zeros((len(sensitive), people), dtype=np.bool_)
    lowest, highest = _extremes(group, count, sensitive)
    covers = [
        _cover(tree, column, group, count) for tree, column in zip(hierarchies, rows, strict=True)
    ]
    step = max(_CELLS // count, 1)
    for start in range(0, people, step):
        end = min(start + step, people)
        possible = np.ones((end - start, count), dtype=np.bool_)
        for cover, wanted in zip(covers, targets, strict=True):
            possible &= _covers(cover, wanted[start:end])
        candidates[start:end] = possible @ sizes.astype(np.float64)
        for at in range(len(sensitive)):
            low = np.where(possible, lowest[at], np.iinfo(np.int64).max).min(axis=1)
            high = np.where(possible, highest[at], -1).max(axis=1)
            told[at, start:end] = low == high
    return candidates, told


@dataclass(frozen=True)
class _Cover:
    """What each group covers of one column: a range, or a set."""

    low: Codes
    high: Codes
    present: "np.ndarray[tuple[int, int], np.dtype[np.bool_]] | None" = None


def _cover(tree: Hierarchy, codes: Codes, group: Codes, count: int) -> _Cover:
    low, high = np.full(count, len(tree.leaves)), np.full(count, -1)
    np.minimum.at(low, group, codes)
    np.maximum.at(high, group, codes)
    if tree.is_ordered or count * len(tree.leaves) > _CELLS:
        return _Cover(low, high)
    present = np.zeros((count, len(tree.leaves)), dtype=np.bool_)
    present[group, codes] = True
    return _Cover(low, high, present)


def _covers(cover: _Cover, wanted: Codes) -> "np.ndarray[tuple[int, int], np.dtype[np.bool_]]":
    if cover.present is not None:
        return cover.present[:, wanted].T
    return (cover.low <= wanted[:, None]) & (wanted[:, None] <= cover.high)


def _extremes(
    group: Codes, count: int, columns: Sequence[Codes]
) -> tuple[list[Codes], list[Codes]]:
    """Of each sensitive column the lowest and highest code in each group."""
    lowest, highest = [], []
    for values in columns:
        low, high = np.full(count, np.iinfo(np.int64).max), np.full(count, -1)
        np.minimum.at(low, group, values)
        np.maximum.at(high, group, values)
        lowest.append(low)
        highest.append(high)
    return lowest, highest
