"""Masks: what stays, what goes, and what cannot be linked."""

import hashlib
import hmac
from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.engines.privacy.discover.tables import discover_table
from strongroom.engines.privacy.mask import generalizing, hiding, moving
from strongroom.engines.privacy.mask.default_policy import DEFAULT_POLICY, default_policy
from strongroom.engines.privacy.mask.plan import MaskPlan, mask_batches, plan_masks
from strongroom.engines.privacy.mask.policy import MaskRule, Method
from strongroom.engines.privacy.mask.policy_file import parse_policy

KEY = hashlib.sha256(b"key").digest()
OTHER_KEY = hashlib.sha256(b"other key").digest()


def masked(table: pa.Table, policy: str = DEFAULT_POLICY, key: bytes = KEY) -> dict[str, list[Any]]:
    """The table as the policy masks it."""
    plan = plan_masks(
        table.schema, discover_table(table), parse_policy(policy), counts=hiding.count_values(table)
    )
    return whole(mask_batches(table.to_batches(7), plan, key), plan)


def whole(batches: Iterable[pa.RecordBatch], plan: MaskPlan) -> dict[str, list[Any]]:
    """The batches as lists."""
    return pa.Table.from_batches(list(batches), plan.schema).to_pydict()


# ---- methods ----


def test_redact_keeps_nulls_and_types() -> None:
    assert hiding.redact(pa.array(["a", None])).to_pylist() == ["[redacted]", None]
    numbers = hiding.redact(pa.array([1, None], pa.int16()))
    assert (numbers.type, numbers.to_pylist()) == (pa.int16(), [None, None])
    days = hiding.redact(pa.array([date(2020, 1, 2)]))
    assert (days.type, days.to_pylist()) == (pa.date32(), [None])


@pytest.mark.parametrize(
    ("text", "rule", "expected"),
    [
        ("4111 1111 1111 1234", {"keep_last": 4}, "**** **** **** 1234"),
        ("DE89 3704 0044", {"keep_first": 2}, "DE** **** ****"),
        ("(030) 555-01", {"keep_last": 2}, "(***) ***-01"),
        ("abc", {"keep_last": 2}, "***"),
        ("ab", {"keep_first": 1}, "a*"),
        ("", {"keep_last": 4}, ""),
    ],
)
def test_partial(text: str, rule: dict[str, Any], expected: str) -> None:
    chosen = replace(MaskRule(Method.PARTIAL), **rule)
    assert hiding.partial(pa.array([text, None]), chosen).to_pylist() == [expected, None]


@given(st.text(max_size=40), st.integers(0, 10), st.integers(0, 10))
def test_partial_never_shows_more_than_half(text: str, first: int, last: int) -> None:
    text = text.replace("*", "")
    [hidden] = hiding.partial(
        pa.array([text]), MaskRule(Method.PARTIAL, keep_first=first, keep_last=last)
    ).to_pylist()
    letters = sum(character.isalnum() for character in text)
    shown = sum(character.isalnum() for character in str(hidden))
    assert shown <= letters / 2
    assert len(str(hidden)) == len(text)


def test_hash_is_hmac_sha256_of_the_domain_and_value() -> None:
    [hashed] = hiding.keyed_hash(pa.array([" a@b.org "]), KEY, "email").to_pylist()
    message = (5).to_bytes(4, "big") + b"email" + b"a@b.org"
    assert hashed == hmac.new(KEY, message, hashlib.sha256).hexdigest()[:32]


def test_hashes_link_equal_values_of_one_domain_and_key_only() -> None:
    def hashed(values: list[Any], key: bytes = KEY, domain: str = "email") -> list[Any]:
        return hiding.keyed_hash(pa.array(values), key, domain).to_pylist()

    assert hashed(["x", None, "x", "y"])[:3] == [hashed(["x"])[0], None, hashed(["x"])[0]]
    assert hashed(["x"]) != hashed(["y"])
    assert hashed(["x"]) != hashed(["x"], OTHER_KEY)
    assert hashed(["x"]) != hashed(["x"], domain="phone")
    assert hashed(["e\u0301"]) == hashed(["é"])
    assert hashed([7]) == hashed(["7"])
    with pytest.raises(ValueError, match="32 bytes"):
        hashed(["x"], b"short")


def test_generalize() -> None:
    rule = MaskRule(Method.GENERALIZE, prefix=3, bin_width=10, top=90)
    years = generalizing.generalize(pa.array([date(1970, 5, 6), None]), rule)
    assert (years.type, years.to_pylist()) == (pa.int32(), [1970, None])
    ages = generalizing.generalize(pa.array([0, 9, 10, 89, 90, 101, -1, None], pa.int8()), rule)
    assert ages.to_pylist() == [0, 0, 10, 80, 90, 90, -10, None]
    assert generalizing.generalize(pa.array(["88645", "12", None]), rule).to_pylist() == [
        "886**", "**", None,
    ]  # fmt: skip
    floats = generalizing.generalize(pa.array([0.5, 19.9, None]), rule)
    assert floats.to_pylist() == [0.0, 10.0, None]


def test_year_of_text() -> None:
    texts = ["02.01.1970", "1970-01-02", "Jan 2, 1999", "unknown", "197001023", None]
    years = generalizing.generalize_date_texts(pa.array(texts), MaskRule(Method.GENERALIZE))
    assert years.to_pylist() == [1970, 1970, 1999, None, None, None]


def test_dates_shift_together_for_one_subject() -> None:
    rule = MaskRule(Method.SHIFT_DATE, max_days=30)
    days = pa.array([date(2020, 1, 1), date(2020, 1, 15), date(2020, 1, 1), None, date(2020, 1, 1)])
    subjects = pa.array(["a", "a", "b", "a", None])
    shifted = moving.shift_dates(days, subjects, KEY, rule)
    assert shifted.type == days.type
    values: list[Any] = shifted.to_pylist()
    first, second, other, missing, nobody = values
    assert (second - first).days == 14
    assert 1 <= abs((first - date(2020, 1, 1)).days) <= 30
    assert first != other
    assert missing is None
    assert nobody is None
    moments = pa.array([datetime(2020, 1, 1, 12, 30)] * 5, pa.timestamp("s"))  # noqa: DTZ001 # naive as stored
    assert moving.shift_dates(moments, subjects, KEY, rule)[0].as_py().hour == 12


def test_dates_in_texts_keep_their_form_and_their_distance() -> None:
    forms = [
        "2020-01-{:02}", "2020/01/{:02}", "202001{:02}", "{:02}.01.2020", "2020-01-{:02}T10:20:30",
        "2020-01-{:02}T10:20:30Z", " 2020-01-{:02} 10:20:30 ",
    ]  # fmt: skip
    texts = [form.format(day) for form in forms for day in (5, 19)]
    odd = ["03/04/2020", "32.01.2020", "1.2.20", "20209999", "soon", "", None]
    rule = MaskRule(Method.SHIFT_DATE, max_days=3)
    subjects = pa.array(["a"] * (len(texts) + len(odd)))
    shifted = moving.shift_dates(pa.array(texts + odd), subjects, KEY, rule).to_pylist()
    days: Any = moving.subject_shifts(subjects, KEY, 3)[0].as_py()
    assert shifted[: len(texts)] == [
        form.strip().format(day + days) for form in forms for day in (5, 19)
    ]
    assert shifted[len(texts) :] == [None] * len(odd)


def test_shifts_use_the_whole_range_and_never_nothing() -> None:
    subjects = pa.array([str(i) for i in range(2_000)])
    shifts = set(moving.subject_shifts(subjects, KEY, 3).to_pylist())
    assert shifts == {-3, -2, -1, 1, 2, 3}


# ---- policy and plan ----


def people() -> pa.Table:
    """A small table with a column of each kind."""
    rows = 40
    return pa.table(
        {
            "name": ["Ada Lovelace", "Alan Turing"] * (rows // 2),
            "dob": [date(1950 + i, 1, 1) for i in range(rows)],
            "zip": [10_000 + i for i in range(rows)],
            "ssn": [f"536-90-{4000 + i}" for i in range(rows)],
            "password": [f"hunter{i}" for i in range(rows)],
            "remark": [f"said on day {i} that all was well at home" for i in range(rows)],
            "key": [f"k-{i}" for i in range(rows)],
            "number": list(range(1_000, 1_000 + rows)),
            "kind": ["a", "b"] * (rows // 2),
            "score": [i / 7 for i in range(rows)],
            "flag": [True, False] * (rows // 2),
            "nested": [{"a": i} for i in range(rows)],
        }
    )


def test_the_default_policy_fails_closed() -> None:
    table = people()
    seen = masked(table)
    clear = table.to_pydict()
    assert list(seen) == [
        "name", "dob", "zip", "ssn", "remark", "key", "number", "kind", "score", "flag", "nested",
    ]  # fmt: skip
    assert {len(row["a"]) for row in seen["nested"]} == {32}
    assert set(seen["name"]) == set(seen["ssn"]) == set(seen["remark"]) == set(seen["key"])
    assert set(seen["key"]) == {"[redacted]"}
    assert seen["dob"] == [1950 + i for i in range(40)]
    assert seen["zip"] == ["100**"] * 40
    assert len(set(seen["number"])) == 40
    assert not set(map(str, clear["number"])) & set(seen["number"])
    for column in ("kind", "score", "flag"):
        assert seen[column] == clear[column]


def test_a_column_nobody_looked_at_is_redacted() -> None:
    table = people()
    findings = discover_table(table.select(["kind"]))
    counts = hiding.count_values(table)
    plan = plan_masks(table.schema, findings, default_policy(), counts=counts)
    seen = whole(mask_batches(table.to_batches(), plan, KEY), plan)
    assert seen["kind"] == table["kind"].to_pylist()
    assert set(seen["score"]) == {None}
    assert set(seen["name"]) == {"[redacted]"}


def test_a_column_empty_in_the_sample_is_redacted() -> None:
    looked_at = pa.table({"x": pa.array([None, None], pa.string())})
    plan = plan_masks(looked_at.schema, discover_table(looked_at), default_policy())
    later = pa.record_batch({"x": ["Ada Lovelace", None]})
    assert whole(mask_batches([later], plan, KEY), plan)["x"] == ["[redacted]", None]


def test_shifting_without_a_subject_generalizes() -> None:
    policy = parse_policy('[types]\ndate_of_birth = "shift_date"\n[shapes]\nunique_text = "keep"')
    table = people().select(["dob", "key"])
    findings = discover_table(table)
    plan = plan_masks(table.schema, findings, policy)
    assert plan.masks[0].rule.method is Method.GENERALIZE
    plan = plan_masks(table.schema, findings, policy, subject_column="key")
    seen = whole(mask_batches(table.to_batches(), plan, KEY), plan)
    moved = [(a - b).days for a, b in zip(seen["dob"], table["dob"].to_pylist(), strict=True)]
    assert len(set(moved)) > 20
    with pytest.raises(ValueError, match="subject"):
        plan_masks(table.schema, findings, policy, subject_column="zzz")


def test_a_table_of_secrets_keeps_its_rows() -> None:
    table = pa.table({"password": ["hunter22", "hunter23"]})
    assert masked(table) == {"hidden": [None, None]}


def test_the_only_value_of_a_column_is_not_shown() -> None:
    one_patient = pa.table({"who": ["Ann"], "remark": ["HIV positive"]})
    assert masked(one_patient) == {"who": ["[redacted]"], "remark": ["[redacted]"]}


def test_an_empty_policy_redacts_everything() -> None:
    table = people().select(["name", "kind", "score"])
    seen = masked(table, policy="")
    assert set(seen["kind"]) == {"[redacted]"}
    assert set(seen["score"]) == {None}


def test_keys_are_long_enough() -> None:
    table = people().select(["kind"])
    plan = plan_masks(table.schema, discover_table(table), default_policy())
    with pytest.raises(ValueError, match="32 bytes"):
        list(mask_batches(table.to_batches(), plan, b"short"))
