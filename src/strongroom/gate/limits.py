"""Token buckets in memory: how much one caller may ask in a time, and how much is recorded."""

import ipaddress
import threading
from collections import OrderedDict
from collections.abc import Callable

from strongroom.errors import RateLimitedError


def client_of(address: str) -> str:
    """Whose bucket an address takes from: itself, or its /64 for IPv6.

    A home or a machine has at least a /64 of IPv6 (RFC 6177), so single addresses limit nobody.
    IPv4 in the form of IPv6 counts as IPv4. Text that is no address, of a Unix socket, is one
    client.
    """
    try:
        found = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return ""
    if isinstance(found, ipaddress.IPv4Address):
        return str(found)
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return found.packed[:8].hex()


class TokenBuckets:
    """One bucket a key; the least recently used keys are forgotten above `max_keys`.

    A forgotten key starts with a full bucket, so `max_keys` must exceed the number of callers
    that can be active within one refill time.
    """

    def __init__(self, clock: Callable[[], float], max_keys: int = 100_000) -> None:
        """`clock` gives seconds that never go back."""
        self._clock = clock
        self._max_keys = max_keys
        self._buckets: OrderedDict[object, tuple[float, float]] = OrderedDict()
        self._lock = threading.Lock()

    def take(self, key: object, *, per_second: float, burst: float, cost: float = 1.0) -> None:
        """Take `cost` tokens from the bucket of `key`.

        Args:
            key: whose bucket, hashable.
            per_second: refill rate, tokens a second, > 0.
            burst: size of the bucket, tokens, > 0.
            cost: tokens this call costs, > 0; a cost above `burst` is never admitted.

        Raises:
            RateLimitedError: not enough tokens; nothing was taken.
        """
        now = self._clock()
        with self._lock:
            tokens, since = self._buckets.pop(key, (burst, now))
            tokens = min(burst, tokens + (now - since) * per_second)
            admitted = tokens >= cost
            self._buckets[key] = (tokens - cost if admitted else tokens, now)
            if len(self._buckets) > self._max_keys:
                self._buckets.popitem(last=False)
        if not admitted:
            raise RateLimitedError(
                "too many calls in too short a time",
                retry_after_seconds=(cost - tokens) / per_second,
            )


class Tally:
    """Chooses what of a flood goes on the record, and counts the rest.

    A record is a durable write, so who is refused for asking too much must not be able to fill
    the disk with refusals. What was not recorded is stated in the next record of that key.
    """

    def __init__(
        self, clock: Callable[[], float], *, per_minute: float, max_keys: int = 10_000
    ) -> None:
        """`per_minute`: records of one key; `clock` gives seconds that never go back."""
        self._buckets = TokenBuckets(clock, max_keys)
        self._per_minute = per_minute
        self._max_keys = max_keys
        self._missed: OrderedDict[object, int] = OrderedDict()
        self._lock = threading.Lock()

    def admit(self, key: object) -> int | None:
        """How many went unrecorded since the last record of `key`; None where this one does too."""
        try:
            self._buckets.take(key, per_second=self._per_minute / 60, burst=self._per_minute)
        except RateLimitedError:
            with self._lock:
                self._missed[key] = self._missed.pop(key, 0) + 1
                if len(self._missed) > self._max_keys:
                    self._missed.popitem(last=False)
            return None
        with self._lock:
            return self._missed.pop(key, 0)
