"""Draws that only a key tells, and values of the same form as another."""

import hashlib
import hmac
import string
from collections.abc import Callable, Sequence
from typing import TypeVar

from strongroom.engines.privacy.mask.hiding import lookup_message

Item = TypeVar("Item")

Below = Callable[[int], int]
"""Gives a whole number from 0 up to, not including, its argument."""


class Draw:
    """A row of choices fixed by a key, a domain, a value and the number of the attempt."""

    def __init__(self, key: bytes, domain: str, text: str, attempt: int = 0) -> None:
        message = attempt.to_bytes(4, "big") + lookup_message(text, domain)
        seed = hmac.digest(key, message, "sha256")
        # 64 bits more than a letter of text can use up, so that no choice leans to one side.
        size = 32 + len(text.encode("utf-8", "surrogatepass"))
        self._pool = int.from_bytes(hashlib.shake_256(seed).digest(size), "big")

    def below(self, bound: int) -> int:
        """A whole number from 0 up to, not including, `bound`."""
        self._pool, chosen = divmod(self._pool, bound)
        return chosen

    def of(self, items: Sequence[Item]) -> Item:
        """One of `items`."""
        return items[self.below(len(items))]


def same_form(text: str, below: Below) -> str:
    """A text with a digit for each digit, a letter for each letter; all else stays.

    Small letters stay small and capitals stay capitals; letters of other alphabets become Latin.
    """
    drawn = []
    for character in text:
        if character.isdecimal():
            drawn.append(string.digits[below(10)])
        elif character.isalpha():
            letter = string.ascii_lowercase[below(26)]
            drawn.append(letter.upper() if character.isupper() else letter)
        else:
            drawn.append(character)
    return "".join(drawn)


def forms(text: str) -> int:
    """How many texts `same_form` can give for `text`."""
    count = 1
    for character in text:
        if character.isdecimal():
            count *= 10
        elif character.isalpha():
            count *= 26
    return count
