"""The HTTP interface against a real server: every answer, every refusal, every limit."""

import asyncio
import socket
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from tests.faces.notes import NotesServer, identify
from tests.faces.serving import Switch, serving

from strongroom.errors import RateLimitedError, ValidationError
from strongroom.faces.api.app import STRANGERS_PER_MINUTE, build
from strongroom.faces.api.endpoint import Threads

BASE = "/api/v1/workspaces/clinic/notes"
WRITER = {"Authorization": "Bearer srk_writer"}
READER = {"Authorization": "Bearer srk_reader"}


@pytest.fixture
def web(notes: NotesServer, switch: tuple[Switch, int]) -> Iterator[httpx.Client]:
    passing, port = switch
    passing.app = build(notes.operations, notes.gate, identify, notes.settings)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", headers=WRITER) as client:
        yield client


def code_of(answer: httpx.Response) -> tuple[int, str]:
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem["status"] == answer.status_code
    assert problem["next_step"]
    assert problem["request_id"] == answer.headers["x-request-id"]
    return answer.status_code, problem["code"]


def raw(
    web: httpx.Client, head: str, *pieces: bytes, pause: float = 0.0, hang_up: bool = False
) -> bytes:
    """Send bytes as they are and read all that comes back; `hang_up` when they are sent."""
    with socket.create_connection(("127.0.0.1", web.base_url.port or 0), timeout=20) as connection:
        connection.sendall(head.replace("\n", "\r\n").encode() + b"\r\n\r\n")
        for piece in pieces:
            time.sleep(pause)
            try:
                connection.sendall(piece)
            except OSError:
                break
        if hang_up:
            connection.shutdown(socket.SHUT_WR)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
        return answer


# ---- what works ----


def test_an_operation_answers_with_its_receipt(web: httpx.Client, notes: NotesServer) -> None:
    answer = web.post(BASE, json={"name": "a", "text": "hi"})
    assert answer.status_code == 200
    assert answer.json()["name"] == "a"
    entry = notes.log.events[int(answer.headers["x-strongroom-receipt"])]
    assert (entry.operation, entry.outcome) == ("note.add", "allowed")
    assert entry.request_id == answer.headers["x-request-id"]


def test_query_fields_reach_the_operation(web: httpx.Client) -> None:
    for name in "abc":
        web.post(BASE, json={"name": name, "text": "hi"})
    assert [note["name"] for note in web.get(BASE, params={"limit": 2}).json()] == ["a", "b"]


def test_an_upload_streams_in_and_a_download_out(web: httpx.Client) -> None:
    web.post(BASE, json={"name": "a", "text": "hi"})
    content = bytes(range(256)) * 60_000

    def pieces() -> Iterator[bytes]:
        for start in range(0, len(content), 100_000):
            yield content[start : start + 100_000]

    assert web.put(f"{BASE}/a/content", content=pieces()).json()["bytes"] == len(content)
    answer = web.get(f"{BASE}/a/content")
    assert answer.content == content
    assert answer.headers["content-disposition"] == "attachment; filename*=UTF-8''a%20%C3%A9.html"
    assert answer.headers["x-strongroom-receipt"]


def test_an_operation_without_result_answers_204(web: httpx.Client) -> None:
    web.post(BASE, json={"name": "a", "text": "hi"})
    answer = web.delete(f"{BASE}/a")
    assert (answer.status_code, answer.content) == (204, b"")


def test_basic_authorization_takes_the_key_as_password(web: httpx.Client) -> None:
    assert web.get(BASE, auth=("anything", "srk_writer")).status_code == 200


def test_the_workspace_header_is_only_used_where_the_path_has_none(web: httpx.Client) -> None:
    web.post(BASE, json={"name": "a", "text": "hi"})
    headers = {"X-MLFLOW-WORKSPACE": "other"}
    assert len(web.get(BASE, headers=headers).json()) == 1


# ---- who asks ----


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"Authorization": ""}, (401, "sign_in.required")),
        ({"Authorization": "Bearer"}, (401, "sign_in.required")),
        ({"Authorization": "Bearer srk_wrong"}, (401, "sign_in.required")),
        ({"Authorization": "Bearer srk_old"}, (401, "sign_in.expired")),
        ({"Authorization": "Digest srk_writer"}, (401, "sign_in.required")),
        ({"Authorization": "Basic ???"}, (401, "sign_in.required")),
        ({"Authorization": "Basic dXNlcjo="}, (401, "sign_in.required")),
        ({"Authorization": "Bearer " + "x" * 5000}, (401, "sign_in.required")),
    ],
)
def test_no_valid_credential_no_answer(
    web: httpx.Client, notes: NotesServer, headers: dict[str, str], code: tuple[int, str]
) -> None:
    answer = web.post(BASE, json={"name": "a", "text": "hi"}, headers=headers)
    assert code_of(answer) == code
    assert answer.headers["www-authenticate"].startswith("Bearer")
    assert notes.log.events == []  # a wrong secret is recorded where it is looked up


def test_a_request_without_credential_is_recorded(web: httpx.Client, notes: NotesServer) -> None:
    del web.headers["Authorization"]
    assert code_of(web.get(BASE)) == (401, "sign_in.required")
    assert notes.outcomes() == [("note.ls", "refused", "sign_in.required")]
    assert notes.log.events[0].resource == "GET /workspaces/{workspace}/notes"


def test_two_authorization_headers_are_refused(web: httpx.Client) -> None:
    both = [("Authorization", "Bearer srk_reader"), ("Authorization", "Bearer srk_writer")]
    del web.headers["Authorization"]
    assert code_of(web.get(BASE, headers=both)) == (400, "request.invalid")


@pytest.mark.parametrize("header", ["X-Forwarded-For", "Forwarded", "X-Real-IP"])
def test_a_spoofed_address_counts_nothing(
    notes: NotesServer, web: httpx.Client, header: str
) -> None:
    seen = []

    def watch(secret: str, address: str) -> object:
        seen.append(address)
        return identify(secret, address)

    app = build(notes.operations, notes.gate, watch, notes.settings)  # type: ignore[arg-type] # returns what identify does
    with serving(app) as port:
        spoofed = {**WRITER, header: "203.0.113.9"}
        httpx.get(f"http://127.0.0.1:{port}{BASE}", headers=spoofed)
    assert seen == ["127.0.0.1"]


def test_strangers_are_slowed_down_without_filling_the_log(
    web: httpx.Client, notes: NotesServer
) -> None:
    del web.headers["Authorization"]
    began = time.monotonic()
    codes = [web.get(BASE).status_code for _ in range(STRANGERS_PER_MINUTE + 60)]
    assert set(codes) == {401, 429}
    refilled = (time.monotonic() - began) * STRANGERS_PER_MINUTE / 60
    assert len(notes.log.events) <= STRANGERS_PER_MINUTE + 1 + refilled
    answer = web.get(BASE)
    assert code_of(answer) == (429, "refused.rate")
    assert int(answer.headers["retry-after"]) >= 1
    assert web.get(BASE, headers=WRITER).status_code == 200  # who has a key is not a stranger


# ---- what the policy refuses ----


def test_a_refusal_is_403_and_recorded(web: httpx.Client, notes: NotesServer) -> None:
    answer = web.post(BASE, json={"name": "a", "text": "hi"}, headers=READER)
    assert code_of(answer) == (403, "refused")
    assert [event.outcome for event in notes.log.events] == ["refused"]


def test_another_workspace_is_refused(web: httpx.Client) -> None:
    answer = web.get("/api/v1/workspaces/other/notes", headers=READER)
    assert code_of(answer) == (403, "refused")


def test_too_many_calls_answer_429_with_the_time_to_wait(tmp_path: object) -> None:
    server = NotesServer(tmp_path, calls_per_minute=3)  # type: ignore[arg-type] # a Path
    app = build(server.operations, server.gate, identify, server.settings)
    with serving(app) as port:
        answers = [httpx.get(f"http://127.0.0.1:{port}{BASE}", headers=WRITER) for _ in range(4)]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
    assert 1 <= int(answers[3].headers["retry-after"]) <= 20
    server.close()


@pytest.mark.parametrize(
    ("method", "path", "recorded"),
    [
        ("GET", "/api/v1/nothing", "GET /api/v1/…"),
        ("GET", "/api/v1/workspaces/jane-roe/notes/x/y/z", "GET /api/v1/workspaces/…/notes/…/…/…"),
        ("PATCH", BASE, "PATCH /api/v1/workspaces/…/notes"),
        ("HEAD", BASE, "HEAD /api/v1/workspaces/…/notes"),
        ("OPTIONS", BASE, "OPTIONS /api/v1/workspaces/…/notes"),
        ("GET", f"{BASE}/", "GET /api/v1/workspaces/…/notes/"),
        ("GET", "/docs", "GET /…"),
        ("GET", "/.env", "GET /…"),
        ("GET", "/api/v1/workspaces/clinic/notes/a%2Fb", "GET /api/v1/workspaces/…/notes/…/…"),
    ],
)
def test_the_undeclared_is_refused_and_recorded(
    web: httpx.Client, notes: NotesServer, method: str, path: str, recorded: str
) -> None:
    answer = web.request(method, path)
    assert answer.status_code == 404
    if method != "HEAD":
        assert code_of(answer) == (404, "refused.undeclared")
    event = notes.log.events[0]
    assert (event.operation, event.actor, event.resource) == ("undeclared", "usr_writer", recorded)


def test_the_undeclared_is_refused_to_strangers_too(web: httpx.Client, notes: NotesServer) -> None:
    answer = web.get("/api/v1/nothing", headers={"Authorization": "Bearer srk_wrong"})
    assert code_of(answer) == (404, "refused.undeclared")
    assert notes.log.events[0].actor_kind == "anonymous"


# ---- malformed requests ----

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"", 422),
        (b"nonsense", 400),
        (b"[]", 400),
        (b'"text"', 400),
        (b'{"name":"a","name":"b","text":"x"}', 400),
        (b'{"name":"a","text":"x","weight":NaN}', 400),
        (b'{"name":"a","text":"x","weight":-Infinity}', 400),
        (b'{"name":"a","text":"x","weight":1e999}', 400),
        (b'{"name":"a","text":"x","weight":' + b"9" * 5000 + b"}", 400),
        (b'{"name":"a","text":"x","weight":9007199254740992}', 400),
        (b'{"name":"a","text":"\\ud800"}', 400),
        (b'{"name":"a","text":"\\u0000"}', 400),
        (b'{"name":"a","text":"\xff"}', 400),
        (b'{"name":"a","text":' + b"[" * 33 + b"]" * 33 + b"}", 400),
        (b"[" * 60_000, 400),
        (b'{"name":"a","text":[' + b"1," * 30_000 + b"1]}", 422),
        (b'{"name":"a"}', 422),
        (b'{"name":"a","text":5}', 422),
        (b'{"name":"a","text":null}', 422),
        (b'{"name":"../x","text":"hi"}', 422),
        (b'{"name":"a","text":"x","colour":"green"}', 422),
        (b'{"name":"a","text":"x","weight":"1"}', 422),
        (b'{"name":"a","text":"x","more":1}', 422),
        (b'{"name":"a","text":"x","workspace":"other"}', 422),
        (b'{"name":"a","text":"' + b"x" * 401 + b'"}', 422),
    ],
)
def test_bad_json_is_a_clear_4xx_and_changes_nothing(
    web: httpx.Client, notes: NotesServer, body: bytes, code: int
) -> None:
    answer = web.post(BASE, content=body, headers=JSON)
    assert code_of(answer)[0] == code
    assert len(answer.content) < 1500
    # Nothing was done, and that somebody tried is on the record.
    (event,) = notes.log.events
    assert (event.resource_type, event.outcome) == ("Route", "failed")


def test_a_fault_names_the_field_but_never_the_value(web: httpx.Client) -> None:
    answer = web.post(BASE, json={"name": "Jane Roe", "text": "hi"})
    assert "`name`" in answer.json()["detail"]
    assert "Jane" not in answer.text


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/x-www-form-urlencoded"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": ""},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
def test_another_media_type_is_415(web: httpx.Client, headers: dict[str, str]) -> None:
    answer = web.post(BASE, content=b'{"name":"a","text":"x"}', headers=headers)
    assert code_of(answer) == (415, "request.media_type")


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("limit=0", 422),
        ("limit=x", 422),
        ("limit=9007199254740992", 422),
        ("limit=" + "9" * 5000, 422),
        ("limit=", 422),
        ("limit=1&limit=2", 400),
        ("nonsense=1", 422),
        ("workspace=other", 400),
        ("colours=green", 422),
        ("colours=" + "&colours=".join(["red"] * 101), 400),
        ("limit=%ff", 400),
        ("limit=%00", 400),
    ],
)
def test_a_bad_query_is_a_clear_4xx(web: httpx.Client, query: str, code: int) -> None:
    assert code_of(web.get(f"{BASE}?{query}"))[0] == code


def test_a_query_beside_a_json_body_is_refused(web: httpx.Client) -> None:
    answer = web.post(f"{BASE}?text=x", json={"name": "a", "text": "hi"})
    assert code_of(answer) == (400, "request.invalid")


def test_not_found_and_conflict_keep_their_codes(web: httpx.Client) -> None:
    assert code_of(web.get(f"{BASE}/missing")) == (404, "not_found")
    web.post(BASE, json={"name": "a", "text": "hi"})
    assert code_of(web.post(BASE, json={"name": "a", "text": "hi"})) == (409, "conflict")


def test_a_fault_of_ours_tells_nothing(web: httpx.Client, notes: NotesServer) -> None:
    answer = web.post(f"{BASE}/a/break")
    assert code_of(answer) == (500, "internal")
    assert "Jane" not in answer.text
    assert "Traceback" not in answer.text
    assert notes.outcomes() == [("note.break", "failed", "internal: RuntimeError")]


# ---- size and time ----


def test_a_json_body_over_the_limit_is_413(web: httpx.Client, notes: NotesServer) -> None:
    answer = web.post(BASE, content=b" " * (notes.settings.max_request_bytes + 1), headers=JSON)
    assert code_of(answer) == (413, "request.too_large")
    assert answer.headers["connection"] == "close"


def test_a_declared_length_over_the_limit_is_answered_before_it_is_read(web: httpx.Client) -> None:
    started = time.monotonic()
    answer = raw(web, f"PUT {BASE}/a/content HTTP/1.1\nHost: x\nAuthorization: Bearer srk_writer\n"
                 f"Content-Length: {2**40}", b"x" * 1000)  # fmt: skip
    assert b" 413 " in answer
    assert b"request.too_large" in answer
    assert time.monotonic() - started < 4


def test_a_chunked_body_over_the_limit_is_413(web: httpx.Client, notes: NotesServer) -> None:
    web.post(BASE, json={"name": "a", "text": "hi"})
    answer = web.put(f"{BASE}/a/content", content=(b"x" * 2**20 for _ in range(40)))
    assert code_of(answer) == (413, "request.too_large")
    assert notes.outcomes()[-1] == ("note.upload", "failed", "request.too_large")


@pytest.mark.parametrize(
    ("content", "kind", "code"),
    [
        (b"{", "application/json", "request"),
        (b'{"name": 1, "text": "hi"}', "application/json", "request"),
        (b"name=a", "text/plain", "request"),
        (b"x" * 70_000, "application/json", "request.too_large"),
    ],
)
def test_a_request_that_cannot_be_read_is_recorded_too(
    web: httpx.Client, notes: NotesServer, content: bytes, kind: str, code: str
) -> None:
    answer = web.post(BASE, content=content, headers={"Content-Type": kind})
    assert 400 <= answer.status_code < 500
    (event,) = notes.log.events
    assert (event.operation, event.actor, event.outcome) == ("note.add", "usr_writer", "failed")
    assert event.reason.startswith(code)
    assert event.request_id == answer.headers["x-request-id"]


def test_slow_uploads_of_one_caller_leave_places_to_others(notes: NotesServer) -> None:
    from dataclasses import replace

    quick = replace(notes.settings, request_seconds=2)
    app = build(notes.operations, notes.gate, identify, quick)
    with serving(app) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as web:
        web.post(BASE, json={"name": "a", "text": "hi"}, headers=WRITER)
        head = (
            f"PUT {BASE}/a/content HTTP/1.1\r\nHost: here\r\nAuthorization: Bearer srk_writer\r\n"
            "Content-Length: 1000\r\n\r\nx"
        )
        slow = []
        try:
            for _ in range(20):
                slow.append(socket.create_connection(("127.0.0.1", port), timeout=5))
                slow[-1].sendall(head.encode())
            time.sleep(0.3)
            began = time.monotonic()
            # Of the others, none has to wait for the sixteen threads that uploads have.
            answer = web.put(f"{BASE}/a/content", content=b"y", headers=READER)
            assert answer.status_code == 403
            assert time.monotonic() - began < 1
        finally:
            for connection in slow:
                connection.close()


def test_uploads_of_one_caller_wait_for_their_turn() -> None:
    threads = Threads(of_one_caller=1, may_wait=1)
    order = []

    async def upload(name: str, seconds: float) -> None:
        try:
            async with threads.place("ann", 1.0):
                order.append(name)
                await asyncio.sleep(seconds)
        except RateLimitedError:
            order.append(f"{name} refused")

    async def run() -> None:
        await asyncio.gather(upload("first", 0.1), upload("second", 0.0), upload("third", 0.0))
        await upload("fourth", 0.0)

    asyncio.run(run())
    assert sorted(order) == ["first", "fourth", "second", "third refused"]
    assert [name for name in order if "refused" not in name] == ["first", "second", "fourth"]


def test_a_truncated_upload_stores_nothing(web: httpx.Client, notes: NotesServer) -> None:
    web.post(BASE, json={"name": "a", "text": "hi"})
    raw(web, f"PUT {BASE}/a/content HTTP/1.1\nHost: x\nAuthorization: Bearer srk_writer\n"
        "Content-Length: 1000", b"x" * 999, hang_up=True)  # fmt: skip
    deadline = time.monotonic() + 60
    while len(notes.log.events) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert notes.outcomes()[-1] == ("note.upload", "failed", "request.truncated")
    assert web.get(f"{BASE}/a").json()["bytes"] == 0


def test_a_chunked_upload_without_its_end_stores_nothing(
    web: httpx.Client, notes: NotesServer
) -> None:
    web.post(BASE, json={"name": "a", "text": "hi"})
    raw(web, f"PUT {BASE}/a/content HTTP/1.1\nHost: x\nAuthorization: Bearer srk_writer\n"
        "Transfer-Encoding: chunked", b"3\r\nabc\r\n", hang_up=True)  # fmt: skip
    deadline = time.monotonic() + 60
    while len(notes.log.events) < 2 and time.monotonic() < deadline:
        time.sleep(0.01)
    assert notes.outcomes()[-1] == ("note.upload", "failed", "request.truncated")


@pytest.mark.parametrize("path", [BASE, f"{BASE}/a/content"])
def test_a_slow_sender_is_cut_off(notes: NotesServer, path: str) -> None:
    from dataclasses import replace

    quick = replace(notes.settings, request_seconds=1)
    app = build(notes.operations, notes.gate, identify, quick)
    method = "PUT" if path.endswith("content") else "POST"
    with serving(app) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as web:
        started = time.monotonic()
        answer = raw(
            web,
            f"{method} {path} HTTP/1.1\nHost: x\nAuthorization: Bearer srk_writer\n"
            "Content-Type: application/json\nContent-Length: 100",
            *[b"x"] * 30,
            pause=0.15,
        )
        assert time.monotonic() - started < 6
    assert b" 408 " in answer
    assert b"request.slow" in answer


def test_a_stranger_is_answered_before_the_body_is_read(web: httpx.Client) -> None:
    answer = raw(web, f"PUT {BASE}/a/content HTTP/1.1\nHost: x\nContent-Length: 1000000", b"x")
    assert b" 401 " in answer


# ---- headers, health, metrics ----


@pytest.mark.parametrize("path", [BASE, "/healthz", "/nothing", "/api/v1/openapi.json"])
def test_every_answer_has_the_security_headers(web: httpx.Client, path: str) -> None:
    headers = web.get(path).headers
    assert headers["x-content-type-options"] == "nosniff"
    assert "default-src 'none'" in headers["content-security-policy"]
    assert headers["x-frame-options"] == "DENY"
    assert headers["x-request-id"]
    assert "server" not in headers
    assert "strict-transport-security" not in headers  # would bind other servers on loopback


def test_hsts_is_sent_off_loopback(notes: NotesServer) -> None:
    from dataclasses import replace

    settings = replace(notes.settings, host="0.0.0.0")  # noqa: S104 # only a setting here
    app = build(notes.operations, notes.gate, identify, settings)
    with serving(app) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/healthz")
    assert answer.headers["strict-transport-security"] == "max-age=31536000"


def test_health_and_readiness(web: httpx.Client) -> None:
    del web.headers["Authorization"]
    assert web.get("/healthz").json() == {"status": "ok"}
    assert web.get("/readyz").json() == {"status": "ok", "parts": {"database": "ok"}}


def test_a_part_that_cannot_serve_makes_the_server_not_ready(notes: NotesServer) -> None:
    from strongroom.errors import KeyUnavailableError

    def locked() -> None:
        raise KeyUnavailableError("the root key is locked")

    app = build(notes.operations, notes.gate, identify, notes.settings, ready={"keys": locked})
    with serving(app) as port:
        answer = httpx.get(f"http://127.0.0.1:{port}/readyz")
    assert answer.status_code == 503
    assert answer.json()["parts"] == {"database": "ok", "keys": "key.unavailable"}


def test_metrics_count_operations_and_name_nobody(web: httpx.Client) -> None:
    web.post(BASE, json={"name": "a", "text": "hi"})
    answer = web.get("/metrics")  # an Operator's key
    text = answer.text
    assert 'strongroom_requests_total{operation="note.add",status="200"} 1.0' in text
    assert "usr_" not in text
    assert "clinic" not in text


def test_metrics_need_a_credential(web: httpx.Client) -> None:
    del web.headers["Authorization"]
    assert code_of(web.get("/metrics")) == (401, "sign_in.required")  # also from this machine
    assert code_of(web.get("/metrics", headers=READER)) == (403, "refused")
    assert web.get("/metrics", headers=WRITER).status_code == 200


def test_metrics_are_open_to_this_machine_where_the_setting_says_so(
    notes: NotesServer, switch: tuple[Switch, int]
) -> None:
    passing, port = switch
    settings = replace(notes.settings, metrics="loopback")
    passing.app = build(notes.operations, notes.gate, identify, settings)
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as web:
        assert web.get("/metrics").status_code == 200
        for name in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP"):
            proxied = {name: "127.0.0.1"}
            assert code_of(web.get("/metrics", headers=proxied)) == (401, "sign_in.required")
        assert code_of(web.get("/metrics", headers=READER)) == (403, "refused")


def test_a_scraper_has_a_secret_that_is_good_for_metrics_alone(
    notes: NotesServer, switch: tuple[Switch, int], tmp_path: Path
) -> None:
    passing, port = switch
    file = tmp_path / "token"
    settings = replace(notes.settings, metrics_token_file=str(file))
    for content in (None, "short", "é" * 40):
        if content is not None:
            file.write_text(content, "utf-8")
        with pytest.raises(ValidationError, match="metrics_token_file"):
            build(notes.operations, notes.gate, identify, settings)
    token = "s" * 32
    file.write_text(token + "\n", "ascii")
    passing.app = build(notes.operations, notes.gate, identify, settings)
    scraper = {"Authorization": f"Bearer {token}"}
    with httpx.Client(base_url=f"http://127.0.0.1:{port}") as web:
        assert web.get("/metrics", headers=scraper).status_code == 200
        assert web.get(BASE, headers=scraper).status_code == 401
        for wrong in ("t" * 32, token[:-1], token + "s"):
            answer = web.get("/metrics", headers={"Authorization": f"Bearer {wrong}"})
            assert code_of(answer) == (401, "sign_in.required")
        assert web.get("/metrics").status_code == 401


def test_readiness_and_the_log_have_a_limit_for_one_client(
    web: httpx.Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("strongroom.faces.api.public.VISITS_PER_MINUTE", 2)
    statuses = [web.get("/readyz").status_code for _ in range(4)]
    assert statuses[:2] == [200, 200]
    assert 429 in statuses
    assert web.get("/healthz").status_code == 200


def test_a_refusal_says_where_it_is_recorded(web: httpx.Client) -> None:
    answer = web.post(BASE, json={"name": "a", "text": "hi"}, headers=READER)
    assert code_of(answer) == (403, "refused")
    first = answer.json()["log_entry"]
    unread = web.post(BASE, json={"name": 7}, headers=WRITER)
    missing = web.get(f"{BASE}/never", headers=WRITER)
    assert first < unread.json()["log_entry"] < missing.json()["log_entry"]


def test_a_key_in_the_place_of_a_name_is_refused_and_not_recorded(
    web: httpx.Client, notes: NotesServer
) -> None:
    secret = f"srk_{'a' * 16}_{'b' * 52}_0123abcd"
    for text in (secret, f"see {secret.upper()}", secret[:-9]):
        answer = web.post(BASE, json={"name": "a", "text": text})
        assert code_of(answer) == (422, "request.field")
        assert "bbbbbbbb" not in answer.text.lower()


def test_a_websocket_is_refused(web: httpx.Client) -> None:
    head = (
        f"GET {BASE} HTTP/1.1\nHost: x\nConnection: close, Upgrade\nUpgrade: websocket\n"
        "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\nSec-WebSocket-Version: 13"
    )
    assert b" 101 " not in raw(web, head)
