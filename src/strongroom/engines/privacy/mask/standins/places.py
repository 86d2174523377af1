"""Stand-ins for places and addresses."""

import re

from strongroom.engines.privacy.mask.drawing import Draw, same_form
from strongroom.engines.privacy.mask.standins import lists
from strongroom.engines.privacy.mask.standins.maker import Maker, written_like

_CODE_LETTERS = 3
_WORDS = re.compile(r"[^\W\d_]{3,}")
_HINTS = (
    (re.compile(r"(?i)stra(?:ß|ss)e\b|str\.|weg\b|platz\b|gasse\b"), "de_DE"),
    (re.compile(r"(?i)\b(?:rue|avenue de|boulevard|chemin|impasse)\b"), "fr_FR"),
    (re.compile(r"(?i)\b(?:calle|avenida|plaza|paseo)\b"), "es_ES"),
    (re.compile(r"(?i)\b(?:via|viale|piazza|corso)\b"), "it_IT"),
    (re.compile(r"(?i)straat\b|laan\b|gracht\b"), "nl_NL"),
    (re.compile(r"(?i)\b(?:rua|travessa)\b"), "pt_BR"),
    (re.compile(r"(?i)gatan\b|vägen\b"), "sv_SE"),
)


def street_address(maker: Maker, text: str) -> str:
    """A street and number; of the country that the words point to, where the rule names none."""
    locale = maker.rule.locale or next((it for hint, it in _HINTS if hint.search(text)), "")
    locale = locale or maker.locale_of(*_WORDS.findall(text))
    streets, family = lists.STREETS[locale], lists.names(locale).family

    def make(draw: Draw) -> str:
        before = draw.of(streets.before) if streets.before else ""
        after = draw.of(streets.after) if streets.after else ""
        number = 1 + draw.below(240)
        street = f"{before}{draw.of(family)}{after}"
        return f"{number} {street}" if streets.number_first else f"{street} {number}"

    return written_like(text, maker.other("street_address", text, make))


def place(maker: Maker, text: str, kind: str) -> str:
    """A town, state or country for one; two or three letters for such a code.

    `kind` is `cities`, `states` or `countries`.
    """
    if kind != "cities" and len(text) <= _CODE_LETTERS and text.isalpha():
        codes = lists.place_codes(kind, len(text))
        return written_like(text, maker.other(kind, text, lambda draw: draw.of(codes)))
    locale = maker.rule.locale or _home_of_place(text, kind)
    choices = lists.places(locale, kind)
    return written_like(text, maker.other(kind, text, lambda draw: draw.of(choices)))


def postcode(maker: Maker, text: str) -> str:
    """A postcode of the same form, which need not exist."""
    return maker.other("postcode", text, lambda draw: same_form(text, draw))


def organization(maker: Maker, text: str) -> str:
    """An invented firm."""
    family = lists.names(maker.rule.locale or "en_US").family
    endings = ("Ltd", "and Sons", "Group", "Works", "Partners")

    def make(draw: Draw) -> str:
        return f"{draw.of(family)} {draw.of(endings)}"

    return maker.other("organization", text, make)


def _home_of_place(text: str, kind: str) -> str:
    return lists.homes_of_places(kind).get(text.strip().casefold(), "en_US")
