"""`strongroom scan` on folders as hostile as a file system allows, with advisories and licences."""

import gzip
import json
import os
import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import jsonschema_rs
import pytest

from strongroom.engines.scanning.findings import Finding
from strongroom.faces.cli import main, scan, scan_options
from strongroom.services.models.spotting import (
    installed_licence,
    knowledge_of_server,
    spot_personal,
    spot_secrets,
)

Run = Callable[..., tuple[int, str, str]]
KEY = "AKIA" + "IOSFODNN7EXAMPLE"
RECORD = {
    "id": "A-1",
    "modified": "2026-01-02T00:00:00Z",
    "summary": "it leaks",
    "affected": [{"package": {"ecosystem": "PyPI", "name": "demo"}, "versions": ["1.0"]}],
}


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for name in ("ADVISORIES", "LICENCES_ALLOWED", "LICENCES_DENIED"):
        monkeypatch.delenv(f"STRONGROOM_{name}", raising=False)

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["strongroom", "scan", *arguments])
        code = 0
        try:
            main.run()
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return code, out, err

    return call


@pytest.fixture
def model(run: Run) -> Path:
    folder = Path("model")
    folder.mkdir()
    (folder / "requirements.txt").write_text("demo==1.0\nscikit-learn==1.9.1\n")
    return folder


def mirror(form: str) -> Path:
    place = Path("mirror")
    place.mkdir()
    line = json.dumps(RECORD)
    if form == "folder":
        (place / "PyPI").mkdir()
        (place / "PyPI" / "A-1.json").write_text(line)
        (place / "README.md").write_text("not a record")
    elif form == "lines":
        (place / "all.jsonl.gz").write_bytes(gzip.compress(f"{line}\n\n".encode(), mtime=0))
    else:
        import zipfile

        place = place / "all.zip"
        with zipfile.ZipFile(place, "w") as archive:
            archive.writestr("A-1.json", line)
    return place


# ---- advisories ----


@pytest.mark.parametrize("form", ["folder", "lines", "zip"])
def test_a_mirror_in_each_form(run: Run, model: Path, tmp_path: Path, form: str) -> None:
    place = mirror(form)
    code, out, err = run("model", "--advisories", str(place))
    assert code == 6
    assert "SR-PKG-006" in out
    assert "vulnerabilities: checked: 1 of 2 packages, by 1 advisories of 2026-01-02" in err
    (index,) = (tmp_path / "cache" / "strongroom").iterdir()
    before = index.stat().st_ino
    assert run("model", "--advisories", str(place))[0] == 6
    assert index.stat().st_ino == before  # read, not made again
    index.write_bytes(b"damaged")
    assert run("model", "--advisories", str(place))[0] == 6
    assert index.stat().st_size > 20


def test_a_changed_mirror_is_read_anew(
    run: Run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    place = mirror("folder")
    monkeypatch.setenv("STRONGROOM_ADVISORIES", str(place))
    assert run("model")[0] == 6
    withdrawn = {**RECORD, "withdrawn": "2026-01-03T00:00:00Z"}
    (place / "PyPI" / "A-1.json").write_text(json.dumps(withdrawn))
    assert run("model")[0] == 0


def test_without_a_mirror_it_says_not_checked(run: Run, model: Path) -> None:
    code, out, _ = run("model", "--json")
    assert code == 0
    checks = {check["name"]: check for check in json.loads(out)["checks"]}
    assert checks["vulnerabilities"]["state"] == "not checked"
    assert checks["secrets"]["state"] == "checked"
    assert "vulnerabilities: not checked" in run("model")[2]


@pytest.mark.parametrize("content", [None, "", "[]", "{", '{"id": 3}'])
def test_a_mirror_that_cannot_be_read_is_an_error(
    run: Run, model: Path, content: str | None
) -> None:
    Path("mirror").mkdir()
    if content is not None:
        (Path("mirror") / "A-1.json").write_text(content)
    code, _, err = run("model", "--advisories", "mirror")
    assert code not in (0, 6)
    assert "advisories" in err
    assert run("model", "--advisories", "missing")[0] not in (0, 6)


def test_a_server_goes_on_without_its_mirror(tmp_path: Path) -> None:
    from datetime import date

    known = knowledge_of_server(
        advisories=str(tmp_path / "missing"), cache=tmp_path / "cache", today=date(2026, 1, 1),
        allowed_licences="MIT", denied_licences="",
    )  # fmt: skip
    assert known.advisories is None
    assert "there are no advisories" in known.why_no_advisories
    assert known.licences is not None
    assert known.spot_secrets is not None


# ---- licences ----


def test_licences_of_installed_distributions(run: Run, model: Path) -> None:
    assert installed_licence("scikit-learn") == "BSD-3-Clause"
    assert installed_licence("there-is-no-such") == ""
    code, out, _ = run("model", "--allow-licences", "MIT")
    assert code == 6
    assert "SR-PKG-008" in out  # scikit-learn
    assert "SR-PKG-009" in out  # demo
    code, _, err = run("model", "--deny-licences", "nonsense")
    assert code not in (0, 6)
    assert "SPDX" in err


# ---- finders ----


def test_the_finders_of_discovery() -> None:
    text = f"aws = {KEY}\nwrite to anna.schmidt@example.org\nSSN: 536-22-1234\n"
    assert [text[s.start : s.end] for s in spot_secrets(text)] == [KEY]
    kinds = {s.kind: text[s.start : s.end] for s in spot_personal(text)}
    assert kinds["email"] == "anna.schmidt@example.org"
    assert "us_ssn" in kinds
    umlauts = f"ÄÖÜ é {KEY}"
    assert [umlauts[s.start : s.end] for s in spot_secrets(umlauts)] == [KEY]
    numbers = " ".join(str(n * 7919 % 10**10) for n in range(1, 3_000))
    assert list(spot_personal(numbers)) == []  # weights of a model are no telephone numbers


def test_secrets_and_people_in_a_folder(run: Run, model: Path) -> None:
    (model / ".env").write_text(f"X={KEY}\n")
    people = [f"Anna{'abcde'[n % 5]} Schmidt" for n in range(5)]
    (model / "people.pkl").write_bytes(
        pickle.dumps([f"{p}@example.org".replace(" ", ".") for p in people])
    )
    code, out, _ = run("model", "--json")
    assert code == 6
    found = {f["rule_id"]: f for f in json.loads(out)["findings"]}
    assert found["SR-SEC-001"]["says"] == "holds an API key or token (AK…LE, 20 characters)"
    assert found["SR-SEC-001"]["offset"] == 2
    assert "5 e-mail addresses" in found["SR-PII-001"]["says"]
    assert KEY not in out
    assert "Anna" not in out


# ---- SARIF ----

# What the schema of SARIF 2.1.0 demands of the parts that are written here (sections 3.13 to 3.58).
_TEXT = {"type": "object", "required": ["text"], "properties": {"text": {"type": "string"}}}
_LEVEL = {"enum": ["none", "note", "warning", "error"]}
SARIF = {
    "type": "object",
    "required": ["version", "runs"],
    "additionalProperties": False,
    "properties": {
        "$schema": {"type": "string", "format": "uri"},
        "version": {"const": "2.1.0"},
        "runs": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tool"],
                "additionalProperties": False,
                "properties": {
                    "tool": {
                        "type": "object",
                        "required": ["driver"],
                        "properties": {
                            "driver": {
                                "type": "object",
                                "required": ["name"],
                                "properties": {
                                    "rules": {
                                        "type": "array",
                                        "uniqueItems": True,
                                        "items": {
                                            "type": "object",
                                            "required": ["id"],
                                            "properties": {
                                                "shortDescription": _TEXT,
                                                "defaultConfiguration": {
                                                    "properties": {"level": _LEVEL}
                                                },
                                            },
                                        },
                                    }
                                },
                            }
                        },
                    },
                    "columnKind": {"enum": ["utf16CodeUnits", "unicodeCodePoints"]},
                    "invocations": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["executionSuccessful"],
                            "properties": {
                                "executionSuccessful": {"type": "boolean"},
                                "toolExecutionNotifications": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "required": ["message"],
                                        "properties": {"message": _TEXT, "level": _LEVEL},
                                    },
                                },
                            },
                        },
                    },
                    "results": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["message"],
                            "properties": {
                                "message": _TEXT,
                                "level": _LEVEL,
                                "ruleIndex": {"type": "integer", "minimum": 0},
                                "locations": {
                                    "type": "array",
                                    "items": {
                                        "type": "object",
                                        "properties": {
                                            "physicalLocation": {
                                                "properties": {
                                                    "artifactLocation": {
                                                        "properties": {
                                                            "uri": {
                                                                "type": "string",
                                                                "format": "uri-reference",
                                                            }
                                                        }
                                                    },
                                                    "region": {
                                                        "properties": {
                                                            "byteOffset": {
                                                                "type": "integer",
                                                                "minimum": -1,
                                                            }
                                                        }
                                                    },
                                                }
                                            }
                                        },
                                    },
                                },
                                "partialFingerprints": {
                                    "type": "object",
                                    "additionalProperties": {"type": "string"},
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}  # fmt: skip


def test_sarif_keeps_to_its_schema(run: Run, model: Path) -> None:
    for name in ("a b.pkl", "é%#?.pkl", "x\u202egnp.pkl", "[1]{2}|^`.pkl"):
        (model / name).write_bytes(b"cos\nsystem\n(S'true'\ntR.")
    code, out, _ = run("model", "--sarif")
    assert code == 6
    document = json.loads(out)
    jsonschema_rs.validator_for(SARIF, validate_formats=True).validate(document)
    results = document["runs"][0]["results"]
    assert len({r["partialFingerprints"]["strongroom/v1"] for r in results}) == len(results)
    assert len(results) >= 4


# ---- hostile folders ----


def test_pipes_devices_and_links_are_left_out(run: Run, model: Path) -> None:
    os.mkfifo(model / "pipe.pkl")
    (model / "socket.pkl").symlink_to("/dev/zero")
    (model / "up").symlink_to(model.resolve().parent)
    (model / "nowhere").symlink_to("nowhere")
    code, out, _ = run("model", "--json")
    report = json.loads(out)
    assert (code, report["verdict"]) == (6, "unreadable")
    told = {finding["file"] for finding in report["findings"] if finding["rule_id"] == "SR-FMT-004"}
    assert told == {"pipe.pkl", "socket.pkl", "up", "nowhere"}
    assert run(str(model / "pipe.pkl"))[0] == 2
    assert run("/dev/null")[0] == 2


def test_a_link_to_what_is_scanned_beside_it_is_no_finding(run: Run, model: Path) -> None:
    (model / "latest").symlink_to(".")
    for file in list(model.iterdir()):
        if file.is_file():
            (model / f"again-{file.name}").symlink_to(file.name)
    assert run("model")[0] == 0


def test_many_links_are_told_by_their_first(run: Run, model: Path) -> None:
    for number in range(scan.MAX_TOLD + 50):
        (model / f"{number}.pkl").symlink_to("/dev/zero")
    code, out, _ = run("model", "--json")
    findings = json.loads(out)["findings"]
    assert (code, len(findings)) == (6, scan.MAX_TOLD + 1)
    assert "so were more" in findings[-1]["says"]


def test_a_file_that_became_a_pipe_does_not_hang(
    run: Run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = scan._walk

    def swapped(folder: Path, left_out: list[Finding]) -> list[Path]:
        files = list(real(folder, left_out))
        files[0].unlink()
        os.mkfifo(files[0])
        return files

    monkeypatch.setattr(scan, "_walk", swapped)
    code, out, _ = run("model")
    assert code == 6
    assert "SR-FMT-004" in out


def test_names_that_steer_a_terminal(run: Run, model: Path) -> None:
    names = [b"a\x1b[2J.txt", "b\u202etxt.exe".encode(), b"c\xff\xfe.txt", b"d\n.txt"]
    for name in names:
        path = os.path.join(os.fsencode(model), name)  # noqa: PTH118 # names that are no text
        with open(path, "wb") as file:  # noqa: PTH123 # a text or a path
            file.write(b"text\n")
    for form in ((), ("--json",), ("--sarif",)):
        code, out, err = run("model", *form)
        assert code == 6
        assert "\x1b" not in out + err
        assert "\u202e" not in out + err


def test_a_sparse_file_of_100_gb(run: Run, model: Path) -> None:
    with (model / "weights.bin").open("wb") as file:
        file.truncate(100 * 2**30)
    code, out, _ = run("model", "--json")
    assert code == 6
    sizes = {file["name"]: file["size_bytes"] for file in json.loads(out)["files"]}
    assert sizes["weights.bin"] == 100 * 2**30


def test_more_files_than_the_limit(run: Run, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from strongroom.engines.scanning import models
    from strongroom.engines.scanning.reading import Limits

    monkeypatch.setattr(models, "Limits", lambda: Limits(files=20))
    for number in range(30):
        (model / f"{number}.txt").write_text("x\n")
    code, out, _ = run("model", "--json")
    assert code == 6
    report = json.loads(out)
    assert report["verdict"] == "unreadable"
    assert len(report["files"]) == 20


def test_a_folder_that_cannot_be_listed_is_an_error(
    run: Run, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(folder: object) -> None:
        raise PermissionError(13, "Permission denied", str(folder))

    monkeypatch.setattr(os, "scandir", refused)
    code, _, err = run("model")
    assert code == 2
    assert "cannot be read" in err


def test_progress_is_for_terminals(run: Run, model: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scan, "PROGRESS_SECONDS", 0)
    assert "\r" not in run("model")[2]
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True, raising=False)
    progress = scan._Progress()
    progress(0, 7, "a\x1b.pkl")
    progress.close()


# ---- the light way to read the options ----

PLAIN = [
    ["a.pkl"],
    ["a.pkl", "b"],
    ["--json", "a.pkl"],
    ["a.pkl", "--sarif", "--fail-on", "high"],
    ["--advisories", "osv", "--allow-licences", "MIT,BSD-3-Clause", "a.pkl"],
    ["a.pkl", "--deny-licences", "AGPL-3.0-only", "--json"],
]


def _given_to_the_scan(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, *, plainly: bool
) -> dict[str, object]:
    taken: dict[str, object] = {}

    def take(paths: list[Path], **others: object) -> int:
        taken.update(others, paths=paths)
        return 6

    monkeypatch.setattr(scan, "run_scan", take)
    monkeypatch.setattr(sys, "argv", ["strongroom", "scan", *arguments])
    if not plainly:
        monkeypatch.setattr(scan_options, "plainly_given", lambda _: None)
    with pytest.raises(SystemExit) as ended:
        main.run()
    assert ended.value.code == 6
    return taken


@pytest.mark.parametrize("environment", ["", "from-outside"], ids=["bare", "environment"])
@pytest.mark.parametrize("arguments", PLAIN, ids=[str(n) for n in range(len(PLAIN))])
def test_both_ways_read_the_same(
    arguments: list[str], environment: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("ADVISORIES", "LICENCES_ALLOWED", "LICENCES_DENIED"):
        monkeypatch.setenv(f"STRONGROOM_{name}", environment)
    assert scan_options.plainly_given(arguments) is not None
    quick = _given_to_the_scan(arguments, monkeypatch, plainly=True)
    assert quick == _given_to_the_scan(arguments, monkeypatch, plainly=False)


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--json"],
        ["--help"],
        ["a.pkl", "--help"],
        ["a.pkl", "--unknown"],
        ["a.pkl", "--fail-on"],
        ["a.pkl", "--fail-on", "--json"],
        ["a.pkl", "--fail-on=high"],
        ["a.pkl", "--json", "--json"],
        ["a.pkl", "--", "-x"],
        ["a.pkl", "-"],
        ["a.pkl", ""],
    ],
    ids=str,
)
def test_anything_else_is_read_with_care(arguments: list[str]) -> None:
    assert scan_options.plainly_given(arguments) is None


def test_completion_is_not_a_scan(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_STRONGROOM_COMPLETE", "complete_bash")
    assert scan_options.plainly_given(["a.pkl"]) is None


def test_a_small_model_needs_little(tmp_path: Path) -> None:
    """What takes long to load stays out: the reader of all commands, YAML, validation."""
    (tmp_path / "m.pkl").write_bytes(pickle.dumps([1, 2]))
    code = (
        "import sys\nfrom strongroom.faces.cli import main\n"
        "sys.argv = ['strongroom', 'scan', 'm.pkl']\n"
        "try:\n    main.run()\nexcept SystemExit as ended:\n    print(ended.code)\n"
        "print(sorted({'typer', 'pydantic', 'yaml', 'rich', 'importlib.metadata', 'jinja2', "
        "'sqlalchemy', 'packaging', 'numpy'} & set(sys.modules)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert done.stdout.split("\n")[:2] == ["0", "[]"]
