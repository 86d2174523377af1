"""Findings in words: shares, guarantees, and names that are safe to show."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.engines.privacy.report.planted import finding, findings

from strongroom.engines.privacy.discover.findings import Role, SampleGuarantee, Shape, TypeInside
from strongroom.engines.privacy.report import wording
from strongroom.engines.privacy.report.contents import FileReport, Report, TableReport


@pytest.mark.parametrize(
    ("share", "text"),
    [
        (0.0, "0 %"), (1.0, "100 %"), (0.00004, "<0.01 %"), (0.0023, "0.23 %"), (0.05, "5.0 %"),
        (0.5, "50 %"), (0.996, "99.6 %"), (0.9996, ">99.9 %"),
    ],
)  # fmt: skip
def test_shares_neither_vanish_nor_become_whole_by_rounding(share: float, text: str) -> None:
    assert wording.percent(share) == text


@settings(deadline=None, max_examples=50)
@given(st.floats(min_value=1e-9, max_value=1 - 1e-9))
def test_a_share_between_is_never_said_to_be_all_or_nothing(share: float) -> None:
    assert wording.percent(share) not in {"0 %", "0.00 %", "100 %", "100.0 %"}


def test_the_guarantee_says_what_may_be_missing() -> None:
    assert wording.guarantee_sentence(SampleGuarantee(400, 400, 0.0, 0.0)).startswith("All 400")
    said = wording.guarantee_sentence(SampleGuarantee(1_234_567, 2_000, 0.0023, 0.01))
    assert "2,000 of 1,234,567 rows" in said
    assert "0.23 %" in said
    assert "1.0 %" in said
    assert wording.guarantee_sentence(SampleGuarantee(0, 0, 0.0, 0.0)).startswith("There were no")


@pytest.mark.parametrize(
    "name", ["jane.roe@example.org", "4111 1111 1111 1111", "078-05-1120", "Mr John Smith"]
)
def test_a_name_that_is_a_value_is_hidden(name: str) -> None:
    """Where a file has no heading, its first row is taken for one."""
    shown = wording.shown_name(name)
    assert name not in shown
    assert "hidden" in shown


@pytest.mark.parametrize("name", ["email", "date_of_birth", "patient.address[].city", "col 7"])
def test_ordinary_names_are_shown(name: str) -> None:
    assert wording.shown_name(name) == name


@settings(deadline=None, max_examples=50)
@given(st.text(max_size=400))
def test_shown_names_are_short_and_printable(name: str) -> None:
    shown = wording.shown_name(name)
    assert len(shown) <= wording.MAX_NAME
    assert shown.isprintable()


def test_a_cut_and_a_turned_direction_are_mended() -> None:
    assert wording.clean("a\x1b[2Jb\u202ec\n", 20) == "a [2Jb c "
    assert wording.clean("x" * 30, 10) == "x" * 9 + "…"


def test_what_stands_in_texts_makes_a_column_personal() -> None:
    inside = (TypeInside("person_name", 0.4, 40), TypeInside("date", 0.6, 60))
    note = finding("note", shape=Shape.FREE_TEXT, inside=inside)
    assert wording.role_of_column(note) is Role.DIRECT
    rare = finding("note", shape=Shape.FREE_TEXT, inside=(TypeInside("person_name", 0.001, 1),))
    assert wording.role_of_column(rare) is Role.PLAIN


def test_numbers_with_a_right_check_digit_by_chance_are_no_finding() -> None:
    inside = (TypeInside("payment_card", 0.09, 9),)
    assert wording.role_of_column(finding("score", shape=Shape.NUMBER, inside=inside)) is Role.PLAIN
    texts = finding("score", shape=Shape.SHORT_TEXT, inside=inside)
    assert wording.role_of_column(texts) is Role.DIRECT


def test_a_verdict_counts_columns_by_what_they_do() -> None:
    table = findings(
        finding("a", "email", Role.DIRECT), finding("b", "city", Role.QUASI), finding("c")
    )
    report = Report("t", (FileReport("t.csv", "csv", (TableReport("", table),)),))
    said = wording.verdict(report)
    assert said.startswith("2 of 3 columns are personal")
    assert "1 lead straight to a person" in said
    plain = Report("t", (FileReport("t.csv", "csv", (TableReport("", findings(finding("c"))),)),))
    assert wording.verdict(plain) == "No personal data was found in 1 column."
    assert wording.verdict(Report("t", ())) == "Nothing could be looked at."


def test_a_threshold_takes_findings_out_but_not_a_persons_word() -> None:
    table = findings(finding("a", "email", Role.DIRECT, 0.6), finding("b", "city", Role.QUASI, 0.9))
    surer = wording.surer_than(table, 0.8)
    assert [column.type for column in surer.columns] == [None, "city"]
    assert surer.columns[0].role is Role.PLAIN
