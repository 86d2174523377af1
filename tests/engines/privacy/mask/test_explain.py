"""What would happen, told on ten rows."""

from datetime import date

import pyarrow as pa

from strongroom.engines.privacy.discover.tables import discover_table
from strongroom.engines.privacy.mask.explain import FACTS, MAX_ROWS, explain
from strongroom.engines.privacy.mask.hiding import count_values
from strongroom.engines.privacy.mask.plan import mask_batches, plan_masks
from strongroom.engines.privacy.mask.policy import Method
from strongroom.engines.privacy.mask.policy_file import parse_policy

KEY = bytes(range(32))
TABLE = pa.table(
    {
        "name": ["Susan Miller", "Gary Cooper"] * 10,
        "email": [f"p{n}@clinic.org" for n in range(20)],
        "dob": [date(1950 + n, 1, 1) for n in range(20)],
        "where": [{"city": "Aachen", "room": n} for n in range(20)],
        "password": [f"hunter{n}" for n in range(20)],
        "note": ["x" * 500] * 20,
    }
)
POLICY = """
[types]
person_name = "stand_in"
email = { method = "partial", keep_first = 1 }
date_of_birth = "generalize"
[columns]
"where.city" = { method = "generalize", prefix = 1 }
"where.room" = "keep"
password = "drop"
note = "keep"
"""


def test_every_method_is_explained() -> None:
    assert set(FACTS) == set(Method)


def test_ten_rows_before_and_after() -> None:
    plan = plan_masks(
        TABLE.schema, discover_table(TABLE), parse_policy(POLICY), counts=count_values(TABLE)
    )
    told = explain(plan, TABLE, KEY)
    assert told.rows == MAX_ROWS
    columns = {column.column: column for column in told.columns}
    assert list(columns) == [
        "name", "email", "dob", "where.city", "where.room", "password", "note",
    ]  # fmt: skip
    name = columns["name"]
    assert (name.method, name.type) == (Method.STAND_IN, "person_name")
    assert name.before[:2] == ("Susan Miller", "Gary Cooper")
    masked = next(mask_batches(TABLE.to_batches(), plan, KEY))
    assert name.after[:2] == tuple(masked.column("name").to_pylist()[:2])
    assert name.reason == "type person_name"
    assert name.options["locale"] == ""
    assert columns["email"].options == {"keep_first": 1, "keep_last": 0}
    assert columns["where.city"].after[0] == "A*****"
    assert columns["where.room"].after[:2] == ("0", "1")
    assert columns["password"].after == ()
    assert columns["dob"].after[0] == "1950"
    assert len(columns["note"].after[0] or "") == 120
    assert columns["name"].facts.reversible == "no"


def test_tokens_of_an_explanation_are_drawn_for_it_only() -> None:
    table = TABLE.select(["email"])
    plan = plan_masks(
        table.schema, discover_table(table), parse_policy('[columns]\nemail = "tokenize"')
    )
    first, second = explain(plan, table, KEY), explain(plan, table, KEY)
    assert str(first.columns[0].after[0]).startswith("tok_")
    assert first.columns[0].after != second.columns[0].after


def test_an_empty_table_is_explained_too() -> None:
    empty = TABLE.slice(0, 0)
    told = explain(
        plan_masks(empty.schema, discover_table(TABLE), parse_policy(POLICY)), empty, KEY
    )
    assert told.rows == 0
    assert told.columns[0].before == ()
