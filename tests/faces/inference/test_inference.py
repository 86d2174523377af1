"""The prediction path over a real server: three formats, every refusal, alive after all of it."""

import asyncio
import hashlib
import json
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvicorn
from prometheus_client import CollectorRegistry, generate_latest
from tests.gate.gatehouse import Gatehouse, gatehouse
from tests.services.endpoints.shelf import (
    FEATURES,
    X,
    classifier,
    full_shelf,
    guards_of,
    tumour_guard,
)

from strongroom.errors import UnavailableError
from strongroom.faces.api.guard_counters import GuardCounters
from strongroom.faces.inference.app import InferenceApp
from strongroom.gate.access.types import Principal
from strongroom.gate.audit.types import Event, Outcome
from strongroom.gate.declaration import operations_of
from strongroom.services.endpoints.guards import EndpointGuards
from strongroom.services.endpoints.operations import EndpointOperations
from strongroom.services.endpoints.runners import Prediction, Runners
from strongroom.services.endpoints.types import CreateEndpoint, DeployModel, Range
from strongroom.services.jobs.sandbox import Limits
from strongroom.vault.database import Database

Json = Any  # what a request or an option may be

ROW = X[0].tolist()
MAX_BODY = 200_000


@dataclass
class Site:
    """A server with the endpoints `tumour` (ONNX), `ward` (confined), and others, see below."""

    house: Gatehouse
    runners: Runners
    guards: EndpointGuards
    base: str
    port: int
    key: str
    reader_key: str
    client: httpx.Client

    def call(
        self, path: str, body: Json = None, *, key: str | None = "", **options: Json
    ) -> httpx.Response:
        headers = dict(options.pop("headers", {}))
        if key is not None:
            headers["Authorization"] = f"Bearer {key or self.key}"
        content = body if isinstance(body, bytes) else json.dumps(body).encode()
        if body is None:
            return self.client.get(f"{self.base}/clinic/{path}", headers=headers)
        headers.setdefault("Content-Type", "application/json")
        return self.client.post(f"{self.base}/clinic/{path}", headers=headers, content=content)

    def alive(self) -> None:
        answer = self.call("tumour/score", {"rows": [ROW]})
        assert answer.status_code == 200, answer.text

    def last_event(self) -> Event:
        return self.house.events()[-1]


def make_key(house: Gatehouse, principal: Principal, *workspaces: str) -> str:
    with house.database.write() as session:
        _, secret = house.issuer.api_key(
            session, principal.id, purpose="test", days=9, workspaces=workspaces, by=principal.id
        )
    return secret


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    database = Database.create_for_tests(tmp_path_factory.mktemp("site") / "test.db")
    with gatehouse(database) as house:
        house.workspace("clinic")
        engineer, reader = house.person("eve", "ML Engineer"), house.person("rita", "Reader")
        runners = Runners(limits=Limits(memory_bytes=2 * 2**30))
        shelf = full_shelf()
        shelf.guards["tumour", 1], shelf.bundles["g1"] = "g1", tumour_guard()
        guards = guards_of(house, shelf)
        operations = EndpointOperations(shelf, runners, guards)
        bound = {b.declared.name: b for b in operations_of(operations)}
        for name, model, more in (
            ("tumour", "tumour", {"max_rows": 500, "ranges": {"mean radius": Range(low=0)}}),
            ("ward", "ward", {}),
            ("empty", None, {}),
            ("slow-lane", "tumour", {"rows_per_minute": 5}),
            ("guarded", "tumour", {"max_rows": 50}),
        ):
            create = CreateEndpoint(workspace="clinic", endpoint=name, **more)
            house.gate.perform(bound["endpoint.create"], engineer, create)
            if model:
                mode: Json = "refuse" if name == "guarded" else ""
                deploy = DeployModel(
                    workspace="clinic", endpoint=name, model=model, version=1, guard=mode
                )
                house.gate.perform(bound["endpoint.deploy"], engineer, deploy)
        app = InferenceApp(
            identity=house.sign_in, access=house.access, log=house.log, runners=runners,
            max_body_bytes=MAX_BODY, request_seconds=1.0,
        )  # fmt: skip  # one call
        with (
            socket.create_server(("127.0.0.1", 0)) as listening,
            httpx.Client(timeout=30, trust_env=False) as client,
        ):
            config = uvicorn.Config(app, log_config=None, lifespan="off", access_log=False)
            server = uvicorn.Server(config)
            thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
            thread.start()
            while not server.started:
                time.sleep(0.01)
            port = listening.getsockname()[1]
            yield Site(
                house, runners, guards, f"http://127.0.0.1:{port}/endpoints", port,
                make_key(house, engineer), make_key(house, reader), client,
            )  # fmt: skip  # one call
            server.should_exit = True
            thread.join()
        runners.close()
    database.close()


# ---- what it gives ----


def test_open_inference_protocol(site: Site) -> None:
    expected = classifier().predict(X[:3])
    tensor = {"name": "input", "shape": [3, 30], "datatype": "FP64", "data": X[:3].tolist()}
    request: Json = {"id": "mine", "inputs": [tensor]}
    for data in (X[:3].tolist(), X[:3].ravel().tolist()):
        tensor["data"] = data
        answer = site.call("tumour/v2/models/tumour/infer", request)
        assert answer.status_code == 200, answer.text
        body = answer.json()
        assert (body["id"], body["model_name"], body["model_version"]) == ("mine", "tumour", "1")
        label, probabilities = body["outputs"]
        assert label == {
            "name": "label", "datatype": "INT64", "shape": [3], "data": expected.tolist(),
        }  # fmt: skip  # one object
        assert (probabilities["shape"], len(probabilities["data"])) == ([3, 2], 6)
        assert all(value == round(value, 4) for value in probabilities["data"])
    request["outputs"] = [{"name": "label"}]
    only = site.call("tumour/v2/models/tumour/versions/1/infer", request).json()
    assert [output["name"] for output in only["outputs"]] == ["label"]


def test_one_tensor_for_each_feature(site: Site) -> None:
    columns = [
        {"name": name, "shape": [2], "datatype": "FP32", "data": X[:2, i].tolist()}
        for i, name in enumerate(FEATURES)
    ]
    answer = site.call("tumour/v2/models/tumour/infer", {"inputs": columns})
    assert answer.json()["outputs"][0]["data"] == classifier().predict(X[:2]).tolist()
    words = [
        {"name": "ward", "shape": [2, 1], "datatype": "BYTES", "data": [["a"], ["c"]]},
        {"name": "age", "shape": [2, 1], "datatype": "FP64", "data": [20, 60]},
    ]
    answer = site.call("ward/v2/models/ward/infer", {"inputs": words})
    assert answer.json()["outputs"][0] == {
        "name": "label", "datatype": "BYTES", "shape": [2], "data": ["low", "high"],
    }  # fmt: skip  # one object


def test_metadata_and_health(site: Site) -> None:
    assert site.call("tumour/v2").json()["name"] == "strongroom"
    assert site.call("tumour/v2/health/live").status_code == 200
    assert site.call("tumour/v2/health/ready").status_code == 200
    assert site.call("empty/v2/health/ready").status_code == 503
    assert site.call("tumour/v2/models/tumour/ready").status_code == 200
    assert site.call("tumour/v2/models/tumour/versions/1/ready").status_code == 200
    assert site.call("empty/v2/models/empty/ready").status_code == 503
    about = site.call("tumour/v2/models/tumour").json()
    assert about["inputs"] == [{"name": "input", "datatype": "FP32", "shape": [-1, 30]}]
    assert about["parameters"]["features"] == list(FEATURES)
    assert site.call("ward/v2/models/ward").json()["inputs"][1] == {
        "name": "ward", "datatype": "BYTES", "shape": [-1, 1],
    }  # fmt: skip  # one object
    assert site.last_event().operation == "endpoint.show"


def test_mlflow_scoring_formats(site: Site) -> None:
    expected = {"predictions": classifier().predict(X[:2]).tolist()}
    names, rows = list(FEATURES), X[:2].tolist()
    records = [dict(zip(names, row, strict=True)) for row in rows]
    turned = [row[::-1] for row in rows]
    for body in (
        {"dataframe_split": {"columns": names, "data": rows, "index": [0, 1]}},
        {"dataframe_split": {"columns": names[::-1], "data": turned}},
        {"dataframe_records": records},
        {"instances": rows},
        {"instances": records},
        {"inputs": rows},
        {"inputs": {name: [row[i] for row in rows] for i, name in enumerate(names)}},
    ):
        answer = site.call("tumour/invocations", body)
        assert answer.status_code == 200, answer.text
        assert answer.json() == expected


def test_plain_json_and_the_other_header(site: Site) -> None:
    answer = site.call(
        "tumour/score", {"rows": [ROW]}, key=None, headers={"X-API-Key": site.key}
    ).json()
    assert (answer["model"], answer["version"], answer["classes"]) == ("tumour", 1, ["0", "1"])
    record = {"age": 20, "ward": "a"}
    answer = site.call("ward/score", {"records": [record, record]}).json()
    assert answer["predictions"] == ["low", "low"]


def test_each_answer_is_on_the_record_before_it_leaves(site: Site) -> None:
    body = json.dumps({"rows": [ROW]}).encode()
    answer = site.call("tumour/score", body)
    receipt = int(answer.headers["x-strongroom-receipt"])
    with site.house.database.read() as session:
        event = site.house.log.entry(session, receipt).event
    assert event.request_id == answer.headers["x-request-id"]
    assert (event.operation, event.outcome) == ("endpoint.invoke", Outcome.ALLOWED)
    assert event.policies
    nonce = bytes.fromhex(answer.headers["x-strongroom-nonce"])
    opened = hashlib.sha256(nonce)
    for part in (body, answer.content):
        opened.update(len(part).to_bytes(8, "big") + part)
    assert event.details["commitment"] == opened.hexdigest()
    assert str(ROW[0]) not in str(event)


def test_many_at_once_are_answered_in_their_own_order(site: Site) -> None:
    expected = classifier().predict_proba(X[:200]).round(4)

    async def ask_all() -> list[httpx.Response]:
        async with httpx.AsyncClient(
            headers={"X-API-Key": site.key}, timeout=60, limits=httpx.Limits(max_connections=32)
        ) as client:
            url = f"{site.base}/clinic/tumour/score"
            return await asyncio.gather(
                *(client.post(url, json={"rows": [row]}) for row in X[:200].tolist())
            )

    answers = asyncio.run(ask_all())
    assert {answer.status_code for answer in answers} == {200}
    receipts = {answer.headers["x-strongroom-receipt"] for answer in answers}
    assert len(receipts) == 200
    for answer, row in zip(answers, expected, strict=True):
        assert answer.json()["probabilities"][0] == pytest.approx(row, abs=1.1e-4)


# ---- what it refuses ----


def test_no_key_wrong_key_wrong_role_wrong_place(site: Site) -> None:
    path, body = "tumour/score", {"rows": [ROW]}
    none = site.call(path, body, key=None)
    assert (none.status_code, none.headers["www-authenticate"]) == (
        401, 'Bearer realm="strongroom"',
    )  # fmt: skip  # a pair
    assert none.headers["x-strongroom-code"] == "sign_in.required"
    assert site.last_event().outcome == Outcome.REFUSED
    wrong = site.call(path, body, key=site.key[:-20] + "a" * 20)
    assert wrong.status_code == 401
    assert set(wrong.json()) == {"error", "next_step"}
    refused = site.call(path, body, key=site.reader_key)
    assert refused.status_code == 403
    event = site.last_event()
    assert (event.outcome, event.reason, event.action) == (
        Outcome.REFUSED, "refused", "invokeEndpoint",
    )  # fmt: skip  # a triple
    elsewhere = site.client.post(
        f"{site.base}/other/tumour/score", json=body, headers={"X-API-Key": site.key}
    )
    assert elsewhere.status_code == 403
    assert site.call("absent/score", body).status_code == 404
    assert site.call("empty/score", body).status_code == 404


def test_a_key_for_another_workspace_is_refused(site: Site) -> None:
    person = site.house.person("bob", "ML Engineer")
    key = make_key(site.house, person, "other")
    assert site.call("tumour/score", {"rows": [ROW]}, key=key).status_code == 403


def test_a_revoked_role_is_felt_within_a_second(site: Site) -> None:
    person = site.house.person("carl", "ML Engineer")
    key = make_key(site.house, person)
    assert site.call("tumour/score", {"rows": [ROW]}, key=key).status_code == 200
    site.house.revoke(person, "ML Engineer")
    time.sleep(1.05)
    assert site.call("tumour/score", {"rows": [ROW]}, key=key).status_code == 403


def test_a_flood_is_told_when_to_come_back_and_counted(site: Site) -> None:
    statuses = [site.call("slow-lane/score", {"rows": [ROW]}).status_code for _ in range(12)]
    assert statuses == [200] * 5 + [429] * 7
    answer = site.call("slow-lane/score", {"rows": [ROW]})
    assert 1 <= int(answer.headers["retry-after"]) <= 12
    many = site.call("slow-lane/score", {"rows": [ROW] * 6})
    assert many.status_code in {413, 429}
    deadline = time.monotonic() + 60
    counted: list[Event] = []
    while time.monotonic() < deadline:
        counted = [e for e in site.house.events() if e.reason == "refused.rate"]
        if len(counted) == 2:
            break
        time.sleep(0.1)
    assert len(counted) == 2
    assert int(counted[1].details["count"]) >= 7
    site.alive()


@pytest.mark.parametrize("known", [False, True])
def test_names_that_a_caller_invents_do_not_fill_the_log(site: Site, known: bool) -> None:
    person = site.house.person(f"nosy{int(known)}")
    key = make_key(site.house, person) if known else None
    actor = person.id if known else ""
    before = len(site.house.events())
    for n in range(60):
        assert site.call(f"name{n}/score", {}, key=key).status_code == (403 if known else 401)
    time.sleep(1.2)
    events = [e for e in site.house.events()[before:] if e.actor == actor]
    # In each second that this took, some names of a known caller, and one entry with a count.
    assert len(events) < 50
    assert sum(int(e.details.get("count", 1)) for e in events) >= 60
    if not known:
        assert {(e.workspace, e.resource) for e in events} == {("", "")}
    site.alive()


_INPUT = {"name": "input", "shape": [1, 30], "datatype": "FP32", "data": ROW}


def _tensor(**changes: Json) -> dict[str, Any]:
    return {"inputs": [{**_INPUT, **changes}]}


HOSTILE: list[tuple[str, Any, int]] = [
    # malformed
    ("infer", b"", 400),
    ("infer", b"{", 400),
    ("infer", b"[]", 400),
    ("infer", b"null", 400),
    ("infer", b"\xff\xfe", 400),
    ("infer", b'{"inputs": "\xed\xa0\x80"}', 400),
    ("infer", b'{"inputs":' + b"[" * 50_000, 400),
    ("score", b'{"rows":' + b"[" * 50_000 + b"]" * 50_000 + b"}", 400),
    ("score", b'{"rows": [[NaN]]}', 400),
    ("score", b'{"rows": [[Infinity]]}', 400),
    ("score", b'{"rows": [[1e999]]}', 400),
    ("score", b'{"rows": [[1e39' + b",1" * 29 + b"]]}", 400),
    ("score", b'{"rows": [[' + b"9" * 5_000 + b",1" * 29 + b"]]}", 400),
    # shapes
    ("infer", _tensor(shape=[1, 29]), 400),
    ("infer", _tensor(shape=[2, 30]), 400),
    ("infer", _tensor(shape=[0, 30]), 400),
    ("infer", _tensor(shape=[-1, 30]), 400),
    ("infer", _tensor(shape=[30]), 400),
    ("infer", _tensor(shape=[]), 400),
    ("infer", _tensor(shape=[2**62, 30]), 413),
    ("infer", _tensor(shape=[2**70, 30]), 413),
    ("infer", _tensor(shape=[1, 30, 2**40]), 400),
    ("infer", _tensor(shape=[1.5, 30]), 400),
    ("infer", _tensor(shape=["1", 30]), 400),
    ("infer", _tensor(shape=[1] * 10_000), 400),
    # data
    ("infer", _tensor(data=ROW[:-1]), 400),
    ("infer", _tensor(data=[ROW, ROW]), 400),
    ("infer", _tensor(data=["x"] * 30), 400),
    ("infer", _tensor(data=[None] * 30), 400),
    ("infer", _tensor(data=[True] * 30), 400),
    ("infer", _tensor(data=[[[1.0]]]), 400),
    ("infer", _tensor(data="x"), 400),
    ("infer", _tensor(data={}), 400),
    ("infer", {"inputs": [{k: v for k, v in _INPUT.items() if k != "data"}]}, 400),
    # names and types
    ("infer", _tensor(name="other"), 400),
    ("infer", _tensor(name="x" * 100_000), 400),
    ("infer", _tensor(name=7), 400),
    ("infer", _tensor(datatype="BYTES"), 400),
    ("infer", _tensor(datatype="FP33"), 400),
    ("infer", _tensor(extra=1), 400),
    ("infer", {"inputs": []}, 400),
    ("infer", {"inputs": [_INPUT, _INPUT]}, 400),
    ("infer", {**_tensor(), "id": "x" * 1_000}, 400),
    ("infer", {**_tensor(), "outputs": [{"name": "secret"}]}, 400),
    ("infer", {**_tensor(), "parameters": {"binary_data_output": True}}, 400),
    ("infer", _tensor(parameters={"binary_data_size": 120}), 400),
    # ranges and counts
    ("score", {"rows": [[-1.0, *ROW[1:]]]}, 400),
    ("score", {"rows": []}, 400),
    ("score", {"rows": [[]]}, 400),
    ("score", {"rows": [[1.0]] * 501}, 413),
    ("score", {"rows": [ROW], "records": []}, 400),
    ("score", {"records": [{"age": 1}]}, 400),
    ("score", {"records": [{**dict.fromkeys(FEATURES, 1.0), "more": 1}]}, 400),
    ("score", {}, 400),
    # MLflow
    ("invocations", {"inputs": [ROW], "instances": [ROW]}, 400),
    ("invocations", {"inputs": "x"}, 400),
    ("invocations", {"inputs": {"mean radius": [1]}}, 400),
    ("invocations", {"dataframe_split": {"columns": ["a"], "data": [[1]]}}, 400),
    ("invocations", {"dataframe_split": {"columns": list(FEATURES) * 2, "data": [ROW]}}, 400),
    ("invocations", {"dataframe_split": {"columns": list(FEATURES)[::-1], "data": [[1]]}}, 400),
    ("invocations", {"dataframe_records": {}}, 400),
    ("invocations", {"instances": [ROW], "params": {}}, 400),
    # sizes
    ("score", b'{"rows": [[' + b" " * MAX_BODY + b"]]}", 413),
]


@pytest.mark.parametrize("number", range(len(HOSTILE)))
def test_hostile_bodies_get_a_clear_answer(site: Site, number: int) -> None:
    way, body, status = HOSTILE[number]
    path = {"infer": "tumour/v2/models/tumour/infer"}.get(way, f"tumour/{way}")
    answer = site.call(path, body)
    assert answer.status_code == status, answer.text
    assert answer.json()["error"]
    assert len(answer.content) < 1_000
    assert answer.headers["x-strongroom-code"]
    site.alive()


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("tumour/", 404),
        ("tumour/v2/models/other", 404),
        ("tumour/v2/models/tumour/versions/2", 404),
        ("tumour/v2/models/tumour/versions/1/infer", 404),
        ("tumour/v2/repository/index", 404),
        ("tumour/%2e%2e/v2", 404),
        ("tumour//v2", 404),
        ("tumour/" + "x/" * 5_000, 404),
    ],
)
def test_other_paths_are_not_there(site: Site, path: str, status: int) -> None:
    assert site.call(path).status_code == status
    site.alive()


def test_odd_requests(site: Site) -> None:
    url, key = f"{site.base}/clinic/tumour/score", {"X-API-Key": site.key}
    body = {"rows": [ROW]}
    assert site.client.put(url, json=body, headers=key).status_code == 404
    assert site.client.get(url, headers=key).status_code == 404
    both = {**key, "Authorization": f"Bearer {site.key}"}
    assert site.client.post(url, json=body, headers=both).status_code == 400
    assert (
        site.client.post(url, json=body, headers={"Authorization": "Basic eA=="}).status_code == 401
    )
    assert site.client.post(url, json=body, headers={"X-API-Key": "x" * 10_000}).status_code == 401
    assert site.client.post(url, json=body, headers={"X-API-Key": ""}).status_code == 401
    csv = {**key, "Content-Type": "text/csv"}
    assert site.client.post(url, content=b"1,2", headers=csv).status_code == 415
    packed = {**key, "Content-Encoding": "gzip"}
    assert site.client.post(url, json=body, headers=packed).status_code == 415
    binary = {**key, "Inference-Header-Content-Length": "10"}
    assert site.client.post(url, json=body, headers=binary).status_code == 400
    site.alive()


def _raw(site: Site, head: str, body: bytes = b"", *, pause: float = 0.0) -> bytes:
    text = f"POST /endpoints/clinic/tumour/score HTTP/1.1\r\nHost: x\r\nX-API-Key: {site.key}\r\n"
    with socket.create_connection(("127.0.0.1", site.port), timeout=10) as channel:
        channel.sendall((text + head + "\r\n").encode() + body)
        if pause < 0:
            return b""
        return channel.recv(65_536)


def test_a_large_body_is_refused_before_it_is_sent(site: Site) -> None:
    assert b" 413 " in _raw(site, "Content-Length: 68719476736\r\n")
    chunk = b"10000\r\n" + b" " * 65_536 + b"\r\n"
    assert b" 413 " in _raw(site, "Transfer-Encoding: chunked\r\n", chunk * 4)
    live = site.runners.get("clinic", "tumour")
    assert live is not None
    assert b" 413 " in _raw(site, f"Content-Length: {live.schema.most_bytes + 1}\r\n")
    site.alive()


def test_a_slow_body_is_given_up(site: Site) -> None:
    started = time.monotonic()
    assert b" 408 " in _raw(site, "Content-Length: 100\r\n", b"{")
    assert time.monotonic() - started < 5
    site.alive()


def test_a_caller_that_hangs_up_harms_nobody(site: Site) -> None:
    for body in (b"", b"{", json.dumps({"rows": [ROW]}).encode()):
        _raw(site, f"Content-Length: {len(body) + 10}\r\n", body, pause=-1)
    site.alive()


def test_a_body_in_pieces_is_put_together(site: Site) -> None:
    body = json.dumps({"rows": [ROW]}).encode()
    pieces = b"".join(
        f"{len(part):x}\r\n".encode() + part + b"\r\n" for part in (body[:50], body[50:])
    )
    assert b" 200 " in _raw(site, "Transfer-Encoding: chunked\r\n", pieces + b"0\r\n\r\n")


def test_a_model_that_fails_does_not_take_the_server_along(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    live = site.runners.get("clinic", "tumour")
    assert live is not None

    def fail(_batch: object) -> Prediction:
        raise UnavailableError("the model could not answer")

    def break_down(_batch: object) -> Prediction:
        raise RuntimeError("secret")

    for broken in (fail, break_down):
        with monkeypatch.context() as patch:
            patch.setattr(live.runner, "predict", broken)
            answer = site.call("tumour/score", {"rows": [ROW]})
            assert answer.status_code == 503
            assert "secret" not in answer.text
    site.alive()


def test_a_log_that_cannot_be_written_stops_the_answers(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Fail closed: no prediction leaves without its record."""

    def refuse(_events: object) -> None:
        raise UnavailableError("the disk is full")

    def fail(_events: object) -> "Future[object]":
        written: Future[object] = Future()
        written.set_exception(UnavailableError("the disk is full"))
        return written

    for failing in (refuse, fail):
        monkeypatch.setattr(site.house.log, "submit_all", failing)
        assert site.call("tumour/score", {"rows": [ROW]}).status_code == 503
    monkeypatch.undo()
    site.alive()


def test_records_may_be_written_behind(site: Site, tmp_path: Path) -> None:
    app = InferenceApp(
        identity=site.house.sign_in, access=site.house.access, log=site.house.log,
        runners=site.runners, record_before_answer=False,
    )  # fmt: skip  # one call

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://x") as client:
            answer = await client.post(
                "/endpoints/clinic/tumour/score",
                json={"rows": [ROW]},
                headers={"X-API-Key": site.key},
            )
            await asyncio.sleep(0.2)
            return answer

    answer = asyncio.run(ask())
    assert answer.status_code == 200
    assert "x-strongroom-receipt" not in answer.headers
    recorded = [event.request_id for event in site.house.events()]
    assert answer.headers["x-request-id"] in recorded


# ---- guards ----


ODD = (X.max(axis=0) * 40).tolist()
"""A row far from all others."""


def tensor(rows: list[list[float]]) -> Json:
    flat = [value for row in rows for value in row]
    shape = [len(rows), 30]
    return {"inputs": [{"name": "input", "shape": shape, "datatype": "FP64", "data": flat}]}


@pytest.mark.parametrize("way", ["score", "invocations", "v2/models/tumour/infer"])
def test_no_way_leads_around_the_guard(site: Site, way: str) -> None:
    def body(rows: list[list[float]]) -> Json:
        if way == "score":
            return {"rows": rows}
        return {"instances": rows} if way == "invocations" else tensor(rows)

    before = len(site.house.events())
    assert site.call(f"guarded/{way}", body(X[20:22].tolist())).status_code == 200
    for rows in ([ODD], [X[20].tolist(), ODD]):
        answer = site.call(f"guarded/{way}", body(rows))
        assert answer.status_code == 422
        assert answer.headers["x-strongroom-code"] == "refused.guard"
        assert set(answer.json()) == {"error", "next_step"}
        assert not any(one.isdigit() for one in answer.text)
        assert "x-strongroom-receipt" not in answer.headers
    time.sleep(1.1)  # refusals of a second are counted together
    refused = [one for one in site.house.events()[before:] if one.reason == "refused.guard"]
    assert {one.outcome for one in refused} == {Outcome.REFUSED}
    assert sum(int(one.details.get("count", 1)) for one in refused) >= 2
    assert site.call("tumour/score", {"rows": [ODD]}).status_code == 200  # it only observes
    assert site.last_event().details["flagged"] == 1


def test_an_endpoint_that_lacks_the_guard_to_refuse_by_is_not_ready(site: Site) -> None:
    live = site.runners.get("clinic", "guarded")
    assert live is not None
    policy, loaded = live.guarding.policy, live.guarding.loaded
    ways = ("v2/health/ready", "v2/models/guarded/ready")
    assert [site.call(f"guarded/{way}").status_code for way in ways] == [200, 200]
    live.guarding.equip(policy, None, "changed")
    try:
        assert site.call("guarded/score", {"rows": [X[20].tolist()]}).status_code == 503
        assert [site.call(f"guarded/{way}").status_code for way in ways] == [503, 503]
    finally:
        live.guarding.equip(policy, loaded)


def test_what_a_guard_counts_is_shown_without_people(site: Site) -> None:
    registry = CollectorRegistry()
    registry.register(GuardCounters(site.guards.tallies))
    site.call("guarded/score", {"rows": [ODD]})
    shown = generate_latest(registry).decode()
    place = 'endpoint="guarded",workspace="clinic"'
    lines = dict(line.rsplit(" ", 1) for line in shown.splitlines() if line[0] != "#")
    assert float(lines[f"strongroom_guard_refused_requests_total{{{place}}}"]) >= 1
    found = [name for name in lines if "flagged" in name and place in name.replace(
        'detector="distance",', "").replace('detector="neighbours",', "")]  # fmt: skip
    assert len(found) >= 2
    assert sum(float(lines[name]) for name in found) >= 1
    assert "usr_" not in shown


# ---- neighbours ----


def test_what_cannot_be_few_rows_is_paid_before_it_is_read(site: Site) -> None:
    live = site.runners.get("clinic", "slow-lane")
    assert live is not None
    each = (live.schema.most_bytes - 65_536) // live.schema.max_rows
    key = make_key(site.house, site.house.person("flo", "ML Engineer"), "clinic")
    body = b" " * (65_536 + 4 * each)  # no JSON at all: whoever read it would find nothing
    answers = [site.call("slow-lane/score", body, key=key) for _ in range(2)]
    # Four of five rows were paid; four more there are not.
    assert [answer.status_code for answer in answers] == [400, 429]
    assert answers[1].headers["connection"] == "close"  # what is left of the body is not wanted
    assert site.call("slow-lane/score", {"rows": [ROW]}, key=key).status_code == 200
    site.alive()


@pytest.mark.parametrize(
    "body",
    [
        b'{"rows": [[' + b"9" * 100_000 + b"]]}",
        b'{"rows": ' + b"[" * 50_000,
        b'{"rows": [[NaN]]}',
        json.dumps({"rows": [ROW] * 200}).encode(),
        b'{"rows": [[' + b"1e400," * 20_000 + b"1]]}",
    ],
    ids=["huge", "deep", "nan", "many", "infinite"],
)
def test_a_flood_of_one_caller_takes_nobody_elses_answers(site: Site, body: bytes) -> None:
    flooding = make_key(site.house, site.house.person(f"fay {len(body)}", "ML Engineer"), "clinic")
    statuses: list[int] = []

    def flood() -> None:
        with httpx.Client(timeout=30, trust_env=False) as client:
            headers = {"Authorization": f"Bearer {flooding}", "Content-Type": "application/json"}
            for _ in range(15):
                answer = client.post(
                    f"{site.base}/clinic/tumour/score", headers=headers, content=body
                )
                statuses.append(answer.status_code)

    threads = [threading.Thread(target=flood) for _ in range(4)]
    for thread in threads:
        thread.start()
    for _ in range(15):
        site.alive()
    for thread in threads:
        thread.join()
    assert len(statuses) == 60
    assert set(statuses) <= {200, 400, 413, 429}
