"""Plans: what is refused, what it costs, and that none of it needs a row."""

import json
from dataclasses import replace

import pyarrow as pa
import pytest
from tests.engines.privacy.dp.tables import visits

from strongroom.engines.privacy.dp.accounting import Cost
from strongroom.engines.privacy.dp.accounting import epsilon as epsilon_of
from strongroom.engines.privacy.dp.document import plan_json
from strongroom.engines.privacy.dp.intake import kinds_of
from strongroom.engines.privacy.dp.mechanisms import Noise
from strongroom.engines.privacy.dp.planning import Plan, plan_query
from strongroom.engines.privacy.dp.query import (
    Aggregate,
    Bounds,
    Function,
    Query,
    Terms,
    Unit,
    Value,
)
from strongroom.engines.privacy.dp.sql import parse_sql
from strongroom.engines.privacy.dp.statistic import StatisticKind
from strongroom.errors import (
    DpBudgetError,
    DpColumnError,
    DpGroupsError,
    DpQueryError,
    DpUnboundedError,
)

KINDS = kinds_of(visits(10).schema)
BOUNDS = {"age": Bounds(0, 120), "cost": Bounds(0, 1_000)}
TERMS = Terms(1.0, bounds=BOUNDS)
PERSON = Terms(1.0, 1e-6, Unit("who", groups=3, rows=4), BOUNDS)


def planned(sql: str, terms: Terms = TERMS, noise: Noise | None = None) -> Plan:
    return plan_query(parse_sql(sql, terms.unit.subject).query, terms, KINDS, noise=noise)


@pytest.mark.parametrize("epsilon", [0, -1, 1e-9, 21, 1e9, float("inf"), float("nan")])
def test_epsilon_out_of_range(epsilon: float) -> None:
    with pytest.raises(DpBudgetError):
        Terms(epsilon)


@pytest.mark.parametrize("delta", [-1e-9, 1e-15, 0.5, 1, float("nan")])
def test_delta_out_of_range(delta: float) -> None:
    with pytest.raises(DpBudgetError):
        Terms(1.0, delta)


@pytest.mark.parametrize("bounds", [
    (1, 1), (2, 1), (0, float("inf")), (float("nan"), 1), (0, 1e16), (1, 1 + 1e-12),
])  # fmt: skip
def test_bounds_that_bound_nothing(bounds: tuple[float, float]) -> None:
    with pytest.raises(DpUnboundedError):
        Bounds(*bounds)


@pytest.mark.parametrize(("sql", "error"), [
    ("SELECT AVG(visits) FROM t", DpUnboundedError),
    ("SELECT SUM(nothing) FROM t", DpColumnError),
    ("SELECT AVG(ward) FROM t", DpColumnError),
    ("SELECT MEDIAN(urgent) FROM t", DpColumnError),
    ("SELECT AVG(day) FROM t", DpColumnError),
    ("SELECT COUNT(nothing) FROM t", DpColumnError),
    ("SELECT COUNT(*) FROM t WHERE nothing = 1", DpColumnError),
    ("SELECT COUNT(*) FROM t WHERE ward = 1", DpColumnError),
    ("SELECT COUNT(*) FROM t WHERE age = 'old'", DpColumnError),
    ("SELECT COUNT(*) FROM t WHERE urgent = 1", DpColumnError),
    ("SELECT COUNT(*) FROM t WHERE urgent < TRUE", DpColumnError),
    ("SELECT COUNT(*) FROM t WHERE day > 'yesterday'", DpColumnError),
    ("SELECT COUNT(*) FROM t WHERE age", DpColumnError),
    ("SELECT COUNT(*) FROM t WHERE age IN ()", DpQueryError),
    ("SELECT nothing, COUNT(*) FROM t GROUP BY nothing", DpColumnError),
    ("SELECT age, COUNT(*) FROM t GROUP BY age", DpColumnError),
    ("SELECT ward, COUNT(*) FROM t GROUP BY ward", DpBudgetError),
])  # fmt: skip
def test_what_is_refused(sql: str, error: type[DpQueryError]) -> None:
    with pytest.raises(error) as met:
        planned(sql)
    assert type(met.value) is error
    assert met.value.next_step


def test_refusals_about_people() -> None:
    with pytest.raises(DpColumnError):
        planned("SELECT who, COUNT(*) FROM t GROUP BY who", PERSON)
    with pytest.raises(DpColumnError):
        planned("SELECT COUNT(*) FROM t", replace(TERMS, unit=Unit("nobody")))
    with pytest.raises(DpColumnError):
        planned("SELECT COUNT(*) FROM t", replace(TERMS, unit=Unit("cost")))
    with pytest.raises(DpColumnError):
        plan_query(Query((Aggregate(Function.PEOPLE, "p"),)), TERMS, KINDS)
    with pytest.raises(DpUnboundedError):
        Unit("who", rows=0)
    with pytest.raises(DpUnboundedError):
        Unit("who", groups=10**9)
    with pytest.raises(DpQueryError):
        Unit(rows=3)


def test_too_many_groups_and_aggregates() -> None:
    keys: dict[str, tuple[Value, ...]] = {
        "visits": tuple(range(5_000)), "ward": tuple(f"w{at}" for at in range(30)),
    }  # fmt: skip
    with pytest.raises(DpGroupsError):
        planned("SELECT ward, visits, COUNT(*) FROM t GROUP BY ward, visits",
                replace(TERMS, keys=keys))  # fmt: skip
    with pytest.raises(DpQueryError):
        Query(tuple(Aggregate(Function.COUNT, f"n{at}") for at in range(21)))
    with pytest.raises(DpQueryError):
        Query(())
    with pytest.raises(DpQueryError):
        Query((Aggregate(Function.COUNT, "n"),), tuple("abcdef"))
    with pytest.raises(DpQueryError):
        Query((Aggregate(Function.QUANTILE, "q", "age", 1.0),))


@pytest.mark.parametrize("known", [
    {"keys": {"ward": ()}}, {"keys": {"ward": ("a", "a")}}, {"bins": {"age": (1.0,)}},
    {"bins": {"age": (1.0, 1.0)}}, {"bins": {"age": (0.0, float("inf"))}},
    {"keys": {"age": (1,)}, "bins": {"age": (0.0, 1.0)}},
])  # fmt: skip
def test_keys_and_bins_that_are_none(known: dict) -> None:  # type: ignore[type-arg] # any
    with pytest.raises(DpQueryError):
        Terms(1.0, **known)


@pytest.mark.parametrize(("keys", "bins"), [
    ({"ward": (1,)}, {}), ({"visits": ("a",)}, {}), ({"visits": (True,)}, {}),
    ({"day": ("soon",)}, {}), ({"nothing": ("a",)}, {}), ({}, {"ward": (0.0, 1.0)}),
    ({"cost": (1,)}, {}),
])  # fmt: skip
def test_keys_and_bins_of_another_kind(keys: dict, bins: dict) -> None:  # type: ignore[type-arg] # any
    column = next(iter(keys or bins))
    with pytest.raises(DpColumnError):
        plan_query(Query((Aggregate(Function.COUNT, "n"),), (column,)),
                   Terms(1.0, keys=keys, bins=bins), KINDS)  # fmt: skip


def test_the_budget_is_divided_among_what_is_drawn() -> None:
    plan = planned(
        "SELECT COUNT(*) AS a, AVG(age) AS b, VARIANCE(age) AS c, STDDEV(age) AS d, "
        "SUM(cost) AS e, COUNT(*) AS f FROM t"
    )
    kinds = [draw.statistic.kind for draw in plan.draws]
    assert kinds == [StatisticKind.ROWS, StatisticKind.MOMENTS, StatisticKind.SUM]
    assert plan.sources == (0, 1, 1, 1, 2, 0)
    assert plan.delta == 0
    assert epsilon_of(plan.cost, 1e-9) <= 1.0 + 1e-3
    assert sum(event.values[0] * event.count for event in plan.cost.events) <= 1.0


@pytest.mark.parametrize("noise", list(Noise))
@pytest.mark.parametrize("epsilon", [0.01, 1.0, 8.0])
def test_no_plan_costs_more_than_its_terms(noise: Noise, epsilon: float) -> None:
    plan = planned(
        "SELECT ward, COUNT(*), COUNT(DISTINCT who), COUNT(age), AVG(age), SUM(cost), MEDIAN(cost)"
        " FROM t GROUP BY ward",
        replace(PERSON, epsilon=epsilon), noise,
    )  # fmt: skip
    assert plan.is_open
    assert plan.delta == 1e-6
    if noise is Noise.LAPLACE:
        assert sum(event.values[0] * event.count for event in plan.cost.events) <= epsilon
        assert sum(event.values[1] for event in plan.cost.events if len(event.values) > 1) <= 1e-6
    # By privacy loss distributions, which round up to their grid.
    assert epsilon_of(plan.cost, 1e-6) <= epsilon * 1.01 + 5e-3


def test_the_better_noise_is_taken() -> None:
    assert planned("SELECT COUNT(*) FROM t", replace(TERMS, delta=1e-6)).noise is Noise.LAPLACE
    many = replace(PERSON, unit=Unit("who", groups=200), keys={"ward": ("north",)})
    assert planned("SELECT ward, COUNT(*), AVG(age) FROM t GROUP BY ward", many).noise is (
        Noise.GAUSSIAN
    )
    assert planned("SELECT ward, COUNT(*), AVG(age) FROM t GROUP BY ward",
                   replace(many, delta=0.0)).noise is Noise.LAPLACE  # fmt: skip


def test_a_count_alone_costs_what_its_distribution_costs() -> None:
    plan = planned("SELECT COUNT(*) FROM t", replace(PERSON, delta=0.0))
    assert plan.cost == Cost.geometric(plan.draws[0].scale, 4)


def test_a_plan_says_what_it_rests_on() -> None:
    plan = planned(
        "SELECT ward, COUNT(*) AS n, AVG(age) AS a, MEDIAN(cost) AS m FROM t GROUP BY ward",
        replace(PERSON, people=2_000_000, epsilon=6.0),
    )
    document = json.loads(json.dumps(plan_json(plan)))
    assert document["unit"] == {"subject": "who", "groups": 3, "rows": 4}
    assert "`who`" in document["neighbours"]
    assert document["epsilon"] == 6.0
    assert Cost.from_json(json.dumps(document["cost"])) == plan.cost
    told = " ".join(document["notes"])
    for part in ("promises little", "clamped to 0 … 120", "2,000,000 people", "are not shown",
                 "NaN", "steps of", "rows at most"):  # fmt: skip
        assert part in told
    by_name = {one["name"]: one for one in document["expected"]}
    assert by_name["n"]["half_width"] > 0
    assert by_name["a"]["half_width_times_rows"] > 0
    assert by_name["m"]["ranks"] > 0
    alone = " ".join(plan_json(planned("SELECT COUNT(*) FROM t"))["notes"])  # type: ignore[arg-type] # JSON
    assert "for each row" in alone


def test_columns_that_nothing_can_be_asked_of() -> None:
    schema = pa.schema([
        ("list", pa.list_(pa.int64())), ("bytes", pa.binary()), ("time", pa.time32("s")),
        ("twice", pa.int64()), ("twice", pa.int64()), ("x", pa.int8()), ("^x$", pa.int64()),
        ("^.*$", pa.int64()), ("*", pa.int64()), ("", pa.int64()), ("\0group0", pa.int64()),
    ])  # fmt: skip
    assert set(kinds_of(schema)) == {"x"}
