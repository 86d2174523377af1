"""Who may read `/metrics` without an account.

A scraper comes every few seconds: with an account each time would be a record in the log, and the
account would need the Operator's role. So it may have a secret that is good for nothing else.
"""

import hmac
import ipaddress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from starlette.requests import Request

from strongroom.errors import ValidationError
from strongroom.faces.api.callers import address_of
from strongroom.settings import Settings

MIN_TOKEN_CHARACTERS = 32

_FORWARDING = ("forwarded", "via", "x-forwarded-for", "x-real-ip")


@dataclass(frozen=True, slots=True)
class Scrapers:
    """What a scraper needs, as the settings say.

    Attributes:
        token: what a scraper presents in place of a key; empty: none is good.
        loopback: whether this machine needs none. A proxy on it that sets no header of its own
            lets everybody in, so the settings must say so.
    """

    token: str = field(repr=False)
    loopback: bool

    @classmethod
    def of(cls, settings: Settings) -> Self:
        """As the settings say.

        Raises:
            ValidationError: the file cannot be read, or its secret is too short.
        """
        if not settings.metrics_token_file:
            return cls("", settings.metrics == "loopback")
        try:
            token = Path(settings.metrics_token_file).read_text("ascii").strip()
        except (OSError, UnicodeDecodeError):
            raise ValidationError("setting `metrics_token_file`: it cannot be read") from None
        if len(token) < MIN_TOKEN_CHARACTERS:
            raise ValidationError(
                f"setting `metrics_token_file`: fewer than {MIN_TOKEN_CHARACTERS} characters"
            )
        return cls(token, settings.metrics == "loopback")

    def admit(self, request: Request) -> bool:
        """Whether the request needs no account."""
        presented = request.headers.getlist("authorization")
        if self.token and len(presented) == 1:
            scheme, _, value = presented[0].partition(" ")
            if scheme.lower() == "bearer" and hmac.compare_digest(
                value.strip().encode(), self.token.encode()
            ):
                return True
        return self.loopback and not presented and _from_here(request)


def _from_here(request: Request) -> bool:
    """Whether the caller is on this machine, and not a proxy on it that speaks for others."""
    if any(name in request.headers for name in _FORWARDING):
        return False
    try:
        return ipaddress.ip_address(address_of(request.scope)).is_loopback
    except ValueError:
        return False
