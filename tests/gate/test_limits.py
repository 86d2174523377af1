import pytest

from strongroom.errors import RateLimitedError
from strongroom.gate.limits import Tally, TokenBuckets, client_of


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("::ffff:192.0.2.1", "192.0.2.1", True),
        ("::ffff:192.0.2.1", "::ffff:192.0.2.2", False),
        ("2001:db8:0:1::1", "2001:db8:0:1:ffff:ffff:ffff:ffff", True),
        ("2001:db8:0:1::1", "2001:db8:0:2::1", False),
        ("fe80::1%eth0", "fe80::2%eth1", True),
        ("", "no address", True),
    ],
)
def test_addresses_of_one_client(one: str, other: str, *, same: bool) -> None:
    assert (client_of(one) == client_of(other)) is same


def test_a_burst_is_admitted_then_the_refill_rate_holds() -> None:
    clock = Clock()
    buckets = TokenBuckets(clock)
    for _ in range(3):
        buckets.take("a", per_second=2, burst=3)
    with pytest.raises(RateLimitedError) as refused:
        buckets.take("a", per_second=2, burst=3)
    assert refused.value.retry_after_seconds == pytest.approx(0.5)
    clock.now = 0.5
    buckets.take("a", per_second=2, burst=3)
    with pytest.raises(RateLimitedError):
        buckets.take("a", per_second=2, burst=3)


def test_refused_calls_cost_nothing_and_callers_do_not_share() -> None:
    clock = Clock()
    buckets = TokenBuckets(clock)
    buckets.take("a", per_second=1, burst=1)
    for _ in range(10):
        with pytest.raises(RateLimitedError):
            buckets.take("a", per_second=1, burst=1)
    buckets.take("b", per_second=1, burst=1)
    clock.now = 1.0
    buckets.take("a", per_second=1, burst=1)


def test_a_cost_above_the_burst_is_never_admitted() -> None:
    clock = Clock()
    buckets = TokenBuckets(clock)
    clock.now = 1e9
    with pytest.raises(RateLimitedError):
        buckets.take("a", per_second=1, burst=5, cost=6)


def test_memory_is_bounded() -> None:
    buckets = TokenBuckets(Clock(), max_keys=10)
    for key in range(1000):
        buckets.take(key, per_second=1, burst=1)
    assert len(buckets._buckets) == 10


def test_a_tally_counts_what_it_does_not_record() -> None:
    clock = Clock()
    tally = Tally(clock, per_minute=2)
    assert [tally.admit("ann") for _ in range(5)] == [0, 0, None, None, None]
    assert tally.admit("bob") == 0
    clock.now += 30
    assert tally.admit("ann") == 3
    clock.now += 30
    assert tally.admit("ann") == 0
