"""Stand-ins for names of people.

A given name gets a given name and a family name a family name, word by word, so that `Ada`,
`Lovelace`, `Ada Lovelace` and `Lovelace, Ada` stay one person over columns, tables and texts. The
price: a common name stays as common as it was, and who knows how often names occur can guess.
"""

import re
from functools import partial

from strongroom.engines.privacy.mask.drawing import Draw
from strongroom.engines.privacy.mask.standins import lists
from strongroom.engines.privacy.mask.standins.maker import Maker, written_like

_WORD = re.compile(r"[^\W\d_]+(?:['’.-]*[^\W\d_]+)*")  # noqa: RUF001 # names are written so
_KEPT = frozenset(
    """
    mr mrs ms miss mx dr prof sir lady rev herr frau fräulein dipl ing mag univ phd ph.d md m.d dds
    jr sr ii iii iv mme mlle monsieur madame señor señora srta don doña signor signora dott
    dottor sig van von der den de la le di da del dos das du des ter zu zur bin ibn al el
    """.split()  # noqa: SIM905 # a list of words reads better so
)


def given_name(maker: Maker, text: str) -> str:
    """Given names for given names, of the same gender where the rule says so."""
    return _WORD.sub(lambda found: _given(maker, found[0]), text)


def family_name(maker: Maker, text: str) -> str:
    """Family names for family names; particles such as `van` stay."""
    return _WORD.sub(lambda found: _family(maker, found[0]), text)


def person_name(maker: Maker, text: str) -> str:
    """A name for a full name, in its order; titles and particles stay, initials change."""
    words = [found for found in _WORD.finditer(text) if found[0].casefold() not in _KEPT]
    if not words:
        return "" if not text.strip() else _given(maker, text.strip())
    comma = text.find(",")
    if 0 < comma < words[-1].start():
        is_family = [word.start() < comma for word in words]
    elif len(words) == 1:
        is_family = [words[0][0].casefold() not in lists.given_names()]
    else:
        is_family = [False] * (len(words) - 1) + [True]
    made, at = [], 0
    for word, family in zip(words, is_family, strict=True):
        made += [text[at : word.start()], (_family if family else _given)(maker, word[0])]
        at = word.end()
    return "".join([*made, text[at:]])


def username(maker: Maker, text: str) -> str:
    """A user name made of a name and digits; a sign such as `@` before it stays."""
    sign = text[: len(text) - len(text.lstrip("@"))]
    return sign + maker.other("username", text.lstrip("@"), _invented_user)


def _invented_user(draw: Draw) -> str:
    listed = lists.names("en_US")
    return f"{draw.of(listed.given).lower()}{draw.of(listed.family).lower()}{draw.below(10_000)}"


def _given(maker: Maker, word: str) -> str:
    return maker.remembered("given", word, lambda: _made_given(maker, word))


def _made_given(maker: Maker, word: str) -> str:
    if word.casefold() in _KEPT:
        return word
    if len(word) == 1:
        return _initial(maker, word)
    listed = lists.names(maker.locale_of(word))
    gender = lists.genders().get(word.casefold()) if maker.rule.keep_gender else None
    choices = {"male": listed.male, "female": listed.female}.get(gender or "", listed.given)
    # The draw is one of the locale and the gender; `partial` for the loop's sake.
    return written_like(word, maker.other("given name", word, partial(_one_of, choices)))


def _family(maker: Maker, word: str) -> str:
    return maker.remembered("family", word, lambda: _made_family(maker, word))


def _made_family(maker: Maker, word: str) -> str:
    if word.casefold() in _KEPT:
        return word
    if len(word) == 1:
        return _initial(maker, word)
    choices = lists.names(maker.locale_of(word)).family
    return written_like(word, maker.other("family name", word, partial(_one_of, choices)))


def _initial(maker: Maker, letter: str) -> str:
    alphabet = "ABCDEFGHIJKLMNOPRSTW"
    return written_like(letter * 2, maker.other("initial", letter, partial(_one_of, alphabet)))


def _one_of(choices: "tuple[str, ...] | str", draw: Draw) -> str:
    return draw.of(choices)
