"""A mask policy as a text that a person can read and change.

[types]                                   # by semantic type
person_name = "redact"
payment_card = { method = "partial", keep_last = 4 }

[roles]                                   # then by what the type does to privacy
direct = "redact"

[shapes]                                  # for columns in which no type was recognised
free_text = "mask_spans"

[columns]                                 # before all these: by name or path
"address.city" = "keep"

[tables.visits.columns]                   # and first of all: of one table
note = "drop"

[spans]                                   # within texts; else as in [types] and [roles]
date = "keep"

[hierarchies.region]                      # for { method = "generalize", hierarchy = "region" }
Potsdam = "Brandenburg"

[keys]
link = "purpose"                          # or "dataset": how far equal values stay equal
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import fields
from difflib import get_close_matches
from typing import Any

from strongroom.engines.privacy.discover.findings import Role, Shape
from strongroom.engines.privacy.discover.rules.registry import RULES_BY_NAME
from strongroom.engines.privacy.mask.policy import (
    OPTIONS,
    LinkScope,
    MaskPolicy,
    MaskRule,
    Method,
)
from strongroom.errors import ValidationError

MAX_POLICY_CHARACTERS = 200_000
MAX_RULES = 20_000
MAX_NAME_CHARACTERS = 1_000
MAX_LEVELS = 20
"""Steps from a value to the top of a hierarchy."""

_SECTIONS = ("types", "roles", "shapes", "columns", "tables", "spans", "hierarchies", "keys")
_IN_SPANS = frozenset(Method) - {
    Method.KEEP_COMMON, Method.NOISE, Method.SHIFT_DATE, Method.MASK_SPANS,
}  # fmt: skip
_KINDS = {field.name: field.type for field in fields(MaskRule)}


def parse_policy(text: str, *, custom_types: Iterable[str] = ()) -> MaskPolicy:
    """The policy written as TOML.

    Args:
        text: at most `MAX_POLICY_CHARACTERS` characters and `MAX_RULES` rules.
        custom_types: names of types beside the built-in ones.

    Raises:
        ValidationError: not TOML; an unknown section, type, method or option; a bad value. The
            message names the place and, where one is near, the right name.
    """
    if len(text) > MAX_POLICY_CHARACTERS:
        raise ValidationError(f"a mask policy may have {MAX_POLICY_CHARACTERS} characters")
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:  # a number may have too many digits
        raise ValidationError(f"the mask policy is not valid TOML: {error}") from None
    for section, content in document.items():
        if section not in _SECTIONS:
            raise _unknown("a mask policy has no section", section, _SECTIONS)
        if not isinstance(content, dict):
            raise ValidationError(f"`{section}` must be a table of the mask policy")
    types = {name: name for name in (*RULES_BY_NAME, *custom_types)}
    policy = MaskPolicy(
        types=_section(document, "types", types),
        roles=_section(document, "roles", {role.value: role for role in Role}),
        shapes=_section(document, "shapes", {shape.value: shape for shape in Shape}),
        columns=_columns("columns", document.get("columns", {})),
        tables=_tables(document.get("tables", {})),
        spans=_section(document, "spans", types),
        hierarchies=_hierarchies(document.get("hierarchies", {})),
        link=_link(document.get("keys", {})),
    )
    rules = policy.all_rules()
    if len(rules) > MAX_RULES:
        raise ValidationError(f"a mask policy may have {MAX_RULES} rules")
    for rule in rules:
        if rule.hierarchy and rule.hierarchy not in policy.hierarchies:
            raise _unknown("there is no hierarchy", rule.hierarchy, policy.hierarchies)
    for name, rule in policy.spans.items():
        if rule.method not in _IN_SPANS:
            raise ValidationError(f"`spans.{name}`: `{rule.method}` does nothing within texts")
    return policy


def _unknown(words: str, name: str, known: Iterable[str]) -> ValidationError:
    """The error for a name that is not known, with the nearest that is."""
    near = get_close_matches(name[:100], list(known), n=1)
    guess = f"; did you mean `{near[0]}`?" if near else ""
    return ValidationError(f"{words} `{name[:100]}`{guess}")


def _section(document: Mapping[str, Any], section: str, names: Mapping[str, Any]) -> dict[Any, Any]:
    rules = {}
    for name, value in document.get(section, {}).items():
        if name not in names:
            raise _unknown(f"[{section}] of the mask policy: unknown name", name, names)
        rules[names[name]] = _rule(f"{section}.{name}", value)
    return rules


def _columns(place: str, entries: object) -> dict[str, MaskRule]:
    if not isinstance(entries, dict):
        raise ValidationError(f"`{place}` must be a table of the mask policy")
    for name in entries:
        _require_name(place, name)
    return {name: _rule(f"{place}.{name}", value) for name, value in entries.items()}


def _tables(entries: Mapping[str, Any]) -> dict[str, dict[str, MaskRule]]:
    tables = {}
    for name, content in entries.items():
        _require_name("tables", name)
        place = f"tables.{name}"
        if not isinstance(content, dict):
            raise ValidationError(f"`{place}` must be a table of the mask policy")
        if wrong := [key for key in content if key != "columns"]:
            raise _unknown(f"`{place}` has no part", wrong[0], ("columns",))
        tables[name] = _columns(f"{place}.columns", content.get("columns", {}))
    return tables


def _hierarchies(entries: Mapping[str, Any]) -> dict[str, dict[str, str]]:
    trees = {}
    for name, tree in entries.items():
        _require_name("hierarchies", name)
        place = f"hierarchies.{name}"
        if not isinstance(tree, dict) or not all(isinstance(up, str) for up in tree.values()):
            raise ValidationError(f"`{place}` must bind texts to texts")
        if len(tree) > MAX_RULES:
            raise ValidationError(f"`{place}` may have {MAX_RULES} entries")
        for value in tree:
            seen = {value}
            while (up := tree.get(value)) is not None and up != value:
                if up in seen or len(seen) > MAX_LEVELS:
                    raise ValidationError(
                        f"`{place}` runs in a circle, or has more than {MAX_LEVELS} levels"
                    )
                seen.add(up)
                value = up  # noqa: PLW2901 # one step up
        trees[name] = dict(tree)
    return trees


def _link(entries: Mapping[str, Any]) -> LinkScope:
    for key in entries:
        if key != "link":
            raise _unknown("`keys` has no part", key, ("link",))
    value = entries.get("link", LinkScope.DATASET.value)
    try:
        return LinkScope(value)
    except ValueError:
        raise ValidationError(f"`keys.link` must be one of: {', '.join(LinkScope)}") from None


def _require_name(place: str, name: str) -> None:
    if not 0 < len(name) <= MAX_NAME_CHARACTERS:
        raise ValidationError(f"`{place}`: a name has 1 to {MAX_NAME_CHARACTERS} characters")


def _rule(place: str, value: object) -> MaskRule:
    given = {"method": value} if isinstance(value, str) else value
    if not isinstance(given, dict) or not isinstance(given.get("method"), str):
        raise ValidationError(f"`{place}` must be a method or a table with `method`")
    try:
        method = Method(given["method"])
    except ValueError:
        known = ", ".join(Method)
        wrong = _unknown(f"`{place}`: there is no method", given["method"], Method)
        raise ValidationError(wrong.message, next_step=f"the methods are {known}") from None
    options: dict[str, Any] = {}
    for name, entry in given.items():
        if name == "method":
            continue
        if name not in OPTIONS:
            takes = [option for option, it in OPTIONS.items() if method in it.methods]
            raise _unknown(f"`{place}` has an unknown option", name, takes or OPTIONS)
        if method not in OPTIONS[name].methods:
            whose = " and ".join(OPTIONS[name].methods)
            raise ValidationError(f"`{place}`: `{name}` is an option of {whose}, not of {method}")
        options[name] = _option(f"{place}.{name}", name, entry)
    return MaskRule(method, **options)


def _option(place: str, name: str, given: object) -> object:
    option, kind = OPTIONS[name], _KINDS[name]
    if kind is bool:
        if not isinstance(given, bool):
            raise ValidationError(f"`{place}` must be true or false")
        return given
    if kind is str:
        if not isinstance(given, str) or len(given) > MAX_NAME_CHARACTERS:
            raise ValidationError(f"`{place}` must be a text")
        if option.choices and given not in option.choices:
            choices = ", ".join(choice or "empty" for choice in option.choices)
            raise ValidationError(f"`{place}` must be one of: {choices}")
        return given
    kinds = (int, float) if kind is float else (int,)
    wrong = isinstance(given, bool) or not isinstance(given, kinds)
    if wrong or not option.least <= float(given) <= option.most:  # type: ignore[arg-type] # a number by now
        whole = "a whole number" if kind is int else "a number"
        raise ValidationError(f"`{place}` must be {whole} from {option.least:g} to {option.most:g}")
    return given
