"""Versions of models: from where they may come, how they end, what may then be done."""

import secrets

import pytest
from tests.faces.mlflow.ward import EVIL, FULL, HELD, Ward

GET = "/api/2.0/mlflow/model-versions/get"


@pytest.fixture
def run(ward: Ward) -> dict[str, str]:
    """A run with a model, its experiment new."""
    made = ward.run("alice", ward.experiment("alice", f"registry {secrets.token_hex(4)}"))
    assert ward.put("alice", made, "model/m.bin", b"good").status_code == 200
    return made


@pytest.fixture
def name(ward: Ward) -> str:
    chosen = f"model-{secrets.token_hex(4)}"
    ward.made("alice", "registered-models/create", {"name": chosen})
    return chosen


def register(ward: Ward, name: str, source: str, who: str = "alice", **more: object) -> int:
    body = {"name": name, "source": source, **more}
    return ward.rpc(who, "model-versions/create", body).status_code


def version(ward: Ward, name: str, number: str = "1", who: str = "alice") -> dict[str, str]:
    answer = ward.call(who, "GET", GET, params={"name": name, "version": number})
    assert answer.status_code == 200, answer.text
    found: dict[str, str] = answer.json()["model_version"]
    return found


def test_a_version_is_pending_then_ready(ward: Ward, run: dict[str, str], name: str) -> None:
    made = ward.made(
        "alice", "model-versions/create",
        {"name": name, "source": f"{run['artifact_uri']}/model", "run_id": run["run_id"],
         "run_link": "https://elsewhere.example/"},
    )["model_version"]  # fmt: skip
    assert made["status"] == "PENDING_REGISTRATION"  # type: ignore[index] # JSON
    seen = version(ward, name)
    assert seen["status"] == "READY"
    assert seen["user_id"] == "Alice"
    assert "elsewhere" not in str(seen)
    uri = ward.call(
        "alice", "GET", "/api/2.0/mlflow/model-versions/get-download-uri",
        params={"name": name, "version": "1"},
    ).json()["artifact_uri"]  # fmt: skip
    assert uri == f"{run['artifact_uri']}/model"
    submission = list(ward.checks.submissions.values())[-1]
    assert (submission.workspace, submission.model, submission.version) == ("clinic", name, 1)
    assert [it.path for it in submission.files] == ["m.bin"]
    assert submission.provenance.run_id == run["run_id"]
    assert submission.provenance.experiment == run["experiment_id"]
    recorded = [it for it in ward.events() if it.operation == "mlflow.create_model_version"][-1]
    assert recorded.resource == f"clinic/{name}"
    assert recorded.details["files"] == 1


def test_the_provenance_comes_from_the_run(ward: Ward, run: dict[str, str], name: str) -> None:
    dataset = {"name": "d", "digest": "abc123", "source_type": "t", "source": "s"}
    ward.made(
        "alice", "runs/log-inputs", {"run_id": run["run_id"], "datasets": [{"dataset": dataset}]}
    )
    for key in ("depth", "rate"):
        ward.made(
            "alice", "runs/log-parameter", {"run_id": run["run_id"], "key": key, "value": "3"}
        )
    for tag, value in {
        "mlflow.source.git.commit": "ab" * 20,
        "mlflow.source.git.repoURL": "https://bot:s3cret@git.example/models.git",
    }.items():
        ward.made("alice", "runs/set-tag", {"run_id": run["run_id"], "key": tag, "value": value})
    metric = {"run_id": run["run_id"], "key": "auc", "value": 0.9, "timestamp": 1}
    ward.made("alice", "runs/log-metric", metric)
    assert register(ward, name, f"{run['artifact_uri']}/model", run_id=run["run_id"]) == 200
    provenance = list(ward.checks.submissions.values())[-1].provenance
    assert provenance.datasets == ("d@abc123",)
    assert provenance.metrics == {"auc": 0.9}
    assert provenance.code_commit == "ab" * 20
    assert provenance.code_source == "https://git.example/models.git"
    assert provenance.ended_at == ""
    assert provenance.parameters == {"depth": "3", "rate": "3"}
    assert provenance.source == f"{run['artifact_uri']}/model"


def test_a_failed_version_says_why_and_stays_shut(
    ward: Ward, run: dict[str, str], name: str
) -> None:
    assert ward.put("alice", run, "bad/m.pkl", EVIL).status_code == 200
    source = f"{run['artifact_uri']}/bad"
    assert register(ward, name, source, run_id=run["run_id"]) == 200
    seen = version(ward, name)
    assert seen["status"] == "FAILED_REGISTRATION"
    assert "os.system" in seen["status_message"]
    params = {"name": name, "version": "1"}
    path = "/api/2.0/mlflow/model-versions/get-download-uri"
    answer = ward.call("alice", "GET", path, params=params)
    assert answer.status_code == 403
    assert "os.system" in answer.json()["message"]
    alias = {"name": name, "alias": "champion", "version": "1"}
    assert ward.rpc("alice", "registered-models/alias", alias).status_code == 403
    stage = {"name": name, "version": "1", "archive_existing_versions": False}
    path = "model-versions/transition-stage"
    assert ward.rpc("alice", path, {**stage, "stage": "Production"}).status_code == 403
    archived = ward.made("alice", path, {**stage, "stage": "Archived"})["model_version"]
    assert archived["status"] == "FAILED_REGISTRATION"  # type: ignore[index] # JSON
    copy = {"name": name, "source": f"models:/{name}/1"}
    assert ward.rpc("alice", "model-versions/create", copy).status_code in {400, 403}
    for listing in (
        ward.call(
            "alice",
            "GET",
            "/api/2.0/mlflow/model-versions/search",
            params={"filter": f"name='{name}'"},
        ),
        ward.call("alice", "GET", "/api/2.0/mlflow/registered-models/get", params={"name": name}),
    ):
        assert "FAILED_REGISTRATION" in listing.text
        assert '"READY"' not in listing.text


@pytest.mark.parametrize(("content", "says"), [(HELD, "being checked"), (FULL, "for space")])
def test_a_version_stays_pending_as_long_as_its_checks_run(
    ward: Ward, run: dict[str, str], name: str, content: bytes, says: str
) -> None:
    assert ward.put("alice", run, "slow/m.bin", content).status_code == 200
    assert register(ward, name, f"{run['artifact_uri']}/slow", run_id=run["run_id"]) == 200
    for _ in range(3):
        seen = version(ward, name)
        assert seen["status"] == "PENDING_REGISTRATION"
        assert says in seen["status_message"]  # the interface shows it
    alias = {"name": name, "alias": "champion", "version": "1"}
    assert ward.rpc("alice", "registered-models/alias", alias).status_code == 403


@pytest.mark.parametrize(
    "source",
    [
        "file:///etc/passwd", "/etc/passwd", "etc/passwd", "file:///tmp", "s3://bucket/model",
        "http://localhost/model", "https://evil.example/model", "gs://b/m", "hdfs://x/y",
        "dbfs:/x", "ftp://h/x", "strongroom://artifacts/workspaces/clinic/1/x",
        "mlflow-artifacts:/", "mlflow-artifacts://evil.example/workspaces/clinic/1/x",
        "mlflow-artifacts:/workspaces/lab/1/{run}/artifacts/model", "runs:/{run}/../x",
        "{uri}/../model", "{uri}/model/..", "{uri}/model%2f..", "{uri}/%2e%2e/x", "{uri}/nothing",
        "{uri}/model/m.bin/x", "runs:/" + "0" * 32 + "/model", "models:/m-" + "0" * 32,
        "models:/nowhere/1", "models://evil@x/1", "models:/{name}@champion", "", " ",
        "{uri}/model\n", "data:text/plain,x", "sqlite:////etc/passwd",
    ],
)  # fmt: skip
def test_other_sources_are_refused(ward: Ward, run: dict[str, str], name: str, source: str) -> None:
    filled = source.format(run=run["run_id"], uri=run["artifact_uri"], name=name)
    before = len(ward.checks.submissions)
    for more in ({"run_id": run["run_id"]}, {}):
        assert register(ward, name, filled, **more) in {400, 403, 404}, filled
    assert len(ward.checks.submissions) == before
    path = "/api/2.0/mlflow/model-versions/search"
    found = ward.call("alice", "GET", path, params={"filter": f"name='{name}'"}).json()
    assert found.get("model_versions", []) == []


def test_a_refused_source_is_recorded(ward: Ward, run: dict[str, str], name: str) -> None:
    source = f"{run['artifact_uri']}/nothing"
    assert register(ward, name, source, run_id=run["run_id"]) == 400
    last = ward.events()[-1]
    assert (last.operation, last.outcome) == ("mlflow.create_model_version", "failed")


def test_files_of_another_workspace_are_no_source(
    ward: Ward, run: dict[str, str], name: str
) -> None:
    theirs = ward.run("bob", ward.experiment("bob", f"theirs {secrets.token_hex(4)}"))
    assert ward.put("bob", theirs, "model/m.bin", b"theirs").status_code == 200
    for source in (f"{theirs['artifact_uri']}/model", f"runs:/{theirs['run_id']}/model"):
        for more in ({"run_id": theirs["run_id"]}, {"run_id": run["run_id"]}, {}):
            assert register(ward, name, source, **more) in {400, 403, 404}


def test_who_may_not_register_does_not(ward: Ward, run: dict[str, str], name: str) -> None:
    source = f"{run['artifact_uri']}/model"
    assert register(ward, name, source, who="rita", run_id=run["run_id"]) in {403, 404}
    last = ward.events()[-1]
    assert last.outcome == "refused"
    assert register(ward, name, source, who="bob", run_id=run["run_id"]) in {400, 404}


def test_a_copy_has_checks_of_its_own(ward: Ward, run: dict[str, str], name: str) -> None:
    source = f"{run['artifact_uri']}/model"
    assert register(ward, name, source, run_id=run["run_id"]) == 200
    other = f"{name}-copy"
    ward.made("alice", "registered-models/create", {"name": other})
    assert version(ward, name)["status"] == "READY"
    before = len(ward.checks.submissions)
    assert register(ward, other, f"models:/{name}/1", run_id=run["run_id"]) == 200
    assert len(ward.checks.submissions) == before + 1
    assert version(ward, other)["status"] == "READY"


def test_a_name_used_again_inherits_nothing(ward: Ward, run: dict[str, str], name: str) -> None:
    source = f"{run['artifact_uri']}/model"
    assert register(ward, name, source, run_id=run["run_id"]) == 200
    assert version(ward, name)["status"] == "READY"
    # A Data Scientist may not delete models.
    path = "/api/2.0/mlflow/registered-models/delete"
    assert ward.call("alice", "DELETE", path, json={"name": name}).status_code == 403
    with_more = ward.house.person(f"Carla {name}", "Contributor")
    with ward.house.database.write() as session:
        _, ward.keys["carla"] = ward.house.issuer.api_key(
            session, with_more.id, purpose="t", days=1, workspaces=(), by=with_more.id
        )
    assert ward.call("carla", "DELETE", path, json={"name": name}).status_code == 200
    ward.made("carla", "registered-models/create", {"name": name})
    assert ward.put("carla", run, "held/m.bin", HELD).status_code == 200
    held = f"{run['artifact_uri']}/held"
    assert register(ward, name, held, who="carla", run_id=run["run_id"]) == 200
    # Signatures and records of the first version 1 remain, so the number is not used again.
    assert version(ward, name, "2")["status"] == "PENDING_REGISTRATION"
    params = {"name": name, "version": "1"}
    assert ward.call("carla", "GET", GET, params=params).status_code == 404
    # The files that were registered before stay as they were.
    assert ward.put("carla", run, "model/m.bin", b"changed").status_code == 409
