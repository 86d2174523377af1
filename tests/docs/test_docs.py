"""The documents say what the program does."""

import re
from pathlib import Path

import pytest
from tests.docs.operations_page import page

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
LINK = re.compile(r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)")


def test_the_page_of_operations_is_in_step() -> None:
    written = (ROOT / "docs" / "operations.md").read_text("utf-8")
    assert written == page(), "run: python -m tests.docs.operations_page > docs/operations.md"


@pytest.mark.parametrize("path", PAGES, ids=lambda path: path.name)
def test_links_lead_somewhere(path: Path) -> None:
    for target in LINK.findall(path.read_text("utf-8")):
        assert (path.parent / target).exists(), f"{path.name} links to {target}"


def test_decisions_are_numbered_once_and_say_what_they_cost() -> None:
    decisions = sorted((ROOT / "docs" / "adr").glob("*.md"))
    numbers = [path.name[:4] for path in decisions]
    assert numbers == [f"{number:04}" for number in range(1, len(decisions) + 1)]
    for path in decisions:
        text = path.read_text("utf-8").lower()
        for words in ("**question.**", "**choice", "cost"):
            assert words in text, f"{path.name} lacks {words}"
