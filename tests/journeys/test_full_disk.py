"""A disk that is really full: what cannot be kept is refused by name, and nothing is lost."""

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest
from tests.journeys.labour import digest, exported, table
from tests.journeys.served import WORKSPACE, Mlflow, Served, serving
from tests.journeys.small_disk import SmallDisk, sealed_files, small_disk
from tests.services.models.modelroom import honest_pickle, mlflow_folder

from strongroom.errors import StorageFullError

MODEL = "iris"
ROW = [[5.1, 3.5, 1.4, 0.2]]
PEOPLE = {
    "olga": "Owner",
    "dan": "Data Scientist",
    "emma": "ML Engineer",
    "aldo": "Auditor",
}


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[SmallDisk]:
    with small_disk(tmp_path / "disk", 40) as mounted:
        yield mounted


def rows(served: Served, copy: Path) -> set[str]:
    """Ids of the sealed files that the database knows, looked up in a copy of it."""
    # SQLite resolves the path to the disk, and would lose its way out of the namespace.
    copy.mkdir()
    for name in ("strongroom.db", "strongroom.db-wal"):
        shutil.copy(served.folder / name, copy / name)
    with closing(sqlite3.connect(copy / "strongroom.db")) as connection:
        return {row[0] for row in connection.execute("SELECT id FROM blobs")}


def deploy(served: Served) -> None:
    """A model at an endpoint, on the way that everybody takes."""
    with Mlflow(served, "dan") as mlflow:
        run = mlflow.run("work")
        for name, content in mlflow_folder(honest_pickle()).items():
            assert mlflow.put(run, f"model/{name}", content).status_code == 200
        mlflow.made("registered-models/create", {"name": MODEL})
        assert mlflow.rpc("model-versions/create", version_of(run)).status_code == 200
        assert mlflow.checked(MODEL, 1)["status"] == "READY"
    with served.client("olga") as owner:
        owner.call("model.approve", name=MODEL, version=1)
    with served.client("emma") as engineer:
        engineer.call("model.approve", name=MODEL, version=1)
        engineer.call("endpoint.create", endpoint=MODEL, rows_per_minute=100_000)
        engineer.call("endpoint.deploy", endpoint=MODEL, model=MODEL, version=1)


def version_of(run: dict[str, str]) -> dict[str, object]:
    """A request for a version made of the run's `model`."""
    return {"name": MODEL, "source": f"{run['artifact_uri']}/model", "run_id": run["run_id"]}


def predict(http: httpx.Client) -> httpx.Response:
    """One prediction."""
    return http.post(f"/endpoints/{WORKSPACE}/{MODEL}/score", json={"rows": ROW})


class Receipts:
    """Answers while the disk is full: each one is good and in the log, or says that it is full."""

    def __init__(self) -> None:
        self.indices: dict[int, str] = {}
        self.refused: list[str] = []

    def take(self, what: str, answer: httpx.Response) -> None:
        """Look at an answer."""
        if answer.status_code == httpx.codes.OK:
            if receipt := answer.headers.get("X-Strongroom-Receipt"):
                self.indices[int(receipt)] = what
            return
        assert answer.status_code == httpx.codes.INSUFFICIENT_STORAGE, (what, answer.text)
        assert "full" in answer.text, answer.text
        assert "free disk space" in answer.text, answer.text
        self.refused.append(what)


def ask_for_everything(served: Served, run: dict[str, str], receipts: Receipts) -> None:
    """Every kind of write, by those who may."""
    dan = served.keys["dan"]
    with served.http(dan) as http, Mlflow(served, "dan") as mlflow:
        receipts.take("predict", predict(http))
        receipts.take("data.ls", http.get(f"/api/v1/workspaces/{WORKSPACE}/data"))
        receipts.take("whoami", http.get("/api/v1/whoami"))
        receipts.take("artifact", mlflow.put(run, "model/more.bin", bytes(200_000)))
        receipts.take("run", mlflow.rpc("runs/create", {"experiment_id": run["experiment_id"]}))
        receipts.take(
            "parameter",
            mlflow.rpc("runs/log-parameter", {"run_id": run["run_id"], "key": "a", "value": "1"}),
        )
        receipts.take("version", mlflow.rpc("model-versions/create", version_of(run)))
        receipts.take(
            "upload",
            http.post(
                f"/api/v1/workspaces/{WORKSPACE}/data/more", params={"format": "csv"},
                content=table(0, 2), headers={"Content-Type": "text/csv"},
            ),
        )  # fmt: skip
    # Who is refused is told so, or that it could not be put on the record; never let in.
    with served.http("srk_" + "a" * 16) as http:
        assert http.get("/api/v1/whoami").status_code in {401, 507}
    with served.http(served.keys["aldo"]) as http:
        answer = http.post(f"/api/v1/workspaces/{WORKSPACE}/data/more?format=csv", content=b"a\n1")
        assert answer.status_code in {403, 507}


def test_a_full_disk_is_told_and_nothing_acknowledged_is_lost(
    disk: SmallDisk, tmp_path: Path
) -> None:
    with serving(
        disk.mount / "home", prefix=disk.prefix, seen_at=disk.seen_at / "home", people=PEOPLE
    ) as served:
        deploy(served)
        with served.client("dan") as client:
            kept: dict[str, Any] = client.call("data.add", table(0, 0), name="kept", format="csv")
        with Mlflow(served, "dan") as mlflow:
            run = mlflow.run("work")
            assert mlflow.put(run, "model/notes.md", b"# notes\n").status_code == 200
        receipts = Receipts()
        disk.fill()
        with served.client("dan") as client, pytest.raises(StorageFullError) as full:
            client.call("data.add", table(0, 1), name="lost", format="csv")
        assert "free disk space" in full.value.next_step
        # Space within the database's own files may still be used; in the end nothing is left.
        for _ in range(200):
            ask_for_everything(served, run, receipts)
            if {"predict", "data.ls", "whoami", "version"} <= set(receipts.refused):
                break
        assert set(receipts.refused) == {
            "predict", "data.ls", "whoami", "artifact", "run", "parameter", "version", "upload"
        }  # fmt: skip
        assert served.process is not None
        assert served.process.poll() is None
        with served.http() as http:
            assert http.get("/healthz").status_code == 200
        disk.free()
        check_that_it_goes_on(served, run, kept, receipts, tmp_path / "copy")


def check_that_it_goes_on(
    served: Served, run: dict[str, str], kept: dict[str, Any], receipts: Receipts, copy: Path
) -> None:
    """Without a restart: what was acknowledged is there, what was refused is not, all works."""
    with served.client("dan") as client:
        (held,) = client.call("data.ls")["datasets"]
        assert (held["name"], held["digest"]) == ("kept", kept["digest"])
        assert kept["digest"] == digest(0, 0)
        added = client.call("data.add", table(0, 1), name="lost", format="csv")
        assert (added["version"], added["existed"]) == (1, False)
    with served.http(served.keys["dan"]) as http:
        answer = predict(http)
        assert answer.status_code == httpx.codes.OK, answer.text
        receipts.take("predict", answer)
    with Mlflow(served, "dan") as mlflow:
        assert mlflow.put(run, "model/more.bin", b"# more\n").status_code == 200
        made = mlflow.made("model-versions/create", version_of(run))["model_version"]
        assert mlflow.checked(MODEL, made["version"])["status"] == "READY"
        assert set(mlflow.files(run, "model")) == {"notes.md", "more.bin"}
    served.verify_log()
    entries = exported(served)
    operations = {"predict": "endpoint.invoke", "data.ls": "data.ls"}
    for index, what in receipts.indices.items():
        if what in operations:
            assert entries[index]["operation"] == operations[what]
    assert sealed_files(served.folder) == rows(served, copy)


def test_the_last_of_a_disk_is_kept_for_the_database(disk: SmallDisk) -> None:
    margin = 8 * 2**20
    with serving(
        disk.mount / "home", prefix=disk.prefix, seen_at=disk.seen_at / "home", mlflow=False,
        people={"olga": "Owner", "aldo": "Auditor"}, min_free_bytes=str(margin),
    ) as served, served.client("olga") as olga:  # fmt: skip
        olga.call("data.add", table(0, 0), name="kept", format="csv")
        disk.fill(leave_bytes=margin)
        files = sealed_files(served.folder)
        with pytest.raises(StorageFullError) as full:
            olga.call("data.add", table(0, 1), name="lost", format="csv")
        assert "kept for the database" in full.value.message
        assert sealed_files(served.folder) == files
        # Everything but taking in goes on, and is recorded: also what makes room.
        assert olga.read_table("kept").num_rows > 0
        olga.call("workspace.show")
        refusals = olga.call("audit.search", outcome="failed")["entries"]
        assert [it["operation"] for it in refusals] == ["data.add"]
        assert refusals[0]["reason"] == "storage.full"
        disk.free()
        olga.call("data.add", table(0, 1), name="lost", format="csv")
        served.verify_log()
