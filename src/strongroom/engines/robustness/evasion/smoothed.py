"""The test of what can be proved of a model's majority under noise, where nothing else can."""

import numpy as np

from strongroom.engines.robustness.evasion.cases import Case, Progress, Settings, chosen, part
from strongroom.engines.robustness.evasion.hunt import Flags
from strongroom.engines.robustness.evasion.reporting import robust_curve, share
from strongroom.engines.robustness.evasion.smoothing import ALPHA, Smoothed, smooth
from strongroom.engines.robustness.outcome import Canary, Measure, Outcome
from strongroom.engines.robustness.sampling import freed
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Labels, Rows

_TEST, _ATLAS = "evasion.smoothed", ("AML.T0043.000", "AML.T0015")
_FIRST = 0.1
"""Of the queries of a row, to choose the class."""
_LEAST = 200
"""Queries of a row: fewer bound nothing of use."""
_PLANTED = 16
_REACHED = 0.7
"""Of the exact radius, in the middle of the planted rows: with 900 draws a row that stands one
deviation from the edge is certified to 0.85 of it."""
_TOO_FAR = 1
"""Planted rows that may be certified beyond their radius: each is with a chance of `ALPHA`."""


def smoothed(case: Case, settings: Settings, seed: int, progress: Progress) -> Outcome:
    """Certified radii of the model smoothed by noise as long as the declared distance."""
    settings.check()
    rng = np.random.default_rng(seed)
    if case.target.classes < 2:
        return _reason("the model answers with numbers: a majority needs classes")
    is_noisy = _noisy(case.space)
    if not is_noisy.any():
        return _reason("no number may change, and noise is put on numbers alone")
    if settings.queries < _LEAST:
        return _reason(f"fewer than {_LEAST} queries a row bound no share")
    drawn = chosen(case, settings, rng)
    if not len(drawn):
        return _reason("no row is complete")
    rows, labels = case.rows[drawn], case.labels[drawn]
    budget, left = settings.queries * len(drawn), case.target.left
    target = case.target.again(budget=budget if left is None else min(left, budget))
    space = Space(freed(case.space).features)
    # Of one coordinate that moves by 1, L2 says 1; of all that move by 1, the root of their number.
    longer = 1.0 if settings.norm == "l2" else float(np.sqrt(is_noisy.sum()))
    spread = settings.declared * longer

    def answer(points: Rows) -> Labels:
        # Always alike, whatever row it was: ranges and steps, and nothing of where it came from.
        moved = space.project(points, np.full_like(points, 0.5))
        return target.labels(np.where(is_noisy, moved, points))

    counts = {"first": int(_FIRST * settings.queries)}
    counts["draws"] = settings.queries - counts["first"]
    found = smooth(answer, rows, spread, is_noisy, case.target.classes, rng,
                   progress=part(progress, 0, 0.9), **counts)  # fmt: skip
    canary = _planted(rows.shape[1], is_noisy, spread, rng, **counts)
    progress(1.0)
    return _told(settings, found, labels, spread, longer, canary, target.queries)


def _told(
    settings: Settings, found: Smoothed, labels: Labels, spread: float, longer: float,
    canary: Canary, queries: int,
) -> Outcome:  # fmt: skip
    is_right = found.labels == labels
    radii = np.where(is_right, found.radii / longer, 0.0)
    measures = [
        share("smoothed accuracy", is_right),
        share("smoothed certified accuracy", radii >= settings.declared),
        share("abstained", found.labels < 0),
        Measure("noise", spread, unit="share of range"),
        Measure("queries a row", queries / len(labels), unit="queries"),
    ]
    if is_right.any():
        middle = float(np.median(radii[is_right]))
        measures.append(Measure("median certified radius", middle, unit="share of range"))
    kept = int((radii >= settings.declared).sum())
    words = (
        (
            f"Of {len(labels)} rows, {kept} keep their right answer under every change of numbers "
            f"up to {settings.declared:g} ({settings.norm}), if the answer is the majority over "
            f"rows with normal noise of {spread:.3g} on them."
        ),
        (
            "This is proved of that majority, not of the model as it is served: serve the "
            "majority, or take this as information."
        ),
        (
            f"Each row's radius holds with a probability of {1 - ALPHA:g}. Categories and what is "
            "immutable get no noise: the proof does not speak of changes in them."
        ),
    )
    curve = robust_curve("certified of the majority", settings.budgets, radii)
    return Outcome(_TEST, 3, _ATLAS, tuple(measures), canary, (curve,), words, {}, queries)


def _reason(reason: str) -> Outcome:
    return Outcome(_TEST, 3, _ATLAS, reason=reason)


def _noisy(space: Space) -> Flags:
    """Coordinates of numbers that may change."""
    made = np.zeros(space.width, dtype=bool)
    for one in space.features:
        if not one.levels and one.is_mutable and one.high > one.low:
            made[space.places[one.name]] = True
    return made


def _planted(
    width: int, is_noisy: Flags, spread: float, rng: np.random.Generator, *, first: int, draws: int
) -> Canary:
    """Rows at known distances from the edge of a linear model, which smoothing leaves as it is."""
    slope = np.where(is_noisy, rng.normal(size=width), 0.0)
    slope /= np.linalg.norm(slope)
    exact = spread * np.linspace(0.5, 1.5, _PLANTED)
    rows = rng.random((_PLANTED, width))
    rows += np.outer(exact - rows @ slope, slope)

    def answer(points: Rows) -> Labels:
        return np.asarray(points @ slope > 0, dtype=np.int64)

    found = smooth(answer, rows, spread, is_noisy, 2, rng, first=first, draws=draws)
    ratios = np.where(found.labels == 1, found.radii, 0.0) / exact
    middle, beyond = float(np.median(ratios)), int((ratios > 1).sum())
    least = _REACHED if draws >= 900 else _REACHED * np.sqrt(draws / 900)
    return Canary(
        f"{_PLANTED} rows before a linear model, whose radii are known",
        middle >= least and beyond <= _TOO_FAR,
        f"certified to {middle:.3f} of them in the middle, {beyond} beyond them",
    )
