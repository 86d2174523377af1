"""Commands without a server: scan, verify, doctor."""

import io
import json
import pickle
import socket
import sys
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest

from strongroom.engines.crypto.signing import SigningKey
from strongroom.engines.ledger.checkpoint import Checkpoint, LogKey
from strongroom.engines.ledger.hashing import leaf_hash
from strongroom.engines.ledger.receipt import Receipt
from strongroom.faces.cli import doctor, main
from strongroom.gate.audit.export import export
from strongroom.gate.audit.log import AuditLog
from strongroom.gate.audit.types import AuditClass, Event, Outcome
from strongroom.settings import Settings
from strongroom.vault.database import Database
from strongroom.vault.home import Home

Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRONGROOM_HOME", str(tmp_path / "home"))
    monkeypatch.delenv("STRONGROOM_LOG_KEY", raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["strongroom", *arguments])
        code = 0
        try:
            main.run()
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return call


# ---- scan ----

HOSTILE = b"cos\nsystem\n(S'true'\ntR."


def test_a_hostile_pickle_ends_with_6(run: Run, tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(HOSTILE)
    code, out, err = run("scan", "model.pkl")
    assert code == 6
    assert "SR-PKL" in out
    assert "malicious" in err
    report = json.loads(run("scan", "model.pkl", "--json")[1])
    assert report["verdict"] == "malicious"
    sarif = json.loads(run("scan", "model.pkl", "--sarif")[1])
    assert sarif["version"] == "2.1.0"
    assert sarif["runs"][0]["results"]


def test_a_clean_folder_ends_with_0(run: Run, tmp_path: Path) -> None:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "weights.pkl").write_bytes(pickle.dumps([1.0, 2.0, {"a": "b"}]))
    (folder / "notes.txt").write_text("hello\n")
    assert run("scan", "model")[0] == 0


def test_the_threshold_decides(run: Run, tmp_path: Path) -> None:
    (tmp_path / "model.pkl").write_bytes(HOSTILE)
    assert run("scan", "model.pkl", "--fail-on", "critical")[0] == 6
    assert run("scan", "model.pkl", "--fail-on", "never")[0] == 0
    assert run("scan", "model.pkl", "--fail-on", "somewhat")[0] == 2


def test_nothing_scanned_is_no_pass(run: Run, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    assert run("scan", "empty")[0] == 6
    assert run("scan", "missing")[0] == 2


def test_a_link_out_of_the_folder_is_not_followed(run: Run, tmp_path: Path) -> None:
    (tmp_path / "outside.pkl").write_bytes(HOSTILE)
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "notes.txt").write_text("hello\n")
    (folder / "link.pkl").symlink_to(tmp_path / "outside.pkl")
    code, out, err = run("scan", "model")
    assert code == 6
    assert "link.pkl" in out + err
    assert "SR-PKL-001" not in out


# ---- verify ----


@pytest.fixture
def log(tmp_path: Path) -> tuple[LogKey, str, bytes]:
    """The key of a log with three entries, a receipt of one and an export of all."""
    signing = SigningKey.from_seed(bytes(32))
    key = LogKey("test.example/log", signing.verifying_key.raw())
    database = Database.create_for_tests(tmp_path / "log.db")
    with AuditLog(database, payload_key=bytes(32), key=key, sign=signing.sign) as opened:
        for number in range(3):
            opened.record(Event(
                time=1.0 + number, workspace="clinic", actor_kind="person", actor="usr_a",
                operation="data.ls", action="readDataset", resource_type="Workspace",
                resource="clinic", audit_class=AuditClass.API_ACTIVITY, request_id="r",
                outcome=Outcome.ALLOWED,
            ))  # fmt: skip
        receipt = opened.receipt(1).text()
        exported = b"".join(export(opened, frozenset({"clinic"})))
    database.close()
    return key, receipt, exported


def test_a_receipt_is_verified_offline(
    run: Run, tmp_path: Path, log: tuple[LogKey, str, bytes]
) -> None:
    key, receipt, _ = log
    (tmp_path / "r.tlog-proof").write_text(receipt)
    (tmp_path / "r.json").write_text(json.dumps({"receipt": receipt, "log_key": "nonsense"}))
    (tmp_path / "key").write_text(f"{key}\n")
    for file in ("r.tlog-proof", "r.json"):
        for given in (str(key), "key"):
            code, out, err = run("verify", file, "--log-key", given, "--json")
            assert code == 0, err
            found = json.loads(out)
            assert (found["index"], found["size"]) == (1, 3)
            assert found["entry"]["operation"] == "data.ls"


def test_the_entry_beside_a_receipt_must_be_the_one_it_proves(
    run: Run, tmp_path: Path, log: tuple[LogKey, str, bytes]
) -> None:
    key, receipt, _ = log
    entry = json.loads(Receipt.parse(receipt).entry)
    del entry["v"], entry["salt"]
    shown = {**entry, "index": 1, "audit_class": entry.pop("class"), "time": "1970-01-01T00:00:02Z"}
    del shown["class"]
    cases = {"true": shown}
    cases |= {"outcome": {**shown, "outcome": "refused"}, "index": {**shown, "index": 2}}
    cases |= {"time": {**shown, "time": "1970-01-01T00:00:03Z"}, "more": {**shown, "more": 1}}
    cases["less"] = {name: value for name, value in shown.items() if name != "actor"}
    for name, case in cases.items():
        (tmp_path / "r.json").write_text(json.dumps({"entry": case, "receipt": receipt}))
        code, _, err = run("verify", "r.json", "--log-key", str(key))
        assert code == (0 if name == "true" else 5), (name, err)
    (tmp_path / "r.json").write_text(json.dumps({"entry": "allowed", "receipt": receipt}))
    assert run("verify", "r.json", "--log-key", str(key))[0] == 5


def test_an_export_is_verified_offline(
    run: Run, tmp_path: Path, log: tuple[LogKey, str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    key, _, exported = log
    (tmp_path / "log.zip").write_bytes(exported)
    monkeypatch.setenv("STRONGROOM_LOG_KEY", str(key))
    code, out, err = run("verify", "log.zip", "--json")
    assert code == 0, err
    assert json.loads(out)["size"] == 3


def test_whatever_was_changed_ends_with_5(
    run: Run, tmp_path: Path, log: tuple[LogKey, str, bytes]
) -> None:
    key, receipt, exported = log
    other = LogKey("test.example/log", SigningKey.from_seed(b"x" * 32).verifying_key.raw())
    (tmp_path / "r").write_text(receipt)
    assert run("verify", "r", "--log-key", str(other))[0] == 5
    (tmp_path / "r").write_text(receipt.replace("index 1", "index 2"))
    assert run("verify", "r", "--log-key", str(key))[0] == 5
    (tmp_path / "r").write_bytes(receipt.encode() + b"\xff")
    assert run("verify", "r", "--log-key", str(key))[0] == 5
    changed = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(exported)) as old, zipfile.ZipFile(changed, "w") as new:
        for name in old.namelist():
            content = old.read(name)
            new.writestr(name, content[:-1] + b"?" if "entries" in name else content)
    (tmp_path / "log.zip").write_bytes(changed.getvalue())
    assert run("verify", "log.zip", "--log-key", str(key))[0] == 5
    (tmp_path / "log.zip").write_bytes(exported[:-30])
    assert run("verify", "log.zip", "--log-key", str(key))[0] == 5


def test_a_forged_log_does_not_bring_its_own_key(run: Run, tmp_path: Path) -> None:
    """A receipt that is whole under a key of the forger's is refused under the true one."""
    forger = SigningKey.from_seed(b"f" * 32)
    forged = LogKey("test.example/log", forger.verifying_key.raw())
    note = Checkpoint(forged.name, 1, leaf_hash(b"{}")).signed(forged, forger.sign)
    (tmp_path / "r").write_text(Receipt(0, b"{}", (), note).text())
    true = LogKey("test.example/log", SigningKey.from_seed(bytes(32)).verifying_key.raw())
    assert run("verify", "r", "--log-key", str(forged))[0] == 0
    assert run("verify", "r", "--log-key", str(true))[0] == 5


def test_what_cannot_be_verified_is_said(run: Run, tmp_path: Path) -> None:
    (tmp_path / "x").write_text("hello")
    key = str(LogKey("a/b", SigningKey.from_seed(bytes(32)).verifying_key.raw()))
    assert run("verify", "x", "--log-key", key)[0] == 2
    assert run("verify", "x", "--log-key", "nonsense")[0] == 2
    assert run("verify", "missing", "--log-key", key)[0] == 1
    code, _, err = run("verify", "x")
    assert code == 2
    assert "--log-key" in err


# ---- doctor ----


def test_doctor_names_each_part(run: Run) -> None:
    code, out, _ = run("doctor", "--port", "0", "--json")
    states = {check["name"]: check["state"] for check in json.loads(out)}
    assert {"python", "packages", "home", "disk", "port", "sandbox", "certificate", "clock",
            "database", "integrity"} == states.keys()  # fmt: skip
    assert states["python"] == states["packages"] == states["home"] == states["port"] == "ok"
    assert code in {0, 1}
    assert all(c["advice"] for c in json.loads(out) if c["state"] != "ok")


def checks(settings: Settings) -> dict[str, doctor.Check]:
    return {check.name: check for check in doctor.examined(settings)}


def test_doctor_sees_a_taken_port(tmp_path: Path) -> None:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        found = checks(Settings(home=tmp_path / "home", port=listener.getsockname()[1]))
    assert found["port"].state == "warn"


def test_doctor_sees_a_home_open_to_others_and_a_damaged_database(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path / "home", port=0)
    Home.create(settings.home)
    settings.home.chmod(0o755)
    assert checks(settings)["home"].state == "fail"
    settings.home.chmod(0o700)
    assert checks(settings)["home"].state == "ok"
    with Home.open(settings.home):
        assert "a server runs" in checks(settings)["home"].found
    (settings.home / "strongroom.db").write_bytes(b"SQLite format 3\x00" + b"nonsense" * 1000)
    assert checks(settings)["database"].state == "fail"
    full = Settings(home=tmp_path / "home", port=0, min_free_bytes=2**60)
    assert checks(full)["disk"].state == "fail"


def test_doctor_sees_an_expired_certificate(tmp_path: Path) -> None:
    from datetime import UTC, datetime, timedelta

    from strongroom.engines.crypto.certificates import make_authority

    settings = Settings(home=tmp_path / "home", port=0)
    Home.create(settings.home)
    old = make_authority([], datetime.now(UTC) - timedelta(days=4000))
    (settings.home / "tls" / "ca.pem").write_bytes(old.certificate_pem)
    assert checks(settings)["certificate"].state == "fail"
    soon = make_authority([], datetime.now(UTC) - timedelta(days=3640))
    (settings.home / "tls" / "ca.pem").write_bytes(soon.certificate_pem)
    assert checks(settings)["certificate"].state == "warn"
    fresh = make_authority([], datetime.now(UTC))
    (settings.home / "tls" / "ca.pem").write_bytes(fresh.certificate_pem)
    assert checks(settings)["certificate"].state == "ok"


def test_migrate_needs_a_home_that_nobody_uses(run: Run, tmp_path: Path) -> None:
    assert run("migrate", "--yes")[0] == 1
    Home.create(tmp_path / "home")
    with Home.open(tmp_path / "home"):
        code, _, err = run("migrate", "--yes")
        assert code == 1
        assert "in use" in err
    assert run("migrate", "--yes")[0] == 0
