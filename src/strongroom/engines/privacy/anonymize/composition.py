"""What somebody learns who holds several releases of the same people.

Each release puts people into groups of its own. Who knows a person's values knows their group in
every release, and so that they are among those who share all of these groups: a *cell*. Who is not
in a release, because they were suppressed or came later, is told apart by that too. So the promises
of all releases must hold in the cells, not in the groups alone:

- releases of one table whose groups cross each other (Ganta, Kasiviswanathan & Smith 2008);
- releases of two versions of a table between which people came and went (Xiao & Tao 2007): those
  who came are a cell, and their values are what the second release has more than the first.

A cell is counted as if rows of different releases could be matched to each other, by a value that
both show. Where they cannot, an intruder knows less: the check refuses too much rather than too
little. Who collected the data can compute the cells, for they know which row is whose.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from strongroom.engines.privacy.anonymize.criteria import (
    Distance,
    DistinctDiversity,
    EntropyDiversity,
    TCloseness,
    ValueCriterion,
)
from strongroom.engines.privacy.anonymize.demands import value_criteria
from strongroom.engines.privacy.anonymize.groups import (
    Cells,
    close_numbers,
    histograms,
    numbered,
)
from strongroom.engines.privacy.anonymize.hierarchy import Codes, Shares
from strongroom.engines.privacy.anonymize.recipe import DemandsRecipe
from strongroom.errors import ValidationError

_ABSENT = -1
SUPPRESSED = -1
"""The group of a row that a release leaves out."""


@dataclass(frozen=True)
class Trace:
    """What one release shows of each row that it was made from. Never given out.

    Attributes:
        rows: a number for each row, the same for the same row in every release; all different.
        people: whom the row is about, the same for the same person in every release.
        group: in which group the release shows it; `SUPPRESSED` where it does not.
        values: by sensitive column a number for the value of each row; equal for equal values.
        demands: what the release promises.
    """

    rows: Codes
    people: Codes
    group: Codes
    values: Mapping[str, Codes]
    demands: DemandsRecipe


@dataclass(frozen=True, slots=True)
class Breach:
    """A promise of one release that does not hold in the cells of all.

    Attributes:
        release: its place among those that were checked.
        demand: which, as `k` or `occupation: distinct values`.
        asked: what was promised.
        worst: what the worst cell has.
        people: how many people are in cells where it fails.
    """

    release: int
    demand: str
    asked: float
    worst: float
    people: int


@dataclass(frozen=True, slots=True)
class Composition:
    """What several releases tell together.

    Attributes:
        people: whom at least one of them shows.
        cells: in how many parts the releases put them.
        smallest: people of the smallest part.
        breaches: promises that do not hold; none where the releases compose.
    """

    people: int
    cells: int
    smallest: int
    breaches: tuple[Breach, ...]


def composed(traces: Sequence[Trace]) -> Composition:
    """What is known to who has all of some releases; of one release: its groups, counted by people.

    Raises: ValidationError: no release, or a trace whose parts do not fit together.
    """
    if not traces:
        raise ValidationError("there is no release to check")
    for trace in traces:
        _require_whole(trace)
    every = np.unique(np.concatenate([trace.rows for trace in traces]))
    places = [np.searchsorted(every, trace.rows) for trace in traces]
    shown = [np.full(len(every), _ABSENT, dtype=np.int64) for _ in traces]
    people = np.zeros(len(every), dtype=np.int64)
    for trace, place, groups in zip(traces, places, shown, strict=True):
        groups[place] = trace.group + 1  # 0 is suppressed
        people[place] = trace.people
    is_shown = np.any([groups > 0 for groups in shown], axis=0)
    if not is_shown.any():
        return Composition(0, 0, 0, ())
    sizes = [int(groups.max()) + 2 for groups in shown]
    cell = np.full(len(every), -1, dtype=np.int64)
    ids, count = close_numbers(*numbered([groups[is_shown] + 1 for groups in shown], sizes))
    cell[is_shown] = ids
    persons = _persons(cell[is_shown], people[is_shown], count)
    breaches: list[Breach] = []
    for at, (trace, place, groups) in enumerate(zip(traces, places, shown, strict=True)):
        mine = np.zeros(count, dtype=np.bool_)
        mine[cell[groups > 0]] = True
        breaches += _sizes(at, trace, mine, persons)
        breaches += _values(at, trace, cell[place], persons)
    return Composition(len(np.unique(people[is_shown])), count, int(persons.min()), tuple(breaches))


def _require_whole(trace: Trace) -> None:
    count = len(trace.rows)
    parts = (trace.people, trace.group, *trace.values.values())
    if any(len(part) != count for part in parts) or len(np.unique(trace.rows)) != count:
        raise ValidationError("the trace of a release does not fit together")


def _persons(cell: Codes, people: Codes, count: int) -> Codes:
    """Different people in each cell."""
    whom, number = np.unique(people, return_inverse=True)
    pairs = np.unique(cell * len(whom) + number)
    return np.bincount(pairs // len(whom), minlength=count)


def _sizes(at: int, trace: Trace, mine: "np.ndarray[tuple[int], np.dtype[np.bool_]]",
           persons: Codes) -> list[Breach]:  # fmt: skip
    """Whether each cell that the release shows has k people."""
    small = mine & (persons < trace.demands.k)
    if not small.any():
        return []
    worst = float(persons[small].min())
    return [Breach(at, "k", float(trace.demands.k), worst, int(persons[small].sum()))]


def _values(at: int, trace: Trace, cell: Codes, persons: Codes) -> list[Breach]:
    """Whether the values that the release shows are as it promises, in each cell.

    The distance of t-closeness is the equal one, which is never below the others.
    """
    found = []
    asked = replace(trace.demands, distance=Distance.EQUAL)
    inside = trace.group >= 0
    for name, values in trace.values.items():
        whole, codes = np.unique(values, return_inverse=True)
        shares = np.bincount(codes, minlength=len(whole)) / max(len(codes), 1)
        cells = _cells(cell[inside], codes[inside], len(whole))
        for criterion in value_criteria(name, asked, shares):
            worst, failing = _worst(criterion, cells, len(persons))
            if len(failing):
                words, limit = _told(name, asked, criterion)
                found.append(Breach(at, words, limit, worst, int(persons[failing].sum())))
    return found


def _cells(cell: Codes, codes: Codes, values: int) -> Cells:
    pairs, counts = np.unique(cell * values + codes, return_counts=True)
    return Cells(pairs // values, pairs % values, counts.astype(np.int64), values)


def _worst(criterion: ValueCriterion, cells: Cells, count: int) -> tuple[float, Codes]:
    """The measure of the worst cell, and the cells in which the criterion fails."""
    wanted = np.unique(cells.group)
    worst: list[float] = []
    failing: list[Codes] = []
    for which, counts in histograms(cells, np.arange(count), count, wanted):
        rows = counts.sum(axis=1).astype(np.int64)
        failed = criterion.excess(counts, rows) > 0
        if failed.any():
            failing.append(which[failed])
            worst.append(_measure(criterion, counts[failed], rows[failed]))
    if not failing:
        return 0.0, np.zeros(0, dtype=np.int64)
    is_least = isinstance(criterion, DistinctDiversity | EntropyDiversity)
    return (min(worst) if is_least else max(worst)), np.concatenate(failing)


def _measure(criterion: ValueCriterion, counts: Shares, rows: Codes) -> float:
    """What the worst of some cells has."""
    if isinstance(criterion, DistinctDiversity):
        return float(np.count_nonzero(counts, axis=1).min())
    if isinstance(criterion, EntropyDiversity):
        shares = counts / rows[:, None]
        logs = np.log(np.where(shares > 0, shares, 1.0))
        return float(np.exp(-(shares * logs).sum(axis=1)).min())
    if isinstance(criterion, TCloseness):
        return float(criterion.distances(counts, rows).max())
    return float((criterion.excess(counts, rows) / rows).max())


def _told(name: str, asked: DemandsRecipe, criterion: ValueCriterion) -> tuple[str, float]:
    """The demand in words, and its limit; of the last three the worst is the share too much."""
    if isinstance(criterion, DistinctDiversity):
        return f"{name}: distinct values", float(criterion.l)
    if isinstance(criterion, EntropyDiversity):
        return f"{name}: entropy diversity", float(criterion.l)
    if isinstance(criterion, TCloseness):
        return f"{name}: distance", criterion.t
    kind = type(criterion).__name__
    limits = {"RecursiveDiversity": asked.c, "BetaLikeness": asked.beta,
              "DeltaDisclosure": asked.delta_disclosure}  # fmt: skip
    words = {"RecursiveDiversity": "recursive diversity", "BetaLikeness": "β-likeness",
             "DeltaDisclosure": "δ-disclosure"}  # fmt: skip
    return f"{name}: {words[kind]}", float(limits[kind] or 0.0)
