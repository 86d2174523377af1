"""All built-in rules, by name."""

from collections.abc import Mapping
from types import MappingProxyType

from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.rules import (
    contact,
    credentials,
    dates,
    documents,
    finance,
    health,
    identities,
    numbers,
    people,
    places,
    running_text,
    technical,
)
from strongroom.engines.privacy.discover.rules.rule import Rule

ALL_RULES: tuple[Rule, ...] = (
    *people.RULES,
    *contact.RULES,
    *places.RULES,
    *dates.RULES,
    *numbers.RULES,
    *identities.RULES,
    *documents.RULES,
    *finance.RULES,
    *health.RULES,
    *credentials.RULES,
    *technical.RULES,
    *running_text.RULES,
)

RULES_BY_NAME: Mapping[str, Rule] = MappingProxyType({rule.name: rule for rule in ALL_RULES})


def role_of(type_name: str | None) -> Role:
    """What the type does to privacy; an unknown type counts as direct, so that it is masked."""
    if type_name is None:
        return Role.PLAIN
    rule = RULES_BY_NAME.get(type_name)
    return Role.DIRECT if rule is None else rule.role
