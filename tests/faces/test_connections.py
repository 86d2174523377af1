"""A request's head and the number of connections are bounded before anybody has signed in."""

import asyncio
import contextlib
import resource
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import uvicorn
from starlette.types import Receive, Scope, Send
from tests.faces.serving import certificates

from strongroom.faces import connections, parting, server
from strongroom.faces.listening import listen
from strongroom.vault.certificates import ServerCertificate

_SEEN: list[Scope] = []


async def _app(scope: Scope, _receive: Receive, send: Send) -> None:
    """Answers at once, without reading a body."""
    _SEEN.append(scope)
    if scope["path"] == "/slow":
        await asyncio.sleep(0.1)
    if scope["path"] == "/unread":
        body = b"too large"
        headers = [(b"connection", b"close"), (b"content-length", b"%d" % len(body))]
        await send({"type": "http.response.start", "status": 413, "headers": headers})
        await send({"type": "http.response.body", "body": body})
        return
    if scope["path"] == "/large":
        await send({"type": "http.response.start", "status": 200, "headers": []})
        for _ in range(64):
            await send({"type": "http.response.body", "body": bytes(2**20), "more_body": True})
        await send({"type": "http.response.body", "body": b""})
        _SEEN.append(scope)
        return
    await send({"type": "http.response.start", "status": 200, "headers": []})
    await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def port(monkeypatch: pytest.MonkeyPatch) -> Iterator[int]:
    """A server with short times and few connections."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", 0.4)
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", 16)
    monkeypatch.setattr(connections, "STUCK_SECONDS", 0.4)
    monkeypatch.setattr(parting, "PARTING_SECONDS", 0.1)
    config = uvicorn.Config(
        _app, http=connections.BoundedConnection, lifespan="off", ws="none", log_config=None
    )
    running = uvicorn.Server(config)
    _SEEN.clear()
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        while not running.started:
            time.sleep(0.01)
        try:
            yield int(listener.getsockname()[1])
        finally:
            running.should_exit = True
            thread.join()


@pytest.fixture
def safe_port(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[int, Path]]:
    """The server as it is run, with TLS and its event loop; and whom to trust."""
    monkeypatch.setattr(parting, "PARTING_SECONDS", 0.1)
    authority, certificate, key = certificates(tmp_path)
    config = server.configuration(_app, ServerCertificate(certificate, certificate, key, ""))
    running = uvicorn.Server(config)
    with listen("127.0.0.1", 0) as listener:
        thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]})
        thread.start()
        while not running.started:
            time.sleep(0.01)
        try:
            yield int(listener.getsockname()[1]), authority
        finally:
            running.should_exit = True
            thread.join()


def _connected(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), timeout=5)


def _rest(connection: socket.socket) -> bytes:
    """What comes until the server closes the connection."""
    found = bytearray()
    with contextlib.suppress(ConnectionError):
        while piece := connection.recv(65536):
            found += piece
    return bytes(found)


def _asked(port: int, request: bytes) -> bytes:
    with _connected(port) as connection:
        with contextlib.suppress(ConnectionError):
            connection.sendall(request)
        return _rest(connection)


def _seconds_until_cut(port: int, start: bytes, piece: bytes, *, pause: float) -> float:
    """How long the server goes on taking pieces after the start; at most some five seconds."""
    began = time.monotonic()
    with _connected(port) as connection, contextlib.suppress(ConnectionError):
        connection.sendall(start)
        while time.monotonic() - began < 5:
            connection.sendall(piece)
            time.sleep(pause)
    return time.monotonic() - began


GET = b"GET / HTTP/1.1\r\nHost: here\r\n"


def test_an_honest_request_is_answered(port: int) -> None:
    assert b"200 OK" in _asked(port, GET + b"Connection: close\r\n\r\n")


@pytest.mark.parametrize(
    "head",
    [
        b"GET /" + b"a" * 200_000 + b" HTTP/1.1\r\n\r\n",
        GET + b"X-Long: " + b"a" * 200_000 + b"\r\n\r\n",
        GET + b"".join(b"x%d: 1\r\n" % i for i in range(200)) + b"\r\n",
        GET + b"".join(b"x%d: %s\r\n" % (i, b"a" * 4_000) for i in range(50)) + b"\r\n",
    ],
    ids=["address", "value", "many", "together"],
)
def test_a_head_that_is_too_long_is_refused(port: int, head: bytes) -> None:
    answer = _asked(port, head)
    assert b"200 OK" not in answer
    assert not _SEEN


def test_a_header_that_never_ends_is_not_kept(port: int) -> None:
    assert _seconds_until_cut(port, GET + b"X-Long: ", b"a" * 65_536, pause=0.001) < 0.4


@pytest.mark.parametrize("start", [b"", b"GET / HT", GET])
def test_a_head_that_does_not_come_ends_the_connection(port: int, start: bytes) -> None:
    began = time.monotonic()
    with _connected(port) as connection:
        connection.sendall(start)
        assert _rest(connection) == b""
    assert time.monotonic() - began < 3


def test_a_head_that_trickles_ends_the_connection(port: int) -> None:
    assert _seconds_until_cut(port, GET, b"x: 1\r\n", pause=0.05) < 3


def test_a_body_that_nobody_wants_cannot_hold_the_connection(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100000\r\n\r\n"
    assert _seconds_until_cut(port, head, b"x", pause=0.05) < 3


def test_what_is_not_http_leaves_no_line_in_the_log(
    port: int, caplog: pytest.LogCaptureFixture
) -> None:
    assert b" 400 " in _asked(port, b"nonsense\r\n\r\n")
    upgrade = b"Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
    with _connected(port) as connection:
        connection.sendall(GET + upgrade)
        assert connection.recv(100)
    assert not caplog.records


def test_an_answer_that_nobody_takes_ends_the_connection(port: int) -> None:
    with _connected(port) as connection:
        connection.sendall(b"GET /large HTTP/1.1\r\nHost: here\r\n\r\n")
        time.sleep(1.5)
        assert len(_rest(connection)) < 64 * 2**20


def test_an_answer_that_is_taken_comes_whole(port: int) -> None:
    answer = _asked(port, b"GET /large HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n")
    assert answer.count(b"\0") == 64 * 2**20


def test_the_connection_that_waited_longest_makes_place(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 30.0)
    idle = [_connected(port)]
    time.sleep(0.1)  # the others have come later, by any clock
    idle += [_connected(port) for _ in range(15)]
    try:
        time.sleep(0.2)
        assert b"200 OK" in _asked(port, GET + b"Connection: close\r\n\r\n")
        assert _rest(idle[0]) == b""
    finally:
        for connection in idle:
            connection.close()


def test_what_comes_after_a_body_is_no_header(port: int) -> None:
    request = (
        b"POST / HTTP/1.1\r\nHost: here\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        b"1\r\na\r\n0\r\nAuthorization: Bearer stolen\r\n\r\n"
    )
    assert b"200 OK" in _asked(port, request)
    assert b"authorization" not in dict(_SEEN[0]["headers"])


@pytest.mark.parametrize(
    "said",
    [
        b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 5\r\n",
        b"Transfer-Encoding: identity\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
        b"Transfer-Encoding: gzip, chunked\r\n",
        b"Transfer-Encoding: xchunked\r\n",
        b"Content-Length: 0\r\nContent-Length: 5\r\n",
        b"Content-Length: +0\r\n",
    ],
)
def test_a_body_whose_end_is_said_twice_is_refused(port: int, said: bytes) -> None:
    inner = b"0\r\n\r\nGET /inner HTTP/1.1\r\nHost: here\r\nConnection: close\r\n\r\n"
    answer = _asked(port, b"POST / HTTP/1.1\r\nHost: here\r\n" + said + b"\r\n" + inner)
    assert answer.startswith(b"HTTP/1.1 400")
    assert not _SEEN


def test_the_server_uses_it(tmp_path: Path) -> None:
    _, certificate, key = certificates(tmp_path)
    config = server.configuration(_app, ServerCertificate(certificate, certificate, key, ""))
    assert config.http_protocol_class is connections.BoundedConnection


def test_a_crash_leaves_no_core_file() -> None:
    before = resource.getrlimit(resource.RLIMIT_CORE)
    try:
        server.keep_memory_off_disk()
        assert resource.getrlimit(resource.RLIMIT_CORE)[0] == 0
    finally:
        resource.setrlimit(resource.RLIMIT_CORE, before)


MANY = 400 * 2**20
"""More than the systems between two sockets of one machine hold."""


def _sent(channel: socket.socket, most: int) -> int:
    """How many bytes the server takes before it ends the connection."""
    piece, sent = b"x" * 2**20, 0
    with contextlib.suppress(OSError):
        while sent < most:
            channel.sendall(piece)
            sent += len(piece)
    return sent


def test_what_comes_after_a_last_answer_is_not_read(safe_port: tuple[int, Path]) -> None:
    port, authority = safe_port
    context = ssl.create_default_context(cafile=authority)
    head = b"POST /unread HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % (2 * MANY)
    with context.wrap_socket(_connected(port), server_hostname="localhost") as channel:
        channel.sendall(head)
        assert b" 413 " in channel.recv(4096)
        assert _sent(channel, MANY) < MANY


def test_who_sends_too_much_still_gets_the_answer(safe_port: tuple[int, Path]) -> None:
    port, authority = safe_port
    context = ssl.create_default_context(cafile=authority)
    with httpx.Client(verify=context, trust_env=False) as web:
        answer = web.post(f"https://localhost:{port}/unread", content=b"x" * 32_000_000)
    assert (answer.status_code, answer.text) == (413, "too large")


def test_not_much_of_a_body_is_read_after_its_answer(port: int) -> None:
    # The application answers at once and would keep the connection.
    head = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: %d\r\n\r\n" % (2 * MANY)
    with _connected(port) as channel:
        channel.sendall(head)
        assert b"200 OK" in channel.recv(4096)
        assert _sent(channel, MANY) < MANY


def test_a_little_of_a_body_after_its_answer_does_no_harm(port: int) -> None:
    head = b"POST / HTTP/1.1\r\nHost: here\r\nContent-Length: 100000\r\n\r\n"
    with _connected(port) as channel:
        channel.sendall(head)
        assert b"200 OK" in channel.recv(4096)
        channel.sendall(b"x" * 100_000 + GET + b"Connection: close\r\n\r\n")
        assert b"200 OK" in _rest(channel)


def test_requests_that_came_together_are_answered_in_order(port: int) -> None:
    together = GET + b"\r\n" + GET.replace(b"/ ", b"/slow ") + b"\r\n"
    answer = _asked(port, together * 4 + GET + b"Connection: close\r\n\r\n")
    assert answer.count(b"200 OK") == 9
    assert [scope["path"] for scope in _SEEN] == ["/", "/slow"] * 4 + ["/"]


def test_a_heap_of_requests_ends_the_connection(port: int) -> None:
    assert b"200 OK" not in _asked(port, (GET + b"\r\n") * 1_000)
    assert len(_SEEN) <= 1


def test_requests_do_not_pile_up_while_one_is_answered(port: int) -> None:
    """While some wait, the next ones are not even read."""
    many = connections.MAX_PIPELINED - 2
    with _connected(port) as channel:
        channel.sendall((GET.replace(b"/ ", b"/slow ") + b"\r\n") * 4)
        assert b"200 OK" in channel.recv(4096)
        channel.sendall((GET + b"\r\n") * many + GET + b"Connection: close\r\n\r\n")
        assert _rest(channel).count(b"200 OK") == 3 + many + 1


def test_no_error_stands_in_for_an_answer(port: int) -> None:
    """A client, or a proxy, would take it for the answer to the request before."""
    slow = GET.replace(b"/ ", b"/slow ") + b"\r\n"
    assert _asked(port, slow + b"nonsense\r\n\r\n") == b""


def test_one_client_makes_place_among_its_own(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "HEAD_SECONDS", 30.0)
    monkeypatch.setattr(connections, "LEAST_OF_ONE", 2)
    monkeypatch.setattr(connections, "SHARE_OF_ONE", 8)
    other = socket.create_connection(("127.0.0.1", port), 5, source_address=("127.0.0.2", 0))
    with other:
        time.sleep(0.1)  # it has waited longer than those to come
        mine = [_connected(port) for _ in range(6)]
        time.sleep(0.2)
        answers = []
        for connection in [other, *mine]:
            with contextlib.suppress(OSError):
                connection.sendall(GET + b"Connection: close\r\n\r\n")
            answers.append(_rest(connection))
            connection.close()
    assert b"200 OK" in answers[0]
    assert sum(b"200 OK" in answer for answer in answers[1:]) == 2
