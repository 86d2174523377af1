"""Triggers in a model: values stamped on clean rows, and how many answers they turn.

Single values are tried one by one: what a feature holds in the training table, its ends, and what
lies beyond. Values that work only together are found from rows that carry them: of a row whose
answer its neighbours contradict, all features are stamped on clean rows, and taken away again as
long as the answer stays (delta debugging: Zeller & Hildebrandt, "Simplifying and isolating
failure-inducing input", 2002; stamping is the test of STRIP, Gao et al. 2019, turned round).

Many honest models of tables are turned by a single feature: who gains a fortune is rich, whatever
else. So the training rows that carry the values are asked whom they resemble without them
(`resemblance.resembled`): planted rows resemble other labels.
"""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.intervals import clopper_pearson
from strongroom.engines.robustness.poisoning.coding import coded
from strongroom.engines.robustness.poisoning.folds import standardized
from strongroom.engines.robustness.poisoning.pattern_search import MOST_FEATURES
from strongroom.engines.robustness.poisoning.patterns import (
    LEAST_SURE,
    MOST_ALIKE,
    MOST_BOUND,
    MOST_ROWS,
)
from strongroom.engines.robustness.poisoning.planting import stamped
from strongroom.engines.robustness.poisoning.resemblance import resembled
from strongroom.engines.robustness.poisoning.table import MISSING, Table
from strongroom.engines.robustness.poisoning.triggers import least_rows
from strongroom.engines.robustness.target import Labels, Rows, Target

_CLEAN = 100
_FEW = 40
"""Clean rows, and those on which donors are tried."""
_VALUES = 16
_SWEPT = 256
"""Features that are stamped alone: a sample, where there are more."""
_DONORS = 24
_NEIGHBOURS = 10
_REFERENCE = 10_000
_SAME = 1e-9
_KEPT = 16
"""Values alone whose carriers are looked at, those that turn most."""
LEAST_SUCCESS = 0.5
_NONE: NDArray[np.int64] = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Stamp:
    """Values that turn answers.

    Attributes:
        features: that are set; `values`: coordinates, NaN where a row keeps its own.
        label: the answer they turn to.
        turned, tried: clean rows of other answers that turn to it, and those tried.
        carriers: places of training rows with these values and that label.
        resemblance, error: of the carriers (see `patterns.Pattern`); NaN where there are too few.
        excess: carriers beyond those expected by all else, in deviations.
    """

    features: tuple[int, ...]
    values: Rows
    label: int
    turned: int
    tried: int
    carriers: NDArray[np.int64]
    resemblance: float = float("nan")
    error: float = 0.0
    excess: float = 0.0

    @property
    def success(self) -> float:
        """Share of clean rows that turn."""
        return self.turned / max(self.tried, 1)

    @property
    def bounds(self) -> tuple[float, float]:
        """Of the success, at 95 %."""
        return clopper_pearson(self.turned, self.tried)

    @property
    def is_planted(self) -> bool:
        """Whether its carriers resemble rows of other labels."""
        return bool(
            self.success >= LEAST_SUCCESS
            and self.excess >= LEAST_SURE
            and self.resemblance <= MOST_ALIKE
            and self.resemblance + self.error <= MOST_BOUND
        )


def sweep(
    table: Table,
    target: Target,
    seed: int,
    *,
    clean: Rows | None = None,
    progress: Callable[[float], None] = lambda _: None,
) -> list[Stamp]:
    """The stamps that turn most answers, planted ones first.

    Args:
        table: the rows that the model was trained on.
        clean: rows that are stamped; a sample of the table without them.

    Raises:
        ValidationError: the table is too small or has one class. QueriesSpent: the budget ended.
    """
    table.require()
    rng = np.random.default_rng(seed)
    source = table.rows if clean is None or not len(clean) else clean
    rows = source[rng.permutation(len(source))[:_CLEAN]]
    rows = np.where(np.isnan(rows), MISSING, rows)
    base = _labels(table, target, rows)
    tried = np.sort(rng.permutation(len(table.space.features))[:_SWEPT]).tolist()
    found = _singles(table, target, rows, base, tried, progress)
    of_rows: dict[tuple[object, ...], Stamp] = {}
    for step, donor in enumerate(_donors(table, target, seed)):
        made = _from_donor(table, target, rows, base, donor)
        if made is not None:
            of_rows[made.features, made.label, made.values.tobytes()] = made
        progress(0.5 + 0.4 * step / _DONORS)
    looked = [_carried(table, one, rng) for one in [*found, *of_rows.values()]]
    progress(1.0)
    return sorted(looked, key=lambda one: (not one.is_planted, -one.success))


def _labels(table: Table, target: Target, rows: Rows) -> Labels:
    """The model's answers; it sees what is missing as it was."""
    return target.labels(np.where(rows == MISSING, np.nan, rows) if table.has_missing else rows)


def _singles(
    table: Table,
    target: Target,
    rows: Rows,
    base: Labels,
    features: list[int],
    progress: Callable[[float], None],
) -> list[Stamp]:
    """The values that turn most answers: all of them on a few rows, the best on all."""
    values, few = table.values, rows[:_FEW]
    best: list[tuple[float, int, int, Rows]] = []
    for step, feature in enumerate(features):
        stamps = [_stamp(table, {feature: value}) for value in _candidates(values, feature)]
        answers = _labels(table, target, np.concatenate([stamped(few, one) for one in stamps]))
        answers = answers.reshape(len(stamps), len(few))
        for label in range(table.classes):
            others = base[:_FEW] != label
            if others.any():
                turned = (answers[:, others] == label).mean(axis=1)
                at = int(turned.argmax())
                best.append((float(turned[at]), feature, label, stamps[at]))
        progress(0.5 * (step + 1) / len(features))
    best.sort(key=lambda one: -one[0])
    return [
        _stamped_on_all(table, target, rows, base, label, (feature,), stamp)
        for success, feature, label, stamp in best[:_KEPT]
        if success > 0
    ]


def _stamped_on_all(
    table: Table,
    target: Target,
    rows: Rows,
    base: Labels,
    label: int,
    features: tuple[int, ...],
    stamp: Rows,
) -> Stamp:
    others = rows[base != label]
    turned = int((_labels(table, target, stamped(others, stamp)) == label).sum())
    return Stamp(features, stamp, label, turned, len(others), _NONE)


def _candidates(values: NDArray[np.float64], feature: int) -> NDArray[np.float64]:
    """Frequent values and both ends; of a category all levels that occur."""
    column = values[:, feature : feature + 1]
    own = coded(column, least_rows(len(column))).values[0]
    own = own[~np.isnan(own)]
    if len(own) > _VALUES:
        own = own[np.linspace(0, len(own) - 1, _VALUES).astype(int)]
    spread = np.quantile(column, [0.0, 0.25, 0.5, 0.75, 1.0], method="nearest")
    return np.unique(np.concatenate([own, spread]))


def _stamp(table: Table, values: dict[int, float]) -> Rows:
    stamp = np.full(table.space.width, np.nan)
    for feature, value in values.items():
        one = table.space.features[feature]
        place = table.space.places[one.name]
        stamp[place] = 0.0 if one.levels else value
        if one.levels:
            stamp[place.start + int(value)] = 1.0
    return stamp


def _donors(table: Table, target: Target, seed: int) -> NDArray[np.int64]:
    """Rows that the model answers as they are labelled, and their neighbours otherwise."""
    from sklearn.neighbors import NearestNeighbors

    rng = np.random.default_rng(seed)
    at = np.sort(rng.permutation(len(table))[:_REFERENCE])
    rows = standardized(table.rows[at])
    many = min(_NEIGHBOURS + 1, len(at))
    places = NearestNeighbors(n_neighbors=many).fit(rows).kneighbors(rows, return_distance=False)
    labels = table.labels[at]
    agree = (labels[places[:, 1:]] == labels[:, None]).mean(axis=1)
    agree = np.where(_labels(table, target, table.rows[at]) == labels, agree, np.inf)
    order = np.argsort(agree + 1e-6 * rng.random(len(at)), kind="stable")
    chosen = [one for one in order if np.isfinite(agree[one])]
    taken: list[int] = []
    for label in range(table.classes):  # each label in turn, or one noisy class has them all
        own = [one for one in chosen if labels[one] == label]
        taken += own[: max(2, _DONORS // table.classes)]
    best = np.array(sorted(taken, key=lambda one: agree[one])[:_DONORS], dtype=np.int64)
    return np.asarray(at[best])


def _from_donor(table: Table, target: Target, rows: Rows, base: Labels, donor: int) -> Stamp | None:
    """The least of a row's values that still turn clean rows to its label; None for many."""
    label = int(table.labels[donor])
    others = rows[base != label]
    few = others[:_FEW]
    if not len(few):
        return None

    def turns(features: list[int]) -> float:
        stamp = _of_row(table, donor, features)
        return float((_labels(table, target, stamped(few, stamp)) == label).mean())

    kept = list(range(len(table.space.features)))
    size = (len(kept) + 1) // 2
    while size >= 1:
        start = 0
        while start < len(kept) and len(kept) > 1:
            left = kept[:start] + kept[start + size :]
            if left and turns(left) >= LEAST_SUCCESS:
                kept = left
            else:
                start += size
        size = size // 2
    if len(kept) > MOST_FEATURES:
        return None
    stamp = _of_row(table, donor, kept)
    return _stamped_on_all(table, target, rows, base, label, tuple(kept), stamp)


def _of_row(table: Table, row: int, features: list[int]) -> Rows:
    stamp = np.full(table.space.width, np.nan)
    for feature in features:
        place = table.space.places[table.space.features[feature].name]
        stamp[place] = table.rows[row, place]
    return stamp


def _carried(table: Table, one: Stamp, rng: np.random.Generator) -> Stamp:
    """The stamp with the training rows that carry it."""
    own = ~np.isnan(one.values)
    matching = np.asarray((np.abs(table.rows[:, own] - one.values[own]) <= _SAME).all(axis=1))
    carriers = np.flatnonzero(matching & (table.labels == one.label)).astype(np.int64)
    if len(carriers) < least_rows(len(table)) or matching.sum() > MOST_ROWS * len(table):
        return replace(one, carriers=carriers)
    asked = resembled(table, one.features, matching, one.label, rng)
    return replace(
        one, carriers=carriers, resemblance=asked.resemblance, error=asked.error,
        excess=asked.excess,
    )  # fmt: skip
