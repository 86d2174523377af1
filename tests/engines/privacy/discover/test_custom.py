"""Types of one's own: what is read, what is refused and where, and what they find."""

import hypothesis.strategies as st
import pyarrow as pa
import pytest
import re2
from hypothesis import given

from strongroom.engines.privacy.discover.custom import (
    CHECKSUMS,
    MAX_TYPES,
    CustomType,
    parse_custom_types,
)
from strongroom.engines.privacy.discover.findings import Role
from strongroom.engines.privacy.discover.suggesting import suggest_pattern
from strongroom.engines.privacy.discover.tables import discover_table
from strongroom.errors import ValidationError

FILE = r"""
[study_code]
title = "code of a study"
pattern = 'ST-\d{6}'
keywords = ["Study", "Studie"]
min_share = 0.7
min_distinct = 4
role = "quasi"

[member_number]
pattern = '\d{8}'
checksum = "luhn"
"""


def test_a_file_is_read() -> None:
    study, member = parse_custom_types(FILE)
    assert study == CustomType(
        "study_code", "code of a study", r"ST-\d{6}", ("study", "studie"), 0.7, 4, "", Role.QUASI
    )
    assert (member.title, member.min_share, member.min_distinct) == ("member number", 0.6, 8)
    assert member.role is Role.DIRECT
    assert parse_custom_types("") == ()


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("x = [", "not valid TOML"),
        ("Bad = {pattern='a'}", "custom type `Bad`: a name has"),
        ("email = {pattern='a'}", "built-in type"),
        ("xx = 3", r"must be a table, `\[xx\]`"),
        ("xx = {}", "`xx.pattern` is missing"),
        ("xx = {pattern=''}", "`xx.pattern` is missing"),
        ("xx = {pattern=3}", "`xx.pattern` must be a text"),
        ("xx = {patern='a'}", "no key `patern`; did you mean `pattern`"),
        ("xx = {pattern='('}", "`xx.pattern` is no RE2 pattern: missing"),
        ("xx = {pattern='(?=a)b'}", "`xx.pattern` is no RE2 pattern"),
        (r"xx = {pattern='(a)\1'}", "`xx.pattern` is no RE2 pattern"),
        ("xx = {pattern='((a{100}){100}){100}'}", "`xx.pattern` is no RE2 pattern"),
        ("xx = {pattern='a*'}", "fits the empty text"),
        (f"xx = {{pattern='{'a' * 1001}'}}", "may have 1000 characters"),
        ("xx = {pattern='a', min_share=0}", "`xx.min_share` must be above 0.0 and at most 1.0"),
        ("xx = {pattern='a', min_share=nan}", "`xx.min_share` must be above"),
        ("xx = {pattern='a', min_distinct=true}", "`xx.min_distinct` must be a whole number"),
        ("xx = {pattern='a', checksum='crc'}", "`xx.checksum` must be one of: luhn"),
        ("xx = {pattern='a', role='boss'}", "`xx.role` must be one of: direct"),
        ("xx = {pattern='a', keywords=['']}", r"`xx.keywords\[0\]` has 1 to"),
        ("xx = {pattern='a', keywords=[1]}", r"`xx.keywords\[0\]` must be a text"),
        ("".join(f"t{i:04} = {{pattern='a'}}\n" for i in range(MAX_TYPES + 1)), "200 custom types"),
        ("#" * 300_000, "may have 262144 characters"),
    ],
)
def test_what_is_wrong_is_named(text: str, message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        parse_custom_types(text)


def test_what_is_small_alone_and_large_together_is_refused_before_it_is_used() -> None:
    def file(types: int) -> str:
        return "".join(
            f"own{i} = {{pattern='[\\pL\\pN]{{1,30}}@.{{1,200}}{i}'}}\n" for i in range(types)
        )

    for types in (10, 50):
        with pytest.raises(ValidationError, match="too large together"):
            parse_custom_types(file(types))
    # What is accepted can be matched beside the built-in types, and hides none of them.
    table = pa.table({"a": [f"ann{i}@example.org" for i in range(50)]})
    for types in (1, 5):
        custom = parse_custom_types(file(types))
        assert len(custom) == types
        assert discover_table(table, custom=custom).column("a").type == "email"


@given(st.text(max_size=200))
def test_any_other_text_is_refused_with_our_error(text: str) -> None:
    try:
        parse_custom_types(text)
    except ValidationError:
        return


def test_columns_are_found_by_form_and_name() -> None:
    custom = parse_custom_types(FILE)
    table = pa.table(
        {
            "c1": [f"ST-{i:06}" for i in range(60)],
            "studie": ["ST-000001", "ST-000002"] * 30,
            "mixed": [f"ST-{i:06}" if i % 2 else f"x{i}" for i in range(60)],
            "few": ["ST-000001", "ST-000002"] * 30,
        }
    )
    findings = discover_table(table, custom=custom)
    types = {finding.column: finding.type for finding in findings.columns}
    assert types == {"c1": "study_code", "studie": "study_code", "mixed": None, "few": None}
    assert findings.column("c1").role is Role.QUASI
    assert discover_table(table).column("c1").type is None


def test_a_checksum_is_asked_for() -> None:
    custom = parse_custom_types(FILE)
    is_right = CHECKSUMS["luhn"]
    right = [str(number) for number in range(10_000_000, 10_002_000) if is_right(str(number))]
    wrong = [str(number) for number in range(10_000_000, 10_000_100) if not is_right(str(number))]
    table = pa.table({"right": right[:50], "wrong": wrong[:50]})
    findings = discover_table(table, custom=custom)
    assert findings.column("right").type == "member_number"
    assert findings.column("wrong").type is None


def test_a_persons_word_may_be_a_type_of_ones_own() -> None:
    custom = parse_custom_types(FILE)
    table = pa.table({"a": ["x", "y"] * 10})
    finding = discover_table(table, custom=custom, overrides={"a": "study_code"}).columns[0]
    assert (finding.type, finding.role) == ("study_code", Role.QUASI)


def test_no_pattern_can_hang() -> None:
    custom = parse_custom_types("xx = {pattern='(a|a)*(a|aa)+$b'}\nyy = {pattern='(.*)*x'}")
    # A backtracking engine would need years.
    values = ["a" * 500 + str(i) for i in range(300)]
    assert discover_table(pa.table({"a": values}), custom=custom).columns[0].type is None


@pytest.mark.parametrize(
    ("examples", "pattern"),
    [
        (["ST-123456", "ST-000001"], r"ST\-\d{6}"),
        (["AB12", "CD345"], r"[A-Z]{2}\d{2,3}"),
        (["7GK2Q", "Q1234"], r"[A-Z0-9]{5}"),
        (["a.1", "b_2"], r"[a-z][\._]\d"),
        (["same", "same"], "same"),
        (["2024", "2024"], r"\d{4}"),
        (["one"], None),
        (["a-1", "1-a"], None),
        (["", "x"], None),
    ],
)
def test_a_pattern_is_suggested(examples: list[str], pattern: str | None) -> None:
    assert suggest_pattern(examples) == pattern


@given(st.lists(st.text("abAB01-./ é", min_size=1, max_size=8), min_size=2, max_size=5))
def test_a_suggested_pattern_fits_its_examples(examples: list[str]) -> None:
    pattern = suggest_pattern(examples)
    if pattern is not None:
        for example in examples:
            assert re2.fullmatch(pattern, example.strip()) is not None
