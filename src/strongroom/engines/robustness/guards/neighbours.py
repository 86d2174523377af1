"""What the true labels of a row's neighbours say of the model's answer.

Two numbers, from one search. *Odds*: the neighbours' votes against the answer, weighted by nearness
(Cover & Hart, "Nearest neighbor pattern classification", 1967; Papernot & McDaniel, "Deep k-nearest
neighbors", 2018, use them in a network's layers). *Nearness*: how much farther the nearest rows of
the answered class are than those of the nearest other one (Jiang, Kim, Guan & Gupta, "To trust or
not to trust a classifier", 2018). Odds end at 25 of 25 votes; nearness goes on, so that whoever
fools one still has to walk for the other.

Distances are those of the space, in which attacks are measured too: a step that fools the model
must be a step of that length here.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.guards.conformal import Numbers
from strongroom.engines.robustness.target import Labels, Rows

VOTERS = 25
"""Rows that vote (reference bench of the signal)."""
NEAREST = 5
"""Rows of a class whose mean distance is the distance from the class."""
MAX_POINTS = 4_096
_BLOCK = 1 << 20
_PRIOR = 0.5
"""Votes that each class has before any are counted."""


@dataclass(frozen=True, slots=True)
class Neighbours:
    """Points of each class: rows, or means of some rows.

    Attributes:
        points: (points, width), sorted by class.
        starts: (classes + 1,): where each class begins; an empty class has no points.
        group: rows in a point; 1: the points are rows.
        squares: (points,): their squared lengths.
    """

    points: NDArray[np.float32]
    starts: NDArray[np.int64]
    group: int
    squares: NDArray[np.float32]

    @classmethod
    def of(cls, points: NDArray[np.float32], starts: NDArray[np.int64], group: int) -> "Neighbours":
        """From points that are known."""
        return cls(points, starts, group, np.einsum("nw,nw->n", points, points))

    @classmethod
    def fit(
        cls, rows: Rows, labels: Labels, classes: int, group: int, rng: np.random.Generator
    ) -> "Neighbours":
        """Points of finite rows, at most `MAX_POINTS`: of more, a random part of each class.

        Args:
            group: rows that are averaged into a point; a class with fewer gives one point.
        """
        share = min(1.0, MAX_POINTS * group / len(rows))
        parts, starts = [], [0]
        for place in range(classes):
            own = rows[labels == place]
            if len(own):
                own = own[rng.permutation(len(own))[: max(1, int(len(own) * share))]]
                parts.append(averaged(own, group))
            starts.append(starts[-1] + (len(parts[-1]) if len(own) else 0))
        points = np.concatenate(parts).astype(np.float32)
        return cls.of(points, np.array(starts, dtype=np.int64), group)

    def evidence(self, rows: Rows, labels: Labels) -> tuple[Numbers, Numbers]:
        """Odds and nearness against each row's label, (rows,) each; larger is odder."""
        odds, nearness = np.empty(len(rows)), np.empty(len(rows))
        step = max(1, _BLOCK // len(self.points))
        for start in range(0, len(rows), step):
            part = slice(start, start + step)
            block = rows[part].astype(np.float32)
            distances = self.squares - 2 * (block @ self.points.T)
            distances += np.einsum("nw,nw->n", block, block)[:, None]
            np.sqrt(np.maximum(distances, 0, out=distances), out=distances)
            odds[part] = self._odds(distances, labels[part])
            nearness[part] = self._nearness(distances, labels[part])
        return odds, nearness

    def _odds(self, distances: NDArray[np.float32], labels: Labels) -> Numbers:
        voters = min(max(1, -(-VOTERS // self.group)), len(self.points))
        near = np.argpartition(distances, voters - 1, axis=1)[:, :voters]
        # Plain indexing and reductions: a row alone is the usual case, and calls cost more than it.
        lengths = distances[np.arange(len(near))[:, None], near].astype(np.float64)
        # A voter at no distance would have all the say: it counts as at a tenth of the mean.
        lengths += (0.1 / voters) * np.add.reduce(lengths, axis=1, keepdims=True) + 1e-12
        votes = 1 / lengths
        own = (near >= self.starts[labels][:, None]) & (near < self.starts[labels + 1][:, None])
        agreed = np.add.reduce(votes * own, axis=1)
        agreed *= voters / np.add.reduce(votes, axis=1)
        return np.asarray(np.log((voters - agreed + _PRIOR) / (agreed + _PRIOR)))

    def _nearness(self, distances: NDArray[np.float32], labels: Labels) -> Numbers:
        """Changes the order of `distances` within each class."""
        classes = len(self.starts) - 1
        nearest = max(1, -(-NEAREST // self.group))
        means = np.full((len(distances), classes), np.inf)
        for place in range(classes):
            own = distances[:, self.starts[place] : self.starts[place + 1]]
            if own.shape[1]:
                count = min(nearest, own.shape[1])
                own.partition(count - 1, axis=1)  # in place: nobody needs their order any more
                means[:, place] = np.add.reduce(own[:, :count], axis=1) / count
        at = np.arange(len(distances))
        answered = means[at, labels].copy()
        means[at, labels] = np.inf
        rival = means.min(axis=1)
        # A class without rows is infinitely far; alone it has no rival.
        largest = float(np.finfo(np.float32).max)
        ratio = (np.minimum(answered, largest) + 1e-9) / (np.minimum(rival, largest) + 1e-9)
        return np.asarray(np.log(ratio))


def averaged(rows: Rows, group: int) -> Rows:
    """Means of groups of at least `group` rows that lie together; the rows themselves for 1.

    Halved along the widest coordinate until no half could be halved again.
    """
    if group == 1:
        return rows
    pending, made = [rows], []
    while pending:
        part = pending.pop()
        if len(part) < 2 * group:
            made.append(part.mean(axis=0))
            continue
        widest = int(part.var(axis=0).argmax())
        order = np.argsort(part[:, widest], kind="stable")
        half = len(part) // 2
        pending += [part[order[:half]], part[order[half:]]]
    return np.stack(made)
