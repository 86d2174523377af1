"""An attacker who knows the guard, and the three controls without which a figure means nothing.

The attacker holds model and guard and asks both as often as they like: an answer counts as won
when it is wrong *and* not flagged. To a decision-based attack such a pair is one model, so the
strongest attack of the room `evasion` is turned on it as it is (Tramèr, Carlini, Brendel & Madry,
"On adaptive attacks to adversarial example defenses", 2020: attack the defence as a whole).

Controls: *noise* of the same length in a random direction, where an alarm says that the guard sees
length and no attack; *overshoot*, the attack's step made half as long again, where detectors that
only see the edge go blind; and values kept valid throughout, for an impossible value (half a pixel
step) is easy to see and proves nothing.
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.evasion.hopskipjump import Jumps, hopskipjump
from strongroom.engines.robustness.evasion.hunt import Hunt
from strongroom.engines.robustness.evasion.trimming import trim
from strongroom.engines.robustness.guards.conformal import Numbers
from strongroom.engines.robustness.guards.guard import Guard
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Labels, Predict, Rows, Scores, Target

OVERSHOOT = 1.5
"""Times the attack's step (reference bench of the signals)."""
JUMPS = Jumps(rounds=10, first=60)
"""Some 3,000 queries a row."""


@dataclass(frozen=True, slots=True)
class Attacked:
    """What attackers made of rows that the model answers rightly.

    Attributes:
        origins, labels: the rows and their true labels.
        blind: nearest wrong answers to an attacker who does not know of the guard.
        overshot: the same, half as far again; some are answered rightly again.
        noise: as far as `overshot`, in random directions.
        knowing: nearest wrong answers that the guard lets through.
        blind_distances, knowing_distances: of them, in L2; infinite where none was found.
    """

    origins: Rows
    labels: Labels
    blind: Rows
    overshot: Rows
    noise: Rows
    knowing: Rows
    blind_distances: Numbers
    knowing_distances: Numbers

    def stopped(self, factor: float) -> NDArray[np.bool_]:
        """Which of the rows that the blind attacker won are safe from the knowing one.

        Args:
            factor: times the blind attacker's distance that the knowing one may walk.
        """
        won = np.isfinite(self.blind_distances) & (self.blind_distances > 0)
        return np.asarray(self.knowing_distances[won] > factor * self.blind_distances[won])


def guarded(predict: Predict, guard: Guard, label: int) -> Predict:
    """The model behind its guard, as attackers of rows of one class see it.

    A flagged row is answered with that class: nothing was won.
    """

    def answer(rows: Rows) -> Scores:
        scores = predict(rows)
        made = scores.copy()
        wrong = scores.argmax(axis=1) != label
        if wrong.any():
            held = flagged(predict, guard, rows[wrong], scores[wrong])
            at = np.flatnonzero(wrong)[held]
            made[at] = 0.0
            made[at, label] = 1.0
        return made

    return answer


def flagged(
    predict: Predict, guard: Guard, rows: Rows, scores: Scores | None = None
) -> NDArray[np.bool_]:
    """Which rows the guard flags, with the model's answers to them."""
    scores = predict(rows) if scores is None else scores
    squeezed = predict(guard.coarser(rows)) if guard.settings.is_squeezing else None
    return guard.check(rows, scores, squeezed).is_flagged


def attacked(
    predict: Predict,
    guard: Guard,
    space: Space,
    origins: Rows,
    labels: Labels,
    pool: Rows,
    *,
    seed: int,
    jumps: Jumps = JUMPS,
    progress: Callable[[float], None] = lambda _: None,
) -> Attacked:
    """Attack rows without and with knowledge of the guard.

    Args:
        origins: finite rows that the model answers rightly.
        pool: points that the attacker holds and starts from.
    """
    rng = np.random.default_rng(seed)
    blind, blind_distances = _won(
        lambda _: predict, space, origins, labels, guard.classes, pool, rng, jumps
    )
    progress(0.3)
    overshot = space.project(origins + OVERSHOOT * (blind - origins), origins)
    noise = _noise(space, origins, overshot, rng)
    knowing, distances = _won(
        lambda label: guarded(predict, guard, label),
        space, origins, labels, guard.classes, pool, rng, jumps,
    )  # fmt: skip
    # Who knows the guard also tries what is won blindly, wherever that passes.
    for rows in (blind, overshot):
        scores = predict(rows)
        passes = (scores.argmax(axis=1) != labels) & ~flagged(predict, guard, rows, scores)
        lengths = np.where(passes, np.linalg.norm(rows - origins, axis=1), np.inf)
        nearer = lengths < distances
        knowing[nearer], distances[nearer] = rows[nearer], lengths[nearer]
    progress(1.0)
    return Attacked(origins, labels, blind, overshot, noise, knowing, blind_distances, distances)


def _won(
    behind: Callable[[int], Predict], space: Space, origins: Rows, labels: Labels, classes: int,
    pool: Rows, rng: np.random.Generator, jumps: Jumps,
) -> tuple[Rows, Numbers]:  # fmt: skip
    points, distances = origins.copy(), np.full(len(origins), np.inf)
    for label in np.unique(labels):
        own = np.flatnonzero(labels == label)
        target = Target(behind(int(label)), classes=classes)
        hunt = Hunt(target, space, origins[own], labels[own])
        hopskipjump(hunt, rng, pool=pool, jumps=jumps)
        trim(hunt, rng, rounds=1)
        found = hunt.found()
        points[own], distances[own] = found.points, found.distances
    return points, distances


def _noise(space: Space, origins: Rows, moved: Rows, rng: np.random.Generator) -> Rows:
    """Valid points as far as the moved ones, in directions of chance within the same features.

    Numbers that did not move stay: a category is left or kept, which noise of a length cannot do.
    """
    lengths = np.linalg.norm(moved - origins, axis=1, keepdims=True)
    drawn = rng.standard_normal(origins.shape)
    drawn *= lengths / np.maximum(np.linalg.norm(drawn, axis=1, keepdims=True), 1e-12)
    return space.project(origins + drawn, origins)
