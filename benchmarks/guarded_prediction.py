"""What guarding a prediction costs: our path over TLS against peers in clear and unguarded.

One row of 30 numbers, a gradient-boosting model in ONNX Runtime, one worker each, 32 kept
connections from a second process, rounds in turn. Every answer of ours has passed API key, Cedar
decision, token bucket, schema, rounding, and is in the log, durable, before it leaves.

Marks: at least 0.7 of the bare limit and 3 times FastAPI, p99 at most 10 ms, at most 110 µs of
processor time a request.
"""

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
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

CONNECTIONS = 32
ROUNDS = 5
SECONDS = 2.0
WARM_UP_SECONDS = 1.0
ROW = [17.99, 10.38, 122.8, 1001.0, 0.1184, 0.2776, 0.3001, 0.1471, 0.2419, 0.0787, 1.095, 0.9053,
       8.589, 153.4, 0.0064, 0.049, 0.0537, 0.0159, 0.03, 0.0062, 25.38, 17.33, 184.6, 2019.0,
       0.1622, 0.6656, 0.7119, 0.2654, 0.4601, 0.1189]  # fmt: skip  # one row
PATHS = {
    "bare": "/score",
    "fastapi": "/score",
    "guarded": "/endpoints/clinic/tumour/score",
    "batched": "/endpoints/clinic/tumour/score",
}
TITLES = {
    "bare": "bare ASGI, clear (limit)",
    "fastapi": "FastAPI by hand, clear",
    "guarded": "guarded, TLS, recorded before the answer",
    "batched": "guarded, TLS, recorded behind the answer",
}


# ---- the servers, each in a process of its own ----


def _model() -> bytes:
    """Trained the same each time."""
    import skl2onnx
    from skl2onnx.common.data_types import FloatTensorType
    from sklearn.datasets import load_breast_cancer
    from sklearn.ensemble import GradientBoostingClassifier

    data, target = load_breast_cancer(return_X_y=True)
    model = GradientBoostingClassifier(random_state=0).fit(data, target)
    converted: bytes = skl2onnx.convert_sklearn(
        model,
        initial_types=[("input", FloatTensorType([None, 30]))],
        options={id(model): {"zipmap": False}},
    ).SerializeToString()
    return converted


def _session(folder: Path) -> Any:  # noqa: ANN401 # onnxruntime has no types
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    return onnxruntime.InferenceSession((folder / "model.onnx").read_bytes(), options)


def _bare(folder: Path) -> Any:  # noqa: ANN401 # an ASGI application
    import msgspec
    import numpy as np

    session = _session(folder)
    decoder = msgspec.json.Decoder(dict[str, list[list[float]]])
    encode = msgspec.json.Encoder().encode
    head = {"type": "http.response.start", "status": 200}

    async def app(_scope: Any, receive: Any, send: Any) -> None:  # noqa: ANN401 # ASGI
        body = (await receive())["body"]
        rows = np.array(decoder.decode(body)["rows"], dtype=np.float32)
        labels, probabilities = session.run(None, {"input": rows})
        answer = encode({"predictions": labels.tolist(), "probabilities": probabilities.tolist()})
        length = (b"content-length", str(len(answer)).encode())
        await send({**head, "headers": [(b"content-type", b"application/json"), length]})
        await send({"type": "http.response.body", "body": answer})

    return app


def _fastapi(folder: Path) -> Any:  # noqa: ANN401 # an ASGI application
    import numpy as np
    from fastapi import FastAPI
    from pydantic import BaseModel

    session = _session(folder)
    app = FastAPI()

    class Rows(BaseModel):
        rows: list[list[float]]

    @app.post("/score")
    async def score(body: Rows) -> dict[str, Any]:
        table = np.array(body.rows, dtype=np.float32)
        labels, probabilities = session.run(None, {"input": table})
        return {"predictions": labels.tolist(), "probabilities": probabilities.tolist()}

    # With postponed annotations the local class would not be found; here it is.
    return app


@contextmanager
def _guarded(folder: Path, *, behind: bool) -> Iterator[tuple[Any, Any]]:
    """Our application over a real home, and its certificate; writes the API key to `key`."""
    from strongroom.faces.foundation import open_foundation
    from strongroom.faces.inference.app import InferenceApp
    from strongroom.gate.access.roles import workspace_role
    from strongroom.gate.access.types import Principal, PrincipalKind
    from strongroom.gate.declaration import operations_of
    from strongroom.gate.identity.accounts import create_account
    from strongroom.gate.workspaces.tables import WorkspaceRow
    from strongroom.services.endpoints.operations import EndpointOperations
    from strongroom.services.endpoints.runners import Runners
    from strongroom.services.endpoints.types import CreateEndpoint, DeployModel
    from strongroom.services.models.types import Servable
    from strongroom.settings import Settings
    from strongroom.vault.certificates import ensure_certificate

    class Shelf:
        """Hands out the one model."""

        def servable(self, workspace: str, model: str, version: int) -> Servable:
            """It, whatever is asked for."""
            del workspace
            names = tuple(f"x{i}" for i in range(30))
            onnx = (folder / "model.onnx").read_bytes()
            return Servable(
                model=model, version=version, digest="0" * 64, onnx=onnx, features=names,
                feature_types=("FP32",) * 30, classes=("0", "1"),
            )  # fmt: skip  # one call

        def require_standing(self, *_version: object) -> None:
            """It stays approved."""

        def falls_back(self, _workspace: str) -> bool:
            """To no other: there is one."""
            return False

    with ExitStack() as stack:
        found = stack.enter_context(open_foundation(Settings(home=folder / "home")))
        now = datetime.now(UTC)
        with found.database.write() as session:
            place = WorkspaceRow(name="clinic", description="", created_by="", created_at=now)
            session.add(place)
            row = create_account(
                session, "eve", PrincipalKind.PERSON, by="", now=now, random=os.urandom
            )
            found.grants.grant(
                session, row.id, workspace_role("ML Engineer"), "clinic", by=row.id, now=now
            )
            _, key = found.issuer.api_key(
                session, row.id, purpose="bench", days=1, workspaces=(), by=row.id
            )
        runners = Runners()
        stack.callback(runners.close)
        room = EndpointOperations(Shelf(), runners)
        verbs = {bound.declared.name: bound for bound in operations_of(room)}
        eve = Principal(PrincipalKind.PERSON, row.id, "eve")
        place_of = {"workspace": "clinic", "endpoint": "tumour"}
        create = CreateEndpoint.model_validate({**place_of, "rows_per_minute": 100_000_000})
        found.gate.perform(verbs["endpoint.create"], eve, create)
        deploy = DeployModel.model_validate({**place_of, "model": "tumour", "version": 1})
        found.gate.perform(verbs["endpoint.deploy"], eve, deploy)
        app = InferenceApp(
            identity=found.sign_in, access=found.access, log=found.log, runners=runners,
            record_before_answer=not behind,
        )  # fmt: skip  # one call
        certificate = ensure_certificate(
            found.home.tls, found.database, found.keyring, ["localhost"], now
        )
        (folder / "key").write_text(key)
        yield app, certificate


def _serve(kind: str, folder: Path) -> None:
    """Run one server until it is told to stop."""
    import uvicorn

    with ExitStack() as stack:
        options: dict[str, Any] = {}
        if kind in {"guarded", "batched"}:
            app, certificate = stack.enter_context(_guarded(folder, behind=kind == "batched"))
            options = {
                "ssl_certfile": str(certificate.certificate),
                "ssl_keyfile": str(certificate.key),
                "ssl_keyfile_password": certificate.key_password,
            }
        else:
            app = _bare(folder) if kind == "bare" else _fastapi(folder)
        listening = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
        config = uvicorn.Config(
            app, loop="uvloop", http="httptools", lifespan="off", ws="none", log_config=None,
            access_log=False, **options,
        )  # fmt: skip  # one call
        print(listening.getsockname()[1], flush=True)
        uvicorn.Server(config).run(sockets=[listening])


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


def _request(path: str, key: str) -> bytes:
    body = json.dumps({"rows": [ROW]}).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
        f"content-length: {len(body)}\r\nx-api-key: {key}\r\n\r\n"
    )
    return head.encode() + body


def _is_whole(received: bytes) -> bool:
    end = received.find(b"\r\n\r\n")
    if end < 0:
        return False
    start = received.find(b"content-length: ") + 16
    length = int(received[start : received.find(b"\r\n", start)])
    if not received.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(received[:300])
    return len(received) >= end + 4 + length


def _load(port: int, request: bytes, context: ssl.SSLContext | None, seconds: float) -> list[float]:
    """Seconds that each answer took, over `CONNECTIONS` connections kept busy."""
    took: list[float] = []
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
            connection.channel.send(request)
        until = time.perf_counter() + seconds
        while (now := time.perf_counter()) < until:
            for entry, _ in selector.select(0.1):
                connection = entry.data
                try:
                    connection.received += connection.channel.recv(65_536)
                except ssl.SSLWantReadError:
                    continue
                if not _is_whole(connection.received):
                    continue
                now = time.perf_counter()
                took.append(now - connection.began)
                connection.received, connection.began = b"", now
                connection.channel.send(request)
    return took


def _cpu_seconds(process_id: int) -> float:
    """Of a process, with its threads (proc(5), stat: fields 14 and 15)."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@dataclass
class _Server:
    kind: str
    process: "subprocess.Popen[str]"
    port: int
    request: bytes
    context: ssl.SSLContext | None

    def round(self, seconds: float) -> Round:
        before, began = _cpu_seconds(self.process.pid), time.perf_counter()
        took = sorted(_load(self.port, self.request, self.context, seconds))
        passed = time.perf_counter() - began
        cpu = _cpu_seconds(self.process.pid) - before
        return Round(
            len(took) / passed,
            took[len(took) // 2] * 1e3,
            took[len(took) * 99 // 100] * 1e3,
            cpu / len(took) * 1e6,
        )


@contextmanager
def _started(kind: str, folder: Path) -> Iterator[_Server]:
    home = folder / kind
    home.mkdir()
    (home / "model.onnx").write_bytes((folder / "model.onnx").read_bytes())
    process = subprocess.Popen(
        [sys.executable, "-m", "benchmarks.guarded_prediction", kind, str(home)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None  # noqa: S101 # asked for above
        port = int(process.stdout.readline())
        key, context = "", None
        if kind in {"guarded", "batched"}:
            key = (home / "key").read_text()
            authority = next((home / "home/tls").glob("*ca*.pem"), None) or next(
                (home / "home/tls").glob("auth*.pem")
            )
            context = ssl.create_default_context(cafile=str(authority))
        server = _Server(kind, process, port, _request(PATHS[kind], key), context)
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
        (folder / "model.onnx").write_bytes(_model())
        servers = [stack.enter_context(_started(kind, folder)) for kind in PATHS]
        rounds: dict[str, list[Round]] = {kind: [] for kind in PATHS}
        for _ in range(ROUNDS):
            for server in servers:
                rounds[server.kind].append(server.round(SECONDS))
    speed = {}
    print(f"{'server':45} {'req/s':>8} {'p50 ms':>8} {'p99 ms':>8} {'CPU µs':>8}")
    for kind, found in rounds.items():
        middle = {
            field: statistics.median(getattr(entry, field) for entry in found)
            for field in ("requests_per_second", "p50_ms", "p99_ms", "cpu_us")
        }
        speed[kind] = middle["requests_per_second"]
        print(
            f"{TITLES[kind]:45} {speed[kind]:8.0f} {middle['p50_ms']:8.2f} "
            f"{middle['p99_ms']:8.2f} {middle['cpu_us']:8.0f}"
        )
    for kind in ("guarded", "batched"):
        print(
            f"{kind}: {speed[kind] / speed['bare']:.2f} of the bare limit, "
            f"{speed[kind] / speed['fastapi']:.2f} times FastAPI"
        )


if __name__ == "__main__":
    if len(sys.argv) == 3:
        _serve(sys.argv[1], Path(sys.argv[2]))
    else:
        main()
