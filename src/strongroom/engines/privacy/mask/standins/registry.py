"""Which stand-in for which type."""

from collections.abc import Callable, Mapping
from functools import partial

from strongroom.engines.privacy.mask.standins import contacts, numbers, people, places
from strongroom.engines.privacy.mask.standins.maker import Maker

Making = Callable[[Maker, str], str]

_OF_TYPES: Mapping[str, Making] = {
    "person_name": people.person_name,
    "given_name": people.given_name,
    "family_name": people.family_name,
    "username": people.username,
    "social_handle": people.username,
    "email": contacts.email,
    "phone": contacts.phone,
    "ip_address": contacts.ip_address,
    "mac_address": contacts.mac_address,
    "url": contacts.url,
    "street_address": places.street_address,
    "city": partial(places.place, kind="cities"),
    "state": partial(places.place, kind="states"),
    "country": partial(places.place, kind="countries"),
    "postcode": places.postcode,
    "organization": places.organization,
}

_UNSUITED = frozenset(
    """
    age gender ethnicity religion political_opinion union_membership sexual_orientation
    marital_status nationality occupation income county coordinates date_of_birth date date_time
    year_of_birth health_condition biometric password secret_key card_security_code
    """.split()  # noqa: SIM905 # a list of words reads better so
)
"""Types whose values carry a meaning that an invented one would falsify, or that need none."""


def is_suited(type_name: str | None) -> bool:
    """True where there are stand-ins; those of a type not known keep the form of the value."""
    return type_name not in _UNSUITED


def stand_in(maker: Maker, type_name: str | None, domain: str) -> Callable[[str], str]:
    """What gives the stand-in of a value; spaces around it are not kept, nothing stays nothing.

    Args:
        maker: with key and rule.
        type_name: of the values, or None where it is not known.
        domain: separates values whose type is not known.
    """
    making = _OF_TYPES.get(type_name or "")
    if making is None and type_name is not None and numbers.has_check(type_name):
        making = partial(numbers.number, type_name=type_name)
    chosen: Making = making or partial(numbers.code, domain=domain)

    def make(text: str) -> str:
        trimmed = text.strip()
        return chosen(maker, trimmed) if trimmed else text

    return make
