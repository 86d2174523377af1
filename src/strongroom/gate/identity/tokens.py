"""Bearer secrets: made once, shown once, kept only as a keyed hash.

    srk_<id>_<secret>_<crc>
    │   │    │        └ CRC-32 of what stands before it, 8 hex digits
    │   │    └ 256 random bits, 52 characters of base 32
    │   └ 80 random bits, 16 characters; `srk_<id>` names the key in lists and in the log
    └ kind: srk API key, srs console session, srl one-time link, sri invitation

The CRC is no protection: it tells a mistyped or cut-off secret from a wrong one without a look
into the database, and lets secret scanners recognise a real one.
"""

import base64
import hmac
import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum

from strongroom.engines.crypto.wrapping import bind
from strongroom.errors import SignInError

MIN_PEPPER_BYTES = 32
_FORM = re.compile(r"(sr[ksli])_([a-z2-7]{16})_[a-z2-7]{52}_([0-9a-f]{8})", re.ASCII)


class TokenKind(StrEnum):
    """What a secret is good for; its first letters."""

    API_KEY = "srk"
    SESSION = "srs"
    LINK = "srl"
    INVITATION = "sri"


@dataclass(frozen=True, slots=True)
class Token:
    """A secret in our form. Not known to be valid.

    Attributes:
        id: `srk_…`, the public name of the key, session or link.
        text: the whole secret; kept out of `repr`.
    """

    kind: TokenKind
    id: str
    text: str = field(repr=False)

    def digest(self, pepper: bytes, *about: str) -> bytes:
        """32 bytes to keep in place of the secret: HMAC-SHA256 under the pepper.

        `about` is whose it is and what it is limited to: a row that is changed to say otherwise
        no longer fits the secret.
        """
        return hmac.digest(pepper, bind("strongroom credential", self.text, *about), "sha256")


def new_token(kind: TokenKind, random: Callable[[int], bytes]) -> Token:
    """A fresh secret; `random` gives that many unpredictable bytes."""
    identifier = random_id(kind.value, random)
    body = f"{identifier}_{_base32(random(32))}"
    return Token(kind, identifier, f"{body}_{zlib.crc32(body.encode()):08x}")


def parse_token(text: str) -> Token:
    """The token in `text`, with its form and CRC checked and nothing else.

    Raises:
        SignInError: not in our form, or mistyped.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise SignInError("the credential is not in the form of a key")
    kind, identifier, crc = match.groups()
    if f"{zlib.crc32(text[:-9].encode()):08x}" != crc:
        raise SignInError("the credential is mistyped or cut off")
    return Token(TokenKind(kind), f"{kind}_{identifier}", text)


def random_id(prefix: str, random: Callable[[int], bytes]) -> str:
    """`prefix_` and 16 characters of base 32, 80 random bits: an id that means nothing."""
    return f"{prefix}_{_base32(random(10))}"


def _base32(value: bytes) -> str:
    return base64.b32encode(value).decode("ascii").rstrip("=").lower()
