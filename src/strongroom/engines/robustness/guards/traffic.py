"""The natural traffic of one endpoint, and whether a caller's stream is like it.

Five signals over what is remembered of a caller, each compared with simulated honest callers of
this very endpoint (natural rows, some asked again, some asked again with one value changed):

- *oddness*: rows lie farther out, or nearer to the centre, than natural ones. Uniform queries lie
  far out; mixed rows too central, where a one-sided score is blind.
- *streak*: rows come close to earlier rows without being them: an attack that walks.
- *edge*: more answers than usual where the model hardly decides: an attack that searches an edge.
- *coverage*: more cells of the natural space touched than so many natural rows touch.
- *gaps*: nearest distances between a caller's rows are not as natural (PRADA: Juuti, Szyller,
  Marchal & Asokan, "PRADA: protecting against DNN model stealing attacks", 2019, section 5:
  normality of distances to earlier rows of the same answer). It cries wolf on repeats, so it is one
  vote with a small share, calibrated here like the others.

The alarm rate is one per *stream* of natural queries, not per query: the largest value along a
stream is compared with the largest values along honest streams. Whoever asks for longer than these
does is held to a threshold that rises with the logarithm of how often, so that the rate is one per
caller, however long they ask (of the k-th stream 1 / k (k + 1) of it; the scores' tail is
exponential).
"""

import math
from dataclasses import dataclass, field
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy import special

from strongroom.engines.robustness.guards.callers import (
    CELLS,
    KEPT,
    SKETCH,
    Asked,
    Caller,
    digests,
    remember,
)
from strongroom.engines.robustness.guards.conformal import (
    Numbers,
    fewest_rows,
    kept,
    p_values,
    threshold,
)
from strongroom.engines.robustness.guards.gaussians import Gaussians
from strongroom.engines.robustness.guards.guard import Marginal, clean, middles_of
from strongroom.engines.robustness.guards.neighbours import averaged
from strongroom.engines.robustness.target import Labels, Rows, Scores
from strongroom.errors import ValidationError

SIGNALS = ("oddness", "streak", "edge", "coverage", "gaps")
SHARES = np.array([0.25, 0.25, 0.2, 0.2, 0.1])
"""Of the alarms that each signal may raise."""
_FLOORS = (1.0, 1.0, 1.0, 0.5, 0.02)
"""Least scales of the signals' tails: the first three are in standard errors."""
STEP = 16
"""Rows between two looks at a caller."""
SPLITS = 4
"""Of the rows, into those that shape the signals and those that honest callers ask: one split would
tell nothing of how far natural rows lie from other natural rows."""
FEWEST = 32
"""Different rows of a caller before anything is said of them."""
FEWEST_ROWS = 50
MAX_LENGTH = 100_000
"""Of a simulated stream."""
_CLOSE = 0.01
"""Quantile of natural nearest distances below which two rows are a streak's."""
_EDGE = 0.05
"""Quantile of natural margins below which a row is at the edge."""
_KEY = b"strongroom stream of one caller"


@dataclass(frozen=True, slots=True)
class Habits:
    """How honest callers behave, as far as anyone can say beforehand.

    Attributes:
        repeats: share of queries that were asked before by the same caller, in [0, 0.9].
        edits: share that are an earlier row with one value of another natural row, in [0, 0.9].
        length: queries of a stream, 64 to 100,000.
        streams: simulated, 40 to 10,000.
        rate: of streams that raise a false alarm, in (0, 0.5].
    """

    repeats: float = 0.2
    edits: float = 0.02
    length: int = 512
    streams: int = 200
    rate: float = 0.01


@dataclass(frozen=True, slots=True)
class Alarm:
    """What is said of a caller.

    Attributes:
        p: share of honest streams that come to look as odd. is_raised: at most the rate, and less
            of a caller who has asked for longer than these.
        evidence: by signal, -log of the share of honest streams that go as far.
        because: the signal that weighs most.
        coverage: share of the cells of the natural space that the caller has touched.
        bits: most that the answers so far can have told.
    """

    p: float
    is_raised: bool
    evidence: dict[str, float]
    because: str
    coverage: float
    bits: float


@dataclass(frozen=True, slots=True)
class Traffic:
    """Natural traffic of an endpoint; no row of it, only means, scatter, quantiles.

    Attributes:
        projection: (width, `SKETCH`).
        cells: (cells, `SKETCH`): centres of the natural space, means of rows.
        close, edge: a distance and a margin; see `_CLOSE`, `_EDGE`.
        usual: share of natural rows that lie as close; more than `_CLOSE` where rows are alike.
        oddness: natural distances, sorted.
        touched: (KEPT + 1,): cells that so many different natural rows touch, on average.
        honest: how each signal's largest value along an honest stream falls; last all together.
    """

    habits: Habits
    middles: NDArray[np.float32]
    projection: NDArray[np.float32]
    cells: NDArray[np.float32]
    gaussians: Gaussians
    oddness: Numbers
    close: float
    usual: float
    edge: float
    touched: Numbers
    honest: tuple[Marginal, ...] = field(repr=False)
    streams: Numbers = field(repr=False)

    def ask(self, rows: Rows, scores: Scores, key: bytes = _KEY) -> Asked:
        """What is needed of rows and the model's answers to them.

        Args:
            key: of the digests, at most 64 bytes; a secret of the endpoint.
        """
        whole = clean(rows, self.middles)
        sketches = np.clip(whole.astype(np.float32) @ self.projection, -6e4, 6e4)
        squares = (self.cells**2).sum(axis=1) - 2 * sketches @ self.cells.T
        top = np.partition(scores, scores.shape[1] - 2, axis=1)[:, -2:]
        return Asked(
            digests(rows, key), sketches,
            -np.log(p_values(self.oddness, self.gaussians.distances(whole))),
            top[:, 1] - top[:, 0], squares.argmin(axis=1),
            np.asarray(scores.argmax(axis=1), dtype=np.int64),
        )  # fmt: skip

    def hear(self, caller: Caller, asked: Asked) -> None:
        """Remember rows that a caller asks, however many, in order."""
        step = min(KEPT, self.habits.length)
        for start in range(0, len(asked.labels), step):
            remember(caller, asked.part(start, start + step), self.habits.length)

    def alarm(self, caller: Caller, bits: float = 0.0) -> Alarm:
        """What a caller's stream looks like now.

        Args:
            bits: that one answer can tell, of `outputs.bits_per_answer`.
        """
        evidence = self.evidence(self.signals(caller))
        together = float((evidence + np.log(SHARES)).max())
        often = max(caller.rows / self.habits.length, 1.0)
        level = threshold(self.streams, self.habits.rate) + math.log(often * (often + 1) / 2)
        return Alarm(
            float(p_values(self.streams, np.array([together]))[0]),
            together > level,
            dict(zip(SIGNALS, evidence.tolist(), strict=True)),
            SIGNALS[int((evidence + np.log(SHARES)).argmax())],
            float(caller.cells[: len(self.cells)].mean()),
            bits * caller.new,
        )

    def signals(self, caller: Caller) -> Numbers:
        """The five numbers of a caller, larger odder; all 0 for too few rows."""
        known = caller.remembered()
        if len(known) < FEWEST:
            return np.zeros(len(SIGNALS))
        count = len(known)
        # Of natural rows -log p is exponential: its mean has variance 1 / count.
        odd = abs(float(known["oddness"].astype(np.float64).mean()) - 1.0) * np.sqrt(count)
        streak = _excess(float((known["nearest"] <= self.close).mean()), self.usual, count)
        edge = _excess(float((known["margin"] < self.edge).mean()), _EDGE, count)
        usual = self.touched[caller.new % self.habits.length]
        touched = float(caller.cells.sum())
        coverage = (touched - usual) / np.sqrt(max(usual, 1.0))
        return np.array([odd, streak, edge, coverage, _unlike_normal(known["gap"])])

    def evidence(self, signals: Numbers) -> Numbers:
        """Of each signal, -log of the share of honest streams that go as far."""
        return np.array([
            float(marginal.evidence(np.array([one]))[0])
            for marginal, one in zip(self.honest, signals, strict=True)
        ])  # fmt: skip


def fit(
    rows: Rows, labels: Labels, scores: Scores, *, habits: Habits = Habits(), seed: int = 0
) -> Traffic:
    """What natural traffic looks like, and how far honest streams go.

    Half of the rows shape the signals, the other half is what simulated callers ask, and that some
    times over; in the end all of them shape the signals.

    Args:
        rows: natural ones, like those the endpoint will be asked.
        labels: true ones. scores: the model's answers.
    Raises: ValidationError: habits outside their ranges, or too few rows.
    """
    _require_sound(rows, labels, scores, habits)
    rng = np.random.default_rng(seed)
    found = np.empty((habits.streams, len(SIGNALS)))
    for split in range(SPLITS):
        order = rng.permutation(len(rows))
        first, second = order[: len(order) // 2], order[len(order) // 2 :]
        part = _shaped(rows[first], labels[first], scores[first], habits, rng)
        asked = part.ask(rows[second], scores[second])
        for turn in range(split, habits.streams, SPLITS):
            found[turn] = _largest(part, _honest(asked, part, habits, rng))
    bare = _shaped(rows, labels, scores, habits, rng)
    # Half of the streams say how odd each signal is, the other half how odd all together.
    half = habits.streams // 2
    honest = tuple(
        Marginal.of(column, floor) for column, floor in zip(found[:half].T, _FLOORS, strict=True)
    )
    shaped = _with(bare, honest, np.empty(0))
    together = [float((shaped.evidence(one) + np.log(SHARES)).max()) for one in found[half:]]
    return _with(bare, honest, kept(np.array(together)))


def _shaped(
    rows: Rows, labels: Labels, scores: Scores, habits: Habits, rng: np.random.Generator
) -> Traffic:
    middles = middles_of(rows)
    whole = clean(rows, middles)
    width = rows.shape[1]
    projection = (
        np.eye(width, SKETCH)
        if width <= SKETCH
        else rng.standard_normal((width, SKETCH)) / np.sqrt(SKETCH)
    ).astype(np.float32)
    sketches = whole @ projection
    # As many cells as rows in pairs allow: a cell of one row would be that row.
    cells = averaged(sketches, max(2, -(-len(sketches) // CELLS)))[:CELLS].astype(np.float32)
    # Distances of rows that the scatter was not fitted on, or natural rows would look too central.
    fold = rng.permutation(len(whole)) % 2
    distances = np.empty(len(whole))
    for turn in (0, 1):
        fitted = Gaussians.fit(whole[fold != turn], labels[fold != turn])
        distances[fold == turn] = fitted.distances(whole[fold == turn])
    top = np.partition(scores, scores.shape[1] - 2, axis=1)[:, -2:]
    close, usual = _close(sketches[rng.permutation(len(sketches))[: 16 * KEPT]])
    return Traffic(
        habits, middles, projection, cells, Gaussians.fit(whole, labels), kept(distances),
        close, usual, float(np.quantile(top[:, 1] - top[:, 0], _EDGE)),
        _touched(sketches, cells, habits.length, rng), (), np.empty(0),
    )  # fmt: skip


def _close(sketches: Rows) -> tuple[float, float]:
    """A distance within which few natural rows lie from the nearest of `KEPT` others, and how many.

    Where many rows are equal a tenth of the middle distance, for no smaller one tells anything.
    """
    nearest = []
    for start in range(0, len(sketches), KEPT):
        part = sketches[start : start + KEPT]
        if len(part) > 1:
            squares = (part**2).sum(axis=1)
            distances = squares[:, None] + squares - 2 * part @ part.T
            np.fill_diagonal(distances, np.inf)
            nearest.append(np.sqrt(np.maximum(distances.min(axis=1), 0.0)))
    found = np.concatenate(nearest)
    close = max(float(np.quantile(found, _CLOSE)), 0.1 * float(np.median(found)))
    return close, min(max(float((found <= close).mean()), _CLOSE), 0.9)


def _touched(
    sketches: Rows, cells: NDArray[np.float32], length: int, rng: np.random.Generator
) -> Numbers:
    """Cells that the first so many natural rows touch, the mean of some orders."""
    squares = (cells**2).sum(axis=1) - 2 * sketches.astype(np.float32) @ cells.T
    own = squares.argmin(axis=1)
    orders = 20
    total = np.zeros(length + 1)
    for _ in range(orders):
        drawn = own[rng.integers(len(own), size=length)]
        is_first = np.zeros(length, dtype=bool)
        is_first[np.unique(drawn, return_index=True)[1]] = True
        total[1:] += np.cumsum(is_first)
    return total / orders


def _honest(asked: Asked, traffic: Traffic, habits: Habits, rng: np.random.Generator) -> Asked:
    """A stream of an honest caller: natural rows, some again, some again with a small change.

    A changed row moves by a step towards another natural row in the sketch, a `SKETCH`-th of it.
    """
    count, length = len(asked.labels), habits.length
    places = rng.integers(count, size=length)
    again = rng.random(length) < habits.repeats
    earlier = (rng.random(length) * np.arange(length)).astype(np.intp)
    for place in np.flatnonzero(again)[1:]:
        places[place] = places[earlier[place]]
    made = asked.at(places)
    edited = np.flatnonzero(rng.random(length) < habits.edits)
    edited = edited[edited > 0]
    if not len(edited):
        return made
    other = rng.integers(count, size=len(edited))
    share = 1.0 / np.sqrt(len(traffic.middles))
    made.sketches[edited] = made.sketches[earlier[edited]] + share * (
        asked.sketches[other] - made.sketches[earlier[edited]]
    )
    made.digests[edited] = rng.integers(1 << 63, size=len(edited), dtype=np.int64)
    return made


def _largest(traffic: Traffic, stream: Asked) -> Numbers:
    """The largest value of each signal along a stream."""
    caller, largest = Caller(), np.zeros(len(SIGNALS))
    for start in range(0, len(stream.labels), STEP):
        traffic.hear(caller, stream.part(start, start + STEP))
        largest = np.maximum(largest, traffic.signals(caller))
    return largest


def first_alarm(traffic: Traffic, stream: Asked) -> int | None:
    """After how many queries of a stream the alarm is raised; None: never."""
    caller = Caller()
    for start in range(0, len(stream.labels), STEP):
        traffic.hear(caller, stream.part(start, start + STEP))
        if traffic.alarm(caller).is_raised:
            return caller.rows
    return None


def _excess(share: float, usual: float, count: int) -> float:
    """By how many standard errors a share is above the usual one."""
    return max(0.0, share - usual) / math.sqrt(usual * (1 - usual) / count)


def _unlike_normal(gaps: NDArray[np.floating]) -> float:
    """1 - W' of the distances within three deviations of their mean.

    W' is the squared correlation with expected normal order statistics: Shapiro & Francia, "An
    approximate analysis of variance test for normality", 1972, which comes near to W and
    costs a tenth; the order statistics by Blom 1958.
    """
    found = gaps[np.isfinite(gaps)].astype(np.float64)
    if len(found) < FEWEST:
        return 0.0
    inner = np.sort(found[np.abs(found - found.mean()) <= 3 * found.std()])
    if len(inner) < FEWEST or inner[-1] - inner[0] < 1e-9:
        return 0.0
    expected = _normal_order(len(inner))
    moved = inner - inner.mean()
    return float(1.0 - (moved @ expected) ** 2 / ((moved @ moved) * (expected @ expected)))


@lru_cache(maxsize=KEPT)
def _normal_order(count: int) -> Numbers:
    return np.asarray(special.ndtri((np.arange(1, count + 1) - 0.375) / (count + 0.25)))


def _with(bare: Traffic, honest: tuple[Marginal, ...], streams: Numbers) -> Traffic:
    return Traffic(
        bare.habits, bare.middles, bare.projection, bare.cells, bare.gaussians, bare.oddness,
        bare.close, bare.usual, bare.edge, bare.touched, honest, streams,
    )  # fmt: skip


def _require_sound(rows: Rows, labels: Labels, scores: Scores, habits: Habits) -> None:
    if rows.ndim != 2 or labels.shape != (len(rows),) or len(scores) != len(rows):
        raise ValidationError("natural traffic is rows, a label and an answer to each")
    if scores.ndim != 2 or scores.shape[1] < 2:
        raise ValidationError("a monitor watches answers with classes: a regression has none")
    if len(rows) < FEWEST_ROWS:
        raise ValidationError(f"natural traffic is learned from {FEWEST_ROWS} rows at least")
    require_habits(habits)


def require_habits(habits: Habits) -> None:
    """Raises: ValidationError: something is outside its range."""
    if not (0 <= habits.repeats <= 0.9 and 0 <= habits.edits <= 0.9 and 0 < habits.rate <= 0.5):
        raise ValidationError("habits are shares up to 0.9, and a rate up to 0.5")
    if not (64 <= habits.length <= MAX_LENGTH and 40 <= habits.streams <= 10_000):
        raise ValidationError("streams are of 64 to 100,000 queries, 40 to 10,000 of them")
    fewest = fewest_rows(habits.rate)
    if habits.streams // 2 < fewest:
        raise ValidationError(f"a rate of {habits.rate:g} takes {2 * fewest:,} honest streams")
