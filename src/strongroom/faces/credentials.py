"""What a request presents to say who sends it: an API key, or the session of a browser.

`__Host-` makes browsers take the session's cookie only from this very host over TLS, for all
paths.
"""

import base64
import binascii

from starlette.datastructures import Headers

from strongroom.errors import CallerError, RefusedError, SignInError

COOKIE = "__Host-strongroom"
SAFE_METHODS = frozenset({"GET", "HEAD"})
MAX_CREDENTIAL_CHARACTERS = 4096


def api_key(headers: Headers) -> str:
    """The key in the Authorization header; empty where there is none.

    `Bearer KEY` and, for MLflow's client, `Basic` with the key as the password are taken.

    Raises:
        CallerError: two such headers, which two readers could take differently.
        SignInError: another scheme, or not decodable.
    """
    presented = headers.getlist("authorization")
    if not presented:
        return ""
    if len(presented) > 1:
        raise CallerError("the request has two Authorization headers")
    scheme, _, value = presented[0].partition(" ")
    value = value.strip()
    if len(value) > MAX_CREDENTIAL_CHARACTERS or not value:
        raise SignInError("the Authorization header holds no API key")
    if scheme.lower() == "bearer":
        return value
    if scheme.lower() == "basic":
        try:
            _, _, password = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise SignInError("the Authorization header cannot be read") from None
        if password:
            return password
    raise SignInError("the Authorization header holds no API key")


def session_secret(headers: Headers) -> str:
    """The session's secret; empty where there is none or the request has two."""
    found = []
    for header in headers.getlist("cookie"):
        for pair in header.split(";"):
            name, _, value = pair.strip().partition("=")
            if name == COOKIE:
                found.append(value)
    return found[0] if len(found) == 1 else ""


def require_own_origin(scheme: str, headers: Headers) -> None:
    """Refuse a change that was not sent from a page of this very server.

    Raises:
        RefusedError: the Origin is missing, opaque (`null`) or another.
    """
    origins = headers.getlist("origin")
    own = [f"{scheme}://{host}" for host in headers.getlist("host")]
    site = headers.get("sec-fetch-site", "same-origin")
    if len(origins) != 1 or origins != own or site not in {"same-origin", "none"}:
        raise RefusedError(
            "the request does not come from this server's own pages",
            next_step="open the console at its own address and try again",
        )
