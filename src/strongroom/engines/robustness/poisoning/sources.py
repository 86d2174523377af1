"""Who brought the bad rows: each source of a table against all others.

Three questions. Is the model better without the source? Are its rows of use to their neighbours
(KNN-Shapley: Jia et al., "Efficient task-specific data valuation for nearest neighbor algorithms",
2019, theorem 1: exact, from one sorting)? Are more of its rows suspect than of the others?
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from strongroom.engines.robustness.intervals import clopper_pearson
from strongroom.engines.robustness.poisoning.comparison import Comparison, retrain_without
from strongroom.engines.robustness.poisoning.folds import standardized
from strongroom.engines.robustness.poisoning.table import Mask, Table
from strongroom.engines.robustness.recipes import Recipe

MOST_SOURCES = 20
"""Sources that are judged, the largest first: each costs models of its own."""
LEAST_ROWS = 10
MOST_RATIO = 3.0
_MOST_SHARE = 0.8
"""A source of more than that is the table: what is left says little of it."""
_FITTED = 20_000
_JUDGES = 200
_NEIGHBOURS = 5
_SURE = 0.05


@dataclass(frozen=True, slots=True)
class Source:
    """One source.

    Attributes:
        rows, suspects: how many it brought, and how many of them are suspect.
        rate, low, high: share of suspects with 95 % bounds.
        ratio: of its rate to that of all other rows (half a row is added to either count).
        is_suspect: its rate is higher than that of the others, at 5 % over all sources (Fisher's
            exact test, Bonferroni).
        value: mean Shapley value of its rows times all rows: 1 is a row that helps as the average
            of a perfect table would; below 0 its rows do harm. None where too few rows could judge.
        without: models without it against models with it; None where it was not tried. The bounds
            hold over all sources together (Bonferroni).
    """

    name: str
    rows: int
    suspects: int
    rate: float
    low: float
    high: float
    ratio: float
    is_suspect: bool
    value: float | None
    without: Comparison | None

    @property
    def is_doubtful(self) -> bool:
        """Whether it has surely more suspects than the others, and three times as many."""
        return self.is_suspect and self.ratio >= MOST_RATIO


def judge_sources(
    table: Table,
    suspects: Mask,
    recipe: Recipe,
    seed: int,
    *,
    held: Table | None = None,
    only: str | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> list[Source]:
    """All sources, the worst first.

    Args:
        suspects: rows that a search called suspect.
        recipe: how the models are fitted that are compared.
        held: rows that are trusted; without them, each source is judged by a third of the rows of
            the others.
        only: the one source to judge.
    """
    if table.sources is None:
        return []
    counts = np.bincount(table.sources, minlength=len(table.source_names))
    chosen = np.argsort(-counts, kind="stable")[:MOST_SOURCES]
    chosen = chosen[counts[chosen] >= LEAST_ROWS]
    found = []
    for step, one in enumerate(chosen.tolist()):
        if only is not None and table.source_names[one] != only:
            continue
        found.append(_judged(table, one, len(chosen), suspects, recipe, seed, held))
        progress((step + 1) / len(chosen))
    return sorted(
        found,
        key=lambda one: (not one.is_doubtful, -one.without.low if one.without else 0.0, -one.ratio),
    )


def _judged(
    table: Table, source: int, sources: int, suspects: Mask, recipe: Recipe, seed: int,
    held: Table | None,
) -> Source:  # fmt: skip
    assert table.sources is not None  # noqa: S101 # `judge_sources` has looked
    own = table.sources == source
    hits, many = int(suspects[own].sum()), int(own.sum())
    rest, others = int(suspects[~own].sum()), int((~own).sum())
    test = stats.fisher_exact([[hits, many - hits], [rest, others - rest]], alternative="greater")
    low, high = clopper_pearson(hits, many)
    ratio = (hits + 0.5) / (many + 1) / ((rest + 0.5) / (others + 1))
    judges, learned = _split(table, own, held, seed)
    value: float | None = None
    without = None
    if learned is not None and len(judges):
        fitted, inside = table.part(learned), own[learned]
        values = knn_shapley(fitted, judges.part(_few(len(judges), _JUDGES, seed)))
        value = float(values[inside].mean() * len(fitted)) if inside.any() else None
        left = np.bincount(fitted.labels[~inside], minlength=table.classes)
        if many <= _MOST_SHARE * len(table) and (left > 0).sum() >= 2:
            without = retrain_without(
                fitted, inside, judges, recipe, seed, confidence=1 - _SURE / sources
            )
    return Source(
        table.source_names[source], many, hits, hits / many, low, high, ratio,
        bool(test.pvalue < _SURE / sources), value, without,
    )  # fmt: skip


def _split(
    table: Table, own: Mask, held: Table | None, seed: int
) -> tuple[Table, NDArray[np.int64] | None]:
    """Rows that judge a source, and places of those that models are fitted on."""
    rng = np.random.default_rng(seed)
    if held is not None:
        return held, _few(len(table), _FITTED, seed)
    others = rng.permutation(np.flatnonzero(~own))
    if len(others) < 3 * LEAST_ROWS:
        return table.part(others), None
    cut = len(others) // 3
    learned = np.sort(np.concatenate([others[cut:], np.flatnonzero(own)]))
    return table.part(others[:cut]), learned[_few(len(learned), _FITTED, seed)]


def _few(count: int, most: int, seed: int) -> NDArray[np.int64]:
    if count <= most:
        return np.arange(count, dtype=np.int64)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False)).astype(np.int64)


def knn_shapley(table: Table, judges: Table, neighbours: int = _NEIGHBOURS) -> NDArray[np.float64]:
    """The Shapley value of each row for a k-nearest-neighbours model of rows that judge.

    Returns: one number a row; over all rows they sum to the model's mean score on `judges`, the
    share of right labels among the neighbours.
    """
    both = standardized(np.concatenate([table.rows, judges.rows]))
    rows, asked = both[: len(table)], both[len(table) :]
    count = len(table)
    places = np.arange(1, count)
    steps = np.minimum(neighbours, places) / places / neighbours
    values = np.zeros(count)
    squares = (rows**2).sum(axis=1)
    for row, label in zip(asked, judges.labels, strict=True):
        order = np.argsort(squares - 2 * rows @ row, kind="stable")
        right = (table.labels[order] == label).astype(np.float64)
        own = np.empty(count)
        own[-1] = right[-1] * min(neighbours, count) / (neighbours * count)
        own[:-1] = own[-1] + np.cumsum(((right[:-1] - right[1:]) * steps)[::-1])[::-1]
        values[order] += own
    return values / max(len(judges), 1)
