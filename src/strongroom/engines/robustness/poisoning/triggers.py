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

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from strongroom.engines.robustness.poisoning.coding import additive, coded
from strongroom.engines.robustness.poisoning.pattern_search import PatternSearch, matches
from strongroom.engines.robustness.poisoning.patterns import CLEARLY_OTHER, LEAST_SURE, Pattern
from strongroom.engines.robustness.poisoning.resemblance import resembled
from strongroom.engines.robustness.poisoning.table import Mask, Table

_SHARE = 0.004
_LEAST = 4
"""Rows of a trigger: at least this share of all, and this many."""
_SEARCHED = 30_000
"""Rows that are searched: a sample, where there are more."""
_WIDEST = 1_000
"""Features that are searched: a sample, where there are more."""
_NUMBERS = 60_000_000


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
    search = PatternSearch(part, made, additive(part, made, seed), least)
    whole = table.values
    patterns = []
    for one in search.best(progress):
        named = replace(one, features=tuple(features[list(one.features)].tolist()))
        asked = _asked(part, matches(made, one), named, rng)
        read = [made.values[at][code] for at, code in zip(one.features, one.codes, strict=True)]
        carries = (whole[:, list(named.features)] == np.array(read)).all(axis=1)
        rows = np.flatnonzero(carries & (table.labels == one.label)).astype(np.int64)
        base = float(search.base[one.label])
        patterns.append(replace(asked, rows=rows, base=base))
    return Triggers(tuple(sorted(patterns, key=_rank)), (len(part), len(features)))


def least_rows(count: int) -> int:
    """Rows that a trigger must have in a table of so many."""
    return max(_LEAST, round(_SHARE * count))


def _rank(one: Pattern) -> tuple[bool, float]:
    return not one.is_trigger, -one.excess * (1 - one.resemblance)


def _asked(table: Table, matching: Mask, one: Pattern, rng: np.random.Generator) -> Pattern:
    """What the forest says; of the two excesses the lower, where the rows are not clearly others'.

    What an additive model says of overlapping classes is close to their shares, so that hardly
    anything lies beyond it.
    """
    asked = resembled(table, one.features, matching, one.label, rng)
    is_clear = asked.resemblance + asked.error <= CLEARLY_OTHER and one.excess >= LEAST_SURE / 2
    return replace(
        one, excess=asked.excess if is_clear else min(asked.excess, one.excess),
        expected=asked.expected,
        resemblance=asked.resemblance, error=asked.error,
    )  # fmt: skip
