"""Reports: verdict, JSON, SARIF, and the page that explains the rules."""

import json
import pickle
from pathlib import Path

from tests.engines.scanning.scan_bytes import scan, scan_folder

from strongroom.engines.scanning.findings import RULES, Verdict, worst

SYSTEM = b"cos\nsystem\n(S'id'\ntR."


def test_the_worst_finding_decides() -> None:
    assert worst([]) is Verdict.CLEAN
    assert worst([Verdict.REVIEW, Verdict.UNREADABLE, Verdict.CLEAN]) is Verdict.UNREADABLE
    report = scan_folder({"a.py": b"x = 1\n", "b": SYSTEM, "c": b"text"})
    assert report.verdict is Verdict.MALICIOUS
    assert report.reason().startswith("SR-PKL-001 in `b`: calls `os.system('id')`")
    assert scan(b"text").reason() == ""


def test_json_is_stable_and_complete() -> None:
    report = scan(SYSTEM)
    found = json.loads(report.to_bytes())
    assert found["verdict"] == "malicious"
    assert found["findings"][0]["atlas"] == "AML.T0018.002"
    assert found["findings"][0]["offset"] == 19
    assert report.to_bytes() == scan(SYSTEM).to_bytes()


def test_sarif_has_what_readers_need() -> None:
    sarif = scan(SYSTEM).to_sarif("1.2.3")
    run = sarif["runs"][0]
    assert sarif["version"] == "2.1.0"
    assert run["tool"]["driver"]["semanticVersion"] == "1.2.3"
    result = run["results"][0]
    assert result["level"] == "error"
    assert run["tool"]["driver"]["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
    place = result["locations"][0]["physicalLocation"]
    assert place["artifactLocation"]["uri"] == "model.bin"
    assert place["region"]["byteOffset"] == 19


def test_hostile_names_are_shown_safely() -> None:
    report = scan(b"c\x1b[31mos\nsystem\n(S'\x1b[2Jid'\ntR.", "a\x1b]0;x\x07")
    assert "\x1b" not in json.dumps(report.to_json(), ensure_ascii=False)


def test_each_rule_is_used() -> None:
    folder = Path(__file__).resolve().parents[3] / "src/strongroom/engines/scanning"
    source = "".join(path.read_text() for path in folder.glob("*.py") if path.name != "findings.py")
    assert [rule for rule in RULES if f'"{rule}"' not in source] == []


def test_names_that_deceive_are_told() -> None:
    found = {f.rule_id: f for f in scan(pickle.dumps([1]), "model.onnx").findings}
    assert found["SR-FMT-003"].verdict is Verdict.CLEAN
    assert found["SR-FMT-003"].says == "is named like onnx, but is pickle"


def test_the_page_explains_each_rule() -> None:
    page = (Path(__file__).resolve().parents[3] / "docs/scanning.md").read_text()
    for rule in RULES.values():
        assert f"| {rule.id} | {rule.title} | {rule.verdict} |" in page, rule.id
