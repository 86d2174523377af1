"""A request of somebody known is on the record once, and takes from a bucket, however it ends."""

import json
import uuid
from collections.abc import Mapping

import pytest
from tests.faces.mlflow.ward import Ward

from strongroom.errors import RateLimitedError
from strongroom.gate.audit.types import Event, Outcome
from strongroom.gate.undecided import Undecided, UndecidedCalls

API = "/api/2.0/mlflow"
JSON = {"content-type": "application/json"}


def recorded(ward: Ward, who: str, method: str, path: str, **more: object) -> list[Event]:
    """The records of one request, whose answer must be an error of MLflow's shape."""
    assert ward.call("alice", "GET", "/version").status_code == 200
    last = ward.events()[-1].request_id
    answer = ward.call(who, method, path, **more)  # type: ignore[arg-type] # passed on
    assert 400 <= answer.status_code < 500, answer.text
    assert "error_code" in answer.json()
    events = ward.events()
    newest = events[-1].request_id
    assert newest != last, "nothing was recorded"
    return [it for it in events if it.request_id == newest]


@pytest.mark.parametrize(
    ("method", "path", "sent", "reason"),
    [
        ("POST", f"{API}/runs/create", {"content": b"{", "headers": JSON}, "request.field"),
        ("POST", f"{API}/runs/create", {"content": b"[1]", "headers": JSON}, "request.field"),
        ("POST", f"{API}/runs/create", {"content": b"\xff\xfe", "headers": JSON}, "request.field"),
        ("POST", f"{API}/runs/create", {"content": b"[" * 100_000}, "request.field"),
        ("POST", f"{API}/runs/create", {"content": bytes(5 * 2**20)}, "request.too_large"),
        ("POST", "/mlflow/graphql", {"content": b"{}", "headers": JSON}, "request.field"),
        ("POST", "/mlflow/graphql", {"json": {"query": "query O { test }"}}, "refused.undeclared"),
        ("POST", f"{API}/runs/create", {"json": {"experiment_id": [1]}}, "mlflow: "),
        ("POST", f"{API}/runs/log-metric", {"json": {"key": "a", "value": "b"}}, "mlflow: "),
        ("GET", f"{API}/experiments/get", {"params": {"experiment_id": "not a number"}}, "mlflow"),
        ("GET", f"{API}/experiments/get", {"params": {}}, "mlflow: INVALID_PARAMETER_VALUE"),
        ("GET", f"{API}/runs/get", {"params": {"run_id": "x" * 5000}}, "mlflow: "),
        ("GET", f"{API}/model-versions/get", {"params": {"name": "m", "version": "x"}}, "mlflow: "),
        ("PUT", f"{API}-artifacts/artifacts/..%2f..%2fx", {"content": b"x"}, ""),
        ("PUT", f"{API}-artifacts/artifacts/nowhere", {"content": b"x"}, "request.field"),
        ("GET", "/mlflow/get-artifact?path=a&path=b&run_id=1", {}, "request.field"),
        ("GET", "/api/3.0/mlflow/workspaces/nowhere", {}, ""),
        ("GET", f"{API}/no-such-thing", {}, "refused.undeclared"),
        ("DELETE", f"{API}/runs/create", {}, "refused.undeclared"),
        ("GET", "/mlflow//etc/passwd", {}, "refused.undeclared"),
        ("GET", f"{API}/experiments/search?workspace", {"workspace": "nowhere"}, "refused"),
    ],
)  # fmt: skip
def test_what_no_store_has_seen_is_recorded_once(
    ward: Ward, method: str, path: str, sent: dict[str, object], reason: str
) -> None:
    events = recorded(ward, "alice", method, path, **sent)
    assert len(events) == 1
    (event,) = events
    assert event.actor == ward.people["alice"].id
    if event.outcome is Outcome.ALLOWED:  # MLflow's own 404 about what is the caller's own
        assert event.operation == "mlflow.request"
    else:
        assert event.reason.startswith(reason)
    if event.operation == "mlflow.request":
        where = event.resource if event.resource_type == "Route" else str(event.details["route"])
        assert where.startswith(f"{method} /")
        assert "etc" not in where


def test_the_route_is_named_and_nothing_of_the_callers(ward: Ward) -> None:
    secret = uuid.uuid4().hex
    path = f"{API}/logged-models/{secret}/params"
    (event,) = recorded(ward, "alice", "POST", path, content=secret.encode(), headers=JSON)
    assert event.resource == "POST /api/2.0/mlflow/logged-models/<model_id>/params"
    assert (event.resource_type, event.outcome) == ("Route", Outcome.FAILED)
    assert secret not in json.dumps([event.resource, event.reason, dict(event.details)])


@pytest.mark.parametrize("kind", ["text/plain", "multipart/form-data; boundary=x", ""])
def test_a_body_of_another_type_is_no_way_around(ward: Ward, kind: str) -> None:
    path = f"{API}/experiments/create"
    (event,) = recorded(ward, "alice", "POST", path, content=b"--x", headers={"content-type": kind})
    assert (event.operation, event.reason) == ("mlflow.request", "request.field")


def test_a_key_twice_is_taken_as_the_gate_read_it(ward: Ward) -> None:
    """MLflow gets the body written anew: it cannot read the one where the gate read the other."""
    name, other = f"a-{uuid.uuid4()}", f"b-{uuid.uuid4()}"
    content = f'{{"name": "{name}", "name": "{other}"}}'
    answer = ward.call("alice", "POST", f"{API}/experiments/create", content=content, headers=JSON)
    made = answer.json()["experiment_id"]
    found = ward.call("alice", "GET", f"{API}/experiments/get", params={"experiment_id": made})
    assert found.json()["experiment"]["name"] == other
    events = [it for it in ward.events() if it.request_id == ward.events()[-2].request_id]
    assert len(events) == 1
    assert events[0].operation == "mlflow.create_experiment"


def test_what_a_store_has_recorded_is_not_recorded_again(ward: Ward) -> None:
    for who, name, expected in (("alice", "once", 200), ("rita", "never", 403)):
        answer = ward.rpc(who, "experiments/create", {"name": f"{name}-{uuid.uuid4()}"})
        assert answer.status_code == expected
        newest = ward.events()[-1].request_id
        found = [it.operation for it in ward.events() if it.request_id == newest]
        assert found == ["mlflow.create_experiment"]


@pytest.mark.parametrize(
    "path",
    ["/mlflow/", "/mlflow/ajax-api/2.0/mlflow/users/current", "/version",
     "/api/3.0/mlflow/workspaces", "/api/3.0/mlflow/server-info"],
)  # fmt: skip
def test_what_is_about_the_caller_alone_is_decided_and_recorded(ward: Ward, path: str) -> None:
    assert ward.call("alice", "GET", path).status_code == 200
    last = ward.events()[-1]
    assert (last.operation, last.outcome) == ("mlflow.request", Outcome.ALLOWED)
    assert last.action in {"whoAmI", "listWorkspaces"}
    assert str(last.details["route"]).startswith("GET /")


def test_a_suspended_person_does_not_even_see_the_page(ward: Ward) -> None:
    person = ward.house.person("Sven", "Data Scientist")
    with ward.house.database.write() as session:
        _, ward.keys["sven"] = ward.house.issuer.api_key(
            session, person.id, purpose="t", days=1, workspaces=(), by=person.id
        )
    assert ward.call("sven", "GET", "/mlflow/").status_code == 200
    with ward.house.database.write() as session:
        ward.house.grants.suspend(session, person.id, now=ward.house.issuer.now())
    for path in ("/mlflow/", "/version"):
        assert ward.call("sven", "GET", path).status_code in {401, 404}


@pytest.mark.parametrize("header", ["Digest x", "Basic !!!", "Bearer"])
def test_a_credential_that_cannot_be_read_is_a_strangers(ward: Ward, header: str) -> None:
    def asked() -> int:
        return ward.call(
            "", "GET", f"{API}/experiments/search", headers={"Authorization": header}
        ).status_code

    assert {asked() for _ in range(30)} <= {401, 429}
    assert asked() == 429  # of the address's bucket: it cannot fill the log


@pytest.fixture
def narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two requests a minute of each route."""
    take = UndecidedCalls.take

    def narrow_take(self: UndecidedCalls, about: Undecided, principal: object, _: int) -> None:
        take(self, Undecided(about.operation, f"narrow {about.route}", about.audit), principal, 2)  # type: ignore[arg-type] # the gate's

    monkeypatch.setattr(UndecidedCalls, "take", narrow_take)


@pytest.mark.usefixtures("narrow")
@pytest.mark.parametrize(
    ("path", "sent"),
    [
        (f"{API}/runs/delete", {"content": b"{"}),
        (f"{API}/runs/restore", {"json": {"run_id": 1}}),
        (f"{API}/runs/set-tag", {"content": bytes(5 * 2**20)}),
    ],
)
def test_requests_that_come_to_nothing_are_counted(
    ward: Ward, path: str, sent: Mapping[str, object]
) -> None:
    found = [ward.call("emil", "POST", path, **sent).status_code for _ in range(4)]  # type: ignore[arg-type] # passed on
    assert 429 not in found[:2]
    assert found[2:] == [429, 429]
    last = ward.events()[-1]
    assert (last.outcome, last.reason) == (Outcome.REFUSED, RateLimitedError.code)
    assert "unrecorded" in last.details
    # Another's bucket is another.
    assert ward.call("alice", "POST", path, **sent).status_code != 429  # type: ignore[arg-type] # passed on


def test_a_file_that_the_interface_lacks_is_a_404(ward: Ward) -> None:
    answer = ward.call("", "GET", "/mlflow/static-files/none.js")
    assert (answer.status_code, answer.json()["error_code"]) == (404, "RESOURCE_DOES_NOT_EXIST")
