"""Matches values against all grammars at once, then runs the checksums of those that fit."""

from collections import defaultdict
from dataclasses import dataclass
from functools import lru_cache
from itertools import islice

import re2

from strongroom.engines.privacy.discover.profile import ColumnSample
from strongroom.engines.privacy.discover.rules.registry import ALL_RULES
from strongroom.engines.privacy.discover.rules.rule import Grammar

_MAX_CHECKED = 300
_LEAST_SHARE = 0.5
_MAX_PATTERN_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True)
class FormShare:
    """How much of a column has one of the forms of a type.

    Attributes:
        share: of the filled rows, in [0, 1]; values that fail their checksum do not count.
        alone: confidence by these forms without the column's name, the mean over the rows.
        named: and with it.
        checked: a checksum or rule stands behind most of the rows.
    """

    type: str
    share: float
    alone: float
    named: float
    checked: bool


@dataclass(frozen=True, slots=True)
class _Forms:
    """The compiled union of all grammars; index in the set → type and grammar."""

    union: "re2.Set"
    grammars: tuple[tuple[str, Grammar], ...]


@lru_cache(maxsize=1)
def _forms() -> _Forms:
    options = re2.Options()
    options.max_mem = _MAX_PATTERN_BYTES
    options.log_errors = False
    union = re2.Set.FullMatchSet(options)
    grammars = []
    for rule in ALL_RULES:
        for grammar in rule.grammars:
            union.Add(grammar.pattern)
            grammars.append((rule.name, grammar))
    union.Compile()
    return _Forms(union, tuple(grammars))


def form_shares(sample: ColumnSample) -> list[FormShare]:
    """The types of which the column's filled rows have a form, as far as they often enough do.

    Different rows may have different forms of one type: each counts with the best it has.
    """
    forms = _forms()
    fitting: dict[str, dict[int, list[Grammar]]] = defaultdict(dict)
    for index, value in enumerate(sample.values):
        for form in forms.union.Match(value) or ():
            name, grammar = forms.grammars[form]
            fitting[name].setdefault(index, []).append(grammar)
    filled = sum(sample.weights)
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
) -> tuple[float, float, float, bool] | None:
    """Share, confidences and whether checked, from the first few hundred distinct candidates."""
    looked_at = passed = alone = named = checked = required = 0.0
    for index in islice(candidates, _MAX_CHECKED):
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
                break
    if not passed:
        return None
    share = share_fitting * passed / looked_at
    if share < required / passed:
        return None
    return share, alone / passed, named / passed, 2 * checked > passed
