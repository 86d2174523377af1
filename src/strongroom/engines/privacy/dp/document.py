"""Plans and answers as JSON, and in words what they rest on."""

import msgspec

from strongroom.engines.privacy.dp.answering import Answer, Estimate
from strongroom.engines.privacy.dp.estimates import Expected, expected
from strongroom.engines.privacy.dp.planning import Plan
from strongroom.engines.privacy.dp.query import LARGE_EPSILON, Function, Value
from strongroom.engines.privacy.dp.statistic import StatisticKind


def plan_json(plan: Plan) -> dict[str, object]:
    """What will be done, what it costs and how exact it will be."""
    return _common(plan) | {"expected": [_expected_json(one) for one in expectations(plan)]}


def answer_json(answer: Answer) -> dict[str, object]:
    """The answer with all that it rests on."""
    names = [one.name for one in answer.plan.query.aggregates]
    groups = [
        {
            "key": dict(zip(answer.plan.query.groupings, map(shown, key), strict=True)),
            "values": {
                name: {"value": one.value, "low": one.low, "high": one.high}
                for name, one in zip(names, row, strict=True)
            },
        }
        for key, row in answer.rows
    ]
    return _common(answer.plan) | {"groups": groups}


def expectations(plan: Plan) -> list[Expected]:
    """How exact each aggregate will be."""
    return [
        expected(one, plan.draws[source], plan.noise)
        for one, source in zip(plan.query.aggregates, plan.sources, strict=True)
    ]


def shown(value: Value) -> str | int | float | bool | None:
    """A key for JSON: times as ISO 8601."""
    if value is None or isinstance(value, str | int | float | bool):
        return value
    return value.isoformat()


def _common(plan: Plan) -> dict[str, object]:
    unit = plan.terms.unit
    return {
        "epsilon": plan.terms.epsilon,
        "delta": plan.delta,
        "unit": {
            "subject": unit.subject or None,
            "groups": plan.groups,
            "rows": unit.rows,
        },
        "neighbours": neighbours(plan),
        "noise": plan.noise.value,
        "interval": 0.95,
        "cost": msgspec.json.decode(plan.cost.to_json()),
        "notes": notes(plan),
    }


def _expected_json(one: Expected) -> dict[str, object]:
    known = {
        "half_width": one.half_width, "half_width_times_rows": one.per_row, "ranks": one.ranks,
    }  # fmt: skip
    return {"name": one.name} | {name: value for name, value in known.items() if value is not None}


def neighbours(plan: Plan) -> str:
    """Between which tables nobody can tell, in words."""
    subject = plan.terms.unit.subject
    if not subject:
        return "tables that differ by one row"
    return f"tables that differ by all rows of one `{subject}`"


def notes(plan: Plan) -> list[str]:
    """What the answer leaves out, and what to be careful about."""
    return [*_warnings(plan), *_left_out(plan)]


def _warnings(plan: Plan) -> list[str]:
    terms, found = plan.terms, []
    if not terms.unit.subject:
        found.append(
            "the promise is for each row: where a person may have several, name the column that "
            "says whose a row is"
        )
    if terms.epsilon > LARGE_EPSILON:
        found.append(f"an epsilon of {terms.epsilon:g} promises little: 1 is common, 0.1 is strict")
    if plan.delta and terms.people and plan.delta * terms.people >= 1:
        found.append(
            f"a delta of {plan.delta:g} lets one of {terms.people:,} people be shown: take less "
            f"than {1 / terms.people:.0e}"
        )
    elif plan.delta and not terms.people:
        found.append(f"a delta of {plan.delta:g} fits where there are far fewer than "
                     f"{1 / plan.delta:,.0f} people")  # fmt: skip
    return found


def _left_out(plan: Plan) -> list[str]:
    terms, unit, found = plan.terms, plan.terms.unit, []
    columns = dict.fromkeys(one.column for one in plan.query.aggregates if one.column)
    for column in columns:
        if column in terms.bounds:
            bounds = terms.bounds[column]
            found.append(f"`{column}` is clamped to {bounds.lower:g} … {bounds.upper:g}")
    if columns:
        found.append("missing values and NaN are left out of what is made of their column")
    if unit.subject:
        in_groups = f" in each of {plan.groups:,} groups" if plan.axes else ""
        found.append(
            f"of one `{unit.subject}`, {unit.rows:,} row{'s' if unit.rows > 1 else ''} at most "
            f"count{in_groups}; rows without `{unit.subject}` do not"
        )
    if any(axis.keys is not None for axis in plan.axes):
        found.append("rows outside the keys and bins do not count")
    for draw in plan.draws:
        if draw.statistic.kind is StatisticKind.KEYS:
            people = "people" if unit.subject else "rows"
            found.append(f"groups of fewer than about {draw.threshold:,} {people} are not shown")
        if draw.statistic.kind is StatisticKind.QUANTILE and draw.grid is not None:
            found.append(
                f"quantiles of `{draw.statistic.column}` are in steps of {draw.grid.step:g}"
            )
    return list(dict.fromkeys(found))


def rounded(one: Estimate, function: Function) -> tuple[str, str]:
    """A value and its interval, no finer than the interval allows."""
    if function in (Function.COUNT, Function.PEOPLE):
        return f"{one.value:.0f}", f"{one.low:.0f} … {one.high:.0f}"
    width = one.high - one.low
    digits = 0
    while digits < _MOST_DIGITS and 0 < width < 10 ** (1 - digits):
        digits += 1
    return f"{one.value:.{digits}f}", f"{one.low:.{digits}f} … {one.high:.{digits}f}"


_MOST_DIGITS = 12
