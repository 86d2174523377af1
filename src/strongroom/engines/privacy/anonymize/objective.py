"""What a search makes small, and how little it can become in tables not looked at.

Each measure is in [0, 1] over the whole table, suppressed rows counting as wholly lost:

- `gcp`: certainty lost, NCP averaged over cells (Xu et al. 2006; Ghinita et al. 2007).
- `entropy`: bits lost given how often values occur, over the bits there are (Gionis & Tassa 2009).
- `precision`: steps gone up in the hierarchy over its height (Sweeney 2002).
- `discernibility`: sum of squared group sizes, suppressed rows costing the whole table each, over
  the square of the table (Bayardo & Agrawal 2005).
- `class_size`: one over the number of groups; all suppressed rows are one (LeFevre et al. 2006).
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from strongroom.engines.privacy.anonymize.groups import Groups, Judged, Node, RollUp
from strongroom.engines.privacy.anonymize.hierarchy import Codes, Hierarchy, Shares
from strongroom.errors import ValidationError


class Measure(StrEnum):
    """What is made small."""

    GCP = "gcp"
    ENTROPY = "entropy"
    PRECISION = "precision"
    DISCERNIBILITY = "discernibility"
    CLASS_SIZE = "class_size"


BY_COLUMN = frozenset({Measure.GCP, Measure.ENTROPY, Measure.PRECISION})
"""Measures that are a sum over cells."""


def weights_of(columns: Sequence[str], weights: Mapping[str, float]) -> Shares:
    """The weight of each column, summing up to 1. Raises: ValidationError."""
    found = np.array([weights.get(column, 1.0) for column in columns], dtype=np.float64)
    if bool(np.any(~np.isfinite(found) | (found < 0))) or not float(found.sum()) > 0:
        raise ValidationError("weights are numbers of at least 0, and not all 0")
    return np.asarray(found / found.sum())


def node_losses(measure: Measure, hierarchy: Hierarchy, counts: Codes) -> tuple[Shares, ...]:
    """Of each level what a row loses in each node, in [0, 1].

    Args:
        counts: rows with each leaf.
    """
    if measure is Measure.PRECISION:
        height = max(hierarchy.height, 1)
        return tuple(
            np.full(len(labels), level / height) for level, labels in enumerate(hierarchy.labels)
        )
    if measure is not Measure.ENTROPY:
        return hierarchy.losses
    # Bits that a row of a node loses: the entropy of the values inside it.
    total = int(counts.sum())
    whole = _entropies(counts, np.zeros(len(counts), dtype=np.int64), 1)[0] if total else 0.0
    return tuple(
        _entropies(counts, codes, len(labels)) / whole if whole > 0 else np.zeros(len(labels))
        for codes, labels in zip(hierarchy.codes, hierarchy.labels, strict=True)
    )


def _entropies(counts: Codes, codes: Codes, nodes: int) -> Shares:
    """Entropy of the leaves inside each node, in nats."""
    inside = np.bincount(codes, weights=counts, minlength=nodes)
    share = counts / np.maximum(inside[codes], 1)
    terms = np.where(counts > 0, -share * np.log(np.where(counts > 0, share, 1.0)), 0.0)
    return np.asarray(np.bincount(codes, weights=terms, minlength=nodes))


@dataclass(frozen=True)
class Objective:
    """A measure over one table.

    Attributes:
        weights: of the quasi-identifiers, summing up to 1.
        losses: [column][level][node] what a row loses.
        static: [column][level] the same, times weight, averaged over the table's rows.
        total: rows of the table.
    """

    measure: Measure
    weights: Shares
    losses: tuple[tuple[Shares, ...], ...]
    static: tuple[Shares, ...]
    total: int

    def least(self, node: Node) -> float:
        """What a table on these levels or coarser ones loses at least."""
        return float(sum(self.static[at][level] for at, level in enumerate(node)))

    def row_losses(self, roll: RollUp, groups: Groups, node: Node, which: Codes) -> Shares:
        """What one row of each of some groups loses on the levels `node`."""
        found = np.zeros(len(which))
        for at, level in enumerate(node):
            if level:
                above = roll.above(groups, at, level)[which]
                found += (self.weights[at] * self.losses[at][level])[above]
        return found

    def value(self, roll: RollUp, groups: Groups, node: Node, ids: Codes, verdict: Judged) -> float:
        """The measure of `groups` joined as `ids` on the levels `node`."""
        if self.measure in BY_COLUMN:
            found = self.least(node)
            if verdict.bad_rows:
                which = np.flatnonzero(verdict.is_bad[ids])
                lost = 1.0 - self.row_losses(roll, groups, node, which)
                found += float(lost @ groups.rows[which]) / self.total
            return found
        rows = np.bincount(ids, weights=groups.rows, minlength=len(verdict.is_bad))
        kept = rows[~verdict.is_bad & (rows > 0)]
        if self.measure is Measure.DISCERNIBILITY:
            squares = float(kept @ kept) + verdict.bad_rows * float(self.total)
            return squares / float(self.total) ** 2
        return 1.0 / (len(kept) + (1 if verdict.bad_rows else 0))

    def least_above(self, ids: Codes, count: int, groups: Groups) -> float:
        """What every table coarser than `groups` joined as `ids` loses at least."""
        if self.measure in BY_COLUMN:
            return 0.0
        rows = np.bincount(ids, weights=groups.rows, minlength=count)
        if self.measure is Measure.DISCERNIBILITY:
            return float(rows @ rows) / float(self.total) ** 2
        return 1.0 / max(int(np.count_nonzero(rows)), 1)


def objective_of(
    measure: Measure, hierarchies: Sequence[Hierarchy], groups: Groups, weights: Shares
) -> Objective:
    """The measure for a table given by its base groups."""
    total = int(groups.rows.sum())
    losses, static = [], []
    for at, hierarchy in enumerate(hierarchies):
        counts = np.bincount(
            groups.codes[at], weights=groups.rows, minlength=len(hierarchy.leaves)
        ).astype(np.int64)
        levels = node_losses(measure, hierarchy, counts)
        losses.append(levels)
        share = counts / max(total, 1)
        static.append(
            weights[at]
            * np.array([share @ level[codes]
                        for level, codes in zip(levels, hierarchy.codes, strict=True)])
        )  # fmt: skip
    if measure not in BY_COLUMN:
        static = [np.zeros_like(column) for column in static]
    return Objective(measure, weights, tuple(losses), tuple(static), total)
