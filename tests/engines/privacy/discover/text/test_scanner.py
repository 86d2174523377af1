"""Patterns without groups, and patterns that RE2 refuses."""

import pytest
import re2

from strongroom.engines.privacy.discover.text.folding import fold
from strongroom.engines.privacy.discover.text.forms.form import Form
from strongroom.engines.privacy.discover.text.scanner import Family, compiled, ungrouped


@pytest.mark.parametrize(
    ("pattern", "without"),
    [(r"(a)(?:b)", r"(?:a)(?:b)"), (r"\((a)[(]", r"\((?:a)[(]"), (r"(?i)x", r"(?i)x")],
)
def test_groups_stop_capturing(pattern: str, without: str) -> None:
    assert ungrouped(pattern) == without
    assert compiled(ungrouped(pattern)).groups == 0


def test_look_around_is_refused() -> None:
    with pytest.raises(re2.error):
        compiled(r"(?<=a)b")


def test_the_surest_form_that_passes_wins_and_checks_can_refuse() -> None:
    family = Family(
        (
            Form("low", r"\b\d{4}\b", 0.5),
            Form("even", r"\b\d{4}\b", 0.9, lambda text: int(text) % 2 == 0),
            Form("named", r"no (\d{5})\b", 0.8),
            Form("near", r"\b\d{6}\b", 0.7, None, "code"),
        )
    )

    def types(text: str) -> list[tuple[str, str]]:
        return [(s.type, text[s.start : s.end]) for s in family.scan(fold(text))]

    assert types("1234 1235") == [("even", "1234"), ("low", "1235")]
    assert types("no 12345") == [("named", "12345")]
    assert types("code 123456") == [("near", "123456")]
    assert types("123456") == []
