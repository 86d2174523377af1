"""The main job, run as a person runs it; each of its claims is checked on what it left behind."""

import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from strongroom.engines.ledger.checkpoint import LogKey
from strongroom.engines.ledger.receipt import Receipt
from strongroom.engines.ledger.verification import verify_export
from strongroom.faces.cli import doctor
from strongroom.faces.cli.demo_table import LABEL_COLUMN, PEOPLE_COLUMNS, biopsies_with_people
from strongroom.faces.cli.quickstart.people import OWNER, PEOPLE, SCIENTIST
from strongroom.faces.cli.quickstart.steps import REFUSED, SEED
from strongroom.settings import load

SECONDS = 600
"""On a machine that does ten other things; else a run takes half a minute."""

pytestmark = pytest.mark.timeout(SECONDS + 60)


def run(home: Path) -> dict[str, Any]:
    """One run with `--once --json`, in an environment with nothing of ours in it."""
    environment = {"PATH": os.environ["PATH"], "HOME": str(home.parent)}
    command = [
        sys.executable, "-m", "strongroom.faces.cli.main", "quickstart",
        "--home", str(home), "--port", "0", "--once", "--json",
    ]  # fmt: skip
    with subprocess.Popen(
        command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        try:
            out, words = process.communicate(timeout=SECONDS)
        except BaseException:
            process.send_signal(signal.SIGINT)  # killed, it could not stop its server
            raise
    log = home / "log" / "server.log"
    assert process.returncode == 0, words + (log.read_text() if log.exists() else "")
    found: dict[str, Any] = json.loads(out)
    found["words"] = words
    return found


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("quickstart") / "home"


@pytest.fixture(scope="module")
def first(home: Path) -> dict[str, Any]:
    return run(home)


@pytest.fixture(scope="module")
def people() -> dict[str, list[str]]:
    """What stands in the identity columns, as texts."""
    columns: dict[str, list[str]] = {name: [] for name in PEOPLE_COLUMNS}
    for batch in biopsies_with_people(SEED):
        for name, texts in columns.items():
            texts += [str(value) for value in batch.column(name).to_pylist()]
    return columns


def test_every_step_was_done_and_told(first: dict[str, Any]) -> None:
    assert sorted(first["steps"]) == [str(number) for number in range(1, 10)]
    for name, role in PEOPLE.items():
        assert name in first["words"]
        assert role in first["words"]
    for words in ("sign-in?link=srl_", "MLFLOW_TRACKING_URI", "ca.pem", "rm -rf"):
        assert words in first["words"]


def test_the_server_spoke_tls_and_was_stopped(first: dict[str, Any]) -> None:
    address = httpx.URL(first["url"])
    assert address.scheme == "https"
    assert Path(first["ca"]).read_text().startswith("-----BEGIN CERTIFICATE-----")
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection((address.host, address.port or 443), timeout=5)


def test_each_person_got_a_key_shown_once_and_no_operator_may_take_their_place(
    first: dict[str, Any],
) -> None:
    keys = [word for word in first["words"].split() if word.startswith("srk_")]
    assert len(keys) == len(set(keys)) == len(PEOPLE)
    assert "each redeemed an invitation" in first["words"]
    assert f"refused the operator inviting another into {OWNER}'s place" in first["words"]
    assert "refused the operator opening the workspace" in first["words"]


def test_the_table_was_taken_in_whole_and_its_people_found(first: dict[str, Any]) -> None:
    assert (first["dataset"]["rows"], first["dataset"]["columns"]) == (569, 37)
    # What a biopsy said of a person is about their health (GDPR, article 9).
    assert set(first["personal"]) == {*PEOPLE_COLUMNS, LABEL_COLUMN}


def test_each_sees_what_their_role_allows(
    first: dict[str, Any], people: dict[str, list[str]]
) -> None:
    def cells(who: str, column: str) -> list[str]:
        view = first["views"][who]
        if column not in view["columns"]:
            return []
        at = view["columns"].index(column)
        return [row[at] for row in view["rows"]]

    assert cells(OWNER, "name") == people["name"][:2]
    assert cells(OWNER, "email") == people["email"][:2]
    for column in ("name", "email", "birth_date", "postcode"):
        for cell in cells(SCIENTIST, column):
            assert cell not in people[column]
    assert cells(SCIENTIST, "name") == ["[redacted]"] * 2
    assert cells(SCIENTIST, "birth_date") == [day[:4] for day in people["birth_date"][:2]]
    assert cells(SCIENTIST, "postcode") == [code[:3] + "**" for code in people["postcode"][:2]]
    assert len(set(cells(SCIENTIST, "email"))) == 2  # by a hash: who is linked stays linked
    assert cells(SCIENTIST, "mean radius") == cells(OWNER, "mean radius")
    assert "refused Reader (rita.reader): `readDatasetRows` is not" in first["words"]


def test_the_stock_client_trained_on_masked_rows_and_registered(first: dict[str, Any]) -> None:
    training = first["training"]
    assert training["auc"] > 0.97
    assert training["status"] == "READY"
    assert len(training["features"]) == 30
    assert not set(training["features"]) & set(PEOPLE_COLUMNS)


def test_the_model_was_checked_signed_and_approved_by_another(first: dict[str, Any]) -> None:
    model = first["model"]
    assert model["state"] == "approved"
    assert model["verdict"] == "clean"
    assert model["serving"] == "onnx"
    first_of_two, last = model["decisions"]
    assert (first_of_two["decision"], last["decision"]) == ("approval", "approved")
    assert len({first_of_two["by"], last["by"], model["registered_by"]}) == 3
    assert any(first["dataset"]["commitment"] in name for name in model["facts"]["datasets"])
    assert len(bytes.fromhex(model["signed_by"])) == 32
    assert f"refused {PEOPLE[SCIENTIST]} approving their own model" in first["words"]


def test_the_malicious_model_was_refused_with_its_reason(first: dict[str, Any]) -> None:
    assert not first["smuggled"]["payload_ran"]
    for words in ("FAILED_REGISTRATION", "SR-PKL-001", "model.pkl", "system"):
        assert words in first["smuggled"]["refusal"]


def test_the_endpoint_answers_as_the_model_and_refuses_the_rest(first: dict[str, Any]) -> None:
    outputs = first["prediction"]["outputs"]
    assert outputs["label"] == first["training"]["labels"]
    statuses = {who.partition(" (")[0]: status for who, status in first["refusals"].items()}
    assert statuses == {"a wrong key": 401, "a wrong role": 403, "a wrong input": 400}
    assert set(first["flood"]) == {"200", "429"}
    assert first["flood"]["429"] == REFUSED


def test_both_flipped_bytes_were_noticed_and_put_back(first: dict[str, Any]) -> None:
    assert first["tampering"]["model"].startswith("integrity.broken")
    assert first["tampering"]["log"].startswith("integrity.broken")
    # Said only after the server has verified both again.
    for what in ("model", "log"):
        assert f"restored: the {what} verifies again" in first["words"]


def test_it_leaves_a_home_that_is_as_it_should_be(first: dict[str, Any], home: Path) -> None:
    assert first["findings_resolved"] == 2  # the model's and the log's
    checks = {check.name: check for check in doctor.examined(load(home=home))}
    assert checks["integrity"].state == "ok", checks["integrity"]


def test_log_and_receipt_verify_without_the_server(first: dict[str, Any]) -> None:
    folder = Path(first["log"]["folder"])
    key = LogKey.parse((folder / "log.key").read_text().strip())
    with (folder / "log.zip").open("rb") as export:
        verified = verify_export(export, [key])
    assert verified.checkpoint.size == first["log"]["size"] > 100
    receipt = Receipt.parse((folder / "receipt.txt").read_text())
    receipt.verify([key])
    entry = json.loads(receipt.entry)
    assert receipt.index == first["prediction"]["index"]
    assert entry["operation"] == "endpoint.invoke"
    assert entry["outcome"] == "allowed"
    assert entry["details"]["rows"] == len(first["training"]["example"])
    assert str(entry["details"]["version"]) == first["training"]["version"]


def test_nothing_personal_and_no_key_lies_in_clear(
    first: dict[str, Any], home: Path, people: dict[str, list[str]]
) -> None:
    secrets = [text.encode() for column in ("name", "email") for text in people[column][:50]]
    secrets += [
        word.encode() for line in first["words"].splitlines()
        for word in line.split() if word.startswith("srk_") and len(word) > 40
    ]  # fmt: skip
    assert len(secrets) > 100
    for file in home.rglob("*"):
        if file.is_file():
            content = file.read_bytes()
            assert not [secret for secret in secrets if secret in content], file


def test_every_refusal_is_on_the_record(first: dict[str, Any], home: Path) -> None:
    with closing(sqlite3.connect(home / "strongroom.db")) as connection:
        outcomes = dict(
            connection.execute("SELECT outcome, count(*) FROM log_entries GROUP BY outcome")
        )
    assert outcomes["refused"] >= 7  # a view, an approval, a log, and at the endpoint four kinds
    assert first["refusals_on_record"] >= REFUSED
    assert outcomes["failed"] >= 2
    assert outcomes["allowed"] > outcomes["failed"]


def test_a_second_run_finds_what_is_there(first: dict[str, Any], home: Path) -> None:
    second = run(home)
    assert second["dataset"]["existed"]
    assert second["dataset"]["version"] == first["dataset"]["version"]
    assert int(second["training"]["version"]) == int(first["training"]["version"]) + 1
    assert second["model"]["state"] == "approved"
    assert second["log"]["size"] > first["log"]["size"]
