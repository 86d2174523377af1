"""Whole answers: right but for the noise, silent about what they must be silent about."""

from collections import Counter

import numpy as np
import polars as pl
import pyarrow as pa
import pytest
from tests.engines.privacy.dp.tables import visits

from strongroom.engines.privacy.dp.accounting import epsilon as epsilon_of
from strongroom.engines.privacy.dp.answering import Answer, answer, run
from strongroom.engines.privacy.dp.functions import (
    count,
    histogram,
    mean,
    median,
    people,
    quantile,
    total,
    variance,
)
from strongroom.engines.privacy.dp.intake import kinds_of
from strongroom.engines.privacy.dp.mechanisms import Noise
from strongroom.engines.privacy.dp.planning import plan_query
from strongroom.engines.privacy.dp.query import Bounds, Query, Terms, Unit
from strongroom.engines.privacy.dp.sql import parse_sql
from strongroom.errors import DpBudgetError, DpColumnError

AGE, COST = Bounds(18.0, 90.0), Bounds(0.0, 500.0)
BOUNDS = {"age": AGE, "cost": COST, "visits": Bounds(0.0, 8.0)}


def asked(sql: str, subject: str = "") -> Query:
    return parse_sql(sql, subject).query


def told(found: Answer, group: int = 0) -> dict[str, float]:
    names = [one.name for one in found.plan.query.aggregates]
    return {name: one.value for name, one in zip(names, found.rows[group][1], strict=True)}


def test_each_row_by_itself_is_right_but_for_little_noise() -> None:
    table = visits(2_000)
    frame = pl.DataFrame(table).with_columns(pl.col("age").fill_nan(None))
    found = told(answer(
        asked("SELECT COUNT(*) AS n, COUNT(age) AS ages, SUM(cost) AS s, AVG(age) AS m, "
              "VARIANCE(age) AS v, STDDEV(age) AS sd, MEDIAN(visits) AS med, "
              "PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY age) AS p90 FROM t"),
        table, Terms(20.0, bounds=BOUNDS),
    ))  # fmt: skip
    age, cost = frame["age"].drop_nulls(), frame["cost"].drop_nulls().clip(0, 500)
    assert found["n"] == pytest.approx(frame.height, abs=6)
    assert found["ages"] == pytest.approx(len(age), abs=6)
    assert found["s"] == pytest.approx(cost.sum(), abs=5_000)
    assert found["m"] == pytest.approx(age.mean(), abs=0.1)
    assert found["v"] == pytest.approx(age.var(ddof=0), abs=5)
    assert found["sd"] == pytest.approx(found["v"] ** 0.5)
    assert found["med"] == frame["visits"].median()
    assert found["p90"] == pytest.approx(age.quantile(0.9), abs=1.5)


def test_people_are_bounded_before_anything_is_summed() -> None:
    table = pa.table({
        "who": ["a"] * 5_000 + [f"p{at}" for at in range(500)] + [None] * 300,
        "cost": [500.0] * 5_000 + [10.0] * 500 + [500.0] * 300,
    })  # fmt: skip
    unit = Unit("who", rows=3)
    found = told(answer(
        asked("SELECT COUNT(*) AS n, COUNT(DISTINCT who) AS people, SUM(cost) AS s FROM t", "who"),
        table, Terms(20.0, unit=unit, bounds={"cost": COST}),
    ))  # fmt: skip
    assert found["n"] == pytest.approx(503, abs=8)
    assert found["people"] == pytest.approx(501, abs=4)
    assert found["s"] == pytest.approx(6_500, abs=2_500)


def test_condition_is_applied_first() -> None:
    table = visits()
    frame = pl.DataFrame(table).with_columns(pl.col("age").fill_nan(None))
    found = told(answer(
        asked("SELECT COUNT(*) AS n FROM t WHERE age >= 40 AND NOT urgent AND day > '2023-01-01'"
              " AND ward IN ('north', 'east')"),
        table, Terms(20.0),
    ))  # fmt: skip
    right = frame.filter(
        (pl.col("age") >= 40) & ~pl.col("urgent")
        & (pl.col("day") > pl.date(2023, 1, 1)) & pl.col("ward").is_in(["north", "east"])
    )  # fmt: skip
    assert right.height > 50
    assert found["n"] == pytest.approx(right.height, abs=2)


@pytest.mark.parametrize("noise", list(Noise))
def test_groups_that_only_the_data_knows(noise: Noise) -> None:
    table = visits(3_000)
    rare = pa.table({name: table[name].slice(0, 1) for name in table.schema.names})
    rare = rare.set_column(1, "ward", pa.array(["the ward of one person"]))
    table = pa.concat_tables([table, rare])
    query = asked("SELECT ward, COUNT(*) AS n, COUNT(DISTINCT who) AS p, AVG(cost) AS m FROM t "
                  "GROUP BY ward", "who")  # fmt: skip
    terms = Terms(4.0, 1e-6, Unit("who", groups=3, rows=2), BOUNDS)
    plan = plan_query(query, terms, kinds_of(table.schema), noise=noise)
    found = run(plan, table)
    assert [key for key, _ in found.rows] == [("east",), ("north",), ("south",)]
    pairs = Counter(zip(table["who"].to_pylist(), table["ward"].to_pylist(), strict=True))
    for at, ((ward,), _) in enumerate(found.rows):
        own = [number for (_, where), number in pairs.items() if where == ward]
        values = told(found, at)
        assert values["p"] == pytest.approx(len(own), abs=60)
        assert values["n"] == pytest.approx(sum(min(2, one) for one in own), abs=120)
        assert 50 < values["m"] < 130
    # What the draws cost together is what was allowed.
    assert epsilon_of(found.cost, 1e-6) <= 4.0 * (1 + 1e-2)


def test_keys_that_are_known_are_all_told_and_no_others() -> None:
    table = visits()
    terms = Terms(20.0, keys={"ward": ("north", "west", None)})
    found = answer(asked("SELECT ward, urgent, COUNT(*) AS n FROM t GROUP BY ward, urgent"), table,
                   terms)  # fmt: skip
    assert [key for key, _ in found.rows] == [
        (ward, urgent) for ward in ("north", "west", None) for urgent in (False, True, None)
    ]
    frame = pl.DataFrame(table)
    right = frame.filter((pl.col("ward") == "north") & pl.col("urgent").is_null()).height
    assert told(found, 2)["n"] == pytest.approx(right, abs=3)
    assert told(found, 3)["n"] <= 3, "nobody is in the west"


def test_order_of_groups_says_nothing_of_the_table() -> None:
    # The same rows in another order: the same keys in the same order, and no key of one person.
    table = visits(2_000)
    back = table.take(np.arange(table.num_rows)[::-1])
    query = asked("SELECT ward, COUNT(*) AS n FROM t GROUP BY ward")
    first, second = (answer(query, one, Terms(2.0, 1e-9)) for one in (table, back))
    assert [key for key, _ in first.rows] == [key for key, _ in second.rows]


def test_bins_take_their_lower_edge_and_the_last_its_upper() -> None:
    table = pa.table(
        {"age": [-1.0, 0.0, 17.9, 18.0, 64.0, 65.0, 90.0, 90.1, None, float("nan")] * 400}
    )
    found = histogram(table, "age", (0, 18, 65, 90), epsilon=20.0)
    assert [key for key, _ in found.rows] == [("[0, 18)",), ("[18, 65)",), ("[65, 90]",)]
    assert [told(found, at)["count"] for at in range(3)] == pytest.approx([800, 800, 800], abs=3)


def test_bins_of_a_column_that_is_averaged_too() -> None:
    table = visits(2_000)
    terms = Terms(20.0, bounds=BOUNDS, bins={"age": (18, 50, 91)})
    found = answer(asked("SELECT age, AVG(age) AS m FROM t GROUP BY age"), table, terms)
    assert told(found, 0)["m"] == pytest.approx(33.5, abs=1)
    assert told(found, 1)["m"] == pytest.approx(70, abs=1)


@pytest.mark.parametrize("rows", [0, 1])
def test_empty_and_tiny_tables_answer_with_wide_intervals(rows: int) -> None:
    table = visits().slice(0, rows)
    found = answer(
        asked("SELECT COUNT(*), SUM(cost), AVG(age), VARIANCE(age), MEDIAN(age) FROM t"),
        table, Terms(0.5, bounds=BOUNDS),
    )  # fmt: skip
    counted, summed, averaged, varied, middle = found.rows[0][1]
    assert counted.low == 0
    assert summed.high - summed.low > 1_000
    for one in (averaged, middle):
        assert 18 <= one.low <= one.value <= one.high <= 90
    assert 0 <= varied.low <= varied.value <= varied.high <= 72**2 / 4
    grouped = answer(asked("SELECT ward, COUNT(*) FROM t GROUP BY ward"), table, Terms(1, 1e-6))
    assert grouped.rows == ()


def test_constant_columns_are_answered_like_others() -> None:
    table = pa.table({"x": [5.0] * 4_000})
    assert mean(table, "x", (0, 10), epsilon=4.0).only.value == pytest.approx(5, abs=0.05)
    assert variance(table, "x", (0, 10), epsilon=4.0).only.value == pytest.approx(0, abs=0.2)
    assert median(table, "x", (0, 10), epsilon=4.0).only.value == pytest.approx(5, abs=0.1)


def test_infinities_are_clamped_and_nothing_overflows() -> None:
    inf = float("inf")
    table = pa.table({"x": [inf, -inf, 1e308, -1e308] * 500 + [0.0] * 500,
                      "y": [2**63 - 1, -(2**63), 0, 1, 2] * 500})  # fmt: skip
    assert mean(table, "x", (-1, 1), epsilon=4.0).only.value == pytest.approx(0, abs=0.05)
    assert total(table, "x", (-1e15, 1e15), epsilon=4.0).only.value == pytest.approx(0, abs=1e16)
    assert mean(table, "y", (0, 3), epsilon=4.0).only.value == pytest.approx(1.2, abs=0.05)


def test_functions() -> None:
    table = visits(2_000)
    assert count(table, epsilon=4.0).only.value == pytest.approx(10_000, abs=10)
    assert people(table, "who", epsilon=4.0).only.value == pytest.approx(
        len(set(table["who"].to_pylist())), abs=10
    )
    assert quantile(table, "visits", (0, 8), 0.25, epsilon=4.0).only.value in (1.0, 2.0)
    assert count(table, epsilon=4.0, subject="who", rows=3).cost.events[0].kind == "geometric"


def test_a_plan_answers_only_what_it_was_made_for() -> None:
    table = visits()
    plan = plan_query(asked("SELECT AVG(cost) FROM t"), Terms(1, bounds=BOUNDS),
                      kinds_of(table.schema))  # fmt: skip
    other = table.set_column(3, "cost", pa.array(["a"] * table.num_rows))
    with pytest.raises(DpColumnError):
        run(plan, other)
    with pytest.raises(DpBudgetError):
        plan_query(plan.query, plan.terms, plan.kinds, noise=Noise.GAUSSIAN)
