"""Rows that a model was trained on, and rows of the same kind that it never saw."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.target import Rows, Truth
from strongroom.errors import ValidationError

Flags = NDArray[np.bool_]

MOST_ROWS = 20_000
"""Of each kind; more make the bounds little closer."""


@dataclass(frozen=True, slots=True)
class Pool:
    """Members and others, one below the other.

    Attributes:
        truth: what is true of each row.
        classes: how many; 1 for a regression.
        is_member: whether the model was trained on the row.
        places: of the row among the caller's members, or among their others.
        left_out: rows with something that is not a number.
    """

    rows: Rows
    truth: Truth
    classes: int
    is_member: Flags
    places: NDArray[np.int64]
    left_out: int = 0

    def __len__(self) -> int:
        """Rows."""
        return len(self.rows)

    @property
    def counts(self) -> tuple[int, int]:
        """Members, others."""
        members = int(self.is_member.sum())
        return members, len(self) - members

    def part(self, at: NDArray[np.int64]) -> "Pool":
        """The rows at these places of the pool."""
        return Pool(
            self.rows[at], self.truth[at], self.classes, self.is_member[at], self.places[at],
            self.left_out,
        )  # fmt: skip

    def halves(self, most: int, rng: np.random.Generator) -> NDArray[np.int64]:
        """Places in the pool of at most so many members and as many others, by chance."""
        picked = []
        for kind in (True, False):
            at = np.flatnonzero(self.is_member == kind)
            picked.append(np.sort(rng.permutation(at)[:most]))
        return np.concatenate(picked).astype(np.int64)


def pooled(
    members: tuple[Rows, Truth], others: tuple[Rows, Truth], *, classes: int, seed: int,
    most: int = MOST_ROWS,
) -> Pool:  # fmt: skip
    """Both kinds of rows as a pool.

    Args:
        members, others: rows (n, width) and what is true of them, (n,).
        classes: how many; 1 for a regression.
        most: rows of each kind; of more, a random sample.

    Raises:
        ValidationError: shapes that do not fit, a class that is none, or no usable row of a kind.
    """
    if not 0 < most <= MOST_ROWS:
        raise ValidationError(f"the rows of each kind are 1 to {MOST_ROWS:,}")
    if members[0].ndim != 2 or members[0].shape[1:] != others[0].shape[1:]:
        raise ValidationError("members and others are not rows of one width")
    rng = np.random.default_rng(seed)
    rows, truth, places, left_out = [], [], [], 0
    for kind, (found, told) in (("members", members), ("others", others)):
        if told.shape != (len(found),):
            raise ValidationError(f"the {kind} are {len(found):,} rows and {len(told):,} truths")
        whole = np.flatnonzero(np.isfinite(found).all(axis=1) & np.isfinite(told))
        left_out += len(found) - len(whole)
        if classes > 1 and not ((told[whole] >= 0) & (told[whole] < classes)).all():
            raise ValidationError(f"a label of the {kind} is no class of the model")
        if not len(whole):
            raise ValidationError(f"there are no {kind} without missing values")
        at = np.sort(rng.permutation(whole)[:most])
        rows.append(found[at])
        truth.append(told[at].astype(np.int64 if classes > 1 else np.float64))
        places.append(at)
    is_member = np.repeat([True, False], [len(one) for one in rows])
    return Pool(
        np.concatenate(rows), np.concatenate(truth), classes, is_member,
        np.concatenate(places).astype(np.int64), left_out,
    )  # fmt: skip
