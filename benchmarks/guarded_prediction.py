"""What guarding a prediction costs: our path over TLS against peers in clear and unguarded.

One row of 30 numbers, a gradient-boosting model in ONNX Runtime, one worker each, 32 kept
connections from a second process, rounds in turn. Every answer of ours has passed API key, Cedar
decision, token bucket, schema, rounding, and is in the log, durable, before it leaves.

Beside them the same with a guard of rows and callers, that observes or refuses: a mark of 500 µs of
processor time for a request of one row. Every request has a row of its own, so that the monitor of
callers has something to remember, and honest rows are refused at the rate that was set.

Marks: at least 0.7 of the bare limit and 3 times FastAPI, p99 at most 10 ms, at most 110 µs of
processor time a request without a guard.

    python -m benchmarks guarded_prediction            # all
    GUARDS_ONLY=1 ROUNDS=3 python -m benchmarks guarded_prediction
"""

import itertools
import json
import os
import selectors
import socket
import ssl
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from benchmarks.prediction_servers import GUARDED, model

CONNECTIONS = 32
ROUNDS = int(os.environ.get("ROUNDS", "5"))
SECONDS = 2.0
WARM_UP_SECONDS = 1.0
PATHS = {
    "bare": "/score",
    "fastapi": "/score",
    "guarded": "/endpoints/clinic/tumour/score",
    "observing": "/endpoints/clinic/tumour/score",
    "refusing": "/endpoints/clinic/tumour/score",
    "batched": "/endpoints/clinic/tumour/score",
}
TITLES = {
    "bare": "bare ASGI, clear (limit)",
    "fastapi": "FastAPI by hand, clear",
    "guarded": "guarded, TLS, recorded before the answer",
    "observing": "the same, a guard observes",
    "refusing": "the same, a guard refuses",
    "batched": "guarded, TLS, recorded behind the answer",
}


# ---- the load, from this process ----


@dataclass
class _Connection:
    channel: socket.socket
    began: float = 0.0
    received: bytes = b""


@dataclass(frozen=True)
class Round:
    """What one round gave."""

    requests_per_second: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    refused: float


def honest_rows() -> list[list[float]]:
    """Rows that the guard did not learn from; the bare servers get the same."""
    import numpy as np
    from sklearn.datasets import load_breast_cancer

    data = load_breast_cancer(return_X_y=True)[0]
    known = np.random.default_rng(0).random(len(data)) < 0.5
    rows: list[list[float]] = data[~known].tolist()
    return rows


def _request(path: str, key: str, row: list[float]) -> bytes:
    body = json.dumps({"rows": [row]}).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nx-api-key: {key}\r\n\r\n"
    )
    return head.encode() + body


def is_whole(received: bytes) -> bool:
    """Whether an answer has come to its end. Raises: RuntimeError: it is an error."""
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return False
    start = received.find(b"content-length: ") + 16
    length = int(received[start : received.find(b"\r\n", start)])
    if not received.startswith((b"HTTP/1.1 200", b"HTTP/1.1 422")):
        raise RuntimeError(received[:300])
    return len(received) >= end + 4 + length


def _load(
    port: int, requests: list[bytes], context: ssl.SSLContext | None, seconds: float
) -> tuple[list[float], int]:
    """Seconds that each answer took, over `CONNECTIONS` connections kept busy; how many refused."""
    took: list[float] = []
    refused = 0
    turn = itertools.cycle(requests)
    with selectors.EpollSelector() as selector, ExitStack() as stack:
        connections = []
        for _ in range(CONNECTIONS):
            channel = stack.enter_context(socket.create_connection(("127.0.0.1", port)))
            channel.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if context is not None:
                channel = stack.enter_context(
                    context.wrap_socket(channel, server_hostname="localhost")
                )
            channel.setblocking(False)
            connection = _Connection(channel)
            connections.append(connection)
            selector.register(channel, selectors.EVENT_READ, connection)
        for connection in connections:
            connection.began = time.perf_counter()
            connection.channel.send(next(turn))
        until = time.perf_counter() + seconds
        while (now := time.perf_counter()) < until:
            for entry, _ in selector.select(0.1):
                connection = entry.data
                try:
                    connection.received += connection.channel.recv(65_536)
                except ssl.SSLWantReadError:
                    continue
                if not is_whole(connection.received):
                    continue
                now = time.perf_counter()
                took.append(now - connection.began)
                refused += connection.received.startswith(b"HTTP/1.1 422")
                connection.received, connection.began = b"", now
                connection.channel.send(next(turn))
    return took, refused


def cpu_seconds(process_id: int) -> float:
    """Of a process, with its threads (proc(5), stat: fields 14 and 15)."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class Server:
    """One of the servers, in a process of its own."""

    kind: str
    process: "subprocess.Popen[str]"
    port: int
    requests: list[bytes]
    context: ssl.SSLContext | None

    def round(self, seconds: float) -> Round:
        """Load it for so long."""
        before, began = cpu_seconds(self.process.pid), time.perf_counter()
        took, refused = _load(self.port, self.requests, self.context, seconds)
        took.sort()
        passed = time.perf_counter() - began
        cpu = cpu_seconds(self.process.pid) - before
        return Round(
            len(took) / passed,
            took[len(took) // 2] * 1e3,
            took[len(took) * 99 // 100] * 1e3,
            cpu / len(took) * 1e6,
            refused / len(took),
        )


@contextmanager
def started(kind: str, folder: Path) -> Iterator[Server]:
    """A server until the block ends; its keys lie in `folder`, below its kind."""
    home = folder / kind
    home.mkdir()
    (home / "model.onnx").write_bytes((folder / "model.onnx").read_bytes())
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.prediction_servers", kind, str(home)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None  # noqa: S101 # asked for above
        port = int(process.stdout.readline())
        key, context = "", None
        if kind in GUARDED:
            key = (home / "key").read_text()
            authority = next((home / "home/tls").glob("*ca*.pem"), None) or next(
                (home / "home/tls").glob("auth*.pem")
            )
            context = ssl.create_default_context(cafile=str(authority))
        requests = [_request(PATHS[kind], key, row) for row in honest_rows()]
        server = Server(kind, process, port, requests, context)
        deadline = time.monotonic() + 30
        while True:
            try:
                server.round(WARM_UP_SECONDS)
                break
            except ConnectionError:
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)
        yield server
    finally:
        process.terminate()
        process.wait(20)


def main() -> None:
    """Measure, and print ratios."""
    with tempfile.TemporaryDirectory() as name, ExitStack() as stack:
        folder = Path(name)
        (folder / "model.onnx").write_bytes(model())
        kinds = GUARDED[:3] if os.environ.get("GUARDS_ONLY") else tuple(PATHS)
        servers = [stack.enter_context(started(kind, folder)) for kind in kinds]
        rounds: dict[str, list[Round]] = {kind: [] for kind in kinds}
        for _ in range(ROUNDS):
            for server in servers:
                rounds[server.kind].append(server.round(SECONDS))
    speed = {}
    print(f"{'server':45} {'req/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'CPU µs':>8} {'refused':>8}")
    for kind, found in rounds.items():
        middle = {
            field: statistics.median(getattr(entry, field) for entry in found)
            for field in ("requests_per_second", "p50_ms", "p99_ms", "cpu_us", "refused")
        }
        speed[kind] = middle["requests_per_second"]
        print(
            f"{TITLES[kind]:45} {speed[kind]:8.0f} {middle['p50_ms']:8.2f} "
            f"{middle['p99_ms']:8.2f} {middle['cpu_us']:8.0f} {middle['refused']:8.3f}"
        )
    for kind in ("guarded", "batched") if "bare" in speed else ():
        print(
            f"{kind}: {speed[kind] / speed['bare']:.2f} of the bare limit, "
            f"{speed[kind] / speed['fastapi']:.2f} times FastAPI"
        )


if __name__ == "__main__":
    main()
