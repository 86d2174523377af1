"""Tokens: random stand-ins that only a vault can turn back.

A token is drawn at random, once for each value of a domain, so nothing about the value can be
computed from it; the vault keeps which token stands for which value. Reading masked data needs
the vault's `tokens_for` only. Turning tokens back is a permission of its own.
"""

import base64
import json
import secrets
from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from strongroom.engines.privacy.mask.drawing import forms, same_form
from strongroom.engines.privacy.mask.hiding import normal
from strongroom.errors import TamperedError, TooLargeError, ValidationError

TOKEN_PREFIX = "tok_"  # noqa: S105 # the beginning of every opaque token, no secret
TOKEN_BYTES = 15
MAX_VALUE_CHARACTERS = 4_096
"""Of a value for which a token is kept."""
MIN_FORMS = 1_000_000
"""A value with fewer possible tokens of its form gets an opaque one, for they would be used up."""
MAX_FORM_CHARACTERS = 200
"""A longer value gets an opaque token, too."""
_ATTEMPTS = 64


class TokenVault(Protocol):
    """What keeps tokens, for one purpose."""

    def tokens_for(self, domain: str, values: Sequence[str], form: str) -> Sequence[str]:
        """The token of each value, drawn where it has none yet.

        Args:
            domain: separates types: equal texts of different domains have different tokens.
            values: distinct texts.
            form: `opaque` or `same`, for tokens that are drawn now.

        Returns: as many tokens, in that order; equal for values that `normal` makes equal.
        """
        ...


def draw_token(
    value: str, form: str, random_below: Callable[[int], int] = secrets.randbelow
) -> str:
    """A random token for `value`; the caller sees to it that it is new.

    Raises:
        TooLargeError: the value is longer than `MAX_VALUE_CHARACTERS`.
    """
    if len(value) > MAX_VALUE_CHARACTERS:
        raise TooLargeError(f"a value with a token may have {MAX_VALUE_CHARACTERS} characters")
    value = normal(value)
    # What cannot be printed cannot be copied out of a view either, nor kept by every database.
    if (
        form == "same"
        and value.isprintable()
        and len(value) <= MAX_FORM_CHARACTERS
        and forms(value) >= MIN_FORMS
    ):
        for _ in range(_ATTEMPTS):
            token = same_form(value, random_below)
            if token != value:
                return token
    number = random_below(1 << (8 * TOKEN_BYTES))
    encoded = base64.b32encode(number.to_bytes(TOKEN_BYTES, "big")).decode().lower()
    return f"{TOKEN_PREFIX}{encoded}"


class TokenFile:
    """A token vault in memory, read from and written to one sealed file by its caller.

    Nothing of it is on disk in clear: `sealed` gives the file's bytes. Not for several threads.
    """

    def __init__(self, *, max_tokens: int = 5_000_000) -> None:
        """`max_tokens` is how many it may hold: all are in memory."""
        self._tokens: dict[tuple[str, str], str] = {}
        self._values: dict[str, tuple[str, str]] = {}
        self._max_tokens = max_tokens
        self.drawn = 0
        """Tokens that were drawn since it was made or opened."""

    def __len__(self) -> int:
        return len(self._tokens)

    def tokens_for(self, domain: str, values: Sequence[str], form: str) -> list[str]:
        """See `TokenVault`.

        Raises:
            TooLargeError: a value is too long, or there would be too many.
        """
        return [self._token(domain, value, form) for value in values]

    def _token(self, domain: str, value: str, form: str) -> str:
        place = (domain, normal(value))
        if (kept := self._tokens.get(place)) is not None:
            return kept
        if len(self._tokens) >= self._max_tokens:
            raise TooLargeError(f"a token file holds at most {self._max_tokens} tokens")
        token = draw_token(value, form)
        while token in self._values or (domain, token) in self._tokens:
            token = draw_token(value, form)
        self._tokens[place] = token
        self._values[token] = (domain, value)
        self.drawn += 1
        return token

    def reverse(self, tokens: Iterable[str]) -> list[str | None]:
        """The value that each token stands for; None for what is no token of this vault."""
        found = (self._values.get(token.strip()) for token in tokens)
        return [kept[1] if kept is not None else None for kept in found]

    def forget(self, domain: str, values: Iterable[str]) -> int:
        """Delete the tokens of values: nothing turns these back again. How many there were."""
        gone = 0
        for value in values:
            token = self._tokens.pop((domain, normal(value)), None)
            if token is not None:
                del self._values[token]
                gone += 1
        return gone

    def sealed(self, seal: Callable[[bytes], bytes]) -> bytes:
        """The file: its content as `seal` seals it, which must also authenticate it."""
        kept = [[domain, value, token] for token, (domain, value) in self._values.items()]
        body = {"strongroom": "tokens/1", "tokens": kept}
        return seal(json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode())

    @classmethod
    def opened(
        cls, content: bytes, unseal: Callable[[bytes], bytes], *, max_tokens: int = 5_000_000
    ) -> "TokenFile":
        """What `sealed` wrote.

        Raises:
            TamperedError: `unseal` says so, or it is no token file.
            ValidationError: it holds more than `max_tokens`.
        """
        vault = cls(max_tokens=max_tokens)
        try:
            body = json.loads(unseal(content))
            if body["strongroom"] != "tokens/1":
                raise ValueError
            rows = [
                (str(domain), str(value), str(token)) for domain, value, token in body["tokens"]
            ]
        except (ValueError, KeyError, TypeError):
            raise TamperedError("this is no token file") from None
        if len(rows) > max_tokens:
            raise ValidationError(f"a token file holds at most {max_tokens} tokens")
        for domain, value, token in rows:
            vault._tokens[domain, normal(value)] = token  # of the same class
            vault._values[token] = (domain, value)  # as above
        if len(vault._values) != len(rows):  # as above
            raise TamperedError("a token stands twice in this token file")
        return vault
