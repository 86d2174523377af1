"""Wrong numbers in a regression's rows: those far from what models say that never saw the row.

How far is far differs from row to row, so residuals are counted in spreads of rows with such an
answer. Right numbers are then taken as drawn around the answers, by the likeliest of a few bell
shapes, and wrong ones as drawn from the numbers of other rows, or evenly over their range; the
share of wrong ones is found by expectation maximization (a mixture with a part of noise: Banfield &
Raftery, "Model-based Gaussian and non-Gaussian clustering", 1993, section 5, for one variable). So
a row's suspicion is a probability, and knows how rare errors are in this table.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray
from scipy import optimize, stats
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped] # has no types

from strongroom.engines.robustness.poisoning.folds import fold_of, standardized
from strongroom.engines.robustness.poisoning.table import LEAST_ROWS, Mask
from strongroom.engines.robustness.target import Labels, Rows
from strongroom.errors import ValidationError

Numbers = NDArray[np.float64]

FLAGGED = 0.3
"""Suspicion from which a row is flagged, as of labels."""
BINS = 10
"""Of numbers, so that every fold has rows of each size; and of answers, for their spread."""
_FOLDS = 5
_FULL = 20_000
"""Rows up to which every model learns from all of the other folds."""
_TRUSTED = 0.95
"""Of the rows, by which members are mixed: the worst residuals would choose for themselves."""
_TAILS = (np.inf, 10.0, 5.0, 3.0)
"""Degrees of freedom of Student's t; the first is the normal."""
_STEPS = 60
_START, _MOST_WRONG = 0.02, 0.2
"""Share of wrong numbers at first and at most: where models explain nothing, any would do."""
_NORMAL = 1.4826
"""Standard deviations in a median absolute deviation, of a normal."""
_DENSEST = 20.0
"""A bin is at least this part of the range wide, as far as its density goes."""
_OWN_ROWS = 20.0
"""Rows of a bin that weigh as much as the spread of all."""


@dataclass(frozen=True, slots=True)
class NumberErrors:
    """What a search for wrong numbers found.

    Attributes:
        suspicion: of each row, the probability that its number is wrong.
        is_flagged: rows to look at.
        expected: what models say that never saw the row.
        spread: of right numbers around that.
        weights: the part that each kind of model has in the answers.
    """

    suspicion: Numbers
    is_flagged: Mask
    expected: Numbers
    spread: Numbers
    weights: dict[str, float]


def lacks(rows: Rows, numbers: Numbers) -> str:
    """Why nothing can be searched here; empty where something can."""
    if len(rows) < LEAST_ROWS:
        return f"fewer than {LEAST_ROWS} rows"
    if not np.isfinite(numbers).all():
        return "a number to learn is missing or infinite"
    return "all numbers to learn are the same" if np.ptp(numbers) == 0 else ""


def bins_of(numbers: Numbers) -> Labels:
    """The bin of each number, of about as many rows each, from 0."""
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, BINS + 1)[1:-1]))
    return np.searchsorted(edges, numbers, side="right").astype(np.int64)


def find_number_errors(
    rows: Rows, numbers: Numbers, seed: int, progress: Callable[[float], None] = lambda _: None
) -> NumberErrors:
    """Search for wrong numbers.

    Args:
        rows: points, without missing values.
        numbers: one each.
    Raises: ValidationError: as `lacks` says.
    """
    if lack := lacks(rows, numbers):
        raise ValidationError(f"nothing can be searched: {lack}")
    answers = out_of_fold(rows, numbers, seed, progress)
    expected, weights = _mixed(answers, numbers)
    spread = _spread(expected, np.abs(numbers - expected), float(np.ptp(numbers)))
    suspicion = _wrongness((numbers - expected) / spread, spread * _drawn_anywhere(numbers))
    return NumberErrors(suspicion, suspicion >= FLAGGED, expected, spread, weights)


class _Regressor(Protocol):
    def fit(self, rows: Rows, numbers: Numbers) -> object: ...
    def predict(self, rows: Rows) -> Numbers: ...


def out_of_fold(
    rows: Rows, numbers: Numbers, seed: int, progress: Callable[[float], None]
) -> dict[str, Numbers]:
    """What each kind of model says of rows that it was not fitted on."""
    import sklearn.ensemble  # noqa: F401 # or its threads are not known yet below

    folds = fold_of(bins_of(numbers), _FOLDS, seed)
    plain = standardized(rows)
    answers = {name: np.zeros(len(rows)) for name in ("forest", "boosting", "linear", "neighbours")}
    with ThreadpoolController().limit(limits=1):  # small fits: threads would wait for each other
        for fold in range(_FOLDS):
            inside = np.flatnonzero(folds != fold)
            if len(inside) > _FULL:
                inside = np.random.default_rng(seed + fold).choice(inside, _FULL, replace=False)
            outside = np.flatnonzero(folds == fold)
            for name, found in answers.items():
                model = _member(name, seed + fold, len(inside))
                model.fit(plain[inside], numbers[inside])
                found[outside] = model.predict(plain[outside])
            progress((fold + 1) / _FOLDS)
    return answers


def _member(name: str, seed: int, rows: int) -> _Regressor:
    from sklearn.ensemble import ExtraTreesRegressor, HistGradientBoostingRegressor
    from sklearn.linear_model import Ridge
    from sklearn.neighbors import KNeighborsRegressor

    made: dict[str, Callable[[], _Regressor]] = {
        "forest": lambda: ExtraTreesRegressor(
            n_estimators=60, min_samples_leaf=1 if rows < 2_000 else 2, random_state=seed, n_jobs=1
        ),
        # Least absolute error: a wrong number pulls no more than a right one.
        "boosting": lambda: HistGradientBoostingRegressor(
            loss="absolute_error", max_iter=60, max_leaf_nodes=15, early_stopping=False,
            random_state=seed,
        ),
        "linear": lambda: Ridge(alpha=1.0),
        "neighbours": lambda: KNeighborsRegressor(n_neighbors=min(10, rows), weights="distance"),
    }  # fmt: skip
    return made[name]()


def _mixed(answers: dict[str, Numbers], numbers: Numbers) -> tuple[Numbers, dict[str, float]]:
    """The mixture of least squares, no part below 0 (Breiman, "Stacked regressions", 1996)."""
    stack = np.stack(list(answers.values()), axis=1)
    away = np.abs(numbers - np.median(stack, axis=1))
    trusted = away <= np.quantile(away, _TRUSTED)
    parts, _ = optimize.nnls(stack[trusted] - numbers[trusted].mean(),
                             numbers[trusted] - numbers[trusted].mean())  # fmt: skip
    parts = parts / parts.sum() if parts.sum() > 0 else np.full(len(parts), 1 / len(parts))
    return stack @ parts, dict(zip(answers, parts.tolist(), strict=True))


def _spread(expected: Numbers, away: Numbers, span: float) -> Numbers:
    """How far right numbers lie from such answers: by bins of answers, drawn to that of all."""
    least = 1e-6 * span
    whole = max(_NORMAL * float(np.median(away)), least)
    bins = bins_of(expected)
    made = np.empty(len(away))
    for one in np.unique(bins):
        own = bins == one
        deviation = max(_NORMAL * float(np.median(away[own])), least)
        weight = own.sum() / (own.sum() + _OWN_ROWS)
        made[own] = np.exp(weight * np.log(deviation) + (1 - weight) * np.log(whole))
    return made


def _drawn_anywhere(numbers: Numbers) -> Numbers:
    """Density at each number, half of it as all numbers lie, half even over their range."""
    span = float(np.ptp(numbers))
    edges = np.unique(np.quantile(numbers, np.linspace(0, 1, BINS + 1)))
    counts, _ = np.histogram(numbers, edges)
    dense = counts / len(numbers) / np.maximum(np.diff(edges), span / _DENSEST)
    places = np.clip(np.searchsorted(edges, numbers, side="right") - 1, 0, len(dense) - 1)
    return np.asarray((1 / span + dense[places]) / 2)


def _wrongness(scaled: Numbers, wrong: Numbers) -> Numbers:
    """The probability that each is wrong.

    Args:
        scaled: residuals in spreads.
        wrong: density of wrong ones, in the spreads of each row.
    """
    best, found = -np.inf, np.zeros(len(scaled))
    for tail in _TAILS:
        right = stats.norm.pdf(scaled) if np.isinf(tail) else _student(scaled, tail)
        share = _START
        chance = np.zeros(len(scaled))
        for _ in range(_STEPS):
            chance = share * wrong / np.maximum(share * wrong + (1 - share) * right, 1e-300)
            share = float(np.clip(chance.mean(), 1e-4, _MOST_WRONG))
        likelihood = float(np.log(share * wrong + (1 - share) * right + 1e-300).sum())
        if likelihood > best:
            best, found = likelihood, chance
    return found


def _student(scaled: Numbers, tail: float) -> Numbers:
    """Density of Student's t whose median absolute deviation is that of the normal."""
    by = float(stats.t.ppf(0.75, tail) / stats.norm.ppf(0.75))
    return np.asarray(by * stats.t.pdf(scaled * by, tail), dtype=np.float64)
