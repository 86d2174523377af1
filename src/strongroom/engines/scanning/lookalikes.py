"""Names of packages that are easily taken for those of well-known ones.

Told, never blocked: many an honest package has such a name. A name that is itself among the
well-known ones is not told.

Source: Vu, Pashchenko, Massacci, Plate and Sabetta, "Typosquatting and Combosquatting Attacks on
the Python Ecosystem", EuroS&PW 2020 (the kinds of change); Unicode TR39 (what looks alike).
"""

import re
import unicodedata
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files

# Of the well-known names, in order of their downloads, these many are worth imitating.
_IMITATED = 1_500
_SHORTEST = 4
# A word that is put before or behind a well-known name to make one's own.
_ADDED = re.compile(r"^(?:py|python|python3)-?|-?(?:py|python|python3)$")
# Letters of other scripts that look like Latin ones, of those that names have been made with.
_ALIKE = str.maketrans(
    "аеорсухіјѕԁһӏԛѡᴀοαενιρτυωκαӓæɡɩıłøđŀ",
    "aeopcyxijsdhlqwaoaevipruwkaaagiilodl",
)  # fmt: skip
_DIGITS = str.maketrans("01345", "oleas")


@lru_cache(maxsize=4_096)
def resembles(name: str) -> str:
    """The well-known package whose name is nearly `name`, or empty.

    Args:
        name: as written; it may hold any character.
    """
    folded = _folded(name)
    if len(folded) < _SHORTEST or len(folded) > 100:  # no name of a package is longer
        return ""
    known, imitated, near = _tables()
    if folded in known:
        return "" if name.isascii() else folded
    bare = folded.replace("-", "")
    if bare in imitated:
        return imitated[bare]
    for candidate in (_ADDED.sub("", folded), bare.translate(_DIGITS), bare.replace("rn", "m")):
        key = candidate.replace("-", "")
        if len(key) >= _SHORTEST and key != bare and key in imitated:
            return imitated[key]
    for shorter in (bare, *_shorter(bare)):
        for target in near.get(shorter, ()):
            if _is_one_change(bare, target):
                return imitated[target]
    return ""


def _folded(name: str) -> str:
    """Lower case, one separator, and Latin letters for those that look like them."""
    plain = unicodedata.normalize("NFKD", name).casefold().translate(_ALIKE)
    plain = "".join(
        char for char in plain if not unicodedata.combining(char) and char.isprintable()
    )
    return re.sub(r"[-_.]+", "-", plain).strip("-")


@lru_cache(maxsize=1)
def _tables() -> tuple[frozenset[str], dict[str, str], dict[str, list[str]]]:
    """All well-known names; the imitated ones without separators; those by what is left of them."""
    names = (files(__package__) / "well_known_packages.txt").read_text("ascii").split()
    imitated: dict[str, str] = {}
    near: dict[str, list[str]] = {}
    for name in names[:_IMITATED]:
        bare = name.replace("-", "")
        if len(bare) < _SHORTEST or bare in imitated:
            continue
        imitated[bare] = name
        if len(bare) > _SHORTEST:
            for shorter in {bare, *_shorter(bare)}:
                near.setdefault(shorter, []).append(bare)
    return frozenset(names), imitated, near


def _shorter(text: str) -> Iterator[str]:
    """`text` without one of its characters."""
    for place in range(len(text)):
        yield text[:place] + text[place + 1 :]


def _is_one_change(one: str, other: str) -> bool:
    """Whether one character added, left out, changed, or two swapped turn one into the other."""
    if one == other or abs(len(one) - len(other)) > 1:
        return False
    start = 0
    while start < min(len(one), len(other)) and one[start] == other[start]:
        start += 1
    left, right = one[start:], other[start:]
    if len(left) == len(right):
        swapped = len(left) > 1 and left[:2] == right[1::-1] and left[2:] == right[2:]
        return left[1:] == right[1:] or swapped
    return left[1:] == right if len(left) > len(right) else left == right[1:]
