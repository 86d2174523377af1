"""Signed reports of attacks: what they cover, and that no byte of them may change."""

import json
import re
from collections.abc import Callable
from pathlib import Path

import joblib
import pytest
from sklearn.tree import DecisionTreeClassifier
from tests.faces.cli.conftest import Offline
from tests.faces.cli.test_attack import people

from strongroom.engines.crypto.signing import SigningKey
from strongroom.errors import TamperedError, UsageError
from strongroom.faces.cli.attack_inputs import Compared, is_report
from strongroom.faces.cli.attack_signing import run_verify_report

PLAN = 'version = 1\ntests = ["poisoning.duplicates"]\n[columns]\nlabel = "ill"\n'
ROWS = ("--data", "trained.csv", "--held-out", "others.csv")


@pytest.fixture
def made(offline: Offline, tmp_path: Path) -> Path:
    """A folder with a model, rows, a plan, keys, and a signed report as JSON and as a page."""
    trained, others = people(80, 1), people(80, 2)
    (tmp_path / "model").mkdir()
    tree = DecisionTreeClassifier(random_state=0).fit(trained[["age", "dose"]], trained["ill"])
    joblib.dump(tree, tmp_path / "model" / "model.joblib")
    (tmp_path / "model" / "MLmodel").write_text(
        "flavors:\n  sklearn:\n    pickled_model: model.joblib\n"
    )
    trained.to_csv(tmp_path / "trained.csv", index=False)
    others.to_csv(tmp_path / "others.csv", index=False)
    (tmp_path / "plan.toml").write_text(PLAN)
    for name in ("key", "other"):
        key = SigningKey.generate("ecdsa-p256")
        (tmp_path / f"{name}.pem").write_bytes(key.pem())
        (tmp_path / f"{name}.pem").chmod(0o600)
        (tmp_path / f"{name}.pub").write_bytes(key.verifying_key.pem())
    code, _, err = offline(
        "attack", "model", *ROWS, "--plan", "plan.toml", "--sign", "key.pem",
        "-o", "report.json", "--html", "report.html",
    )  # fmt: skip
    assert code == 1, err  # nothing with a gate was measured: it is signed all the same
    return tmp_path


def test_a_signed_report_is_verified_with_all_it_speaks_of(made: Path, offline: Offline) -> None:
    given = ("--public-key", "key.pub", "--json")
    whole = (*given, "--model", "model", *ROWS, "--plan", "plan.toml")
    code, out, err = offline("verify", "report.json", *whole)
    assert code == 0, err
    found = json.loads(out)
    assert found["checked"] == ["report", "model", "rows trained", "rows held_out", "plan"]
    assert (found["verdict"], found["seed"]) == ("invalid", 1)
    assert found["settings"]["epsilon"] is None
    code, out, _ = offline("verify", "report.html", *whole)
    assert (code, json.loads(out)["page_sha256"]) == (0, found["page_sha256"])
    # The files of the model are those that were attacked: the statement is one about them, too.
    sig = ("--signature", "report.json.sig", "--public-key", "key.pub")
    assert offline("verify", "model", *sig)[0] == 0
    page = (made / "report.html").read_text()
    assert re.search("SHA-256 of the statement: [0-9a-f]{64}", page)
    assert "<script" not in page
    no_byte_may_change(made)
    everything_else_is_refused(made, offline)


def test_the_files_of_a_model_of_one_file_are_verified_too(made: Path, offline: Offline) -> None:
    (made / "model" / "model.joblib").rename(made / "one.joblib")
    code, _, err = offline(
        "attack", "one.joblib", *ROWS, "--plan", "plan.toml", "--sign", "key.pem", "-o", "one.json"
    )
    assert code == 1, err
    sig = ("--signature", "one.json.sig", "--public-key", "key.pub")
    code, out, err = offline("verify", "one.joblib", *sig, "--json")
    assert (code, json.loads(out)["files"]) == (0, 1), err
    (made / "others.joblib").write_bytes((made / "one.joblib").read_bytes())
    assert offline("verify", "others.joblib", *sig)[0] == 5  # another name
    with (made / "one.joblib").open("ab") as file:
        file.write(b"x")
    code, _, err = offline("verify", "one.joblib", *sig)
    assert (code, "changed: `one.joblib`" in err) == (5, True)


def everything_else_is_refused(made: Path, offline: Offline) -> None:
    given = ("--public-key", "key.pub")
    assert offline("verify", "report.json")[0] == 2  # nobody to trust
    assert offline("verify", "report.json", "--public-key", "other.pub")[0] == 5
    for option, name in (
        ("--model", "model/model.joblib"), ("--data", "others.csv"), ("--held-out", "trained.csv"),
        ("--plan", "trained.csv"),
    ):  # fmt: skip
        code, _, err = offline("verify", "report.json", *given, option, name)
        assert (code, "is not what was signed" in err) == (5, True), option
    (made / "model" / "more").write_text("x")
    assert offline("verify", "report.json", *given, "--model", "model")[0] == 5
    # A signature of the files by the same key is no word on an attack.
    offline("sign", "model", "--key", "key.pem", "--signature", "model.sig", "--no-scan")
    code, _, err = offline(
        "verify", "report.json", *given, "--signature", "model.sig", "--model", "model"
    )
    assert code == 5
    assert not is_report(made / "report.json", made / "model.sig")
    assert not is_report(made / "trained.csv")
    assert not is_report(made / "nowhere")
    # The record of an assessment in the log says the same words, and is verified by the log's key.
    entry = {"entry": {"details": {"kind": "robustness", "verdict": "passed"}}, "receipt": "x"}
    (made / "proof.json").write_text(json.dumps(entry))
    assert not is_report(made / "proof.json")


def no_byte_may_change(made: Path) -> None:
    def is_believed(name: str) -> bool:
        try:
            run_verify_report(
                made / name, signature=made / "report.json.sig", public_key=made / "key.pub",
                beside=Compared(), as_json=True,
            )  # fmt: skip
        except TamperedError:
            return False
        return True

    def flipped(data: bytes, at: int) -> bytes:
        return data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]

    for name in ("report.json", "report.html"):
        whole = (made / name).read_bytes()
        assert is_believed(name)
        changes: list[Callable[[bytes], bytes]] = [
            lambda data: data + b" ", lambda data: data[:-1], lambda data: data[1:],
            lambda data: data.replace(b"invalid", b"passed "), lambda data: data[:0],
            lambda data: data.replace(b"</h1>", b"</h1><h1>passed</h1>", 1) + b"\n",
        ]  # fmt: skip
        # Some places in the report itself, and every few bytes of the page's signed end.
        places = [
            *range(0, len(whole), len(whole) // 40),
            *range(len(whole) - 3_000, len(whole), 37),
        ]
        changes += [lambda data, at=at: flipped(data, at) for at in places]  # type: ignore[misc] # bound now
        for number, change in enumerate(changes):
            (made / name).write_bytes(change(whole))
            assert not is_believed(name), (name, number)
        (made / name).write_bytes(whole)
    envelope = (made / "report.json.sig").read_bytes()
    for at in range(0, envelope.index(b'"signatures"'), 101):
        (made / "report.json.sig").write_bytes(flipped(envelope, at))
        assert not is_believed("report.json"), at
    (made / "report.json.sig").write_bytes(envelope)
    with pytest.raises(UsageError):
        run_verify_report(
            made / "report.html", signature=None, public_key=None, beside=Compared(), as_json=True
        )
