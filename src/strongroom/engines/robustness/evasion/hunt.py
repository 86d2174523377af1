"""The search for the nearest rows that a model answers wrongly, for many rows at once."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Labels, Rows, Target
from strongroom.errors import ValidationError

Norm = Literal["l2", "linf"]
Flags = NDArray[np.bool_]
Numbers = NDArray[np.float64]
Places = NDArray[np.intp]

MAX_ROWS = 10_000
"""Rows under attack at once."""
PIECE = 1 << 20
"""Coordinates that are drawn and asked at once: 8 MiB, which a processor's caches hold in part."""


@dataclass(frozen=True, slots=True)
class Found:
    """The nearest wrong answers.

    Attributes:
        points: of each row the nearest point that is answered wrongly; its origin where none was
            found, or where the origin is.
        distances: from the origins, in the norm of the hunt; infinite where none was found.
        queries: rows asked.
    """

    points: Rows
    distances: Numbers
    queries: int

    @property
    def is_found(self) -> Flags:
        """For which rows there is one."""
        return np.isfinite(self.distances)


class Hunt:
    """Rows under attack, and of each the nearest point found that the model answers wrongly.

    What is asked is what could be an input: each point is projected into the space first, so
    nothing that is kept can be invalid.

    Attributes:
        low, high: bounds of each row's coordinates: ranges, directions, what is immutable.
        best, distances: the nearest found, as in `Found`.
    """

    def __init__(
        self, target: Target, space: Space, origins: Rows, labels: Labels, norm: Norm = "l2"
    ) -> None:
        """Ask the model for the origins: one query a row.

        Args:
            labels: right answers, places of classes.

        Raises:
            ValidationError: the rows are none, too many, of another width than the space, or hold
            something that is no number; a label is no class; a regression.
            QueriesSpent: the budget is smaller than that.
        """
        _require_sound(target, space, origins, labels)
        self.target, self.space, self.norm = target, space, norm
        self.origins, self.labels = origins, labels
        self.low = space.relax(np.full_like(origins, -np.inf), origins)
        self.high = space.relax(np.full_like(origins, np.inf), origins)
        self.is_plain = not space.relations and not any(
            one.levels or one.step for one in space.features
        )
        self._asked = target.queries
        self.best = origins.copy()
        is_wrong = target.labels(origins) != labels
        self.distances = np.where(is_wrong, 0.0, np.inf)

    def open(self) -> Places:
        """Places of the rows whose origin is answered rightly: there is something to search."""
        return np.flatnonzero(self.distances > 0)

    def found(self) -> Found:
        """What has been found so far."""
        return Found(self.best.copy(), self.distances.copy(), self.target.queries - self._asked)

    # ---- asking ----

    def wrong(self, points: Rows, which: Places, *, is_kept: bool = True) -> Flags:
        """Which points the model answers wrongly.

        Args:
            points: (rows, tries, width), moved into the space in place.
            which: (rows,), places of the rows they belong to.
            is_kept: the nearest is remembered.

        Returns: (rows, tries).
        Raises: QueriesSpent.
        """
        usable = self._enter(points, which)
        answers = self.target.labels(points.reshape(-1, points.shape[2]))
        is_wrong = answers.reshape(points.shape[:2]) != self.labels[which, None]
        if usable is not None:
            is_wrong &= usable
        if is_kept:
            self._keep(points, which, is_wrong)
        return np.asarray(is_wrong, dtype=np.bool_)

    def margins(self, points: Rows, which: Places) -> Numbers:
        """By how much the right class leads, of points as in `wrong`; below 0: answered wrongly.

        A point that is no input has an infinite margin. Where scores tie, the order of classes
        decides, as in an answer: the margin is then the smallest number of that sign.
        """
        usable = self._enter(points, which)
        scores = self.target.scores(points.reshape(-1, points.shape[2]))
        labels = np.repeat(self.labels[which], points.shape[1])
        margins = margins_of(scores, labels).reshape(points.shape[:2])
        if usable is not None:
            margins[~usable] = np.inf
        self._keep(points, which, margins < 0)
        return margins

    def lengths(self, points: Rows, which: Places) -> Numbers:
        """Distances of points, (rows, tries, width), from their origins."""
        moves = points - self.origins[which, None]
        return length(moves, self.norm)

    def _enter(self, points: Rows, which: Places) -> Flags | None:
        if self.is_plain:
            np.clip(points, self.low[which, None], self.high[which, None], out=points)
            return None
        flat = points.reshape(-1, points.shape[2])
        origins = np.repeat(self.origins[which], points.shape[1], axis=0)
        flat = self.space.project(flat, origins)
        points[:] = flat.reshape(points.shape)
        return self.space.valid(flat, origins).reshape(points.shape[:2])

    def _keep(self, points: Rows, which: Places, is_wrong: Flags) -> None:
        if not is_wrong.any():
            return
        lengths = np.where(is_wrong, self.lengths(points, which), np.inf)
        nearest = lengths.argmin(axis=1)
        found = lengths[np.arange(len(which)), nearest]
        is_nearer = found < self.distances[which]
        at = which[is_nearer]
        self.best[at] = points[is_nearer, nearest[is_nearer]]
        self.distances[at] = found[is_nearer]


def length(moves: Rows, norm: Norm) -> Numbers:
    """Lengths of moves along the last axis."""
    if norm == "l2":
        return np.asarray(np.sqrt(np.einsum("...w,...w->...", moves, moves)))
    return np.asarray(np.abs(moves).max(axis=-1, initial=0.0))


def margins_of(scores: Numbers, labels: Labels) -> Numbers:
    """By how much each row's class leads the best other; ties by the order of classes."""
    at = np.arange(len(scores))
    own = scores[at, labels]
    others = scores.copy()
    others[at, labels] = -np.inf
    rival = others.argmax(axis=1)
    margins = own - others[at, rival]
    tiny = np.finfo(np.float64).tiny
    return np.where(margins == 0, np.where(rival < labels, -tiny, tiny), margins)


def pieces(tries: int, cells: int) -> Iterator[int]:
    """So many tries in portions: `cells` coordinates each try, at most `PIECE` at once."""
    most = max(1, PIECE // max(cells, 1))
    for start in range(0, tries, most):
        yield min(most, tries - start)


def _require_sound(target: Target, space: Space, origins: Rows, labels: Labels) -> None:
    if target.classes < 2:
        raise ValidationError("evasion is measured of models that answer with classes")
    if origins.ndim != 2 or origins.shape[1] != space.width:
        raise ValidationError(
            f"the space has {space.width} coordinates, the rows are of shape {origins.shape}"
        )
    if not 0 < len(origins) <= MAX_ROWS:
        raise ValidationError(f"1 to {MAX_ROWS:,} rows are attacked at once, not {len(origins):,}")
    if labels.shape != (len(origins),) or labels.min() < 0 or labels.max() >= target.classes:
        raise ValidationError(f"each row needs a label from 0 to {target.classes - 1}")
    if not np.isfinite(origins).all():
        raise ValidationError("a row under attack holds something that is no number")
