"""What comes with a registered model: requirements and secrets, by the server's settings."""

import json
from pathlib import Path

from tests.services.models.modelroom import PLAIN, modelroom, reference

from strongroom.settings import Settings

KEY = "AKIA" + "IOSFODNN7EXAMPLE"
RECORD = {
    "id": "A-1",
    "modified": "2026-01-02T00:00:00Z",
    "affected": [{"package": {"ecosystem": "PyPI", "name": "demo"}, "versions": ["1.0"]}],
}
WANTED = {"requirements.txt": b"demo==1.0\nscikit-learn==1.9.1\n"}


def test_a_vulnerable_requirement_waits_for_a_person(tmp_path: Path) -> None:
    (tmp_path / "mirror").mkdir()
    (tmp_path / "mirror" / "A-1.json").write_text(json.dumps(RECORD))
    mirror = str(tmp_path / "mirror")
    settings = Settings(home=tmp_path, advisories=mirror, licences_denied="BSD-3-Clause")
    with modelroom(tmp_path, settings=settings) as room:
        row = room.checked({**PLAIN, **WANTED})
        assert (row.state, row.verdict) == ("checked", "review")
        shown = room.call(room.scientist, "model.show", reference())
        assert sorted(finding.rule_id for finding in shown.findings) == ["SR-PKG-006", "SR-PKG-008"]
        assert len(list((tmp_path / "cache").iterdir())) == 1
        row = room.checked({**PLAIN, "requirements.txt": b"demo==2.0\n"}, "other")
        assert (row.state, row.verdict) == ("checked", "clean")


def test_a_missing_mirror_and_what_the_files_carry(tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, advisories=str(tmp_path / "missing"))
    with modelroom(tmp_path, settings=settings) as room:
        row = room.checked({**PLAIN, **WANTED, "settings.env": f"X={KEY}\n".encode()})
        assert (row.state, row.verdict) == ("checked", "review")
        assert "SR-SEC-001" in row.reason
        assert KEY not in row.reason
        with room.house.database.read() as session:
            assert row.report is not None
            report = json.loads(b"".join(room.blobs.open(session, row.report).chunks()))
        checks = {check["name"]: check for check in report["checks"]}
        assert checks["vulnerabilities"]["state"] == "not checked"
        assert "there are no advisories" in checks["vulnerabilities"]["says"]
        assert checks["personal data"]["state"] == "checked"
        assert KEY not in json.dumps(report)
