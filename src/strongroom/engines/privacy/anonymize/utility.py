"""How much of a table is left: measures over the groups of an anonymized one."""

from dataclasses import dataclass

import numpy as np

from strongroom.engines.privacy.anonymize.coding import Coded
from strongroom.engines.privacy.anonymize.groups import Node
from strongroom.engines.privacy.anonymize.hierarchy import Codes, Hierarchy, Shares


@dataclass(frozen=True, slots=True)
class ColumnLoss:
    """What one column loses, each in [0, 1].

    Attributes:
        ncp: certainty: values that could have been meant, beyond the one, over all values.
        entropy: bits, given how often values occur.
    """

    column: str
    ncp: float
    entropy: float


@dataclass(frozen=True, slots=True)
class Utility:
    """What an anonymized table is worth.

    Attributes:
        columns: loss of each quasi-identifier, suppressed rows counting as wholly lost.
        gcp: mean NCP of the columns, without weights (Ghinita et al. 2007).
        entropy: mean non-uniform entropy loss of the columns.
        discernibility: sum of squared group sizes, suppressed rows costing the table each.
        average_class_size: rows of a group on average, over k (LeFevre et al. 2006).
        precision: 1 less the share of steps gone up (Sweeney 2002); None without levels.
    """

    rows: int
    suppressed: int
    groups: int
    columns: tuple[ColumnLoss, ...]
    gcp: float
    entropy: float
    discernibility: float
    average_class_size: float
    precision: float | None


def utility_of(coded: Coded, group: Codes, k: int, node: Node | None = None) -> Utility:
    """Measures of a table whose rows are in groups; -1 is suppressed.

    Args:
        node: levels of the columns, where these are the same for all rows.
    """
    kept = group >= 0
    suppressed = int(np.count_nonzero(~kept))
    sizes = np.bincount(group[kept])
    sizes = sizes[sizes > 0]
    columns = []
    for at, (name, tree, codes) in enumerate(
        zip(coded.names, coded.hierarchies, coded.codes, strict=True)
    ):
        if node is not None:
            ncp, bits = _of_level(tree, codes, node[at], kept)
        else:
            ncp, bits = _of_groups(tree, codes, group, kept)
        columns.append(ColumnLoss(name, ncp, bits))
    precision = None
    if node is not None:
        steps = np.mean([level / max(tree.height, 1)
                         for level, tree in zip(node, coded.hierarchies, strict=True)])  # fmt: skip
        precision = 1.0 - float(steps)
    rows = coded.rows
    return Utility(
        rows=rows,
        suppressed=suppressed,
        groups=len(sizes),
        columns=tuple(columns),
        gcp=float(np.mean([one.ncp for one in columns])),
        entropy=float(np.mean([one.entropy for one in columns])),
        discernibility=float(sizes @ sizes) + float(suppressed) * rows,
        average_class_size=float((rows - suppressed) / max(len(sizes), 1) / max(k, 1)),
        precision=precision,
    )


Kept = np.ndarray[tuple[int], np.dtype[np.bool_]]


def _of_level(tree: Hierarchy, codes: Codes, level: int, kept: Kept) -> tuple[float, float]:
    counts = np.bincount(codes, minlength=len(tree.leaves))
    inside = np.bincount(tree.codes[level], weights=counts).astype(np.float64)
    ncp = tree.losses[level][tree.codes[level]]
    return _averaged(codes, counts, ncp[codes], inside[tree.codes[level]][codes], kept)


def _of_groups(tree: Hierarchy, codes: Codes, group: Codes, kept: Kept) -> tuple[float, float]:
    """Of ordered columns the range of each group, of others the set of its values."""
    width = len(tree.leaves)
    counts = np.bincount(codes, minlength=width)
    count = int(group.max(initial=-1)) + 1
    pairs = np.unique(group[kept] * width + codes[kept])
    owner, leaf = pairs // width, pairs % width
    if tree.is_ordered:
        low, high = np.full(count, width), np.full(count, -1)
        np.minimum.at(low, owner, leaf)
        np.maximum.at(high, owner, leaf)
        there = high >= 0
        low, high = np.where(there, low, 0), np.where(there, high, 0)
        total = np.append(0, np.cumsum(counts))
        ncp = tree.places[high] - tree.places[low]
        inside = (total[high + 1] - total[low]).astype(np.float64)
    else:
        ncp = (np.bincount(owner, minlength=count) - 1) / max(width - 1, 1)
        inside = np.bincount(owner, weights=counts[leaf], minlength=count)
    at = np.where(kept, group, 0)
    return _averaged(codes, counts, ncp[at], inside[at], kept)


def _averaged(
    codes: Codes, counts: Codes, ncp: Shares, inside: Shares, kept: Kept
) -> tuple[float, float]:
    rows = max(len(codes), 1)
    own = counts[codes]
    whole = float(-np.log(own / rows).sum()) if len(codes) else 0.0
    lost = float(-np.log(own[kept] / inside[kept]).sum() - np.log(own[~kept] / rows).sum())
    certainty = float(ncp[kept].sum() + np.count_nonzero(~kept)) / rows
    # Of nothing lost the sum of many logarithms of 1 would be -0.
    return certainty, max(lost / whole, 0.0) if whole > 0 else 0.0
