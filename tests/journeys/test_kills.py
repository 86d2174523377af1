"""Killed at any moment, a server keeps what it acknowledged and shows nothing half-written."""

import random
import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.labour import (
    MODEL,
    ROWS,
    Acknowledged,
    Labour,
    digest,
    exported,
    table,
)
from tests.journeys.served import WORKSPACE, Mlflow, Served, serving
from tests.journeys.small_disk import sealed_files

SEED = 20_261_124
LIVES = 4
KEPT_IN_HOME = {
    "anchor", "blobs", "home.json", "log", "root.key", "run", "strongroom.db", "strongroom.db-shm",
    "strongroom.db-wal", "tls",
}  # fmt: skip


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    people = {"dan": "Data Scientist", "aldo": "Auditor", "olga": "Owner", "rita": "Reader"}
    home = tmp_path_factory.mktemp("killed") / "home"
    with serving(home, people=people, calls_per_minute="100000") as running:
        with Mlflow(running, "dan") as mlflow:
            mlflow.made("registered-models/create", {"name": MODEL})
        yield running


def test_killed_again_and_again_while_everybody_works(served: Served) -> None:
    chance = random.Random(SEED)  # noqa: S311 # moments to kill at, not secrets
    done = Acknowledged()
    for life in range(LIVES):
        work = Labour(served, done, life)
        work.begin()
        if life == LIVES - 1:  # a slow machine may have got nothing done between the deaths
            wait_for_each(done)
        time.sleep(chance.uniform(0.3, 2.5))
        served.kill()
        work.end()
        assert done.failures == []
        # Every other time it is killed once more, while it starts.
        if life % 2:
            served.launch()
            time.sleep(chance.uniform(0.5, 2.5))
            served.kill()
        served.start()
        check(served, done, life)
    assert done.datasets
    assert done.entries
    assert done.artifacts
    assert done.versions


def wait_for_each(done: Acknowledged) -> None:
    """Until something of every kind has been acknowledged."""
    deadline = time.monotonic() + 120
    while not (done.datasets and done.entries and done.artifacts and done.versions):
        assert time.monotonic() < deadline
        time.sleep(0.05)


def check(served: Served, done: Acknowledged, life: int) -> None:
    """What must hold after each death."""
    check_models(served, done)
    check_datasets(served, done, life)
    check_log(served, done)
    check_files(served)


def check_log(served: Served, done: Acknowledged) -> None:
    """Each entry that was acknowledged is in its place, and the whole verifies."""
    served.verify_log()
    entries = exported(served)
    for index, request_id in done.entries.items():
        assert entries[index]["request_id"] == request_id
        assert entries[index]["operation"] == "model.ls"
    added = [it for it in entries.values() if it["operation"] == "data.add"]
    recorded = {
        (it["details"]["dataset"], it["details"]["version"]): it["details"]["digest"]
        for it in added if it["outcome"] == "allowed"
    }  # fmt: skip
    for (name, version), known in done.commitments.items():
        assert recorded[f"{WORKSPACE}/{name}", version] == known


def check_datasets(served: Served, done: Acknowledged, life: int) -> None:
    """Acknowledged versions are there; any other that is seen is whole, and comes from us."""
    sent = {
        digest(worker, number): (worker, number)
        for worker in range(2) for past in range(life + 1)
        for number in range(past * 1_000, past * 1_000 + 150)
    }  # fmt: skip
    with served.client("dan") as client:
        for held in client.call("data.ls")["datasets"]:
            name = held["name"]
            versions = {it["version"]: it for it in client.call("data.show", name=name)["versions"]}
            assert sorted(versions) == list(range(1, len(versions) + 1))
            kept = {version: d for (known, version), d in done.datasets.items() if known == name}
            assert {version: versions[version]["digest"] for version in kept} == kept
            # What was not acknowledged was on its way when the server died, at most one a life.
            assert len(versions) <= len(kept) + life + 1
            for it in versions.values():
                assert (it["digest"] in sent, it["rows"]) == (True, ROWS)
            newest = max(versions)
            worker, number = sent[versions[newest]["digest"]]
            rows = client.read_table(name)
            assert rows.num_rows == ROWS
            assert set(rows.column("number").to_pylist()) == {number}
            # Who was cut off repeats the call: it is done, or found to be done.
            again: dict[str, Any] = client.call(
                "data.add", table(worker, number), name=name, format="csv"
            )
            assert (again["version"], again["existed"]) == (newest, True)


def check_models(served: Served, done: Acknowledged) -> None:
    """Acknowledged files and versions are there; every version ends its checks."""
    with Mlflow(served, "dan") as mlflow:
        answer = mlflow.get("model-versions/search", filter=f"name='{MODEL}'", max_results="500")
        versions = {int(it["version"]): it for it in answer.json().get("model_versions", [])}
        assert sorted(versions) == list(range(1, len(versions) + 1))
        assert set(done.versions) <= set(versions)
        for number in versions:
            assert mlflow.checked(MODEL, number)["status"] == "READY"
        # Files of a version are given out once its checks have ended.
        newest = list(done.artifacts.items())[-6:]
        for (run_id, path), content in newest:
            assert mlflow.fetch(done.runs[run_id], path).content == content
        listed: dict[str, set[str]] = {}
        for run_id, path in done.artifacts:
            folder, _, name = path.rpartition("/")
            listed.setdefault(f"{run_id}/{folder}", set()).add(name)
        for place in list(listed)[-3:]:
            run_id, _, folder = place.partition("/")
            found = set(mlflow.files(done.runs[run_id], folder))
            assert listed[place] <= found <= {"notes.md", "weights.txt"}
    with served.client("dan") as client:
        known = {
            it["version"]: it for it in client.call("model.ls", name=MODEL, limit=1_000)["versions"]
        }
        assert set(known) == set(versions)
        assert {it["state"] for it in known.values()} <= {"checked"}
        for number in sorted(known)[-2:]:
            detail = client.call("model.show", name=MODEL, version=number)
            assert {file["path"] for file in detail["files"]} == {"notes.md", "weights.txt"}
            client.call("model.verify", name=MODEL, version=number)


def check_files(served: Served) -> None:
    """Nothing lies about: every sealed file has its row, and every row its file."""
    files = sealed_files(served.home)
    database = f"file:{served.home / 'strongroom.db'}?mode=ro"
    with closing(sqlite3.connect(database, uri=True, timeout=30)) as connection:
        rows = {row[0] for row in connection.execute("SELECT id FROM blobs")}
        unfinished = connection.execute(
            "SELECT count(*) FROM work_jobs WHERE state IN ('queued', 'running')"
        ).fetchone()
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
        assert connection.execute("PRAGMA foreign_key_check").fetchall() == []
    assert files == rows
    assert unfinished == (0,)
    assert {path.name for path in served.home.iterdir()} <= KEPT_IN_HOME


def test_killed_while_it_starts_for_the_first_time(tmp_path: Path) -> None:
    chance = random.Random(SEED)  # noqa: S311 # moments to kill at, not secrets
    served = Served(tmp_path / "home", {"min_free_bytes": "0"})
    try:
        for _ in range(4):
            served.launch()
            time.sleep(chance.uniform(0.6, 2.4))
            served.kill()
        # Whatever was printed by those that died may have been lost with them.
        served.output.write_text("")
        served.start()
        assert served.operator
        served.workspace(WORKSPACE)
        with served.client() as operator:
            assert operator.call("whoami")["name"] == "operator"
            operator.call("data.add", table(0, 0), name="first", format="csv")
            assert operator.read_table("first").num_rows == ROWS
        served.verify_log()
        check_files(served)
    finally:
        served.close()
