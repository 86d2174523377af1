"""Draws that only a key tells, and values of the same form as another."""

import hashlib
import hmac
import re
import string
from collections.abc import Callable, Sequence
from typing import TypeVar

from strongroom.engines.privacy.mask.hiding import lookup_message

Item = TypeVar("Item")

Below = Callable[[int], int]
"""Gives a whole number from 0 up to, not including, its argument."""
_RUN = re.compile(r"\d+|[^\W\d_]")
"""Digits in a row, or a letter; some signs of numbers, such as ½, too."""


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

    def digits(self, count: int) -> str:
        """As many digits, the same as `below(10)` gives one by one."""
        self._pool, chosen = divmod(self._pool, 10**count)
        return f"{chosen:0{count}}"[::-1]

    def of(self, items: Sequence[Item]) -> Item:
        """One of `items`."""
        return items[self.below(len(items))]


def same_form(text: str, draw: "Draw | Below") -> str:
    """A text with a digit for each digit, a letter for each letter; all else stays.

    Small letters stay small and capitals stay capitals; letters of other alphabets become Latin.
    """
    below = draw.below if isinstance(draw, Draw) else draw

    def drawn(found: re.Match[str]) -> str:
        run = found[0]
        if run.isdecimal():
            if isinstance(draw, Draw):
                return draw.digits(len(run))
            return "".join(string.digits[below(10)] for _ in run)
        if not run.isalpha():
            return run
        letter = string.ascii_lowercase[below(26)]
        return letter.upper() if run.isupper() else letter

    return _RUN.sub(drawn, text)


def forms(text: str) -> int:
    """How many texts `same_form` can give for `text`."""
    count = 1
    for character in text:
        if character.isdecimal():
            count *= 10
        elif character.isalpha():
            count *= 26
    return count
