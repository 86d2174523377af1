"""What a finished hunt says of a model: measures, curves, words."""

from base64 import b64encode
from typing import Any

import numpy as np

from strongroom.engines.robustness.evasion.cases import Case, Settings
from strongroom.engines.robustness.evasion.hunt import Flags, Hunt, Numbers, Places, length
from strongroom.engines.robustness.intervals import clopper_pearson
from strongroom.engines.robustness.outcome import Canary, Curve, Measure, Outcome
from strongroom.engines.robustness.target import Target

_LISTED = 10
"""Rows that are named."""
_ROUNDING = 1e-9


def reported(
    test: str,
    atlas: tuple[str, ...],
    case: Case,
    attacked: Case,
    settings: Settings,
    drawn: Places,
    hunt: Hunt,
    canary: Canary,
    rng: np.random.Generator,
) -> Outcome:
    """The outcome of a test. Asks the model for noise, beside the budget of the attack.

    Args:
        case: as it was given.
        attacked: the drawn rows, as they were attacked.
    """
    found = hunt.found()
    is_right = found.distances > 0
    is_evaded = is_right & found.is_found
    noise = attacked.target.again()
    measures = [] if case.target.classes < 2 else [share("accuracy", is_right)]
    measures += [
        share("robust accuracy", found.distances > settings.declared),
        share("evaded", is_evaded[is_right]),
        Measure("queries a row", found.queries / len(drawn), unit="queries"),
    ]
    if is_evaded.any():
        places = np.flatnonzero(is_evaded)
        is_valid = attacked.space.valid(found.points[places], hunt.origins[places])
        measures.append(Measure("valid rows", float(is_valid.mean()), unit="share"))
    middle = float(np.median(found.distances[is_right])) if is_right.any() else np.inf
    if np.isfinite(middle):
        measures.append(Measure("median distance", middle, unit="share of range"))
    curves = [robust_curve("robust accuracy", settings.budgets, found.distances)]
    if case.target.left is None:
        if is_evaded.any():
            lengths = found.distances[is_evaded]
            answers = _under_noise(hunt, noise, np.flatnonzero(is_evaded), lengths, rng)
            measures.append(share("right under noise of that length", answers))
        curves.append(_noise_curve(hunt, noise, settings, rng))
    return Outcome(
        test, 3, atlas, tuple(measures), canary, tuple(curves),
        _words(settings, found.distances, middle, len(case.rows), drawn, case),
        _listed(case, settings, drawn, hunt), found.queries + noise.queries,
    )  # fmt: skip


def share(name: str, flags: Flags) -> Measure:
    """A share of rows with its bounds."""
    hits, tries = int(flags.sum()), len(flags)
    low, high = clopper_pearson(hits, tries)
    return Measure(name, hits / tries if tries else 0.0, low, high, "share")


def robust_curve(name: str, budgets: tuple[float, ...], distances: Numbers) -> Curve:
    """Over budgets, the share of rows that have no wrong answer within."""
    points = []
    for budget in (0.0, *budgets):
        hits = int((distances > budget).sum())
        points.append(
            (budget, hits / len(distances), *clopper_pearson(hits, len(distances)))
        )  # fmt: skip
    return Curve(name, "distance", "share of rows", tuple(points))


def nearest(drawn: Places, distances: Numbers) -> list[dict[str, float | int]]:
    """The rows that need least, by place in the table."""
    order = np.argsort(distances, kind="stable")
    near = [at for at in order if 0 < distances[at] < np.inf][:_LISTED]
    return [{"row": int(drawn[at]), "distance": round(float(distances[at]), 6)} for at in near]


def _listed(case: Case, settings: Settings, drawn: Places, hunt: Hunt) -> dict[str, Any]:
    """The nearest rows by place, and where that is asked for their cells before and after."""
    listed: dict[str, Any] = {"nearest rows": nearest(drawn, hunt.distances)}
    if settings.shown:
        order = np.argsort(hunt.distances, kind="stable")
        near = [at for at in order if 0 < hunt.distances[at] < np.inf][: settings.shown]
        width = case.space.width  # without what stands beside the cells
        listed["pictures"] = [
            {"row": int(drawn[at]), "distance": round(float(hunt.distances[at]), 6),
             "before": _cells(hunt.origins[at, :width]), "after": _cells(hunt.best[at, :width])}
            for at in near
        ]  # fmt: skip
    return listed


def _cells(point: Numbers) -> str:
    """A byte for each coordinate, base64."""
    shades = np.round(255 * np.clip(point, 0.0, 1.0)).astype(np.uint8)
    return b64encode(shades.tobytes()).decode()


def _under_noise(
    hunt: Hunt, noise: Target, which: Places, lengths: Numbers, rng: np.random.Generator
) -> Flags:
    """Which rows are still answered rightly under noise, moved to where it could be an input.

    As many categories go to another level as the length pays for, numbers take what is left; only
    what may change is moved, or the projection would shorten it.
    """
    origins = hunt.origins[which]
    points, left = origins.copy(), lengths.astype(np.float64)
    is_free = hunt.high[which] > hunt.low[which]
    for at in rng.permutation(len(hunt.space.features)):
        feature = hunt.space.features[at]
        place = hunt.space.places[feature.name]
        if not feature.levels:
            continue
        is_paid = left >= 1 if hunt.norm == "linf" else left**2 >= 2 - _ROUNDING
        rows = np.flatnonzero(is_paid & is_free[:, place].any(axis=1))
        points[rows, place] = np.eye(place.stop - place.start)[_others(origins[rows, place], rng)]
        if hunt.norm == "l2":
            left[rows] = np.sqrt(np.maximum(left[rows] ** 2 - 2, 0.0))
        is_free[:, place] = False
    moves = np.where(is_free, rng.normal(size=origins.shape), 0.0)
    if hunt.norm == "linf":
        moves = np.sign(moves)
    moves *= (left / np.maximum(length(moves, hunt.norm), 1e-300))[:, None]
    return np.asarray(noise.labels(hunt.space.project(points + moves, origins))
                      == hunt.labels[which])  # fmt: skip


def _others(levels: Numbers, rng: np.random.Generator) -> Places:
    """Other levels than these, drawn evenly; the same where there is one only."""
    count = levels.shape[1]
    step = rng.integers(1, max(count, 2), size=len(levels))
    return np.asarray((levels.argmax(axis=1) + step) % count, dtype=np.intp)


def _noise_curve(hunt: Hunt, noise: Target, settings: Settings, rng: np.random.Generator) -> Curve:
    everyone = np.arange(len(hunt.origins))
    points = []
    for budget in (0.0, *settings.budgets):
        right = _under_noise(hunt, noise, everyone, np.full(len(everyone), budget), rng)
        hits = int(right.sum())
        points.append((budget, hits / len(right), *clopper_pearson(hits, len(right))))
    return Curve("random noise of that length", "distance", "share of rows", tuple(points))


def _words(
    settings: Settings, distances: Numbers, middle: float, rows: int, drawn: Places, case: Case
) -> tuple[str, ...]:
    stood = int((distances > settings.declared).sum())
    right = int((distances > 0).sum())
    incomplete = int((~np.isfinite(case.rows).all(axis=1)).sum())
    first = (
        f"Of {len(drawn)} rows the model answers {right} rightly, {stood} still after every change "
        f"found up to {settings.declared:g} ({settings.norm}, shares of ranges)."
    )
    if case.target.classes < 2:
        first = (
            f"For {stood} of {len(drawn)} rows no change up to {settings.declared:g} "
            f"({settings.norm}, shares of ranges) was found that moves the answer by more than "
            f"{settings.tolerance:g}. What the model answers to a row as it is counts as right."
        )
    words = [first]
    if np.isfinite(middle) and right:
        words.append(f"Half of the rightly answered rows fall to a change of {middle:.3g} or less.")
    elif right:
        words.append("For more than half of the rightly answered rows no wrong answer was found.")
    if not right:
        words.append("With no row answered rightly there was nothing to attack.")
    if incomplete:
        words.append(f"{incomplete} rows with missing values were left out.")
    if len(drawn) + incomplete < rows:
        words.append(f"{len(drawn)} rows were drawn of {rows}.")
    words.append(
        "A search that finds nothing proves nothing: a stronger attack may find what this one "
        "missed. Certified distances, where there are any, are in `evasion.certified`."
    )
    if case.target.left is not None:
        words.append("Noise of the same length was not asked: the budget is the attack's.")
    return tuple(words)
