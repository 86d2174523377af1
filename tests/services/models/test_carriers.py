"""Code in models, format by format: found, kept in the sandbox, and without effect there."""

from pathlib import Path

from tests.services.models.carriers import evidence, page

from strongroom.engines.scanning.findings import Verdict

PAGE = Path(__file__).resolve().parents[3] / "docs" / "robustness-formats.md"


def test_code_in_models_reaches_nothing(tmp_path: Path) -> None:
    found = evidence(tmp_path)
    # The canary first: without a layer the program does all of it, and this is seen.
    assert set(found.canary) == {
        "mark", "call", "secret", "file", "run", "mark seen", "call seen",
    }  # fmt: skip
    assert all(found.canary.values()), found.canary
    assert (found.marked, found.called) == (False, 0)
    ran = [one for one in found.seen if one.ran is not None]
    assert len(ran) >= 8, "the sandbox was not tried"
    for one in found.seen:
        assert not any((one.ran or {}).values()), one
        # What passes a scan without a person has no code: neither loaded nor run.
        assert one.scan.verdict is not Verdict.CLEAN or (one.loaded, one.ran) == ("refused", None)
    written = PAGE.read_text("utf-8")
    hint = "run: python -m tests.services.models.carriers > docs/robustness-formats.md"
    assert written == page(found), hint
