"""What a caller who floods an endpoint takes from another: alone, beside the flood, next door.

Two servers alike, each with a guard that refuses and the limits an endpoint has by default. One
honest caller asks the first, a row at a time; four connections of another process flood the first
(beside) or the second (next door). Next door costs the same processors and no place in any line, so
what beside is worse than it is what the neighbour takes. Mark: p99 beside at most twice that.

    ROUNDS=3 python -m benchmarks noisy_neighbours
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

from benchmarks.guarded_prediction import ROUNDS, Server, honest_rows, is_whole, started
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


def _p99(took: list[float]) -> float:
    return sorted(took)[len(took) * 99 // 100]


def main() -> None:
    """Measure, and print p50 and p99."""
    os.environ["ROWS_PER_MINUTE"] = "60000"
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        servers = []
        for place in ("here", "next door"):
            folder = Path(name) / place
            folder.mkdir()
            (folder / "model.onnx").write_bytes(model())
            server = stack.enter_context(started("refusing", folder))
            servers.append((server, (folder / "refusing/other_key").read_text()))
        here = servers[0][0]
        print(f"{'flood':20} {'alone':>16} {'next door':>16} {'beside':>16}   p50 and p99, ms")
        for kind, body in _floods(honest_rows()).items():
            took: dict[str, list[float]] = {"alone": [], "next door": [], "beside": []}
            for _ in range(ROUNDS):
                took["alone"] += _asked(here)
                for place, (server, key) in zip(("beside", "next door"), servers, strict=True):
                    with _flooded(server, key, body):
                        took[place] += _asked(here)
            shown = [f"{statistics.median(one):7.1f} {_p99(one):8.1f}" for one in took.values()]
            print(f"{kind:20} {' '.join(shown)}", flush=True)


if __name__ == "__main__":
    main()
