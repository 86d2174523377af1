"""What a request presents to say who it is: an API key, or the console's session."""

import base64
import binascii

from starlette.datastructures import Headers
from starlette.requests import cookie_parser

from strongroom.errors import RefusedError, SignInError

SAFE_METHODS = frozenset({"GET", "HEAD"})


def api_key(headers: Headers) -> str:
    """The key in the Authorization header; empty where there is none.

    MLflow's client sends `Bearer KEY` for MLFLOW_TRACKING_TOKEN, and `Basic` with the key as
    password for MLFLOW_TRACKING_PASSWORD.

    Raises:
        SignInError: two such headers, another scheme, or not readable.
    """
    presented = headers.getlist("authorization")
    if not presented:
        return ""
    scheme, _, value = presented[0].partition(" ")
    value = value.strip()
    if len(presented) == 1 and value and scheme.lower() == "bearer":
        return value
    if len(presented) == 1 and scheme.lower() == "basic":
        try:
            _, _, password = base64.b64decode(value, validate=True).decode("utf-8").partition(":")
        except (binascii.Error, UnicodeDecodeError):
            raise SignInError("the Authorization header cannot be read") from None
        if password:
            return password
    raise SignInError("the Authorization header holds no API key")


def session_secret(headers: Headers, cookie: str) -> str:
    """The secret of the console's session; empty where there is none."""
    return str(cookie_parser("; ".join(headers.getlist("cookie"))).get(cookie, ""))


def require_same_origin(method: str, scheme: str, headers: Headers) -> None:
    """Refuse a change that a page of another origin lets a signed-in browser make.

    Raises:
        RefusedError: the request changes something and does not say that it comes from here.
    """
    if method in SAFE_METHODS:
        return
    origin, host = headers.getlist("origin"), headers.getlist("host")
    if len(origin) != 1 or len(host) != 1 or origin[0] != f"{scheme}://{host[0]}":
        raise RefusedError("the request does not come from this server's own pages")
