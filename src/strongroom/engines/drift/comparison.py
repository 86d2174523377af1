"""Two states of one plan, compared: distances, tests, decisions, and words for each."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.drift import measures, unseen, wording
from strongroom.engines.drift.findings import (
    ColumnDrift,
    Distribution,
    Measure,
    QualityChange,
    Report,
    Status,
    Thresholds,
    Window,
)
from strongroom.engines.drift.hidden_rows import explained
from strongroom.engines.drift.multivariate import movers, together
from strongroom.engines.drift.plan import (
    MISSING,
    NEGATIVE_INFINITE,
    POSITIVE_INFINITE,
    REST,
    TYPE_ERROR,
    ColumnPlan,
    Counts,
    Floats,
    Kind,
)
from strongroom.engines.drift.planning import MAX_CATEGORIES
from strongroom.engines.drift.significance import (
    NOTHING,
    Test,
    benjamini_hochberg,
    categories_differ,
    detectable_shift,
    numbers_differ,
    proportions_differ,
)
from strongroom.engines.drift.state import State
from strongroom.engines.drift.threads import one_thread
from strongroom.errors import DriftStateError

_PSI_BINS = 10
_ROWS_A_BIN = 50
"""Rows of the smaller sample that a bin should have before distances over bins mean much."""
_COMPARED = frozenset({Kind.NUMBER, Kind.CATEGORY, Kind.TEXT})


@dataclass(frozen=True, slots=True)
class Roles:
    """What some columns are.

    Attributes:
        predictions: what the model said: reported first.
        left_out: columns that are not compared, e.g. ids.
        labels: what came true: compared where both samples have labels, and not with the others
            together; that labels are late breaks nothing.
    """

    predictions: frozenset[str] = frozenset()
    left_out: frozenset[str] = frozenset()
    labels: frozenset[str] = frozenset()


def compare(
    reference: State,
    current: State,
    thresholds: Thresholds | None = None,
    roles: Roles | None = None,
    windows: Mapping[str, State] | None = None,
    alike: Mapping[str, State] | None = None,
) -> Report:
    """The whole comparison.

    Args:
        windows: parts of the current sample by name, in order, for the picture over time.
        alike: for windows by name the part of the reference that they are compared with, where
            that is not all of it; a window that is not named is compared with nothing.

    Raises: DriftStateError: the states have different plans.
    """
    if reference.plan != current.plan:
        raise DriftStateError("the samples were counted by different plans")
    with one_thread():  # matrices of some fifty columns gain nothing from more
        return _compared(
            reference, current, thresholds or Thresholds(), roles or Roles(), windows or {}, alike
        )


def _compared(
    reference: State, current: State, thresholds: Thresholds, roles: Roles,
    windows: Mapping[str, State], alike: Mapping[str, State] | None,
) -> Report:  # fmt: skip
    columns = _columns(reference, current, thresholds, roles)
    before = alike if alike is not None else dict.fromkeys(windows, reference)
    parts = _windows(before, windows, thresholds, roles)
    whole = together(reference, current, thresholds.rate, roles.left_out | roles.labels)
    prediction = next((one.name for one in columns if one.is_prediction), "")
    tested = sum(1 for one in columns if _is_tested(one, thresholds))
    report = Report(
        (reference.rows, current.rows), thresholds, columns, whole,
        wording.together_says(whole, thresholds),
        detectable_shift(reference.rows, current.rows, thresholds.rate, tested)
        if tested
        else math.inf,
        movers(reference, current, prediction,
               roles.predictions | roles.left_out | roles.labels)
        if prediction
        else (),
        parts, remarks=wording.remarks(reference, current),
    )  # fmt: skip
    return replace(report, says=wording.verdict(report))


def _columns(
    reference: State, current: State, thresholds: Thresholds, roles: Roles
) -> tuple[ColumnDrift, ...]:
    """Every column, predictions first, adjusted for each other."""
    pairs = _pairs(reference, current, roles)
    found = _judged(pairs, thresholds, roles)
    return tuple(sorted(found, key=lambda one: not one.is_prediction))


def _windows(
    before: Mapping[str, State], windows: Mapping[str, State], thresholds: Thresholds, roles: Roles
) -> tuple[Window, ...]:
    """Every window, all columns of all windows adjusted for each other."""
    by_window = {
        name: _pairs(before[name], state, roles) if name in before else []
        for name, state in windows.items()
    }
    every = [pair for pairs in by_window.values() for pair in pairs]
    judged = iter(_judged(every, thresholds, roles, in_words=False))
    found = []
    for name, pairs in by_window.items():
        columns = [next(judged) for _ in pairs]
        distances = {one.name: value for one in columns if (value := one.measure(MAIN)) is not None}
        drifted = tuple(one.name for one in columns if one.status is Status.DRIFTED)
        against = before[name].rows if name in before else 0
        compared = sum(1 for one in columns if one.status is not Status.UNKNOWN)
        found.append(Window(name, windows[name].rows, distances, drifted, against, compared))
    return tuple(found)


def _pairs(reference: State, current: State, roles: Roles) -> "list[_Pair]":
    pairs = [
        _Pair(reference, current, at, is_label=column.name in roles.labels)
        for at, column in enumerate(reference.plan.columns)
        if column.name not in roles.left_out
    ]
    return [one for one in pairs if not one.is_label or min(one.values)]


def _is_tested(found: ColumnDrift, thresholds: Thresholds) -> bool:
    return found.kind in _COMPARED and min(found.values) >= thresholds.minimum_rows


def _judged(
    pairs: "Sequence[_Pair]", thresholds: Thresholds, roles: Roles, *, in_words: bool = True
) -> list[ColumnDrift]:
    """What is said of each pair, all of them adjusted for each other.

    Args:
        in_words: with pictures and sentences, which windows do without.
    """
    tests = [pair.test(thresholds) for pair in pairs]
    tested = {at: test.p_value for at, test in enumerate(tests) if test is not None}
    q_values = dict(zip(tested, benjamini_hochberg(list(tested.values())), strict=True))
    quality = _quality(pairs, thresholds)
    return [
        pair.finding(tests[at], float(q_values.get(at, 1.0)), quality[at], thresholds,
                     is_prediction=pair.plan.name in roles.predictions, in_words=in_words)
        for at, pair in enumerate(pairs)
    ]  # fmt: skip


MAIN = "jensen_shannon"
"""The distance that every compared column has."""


class _Pair:
    """One column of both samples."""

    def __init__(self, reference: State, current: State, at: int, *, is_label: bool) -> None:
        self.is_label = is_label
        self.plan: ColumnPlan = reference.plan.columns[at]
        self._a, self._b = reference.counts[at], current.counts[at]
        self._rows = (reference.rows, current.rows)
        self._is_absent = bool(current.absent[at]) and not self._b.any()
        self._sketch = current.sketches.get(at)
        self.hidden = reference.hidden, current.hidden
        self._minimum = reference.plan.minimum_count
        self._noise = reference.noise + current.noise
        bins = self.plan.bins
        if self.plan.kind is Kind.CATEGORY:
            # What the plan does not list is one more category.
            places = [*range(bins), REST]
            self.counts = self._a[places], self._b[places]
        else:
            self.counts = self._a[:bins], self._b[:bins]
        self.values = int(self.counts[0].sum()), int(self.counts[1].sum())

    def test(self, thresholds: Thresholds) -> Test | None:
        """Whether the samples differ; None where that is not asked or cannot be told."""
        if self.plan.kind not in _COMPARED or min(self.values) < thresholds.minimum_rows:
            return None
        if self.plan.kind is Kind.CATEGORY:
            counts = explained(*self._with_rare_as_rest(), self.hidden, has_rest=True)
            return categories_differ(*counts)
        counts = explained(*self._within_range(), self.hidden, has_rest=False)
        return numbers_differ(*counts, noise=self._noise)

    def _within_range(self) -> tuple[Counts, Counts]:
        """Counts of bins; where a file may lack the few beyond the range, with these at its ends.

        The range leaves out the rarest rows at both ends, so that just these have counts that are
        not written: compared with the ones of another sample they would be a change.
        """
        first, last = self.plan.inside
        if not any(self.hidden) or not first < last:
            return self.counts
        ends = np.clip(np.arange(self.plan.bins), first, last - 1) - first
        a, b = (np.bincount(ends, one, last - first).astype(np.int64) for one in self.counts)
        return a, b

    def _rare(self) -> tuple[NDArray[np.bool_], Floats]:
        """Categories whose counts are not those of all their rows, and expected reference rows.

        By a minimum count a category is listed for what the reference has of it, so that it has
        more of those that are and less of the others than was likely. What both samples have of a
        category together says how likely, and does not lean to either. A state from a file has
        rare categories put together.
        """
        first, second = self.counts
        share = first.sum() / max(first.sum() + second.sum(), 1)
        expected = (first + second) * share
        least = max(self._minimum, self._fewest())
        few = least + 4 * math.sqrt(least)
        rare = expected < few
        if self.hidden[1]:
            rare |= (first + second) * (1 - share) < few
        rare[-1] = True  # the rest itself
        return rare, expected

    def _with_rare_as_rest(self) -> tuple[Counts, Counts]:
        first, second = self.counts
        rare, _ = self._rare()
        return (
            np.append(first[~rare], first[rare].sum()), np.append(second[~rare], second[rare].sum())
        )  # fmt: skip

    def slack(self, what: str) -> tuple[int, int]:
        """Bad rows that the reference may have beside those it shows, and the current sample less.

        That is what files put elsewhere, and what chance has listed of the reference's categories.
        """
        ends = 2 if what == "outside" else 1
        more, less = self.hidden[0] * ends, self.hidden[1] * ends
        if what == "new":
            rare, expected = self._rare()
            by_chance = np.maximum(self.counts[0] - expected, 0.0)[:-1][rare[:-1]]
            more += math.ceil(float(by_chance.sum()))
        if self._minimum <= 1:
            # An exact plan was made to fit the reference. Without one row of it the range would
            # leave out the ends, and the list its last categories (Good 1953).
            listed = self.counts[0][:-1]
            more += 2 if what == "outside" else 0
            more += int(listed[listed == self._fewest()].sum()) if what == "new" else 0
        return more, less

    def _fewest(self) -> int:
        """Rows of the rarest category of a full list, or 1 where there was room for more."""
        listed = self.counts[0][:-1]
        listed = listed[listed > 0]
        is_full = self.plan.rest_is_known and self.plan.bins == MAX_CATEGORIES
        return int(listed.min()) if is_full and len(listed) else 1

    def quality(self) -> list[tuple[str, tuple[int, int], tuple[int, int]]]:
        """What may be bad: its name, rows that are so, and rows that could be, in both samples."""
        if self.is_label:
            return []
        present = tuple(int(side.sum()) for side in (self._a, self._b))
        both = (present[0], present[1])
        found = [
            ("missing", self._special(MISSING), both),
            ("type", self._special(TYPE_ERROR), both),
        ]
        if self.plan.grid is not None and self.plan.kind is not Kind.TIME:
            first, last = self.plan.inside
            outside = [int(counts[:first].sum() + counts[last:].sum()) for counts in self.counts]
            found.append(("outside", (outside[0], outside[1]), self.values))
            low, high = self._special(NEGATIVE_INFINITE), self._special(POSITIVE_INFINITE)
            found.append(("infinite", (low[0] + high[0], low[1] + high[1]), both))
        if self.plan.kind is Kind.CATEGORY:
            found.append(("new", self._special(REST), self.values))
        return found

    def _special(self, code: int) -> tuple[int, int]:
        return int(self._a[code]), int(self._b[code])

    def finding(
        self, test: Test | None, q_value: float, quality: tuple[QualityChange, ...],
        thresholds: Thresholds, *, is_prediction: bool, in_words: bool,
    ) -> ColumnDrift:  # fmt: skip
        """What is said of the column."""
        found = self._measures(thresholds) if min(self.values) else ()
        if test is None:
            status = Status.UNKNOWN
        elif q_value > thresholds.rate:
            status = Status.STABLE
        else:
            far = any(one.exceeds for one in found)
            status = Status.DRIFTED if far else Status.MOVED
        # What broke a column counts as drift too, also where its values cannot be compared.
        if self._is_absent or any(one.exceeds for one in quality):
            status = Status.DRIFTED
        judged = ColumnDrift(
            self.plan.name, self.plan.kind, status, self.values, found,
            1.0 if test is None else test.p_value, q_value,
            "" if test is None or test is NOTHING else f"{test.name}, {test.method}",
            quality, is_prediction=is_prediction, is_label=self.is_label,
        )  # fmt: skip
        if not in_words:
            return judged
        shown = replace(judged, distribution=self._distribution() if max(self.values) else None,
                        frequent_new=self._frequent())  # fmt: skip
        return replace(shown, says=wording.column_says(
            shown, self.plan, thresholds, is_absent=self._is_absent))  # fmt: skip

    def _measures(self, thresholds: Thresholds) -> tuple[Measure, ...]:
        """All distances; in small samples over fewer bins, for chance alone parts many."""
        most = int(min(self.values)) // _ROWS_A_BIN
        a, b = measures.joined(*self.counts, max(most, 2))
        ten = measures.joined(*self.counts, min(max(most, 2), _PSI_BINS))
        found = [
            Measure(MAIN, measures.jensen_shannon(a, b), thresholds.jensen_shannon),
            Measure("psi", measures.population_stability(*ten), thresholds.psi),
            Measure("hellinger", measures.hellinger(a, b), thresholds.hellinger),
        ]
        if self.plan.grid is not None:
            distance = measures.wasserstein(*self.counts, self.plan.grid.edges())
            scaled = distance / self.plan.spread if self.plan.spread > 0 else 0.0
            found.insert(1, Measure("wasserstein", scaled, thresholds.wasserstein))
            apart = measures.kolmogorov_smirnov(*self.counts)
            found.append(Measure("kolmogorov_smirnov", apart, thresholds.kolmogorov_smirnov))
        return tuple(found)

    def _distribution(self) -> Distribution:
        a, b = (tuple(measures.shares(one).tolist()) for one in self.counts)
        if self.plan.grid is None:
            return Distribution((*self.plan.categories, wording.REST_LABEL), a, b)
        edges = self.plan.grid.edges()
        quartiles = [
            tuple(measures.quantile(one, edges, share, whole=self.plan.is_whole)
                  for share in (0.25, 0.5, 0.75))
            for one in self.counts
        ]  # fmt: skip
        labels = wording.bin_labels(edges, self.plan.kind, whole=self.plan.is_whole)
        return Distribution(labels, a, b, tuple(edges.tolist()), (quartiles[0], quartiles[1]))

    def _frequent(self) -> tuple[tuple[str, int], ...]:
        if self._sketch is None or self.plan.kind is not Kind.CATEGORY:
            return ()
        return tuple(unseen.frequent(self._sketch))


def _quality(pairs: Sequence[_Pair], thresholds: Thresholds) -> list[tuple[QualityChange, ...]]:
    """What grew worse in each column, adjusted for all columns together."""
    least = {
        "missing": thresholds.missing, "type": thresholds.type_errors,
        "outside": thresholds.outside, "new": thresholds.new, "infinite": 0.0,
    }  # fmt: skip
    met = [
        (at, what, bad, rows)
        for at, pair in enumerate(pairs)
        for what, bad, rows in pair.quality()
        if max(bad) and min(rows) >= thresholds.minimum_rows
    ]
    # A reference read from a file may have had a few more: what those explain has not grown.
    slack = [pairs[at].slack(what) for at, what, _, _ in met]
    most = [
        min(bad[0] + more, rows[0]) for (_, _, bad, rows), (more, _) in zip(met, slack, strict=True)
    ]
    least_now = [
        max(bad[1] - less, 0) for (_, _, bad, _), (_, less) in zip(met, slack, strict=True)
    ]
    q_values = benjamini_hochberg([
        proportions_differ(had, rows[0], has, rows[1])
        for had, has, (_, _, _, rows) in zip(most, least_now, met, strict=True)
    ])  # fmt: skip
    found: list[tuple[QualityChange, ...]] = [() for _ in pairs]
    for had, has, (at, what, bad, rows), q in zip(most, least_now, met, q_values, strict=True):
        before, now = bad[0] / rows[0], bad[1] / rows[1]
        growth = has / rows[1] - had / rows[0]
        grew = q <= thresholds.rate and growth >= max(least[what], 1e-12)
        found[at] = (*found[at], QualityChange(what, before, now, float(q), bool(grew)))
    return found
