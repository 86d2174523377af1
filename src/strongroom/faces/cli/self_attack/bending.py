"""Attacks that bend what is asked: requests within requests, other hosts, methods, old keys."""

import json
import secrets
from collections.abc import Iterator
from contextlib import suppress

from strongroom.faces.cli.self_attack.attempts import (
    Attack,
    Attempt,
    NotApplicable,
    refused,
    told,
)
from strongroom.faces.cli.self_attack.instance import Answer, Instance

_EVIL = "evil.example"
_SECONDS = 1.0
_CHUNKED = "Transfer-Encoding: chunked\r\n"
_INNER = "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"


def smuggling(instance: Instance) -> Iterator[Attempt]:
    """Requests that two servers in a row would part differently; none is answered twice."""
    chunked = f"0\r\n\r\n{_INNER}"
    tries = {
        "both lengths": (f"Content-Length: {{size}}\r\n{_CHUNKED}", chunked),
        "both lengths, a short one": (f"Content-Length: 5\r\n{_CHUNKED}", chunked),
        "an encoding that is none": (
            "Content-Length: 0\r\nTransfer-Encoding: xchunked\r\n", _INNER,
        ),
        "an encoding behind a tab": (
            "Content-Length: 0\r\nTransfer-Encoding:\tchunked\r\n", chunked,
        ),
        "an encoding twice": (
            "Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n", chunked,
        ),
        "a blank before the colon": ("Content-Length : {size}\r\n", _INNER),
        "two lengths": ("Content-Length: 0\r\nContent-Length: {size}\r\n", _INNER),
        "a length with a sign": ("Content-Length: +0\r\n", _INNER),
        "a length in two words": ("Content-Length: 0, {size}\r\n", _INNER),
        "a header that goes on": ("X-A: b\r\n Content-Length: {size}\r\n", _INNER),
        "a bare line feed": ("X-A: b\nContent-Length: {size}\r\n", _INNER),
        "a null in a header": ("X-A: b\0\r\nContent-Length: {size}\r\n", _INNER),
        "a chunk that ends early": (_CHUNKED, f"1\r\nA\n0\r\n\r\n{_INNER}"),
        "a chunk with a sign": (_CHUNKED, f"+0\r\n\r\n{_INNER}"),
    }  # fmt: skip
    for what, (headers, body) in tries.items():
        head = f"POST /api/v1/whoami HTTP/1.1\r\nHost: {instance.host}\r\n"
        asked = head + headers.format(size=len(body)) + "\r\n" + body
        count, first = _answers(instance, asked.encode("latin-1"))
        yield Attempt(f"a request within another: {what}", count <= 1, f"{count} answers {first}")
    yield Attempt("well after requests within others", instance.is_alive(), "asked /healthz")


def _answers(instance: Instance, asked: bytes) -> tuple[int, str]:
    """How often a connection answers to these bytes, and the first status."""
    got = bytearray()
    with instance.connect() as connection:
        connection.settimeout(_SECONDS)
        with suppress(OSError):
            connection.sendall(asked)
            while len(got) < 1 << 16 and (piece := connection.recv(1 << 14)):
                got += piece
    lines = got.split(b"HTTP/1.")
    first = lines[1].split(b" ")[1][:3].decode("ascii", "replace") if len(lines) > 1 else "closed"
    return len(lines) - 1, first


def redirects(instance: Instance) -> Iterator[Attempt]:
    """Addresses and hosts that would lead people, or links to them, elsewhere."""
    for path in (
        f"//{_EVIL}/", f"/\\{_EVIL}/", f"/%2f%2f{_EVIL}/", f"/sign-in?next=//{_EVIL}/",
        f"/sign-in?next=https://{_EVIL}", f"/?next=//{_EVIL}", f"/mlflow?//{_EVIL}",
        f"/sign-in?link=x&redirect=https://{_EVIL}/", f"//{_EVIL}/mlflow", f"/mlflow//{_EVIL}/..",
    ):  # fmt: skip
        answer = instance.ask("GET", path)
        place = answer.headers.get("location", "")
        host = place.split("?")[0]
        yield Attempt(
            f"GET {path} leads elsewhere", _EVIL not in host, f"{told(answer)} {place[:80]}"
        )
    for name in ("Host", "X-Forwarded-Host", "X-Host", "Forwarded"):
        value = f"host={_EVIL}" if name == "Forwarded" else _EVIL
        for path in ("/", "/sign-in", "/api/v1/openapi.json", "/.well-known/openid-configuration",
                     "/mlflow/", "/api/2.0/mlflow/experiments/search?max_results=1"):  # fmt: skip
            answer = instance.ask("GET", path, headers={name: value})
            said = answer.body + str(dict(answer.headers)).encode()
            yield Attempt(f"GET {path} with {name} of another", _EVIL.encode() not in said,
                          told(answer))  # fmt: skip


def caches(instance: Instance) -> Iterator[Attempt]:
    """Private answers that a cache between would keep, or take for a public file."""
    own = f"/api/v1/workspaces/{instance.workspace}"
    for path in ("/api/v1/whoami", f"{own}/models", f"{own}/data", "/",
                 "/api/2.0/mlflow/experiments/search?max_results=1"):  # fmt: skip
        answer = instance.ask("GET", path)
        kept = answer.headers.get("cache-control", "")
        yield Attempt(
            f"GET {path} may be kept by a cache",
            not answer.is_done or "no-store" in kept or "private" in kept, kept or "nothing said",
        )  # fmt: skip
    for ending in (
        "/a.css",
        ";a.css",
        "%2fa.css",
        "%00.css",
        "%0a.css",
        "/..%2fstatic/a.js",
        "?a.css",
    ):
        path = f"/api/v1/whoami{ending}"
        answer = instance.ask("GET", path)
        kept = answer.headers.get("cache-control", "")
        is_private = "no-store" in kept or "private" in kept
        yield Attempt(
            f"GET {path} looks like a file", not answer.is_done or is_private, told(answer)
        )


def methods(instance: Instance) -> Iterator[Attempt]:
    """Methods that stand elsewhere than in the request, and callers from other sites."""
    own = f"/api/v1/workspaces/{instance.workspace}/models"
    for name in ("X-HTTP-Method-Override", "X-HTTP-Method", "X-Method-Override"):
        answer = instance.ask("POST", "/api/v1/whoami", headers={name: "GET"}, content=b"{}")
        yield refused(f"POST /api/v1/whoami with {name}: GET", answer)
    for method in ("TRACE", "CONNECT", "TRACK", "DEBUG", "PROPFIND"):
        yield refused(f"{method} {own}", instance.ask(method, own))
    for origin in (f"https://{_EVIL}", "null", f"https://{instance.host}.{_EVIL}"):
        for method in ("OPTIONS", "GET"):
            headers = {"Origin": origin, "Access-Control-Request-Method": "POST"}
            answer = instance.ask(method, own, headers=headers)
            let_in = answer.headers.get("access-control-allow-origin", "")
            yield Attempt(f"{method} {own} from {origin}", let_in not in {origin, "*"},
                          let_in or "nobody is let in")  # fmt: skip
    for name, value in (("websocket", "websocket"), ("h2c", "h2c")):
        headers = {
            "Connection": "Upgrade", "Upgrade": value, "Sec-WebSocket-Version": "13",
            "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        }  # fmt: skip
        for path in ("/api/v1/whoami", "/mlflow/ws", "/"):
            answer = instance.ask("GET", path, headers=headers, with_key=False)
            yield Attempt(f"{name} at {path}", answer.status != 101, told(answer))


def old_keys(instance: Instance) -> Iterator[Attempt]:
    """A key that was good, after it was taken back; over every interface."""
    made = instance.ask(
        "POST", "/api/v1/tokens", content=json.dumps({
            "purpose": f"self-attack-{secrets.token_hex(4)}", "days": 1,
        }).encode(),
    )  # fmt: skip
    found = made.json()
    key, secret = (
        (found.get("id"), found.get("secret")) if isinstance(found, dict) else (None, None)
    )
    if not made.is_done or not key or not secret:
        raise NotApplicable(f"the key may make no other key to take back ({told(made)})")
    bearer = {"Authorization": f"Bearer {secret}"}
    if not instance.ask("GET", "/api/v1/whoami", headers=bearer).is_done:
        raise NotApplicable("the key that was made is good for nothing")
    taken = instance.ask("DELETE", f"/api/v1/tokens/{key}")
    yield Attempt("the key can be taken back", taken.is_done, told(taken))
    own = f"/api/v1/workspaces/{instance.workspace}"
    for path in ("/api/v1/whoami", f"{own}/models", f"{own}/data", "/api/v1/tokens",
                 "/api/2.0/mlflow/experiments/search?max_results=1",
                 f"/endpoints/{instance.workspace}/a/v2/models/a"):  # fmt: skip
        yield refused(f"GET {path} with a key taken back", _by(instance, path, bearer))
    yield refused("the same key as a cookie", _by(instance, "/api/v1/whoami", {
        "Authorization": "", "Cookie": f"session={secret}; __Host-session={secret}",
    }))  # fmt: skip
    yield refused("the same key in the address",
                  instance.ask("GET", f"/api/v1/whoami?token={secret}&api_key={secret}",
                               with_key=False))  # fmt: skip


def _by(instance: Instance, path: str, headers: dict[str, str]) -> Answer:
    return instance.ask("GET", path, headers=headers)


ATTACKS = (
    Attack("self.smuggling", 4, "Requests within requests", ("AML.T0049",), smuggling),
    Attack("self.redirects", 4, "Links and hosts that lead elsewhere", ("AML.T0049",), redirects),
    Attack("self.caches", 6, "Private answers that are kept between", ("AML.T0057",), caches),
    Attack("self.methods", 4, "Methods, origins and protocols of another kind", ("AML.T0049",),
           methods),
    Attack("self.old_keys", 4, "A key that was taken back", ("AML.T0012",), old_keys),
)  # fmt: skip
