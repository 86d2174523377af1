"""Lists of names of people and places, from installed libraries; loaded on first use.

People: the name lists of Faker (MIT), some 80 countries, ordered there from public statistics.
Places: the places that phone numbers are geocoded to in phonenumbers (Apache-2.0), some 40,000.
Both are kept as lower-case words; nothing is read from disk but the libraries themselves.
"""

import importlib
import pkgutil
from collections.abc import Iterable
from functools import lru_cache

import re2

_GIVEN = ("first_names", "first_names_male", "first_names_female", "first_names_nonbinary")
_FAMILY = ("last_names", "last_names_male", "last_names_female")
_LEAST_LENGTH = 2

# Things that are also names: they say nothing alone.
_COMMON_WORDS = frozenset(
    """
    will may mark bill rose grace hope faith joy april june august summer autumn dawn olive violet
    indigo ruby amber jade ivory scarlet hazel ginger sienna coral lavender orange brown green
    white black gray grey blue pink gold silver garden mercury paris austin london sydney jordan
    chelsea the and for new all one day page price field power ray art drew sue pat gene frank
    earnest miles max min mean long short small large little young old good best love king queen
    prince stone wood lamp desk chair table book hall park lane street hill lake rivers mills
    fields banks bush forest
    """.split()  # noqa: SIM905 # a list of words reads better so
)


def _listed(provider: object, attributes: Iterable[str]) -> set[str]:
    """Lower-case words of the name lists that `provider` has."""
    words: set[str] = set()
    for attribute in attributes:
        names = getattr(provider, attribute, ())
        if isinstance(names, property) or not isinstance(names, Iterable):
            continue
        words.update(str(name).lower() for name in names)
    return {word for word in words if len(word) >= _LEAST_LENGTH}


@lru_cache(maxsize=1)
def people() -> tuple[frozenset[str], frozenset[str]]:
    """Given names and family names, lower case."""
    package = importlib.import_module("faker.providers.person")
    given: set[str] = set()
    family: set[str] = set()
    for module in pkgutil.iter_modules(package.__path__):
        provider = importlib.import_module(f"{package.__name__}.{module.name}").Provider
        given |= _listed(provider, _GIVEN)
        family |= _listed(provider, _FAMILY)
    return frozenset(given), frozenset(family)


@lru_cache(maxsize=1)
def places() -> frozenset[str]:
    """Towns, lower case, without their region."""
    data = importlib.import_module("phonenumbers.geodata").GEOCODE_DATA
    names = {name for by_language in data.values() for name in by_language.values()}
    found: set[str] = set()
    for name in names:
        # "Lindale, TX", "Nighasan/Tikunia, Uttar Pradesh", "Imbé - RS"
        place = name.partition(",")[0].partition("/")[0].partition(" - ")[0].strip()
        if len(place) > _LEAST_LENGTH and not place.isdigit():
            found.add(place.lower())
    return frozenset(found)


# Endings and beginnings of town names in several languages, for towns in no list.
_TOWN = re2.compile(
    r"(?i)(?:(?:east|west|north|south|new|port|lake|saint|st\.?|san|santa|bad|sankt|le|la|les|los"
    r"|las|el|sainte|nouvelle|neu|alt|gro(?:ß|ss)|klein|fort|mount|upper|lower|great|little|villa)"
    r"[ -][\pL\pM' -]+"
    r"|[\pL\pM' -]+(?:ville|town|borough|burgh?|bury|mouth|stad|stadt|furth?|side|shire|ham"
    r"|chester|view|haven|berg|fort|port|land|ton|dorf|hausen|heim|bach|bad|brück|kirchen|feld"
    r"|hofen|ingen|wald|polis|grad|ford|field|wick|wich|by|thorpe|pool|dam|horst|rode|leben|stett)"
    r"|[\pL\pM'-]+(?:-sur-|-les-|-la-|-le-|-de-|-en-|sur)[\pL\pM' -]+"
    r"|[\pL\pM' -]+ (?:am|an der|im|in der|bei|ob der|upon|on) [\pL\pM' -]+)"
)


def is_town(text: str) -> bool:
    """True for a listed town, or a name built as towns are."""
    lowered = text.lower()
    return lowered in places() or (
        lowered not in _COMMON_WORDS and _TOWN.fullmatch(text) is not None
    )


# Parts of town names that no name of a person has; some of a column are enough.
_SURELY_TOWN = re2.compile(
    r"(?i)[\pL\pM'-]+-(?:sur|sous|les|lès|en|am|an der|upon|de la|la)-[\pL\pM'-]+"
    r"|saint[ -]\pL.+-\pL.+"
    r"|sainte?[ ][\pL\pM-]+|bad [\pL\pM]+|[\pL\pM' -]+ (?:am|an der|ob der|upon|sulla|sul|di sopra)"
    r" [\pL\pM' -]+"
)


def is_surely_town(text: str) -> bool:
    """True for a name built as those of towns are and those of people are not."""
    return _SURELY_TOWN.fullmatch(text) is not None


_TITLES = frozenset(
    """
    mr mrs ms miss mx dr prof sir lady dame rev hon herr frau fräulein dipl ing mag univ phd md
    dds dvm jr sr ii iii iv m mme mlle monsieur madame señor señora sr sra srta don doña signor
    signora dott dottor sig van von der den de la le di da del dos das du des ter zu zur bin ibn
    al el b.a b.sc m.a m.sc b.eng ing. dipl.-ing. esq
    """.split()  # noqa: SIM905 # a list of words reads better so
)
_FIRMS = frozenset(
    """
    gmbh ag kg ohg inc ltd llc llp plc corp co sa sas sarl srl spa bv nv ab oy group sons holding
    holdings partners brothers company associates industries
    """.split()  # noqa: SIM905 # a list of words reads better so
)
"""At the end of a name they make it that of a firm."""
_SEPARATORS = str.maketrans(dict.fromkeys(',.;()/"\u00a0\t\n', " "))
_NOT_IN_NAMES = re2.compile(r"[\pN@:_#+=<>|*&!?%$€£\[\]{}\\\\]")


def is_firm(text: str) -> bool:
    """True for a name with the ending of a firm."""
    words = text.translate(_SEPARATORS).lower().split()
    return len(words) > 1 and words[-1] in _FIRMS


def _known(word: str, names: frozenset[str]) -> bool:
    """True for a listed name, or a double name with a listed half."""
    return word in names or ("-" in word and any(part in names for part in word.split("-")))


def name_kind(text: str) -> str:
    """What a value is by its words: `full`, `given`, `family`, `either` or empty.

    A full name has two to five words, of which the first or last is a listed name of its kind
    and the others look like names; titles and particles do not count.
    """
    if _NOT_IN_NAMES.search(text) is not None:
        return ""
    words = text.translate(_SEPARATORS).lower().split()
    words = [word for word in words if word not in _TITLES and len(word) > 1]
    if words and words[-1] in _FIRMS:
        return ""
    given, family = people()
    if len(words) == 1:
        word = words[0]
        if word in _COMMON_WORDS:
            return ""
        is_given, is_family = _known(word, given), _known(word, family)
        return "either" if is_given and is_family else (
            "given" if is_given else ("family" if is_family else "")
        )  # fmt: skip
    if not 2 <= len(words) <= 5:  # as the docstring says
        return ""
    if not all(word[:1].isalpha() for word in words):
        return ""
    ends = ((words[0], words[-1]), (words[-1], words[0]))  # "Doe, John" too
    for first, last in ends:
        known_first = _known(first, given) and first not in _COMMON_WORDS
        known_last = _known(last, family) and last not in _COMMON_WORDS
        if known_first and known_last:
            return "full"
    first, last = ends[0]
    written_as_name = text.istitle() or text.isupper()
    if not written_as_name or first in _COMMON_WORDS or last in _COMMON_WORDS:
        return ""
    return "full" if _known(first, given) else ""
