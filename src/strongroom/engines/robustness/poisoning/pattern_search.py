"""The search for patterns: single codes, pairs, and what grows from the best of them."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.poisoning.coding import Additive, Coded
from strongroom.engines.robustness.poisoning.patterns import (
    LEAST_PURE,
    LEAST_SURE,
    MOST_BOUND,
    MOST_ROWS,
    Pattern,
)
from strongroom.engines.robustness.poisoning.resemblance import deviations, log_odds, mean
from strongroom.engines.robustness.poisoning.table import Mask, Table

MOST_FEATURES = 4
_PAIRED = 96
"""Features of which all pairs are searched: those with the largest excess alone."""
_BEAM = 40
_GROWN = 24
"""Patterns that grow, and below those that the forest is asked about."""
_ASKED = 8
_KEPT = 0.9
"""Of the excess, when a pattern gives up a feature to hold more rows."""
_TOGETHER = 8
"""Of values that always come together: so many grow, and all that do are asked about."""
_SHARED = 256
"""Values that are looked at with all that their rows share: those that go with a label most."""
_LIFTED = 1.2
_MORE = 1.5
_NEARLY = 0.75
"""A part of the stamped rows may look more like others than all of them do."""
_SAME = 0.98
_LIFT = 5.0
"""What rows of a pattern share: a value that so many of them have, so many times as often."""
_NO_ROWS: NDArray[np.int64] = np.empty(0, dtype=np.int64)


class PatternSearch:
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
        together = [self._grown(one) for one in _distinct(list(self._shared()))[:_TOGETHER]]
        starts = _distinct(self._placed(_top(singles) + _top(pairs)))
        grown = [self._grown(one) for one in starts[:_GROWN]]
        progress(0.9)
        found = together + grown
        return [_widest(one, found) for one in _distinct(together + _distinct(grown)[:_ASKED])]

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
        good = (counts >= self.least) & self._is_lifted(counts, rows)
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
            others, theirs = mean(evidence[~has]), mean(evidence[has])
            for one in standing.tolist():
                count = counts[one, label]
                alike = (ours[one] / count - others) / max(theirs - others, 0.1)
                codes = tuple(int(code) for code in np.unravel_index(one, sizes))
                yield Pattern(
                    features, codes, label, float(excess[one]), float(alike),
                    float(count / rows[one]), float(expected[one] / rows[one]), _NO_ROWS,
                )  # fmt: skip

    def _is_lifted(self, counts: NDArray[np.int64], rows: NDArray[np.int64]) -> Mask:
        """Of (cells, labels): the label is more frequent there, or all others are rarer.

        Nothing can be 1.2 times as frequent as what nearly all rows have.
        """
        whole = rows[:, None]
        is_rarer = (whole - counts) * _LIFTED < whole * (1 - self.base)
        return np.asarray((counts > _LIFTED * whole * self.base) | is_rarer)

    def _shared(self) -> Iterator[Pattern]:
        """Single values with a label, and what else their rows share and few others have.

        Of four values that always come together each one says all: what is told without one or
        two of them still knows the label by the others, and nothing seems odd.
        """
        found: list[tuple[float, int, int, int]] = []
        for feature, size in enumerate(self.made.sizes):
            cells = self.made.codes[:, feature] * self.classes + self.labels
            counts = np.bincount(cells, minlength=size * self.classes).reshape(size, -1)
            rows = counts.sum(axis=1)
            good = (counts >= self.least) & self._is_lifted(counts, rows)
            good &= ((rows <= MOST_ROWS * len(self.labels)) & self._is_single((feature,)))[:, None]
            far = deviations(counts, rows[:, None], rows[:, None] * self.base)
            found += [
                (float(far[code, label]), feature, int(code), int(label))
                for code, label in np.argwhere(good)
            ]
        shares = [np.bincount(column) / len(column) for column in self.made.codes.T]
        for _, feature, code, label in sorted(found, reverse=True)[:_SHARED]:
            at = np.flatnonzero((self.made.codes[:, feature] == code) & (self.labels == label))
            own = self.made.codes[at]
            # Of three rows one at least has what nearly all have.
            seen = own[[0, len(own) // 2, -1]]
            same = (own[None] == seen[:, None]).mean(axis=1)
            best = same.argmax(axis=0)
            more = []
            for other in np.flatnonzero(same.max(axis=0) >= _SAME).tolist():
                value = int(seen[best[other], other])
                lift = float(same[best[other], other] / shares[other][value])
                if other != feature and lift >= _LIFT and self._is_single((other,))[value]:
                    more.append((lift, other, value))
            if more:
                chosen = sorted(more, reverse=True)[: MOST_FEATURES - 1]
                yield from self._of(
                    (feature, *(other for _, other, _ in chosen)),
                    (code, *(value for _, _, value in chosen)), label,
                )  # fmt: skip

    def _of(
        self, features: tuple[int, ...], codes: tuple[int, ...], label: int
    ) -> Iterator[Pattern]:
        """The pattern of these values, where enough rows have them and the label."""
        start = Pattern(features[:-1], codes[:-1], label, 0.0, 0.0, 0.0, 0.0, _NO_ROWS)
        at = np.flatnonzero(matches(self.made, start))
        ends = self._ends(replace(start, features=features))
        found = self._extended(start, features[-1], at, ends, share=0.0)
        yield from (one for one in found if one.codes == codes)

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
                rows=np.flatnonzero(matches(self.made, one) & (self.labels == one.label)),
            )
            for one in patterns
        ]

    def _grown(self, one: Pattern) -> Pattern:
        """With further features while that makes it more suspicious."""
        while len(one.features) < MOST_FEATURES:
            at = np.flatnonzero(matches(self.made, one))
            ends = self._ends(one)
            best = one
            for feature in range(self.made.codes.shape[1]):
                if feature not in one.features:
                    for other in self._extended(one, feature, at, ends):
                        if _score(other) > 1.02 * _score(best) and self._is_own(one, other):
                            best = other
            if best is one:
                break
            one = best
        return self._completed(self._widened(one))

    def _is_own(self, one: Pattern, other: Pattern) -> bool:
        """Whether the value that `other` adds is more frequent than among rows of other labels.

        Stamped rows come from there: what they share with them picks those that look most like
        others out of all that were stamped.
        """
        own = len(other.rows) / max(len(one.rows), 1)
        feature, code = other.features[-1], other.codes[-1]
        column = self.made.codes[self.labels != one.label, feature]
        usual = mean(column == code)
        return own >= _MORE * usual or 1 - own <= (1 - usual) / 2

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
            at = np.flatnonzero(matches(self.made, one))
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
                for other in self._of(features, codes, one.label):
                    is_wider = len(other.rows) > len(best.rows)
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
            evidence = mean(log_odds(chances[own]))
            yield Pattern(
                features, (*one.codes, code), one.label,
                float(deviations(own.sum(), len(own), chances.sum())),
                (evidence - ends[0]) / max(ends[1] - ends[0], 0.1),
                mean(own), mean(chances), at[inside][own],
            )  # fmt: skip

    def _ends(self, one: Pattern) -> tuple[float, float]:
        """Mean evidence of rows of other labels and of this one, by a sample."""
        at = np.arange(0, len(self.labels), max(1, len(self.labels) // 2_000))
        evidence = log_odds(self.model.without(one.features, at)[:, one.label])
        has = self.labels[at] == one.label
        return mean(evidence[~has]), mean(evidence[has])


def matches(made: Coded, one: Pattern) -> Mask:
    """The rows that hold the values."""
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


def _widest(one: Pattern, found: list[Pattern]) -> Pattern:
    """One that holds all its rows and more, and is nearly as suspicious."""
    own = set(one.rows.tolist())
    wider = [
        other
        for other in found
        if other.label == one.label
        and _score(other) >= _NEARLY * _score(one)
        and own <= set(other.rows.tolist())
    ]
    return max(wider, key=lambda other: len(other.rows), default=one)


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
