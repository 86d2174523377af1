"""The console's session, a cookie that scripts and other sites cannot use, and its forms."""

import asyncio
import urllib.parse
from typing import Protocol

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from strongroom.errors import (
    CallerError,
    MediaTypeError,
    SlowError,
    TooLargeError,
    TruncatedError,
)
from strongroom.faces.credentials import COOKIE
from strongroom.gate.access.types import Principal

MAX_FORM_BYTES = 64 * 1024
MAX_FORM_FIELDS = 100
FORM_SECONDS = 20.0
"""Forms are read before anybody is signed in, so no one may take long over them."""


class BegunSession(Protocol):
    """A session just begun."""

    @property
    def principal(self) -> Principal:
        """Whose it is."""
        ...

    @property
    def secret(self) -> str:
        """For the cookie."""
        ...


class SignsIn(Protocol):
    """Who signs people in: `gate.identity.sign_in.SignIn`."""

    def identify(self, credential: str | None, address: str = "") -> Principal:
        """The principal of a session's secret; ANONYMOUS for none. Raises SignInError."""
        ...

    def sign_in(self, link: str, address: str = "") -> BegunSession:
        """Spend a one-time link. Raises SignInError."""
        ...

    def sign_out(self, secret: str, address: str = "") -> None:
        """End a session. Raises SignInError."""
        ...


def keep(response: Response, secret: str, seconds: int) -> None:
    """Have the browser keep the session for `seconds`."""
    response.set_cookie(
        COOKIE, secret, max_age=seconds, path="/", secure=True, httponly=True, samesite="strict"
    )


def drop(response: Response) -> None:
    """Have the browser forget the session."""
    response.delete_cookie(COOKIE, path="/", secure=True, httponly=True, samesite="strict")


async def read_form(request: Request) -> dict[str, str]:
    """The fields of a posted form.

    Raises:
        MediaTypeError, TooLargeError, CallerError: it is no form, too large, or ambiguous.
        SlowError, TruncatedError: not all of it came, or not in time.
    """
    body = b""
    try:
        async with asyncio.timeout(FORM_SECONDS):
            async for piece in request.stream():
                body += piece
                if len(body) > MAX_FORM_BYTES:
                    raise TooLargeError(f"the form has more than {MAX_FORM_BYTES} bytes")
    except TimeoutError:
        raise SlowError("the form arrived too slowly") from None
    except ClientDisconnect:
        raise TruncatedError("the connection ended before the form did") from None
    essence = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if body and essence != "application/x-www-form-urlencoded":
        raise MediaTypeError("the body must be `application/x-www-form-urlencoded`")
    try:
        pairs = urllib.parse.parse_qsl(
            body.decode("ascii"), keep_blank_values=True, strict_parsing=bool(body),
            errors="strict", max_num_fields=MAX_FORM_FIELDS,
        )  # fmt: skip
    except ValueError:
        raise CallerError("the form cannot be read") from None
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise CallerError("the form has a field twice")
    return fields
