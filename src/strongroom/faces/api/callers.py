"""Who calls: the credential a request presents, and the address it truly came from."""

import time
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import Scope

from strongroom.faces.credentials import api_key
from strongroom.gate.access.types import ANONYMOUS, Principal
from strongroom.gate.limits import TokenBuckets, client_of

Identify = Callable[[str, str], Principal]
"""(secret, address) → principal: `gate.identity.sign_in.SignIn.identify`.

Raises SignInError where the secret is not valid (any more), and records that itself.
"""


def address_of(scope: Scope) -> str:
    """The peer's address as the socket knows it; headers such as X-Forwarded-For count nothing."""
    client = scope.get("client")
    return str(client[0]) if client else ""


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
            SignInError, CallerError: see `api_key` and `Identify`.
            RateLimitedError: too many strangers from this address. Not recorded: each record is
                a durable write, and a stranger must not be able to fill the disk with them.
        """
        address = address_of(scope)
        secret = api_key(Headers(scope=scope))
        if secret:
            return self._identify(secret, address)
        self._buckets.take(
            client_of(address), per_second=self._per_minute / 60, burst=self._per_minute
        )
        return ANONYMOUS
