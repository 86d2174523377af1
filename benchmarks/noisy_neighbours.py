"""What a caller who floods an endpoint takes from another: alone, beside the flood, next door.

Two servers alike, each with a guard that refuses and the limits an endpoint has by default. One
honest caller asks the first, a row at a time; four connections of other processes flood the first
(beside) or the second (next door). Next door costs the same processors and no place in any line, so
what beside is worse than it is what the neighbour takes. The last column is the processor time that
the server spends on the flood, honest answers left out: wall times of a busy machine say little.
Mark: p99 beside at most twice that of a quiet server.

    ROUNDS=3 python -m benchmarks noisy_neighbours
    FLOODS="deep;not a number" ROWS_PER_MINUTE=100000000 python -m benchmarks noisy_neighbours
"""

import itertools
import json
import multiprocessing
import os
import socket
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.synchronize import Event
from pathlib import Path

from benchmarks.guarded_prediction import (
    ROUNDS,
    Server,
    cpu_seconds,
    honest_rows,
    is_whole,
    started,
)
from benchmarks.prediction_servers import model

SECONDS = 2.0
CONNECTIONS = 4
_PATH = "/endpoints/clinic/tumour/score"


def _floods(rows: list[list[float]]) -> dict[str, bytes]:
    """Bodies of a caller who wants to take the others' answers away."""
    many = json.dumps({"rows": (rows * 4)[:1_000]}).encode()
    return {
        "1,000 rows": many,
        "1,000 rows, padded": many + b" " * 4_000_000,
        "huge numbers": b'{"rows": [[' + b"9" * 1_000_000 + b"]]}",
        "deep": b'{"rows": ' + b"[" * 1_000_000,
        "not a number": b'{"rows": [[NaN]]}',
        "single rows": json.dumps({"rows": rows[:1]}).encode(),
    }


def _flood(server: Server, key: str, body: bytes, stop: Event) -> None:
    """Send it again and again, over one connection after the other."""
    head = (
        f"POST {_PATH} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nx-api-key: {key}\r\n\r\n"
    ).encode()
    while not stop.is_set():
        try:
            with _connected(server) as channel:
                while not stop.is_set():
                    channel.sendall(head + body)
                    if not channel.recv(65_536):
                        break
        except OSError:
            continue  # cut off: come again


@contextmanager
def _connected(server: Server) -> Iterator[socket.socket]:
    assert server.context is not None  # noqa: S101 # of ours all are
    with (
        socket.create_connection(("127.0.0.1", server.port), timeout=10) as channel,
        server.context.wrap_socket(channel, server_hostname="localhost") as safe,
    ):
        yield safe


@contextmanager
def _flooded(server: Server, key: str, body: bytes) -> Iterator[None]:
    stop = multiprocessing.get_context("fork").Event()
    floods = [
        multiprocessing.get_context("fork").Process(target=_flood, args=(server, key, body, stop))
        for _ in range(CONNECTIONS)
    ]
    for one in floods:
        one.start()
    try:
        yield
    finally:
        stop.set()
        for one in floods:
            one.join(20)
            one.kill()


def _asked(server: Server) -> list[float]:
    """Milliseconds that each answer to the honest caller took."""
    took = []
    turn = itertools.cycle(server.requests)
    until = time.perf_counter() + SECONDS
    with _connected(server) as channel:
        while (began := time.perf_counter()) < until:
            channel.sendall(next(turn))
            received = channel.recv(65_536)
            while not is_whole(received):
                received += channel.recv(65_536)
            took.append(1e3 * (time.perf_counter() - began))
            time.sleep(0.005)
    return took


class _Place:
    """What the honest caller waited in one place, and what the server spent meanwhile."""

    def __init__(self) -> None:
        self.took: list[float] = []
        self.cpu = 0.0

    def ask(self, server: Server) -> None:
        """One round."""
        before = cpu_seconds(server.process.pid)
        self.took += _asked(server)
        self.cpu += cpu_seconds(server.process.pid) - before

    @property
    def middle(self) -> float:
        """p50, milliseconds."""
        return statistics.median(self.took)

    @property
    def p99(self) -> float:
        """Milliseconds."""
        return sorted(self.took)[len(self.took) * 99 // 100]


def _measured(servers: list[tuple[Server, str]], body: bytes) -> str:
    here = servers[0][0]
    alone, beside, next_door = _Place(), _Place(), _Place()
    for _ in range(ROUNDS):
        alone.ask(here)
        for place, (server, key) in zip((beside, next_door), servers, strict=True):
            with _flooded(server, key, body):
                place.ask(here)
    shown = [f"{one.middle:7.1f} {one.p99:8.1f}" for one in (alone, next_door, beside)]
    ratios = f"{beside.p99 / alone.p99:8.1f} {beside.p99 / next_door.p99:10.1f}"
    # What an honest answer costs is known from when there was no flood.
    honest = alone.cpu / len(alone.took) * len(beside.took)
    spent = (beside.cpu - honest) / (ROUNDS * SECONDS)
    return f"{' '.join(shown)} {ratios} {spent:9.2f}"


def main() -> None:
    """Measure, and print p50 and p99."""
    os.environ.setdefault("ROWS_PER_MINUTE", "60000")
    floods = _floods(honest_rows())
    kinds = os.environ["FLOODS"].split(";") if "FLOODS" in os.environ else list(floods)
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        servers = []
        for place in ("here", "next door"):
            folder = Path(name) / place
            folder.mkdir()
            (folder / "model.onnx").write_bytes(model())
            server = stack.enter_context(started("refusing", folder))
            servers.append((server, (folder / "refusing/other_key").read_text()))
        print(
            f"{'flood':20} {'alone':>16} {'next door':>16} {'beside':>16} {'/alone':>8} "
            f"{'/next door':>10} {'CPU s/s':>9}   p50 and p99, ms; ratios of p99"
        )
        for kind in kinds:
            print(f"{kind:20} {_measured(servers, floods[kind])}", flush=True)


if __name__ == "__main__":
    main()
