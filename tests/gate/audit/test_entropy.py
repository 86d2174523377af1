"""Random bytes from a stock: each once, and never the parent's in a child."""

import os
from concurrent.futures import ThreadPoolExecutor

from strongroom.gate.audit.entropy import Entropy


def test_each_byte_is_handed_out_once() -> None:
    drawn = os.urandom(300_000)
    position = [0]

    def source(size: int) -> bytes:
        position[0] += size
        return drawn[position[0] - size : position[0]]

    entropy = Entropy(source)
    taken = [entropy(16) for _ in range(10_000)]
    assert {len(piece) for piece in taken} == {16}
    places = [drawn.find(piece) for piece in taken]
    assert min(places) >= 0
    assert len(set(taken)) == len(taken)
    assert places == sorted(places)


def test_large_requests_are_drawn_directly() -> None:
    assert len(Entropy()(100_000)) == 100_000
    assert Entropy()(0) == b""


def test_threads_never_share_bytes() -> None:
    entropy = Entropy()
    with ThreadPoolExecutor(8) as pool:
        taken = list(pool.map(lambda _: entropy(16), range(20_000)))
    assert len(set(taken)) == len(taken)


def test_a_child_draws_its_own() -> None:
    entropy = Entropy()
    entropy(8)
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writing, entropy(16))
        os._exit(0)
    os.waitpid(child, 0)
    assert os.read(reading, 16) != entropy(16)
    os.close(reading)
    os.close(writing)
