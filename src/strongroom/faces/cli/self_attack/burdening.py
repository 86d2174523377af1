"""Attacks that burden a server or make it talk: sizes, slowness, open doors, error texts."""

import gzip
import socket
import time
from collections.abc import Iterator
from contextlib import suppress

from strongroom.faces.cli.self_attack.attempts import Attack, Attempt, refused, told
from strongroom.faces.cli.self_attack.instance import Answer, Instance

_LARGE = 64 << 20
_SLOW_CONNECTIONS = 50
_SLOW_SECONDS = 3.0
_PROMPT_SECONDS = 5.0
"""In which another caller is answered while slow ones hold on."""
_TELLTALES = (
    b"Traceback (most recent", b'File "/', b"site-packages", b"sqlalchemy.", b"sqlite3.",
    b"/home/", b"/root/", b"psycopg", b"KeyError", b"NoneType",
)  # fmt: skip
_OPEN = frozenset({
    "/healthz", "/readyz", "/metrics", "/.well-known/openid-configuration",
    "/.well-known/jwks.json", "/api/v1/openapi.json",
})  # fmt: skip
"""Addresses that anybody may ask, by design."""


def sizes(instance: Instance) -> Iterator[Attempt]:
    """Bodies, heads and nestings that are too large; the server is well afterwards."""
    own = f"/api/v1/workspaces/{instance.workspace}/endpoints"
    deep = b"[" * 200_000 + b"]" * 200_000
    packed = gzip.compress(bytes(_LARGE))
    tries = {
        "a body of 64 MiB": (own, bytes(_LARGE), {}),
        "JSON nested 200,000 deep": (own, deep, {}),
        "64 MiB in a compressed body": (own, packed, {"Content-Encoding": "gzip"}),
        "a header of 1 MiB": (own, b"{}", {"X-Long": "a" * (1 << 20)}),
        "an address of 1 MiB": (f"{own}?{'a' * (1 << 20)}", b"{}", {}),
        "MLflow: JSON nested 200,000 deep": ("/api/2.0/mlflow/runs/create", deep, {}),
        "MLflow: a body of 64 MiB": ("/api/2.0/mlflow/runs/create", bytes(_LARGE), {}),
        "an endpoint: a body of 64 MiB": (
            f"/endpoints/{instance.workspace}/a/score", bytes(_LARGE), {},
        ),
    }  # fmt: skip
    for what, (path, content, headers) in tries.items():
        answer = instance.ask("POST", path, content=content, headers=headers)
        yield Attempt(what, not answer.is_done and answer.status < 500, told(answer))
        yield Attempt(f"well after {what}", instance.is_alive(), "asked /healthz")
    status = _declared(instance, own, 1 << 50)
    yield Attempt("a body that says it has a petabyte", not status.startswith("2"), status)


def _declared(instance: Instance, path: str, size: int) -> str:
    """The status of a request that promises `size` bytes and sends one."""
    head = (
        f"POST {path} HTTP/1.1\r\nHost: {instance.host}\r\nContent-Length: {size}\r\n"
        "Content-Type: application/json\r\n\r\n{"
    )
    with instance.connect() as connection:
        connection.settimeout(_PROMPT_SECONDS)
        with suppress(OSError):
            connection.sendall(head.encode())
            line = connection.recv(64).split(b"\r\n", 1)[0].split(b" ")
            return line[1].decode("ascii", "replace") if len(line) > 1 else "closed"
    return "no answer yet"


def slowness(instance: Instance) -> Iterator[Attempt]:
    """Many callers who send a byte at a time; others are answered meanwhile."""
    held: list[socket.socket] = []
    try:
        for _ in range(_SLOW_CONNECTIONS):
            with suppress(Exception):  # a server may refuse the connection: that is a defence
                connection = instance.connect()
                connection.sendall(b"POST /api/v1/whoami HTTP/1.1\r\nHost: x\r\nX-A: ")
                held.append(connection)
        ended = time.monotonic() + _SLOW_SECONDS
        slowest = 0.0
        answered = True
        while time.monotonic() < ended:
            for connection in held:
                with suppress(OSError):
                    connection.send(b"a")
            answer = instance.ask("GET", "/healthz", with_key=False, seconds=_PROMPT_SECONDS)
            answered &= answer.is_done
            slowest = max(slowest, answer.seconds)
            time.sleep(0.3)
    finally:
        for connection in held:
            connection.close()
    yield Attempt(
        f"others are answered while {_SLOW_CONNECTIONS} connections send a byte at a time",
        answered and slowest < _PROMPT_SECONDS, f"the slowest took {slowest:.2f} s",
    )  # fmt: skip
    yield Attempt("well after the slow ones", instance.is_alive(), "asked /healthz")


def open_doors(instance: Instance) -> Iterator[Attempt]:
    """Every address that the server describes, without a key."""
    for path, method in _described(instance):
        if path in _OPEN:
            continue
        answer = instance.ask(method, path, content=b"{}" if method != "GET" else None,
                              with_key=False)  # fmt: skip
        yield refused(f"{method} {path} without a key", answer)
    for path in (
        "/api/2.0/mlflow/experiments/search?max_results=1", "/graphql", "/mlflow/graphql",
        "/ajax-api/2.0/mlflow/experiments/search?max_results=1", "/api/3.0/mlflow/traces/search",
        "/gateway/", "/api/2.0/endpoints/", "/api/2.0/mlflow/users/create", "/admin", "/debug",
        "/api/2.0/mlflow-artifacts/artifacts", f"/endpoints/{instance.workspace}/a/score",
    ):  # fmt: skip
        yield refused(f"GET {path} without a key", instance.ask("GET", path, with_key=False))


def _described(instance: Instance) -> list[tuple[str, str]]:
    answer = instance.ask("GET", "/api/v1/openapi.json")
    found = answer.json()
    paths = found.get("paths", {}) if isinstance(found, dict) else {}
    known = {"workspace": instance.workspace}
    return [
        (_filled(path, known), method.upper())
        for path, methods in list(paths.items())[:500]
        if isinstance(methods, dict)
        for method in methods
        if method in {"get", "post", "put", "delete", "patch"}
    ]


def _filled(path: str, known: dict[str, str]) -> str:
    parts = []
    for part in path.split("/"):
        is_open = part.startswith("{") and part.endswith("}")
        parts.append(known.get(part[1:-1], "1") if is_open else part)
    return "/".join(parts)


def error_texts(instance: Instance) -> Iterator[Attempt]:
    """Errors that would tell of the machine, its paths or its code."""
    own = f"/api/v1/workspaces/{instance.workspace}"
    tries: list[tuple[str, str, bytes | None]] = [
        ("GET", f"{own}/data/'%22;--", None),
        ("GET", f"{own}/data?limit=nan", None),
        ("GET", f"{own}/data?limit=99999999999999999999", None),
        ("POST", f"{own}/endpoints", b"\xff\xfe"),
        ("POST", f"{own}/endpoints", b'{"endpoint": {"$gt": ""}}'),
        ("POST", f"{own}/endpoints", b'{"endpoint": null}'),
        ("POST", "/api/2.0/mlflow/runs/create", b"\xff"),
        ("POST", "/api/2.0/mlflow/runs/create", b'{"experiment_id": {}}'),
        ("GET", "/api/2.0/mlflow/runs/get?run_id=%00", None),
        ("GET", "/api/2.0/mlflow/experiments/search?max_results=1&filter=%27", None),
        ("POST", f"/endpoints/{instance.workspace}/a/score", b'{"rows": "x"}'),
        ("BREW", "/api/v1/whoami", None),
        ("GET", "/%ff%fe", None),
    ]
    for method, path, content in tries:
        answer = instance.ask(method, path, content=content)
        yield Attempt(f"{method} {path}", _is_discreet(answer), told(answer))


def _is_discreet(answer: Answer) -> bool:
    return answer.status < 500 and not any(one in answer.body for one in _TELLTALES)


ATTACKS = (
    Attack("self.sizes", 5, "Bodies and heads that are too large", ("AML.T0029",), sizes),
    Attack("self.slowness", 5, "Callers that are very slow", ("AML.T0029",), slowness),
    Attack("self.open_doors", 4, "Every address without a key", ("AML.T0040", "AML.T0049"),
           open_doors),
    Attack("self.error_texts", 6, "What errors tell", ("AML.T0063",), error_texts),
)  # fmt: skip
