"""Who may not is refused over HTTP with status, code and next step, and put on the record."""

import sqlite3
import time
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest
from tests.journeys.conftest import PEOPLE
from tests.journeys.served import WORKSPACE, Mlflow, Served

IN = f"/api/v1/workspaces/{WORKSPACE}"
CSV = b"name,age\nAda,36\n"
JOB = "job_" + "0" * 24


@dataclass(frozen=True, slots=True)
class Asked:
    """A request of one operation, and the roles that it is for."""

    operation: str
    method: str
    path: str
    roles: frozenset[str]
    json: Mapping[str, object] | None = None
    content: bytes | None = None
    recorded_in: str = WORKSPACE

    def __str__(self) -> str:
        return self.operation


def asked(
    operation: str,
    method: str,
    path: str,
    roles: str,
    **more: Any,  # noqa: ANN401 # Asked's own
) -> Asked:
    """`roles` by the names of those who hold them."""
    return Asked(operation, method, path, frozenset(roles.split()), **more)


ASKED = [
    asked("data.add", "POST", f"{IN}/data/roles?format=csv", "olga carl dan", content=CSV),
    asked("data.ls", "GET", f"{IN}/data", "olga carl dan emma petra aldo rita"),
    asked("data.read", "GET", f"{IN}/data/roles/rows", "olga carl dan emma petra"),
    asked(
        "data.classify", "POST", f"{IN}/data/roles/columns", "olga petra",
        json={"column": "age", "type": "none"},
    ),
    asked("data.rm", "DELETE", f"{IN}/data/never", "olga carl"),
    asked("model.ls", "GET", f"{IN}/models", "olga carl dan emma petra aldo rita"),
    asked("model.approve", "POST", f"{IN}/models/m/versions/1/approve", "olga carl emma", json={}),
    asked("model.pull", "GET", f"{IN}/models/m/versions/1/files", "olga carl dan emma"),
    asked(
        "endpoint.create", "POST", f"{IN}/endpoints", "olga carl dan emma",
        json={"endpoint": "by-role"},
    ),
    asked("job.cancel", "POST", f"{IN}/jobs/{JOB}/cancel", "olga carl dan emma carla", json={}),
    asked("audit.tail", "GET", f"{IN}/log/tail", "olga carl petra aldo"),
    asked("audit.export", "GET", f"{IN}/log/export", "olga carl petra aldo"),
    asked(
        "role.grant", "POST", f"{IN}/roles", "olga",
        json={"principal": "nina", "role": "Nonsense"},
    ),
    asked("role.revoke", "DELETE", f"{IN}/roles/nina/Reader", "olga"),
    asked("key.rotate", "POST", f"{IN}/key/rotate", "olga", json={}),
    asked(
        "workspace.create", "POST", "/api/v1/workspaces", "", json={"name": "mine"},
        recorded_in="",
    ),
    asked("user.create", "POST", "/api/v1/users", "", json={"name": "mine"}, recorded_in=""),
    asked("user.disable", "POST", "/api/v1/users/olga/disable", "", json={}, recorded_in=""),
    asked("audit.server", "GET", "/api/v1/server/log/tail", "", recorded_in=""),
]  # fmt: skip


def send(served: Served, key: str, it: Asked) -> httpx.Response:
    """The request with a key."""
    with served.http(key) as http:
        return http.request(
            it.method, it.path, json=it.json, content=it.content,
            headers={"Content-Type": "text/csv"} if it.content else {},
        )  # fmt: skip


def require_problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """The answer is a problem document that says what to do."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    problem: dict[str, Any] = answer.json()
    assert problem["code"] == code, problem
    assert problem["status"] == status
    assert problem["detail"]
    assert len(problem["next_step"]) > 10
    assert problem["request_id"] == answer.headers["X-Request-Id"]
    return problem


def recorded(served: Served, workspace: str, request_id: str) -> dict[str, Any]:
    """The log entry of a request."""
    with served.client() as operator:
        if workspace:
            page = operator.call("audit.tail", workspace=workspace, limit=500)
        else:
            page = operator.call("audit.server", limit=500)
    (entry,) = [it for it in page["entries"] if it["request_id"] == request_id]
    found: dict[str, Any] = entry
    return found


@pytest.mark.parametrize("it", ASKED, ids=str)
def test_each_operation_is_for_its_roles(served: Served, it: Asked) -> None:
    refused: dict[str, httpx.Response] = {}
    for name in PEOPLE:
        answer = send(served, served.keys[name], it)
        if name in it.roles:
            # Admitted: what comes then depends on what is there.
            assert answer.status_code not in {401, 403, 500}, (name, answer.text)
        else:
            require_problem(answer, 403, "refused")
            assert it.operation not in answer.json()["detail"]
            refused[name] = answer
    name = min(refused)
    entry = recorded(served, it.recorded_in, refused[name].headers["X-Request-Id"])
    assert (entry["operation"], entry["outcome"]) == (it.operation, "refused")
    assert entry["reason"].startswith("refused: ")
    assert entry["actor_kind"] == "person"
    assert entry["credential"] == served.keys[name][:20]


OF_THE_CALL = {"request_id", "log_entry"}
"""What is another in each answer, whatever was asked for."""


def test_a_refusal_tells_nothing_of_what_is_there(served: Served) -> None:
    with served.client("olga") as owner:
        owner.call("data.add", CSV, name="there", format="csv")
    answers = []
    with served.http(served.keys["nina"]) as http:
        for name in ("there", "not-there"):
            answer = http.get(f"{IN}/data/{name}")
            problem = require_problem(answer, 403, "refused")
            answers.append({k: v for k, v in problem.items() if k not in OF_THE_CALL})
        for workspace in ("lab", "no-such-place"):
            answer = http.get(f"/api/v1/workspaces/{workspace}/data")
            problem = require_problem(answer, 403, "refused")
            answers.append({k: v for k, v in problem.items() if k not in OF_THE_CALL})
    assert answers[0] == answers[1]
    assert answers[2] == answers[3]


# ---- keys ----


@dataclass
class Holder:
    """A person of one test, with a role that would do."""

    served: Served
    name: str
    extra: dict[str, str] = field(default_factory=dict)

    def look(self, key: str = "", workspace: str = WORKSPACE) -> httpx.Response:
        """List the datasets."""
        with self.served.http(key or self.served.keys[self.name]) as http:
            return http.get(f"/api/v1/workspaces/{workspace}/data")

    def operate(self, operation: str, **fields: Any) -> Any:  # noqa: ANN401 # JSON
        """As the operator."""
        with self.served.client() as operator:
            return operator.call(operation, **fields)


@pytest.fixture
def holder(served: Served, request: pytest.FixtureRequest) -> Holder:
    name = request.node.name.replace("_", "-").removeprefix("test-")[:40].strip("-")
    served.person(name, "Reader")
    found = Holder(served, name)
    assert found.look().status_code == 200
    return found


def in_time(holder: Holder, status: int, key: str = "") -> httpx.Response:
    """The answer once it has that status; a revocation is felt within about a second."""
    deadline = time.monotonic() + 3
    while True:
        is_late = time.monotonic() > deadline  # when it is asked: the answer may take its time
        answer = holder.look(key)
        if answer.status_code == status or is_late:
            return answer
        time.sleep(0.05)


def refusals(served: Served, key: str) -> list[str]:
    """Reasons of the refused sign-ins with a key."""
    with served.client() as operator:
        entries = operator.call("audit.server", limit=500)["entries"]
    return [
        it["details"]["reason"] for it in entries
        if (it["operation"], it["outcome"]) == ("sign_in", "refused")
        and it["credential"] == key[:20]
    ]  # fmt: skip


def test_a_key_whose_end_was_changed(holder: Holder) -> None:
    key = holder.served.keys[holder.name]
    database = holder.served.home / "strongroom.db"
    with closing(sqlite3.connect(database, timeout=30)) as connection, connection:
        changed = connection.execute(
            "UPDATE api_keys SET expires_at = '2036-01-01 00:00:00.000000' WHERE id = ?",
            (key[:20],),
        )
        assert changed.rowcount == 1
    answer = in_time(holder, 401)
    require_problem(answer, 401, "sign_in.required")
    assert answer.headers["WWW-Authenticate"].startswith("Bearer")
    assert refusals(holder.served, key) == ["the key is not valid"]


def test_a_revoked_key(holder: Holder) -> None:
    key = holder.served.keys[holder.name]
    with holder.served.client(holder.name) as client:
        client.call("token.revoke", key=key[:20])
    require_problem(holder.look(), 401, "sign_in.required")
    assert refusals(holder.served, key) == ["the key is not valid"]


def test_a_disabled_account(holder: Holder) -> None:
    key = holder.served.keys[holder.name]
    holder.operate("user.disable", user=holder.name)
    require_problem(in_time(holder, 401), 401, "sign_in.required")
    assert "the account is disabled" in refusals(holder.served, key)
    holder.operate("user.enable", user=holder.name)
    assert in_time(holder, 200).status_code == 200


def test_a_role_withdrawn(holder: Holder) -> None:
    with holder.served.client("olga") as owner:
        owner.call("role.revoke", principal=holder.name, role="Reader")
    answer = in_time(holder, 403)
    require_problem(answer, 403, "refused")
    entry = recorded(holder.served, WORKSPACE, answer.headers["X-Request-Id"])
    assert (entry["outcome"], entry["operation"]) == ("refused", "data.ls")


def test_a_key_for_another_workspace(holder: Holder) -> None:
    with holder.served.client(workspace="lab") as operator:
        operator.call(
            "role.grant", workspace="lab", principal=holder.name, role="Reader",
            claim=holder.served.claims[holder.name],
        )  # fmt: skip
    with holder.served.client(holder.name) as own:
        key = own.call("token.create", purpose="lab", workspaces=["lab"])["secret"]
    assert holder.look(key, "lab").status_code == 200
    answer = holder.look(key)
    problem = require_problem(answer, 403, "refused")
    assert "not for that workspace" in problem["detail"]
    assert recorded(holder.served, WORKSPACE, answer.headers["X-Request-Id"])["outcome"] == (
        "refused"
    )
    # Nor can it make itself a key that reaches further.
    with holder.served.http(key) as http:
        wider = http.post("/api/v1/tokens", json={"purpose": "wider"})
        assert wider.status_code != 200 or wider.json()["workspaces"] == ["lab"], wider.text


def test_keys_that_are_none(served: Served) -> None:
    good = served.keys["rita"]
    flipped = good[:-1] + ("0" if good[-1] != "0" else "1")
    for key in (flipped, good[:-9], "srk_" + "a" * 16, "x", "é", good + "a", "a" * 5_000):
        with served.http() as http:
            value = f"Bearer {key}".encode()
            answer = http.get(f"{IN}/data", headers=[(b"Authorization", value)])
        assert answer.status_code in {401, 429}, (key[:8], answer.text)
        assert answer.json()["code"] in {"sign_in.required", "refused.rate"}
        assert good[21:60] not in answer.text
    with served.http() as http:
        require_problem(http.get(f"{IN}/data"), 401, "sign_in.required")


# ---- wrong words ----


def test_unknown_roles_and_people(served: Served) -> None:
    with served.http(served.keys["olga"]) as http:
        before = http.get(f"{IN}/roles").json()
        for role in ("Superuser", "Operator", "Ówner", "", "x" * 5_000, 7, None, ["Owner"]):
            answer = http.post(f"{IN}/roles", json={"principal": "nina", "role": role})
            problem = require_problem(answer, answer.status_code, answer.json()["code"])
            assert answer.status_code in {400, 403, 404, 422}, (role, problem)
        named = require_problem(
            http.post(f"{IN}/roles", json={"principal": "nina", "role": "Superuser"}),
            422, "request.field",
        )  # fmt: skip
        assert "Superuser" in named["detail"]
        missing = http.post(f"{IN}/roles", json={"principal": "nobody", "role": "Reader"})
        require_problem(missing, 404, "not_found")
        assert http.get(f"{IN}/roles").json() == before


def test_what_is_not_declared(served: Served) -> None:
    for key in (served.keys["olga"], ""):
        with served.http(key) as http:
            for method, path in (
                ("GET", "/api/v1/secrets"), ("DELETE", f"{IN}/data"), ("GET", "/admin"),
                ("PUT", f"{IN}/data/x"), ("GET", "/api/v1/../../etc/passwd"),
            ):  # fmt: skip
                answer = http.request(method, path)
                assert answer.status_code in {401, 404}, (method, path, answer.text)
    with served.client() as operator:
        entries = operator.call("audit.server", limit=500)["entries"]
    assert [it for it in entries if it["operation"] == "undeclared"]


# ---- the same over the other faces ----


def test_mlflow_is_for_its_roles_too(served: Served) -> None:
    with Mlflow(served, "dan") as mlflow:
        run = mlflow.run("roles")
        assert mlflow.put(run, "model/notes.md", b"# notes\n").status_code == 200
    source: dict[str, object] = {
        "name": "roles", "source": f"{run['artifact_uri']}/model", "run_id": run["run_id"]
    }  # fmt: skip
    for name in ("rita", "aldo", "petra", "carla", "nina", "leo"):
        with Mlflow(served, name) as mlflow:
            refused = (
                mlflow.rpc("experiments/create", {"name": f"by {name}"}),
                mlflow.put(run, "model/notes.md", b"changed"),
                mlflow.rpc("registered-models/create", {"name": f"by-{name}"}),
                mlflow.rpc("model-versions/create", source),
            )
        assert [it.status_code for it in refused[:3]] == [403] * 3, name
        # To whom the run is not shown, its files are no source at all.
        assert refused[3].status_code in {400, 403, 404}, (name, refused[3].text)
        assert {it.json()["error_code"] for it in refused[:3]} == {"PERMISSION_DENIED"}
    with Mlflow(served, "dan") as mlflow:
        assert mlflow.fetch(run, "model/notes.md").content == b"# notes\n"
        assert mlflow.get("registered-models/get", name="roles").status_code == 404


def test_endpoints_are_for_their_roles_too(served: Served) -> None:
    with served.client("emma") as engineer:
        engineer.call("endpoint.create", endpoint="roles")
    for name, status in (("rita", 403), ("nina", 403), ("leo", 403), ("dan", 404)):
        with served.http(served.keys[name]) as http:
            answer = http.post(f"/endpoints/{WORKSPACE}/roles/score", json={"rows": [[1]]})
        assert answer.status_code == status, answer.text
        assert answer.json()["error"]
    with served.http() as http:
        answer = http.post(f"/endpoints/{WORKSPACE}/roles/score", json={"rows": [[1]]})
    assert answer.status_code == 401
