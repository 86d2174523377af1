"""Rows unlike the others, by three views that each see something else.

Far from their neighbours (Ramaswamy, Rastogi & Shim, "Efficient algorithms for mining outliers from
large data sets", 2000), soon alone when the table is cut at random (Liu, Ting & Zhou, "Isolation
forest", 2008), far out in the tails of single features (Li et al., "ECOD", 2022, section 3). Each
view ranks the rows; the mean of the ranks is the score. An outlier is no proof of poison: rare
people are outliers too, and poison that hides among usual values is none.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from strongroom.engines.robustness.poisoning.folds import standardized
from strongroom.engines.robustness.poisoning.table import Table
from strongroom.engines.robustness.target import Rows

Floats = NDArray[np.float64]

VIEWS = ("neighbours", "isolation", "tails")
_NEIGHBOURS = 10
_REFERENCE = 20_000
"""Rows that distances are taken to: a sample, where there are more."""
FAR = 4.0
"""Median absolute deviations (times 1.4826: standard deviations of a normal) beyond the median at
which a view calls a row an outlier; a row that two views call so is listed."""


@dataclass(frozen=True, slots=True)
class Outliers:
    """Rows unlike the others.

    Attributes:
        score: in [0, 1], the mean rank over the views.
        views: view → how far out, in robust deviations.
        is_outlier: which two views at least call so.
    """

    score: Floats
    views: dict[str, Floats]
    is_outlier: NDArray[np.bool_]


def find_outliers(table: Table, seed: int) -> Outliers:
    """Score every row of a table, its label left aside."""
    rows = standardized(table.rows)
    raw = {
        "neighbours": np.log1p(_distance(rows, seed)),
        "isolation": _isolation(rows, seed),
        "tails": _tails(table.values),
    }
    views = {name: _robust(one) for name, one in raw.items()}
    score = np.mean([(rankdata(one) - 0.5) / len(one) for one in raw.values()], axis=0)
    votes = np.sum([one > FAR for one in views.values()], axis=0)
    return Outliers(score, views, votes >= 2)


def _distance(rows: Rows, seed: int) -> Floats:
    """To the tenth neighbour."""
    from sklearn.neighbors import NearestNeighbors

    known = rows
    if len(rows) > _REFERENCE:
        known = rows[np.random.default_rng(seed).choice(len(rows), _REFERENCE, replace=False)]
    many = min(_NEIGHBOURS + 1, len(known))
    distance, _ = NearestNeighbors(n_neighbors=many).fit(known).kneighbors(rows)
    return np.asarray(distance[:, -1], dtype=np.float64)


def _isolation(rows: Rows, seed: int) -> Floats:
    from sklearn.ensemble import IsolationForest

    forest = IsolationForest(n_estimators=100, random_state=seed, n_jobs=1).fit(rows)
    return np.asarray(-forest.score_samples(rows), dtype=np.float64)


def _tails(values: Floats) -> Floats:
    """The sum over features of minus the log of the smaller tail's share."""
    total = np.zeros(len(values))
    for column in values.T:
        left = rankdata(column, "max") / len(column)
        right = rankdata(-column, "max") / len(column)
        total -= np.log(np.minimum(left, right))
    return total


def _robust(numbers: Floats) -> Floats:
    middle = np.median(numbers)
    away = np.abs(numbers - middle)
    spread = 1.4826 * np.median(away)
    if not spread:  # half of the rows are equal: by the mean then, which is as long for a normal
        spread = 1.2533 * away.mean()
    return np.asarray((numbers - middle) / (spread if spread > 0 else np.inf))
