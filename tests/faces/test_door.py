"""The door: what one client may ask in a minute, before any face is asked."""

import asyncio

import httpx
import pytest
from starlette.responses import PlainTextResponse
from starlette.types import Message, Receive, Scope, Send
from tests.faces.serving import serving
from tests.gate.gatehouse import Clock

from strongroom.faces import door as doors
from strongroom.faces.door import Door
from strongroom.faces.server import Front


class Behind:
    """An application that counts what it is asked."""

    def __init__(self) -> None:
        self.asked = 0

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.asked += 1
        await PlainTextResponse("here")(scope, receive, send)


def knock(door: Door, address: str, path: str = "/") -> int:
    """The status that a request from `address` gets."""
    statuses: list[int] = []

    async def send(message: Message) -> None:
        if message["type"] == "http.response.start":
            statuses.append(message["status"])

    async def receive() -> Message:
        return {"type": "http.request", "body": b"", "more_body": False}

    scope: Scope = {
        "type": "http", "method": "GET", "path": path, "headers": [], "query_string": b"",
        "client": (address, 1),
    }  # fmt: skip
    asyncio.run(door(scope, receive, send))
    return statuses[0]


def test_one_client_may_ask_so_often_and_others_are_not_kept_out() -> None:
    behind, clock, refused = Behind(), Clock(), []
    door = Door(behind, per_minute=3, refused=lambda: refused.append(1), clock=clock)
    home = "2001:db8:0:1::"
    assert [knock(door, f"{home}{n}") for n in range(1, 6)] == [200, 200, 200, 429, 429]
    assert knock(door, "2001:db8:0:2::1") == 200
    assert knock(door, "192.0.2.1") == 200
    assert (behind.asked, len(refused)) == (5, 2)
    clock.now += 20.0
    assert knock(door, f"{home}9") == 200
    assert knock(door, f"{home}9") == 429


def test_it_stands_before_every_face() -> None:
    faces = [Behind(), Behind(), Behind()]
    front = Front(faces[0], faces[1], faces[2])  # type: ignore[arg-type] # MLflow's mounting is one
    door = Door(front, per_minute=3, clock=Clock())
    paths = ["/endpoints/clinic/e/score", "/api/2.0/mlflow/runs/get", "/readyz"]
    assert [knock(door, "192.0.2.1", path) for path in paths] == [200] * 3
    assert [face.asked for face in faces] == [1, 1, 1]
    more = [*paths, "/log/checkpoint", "/metrics", "/sign-in", "/", "/nothing"]
    assert {knock(door, "192.0.2.1", path) for path in more} == {429}
    assert [face.asked for face in faces] == [1, 1, 1]


def test_who_is_not_let_in_is_told_when_to_come_back() -> None:
    behind = Behind()
    door = Door(behind, per_minute=1)
    with serving(door) as port, httpx.Client(base_url=f"http://127.0.0.1:{port}") as web:
        assert web.get("/").text == "here"
        answer = web.post("/upload", content=b"x" * 100_000)
    assert answer.status_code == 429
    assert answer.json()["code"] == "refused.rate"
    assert 1 <= int(answer.headers["retry-after"]) <= 60
    assert answer.headers["connection"] == "close"
    assert behind.asked == 1


def test_who_goes_on_asking_too_much_is_answered_later(monkeypatch: pytest.MonkeyPatch) -> None:
    held: list[float] = []

    async def note(seconds: float) -> None:
        held.append(seconds)

    async def limited(scope: Scope, receive: Receive, send: Send) -> None:
        # A limit behind the door, of a caller who is known.
        await PlainTextResponse("wait", 429)(scope, receive, send)

    monkeypatch.setattr(doors, "sleep", note)
    clock = Clock()
    door = Door(limited, per_minute=1_000, clock=clock)
    prompt = doors.PROMPT_PER_MINUTE[429]
    assert {knock(door, "192.0.2.1") for _ in range(prompt)} == {429}
    assert not held
    assert knock(door, "192.0.2.1") == 429
    assert held == [doors.HELD_SECONDS]
    knock(door, "192.0.2.2")  # another client is told at once
    assert len(held) == 1
    clock.now += 60.0
    knock(door, "192.0.2.1")  # and so is this one, when it has kept still
    assert len(held) == 1


def test_the_doors_own_refusals_are_held_and_what_is_answered_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    held: list[float] = []

    async def note(seconds: float) -> None:
        held.append(seconds)

    monkeypatch.setattr(doors, "sleep", note)
    prompt = doors.PROMPT_PER_MINUTE[429]
    door = Door(Behind(), per_minute=100, clock=Clock())
    found = [knock(door, "192.0.2.1") for _ in range(100 + prompt + 3)]
    assert found == [200] * 100 + [429] * (prompt + 3)
    assert len(held) == 3


@pytest.mark.parametrize("status", [400, 413, 415, 422])
def test_who_goes_on_asking_what_is_no_question_is_answered_later(
    monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    held: list[float] = []

    async def note(seconds: float) -> None:
        held.append(seconds)

    async def refusing(scope: Scope, receive: Receive, send: Send) -> None:
        await PlainTextResponse("no question", status)(scope, receive, send)

    monkeypatch.setattr(doors, "sleep", note)
    door = Door(refusing, per_minute=10_000, clock=Clock())
    assert {knock(door, "192.0.2.1") for _ in range(doors.PROMPT_PER_MINUTE[status])} == {status}
    assert not held
    knock(door, "192.0.2.1")
    assert held == [doors.HELD_SECONDS]
    knock(door, "192.0.2.2")
    assert len(held) == 1
