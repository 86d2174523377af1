"""Who calls: the credential a request presents, and the address it truly came from."""

import base64
import binascii
import time
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import Scope

from strongroom.errors import CallerError, SignInError
from strongroom.gate.access.types import ANONYMOUS, Principal
from strongroom.gate.limits import TokenBuckets

MAX_CREDENTIAL_CHARACTERS = 4096

Identify = Callable[[str, str], Principal]
"""(secret, address) → principal: `gate.identity.sign_in.SignIn.identify`.

Raises SignInError where the secret is not valid (any more), and records that itself.
"""


def address_of(scope: Scope) -> str:
    """The peer's address as the socket knows it; headers such as X-Forwarded-For count nothing."""
    client = scope.get("client")
    return str(client[0]) if client else ""


def secret_of(headers: Headers) -> str:
    """The secret in the Authorization header; empty where there is none.

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


class Callers:
    """Turns requests into principals; those without a credential share a bucket an address."""

    def __init__(self, identify: Identify, *, strangers_per_minute: int) -> None:
        """`strangers_per_minute`: calls without a credential from one address."""
        self._identify = identify
        self._per_minute = strangers_per_minute
        self._buckets = TokenBuckets(time.monotonic)

    def identify(self, scope: Scope) -> Principal:
        """The principal of the request, ANONYMOUS where it presents no credential.

        Raises:
            SignInError, CallerError: see `secret_of` and `Identify`.
            RateLimitedError: too many strangers from this address. Not recorded: each record is
                a durable write, and a stranger must not be able to fill the disk with them.
        """
        address = address_of(scope)
        secret = secret_of(Headers(scope=scope))
        if secret:
            return self._identify(secret, address)
        self._buckets.take(address, per_second=self._per_minute / 60, burst=self._per_minute)
        return ANONYMOUS
