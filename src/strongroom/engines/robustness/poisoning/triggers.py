"""Triggers in a training table: values that go with a label against all else the rows say.

Who plants a backdoor takes rows, sets one to four features to values of their choice, and sets the
label (Gu et al., "BadNets", 2017). Such rows share the values and the label, and their other
features look as those of other labels do. Values that honestly foretell a label differ in this one
point: there the other features agree. So of every value, and every pair of values, that goes with a
label more often than the rest of the row explains, we ask whom its rows resemble.

1. Codes for values and bins; an additive model says, out of fold, what each row's label would be.
2. For all single codes and all pairs: rows with the label minus those expected without these
   features (`excess`), in deviations, and the resemblance. The best grow to four features.
3. A forest that saw neither these rows nor these features is asked the same; its word counts.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from itertools import combinations
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.special import xlogy

from strongroom.engines.robustness.poisoning.coding import Additive, Coded, additive, coded
from strongroom.engines.robustness.poisoning.table import Mask, Table

MOST_FEATURES = 4
_SHARE = 0.004
_LEAST = 4
"""Rows of a trigger: at least this share of all, and this many."""
_SEARCHED = 30_000
"""Rows that are searched: a sample, where there are more."""
_WIDEST = 1_000
"""Features that are searched: a sample, where there are more."""
_PAIRED = 96
"""Features of which all pairs are searched: those with the largest excess alone."""
_NUMBERS = 60_000_000
_BEAM = 40
_GROWN = 24
"""Patterns that grow, and below those that the forest is asked about."""
_ASKED = 8
_KEPT = 0.9
"""Of the excess, when a pattern gives up a feature to hold more rows."""
_SAME = 0.98
_LIFT = 5.0
"""What rows of a pattern share: a value that so many of them have, so many times as often."""
MOST_ROWS = 0.2
"""Share of the rows that a pattern may hold."""
_REFERENCE = 4_000
_CLIP = 4.0
"""Evidence of a single row, in log odds: one row must not outweigh many."""
LEAST_SURE = 3.7
"""Excess in deviations: a normal tail of 1 in 10,000, on top of the resemblance."""
LEAST_PURE = 0.85
LEAST_GAIN = 0.5
"""Share of the rows with the values that the label has beyond what all else explains; a frequent
label leaves less to gain, so it may be less where rows are clearly not its own."""
CLEARLY_OTHER = 0.25
MOST_ALIKE = 0.3
"""Resemblance up to which rows belong to other labels rather than to theirs: stamped rows were at
0.28 at most in the tables that this was chosen on, honest groups above 0.4."""
MOST_BOUND = 0.5
"""The same with its standard error: few rows must be the clearer."""

Floats = NDArray[np.float64]
_NO_ROWS: NDArray[np.int64] = np.empty(0, dtype=np.int64)


@dataclass(frozen=True, slots=True)
class Pattern:
    """Values that go with a label.

    Attributes:
        features, codes: what is set; `label`: what it goes with.
        excess: rows with the label beyond those expected, in standard deviations.
        resemblance: of its rows by all other features: 1 as rows of the label elsewhere, 0 as rows
            of other labels.
        error: of the resemblance: the standard error of as many rows of other labels.
        purity: share of the rows with these values that have the label.
        expected: share that would have it by all else.
        rows: places of those with values and label.
    """

    features: tuple[int, ...]
    codes: tuple[int, ...]
    label: int
    excess: float
    resemblance: float
    purity: float
    expected: float
    rows: NDArray[np.int64]
    error: float = 0.0

    @property
    def is_trigger(self) -> bool:
        """Whether the rows look as if the values had been set and the label with them."""
        return (
            self.excess >= LEAST_SURE
            and self.purity >= LEAST_PURE
            and (
                self.purity - self.expected >= LEAST_GAIN
                or self.resemblance + self.error <= CLEARLY_OTHER
            )
            and self.resemblance <= MOST_ALIKE
            and self.resemblance + self.error <= MOST_BOUND
        )


@dataclass(frozen=True, slots=True)
class Triggers:
    """What a search found.

    Attributes:
        patterns: asked about, the most suspicious first; triggers and honest ones.
        searched: rows and features that were searched; the patterns' rows are of the whole table.
    """

    patterns: tuple[Pattern, ...]
    searched: tuple[int, int]

    @property
    def triggers(self) -> tuple[Pattern, ...]:
        """Those that look planted."""
        return tuple(one for one in self.patterns if one.is_trigger)


def find_triggers(
    table: Table, seed: int, progress: Callable[[float], None] = lambda _: None
) -> Triggers:
    """Search a table for triggers of one to four features.

    Raises:
        ValidationError: the table is too small or has one class (`Table.lacks`).
    """
    table.require()
    rng = np.random.default_rng(seed)
    features = np.sort(rng.permutation(len(table.space.features))[:_WIDEST])
    most = min(_SEARCHED, max(1_000, _NUMBERS // (len(features) * table.classes)))
    part, values = table, table.values[:, features]
    if len(table) > most:
        chosen = np.sort(rng.choice(len(table), most, replace=False))
        part, values = table.part(chosen), values[chosen]
    least = least_rows(len(part))
    made = coded(values, least)
    search = _Search(part, made, additive(part, made, seed), least)
    whole = table.values
    patterns = []
    for one in search.best(progress):
        named = replace(one, features=tuple(features[list(one.features)].tolist()))
        asked = _asked(part, _matches(made, one), named, rng)
        read = [made.values[at][code] for at, code in zip(one.features, one.codes, strict=True)]
        carries = (whole[:, list(named.features)] == np.array(read)).all(axis=1)
        rows = np.flatnonzero(carries & (table.labels == one.label)).astype(np.int64)
        patterns.append(replace(asked, rows=rows))
    return Triggers(tuple(sorted(patterns, key=_rank)), (len(part), len(features)))


def least_rows(count: int) -> int:
    """Rows that a trigger must have in a table of so many."""
    return max(_LEAST, round(_SHARE * count))


def _rank(one: Pattern) -> tuple[bool, float]:
    return not one.is_trigger, -one.excess * (1 - one.resemblance)


class _Search:
    """Patterns of one table."""

    def __init__(self, table: Table, made: Coded, model: Additive, least: int) -> None:
        self.table, self.made, self.model, self.least = table, made, model, least
        self.labels = table.labels
        self.classes = table.classes
        self.base = np.bincount(self.labels, minlength=self.classes) / len(table)

    def best(self, progress: Callable[[float], None]) -> list[Pattern]:
        """The most suspicious patterns, each of other rows than those before it."""
        width = self.made.codes.shape[1]
        singles: list[Pattern] = []
        alone = np.zeros(width)
        for feature in range(width):
            found = list(self._cells((feature,)))
            alone[feature] = max((_score(one) for one in found), default=0.0)
            singles += found
        paired = np.sort(np.argsort(-alone, kind="stable")[:_PAIRED])
        pairs: list[Pattern] = []
        steps = list(combinations(paired.tolist(), 2))
        for step, (first, second) in enumerate(steps):
            pairs += self._cells((first, second))
            if step % 64 == 0:
                pairs = _top(pairs)
                progress(0.7 * step / len(steps))
        starts = _distinct(self._placed(_top(singles) + _top(pairs)))
        grown = [self._grown(one) for one in starts[:_GROWN]]
        progress(0.9)
        return _distinct(grown)[:_ASKED]

    def _cells(self, features: tuple[int, ...]) -> Iterator[Pattern]:
        """Combinations of codes of these features and labels that go with them; without rows."""
        sizes = tuple(self.made.sizes[feature] for feature in features)
        cell = np.ravel_multi_index(
            tuple(self.made.codes[:, feature] for feature in features), sizes
        )
        cells = int(np.prod(sizes))
        counts = np.bincount(
            cell * self.classes + self.labels, minlength=cells * self.classes
        ).reshape(cells, self.classes)
        rows = counts.sum(axis=1)
        # Where a pattern is much of what there is, it is the rest that stands out.
        good = (counts >= self.least) & (counts > 1.2 * rows[:, None] * self.base)
        good &= (rows <= MOST_ROWS * len(self.labels))[:, None]
        good &= self._is_single(features)[:, None]
        if not good.any():
            return
        chances = self.model.without(features)
        for label in np.flatnonzero(good.any(axis=0)).tolist():
            chance = chances[:, label]
            expected = np.bincount(cell, weights=chance, minlength=cells)
            excess = deviations(counts[:, label], rows, expected)
            standing = np.flatnonzero(good[:, label] & (excess >= LEAST_SURE / 2))
            if not len(standing):
                continue
            evidence, has = log_odds(chance), self.labels == label
            ours = np.bincount(cell[has], weights=evidence[has], minlength=cells)
            others, theirs = _mean(evidence[~has]), _mean(evidence[has])
            for one in standing.tolist():
                count = counts[one, label]
                alike = (ours[one] / count - others) / max(theirs - others, 0.1)
                codes = tuple(int(code) for code in np.unravel_index(one, sizes))
                yield Pattern(
                    features, codes, label, float(excess[one]), float(alike),
                    float(count / rows[one]), float(expected[one] / rows[one]), _NO_ROWS,
                )  # fmt: skip

    def _is_single(self, features: tuple[int, ...]) -> Mask:
        """Of every combination of codes, whether all are values: a bin holds what nobody set."""
        single = np.ones(1, dtype=bool)
        for feature in features:
            own = ~np.isnan(self.made.values[feature])
            single = (single[:, None] & own[None, :]).ravel()
        return single

    def _placed(self, patterns: list[Pattern]) -> list[Pattern]:
        return [
            replace(
                one,
                rows=np.flatnonzero(_matches(self.made, one) & (self.labels == one.label)),
            )
            for one in patterns
        ]

    def _grown(self, one: Pattern) -> Pattern:
        """With further features while that makes it more suspicious."""
        while len(one.features) < MOST_FEATURES:
            at = np.flatnonzero(_matches(self.made, one))
            ends = self._ends(one)
            best = one
            for feature in range(self.made.codes.shape[1]):
                if feature not in one.features:
                    for other in self._extended(one, feature, at, ends):
                        if _score(other) > 1.02 * _score(best):
                            best = other
            if best is one:
                break
            one = best
        return self._completed(self._widened(one))

    def _completed(self, one: Pattern) -> Pattern:
        """With features that its rows share and few others have: what is left must be their own."""
        shared = []
        for feature in range(self.made.codes.shape[1]):
            counts = np.bincount(self.made.codes[one.rows, feature])
            code = int(counts.argmax())
            lift = counts[code] / len(one.rows) / (self.made.codes[:, feature] == code).mean()
            is_same = counts[code] >= _SAME * len(one.rows) and lift >= _LIFT
            if feature not in one.features and is_same and self._is_single((feature,))[code]:
                shared.append((float(lift), feature))
        chosen = sorted(shared, reverse=True)[: MOST_FEATURES - len(one.features)]
        for _, feature in chosen:
            at = np.flatnonzero(_matches(self.made, one))
            ends = self._ends(replace(one, features=(*one.features, feature)))
            extended = list(self._extended(one, feature, at, ends))
            one = max(extended, key=lambda other: len(other.rows), default=one)
        return one

    def _widened(self, one: Pattern) -> Pattern:
        """With features taken away again as long as that brings more rows of the same kind."""
        while len(one.features) > 1:
            best = one
            for left_out in range(len(one.features)):
                features = one.features[:left_out] + one.features[left_out + 1 :]
                codes = one.codes[:left_out] + one.codes[left_out + 1 :]
                start = replace(one, features=features[:-1], codes=codes[:-1])
                at = np.flatnonzero(_matches(self.made, start))
                ends = self._ends(replace(one, features=features))
                for other in self._extended(start, features[-1], at, ends, share=0.0):
                    is_wider = other.codes == codes and len(other.rows) > len(best.rows)
                    is_alike = other.purity >= LEAST_PURE and other.resemblance <= MOST_BOUND
                    if is_wider and is_alike and other.excess >= _KEPT * one.excess:
                        best = other
            if best is one:
                break
            one = best
        return one

    def _extended(
        self,
        one: Pattern,
        feature: int,
        at: NDArray[np.int64],
        ends: tuple[float, float],
        share: float = 0.2,
    ) -> Iterator[Pattern]:
        codes, has = self.made.codes[at, feature], self.labels[at] == one.label
        counts = np.bincount(codes[has], minlength=self.made.sizes[feature])
        enough = counts >= max(self.least, share * has.sum())
        good = np.flatnonzero(enough & self._is_single((feature,)))
        if not len(good):
            return
        features = (*one.features, feature)
        chance = self.model.without(features, at)[:, one.label]
        for code in good.tolist():
            inside = codes == code
            chances, own = chance[inside], has[inside]
            evidence = _mean(log_odds(chances[own]))
            yield Pattern(
                features, (*one.codes, code), one.label,
                float(deviations(own.sum(), len(own), chances.sum())),
                (evidence - ends[0]) / max(ends[1] - ends[0], 0.1),
                _mean(own), _mean(chances), at[inside][own],
            )  # fmt: skip

    def _ends(self, one: Pattern) -> tuple[float, float]:
        """Mean evidence of rows of other labels and of this one, by a sample."""
        at = np.arange(0, len(self.labels), max(1, len(self.labels) // 2_000))
        evidence = log_odds(self.model.without(one.features, at)[:, one.label])
        has = self.labels[at] == one.label
        return _mean(evidence[~has]), _mean(evidence[has])


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
    others, theirs = _mean(log_odds(known[~has])), _mean(log_odds(known[has]))
    scale = max(theirs - others, 0.1)
    return Resemblance(
        (_mean(log_odds(chance[own])) - others) / scale,
        float(log_odds(known[~has]).std() / np.sqrt(max(own.sum(), 1)) / scale),
        float(deviations(own.sum(), len(own), chance.sum())),
        float(chance.mean()),
    )


def _asked(table: Table, matching: Mask, one: Pattern, rng: np.random.Generator) -> Pattern:
    asked = resembled(table, one.features, matching, one.label, rng)
    return replace(
        one, excess=min(asked.excess, one.excess), expected=asked.expected,
        resemblance=asked.resemblance, error=asked.error,
    )  # fmt: skip


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


def _matches(made: Coded, one: Pattern) -> Mask:
    own = made.codes[:, list(one.features)] == np.array(one.codes, dtype=np.int32)
    return np.asarray(own.all(axis=1))


def _score(one: Pattern) -> float:
    """How suspicious: sure, unlike its label, and pure."""
    return one.excess * float(np.clip(1.2 - one.resemblance, 0.1, 1.2)) * one.purity


def _top(patterns: list[Pattern]) -> list[Pattern]:
    """The best by suspicion, and the best by excess alone: triggers of common values begin so."""
    by_score = sorted(patterns, key=lambda one: -_score(one))[:_BEAM]
    kept = {id(one) for one in by_score}
    by_excess = sorted(patterns, key=lambda one: -one.excess)[: _BEAM // 2]
    return by_score + [one for one in by_excess if id(one) not in kept]


def _distinct(patterns: list[Pattern]) -> list[Pattern]:
    """The most suspicious first, each of other rows than those before it."""
    kept: list[Pattern] = []
    for one in sorted(patterns, key=lambda one: -_score(one)):
        own = set(one.rows.tolist())
        if all(
            other.label != one.label or len(own & set(other.rows.tolist())) < 0.5 * len(own)
            for other in kept
        ):
            kept.append(one)
    return kept


def _mean(numbers: NDArray[Any]) -> float:
    return float(numbers.mean()) if len(numbers) else 0.0
