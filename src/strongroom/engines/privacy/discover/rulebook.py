"""The built-in rules and an organisation's own types, made ready to be matched."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache

import re2

from strongroom.engines.privacy.discover.custom import CustomType
from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.rules.registry import ALL_RULES, RULES_BY_NAME
from strongroom.engines.privacy.discover.rules.rule import Grammar, Rule

_MAX_PATTERN_BYTES = 64 * 2**20
_SHORTENED = 0.9
"""What is left of a word's strength without its vowels."""


@dataclass(frozen=True, slots=True)
class Rulebook:
    """Rules made ready.

    Attributes:
        union: all grammars in one automaton; the number it gives is an index in `grammars`.
        grammars: with the name of the type.
        phrases: joined words of a column's name → types it names, with strength: 1 without
            doubt, 0.5 also other things.
        consonants: the same of words without vowels, where only one type's are left so.
    """

    rules: Mapping[str, Rule]
    union: "re2.Set"
    grammars: tuple[tuple[str, Grammar], ...]
    phrases: Mapping[str, tuple[tuple[str, float], ...]]
    consonants: Mapping[str, tuple[tuple[str, float], ...]]

    def role_of(self, type_name: str | None) -> Role:
        """What the type does to privacy; an unknown type counts as direct, so it is masked."""
        return _role(type_name, None if type_name is None else self.rules.get(type_name))


def rule_named(type_name: str | None, custom: Sequence[CustomType]) -> Rule | None:
    """The built-in rule of a type, or that of one of `custom`; makes nothing ready to match."""
    built_in = RULES_BY_NAME.get(type_name or "")
    if built_in is not None:
        return built_in
    return next((kind.rule() for kind in custom if kind.name == type_name), None)


def role_named(type_name: str | None, custom: Sequence[CustomType]) -> Role:
    """What a type does to privacy, as `Rulebook.role_of`."""
    return _role(type_name, rule_named(type_name, custom))


def _role(type_name: str | None, rule: Rule | None) -> Role:
    if type_name is None:
        return Role.PLAIN
    return Role.DIRECT if rule is None else rule.role


@lru_cache(maxsize=8)
def rulebook(custom: tuple[CustomType, ...] = ()) -> Rulebook:
    """The built-in rules, and those of `custom` beside them."""
    rules = (*ALL_RULES, *(kind.rule() for kind in custom))
    options = re2.Options()
    options.max_mem = _MAX_PATTERN_BYTES
    options.log_errors = False
    union = re2.Set.FullMatchSet(options)
    grammars = []
    for rule in rules:
        for grammar in rule.grammars:
            union.Add(grammar.pattern)
            grammars.append((rule.name, grammar))
    union.Compile()
    by_name, phrases = {rule.name: rule for rule in rules}, _phrases(rules)
    return Rulebook(by_name, union, tuple(grammars), phrases, _consonants(phrases))


def _consonants(
    phrases: Mapping[str, tuple[tuple[str, float], ...]],
) -> dict[str, tuple[tuple[str, float], ...]]:
    from strongroom.engines.privacy.discover.headers import LEAST_CONSONANTS, consonants

    found: dict[str, dict[str, float]] = defaultdict(dict)
    for phrase, named in phrases.items():
        short = consonants(phrase)
        if len(short) >= LEAST_CONSONANTS and short != phrase:
            found[short] |= {name: _SHORTENED * strength for name, strength in named}
    return {short: tuple(named.items()) for short, named in found.items() if len(named) == 1}


def _phrases(rules: tuple[Rule, ...]) -> dict[str, tuple[tuple[str, float], ...]]:
    from strongroom.engines.privacy.discover.headers import words_of

    found: dict[str, dict[str, float]] = defaultdict(dict)
    for rule in rules:
        for phrases, strength in ((rule.headers, 1.0), (rule.weak_headers, 0.5)):
            for phrase in phrases:
                strengths = found["".join(words_of(phrase))]
                strengths[rule.name] = max(strength, strengths.get(rule.name, 0.0))
    return {phrase: tuple(strengths.items()) for phrase, strengths in found.items()}
