"""Matches values against all grammars at once, then runs the checksums of those that fit."""

from collections import defaultdict
from dataclasses import dataclass
from itertools import islice

from strongroom.engines.privacy.discover.profile import ColumnSample, places
from strongroom.engines.privacy.discover.rulebook import Rulebook
from strongroom.engines.privacy.discover.rules.rule import Grammar

_LOOKED_AT = 120
_MAX_CHECKED = 48
_FIRST_CHECKED, _LEAST_OF_FIRST = 12, 0.4
_LEAST_SHARE = 0.5
_TURNS = 5
_FIRST_MATCHED, _LEAST_MATCHED = 40, 8
"""Where of so many values fewer have any one form, not half of them will."""


@dataclass(frozen=True, slots=True)
class FormShare:
    """How much of a column has one of the forms of a type.

    Attributes:
        share: of the filled rows, in [0, 1]; values that fail their checksum do not count.
        alone: confidence by these forms without the column's name, the mean over the rows.
        named: and with it.
        checked: a checksum or rule stands behind most of the rows.
        min_distinct: values that must differ for the forms to speak alone; 0 for the default.
    """

    type: str
    share: float
    alone: float
    named: float
    checked: bool
    min_distinct: int = 0


def form_shares(sample: ColumnSample, book: Rulebook) -> list[FormShare]:
    """The types of which the column's filled rows have a form, as far as they often enough do.

    Different rows may have different forms of one type: each counts with the best it has.
    """
    fitting: dict[str, dict[int, list[Grammar]]] = defaultdict(dict)
    looked_at = places(len(sample.values), _LOOKED_AT)
    # Neighbours may be alike: first come some from everywhere.
    scattered = [index for start in range(_TURNS) for index in looked_at[start::_TURNS]]
    for count, index in enumerate(scattered):
        if count == _FIRST_MATCHED and max(map(len, fitting.values()), default=0) < _LEAST_MATCHED:
            return []
        value = sample.values[index]
        for form in book.union.Match(value) or ():
            name, grammar = book.grammars[form]
            fitting[name].setdefault(index, []).append(grammar)
    filled = sum(sample.weights[index] for index in looked_at)
    shares = []
    for name, candidates in fitting.items():
        weight = sum(sample.weights[index] for index in candidates)
        if weight < _LEAST_SHARE * filled:
            continue
        share = _share(sample, candidates, weight / filled)
        if share is not None:
            shares.append(FormShare(name, *share))
    return shares


def _share(
    sample: ColumnSample, candidates: dict[int, list[Grammar]], share_fitting: float
) -> tuple[float, float, float, bool, int] | None:
    """What `FormShare` says beside the type, from the first few hundred distinct candidates."""
    looked_at = passed = alone = named = checked = required = 0.0
    min_distinct = 0
    for count, index in enumerate(islice(candidates, _MAX_CHECKED)):
        if count == _FIRST_CHECKED and passed < _LEAST_OF_FIRST * looked_at:
            return None  # by chance one of ten passes, of what is meant nearly all
        weight = sample.weights[index]
        looked_at += weight
        value = sample.values[index]
        for grammar in sorted(candidates[index], key=lambda grammar: -grammar.alone):
            if grammar.check is None or grammar.check(value):
                passed += weight
                alone += weight * grammar.alone
                named += weight * grammar.named
                checked += weight * (grammar.check is not None)
                required += weight * grammar.min_share
                min_distinct = max(min_distinct, grammar.min_distinct)
                break
    if not passed:
        return None
    share = share_fitting * passed / looked_at
    if share < required / passed:
        return None
    return share, alone / passed, named / passed, 2 * checked > passed, min_distinct
