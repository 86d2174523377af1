"""A guard of one model: is this row, with this answer, like what the model is right about?

Three to four signals, one verdict at one rate of false alarms:

1. Each signal is turned into evidence, -log p, by how it falls on the reference rows, each scored
   by detectors that were fitted without it (five folds), with an exponential tail past the last.
2. Votes and nearness of neighbours are added up (as Fisher adds evidence) and turned into evidence
   once more; distance and squeezing stay alone. Each has a share of the alarms (Bonferroni).
3. The largest is compared with the calibration rows, which steps 1 and 2 never saw. So the rate
   holds whatever the detectors are worth (conformal prediction): over natural rows that the model
   answers rightly, or over all. A row that the model gets wrong is one a guard should flag, and
   where wrong answers count as false alarms they use up the rate.
"""

from dataclasses import dataclass, field
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.guards import squeezing
from strongroom.engines.robustness.guards.conformal import (
    AlarmRate,
    Numbers,
    alarm_rate,
    fewest_rows,
    kept,
    p_values,
    threshold,
)
from strongroom.engines.robustness.guards.gaussians import Gaussians
from strongroom.engines.robustness.guards.neighbours import Neighbours
from strongroom.engines.robustness.guards.squeezing import Squeezer
from strongroom.engines.robustness.target import Labels, Predict, Rows, Scores
from strongroom.errors import ValidationError

SIGNALS = ("votes", "nearness", "distance", "squeezing")
DETECTORS = ("neighbours", "distance", "squeezing")
"""What may raise an alarm by itself: votes and nearness speak together."""
FOLDS = 5
FEWEST_REFERENCE = 20
MAX_ROWS = 1_000_000
_WILD = 100.0
"""Ranges beyond which a coordinate is cut: what is farther is no odder, and squares stay finite."""
_TAIL = 0.1
"""Share of the largest reference scores whose mean excess is the tail's scale."""


@dataclass(frozen=True, slots=True)
class Settings:
    """How a guard is fitted.

    Attributes:
        rate: of false alarms, in (0, 0.5].
        over: the natural rows of which that share is flagged: those answered rightly, or all.
        group: rows averaged into a point that is kept, 1 to 100; 1 keeps rows as they are.
        is_squeezing: also ask the model for a coarser row, at the cost of a second prediction.
        distance_share: of the rate that goes to the distance, in (0, 0.5]; as much to squeezing.
    """

    rate: float = 0.01
    over: Literal["right", "all"] = "right"
    group: int = 1
    is_squeezing: bool = False
    distance_share: float = 0.02


@dataclass(frozen=True, slots=True)
class Marginal:
    """How one signal falls on reference rows.

    Attributes:
        scores: sorted; larger is odder.
        scale: of the exponential tail past the largest.
    """

    scores: Numbers
    scale: float

    @classmethod
    def of(cls, scores: Numbers, floor: float = 1e-6) -> "Marginal":
        """From scores of reference rows.

        Args:
            floor: least scale of the tail, > 0: where the largest are ties, a hair above them is
                not infinitely odd.
        """
        ordered = kept(scores)
        top = ordered[-max(2, int(_TAIL * len(ordered))) :]
        return cls(ordered, float(max((top - top[0]).mean(), floor)))

    def evidence(self, scores: Numbers) -> Numbers:
        """-log p: 0 for what is not odd at all."""
        beyond = np.maximum(scores - self.scores[-1], 0.0) / self.scale
        return np.asarray(-np.log(p_values(self.scores, scores)) + beyond)


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What a guard says of rows.

    Attributes:
        p: (rows,): the share of natural rows that are as odd; at most the rate: flagged.
        oddness: (rows,): what p is read from; tells rows apart that are all odder than any natural.
        is_flagged: (rows,).
        evidence: (rows, signals): -log of the share of reference rows as odd, by each signal.
        detector: (rows,): the place in `DETECTORS` of the one that weighs most.
    """

    p: Numbers
    oddness: Numbers
    is_flagged: NDArray[np.bool_]
    evidence: Numbers
    detector: NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Guard:
    """Fitted detectors and their calibration.

    What it keeps of data: up to 4,096 reference rows (with `group` above 1 means of so many rows of
    one class), class means and a scatter, quantiles of the coordinates, scores. Keep it sealed like
    the data it was fitted on.
    """

    settings: Settings
    classes: int
    middles: NDArray[np.float32]
    neighbours: Neighbours
    gaussians: Gaussians
    squeezer: Squeezer
    marginals: tuple[Marginal, ...] = field(repr=False)
    calibration: Numbers = field(repr=False)

    @property
    def signals(self) -> tuple[str, ...]:
        """Names of the columns of `Verdicts.evidence`."""
        return SIGNALS if self.settings.is_squeezing else SIGNALS[:3]

    @property
    def rate(self) -> AlarmRate:
        """How often it will flag natural rows of its kind, with 95 % bounds."""
        return alarm_rate(len(self.calibration), self.settings.rate)

    def check(self, rows: Rows, scores: Scores, squeezed: Scores | None = None) -> Verdicts:
        """Verdicts on rows and the model's answers to them.

        Args:
            rows: (rows, width); what is no number counts as the middle of its coordinate.
            scores: (rows, classes), as the model gave them, before any rounding.
            squeezed: its answers to `coarser(rows)`, where the guard is squeezing.
        Raises: ValidationError: shapes that do not fit.
        """
        if rows.ndim != 2 or rows.shape[1] != len(self.middles):
            raise ValidationError(f"the guard knows rows of {len(self.middles)} coordinates")
        if scores.shape != (len(rows), self.classes):
            raise ValidationError(f"the guard knows answers of {self.classes} classes")
        if self.settings.is_squeezing and (squeezed is None or squeezed.shape != scores.shape):
            raise ValidationError("the guard needs the answers to the coarser rows")
        labels = np.asarray(scores.argmax(axis=1), dtype=np.int64)
        found = _signals(self.neighbours, self.gaussians, clean(rows, self.middles), labels)
        if self.settings.is_squeezing and squeezed is not None:
            found.append(squeezing.moved(scores, squeezed))
        candidates, evidence = _candidates(found, self.marginals, self.settings)
        oddness = candidates.max(axis=0)
        level = threshold(self.calibration, self.settings.rate)
        return Verdicts(
            p_values(self.calibration, oddness), oddness, oddness > level, evidence,
            candidates.argmax(axis=0),
        )  # fmt: skip

    def coarser(self, rows: Rows) -> Rows:
        """The rows that the model is asked for again, where the guard is squeezing."""
        return self.squeezer.squeezed(clean(rows, self.middles))


def fit(
    reference: tuple[Rows, Labels],
    calibration: tuple[Rows, Labels],
    predict: Predict,
    *,
    classes: int,
    settings: Settings = Settings(),
    seed: int = 0,
) -> Guard:
    """A guard of the model behind `predict`.

    Args:
        reference: rows and their true labels that neighbours are sought among; the training rows
            will do.
        calibration: natural rows that the model never saw, like those it will be asked.
    Raises: ValidationError: settings outside their ranges, too few rows of either kind, one class,
        shapes that do not fit.
    """
    _require_sound(reference, calibration, classes, settings)
    rng = np.random.default_rng(seed)
    points, labels = reference
    middles = middles_of(points)
    points = clean(points, middles)
    marginals = _marginals(points, labels, predict, classes, settings, rng)
    guard = Guard(
        settings, classes, middles,
        Neighbours.fit(points, labels, classes, settings.group, rng),
        Gaussians.fit(points, labels), Squeezer.fit(points), marginals, np.empty(0),
    )  # fmt: skip
    rows, truth = calibration
    scores = predict(rows)
    squeezed = predict(guard.coarser(rows)) if settings.is_squeezing else None
    oddness = guard.check(rows, scores, squeezed).oddness
    if settings.over == "right":
        oddness = oddness[scores.argmax(axis=1) == truth]
    fewest = fewest_rows(settings.rate)
    if len(oddness) < fewest:
        raise ValidationError(
            f"a rate of {settings.rate:g} takes {fewest:,} calibration rows, there are "
            f"{len(oddness):,}",
            next_step="give more rows that the model never saw, or set a higher rate",
        )
    return Guard(
        settings, classes, middles, guard.neighbours, guard.gaussians, guard.squeezer, marginals,
        kept(oddness),
    )  # fmt: skip


def middles_of(rows: Rows) -> NDArray[np.float32]:
    """The median of each coordinate over its numbers; 0 where there is none."""
    empty = np.isnan(rows).all(axis=0)
    found = np.zeros(rows.shape[1], dtype=np.float32)
    found[~empty] = np.nanmedian(rows[:, ~empty], axis=0)
    return found


def clean(rows: Rows, middles: NDArray[np.float32]) -> Rows:
    """Finite rows: what is missing at the middle, what is wild cut."""
    return np.clip(np.where(np.isnan(rows), middles, rows), -_WILD, 1 + _WILD)


def _signals(
    neighbours: Neighbours, gaussians: Gaussians, rows: Rows, labels: Labels
) -> list[Numbers]:
    return [*neighbours.evidence(rows, labels), gaussians.distances(rows)]


def _marginals(
    points: Rows, labels: Labels, predict: Predict, classes: int, settings: Settings,
    rng: np.random.Generator,
) -> tuple[Marginal, ...]:  # fmt: skip
    """Of each signal, and last of votes and nearness together."""
    fold = rng.permutation(len(points)) % FOLDS
    found = np.empty((len(SIGNALS) - 1, len(points)))
    for turn in range(FOLDS):
        out = fold == turn
        neighbours = Neighbours.fit(points[~out], labels[~out], classes, settings.group, rng)
        gaussians = Gaussians.fit(points[~out], labels[~out])
        found[:, out] = _signals(neighbours, gaussians, points[out], labels[out])
    signals = list(found)
    if settings.is_squeezing:
        coarser = predict(Squeezer.fit(points).squeezed(points))
        signals.append(squeezing.moved(predict(points), coarser))
    marginals = [Marginal.of(one) for one in signals]
    together = marginals[0].evidence(signals[0]) + marginals[1].evidence(signals[1])
    return (*marginals, Marginal.of(together))


def _candidates(
    signals: list[Numbers], marginals: tuple[Marginal, ...], settings: Settings
) -> tuple[Numbers, Numbers]:
    """What each detector says, (detectors, rows), and the evidence of each signal."""
    evidence = [
        marginal.evidence(one) for marginal, one in zip(marginals[:-1], signals, strict=True)
    ]
    share = settings.distance_share
    others = len(evidence) - 2
    candidates = [
        marginals[-1].evidence(evidence[0] + evidence[1]) + np.log(1 - share * others),
        *(one + np.log(share) for one in evidence[2:]),
    ]
    return np.stack(candidates), np.stack(evidence, axis=1)


def _require_sound(
    reference: tuple[Rows, Labels], calibration: tuple[Rows, Labels], classes: int,
    settings: Settings,
) -> None:  # fmt: skip
    if classes < 2:
        raise ValidationError("a guard compares labels: a regression has none")
    if not (0 < settings.rate <= 0.5 and 0 < settings.distance_share < 0.5):
        raise ValidationError("the rate of a guard is above 0 and at most 0.5, a share below 0.5")
    if not 1 <= settings.group <= 100:
        raise ValidationError("1 to 100 rows are averaged into a point")
    width = reference[0].shape[1] if reference[0].ndim == 2 else 0
    for rows, labels in (reference, calibration):
        if rows.ndim != 2 or rows.shape[1] != width or width == 0 or labels.shape != (len(rows),):
            raise ValidationError("reference and calibration need rows of one width, with labels")
        if len(rows) > MAX_ROWS:
            raise ValidationError(f"a guard is fitted on at most {MAX_ROWS:,} rows of each kind")
        if len(labels) and (labels.min() < 0 or labels.max() >= classes):
            raise ValidationError(f"labels are places from 0 to {classes - 1}")
    if len(reference[0]) < FEWEST_REFERENCE or len(np.unique(reference[1])) < 2:
        raise ValidationError(
            f"a guard needs {FEWEST_REFERENCE} reference rows, of two classes at least"
        )
