"""Names and places by locale, from Faker's lists (MIT); loaded on first use."""

import importlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import Any

from strongroom.engines.privacy.mask.policy import LOCALES

_MIN_NAMES = 50


@dataclass(frozen=True, slots=True)
class Names:
    """Names of one locale, sorted, as they are written."""

    male: tuple[str, ...]
    female: tuple[str, ...]
    family: tuple[str, ...]

    @property
    def given(self) -> tuple[str, ...]:
        """Given names of either gender."""
        return self.male + self.female


@dataclass(frozen=True, slots=True)
class Streets:
    """How streets are called: `before` or `after` a name."""

    before: tuple[str, ...]
    after: tuple[str, ...]
    number_first: bool


@cache
def names(locale: str) -> Names:
    """The names of one of `LOCALES`."""
    provider = _provider("person", locale)
    male = _listed(provider, "first_names_male")
    female = _listed(provider, "first_names_female")
    family = _listed(provider, "last_names")
    if min(len(male), len(female), len(family)) < _MIN_NAMES:
        raise ValueError(f"too few names for {locale}")
    return Names(male, female, family)


@cache
def genders() -> dict[str, str]:
    """Given names, lower case, of which only one gender is usual in `LOCALES`: `male`, `female`."""
    found: dict[str, set[str]] = {}
    for locale in LOCALES:
        for gender, listed in (("male", names(locale).male), ("female", names(locale).female)):
            for name in listed:
                found.setdefault(name.casefold(), set()).add(gender)
    return {name: seen.pop() for name, seen in found.items() if len(seen) == 1}


@cache
def homes() -> dict[str, str]:
    """Given and family names, lower case, with the first of `LOCALES` that lists them."""
    found: dict[str, str] = {}
    for locale in LOCALES:
        for name in (*names(locale).given, *names(locale).family):
            found.setdefault(name.casefold(), locale)
    return found


@cache
def places(locale: str, kind: str) -> tuple[str, ...]:
    """`cities`, `states` or `countries` of a locale; those of en_US where it has no list.

    Where no list of cities is to be had, there are invented ones.
    """
    listed = _listed(_provider("address", locale), kind)
    if len(listed) >= _MIN_NAMES or (kind == "states" and listed):
        return listed
    if kind == "cities":
        endings = ("ton", "field", "ville", "burg") if locale.startswith("en") else ("", "o", "a")
        return tuple(sorted({name + end for name in names(locale).family[:300] for end in endings}))
    return _listed(_provider("address", "en_US"), kind)


@cache
def homes_of_places(kind: str) -> dict[str, str]:
    """Places, lower case, with the first of `LOCALES` that lists them."""
    found: dict[str, str] = {}
    for locale in LOCALES:
        for name in places(locale, kind):
            found.setdefault(name.casefold(), locale)
    return found


@cache
def place_codes(kind: str, letters: int) -> tuple[str, ...]:
    """Codes of `countries` (ISO 3166-1) or `states` (of the USA), of 2 or 3 letters.

    States have two letters; one or three get a country's code of three.
    """
    if kind == "states" and letters <= 2:  # as the docstring says
        return _listed(_provider("address", "en_US"), "states_abbr")
    countries = importlib.import_module("faker.providers.address").Provider
    wanted = f"alpha_{3 if letters > 2 else 2}_country_codes"  # as above
    return _listed(countries, wanted) or ("XX", "XXX")


STREETS = {
    "en_US": Streets((), (" Street", " Avenue", " Road", " Lane", " Drive"), True),
    "en_GB": Streets((), (" Road", " Street", " Close", " Lane", " Way"), True),
    "de_DE": Streets((), ("straße", "weg", "gasse", "allee"), False),
    "fr_FR": Streets(("rue ", "avenue ", "boulevard "), (), True),
    "es_ES": Streets(("Calle ", "Avenida ", "Plaza "), (), False),
    "it_IT": Streets(("Via ", "Viale ", "Piazza "), (), False),
    "nl_NL": Streets((), ("straat", "laan", "weg"), False),
    "pt_BR": Streets(("Rua ", "Avenida ", "Travessa "), (), False),
    "sv_SE": Streets((), ("gatan", "vägen"), False),
    "da_DK": Streets((), ("vej", "gade"), False),
    "no_NO": Streets((), ("veien", "gata"), False),
    "fi_FI": Streets((), ("katu", "tie"), False),
}


def _provider(kind: str, locale: str) -> Any:  # noqa: ANN401 # a class of an untyped library
    return importlib.import_module(f"faker.providers.{kind}.{locale}").Provider


def _listed(provider: object, attribute: str) -> tuple[str, ...]:
    """A list of the provider, sorted, so that a new order in the library changes nothing."""
    listed = getattr(provider, attribute, ())
    if not isinstance(listed, Iterable):
        return ()
    return tuple(sorted({str(name) for name in listed if str(name).strip()}))


@cache
def given_names() -> frozenset[str]:
    """Given names of all `LOCALES`, lower case."""
    return frozenset(name.casefold() for locale in LOCALES for name in names(locale).given)
