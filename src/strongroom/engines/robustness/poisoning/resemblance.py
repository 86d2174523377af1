"""Whom rows resemble when some of their features are left aside: their own label, or others."""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from strongroom.engines.robustness.poisoning.table import Mask, Table

_REFERENCE = 4_000
_CLIP = 4.0
"""Evidence of a single row, in log odds: one row must not outweigh many."""

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Resemblance:
    """Whom rows resemble when some of their features are left aside (see `Pattern`)."""

    resemblance: float
    error: float
    excess: float
    expected: float


def resembled(
    table: Table, features: tuple[int, ...], matching: Mask, label: int, rng: np.random.Generator
) -> Resemblance:
    """Ask a forest that knows neither these rows nor these features.

    Args:
        features: that are left aside.
        matching: the rows in question, of all labels.
    """
    from sklearn.ensemble import ExtraTreesClassifier

    kept = np.ones(table.space.width, dtype=bool)
    for feature in features:
        kept[table.space.places[table.space.features[feature].name]] = False
    outside = rng.permutation(np.flatnonzero(~matching))[:_REFERENCE]
    fit, held = outside[: 2 * len(outside) // 3], outside[2 * len(outside) // 3 :]
    if not kept.any() or len(np.unique(table.labels[fit] == label)) < 2:
        return Resemblance(1.0, 0.0, 0.0, 1.0)
    model = ExtraTreesClassifier(
        n_estimators=25, min_samples_leaf=3, max_features=0.5, n_jobs=1,
        random_state=int(rng.integers(1 << 31)),
    )  # fmt: skip
    model.fit(table.rows[fit][:, kept], table.labels[fit] == label)
    inside = np.flatnonzero(matching)
    known = model.predict_proba(table.rows[held][:, kept])[:, 1]
    chance = model.predict_proba(table.rows[inside][:, kept])[:, 1]
    has, own = table.labels[held] == label, table.labels[inside] == label
    others, theirs = mean(log_odds(known[~has])), mean(log_odds(known[has]))
    scale = max(theirs - others, 0.1)
    return Resemblance(
        (mean(log_odds(chance[own])) - others) / scale,
        float(log_odds(known[~has]).std() / np.sqrt(max(own.sum(), 1)) / scale),
        float(deviations(own.sum(), len(own), chance.sum())),
        float(chance.mean()),
    )


def deviations(
    count: NDArray[Any] | float, rows: NDArray[Any] | float, expected: NDArray[Any] | float
) -> Floats:
    """How far a count lies above what was expected: the signed root of its likelihood ratio."""
    rows = np.maximum(rows, 1)
    share, chance = count / rows, np.clip(expected / rows, 1e-3, 1 - 1e-3)
    gain = xlogy(share, share / chance) + xlogy(1 - share, (1 - share) / (1 - chance))
    far = np.sign(share - chance) * np.sqrt(2 * rows * np.maximum(gain, 0.0))
    return np.asarray(far, dtype=np.float64)


def log_odds(chance: Floats) -> Floats:
    """Of a chance, cut at what a single row may say."""
    bounded = np.clip(chance, 1e-9, 1 - 1e-9)
    return np.clip(np.log(bounded / (1 - bounded)), -_CLIP, _CLIP)


def mean(numbers: NDArray[Any]) -> float:
    """Their mean; of none 0."""
    return float(numbers.mean()) if len(numbers) else 0.0
