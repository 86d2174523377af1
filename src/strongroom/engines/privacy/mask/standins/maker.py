"""What every kind of stand-in is made with: the key, the rule, and the promise to differ."""

import unicodedata
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache

from strongroom.engines.privacy.mask.arrays import MAX_REMEMBERED
from strongroom.engines.privacy.mask.drawing import Draw
from strongroom.engines.privacy.mask.hiding import REDACTED, normal
from strongroom.engines.privacy.mask.policy import MaskRule
from strongroom.engines.privacy.mask.standins import lists

MANY_ATTEMPTS = 4_000
"""Enough to meet a check of 1 in 97 with a chance of failure below 1e-17."""
_ATTEMPTS = 100
_DEFAULT_LOCALE = "en_US"


@dataclass(frozen=True, slots=True)
class Maker:
    """Makes stand-ins under one key: the same input of one domain always gets the same one.

    Attributes:
        key: of stand-ins, 32 bytes.
        rule: its options `locale`, `keep_gender` and `checksum` are obeyed.
    """

    key: bytes
    rule: MaskRule
    _words: dict[tuple[str, str], str] = field(default_factory=dict, repr=False, compare=False)

    def remembered(self, kind: str, word: str, make: Callable[[], str]) -> str:
        """What `make` gives for a word, made once: words of names come again and again."""
        place = (kind, word)
        if (made := self._words.get(place)) is None:
            made = make()
            if len(self._words) < MAX_REMEMBERED:
                self._words[place] = made
        return made

    def other(
        self,
        domain: str,
        text: str,
        make: Callable[[Draw], str],
        *,
        accept: Callable[[str], bool] | None = None,
        attempts: int = _ATTEMPTS,
    ) -> str:
        """The first thing made that is accepted and is not `text` itself.

        Where none is found the value is redacted: it is never shown.
        """
        folded = normal(text).casefold()
        for attempt in range(attempts):
            made = make(Draw(self.key, domain, folded, attempt))
            if made.casefold() != folded and (accept is None or accept(made)):
                return made
        return REDACTED

    def locale_of(self, *words: str) -> str:
        """The rule's locale; else the first that lists one of the words; else en_US."""
        if self.rule.locale:
            return self.rule.locale
        for word in words:
            if (home := lists.homes().get(word.casefold())) is not None:
                return home
        return _DEFAULT_LOCALE


def written_like(text: str, made: str) -> str:
    """`made` in capitals or small letters where `text` is."""
    if len(text) > 1 and text.isupper():
        return made.upper()
    return made.lower() if text.islower() else made


@lru_cache(maxsize=8_192)  # of names in our lists: what comes in is no stranger's
def plain_letters(text: str) -> str:
    """`text` as small letters a to z, for addresses."""
    decomposed = unicodedata.normalize("NFKD", text.casefold())
    return "".join(letter for letter in decomposed if "a" <= letter <= "z") or "x"
