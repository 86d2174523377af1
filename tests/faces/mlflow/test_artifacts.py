"""Files of runs: sealed, named strictly, harmless in a browser, frozen once registered."""

import secrets
from urllib.parse import quote

import httpx
import pytest
from tests.faces.mlflow.ward import EVIL, HELD, Ward

from strongroom.gate.audit.types import Outcome


@pytest.fixture
def run(ward: Ward) -> dict[str, str]:
    return ward.run("alice", ward.experiment("alice", f"artifacts {secrets.token_hex(4)}"))


def read(ward: Ward, run: dict[str, str], path: str, who: str = "alice") -> int:
    return ward.call(who, "GET", ward.artifact(run, path)).status_code


def test_a_file_comes_back_as_it_was(ward: Ward, run: dict[str, str]) -> None:
    content = secrets.token_bytes(3 * 2**20 + 17)
    assert ward.put("alice", run, "deep/er/räksmörgås 1.bin", content).status_code == 200
    answer = ward.call("alice", "GET", ward.artifact(run, "deep/er/räksmörgås 1.bin"))
    assert answer.content == content
    last = [it for it in ward.events() if it.operation == "mlflow.readArtifact"][-1]
    assert last.details["bytes"] == len(content)
    written = [it for it in ward.events() if it.operation == "mlflow.putArtifact"][-1]
    assert len(str(written.details["sha256"])) == 64
    assert ward.put("alice", run, "empty", b"").status_code == 200
    assert ward.call("alice", "GET", ward.artifact(run, "empty")).content == b""
    head = ward.call("alice", "HEAD", ward.artifact(run, "deep/er/räksmörgås 1.bin"))
    assert head.headers["content-length"] == str(len(content))


def test_no_byte_lies_readable_on_the_disk(ward: Ward, run: dict[str, str]) -> None:
    mark = secrets.token_hex(24).encode()
    assert ward.put("alice", run, "secret.txt", b"before " + mark * 1000).status_code == 200
    files = [it for it in ward.folder.rglob("*") if it.is_file()]
    assert len(files) > 3
    assert not [it.name for it in files if mark in it.read_bytes()]


def test_a_file_is_replaced_and_its_old_bytes_are_gone(ward: Ward, run: dict[str, str]) -> None:
    assert ward.put("alice", run, "a.txt", b"one").status_code == 200
    before = sorted(it.name for it in (ward.folder / "blobs").rglob("*") if it.is_file())
    assert ward.put("alice", run, "a.txt", b"two").status_code == 200
    after = sorted(it.name for it in (ward.folder / "blobs").rglob("*") if it.is_file())
    assert ward.call("alice", "GET", ward.artifact(run, "a.txt")).content == b"two"
    assert len(after) == len(before)
    assert after != before


def test_directories_are_listed(ward: Ward, run: dict[str, str]) -> None:
    for path in ("x/a", "x/b/c", "x_y", "z"):
        assert ward.put("alice", run, path, b"1").status_code == 200

    def listed(path: str) -> list[tuple[str, bool]]:
        files = ward.call(
            "alice",
            "GET",
            "/api/2.0/mlflow/artifacts/list",
            params={"run_id": run["run_id"], "path": path},
        ).json()
        return [(it["path"], it["is_dir"]) for it in files.get("files", [])]

    assert listed("") == [("x", True), ("x_y", False), ("z", False)]
    assert listed("x") == [("x/b", True), ("x/a", False)]
    assert listed("z") == []
    assert listed("nothing") == []
    place = run["artifact_uri"].removeprefix("mlflow-artifacts:/")
    path = "/api/2.0/mlflow-artifacts/artifacts"
    answer = ward.call("alice", "GET", path, params={"path": f"{place}/x"}).json()
    assert answer["files"] == [
        {"path": "b", "is_dir": True},
        {"path": "a", "is_dir": False, "file_size": 1},
    ]
    assert ward.call("bob", "GET", path, params={"path": place}).status_code == 404
    assert ward.call("alice", "GET", path, params={"path": "workspaces/clinic"}).status_code == 400
    assert ward.call("alice", "GET", path).status_code == 400


def test_a_file_and_a_directory_cannot_have_one_name(ward: Ward, run: dict[str, str]) -> None:
    assert ward.put("alice", run, "a/b", b"1").status_code == 200
    assert ward.put("alice", run, "a", b"1").status_code == 409
    assert ward.put("alice", run, "a/b/c", b"1").status_code == 409


def test_files_are_deleted(ward: Ward, run: dict[str, str]) -> None:
    for path in ("d/a", "d/b", "dd"):
        ward.put("alice", run, path, b"1")
    assert ward.call("alice", "DELETE", ward.artifact(run, "d")).status_code == 200
    assert read(ward, run, "d/a") == 404
    assert read(ward, run, "dd") == 200
    assert ward.call("alice", "DELETE", ward.artifact(run, "d")).status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "../x", "a/../../x", "a/..", "./a", "a//b", "/etc/passwd", "a\\b", "..\\x",
        "a/%2e%2e/b", "%2e%2e/x", "a\x00b", "a\nb", "a" * 300, "b/" * 600 + "c",
        "../../../../lab/1/x", "....//x/../..",
    ],
)  # fmt: skip
def test_a_path_that_could_mean_another_place_is_refused(
    ward: Ward, run: dict[str, str], path: str
) -> None:
    for once in (quote(path, safe=""), quote(quote(path, safe=""), safe="")):
        target = ward.artifact(run, "") + once
        assert ward.call("alice", "PUT", target, content=b"x").status_code in {400, 404, 422}
        assert ward.call("alice", "GET", target).status_code in {400, 404}
        assert ward.call("alice", "DELETE", target).status_code in {400, 404}
    listed = ward.call(
        "alice", "GET", "/api/2.0/mlflow/artifacts/list",
        params={"run_id": run["run_id"], "path": path},
    )  # fmt: skip
    # MLflow drops a line break itself and then finds nothing.
    assert listed.status_code in {400, 404} or "files" not in listed.json()
    shown = ward.call(
        "alice", "GET", "/mlflow/get-artifact", params={"run_uuid": run["run_id"], "path": path}
    )
    assert shown.status_code in {400, 404}


@pytest.mark.parametrize(
    "place",
    [
        "workspaces/clinic/1/x", "1/x", "workspaces/clinic/1/../2/x", "workspaces//1/x",
        "workspaces/clinic/1/models/x/artifacts/y", "workspaces/clinic", "",
        "workspaces/clinic/1/" + "0" * 32 + "/artifacts/x",
        "workspaces/clinic/1/models/m-" + "0" * 32 + "/artifacts/x",
    ],
)  # fmt: skip
def test_nothing_is_stored_where_no_run_is(ward: Ward, place: str) -> None:
    path = f"/api/2.0/mlflow-artifacts/artifacts/{place}"
    assert ward.call("alice", "PUT", path, content=b"x").status_code in {400, 404}


def test_a_run_of_another_experiment_is_not_named_by_this_one(
    ward: Ward, run: dict[str, str]
) -> None:
    other = ward.experiment("alice", f"other {secrets.token_hex(4)}")
    moved = ward.artifact(run, "x").replace(f"/{run['experiment_id']}/", f"/{other}/")
    assert ward.call("alice", "PUT", moved, content=b"x").status_code == 404


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("page.html", "text/plain; charset=utf-8"),
        ("page.xhtml", "application/octet-stream"),
        ("drawing.svg", "application/octet-stream"),
        ("code.js", "text/plain; charset=utf-8"),
        ("table.csv", "text/csv"),
        ("picture.png", "image/png"),
        ("nothing", "application/octet-stream"),
    ],
)
def test_a_stored_page_does_nothing_in_a_browser(
    ward: Ward, run: dict[str, str], name: str, kind: str
) -> None:
    script = b"<script>fetch('/api/2.0/mlflow/experiments/delete')</script>"
    assert ward.put("alice", run, name, script).status_code == 200
    for path, params in (
        (ward.artifact(run, name), {}),
        ("/mlflow/get-artifact", {"run_uuid": run["run_id"], "path": name}),
    ):
        answer = ward.call("alice", "GET", path, params=params)
        assert answer.content == script
        assert answer.headers["content-type"] == kind
        assert answer.headers["content-disposition"].startswith("attachment;")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["content-security-policy"] == "sandbox; default-src 'none'"
        assert answer.headers["cross-origin-resource-policy"] == "same-origin"


def test_a_name_cannot_break_out_of_its_header(ward: Ward, run: dict[str, str]) -> None:
    name = 'a"; filename=x.html; b'
    assert ward.put("alice", run, quote(name), b"1").status_code == 200
    answer = ward.call("alice", "GET", ward.artifact(run, quote(name)))
    assert (
        answer.headers["content-disposition"]
        == f"attachment; filename*=UTF-8''{quote(name, safe='')}"
    )


def test_a_truncated_upload_leaves_nothing(ward: Ward, run: dict[str, str]) -> None:
    import socket

    host, port = ward.url.removeprefix("http://").split(":")
    target = ward.artifact(run, "half.bin")
    with socket.create_connection((host, int(port))) as wire:
        wire.sendall(
            f"PUT {target} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer {ward.keys['alice']}\r\n"
            "Content-Length: 100000\r\n\r\n".encode()
            + b"x" * 50_000
        )
    for _ in range(100):
        last = [it for it in ward.events() if it.operation == "mlflow.putArtifact"]
        if last and last[-1].outcome is Outcome.FAILED:
            break
    assert read(ward, run, "half.bin") == 404


@pytest.mark.parametrize("at", [0.1, 0.9])
def test_a_changed_byte_is_noticed_and_recorded(ward: Ward, run: dict[str, str], at: float) -> None:
    content = secrets.token_bytes(3 * 2**20)
    before = {it for it in (ward.folder / "blobs").rglob("*") if it.is_file()}
    assert ward.put("alice", run, "big.bin", content).status_code == 200
    (blob,) = {it for it in (ward.folder / "blobs").rglob("*") if it.is_file()} - before
    with blob.open("r+b") as file:
        file.seek(int(blob.stat().st_size * at))
        byte = file.read(1)[0]
        file.seek(-1, 1)
        file.write(bytes([byte ^ 1]))
    try:
        answer = ward.call("alice", "GET", ward.artifact(run, "big.bin"))
        assert answer.status_code == 400
        assert "not what was" in answer.text or "changed" in answer.text or "keep" in answer.text
    except httpx.RemoteProtocolError:
        assert at > 0.5  # some of it had been sent
    last = [it for it in ward.events() if it.operation == "mlflow.readArtifact"][-1]
    assert (last.outcome, last.reason) == (Outcome.FAILED, "integrity.broken")


# ---- once registered ----


def registered(ward: Ward, run: dict[str, str], content: bytes) -> tuple[str, str]:
    """Name and status of a version made of the file `model/m.bin` of the run."""
    name = f"model-{secrets.token_hex(4)}"
    assert ward.put("alice", run, "model/m.bin", content).status_code == 200
    assert ward.put("alice", run, "beside.txt", b"free").status_code == 200
    ward.made("alice", "registered-models/create", {"name": name})
    ward.made(
        "alice",
        "model-versions/create",
        {"name": name, "source": f"{run['artifact_uri']}/model", "run_id": run["run_id"]},
    )
    answer = ward.call(
        "alice", "GET", "/api/2.0/mlflow/model-versions/get", params={"name": name, "version": "1"}
    )
    return name, answer.json()["model_version"]["status"]


def test_registered_files_cannot_change(ward: Ward, run: dict[str, str]) -> None:
    name, status = registered(ward, run, b"good")
    assert status == "READY"
    for path in ("model/m.bin", "model/more.bin"):
        assert ward.put("alice", run, path, b"changed").status_code == 409, path
    for path in ("model/m.bin", "model"):
        assert ward.call("alice", "DELETE", ward.artifact(run, path)).status_code == 409
    assert ward.call("alice", "GET", ward.artifact(run, "model/m.bin")).content == b"good"
    assert ward.put("alice", run, "beside.txt", b"changed").status_code == 200
    assert ward.put("alice", run, "models.txt", b"not below it").status_code == 200
    answer = ward.call(
        "alice",
        "GET",
        "/mlflow/model-versions/get-artifact",
        params={"name": name, "version": "1", "path": "m.bin"},
    )
    assert answer.content == b"good"


def test_files_that_failed_their_checks_are_not_given_out(ward: Ward, run: dict[str, str]) -> None:
    name, status = registered(ward, run, EVIL)
    assert status == "FAILED_REGISTRATION"
    assert read(ward, run, "model/m.bin") == 403
    assert read(ward, run, "beside.txt") == 200
    last = [it for it in ward.events() if it.operation == "mlflow.readArtifact"][-2]
    assert "os.system" in last.reason
    answer = ward.call(
        "alice",
        "GET",
        "/mlflow/model-versions/get-artifact",
        params={"name": name, "version": "1", "path": "m.bin"},
    )
    assert answer.status_code in {403, 404}


def test_files_are_held_while_they_are_checked(ward: Ward, run: dict[str, str]) -> None:
    _, status = registered(ward, run, HELD)
    assert status == "PENDING_REGISTRATION"
    answer = ward.call("alice", "GET", ward.artifact(run, "model/m.bin"))
    assert answer.status_code == 403
    assert "still being checked" in answer.json()["message"]
    # Who may not read the experiment's files does not learn that.
    answer = ward.call("rita", "GET", ward.artifact(run, "model/m.bin"))
    assert answer.status_code == 404
    assert "check" not in answer.text
