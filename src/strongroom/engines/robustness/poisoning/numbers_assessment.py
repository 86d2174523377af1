"""The tests of threat 1 on the rows of a regression: the same questions, of numbers.

As in `assessment`, each plants poison of its own in a copy, and the very same search must find it.
Outliers need no label and are searched there.
"""

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.stats import rankdata

from strongroom.engines.robustness.intervals import clopper_pearson
from strongroom.engines.robustness.outcome import Canary, Measure, Outcome
from strongroom.engines.robustness.poisoning.assessment import THREAT, Progress
from strongroom.engines.robustness.poisoning.canaries import (
    DEFAULTS,
    Settings,
    canary_of_rows,
)
from strongroom.engines.robustness.poisoning.duplicates import find_duplicates
from strongroom.engines.robustness.poisoning.numbers import (
    bins_of,
    find_number_errors,
    lacks,
)
from strongroom.engines.robustness.poisoning.numbers_sources import (
    judge_number_sources,
    judged,
)
from strongroom.engines.robustness.poisoning.quarantine import Suspect, as_json
from strongroom.engines.robustness.poisoning.sources import LEAST_ROWS, MOST_SOURCES
from strongroom.engines.robustness.poisoning.table import Mask, Table
from strongroom.engines.robustness.recipes import Recipe, reference
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Rows

Numbers = NDArray[np.float64]

_DATA = ("AML.T0020",)
_LEAST_PLANTED = 30
_BY_CHANCE = 2.75
"""Deviations above one half that the mean rank of planted rows must reach: by chance once in 300
times."""
_SOURCES = ((0.1, 0.5), (0.2, 0.5), (0.2, 1.0))
"""Planted sources, the weakest first: share of the rows, and of the wrong ones among them. What is
seen depends on how much models explain: of diabetes, half."""
_VAGUE, _BLIND = 0.6, 0.95
"""How far numbers lie from what models say, as a share of how far from the middle of all: from
there on models know little, or nothing."""
_SAME = 0.1
"""Of the standard deviation of all numbers: equal rows whose numbers differ by more contradict each
other, where no tolerance is declared."""
_SUSPICION = 0.5
"""Of two rows that contradict each other one is wrong."""


@dataclass(frozen=True, slots=True)
class NumberTable:
    """Rows of a regression.

    Attributes:
        rows: points; a missing number stands there as `Table` fills it.
        sources: who brought each row; empty for unknown.
    """

    table: Table
    numbers: Numbers
    sources: tuple[str, ...] = ()

    @classmethod
    def of(
        cls, space: Space, rows: Rows, numbers: Numbers, sources: Sequence[str] = ()
    ) -> "NumberTable":
        """Check and prepare; rows whose number is missing are left out by the caller."""
        return cls(Table.of(space, rows, bins_of(numbers)), numbers, tuple(sources))

    def __len__(self) -> int:
        """Rows."""
        return len(self.numbers)


def number_labels_test(
    given: NumberTable, seed: int, progress: Progress, settings: Settings = DEFAULTS
) -> Outcome:
    """`poisoning.labels`: numbers far from what models say that never saw their row."""
    name, rows, numbers = "poisoning.labels", given.table.rows, given.numbers
    if lack := lacks(rows, numbers):
        return Outcome(name, THREAT, _DATA, reason=lack)
    found = find_number_errors(rows, numbers, seed, lambda done: progress(done / 2))
    vague = _vagueness(numbers, found.expected)
    if vague > _BLIND:
        return Outcome(name, THREAT, _DATA, reason=_NOTHING)
    share = min(max(settings.flips, _LEAST_PLANTED / len(given)), 0.1)
    changed, is_bad = plant_numbers(numbers, share, np.random.default_rng(seed))
    again = find_number_errors(rows, changed, seed, lambda done: progress(0.5 + done / 2))
    flagged, hits = int(found.is_flagged.sum()), int(again.is_flagged[is_bad].sum())
    canary = _canary_of_numbers(is_bad, again.suspicion)
    measures = (
        Measure("flagged share", flagged / len(given), *clopper_pearson(flagged, len(given)),
                "share"),
        Measure("recall of planted flips", hits / int(is_bad.sum()),
                *clopper_pearson(hits, int(is_bad.sum())), "share"),
        Measure("mean suspicion", float(found.suspicion.mean()), unit="share"),
    )  # fmt: skip
    words: tuple[str, ...] = (
        f"{flagged:,} of {len(given):,} numbers lie far from what models say that never saw them.",
        "A number can be far and right: rare people are far from what models say, too.",
        (
            "Small changes, within what right numbers vary by, cannot be seen, nor a rule that "
            "changes all rows of a kind."
        ),
    )
    if vague > _VAGUE:
        words += ("Models explain little of these numbers: only gross errors can show.",)
    listed = as_json(_suspects(found.is_flagged, found.suspicion, _FAR))[: settings.listed]
    return Outcome(name, THREAT, _DATA, measures, canary, (), words, {"quarantine": listed})


_FAR = "its number lies far from what models say that never saw the row"
_NOTHING = "models explain nothing of these numbers: none of them can be called wrong"


def _vagueness(numbers: Numbers, expected: Numbers) -> float:
    """How far numbers lie from what models say, as a share of how far from the middle of all."""
    around = float(np.median(np.abs(numbers - np.median(numbers))))
    return float(np.median(np.abs(numbers - expected))) / max(around, 1e-300)


def number_sources_test(
    given: NumberTable,
    seed: int,
    progress: Progress,
    held: tuple[Rows, Numbers] | None = None,
    recipe: Recipe | None = None,
) -> Outcome:
    """`poisoning.sources`: each source against all others.

    Args:
        held: rows that are trusted.
        recipe: with which models are compared; None: boosted trees.
    """
    name, rows, numbers = "poisoning.sources", given.table.rows, given.numbers
    if lack := lacks(rows, numbers):
        return Outcome(name, THREAT, _DATA, reason=lack)
    if len(set(given.sources)) < 2:
        return Outcome(name, THREAT, _DATA, reason="the rows do not say from where they come")
    recipe = reference("boosting", 1) if recipe is None else recipe
    errors = find_number_errors(rows, numbers, seed, lambda done: progress(0.3 * done))
    if _vagueness(numbers, errors.expected) > _BLIND:
        return Outcome(name, THREAT, _DATA, reason=_NOTHING)
    found = judge_number_sources(
        rows, numbers, given.sources, errors.suspicion, recipe, seed, held=held,
        progress=lambda done: progress(0.3 + 0.3 * done),
    )  # fmt: skip
    canary, seen = _canary_of_sources(given, seed, lambda done: progress(0.6 + 0.4 * done))
    progress(1.0)
    measures = [
        Measure("sources of more suspects", sum(one.is_doubtful for one in found)),
        Measure("largest ratio of suspects", max((one.ratio for one in found), default=1.0)),
    ]
    tried = [one for one in found if one.gain is not None]
    if tried:
        best = max(tried, key=lambda one: one.gain or 0.0)
        measures.append(
            Measure("largest gain without a source", best.gain or 0.0, best.gain_low,
                    best.gain_high, "share")
        )  # fmt: skip
    words: tuple[str, ...] = (
        (
            "A source is in doubt when more of its numbers are suspect than of all others, or when "
            "the mean absolute error falls without it; bounds hold over all sources together."
        ),
        (
            "Sources of other populations differ honestly: compare what their suspects have in "
            "common first."
        ),
        "Two sources that poison together vouch for each other.",
    )
    words += (seen,) if seen else ()
    listed = {"sources": [asdict(one) for one in found]}
    return Outcome(name, THREAT, _DATA, tuple(measures), canary, (), words, listed)


def number_duplicates_test(
    given: NumberTable,
    seed: int,
    progress: Progress,
    settings: Settings = DEFAULTS,
    *,
    held: Rows | None = None,
    tolerance: float | None = None,
) -> Outcome:
    """`poisoning.duplicates`: rows that are there twice, with other numbers or in the test data.

    Args:
        tolerance: by which numbers of equal rows may differ; None: a tenth of their deviation.
    """
    name, numbers = "poisoning.duplicates", given.numbers
    if lack := lacks(given.table.rows, numbers):
        return Outcome(name, THREAT, _DATA, reason=lack)
    same = _SAME * float(numbers.std()) if tolerance is None else tolerance
    found = find_duplicates(given.table, held)
    contradicts = _contradicted(found.group, numbers, same)
    near = (found.near >= 0) & (np.abs(numbers[np.maximum(found.near, 0)] - numbers) > same)
    canary = _canary_of_copies(given, seed, settings, same)
    progress(1.0)
    counts = {
        "repeated share": found.is_repeated, "contradicted share": contradicts,
        "almost repeated share": found.near >= 0, "almost contradicted share": near,
    }  # fmt: skip
    if held is not None:
        counts["leaked share"] = found.leaked
    measures = tuple(
        Measure(title, float(which.mean()), *clopper_pearson(int(which.sum()), len(given)), "share")
        for title, which in counts.items()
    )
    suspects = _suspects(
        contradicts, np.full(len(given), _SUSPICION), "an equal row has another number"
    )
    words = (
        f"Equal rows whose numbers differ by more than {same:.4g} cannot both be learned.",
        "Tables of few coarse columns repeat rows honestly, and then their numbers differ.",
    )
    listed = {"quarantine": as_json(suspects)[: settings.listed]}
    return Outcome(name, THREAT, _DATA, measures, canary, (), words, listed)


def plant_numbers(numbers: Numbers, share: float, rng: np.random.Generator) -> tuple[Numbers, Mask]:
    """A copy in which some rows, one at least, have the number half of all numbers away."""
    many = max(1, round(share * len(numbers)))
    chosen = rng.choice(len(numbers), many, replace=False)
    order = np.argsort(numbers, kind="stable")
    rank = np.empty(len(numbers), dtype=np.intp)
    rank[order] = np.arange(len(numbers))
    changed = numbers.copy()
    changed[chosen] = numbers[order[(rank[chosen] + len(numbers) // 2) % len(numbers)]]
    is_bad = np.zeros(len(numbers), dtype=bool)
    is_bad[chosen] = changed[chosen] != numbers[chosen]
    return changed, is_bad


def _contradicted(group: NDArray[np.int64], numbers: Numbers, same: float) -> Mask:
    """Rows of a group of equal rows whose numbers lie further apart than `same`."""
    low, high = np.full(len(numbers), np.inf), np.full(len(numbers), -np.inf)
    np.minimum.at(low, group, numbers)
    np.maximum.at(high, group, numbers)
    return np.asarray((high - low)[group] > same)


def _canary_of_numbers(is_bad: Mask, suspicion: Numbers) -> Canary:
    """Whether changed numbers are more suspect than the others, by rank."""
    ranks = (rankdata(suspicion) - 1) / (len(suspicion) - 1)
    rank, many = float(ranks[is_bad].mean()), int(is_bad.sum())
    least = 0.5 + _BY_CHANCE * np.sqrt(1 / 12 / many)
    return Canary(
        f"{many} rows of a copy were given another number", bool(rank >= least),
        f"they are more suspect than {rank:.0%} of the rows, on average",
    )  # fmt: skip


def _canary_of_copies(given: NumberTable, seed: int, settings: Settings, same: float) -> Canary:
    rng = np.random.default_rng(seed)
    changed, _ = plant_numbers(given.numbers, 1.0, rng)
    able = np.flatnonzero(np.abs(changed - given.numbers) > same)
    many = max(1, round(settings.flips * len(given)))
    chosen = rng.permutation(able)[:many]
    rows = np.concatenate([given.table.rows, given.table.rows[chosen]])
    numbers = np.concatenate([given.numbers, changed[chosen]])
    copy = NumberTable.of(given.table.space, rows, numbers)
    found = _contradicted(find_duplicates(copy.table).group, numbers, same)
    planted = np.arange(len(rows)) >= len(given)
    return canary_of_rows(
        planted, found & planted, settings,
        f"{len(chosen)} rows were added again with another number", is_all_new=False,
    )  # fmt: skip


def _canary_of_sources(given: NumberTable, seed: int, progress: Progress) -> tuple[Canary, str]:
    """A source of its own in a copy, with wrong numbers; a stronger one where a weak one is missed.

    The search judges at 5 % over all sources, of which there are three at least: chance finds each
    planted one once in 60 times, or more seldom.

    Returns: the canary, and from what strength on a source is seen, where that is worth a word.
    """
    rng = np.random.default_rng(seed)
    everyone, _ = plant_numbers(given.numbers, 1.0, rng)
    order = rng.permutation(len(given))
    others = min(len(set(given.sources)), MOST_SOURCES)
    said = seen = found = ""
    is_found = False
    for step, (share, part) in enumerate(_SOURCES):
        rows = order[: max(LEAST_ROWS, round(share * len(given)))]
        wrong = rows[: max(1, round(part * len(rows)))]
        own = np.zeros(len(given), dtype=bool)
        own[rows] = True
        changed = given.numbers.copy()
        changed[wrong] = everyone[wrong]
        errors = find_number_errors(given.table.rows, changed, seed)
        planted = judged("planted", own, errors.suspicion, others + 1)
        is_found = planted.is_suspect
        found = f"its suspects are {planted.ratio:.1f} times those of the others"
        said = (
            f"{len(rows)} rows of a copy got a source of their own, and {len(wrong)} of them "
            "another number"
        )
        if is_found:
            if step:
                seen = (
                    f"Of these rows a source was seen that brought {len(rows)}, {len(wrong)} of "
                    "them wrong; a smaller or a less wrong one was not."
                )
            break
        progress((step + 1) / len(_SOURCES))
    return Canary(said, is_found, found), seen


def _suspects(which: Mask, suspicion: Numbers, reason: str) -> list[Suspect]:
    places = np.flatnonzero(which)
    order = places[np.argsort(-suspicion[places], kind="stable")]
    return [Suspect(int(at), float(suspicion[at]), (reason,), None) for at in order]
