"""Callers share a turn of the loop fairly, whatever one of them sends."""

import asyncio
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.errors import UnavailableError
from strongroom.faces.inference import turns
from strongroom.faces.inference.turns import Turns

SMALL = 600
LARGE = 250_000


async def _served(asked: list[tuple[str, int]]) -> list[str]:
    """Who is served, in order, where all ask in the same turn of the loop."""
    shared, order = Turns(), list[str]()

    async def ask(caller: str, size: int) -> None:
        if (place := shared.take(caller, size)) is not None:
            await place
        order.append(caller)

    await asyncio.gather(*(ask(caller, size) for caller, size in asked))
    assert not shared._lines
    assert shared._held == 0
    return order


def test_a_lone_request_waits_for_nothing() -> None:
    async def ask() -> None:
        shared = Turns()
        assert shared.take("eve", SMALL) is None
        await asyncio.sleep(0)
        assert not shared._spent  # the next turn is a new one

    asyncio.run(ask())


def test_small_requests_do_not_wait_for_large_ones_of_others() -> None:
    order = asyncio.run(_served([("mal", LARGE)] * 40 + [("eve", SMALL)] * 3))
    assert order[:3] == ["eve"] * 3


def test_many_small_requests_of_one_leave_room_for_another() -> None:
    order = asyncio.run(_served([("mal", SMALL)] * 200 + [("eve", SMALL)] * 5))
    assert max(place for place, who in enumerate(order) if who == "eve") < 20


def test_callers_go_in_turn_and_by_bytes() -> None:
    order = asyncio.run(_served([("mal", LARGE)] * 10 + [("eve", LARGE // 4)] * 20))
    # While both wait, some four of the smaller ones go for each of the larger.
    until = order.index("eve", 12)
    seen = Counter(order[: until + 1])
    assert seen["eve"] >= 3 * (seen["mal"] - 1)


def test_a_turn_has_an_end() -> None:
    """However many callers ask, little is begun in one turn."""

    async def ask() -> None:
        shared = Turns()
        places = [shared.take(f"caller {n}", LARGE // 8) for n in range(100)]
        while any(place is not None and not place.done() for place in places):
            before = sum(place is None or place.done() for place in places)
            await asyncio.sleep(0)
            begun = sum(place is None or place.done() for place in places) - before
            assert begun * LARGE // 8 <= 2 * turns._WHOLE

    asyncio.run(ask())


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 3_000_000)), min_size=1, max_size=60)
)
def test_everybody_is_served_in_the_end_in_their_own_order(asked: list[tuple[str, int]]) -> None:
    async def served() -> list[tuple[str, int]]:
        shared, order = Turns(), list[tuple[str, int]]()

        async def ask(number: int, caller: str, size: int) -> None:
            if (place := shared.take(caller, size)) is not None:
                await place
            order.append((caller, number))

        await asyncio.gather(*(ask(number, *one) for number, one in enumerate(asked)))
        return order

    order = asyncio.run(served())
    assert len(order) == len(asked)
    for caller in "abc":
        own = [number for who, number in order if who == caller]
        assert own == sorted(own)


def test_too_much_of_one_caller_is_refused_and_of_others_taken() -> None:
    async def ask() -> None:
        shared = Turns()
        waiting = [shared.take("mal", 8 * 2**20) for _ in range(8)]
        with pytest.raises(UnavailableError):
            shared.take("mal", 8 * 2**20)
        assert shared.take("eve", SMALL) is None
        many = [shared.take("sam", SMALL) for _ in range(257)]
        with pytest.raises(UnavailableError):
            shared.take("sam", SMALL)
        await asyncio.gather(*(place for place in waiting + many if place is not None))

    asyncio.run(ask())


def test_a_body_that_the_operator_allows_is_taken_however_large() -> None:
    async def ask() -> None:
        shared = Turns()
        alone = shared.take("ann", 300 * 2**20)
        assert alone is not None
        for caller in ("ann", "eve"):
            with pytest.raises(UnavailableError):
                shared.take(caller, 8 * 2**20)
        await alone
        if (place := shared.take("eve", SMALL)) is not None:
            await place
        assert shared._held == 0

    asyncio.run(ask())


def test_who_has_gone_costs_no_turn() -> None:
    async def ask() -> None:
        shared = Turns()
        gone = [shared.take("mal", LARGE) for _ in range(20)]
        for place in gone:
            assert place is not None
            place.cancel()
        last = shared.take("mal", SMALL)
        assert last is not None
        await last
        assert shared._held == 0

    asyncio.run(ask())
