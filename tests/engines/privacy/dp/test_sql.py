"""SQL: what is understood, and that all else is refused with a reason."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from strongroom.engines.privacy.dp.predicates import (
    AllOf,
    AnyOf,
    Compared,
    Comparison,
    Missing,
    Not,
    Within,
)
from strongroom.engines.privacy.dp.query import Aggregate, Function
from strongroom.engines.privacy.dp.sql import MAX_CHARACTERS, parse_sql
from strongroom.errors import DpQueryError, DpSqlError


def test_aggregates() -> None:
    found = parse_sql(
        'select ward, count(*), Count(age) as "n ages", COUNT(DISTINCT who), SUM(cost), '
        'AVG("a=b"), '
        "VARIANCE(age), VAR_POP(age), STDDEV(age), MEDIAN(cost), "
        "PERCENTILE_CONT(0.9) WITHIN GROUP (ORDER BY cost) FROM visits GROUP BY ward", "who",
    )  # fmt: skip
    assert found.table == "visits"
    assert found.query.groupings == ("ward",)
    assert found.query.aggregates == (
        Aggregate(Function.COUNT, "count"), Aggregate(Function.COUNT, "n ages", "age"),
        Aggregate(Function.PEOPLE, "people"), Aggregate(Function.SUM, "sum_cost", "cost"),
        Aggregate(Function.MEAN, "mean_a=b", "a=b"),
        Aggregate(Function.VARIANCE, "variance_age", "age"),
        Aggregate(Function.VARIANCE, "variance_age_2", "age"),
        Aggregate(Function.DEVIATION, "deviation_age", "age"),
        Aggregate(Function.QUANTILE, "median_cost", "cost", 0.5),
        Aggregate(Function.QUANTILE, "p90_cost", "cost", 0.9),
    )  # fmt: skip


def test_conditions() -> None:
    found = parse_sql(
        "SELECT COUNT(*) FROM t WHERE (a = 1 OR 2 < b) AND NOT c IN ('x', 'O''Brien') AND d IS NOT "
        "NULL AND e BETWEEN -1.5 AND 2e3 AND f <> TRUE AND g AND h >= DATE '2026-01-01'"
    )
    assert found.query.where == AllOf((
        AnyOf((Compared("a", Comparison.EQUAL, 1), Compared("b", Comparison.MORE, 2))),
        Not(Within("c", ("x", "O'Brien"))),
        Not(Missing("d")),
        AllOf((Compared("e", Comparison.AT_LEAST, -1.5), Compared("e", Comparison.AT_MOST, 2e3))),
        Compared("f", Comparison.DIFFERENT, constant=True),
        Compared("g", Comparison.EQUAL, constant=True),
        Compared("h", Comparison.AT_LEAST, "2026-01-01"),
    ))  # fmt: skip


@pytest.mark.parametrize(("sql", "reason"), [
    ("SELECT COUNT(*) FROM t HAVING COUNT(*) > 3", "HAVING"),
    ("SELECT COUNT(*) FROM (SELECT * FROM t)", "subquery"),
    ("WITH a AS (SELECT 1) SELECT COUNT(*) FROM a", "subquery"),
    ("SELECT COUNT(*) FROM t WHERE a IN (SELECT b FROM c)", "subquery"),
    ("SELECT COUNT(*) FROM t WHERE EXISTS (SELECT 1)", "subquery"),
    ("SELECT COUNT(*) FROM a JOIN b ON a.x = b.x", "join"),
    ("SELECT COUNT(*) FROM a, b", "join"),
    ("SELECT COUNT(*) FROM a UNION SELECT COUNT(*) FROM b", "union"),
    ("SELECT SUM(a) OVER () FROM t", "window"),
    ("SELECT SUM(a / b) FROM t", "dividing"),
    ("SELECT SUM(a) / COUNT(*) FROM t", "dividing"),
    ("SELECT COUNT(*) FROM t WHERE 1 / a > 2", "dividing"),
    ("SELECT COUNT(*) FROM t WHERE a % 2 = 0", "dividing"),
    ("SELECT COUNT(*) FROM t WHERE a + 1 > 2", "arithmetic"),
    ("SELECT COUNT(*) FROM t WHERE a * a > 2", "arithmetic"),
    ("SELECT COUNT(*) FROM t WHERE CAST(a AS INT) = 1", "cast"),
    ("SELECT COUNT(*) FROM t WHERE a::int = 1", "cast"),
    ("SELECT COUNT(*) FROM t WHERE my_function(a) = 1", "functions"),
    ("SELECT my_function(a) FROM t", "functions"),
    ("SELECT MAX(a) FROM t", "quantile"),
    ("SELECT MIN(a) FROM t", "quantile"),
    ("SELECT * FROM t", "rows"),
    ("SELECT a FROM t GROUP BY a", "rows"),
    ("SELECT a, COUNT(*) FROM t", "GROUP BY"),
    ("SELECT COUNT(*) FROM t GROUP BY a / 3", "dividing"),
    ("SELECT COUNT(*) FROM t GROUP BY 1", "column"),
    ("SELECT COUNT(*) FROM t GROUP BY ROLLUP (a)", "grouping"),
    ("SELECT COUNT(*) FROM t ORDER BY 1", "ORDER BY"),
    ("SELECT COUNT(*) FROM t LIMIT 3", "LIMIT"),
    ("SELECT DISTINCT COUNT(*) FROM t", "DISTINCT"),
    ("SELECT SUM(DISTINCT a) FROM t", "DISTINCT"),
    ("SELECT COUNT(DISTINCT a) FROM t", "people"),
    ("SELECT COUNT(DISTINCT who, a) FROM t", "people"),
    ("SELECT COUNT(*) FILTER (WHERE a > 1) FROM t", "FILTER"),
    ("SELECT CASE WHEN a THEN 1 END FROM t", "CASE"),
    ("SELECT COUNT(*) FROM t WHERE a = b", "constant"),
    ("SELECT COUNT(*) FROM t WHERE a = NULL", "IS NULL"),
    ("SELECT COUNT(*) FROM t WHERE a LIKE 'x%'", "LIKE"),
    ("SELECT COUNT(*) FROM t WHERE a = 1e999", "large"),
    ("SELECT COUNT(*) FROM t WHERE t.a = 1", "table"),
    ("SELECT COUNT(*) FROM t AS u", "one table"),
    ("SELECT COUNT(*) FROM other.t", "one table"),
    ("SELECT COUNT(*) FROM t TABLESAMPLE (10 PERCENT)", "one table"),
    ("SELECT COUNT(*) FROM read_csv('secret.csv')", "one table"),
    ("SELECT COUNT(*) INTO copy FROM t", "INTO"),
    ("SELECT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY a DESC) FROM t", "rising"),
    ("SELECT COUNT(*)", "FROM"),
    ("SELECT COUNT(*) FROM t; DROP TABLE t", "one SELECT"),
    ("DROP TABLE t", "SELECT"),
    ("INSERT INTO t VALUES (1)", "SELECT"),
    ("COPY t TO 'file'", "SELECT"),
    ("SELECT COUNT(* FROM", "read"),
    ("", "one SELECT"),
    ("SELECT COUNT(*) FROM t WHERE " + "NOT " * 1_000 + "a", "deep"),
    ("SELECT COUNT(*) FROM t WHERE " + "(" * 900 + "a" + ")" * 900, "deep"),
    ("x" * (MAX_CHARACTERS + 1), "characters"),
])  # fmt: skip
def test_what_is_refused_and_why(sql: str, reason: str) -> None:
    with pytest.raises(DpSqlError) as met:
        parse_sql(sql, "who")
    assert reason in met.value.message


def test_two_columns_of_one_name() -> None:
    with pytest.raises(DpQueryError):
        parse_sql("SELECT COUNT(*) AS n, SUM(a) AS n FROM t")


@given(st.lists(st.sampled_from([
    "SELECT", "COUNT", "(", ")", "*", ",", "FROM", "t", "WHERE", "a", "=", "'x'", "1", "AND", "NOT",
    "GROUP BY", "IN", "NULL", "IS", "BETWEEN", "-", "/", ";", "DISTINCT", "OVER", "AS", "CAST",
    "$$", "HAVING", "[", "]", "{", "::", "\"", "'", "\\", "\x00", "é", "CASE", "UNION",
]), max_size=30).map(" ".join))  # fmt: skip
def test_no_text_breaks_it(text: str) -> None:
    with suppress(DpQueryError):
        assert parse_sql(text, "a").query.aggregates
