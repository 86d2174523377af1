"""Plans at work: nested values, texts, tokens, noise, rare values, and tables that must join."""

import hashlib
from datetime import date
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from strongroom.engines.privacy.discover.findings import (
    ColumnFinding,
    ColumnProfile,
    Role,
    SampleGuarantee,
    Shape,
    TableFindings,
)
from strongroom.engines.privacy.discover.rules.registry import role_of
from strongroom.engines.privacy.discover.tables import discover_table
from strongroom.engines.privacy.discover.text.finder import text_finder
from strongroom.engines.privacy.mask.hiding import count_values
from strongroom.engines.privacy.mask.keys import key_from_text, new_key_text, purpose_key
from strongroom.engines.privacy.mask.plan import MaskPlan, mask_batches, plan_masks
from strongroom.engines.privacy.mask.policy import Method
from strongroom.engines.privacy.mask.policy_file import parse_policy
from strongroom.engines.privacy.mask.tokens import TokenFile
from strongroom.engines.privacy.nested import leaves
from strongroom.errors import ValidationError

KEY = hashlib.sha256(b"key").digest()


def found(**types: str | None) -> TableFindings:
    """Findings as somebody might have them; `__` in a name stands for a dot in a path."""
    profile = ColumnProfile("string", Shape.CATEGORY, 10, 0, 3, 0, 4.0)
    columns = tuple(
        ColumnFinding(
            name.replace("__", "."), kind, role_of(kind) if kind else Role.PLAIN, 0.9, (), profile
        )
        for name, kind in types.items()
    )
    return TableFindings(columns, (), SampleGuarantee(10, 10, 0.0, 0.0))


def plan_of(
    content: pa.Table,
    policy: str,
    findings: TableFindings,
    **options: Any,  # noqa: ANN401 # those of plan_masks
) -> MaskPlan:
    return plan_masks(content.schema, findings, parse_policy(policy), **options)


def run(table: pa.Table, plan: MaskPlan, key: bytes = KEY, **options: Any) -> list[dict[str, Any]]:  # noqa: ANN401 # those of mask_batches
    size = max(3, table.num_rows // 7)
    batches = list(mask_batches(table.to_batches(size), plan, key, **options))
    assert all(batch.schema == plan.schema for batch in batches)
    return pa.Table.from_batches(batches, plan.schema).to_pylist()


# ---- nested ----

NESTED = pa.table(
    {
        "id": [1, 2],
        "who": [
            {"name": "Susan Miller", "address": {"city": "Aachen", "zip": "52062"}},
            {"name": None, "address": None},
        ],
        "visits": [
            [{"on": date(2024, 3, 5), "note": "ok"}, {"on": date(2024, 3, 9), "note": None}],
            [],
        ],
        "tags": [["a", "b"], None],
    }
)


def test_leaves_are_masked_where_they_lie() -> None:
    findings = found(
        id=None, who__name="person_name", who__address__city="city", **{"visits[]__on": "date"}
    )
    policy = """
    [types]
    person_name = "redact"
    date = "shift_date"
    [columns]
    id = "keep"
    "who.address.zip" = { method = "generalize", prefix = 2 }
    "visits[].note" = "keep"
    "tags[]" = "hash"
    [roles]
    quasi = "drop"
    """
    plan = plan_of(NESTED, policy, findings, subject_column="id")
    rows = run(NESTED, plan)
    assert rows[0]["who"] == {"name": "[redacted]", "address": {"city": None, "zip": "52***"}}
    assert rows[1]["who"] == {"name": None, "address": None}
    first, second = rows[0]["visits"]
    assert first["on"] != date(2024, 3, 5)
    assert (second["on"] - first["on"]).days == 4
    assert (first["note"], second["note"], rows[1]["visits"]) == ("ok", None, [])
    assert [len(tag) for tag in rows[0]["tags"]] == [32, 32]
    assert rows[1]["tags"] is None
    assert set(plan.clear_columns) == {"id", "visits[].note"}


def test_a_leaf_nobody_looked_at_is_redacted_and_a_column_may_go_whole() -> None:
    plan = plan_of(NESTED, '[columns]\n"who.name" = "keep"\nvisits = "drop"', found())
    [row, _] = run(NESTED, plan)
    assert row["who"] == {
        "name": "Susan Miller", "address": {"city": "[redacted]", "zip": "[redacted]"},
    }  # fmt: skip
    assert "visits" not in row
    assert row["tags"] is None
    assert {mask.column: mask.reason for mask in plan.masks}["who.address.city"] == (
        "never looked at"
    )


def test_a_path_means_the_same_whichever_columns_are_read() -> None:
    table = pa.table({"a": [{"b": "Ada"}], "a.b": [3], "s": ["x"]})
    findings = found(a__b=None)
    policy = parse_policy('[shapes]\ncategory = "keep"')
    for columns in (["a"], ["a", "a.b"], ["a.b", "a"], ["s", "a"]):
        plan = plan_masks(table.schema, findings, policy, columns=columns)
        assert plan.source.names == plan.schema.names == columns
        [row] = run(table.select(columns), plan)
        assert "Ada" not in str(row)
        assert row.get("a.b", 3) == 3


def test_a_rule_for_a_path_is_none_for_a_column_of_that_name() -> None:
    table = pa.table({"a": [{"b": 3}], "a.b": [{"c": "Ada"}]})
    assert [leaf.path for leaf in leaves(table.schema)] == ['"a"."b"', '"a.b".c']
    [row] = run(table, plan_of(table, '[columns]\n\'"a"."b"\' = "keep"', found()))
    assert row == {"a": {"b": 3}, "a.b": None}


def test_what_no_leaf_holds_does_not_come_out() -> None:
    spoken: dict[bytes | str, bytes | str] = {"comment": "Ada"}

    def field(name: str, kind: pa.DataType) -> Any:  # noqa: ANN401 # the stubs' fields are generic
        return pa.field(name, kind, metadata=spoken)

    number = field("Ada", pa.int64())
    kinds = [
        pa.struct([field("n", pa.int64())]), pa.list_(number), pa.large_list(number),
        pa.list_(number, 1), pa.map_(pa.string(), field("value", pa.int64())),
        pa.list_(field("Ada", pa.struct([field("n", pa.list_(number))]))),
    ]  # fmt: skip
    values: list[Any] = [{"n": 1}, [1], [1], [1], [("k", 1)], [{"n": [1]}]]
    names = [f"c{number}" for number in range(len(kinds))]
    schema = pa.schema([field(*it) for it in zip(names, kinds, strict=True)], metadata=spoken)
    table = pa.table({name: [it] for name, it in zip(names, values, strict=True)}, schema=schema)
    policy = "[columns]\n" + "".join(f'{name} = "keep"\n' for name in names)
    plan = plan_of(table, policy, found())
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, plan.schema) as out:
        for batch in mask_batches(table.to_batches(), plan, KEY):
            assert b"Ada" not in batch.schema.serialize().to_pybytes()
            out.write_batch(batch)
    written = sink.getvalue().to_pybytes()
    assert b"Ada" not in written
    [row] = pa.ipc.open_stream(written).read_all().to_pylist()
    assert list(row.values()) == values


def test_nested_columns_without_any_finding_are_hidden_whole() -> None:
    rows = run(NESTED, plan_of(NESTED, "", discover_table(NESTED.select(["id"]))))
    assert rows[0]["who"] in (
        None, {"name": "[redacted]", "address": {"city": "[redacted]", "zip": "[redacted]"}},
    )  # fmt: skip
    assert "Susan" not in str(rows)


# ---- joins ----


@pytest.mark.parametrize("method", ["hash", "tokenize", "stand_in"])
def test_two_tables_join_on_what_is_masked_under_one_purpose(method: str) -> None:
    people = pa.table({"ssn": [f"536-90-{n:04}" for n in range(60)], "x": list(range(60))})
    visits = pa.table({"patient": [f"536-90-{n % 60:04}" for n in range(0, 180, 7)]})
    rule = f'{{ method = "{method}", domain = "patient" }}'
    policy = f'[tables.people.columns]\nssn = {rule}\nx = "keep"\n[columns]\npatient = {rule}'
    key, vault = purpose_key(KEY, "research"), TokenFile()
    left = run(
        people, plan_of(people, policy, found(ssn="us_ssn"), table="people"), key, tokens=vault
    )
    right = run(visits, plan_of(visits, policy, found(patient="us_ssn")), key, tokens=vault)
    number = {row["ssn"]: row["x"] for row in left}
    assert len(number) == 60
    assert [number[row["patient"]] for row in right] == [n % 60 for n in range(0, 180, 7)]
    elsewhere = run(
        visits, plan_of(visits, policy, found(patient="us_ssn")), purpose_key(KEY, "billing"),
        tokens=TokenFile(),
    )  # fmt: skip
    assert not {row["patient"] for row in elsewhere} & set(number)


def test_key_files() -> None:
    text = new_key_text()
    assert len(key_from_text(text)) == 32
    for wrong in ("", "abc", "00" * 32, text[:-3], "zz" * 32):
        with pytest.raises(ValidationError):
            key_from_text(wrong)


# ---- rare values ----


def test_only_what_many_rows_hold_stays() -> None:
    ward = ["north"] * 6 + ["south"] * 5 + ["Susan Miller"] * 2 + [None]
    table = pa.table({"ward": ward, "who": [*range(6), *[9] * 5, 7, 8, 9]})
    policy = '[columns]\nward = { method = "keep_common", at_least = 5 }\nwho = "drop"'
    by_rows = plan_of(table, policy, found(ward=None), counts=count_values(table))
    assert [row["ward"] for row in run(table, by_rows)] == (
        ["north"] * 6 + ["south"] * 5 + ["[rare]"] * 2 + [None]
    )
    # One person's five rows make nothing common.
    by_subjects = plan_of(table, policy, found(ward=None), counts=count_values(table, "who"))
    assert [row["ward"] for row in run(table, by_subjects)] == (
        ["north"] * 6 + ["[rare]"] * 7 + [None]
    )


def test_what_nobody_counted_is_redacted() -> None:
    table = pa.table({"ward": ["north"] * 9, "long": ["x" * 100] * 9})
    policy = '[columns]\nward = "keep_common"\nlong = "keep_common"'
    rows = run(table, plan_of(table, policy, found(ward=None, long=None)))
    assert rows[0] == {"ward": "[redacted]", "long": "[redacted]"}
    many = pa.table({"v": [str(n // 2) for n in range(2_000)]})
    assert count_values(many) == {}
    counted = count_values(table)
    rows = run(table, plan_of(table, policy, found(ward=None, long=None), counts=counted))
    assert rows[0] == {"ward": "north", "long": "[rare]"}


# ---- noise ----


def test_noise_moves_numbers_by_the_spread() -> None:
    table = pa.table({"v": [100.0] * 4_000, "n": pa.array([50] * 4_000, pa.int16())})
    policy = """
    [columns]
    v = { method = "noise", spread = 3.0, per = "row", decimals = 2 }
    n = { method = "noise", spread = 10, per = "row" }
    """
    plan = plan_of(table, policy, found(v=None, n=None))
    rows = run(table, plan)
    moved = [row["v"] - 100 for row in rows]
    assert 2.7 < (sum(m * m for m in moved) / len(moved)) ** 0.5 < 3.3
    assert abs(sum(moved) / len(moved)) < 0.3
    assert all(round(row["v"], 2) == row["v"] for row in rows)
    assert all(isinstance(row["n"], int) for row in rows)
    assert run(table, plan) == rows
    batches = table.to_batches(1_000)
    whole = pa.Table.from_batches(list(mask_batches(batches, plan, KEY)), plan.schema)
    assert whole.to_pylist() == rows  # however the rows come
    assert run(table, plan, bytes(range(32))) != rows


def test_equal_values_may_move_alike() -> None:
    table = pa.table({"v": [1.5, 2.5, None, 1.5, float("nan")]})
    rows = [
        row["v"]
        for row in run(
            table, plan_of(table, '[columns]\nv = { method = "noise", spread = 1 }', found(v=None))
        )
    ]
    assert rows[0] == rows[3] != rows[1]
    assert rows[2] is None
    assert rows[0] != 1.5


# ---- texts ----


def test_texts_are_readable_only_where_a_policy_says_so() -> None:
    notes = [
        f"seen Dr. Smith on 2024-03-{day:02} , write to a{day}@clinic.org" for day in range(10, 40)
    ]
    table = pa.table({"note": notes})
    findings = discover_table(table)
    policy = parse_policy('[columns]\nnote = "mask_spans"')
    plan = plan_masks(table.schema, findings, policy)
    assert plan.uses_finder
    rows = run(table, plan, finder=text_finder(model=False))
    assert "clinic" not in str(rows)
    assert "seen" in rows[0]["note"]
    assert {row["note"] for row in run(table, plan)} == {"[redacted]"}
    default = plan_masks(table.schema, findings, parse_policy('[shapes]\nfree_text = "redact"'))
    assert not default.uses_finder
    assert {row["note"] for row in run(table, default)} == {"[redacted]"}


# ---- what does not fit hides more ----


@pytest.mark.parametrize(
    ("rule", "values", "type_name", "method"),
    [
        ('"noise"', ["a"], None, Method.REDACT),
        ('"keep_common"', [1], None, Method.REDACT),
        ('"mask_spans"', [1], None, Method.REDACT),
        ('"stand_in"', ["47"], "age", Method.REDACT),
        ('"hash"', [b"x"], None, Method.REDACT),
        ('"generalize"', [True], None, Method.REDACT),
        ('"shift_date"', [date(2024, 1, 1)], "date", Method.GENERALIZE),
        ('"shift_date"', ["Ada Lovelace"], None, Method.REDACT),
        ('"shift_date"', [["x"]], None, Method.REDACT),
    ],
)
def test_a_rule_that_does_not_fit(
    rule: str, values: list[Any], type_name: str | None, method: Method
) -> None:
    table = pa.table({"v": values})
    plan = plan_of(table, f"[columns]\nv = {rule}", found(v=type_name))
    assert plan.masks[0].rule.method is method
    assert ";" in plan.masks[0].reason
    assert values[0] not in [row["v"] for row in run(table, plan)]


def test_tokens_need_a_vault() -> None:
    table = pa.table({"v": ["a"]})
    plan = plan_of(table, '[columns]\nv = "tokenize"', found(v=None))
    with pytest.raises(ValidationError, match="no token vault"):
        run(table, plan)


def test_a_text_too_long_for_a_token_is_redacted_and_nothing_has_one() -> None:
    table = pa.table({"v": ["x" * 5_000, "", "\x00a", None]})
    plan = plan_of(table, '[columns]\nv = { method = "tokenize", form = "same" }', found(v=None))
    vault = TokenFile()
    long, empty, unprintable, missing = (row["v"] for row in run(table, plan, tokens=vault))
    assert (long, missing) == ("[redacted]", None)
    assert vault.reverse([empty, unprintable]) == ["", "\x00a"]
    assert all(token.startswith("tok_") for token in (empty, unprintable))


def test_text_dates_shift_where_they_are_iso() -> None:
    table = pa.table({"d": ["2024-03-05", " 2024-03-15", "5.3.2024", None], "s": ["a"] * 4})
    plan = plan_of(table, '[types]\ndate = "shift_date"', found(d="date"), subject_column="s")
    first, second, other, missing = (row["d"] for row in run(table, plan))
    assert (date.fromisoformat(second) - date.fromisoformat(first)).days == 10
    assert first != "2024-03-05"
    assert (other, missing) == (None, None)


# ---- for any values ----

METHODS = {
    "redact": '"redact"', "hash": '"hash"', "tokenize": '"tokenize"',
    "same": '{ method = "tokenize", form = "same" }', "stand_in": '"stand_in"',
    "drop": '"drop"',
}  # fmt: skip
WORDS = st.text(st.characters(categories=["L", "N", "Z"]), min_size=2, max_size=12)
VALUES = st.lists(
    st.one_of(st.none(), WORDS),
    min_size=1, max_size=20,
)  # fmt: skip


@settings(deadline=None)
@given(
    VALUES, st.sampled_from(sorted(METHODS)), st.sampled_from([None, "email", "us_ssn", "phone"])
)
def test_no_value_comes_out_and_nulls_stay_null(
    values: list[str | None], method: str, type_name: str | None
) -> None:
    table = pa.table({"v": pa.array(values, pa.string()), "k": [0] * len(values)})
    plan = plan_of(table, f'[columns]\nv = {METHODS[method]}\nk = "keep"', found(v=type_name))
    vault = TokenFile()
    rows = run(table, plan, tokens=vault)
    assert run(table, plan, tokens=vault) == rows
    assert len(rows) == len(values)
    if method == "drop":
        assert plan.schema.names == ["k"]
        return
    for clear, row in zip(values, rows, strict=True):
        assert (clear is None) == (row["v"] is None)
        if clear is not None and clear.strip() and any(c.isalnum() for c in clear):
            assert row["v"].strip().casefold() != clear.strip().casefold()
    if method in {"hash", "tokenize", "same"}:
        distinct = {v.strip() for v in values if v is not None}
        assert len({row["v"] for row in rows} - {None}) <= len(distinct)
