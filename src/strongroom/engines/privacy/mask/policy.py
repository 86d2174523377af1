"""Which method masks which type: a small text that a person can read and change.

[types]                                   # by semantic type, first choice
person_name = "redact"
date_of_birth = { method = "generalize" }
payment_card = { method = "partial", keep_last = 4 }

[roles]                                   # then by what the type does to privacy
direct = "redact"

[shapes]                                  # for columns in which no type was recognised
free_text = "redact"
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, fields
from enum import StrEnum
from typing import Any

from strongroom.engines.privacy.discover.findings import ColumnFinding, Role, Shape
from strongroom.engines.privacy.discover.rules.registry import RULES_BY_NAME
from strongroom.errors import ValidationError

_MAX_POLICY_CHARACTERS = 100_000


class Method(StrEnum):
    """What is done to the values of a column."""

    KEEP = "keep"
    REDACT = "redact"  # one constant for every value
    PARTIAL = "partial"  # some characters stay, the others become stars
    HASH = "hash"  # keyed: equal values stay equal under one key and cannot be guessed without it
    GENERALIZE = "generalize"  # dates to years, texts to prefixes, numbers to bins
    SHIFT_DATE = "shift_date"  # by days that are the same for all rows of one subject
    DROP = "drop"  # the column is left out


@dataclass(frozen=True, slots=True)
class MaskRule:
    """A method with its options.

    Attributes:
        keep_first: characters that `partial` leaves at the start.
        keep_last: characters that `partial` leaves at the end.
        prefix: characters that `generalize` leaves of a text.
        bin_width: width of the bins of `generalize` for numbers, > 0, in the column's unit.
        top: numbers above it are given as it, where > 0 (ages over 89, 45 CFR 164.514).
        max_days: `shift_date` moves by at most so many days, either way.
    """

    method: Method
    keep_first: int = 0
    keep_last: int = 0
    prefix: int = 3
    bin_width: float = 10.0
    top: float = 0.0
    max_days: int = 365


@dataclass(frozen=True, slots=True)
class MaskPolicy:
    """Rules by type, role and shape. What none of them names is redacted."""

    types: Mapping[str, MaskRule]
    roles: Mapping[Role, MaskRule]
    shapes: Mapping[Shape, MaskRule]

    def rule_for(self, finding: ColumnFinding) -> tuple[MaskRule, str]:
        """The rule for a column, and in words why it applies."""
        if finding.type is not None:
            if finding.type in self.types:
                return self.types[finding.type], f"type {finding.type}"
            if finding.role is not Role.PLAIN:
                rule = self.roles.get(finding.role, REDACT)
                return rule, f"type {finding.type}, role {finding.role}"
        if finding.decided_by == "person" and finding.type is None:
            return MaskRule(Method.KEEP), "a person decided that it is not personal"
        shape = finding.profile.shape
        if finding.type is not None:
            # Recognised and not personal, yet a value of its own for each row leads to the row.
            return self.shapes.get(shape, REDACT), f"type {finding.type}, shape {shape}"
        return self.shapes.get(shape, REDACT), f"no type recognised, shape {shape}"


REDACT = MaskRule(Method.REDACT)


def parse_policy(text: str) -> MaskPolicy:
    """The policy written as TOML.

    Raises:
        ValidationError: not TOML, an unknown section, type, method or option, or a bad value.
    """
    if len(text) > _MAX_POLICY_CHARACTERS:
        raise ValidationError(f"a mask policy may have {_MAX_POLICY_CHARACTERS} characters")
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ValidationError(f"the mask policy is not valid TOML: {error}") from error
    if unknown := sorted(document.keys() - {"types", "roles", "shapes"}):
        raise ValidationError(f"a mask policy has no section `{unknown[0]}`")
    types = _section(document, "types", {name: name for name in RULES_BY_NAME})
    roles = _section(document, "roles", {role.value: role for role in Role})
    shapes = _section(document, "shapes", {shape.value: shape for shape in Shape})
    return MaskPolicy(types, roles, shapes)


def _section(document: Mapping[str, Any], section: str, names: Mapping[str, Any]) -> dict[Any, Any]:
    entries = document.get(section, {})
    if not isinstance(entries, dict):
        raise ValidationError(f"`{section}` must be a table of the mask policy")
    rules = {}
    for name, value in entries.items():
        if name not in names:
            raise ValidationError(f"unknown name `{name}` in [{section}] of the mask policy")
        rules[names[name]] = _rule(f"{section}.{name}", value)
    return rules


def _rule(place: str, value: object) -> MaskRule:
    options = {"method": value} if isinstance(value, str) else value
    if not isinstance(options, dict) or "method" not in options:
        raise ValidationError(f"`{place}` must be a method or a table with `method`")
    try:
        method = Method(options["method"])
    except ValueError:
        known = ", ".join(Method)
        raise ValidationError(f"`{place}`: the methods are {known}") from None
    numbers: dict[str, Any] = {}
    allowed = {field.name: field.type for field in fields(MaskRule)}
    for option, given in options.items():
        if option == "method":
            continue
        if option not in allowed:
            raise ValidationError(f"`{place}` has an unknown option `{option}`")
        kinds = (int, float) if allowed[option] is float else (int,)
        if isinstance(given, bool) or not isinstance(given, kinds) or not 0 <= given < 10**9:
            raise ValidationError(f"`{place}.{option}` must be a number from 0")
        numbers[option] = given
    rule = MaskRule(method, **numbers)
    if rule.bin_width <= 0 or rule.max_days < 1:
        raise ValidationError(f"`{place}`: bin_width and max_days must be above 0")
    return rule
