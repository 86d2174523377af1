"""Who is refused, in which way, and that it is on the record."""

import base64
import socket
import uuid

import pytest
from tests.faces.mlflow.ward import Ward

from strongroom.gate.audit.types import Outcome

SEARCH = "/api/2.0/mlflow/experiments/search"


def search(ward: Ward, who: str, **more: object) -> int:
    return ward.call(who, "GET", SEARCH, params={"max_results": 5}, **more).status_code  # type: ignore[arg-type] # passed on


# ---- credentials ----


def test_without_a_key_nothing_is_served(ward: Ward) -> None:
    answer = ward.call("", "GET", SEARCH, params={"max_results": 5})
    assert answer.status_code == 401
    assert answer.json()["error_code"] == "UNAUTHENTICATED"
    assert "Bearer" in answer.headers["www-authenticate"]
    last = ward.events()[-1]
    assert (last.actor_kind, last.outcome) == ("anonymous", Outcome.REFUSED)


@pytest.mark.parametrize(
    "header",
    [
        "Bearer nonsense",
        "Bearer",
        "Digest x",
        "Basic !!!",
        "Basic " + base64.b64encode(b"alice").decode(),
        "Basic " + base64.b64encode(b"alice:").decode(),
    ],
)
def test_a_credential_that_is_none_is_refused(ward: Ward, header: str) -> None:
    assert search(ward, "", headers={"Authorization": header}) == 401


def test_a_key_one_digit_off_is_refused(ward: Ward) -> None:
    key = ward.keys["alice"]
    wrong = key[:-12] + ("a" if key[-12] != "a" else "b") + key[-11:]
    assert search(ward, "", headers={"Authorization": f"Bearer {wrong}"}) == 401


def test_the_key_is_taken_as_a_password_too(ward: Ward) -> None:
    pair = base64.b64encode(f"anyone:{ward.keys['alice']}".encode()).decode()
    assert search(ward, "", headers={"Authorization": f"Basic {pair}"}) == 200


def test_an_expired_key_is_refused(ward: Ward) -> None:
    assert search(ward, "late") == 200
    ward.expire("late")
    assert search(ward, "late") == 401


def test_strangers_cannot_fill_the_log(ward: Ward) -> None:
    before = {it.request_id for it in ward.events()}
    found = [search(ward, "") for _ in range(40)]
    assert set(found) <= {401, 429}
    assert found[-1] == 429
    written = [it for it in ward.events() if it.request_id not in before]
    assert len(written) == found.count(401)


def test_a_network_of_addresses_is_one_stranger(ward: Ward) -> None:
    """Whoever has one address of IPv6 has 2^64 of them."""

    def asked(address: str) -> int:
        ward.street.address = address
        return search(ward, "")

    found = [asked(f"2001:db8:0:1::{number:x}") for number in range(1, 41)]
    assert found[-1] == 429
    assert asked("2001:db8:0:2::1") == 401


def test_visits_are_counted_by_network_too(ward: Ward, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("strongroom.faces.mlflow.app.VISITS_PER_MINUTE", 2)

    def asked(address: str) -> int:
        ward.street.address = address
        return ward.call("", "GET", "/mlflow").status_code

    assert [asked(f"2001:db8:0:3::{number}") for number in (1, 2, 3)] == [303, 303, 429]
    assert asked("2001:db8:0:4::1") == 303


def handshake(ward: Ward, path: str, who: str = "") -> str:
    """Status of the answer to a handshake of RFC 6455, section 4.1."""
    with socket.create_connection((ward.client.base_url.host, ward.client.base_url.port)) as line:
        key = f"Authorization: Bearer {ward.keys[who]}\r\n" if who else ""
        line.sendall(
            f"GET {path} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\n"
            "Connection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"
            f"Sec-WebSocket-Version: 13\r\n{key}\r\n".encode()
        )
        return line.recv(4096).decode().split()[1]


def test_a_websocket_gets_no_further_than_a_request(ward: Ward) -> None:
    """No server of ours speaks it, so the handshake is a GET, decided and recorded as one."""
    assert handshake(ward, SEARCH) == "401"
    last = ward.events()[-1]
    assert (last.actor_kind, last.outcome) == ("anonymous", Outcome.REFUSED)
    assert handshake(ward, "/mlflow/socket", "alice") == "404"
    last = ward.events()[-1]
    assert (last.operation, last.actor) == ("undeclared", ward.people["alice"].id)
    assert last.resource == "GET /mlflow/…"


# ---- roles ----


def test_a_reader_reads_experiments_and_writes_none(ward: Ward) -> None:
    experiment = ward.experiment("alice", "for reading")
    assert search(ward, "rita") == 200
    answer = ward.rpc("rita", "experiments/create", {"name": "by a reader"})
    assert answer.status_code == 403
    assert answer.json()["error_code"] == "PERMISSION_DENIED"
    last = ward.events()[-1]
    assert (last.action, last.outcome) == ("writeExperiment", Outcome.REFUSED)
    for path, body in (
        ("experiments/update", {"experiment_id": experiment, "new_name": "other"}),
        ("experiments/delete", {"experiment_id": experiment}),
        ("runs/create", {"experiment_id": experiment}),
        ("registered-models/create", {"name": "by-a-reader"}),
    ):
        assert ward.rpc("rita", path, body).status_code == 403, path


def test_a_reader_gets_no_artifacts(ward: Ward) -> None:
    run = ward.run("alice", ward.experiment("alice", "artifacts not for readers"))
    assert ward.put("alice", run, "x.txt", b"x").status_code == 200
    answer = ward.call("rita", "GET", ward.artifact(run, "x.txt"))
    assert answer.status_code == 404
    assert b"x.txt" not in answer.content
    assert ward.put("rita", run, "y.txt", b"y").status_code == 403
    assert ward.call("rita", "DELETE", ward.artifact(run, "x.txt")).status_code == 403
    assert ward.call("alice", "GET", ward.artifact(run, "x.txt")).content == b"x"


def test_a_person_without_a_role_has_no_workspace(ward: Ward) -> None:
    assert search(ward, "nina") == 400
    assert search(ward, "nina", workspace="clinic") == 404
    last = ward.events()[-1]
    assert (last.operation, last.outcome) == ("mlflow.workspace", Outcome.REFUSED)


def test_a_withdrawn_role_is_felt_at_once(ward: Ward) -> None:
    person = ward.house.person("Wanda", "Data Scientist")
    with ward.house.database.write() as session:
        _, ward.keys["wanda"] = ward.house.issuer.api_key(
            session, person.id, purpose="t", days=1, workspaces=(), by=person.id
        )
    assert search(ward, "wanda") == 200
    ward.house.revoke(person, "Data Scientist")
    assert search(ward, "wanda", workspace="clinic") == 404


# ---- workspaces ----


def test_another_workspace_is_closed_and_looks_like_none(ward: Ward) -> None:
    theirs = search(ward, "alice", workspace="lab")
    nowhere = search(ward, "alice", workspace="no-such-place")
    assert (theirs, nowhere) == (404, 404)
    a = ward.call("alice", "GET", SEARCH, params={"max_results": 5}, workspace="lab")
    b = ward.call("alice", "GET", SEARCH, params={"max_results": 5}, workspace="nowhere")
    assert a.json() == b.json()


@pytest.mark.parametrize("name", ["default", "..", "clinic/../lab", "CLINIC", "a" * 300])
def test_odd_workspaces_are_nobodys(ward: Ward, name: str) -> None:
    assert search(ward, "alice", workspace=name) == 404


def test_two_workspaces_must_be_told_apart(ward: Ward) -> None:
    answer = ward.call("otto", "GET", SEARCH, params={"max_results": 5})
    assert answer.status_code == 400
    assert "set_workspace" in answer.json()["message"]
    assert search(ward, "otto", workspace="clinic") == 200
    assert search(ward, "otto", workspace="lab") == 200


def test_a_key_for_one_workspace_opens_only_that(ward: Ward) -> None:
    experiment = ward.experiment("otto-lab", "of the lab")
    assert search(ward, "otto-lab", workspace="clinic") == 404
    path = "/api/2.0/mlflow/experiments/get"
    params = {"experiment_id": experiment}
    assert ward.call("bob", "GET", path, params=params).status_code == 200
    assert ward.call("alice", "GET", path, params=params).status_code == 404


def test_searches_stay_in_the_workspace(ward: Ward) -> None:
    mine = ward.experiment("alice", "seen in the clinic")
    theirs = ward.experiment("bob", "seen in the lab")
    ward.run("bob", theirs)
    ward.made("bob", "registered-models/create", {"name": "lab-model"})
    names = [
        it["name"]
        for it in ward.call("alice", "GET", SEARCH, params={"max_results": 1000}).json()[
            "experiments"
        ]
    ]
    assert "seen in the clinic" in names
    assert "seen in the lab" not in names
    runs = ward.made("alice", "runs/search", {"experiment_ids": [mine, theirs]})
    assert runs.get("runs", []) == []
    models = ward.call("alice", "GET", "/api/2.0/mlflow/registered-models/search").json()
    assert "lab-model" not in [it["name"] for it in models.get("registered_models", [])]
    for params in ({"name": "lab-model"}, {"name": "not-there-at-all"}):
        path = "/api/2.0/mlflow/registered-models/get"
        assert ward.call("alice", "GET", path, params=params).status_code == 404


def test_what_lies_in_another_workspace_cannot_be_changed(ward: Ward) -> None:
    theirs = ward.experiment("bob", "not yours")
    run = ward.run("bob", theirs)
    for path, body in (
        ("runs/create", {"experiment_id": theirs}),
        ("runs/log-metric", {"run_id": run["run_id"], "key": "m", "value": 1, "timestamp": 1}),
        ("runs/log-batch", {"run_id": run["run_id"], "tags": [{"key": "a", "value": "b"}]}),
        ("runs/set-tag", {"run_id": run["run_id"], "key": "a", "value": "b"}),
        ("runs/delete", {"run_id": run["run_id"]}),
        ("experiments/update", {"experiment_id": theirs, "new_name": "mine"}),
        ("experiments/delete", {"experiment_id": theirs}),
    ):
        assert ward.rpc("alice", path, body).status_code == 404, path
    assert ward.put("alice", run, "x", b"x").status_code == 404
    last = ward.events()[-1]
    assert (last.operation, last.workspace, last.outcome) == (
        "mlflow.putArtifact", "lab", Outcome.REFUSED,
    )  # fmt: skip
    # Named by a path of one's own workspace, it still is not there.
    moved = ward.artifact(run, "x").replace("workspaces/lab/", "workspaces/clinic/")
    assert ward.call("alice", "PUT", moved, content=b"x").status_code == 404


def counted_traces(ward: Ward, who: str, *experiments: str, **more: object) -> tuple[int, object]:
    """Status of a count of traces, and what was counted."""
    answer = ward.call(
        who, "POST", "/api/3.0/mlflow/traces/metrics",
        json={
            "experiment_ids": list(experiments), "view_type": "TRACES",
            "metric_name": "trace_count", "aggregations": [{"aggregation_type": "COUNT"}],
        },
        **more,  # type: ignore[arg-type] # passed on
    )  # fmt: skip
    points = answer.json().get("data_points") or [{"values": {"COUNT": 0}}]
    return answer.status_code, points[0]["values"]["COUNT"]


def test_traces_are_counted_for_those_who_may_read_them(ward: Ward) -> None:
    mine = ward.experiment("alice", "traces that are counted")
    theirs = ward.experiment("bob", "traces of the lab")
    for who, experiment in (("alice", mine), ("bob", theirs), ("bob", theirs)):
        trace = {
            "trace_id": f"tr-{uuid.uuid4().hex}", "request_time": "2026-01-01T00:00:00Z",
            "trace_location": {
                "type": "MLFLOW_EXPERIMENT", "mlflow_experiment": {"experiment_id": experiment},
            },
            "state": "OK",
        }  # fmt: skip
        answer = ward.call(
            who, "POST", "/api/3.0/mlflow/traces", json={"trace": {"trace_info": trace}}
        )
        assert answer.status_code == 200, answer.text
    assert counted_traces(ward, "alice", mine) == (200, 1)
    assert counted_traces(ward, "rita", mine) == (200, 1)
    # A role that may not read experiments: as if there were none.
    assert counted_traces(ward, "carl", mine) == (404, 0)
    last = ward.events()[-1]
    assert (last.operation, last.outcome) == ("mlflow.query_trace_metrics", Outcome.REFUSED)
    # No role at all, and one in another workspace: as for a workspace that is not there.
    for who in ("nina", "bob"):
        assert counted_traces(ward, who, mine, workspace="clinic") == (403, 0)
        assert ward.events()[-1].outcome is Outcome.REFUSED
        assert counted_traces(ward, who, mine, workspace="nowhere") == (403, 0)
    # Ids of another workspace count for nothing, alone and beside one's own.
    assert counted_traces(ward, "alice", theirs) == (200, 0)
    assert counted_traces(ward, "alice", mine, theirs) == (200, 1)
    assert counted_traces(ward, "bob", mine, theirs) == (200, 2)


# ---- identity ----


def test_the_caller_cannot_say_who_they_are(ward: Ward) -> None:
    experiment = ward.experiment("alice", "identity")
    made = ward.made(
        "alice",
        "runs/create",
        {
            "experiment_id": experiment,
            "user_id": "mallory",
            "tags": [{"key": "mlflow.user", "value": "mallory"}],
        },
    )["run"]
    run_id = made["info"]["run_id"]  # type: ignore[index] # JSON
    for path, body in (
        ("runs/set-tag", {"key": "mlflow.user", "value": "mallory"}),
        ("runs/log-batch", {"tags": [{"key": "mlflow.user", "value": "mallory"}]}),
        ("runs/update", {"user_id": "mallory"}),
    ):
        ward.rpc("alice", path, {"run_id": run_id, **body})
    assert (
        ward.rpc("alice", "runs/delete-tag", {"run_id": run_id, "key": "mlflow.user"}).status_code
        == 403
    )
    seen = ward.call("alice", "GET", "/api/2.0/mlflow/runs/get", params={"run_id": run_id})
    assert "mallory" not in seen.text
    assert seen.json()["run"]["info"]["user_id"] == "Alice"


@pytest.mark.parametrize(
    "headers",
    [
        {"X-Mlflow-User": "bob"},
        {"X-Forwarded-User": "bob", "X-Remote-User": "bob"},
        {
            "X-Forwarded-Prefix": "/x",
            "X-Original-URL": "/gateway/",
            "X-HTTP-Method-Override": "DELETE",
        },
        {"Host": "evil.example"},
    ],
)
def test_headers_of_the_caller_change_nothing(ward: Ward, headers: dict[str, str]) -> None:
    assert search(ward, "rita", headers=headers) == 200
    answer = ward.rpc("rita", "experiments/create", {"name": "spoofed"}, headers=headers)
    assert answer.status_code == 403


def test_two_workspace_headers_are_refused(ward: Ward) -> None:
    import httpx

    with httpx.Client(base_url=ward.url) as client:
        answer = client.get(
            SEARCH,
            params={"max_results": 5},
            headers=[
                ("Authorization", f"Bearer {ward.keys['otto']}"),
                ("X-MLFLOW-WORKSPACE", "clinic"),
                ("X-MLFLOW-WORKSPACE", "lab"),
            ],
        )
        assert answer.status_code == 400
        answer = client.get(
            SEARCH,
            headers=[
                ("Authorization", f"Bearer {ward.keys['rita']}"),
                ("Authorization", f"Bearer {ward.keys['alice']}"),
            ],
        )
        assert answer.status_code == 400


# ---- surfaces ----


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", "/api/3.0/mlflow/gateway/endpoints/create"),
        ("POST", "/mlflow/gateway/any/mlflow/invocations"),
        ("POST", "/api/2.0/mlflow/webhooks/create"),
        ("POST", "/api/2.0/mlflow/users/create"),
        ("GET", "/api/2.0/mlflow/users/get"),
        ("POST", "/api/3.0/mlflow/workspaces"),
        ("GET", "/ajax-api/3.0/jobs/1"),
        ("POST", "/ajax-api/3.0/mlflow/assistant/message"),
        ("POST", "/api/2.0/mlflow-artifacts/mpu/create/x"),
        ("GET", "/api/2.0/mlflow-artifacts/presigned/x"),
        ("POST", "/ajax-api/2.0/mlflow/upload-artifact"),
        ("POST", "/api/2.0/mlflow/registered-models/rename"),
        ("POST", "/ajax-api/3.0/mlflow/scorer/invoke"),
        ("POST", "/v1/traces"),
        ("GET", "/mlflow/metrics"),
        ("GET", "/api/2.0/anything"),
    ],
)
def test_what_is_not_offered_is_refused_and_recorded(ward: Ward, method: str, path: str) -> None:
    answer = ward.call("alice", method, path, workspace="clinic")
    assert answer.status_code == 404
    assert answer.json()["error_code"] == "ENDPOINT_NOT_FOUND"
    last = ward.events()[-1]
    assert (last.operation, last.outcome) == ("undeclared", Outcome.REFUSED)
    shown = last.resource.removeprefix(f"{method} ").split("/")
    asked = path.split("/")
    assert len(shown) == len(asked)
    assert all(word in {part, "…"} for word, part in zip(shown, asked, strict=True))


def test_names_in_paths_do_not_get_into_the_log(ward: Ward) -> None:
    ward.call("alice", "GET", "/api/2.0/mlflow/jane.roe@example.org/srk_secret", workspace="clinic")
    assert ward.events()[-1].resource == "GET /api/2.0/mlflow/…/…"
    ward.call("alice", "POST", "/api/2.0/mlflow/webhooks/create", workspace="clinic")
    assert ward.events()[-1].resource == "POST /api/2.0/mlflow/webhooks/create"


def test_prompts_are_refused(ward: Ward) -> None:
    tags = [{"key": "mlflow.prompt.is_prompt", "value": "true"}]
    answer = ward.rpc("alice", "registered-models/create", {"name": "greeting", "tags": tags})
    assert answer.status_code == 400
    assert "prompts are not offered" in answer.json()["message"]


@pytest.mark.parametrize("name", ["a\x00b", "a/b", "a:b", "a\nb", "x" * 257, "\u0007", ""])
def test_a_name_that_no_model_may_have_is_refused(ward: Ward, name: str) -> None:
    assert ward.rpc("alice", "registered-models/create", {"name": name}).status_code == 400


def test_a_body_over_the_limit_is_refused(ward: Ward) -> None:
    body = {"name": "x" * (5 * 2**20)}
    assert ward.rpc("alice", "experiments/create", body).status_code == 413


def test_bad_input_is_a_4xx(ward: Ward) -> None:
    for body in (b"", b"{", b"[]", b'"text"', b'{"name": 1e999}', b"\xff\xfe"):
        answer = ward.call(
            "alice", "POST", "/api/2.0/mlflow/experiments/create", content=body,
            headers={"Content-Type": "application/json"},
        )  # fmt: skip
        assert 400 <= answer.status_code < 500, (body, answer.status_code, answer.text)


# ---- sessions in a browser ----


def browser(ward: Ward, who: str, **headers: str) -> dict[str, str]:
    return {"Cookie": f"a=b; {ward.cookie}={ward.sessions[who]}", **headers}


def test_a_session_reads_and_changes_from_our_own_pages_only(ward: Ward) -> None:
    create = "/mlflow/ajax-api/2.0/mlflow/experiments/create"
    assert search(ward, "", headers=browser(ward, "alice")) == 200
    for origin in ({}, {"Origin": "https://evil.example"}, {"Origin": "null"}):
        answer = ward.call(
            "", "POST", create, json={"name": "forged"}, headers=browser(ward, "alice", **origin)
        )
        assert answer.status_code == 403
    answer = ward.call(
        "", "POST", create, json={"name": "from the page"},
        headers=browser(ward, "alice", Origin=ward.url),
    )  # fmt: skip
    assert answer.status_code == 200


def test_pages_send_strangers_to_sign_in_and_serve_people(ward: Ward) -> None:
    page = ward.call("", "GET", "/mlflow/", headers={"Accept": "text/html"})
    assert (page.status_code, page.headers["location"]) == (303, "/sign-in")
    assert ward.call("", "GET", "/mlflow").headers["location"] == "/mlflow/"
    page = ward.call("", "GET", "/mlflow/", headers=browser(ward, "rita", Accept="text/html"))
    assert page.status_code == 200
    assert "script-src 'self'" in page.headers["content-security-policy"]
    assert page.headers["x-frame-options"] == "DENY"
    assert page.headers["cache-control"] == "no-store"
    person = ward.call(
        "", "GET", "/mlflow/ajax-api/2.0/mlflow/users/current", headers=browser(ward, "rita")
    ).json()
    assert person["user"]["username"] == "Rita"


def test_a_person_sees_their_workspaces_only(ward: Ward) -> None:
    path = "/api/3.0/mlflow/workspaces"

    def names(who: str) -> list[str]:
        return [it["name"] for it in ward.call(who, "GET", path).json().get("workspaces", [])]

    assert names("alice") == ["clinic"]
    assert names("otto") == ["clinic", "lab"]
    assert names("otto-lab") == ["lab"]
    assert names("nina") == []
    assert ward.call("alice", "GET", f"{path}/lab").status_code == 404
    assert ward.call("alice", "GET", f"{path}/clinic").status_code == 200


# ---- the interface's queries ----


def graphql(ward: Ward, who: str, body: object) -> int:
    return ward.call(who, "POST", "/mlflow/graphql", json=body).status_code


def test_only_the_interfaces_queries_are_answered(ward: Ward) -> None:
    experiment = ward.experiment("alice", "asked by graph")
    query = (
        "query MlflowGetExperimentQuery($input: MlflowGetExperimentInput!) "
        "{ mlflowGetExperiment(input: $input) { experiment { name } apiError { message } } }"
    )
    body = {"query": query, "variables": {"input": {"experimentId": experiment}}}
    answer = ward.call("alice", "POST", "/mlflow/graphql", json=body)
    assert answer.json()["data"]["mlflowGetExperiment"]["experiment"]["name"] == "asked by graph"
    hidden = ward.call("bob", "POST", "/mlflow/graphql", json=body)
    assert "asked by graph" not in hidden.text
    for other in (
        'mutation M { testMutation(inputString: "x") { output } }',
        'query GetRun { test(inputString: "x") { output } }',
        "query GetRun { __schema { types { name } } }",
        "query Other { mlflowGetRun(input: {}) { apiError { code } } }",
        f"{query} query GetRun {{ mlflowGetRun(input: {{}}) {{ apiError {{ code }} }} }}",
        "subscription GetRun { mlflowGetRun }",
    ):
        assert graphql(ward, "alice", {"query": other}) == 404, other
    broken: object
    for broken in ({}, {"query": 1}, {"query": "{"}, [], {"query": "{" * 5000}, "text"):
        assert graphql(ward, "alice", broken) == 400, broken
    assert graphql(ward, "alice", {"query": query, "variables": [1]}) == 400
