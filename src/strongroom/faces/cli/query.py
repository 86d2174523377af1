"""`strongroom query`: aggregates of a file with differential privacy; without a server."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import msgspec
import pyarrow as pa

from strongroom.engines.privacy.dp.accounting import Cost
from strongroom.engines.privacy.dp.answering import Answer, run
from strongroom.engines.privacy.dp.bounds import estimate_bounds
from strongroom.engines.privacy.dp.declaring import by_column, declared, number_of
from strongroom.engines.privacy.dp.document import (
    answer_json,
    expectations,
    neighbours,
    notes,
    plan_json,
    rounded,
    shown,
)
from strongroom.engines.privacy.dp.intake import Kind, kinds_of
from strongroom.engines.privacy.dp.planning import Plan, plan_query
from strongroom.engines.privacy.dp.predicates import columns_of
from strongroom.engines.privacy.dp.query import (
    Bounds,
    Query,
    Terms,
    Unit,
    check_budget,
)
from strongroom.engines.privacy.dp.sql import parse_sql
from strongroom.engines.reading.types import ReadTable
from strongroom.errors import (
    ChoiceError,
    DpUnboundedError,
    TooLargeError,
    UsageError,
    ValidationError,
)
from strongroom.faces.cli import output
from strongroom.faces.cli.drafts import ending_cleanly
from strongroom.faces.cli.files import one_file
from strongroom.faces.cli.study import MAX_HELD_BYTES, StudyOptions, tables_of

_PLACEHOLDER = Bounds(0.0, 1.0)
"""For bounds that are yet to be found, so that all else is checked before anything is spent."""


@dataclass(frozen=True, slots=True)
class QueryOptions:
    """What was asked for; texts as they were given."""

    study: StudyOptions
    epsilon: float
    delta: float
    unit: Unit
    bounds: tuple[str, ...] = ()
    estimated: tuple[str, ...] = ()
    keys: tuple[str, ...] = ()
    bins: tuple[str, ...] = ()
    people: int = 0
    dry_run: bool = False
    as_json: bool = False


def run_query(path: str, sql: str, options: QueryOptions) -> None:
    """Answer one query, or say what it would cost and how exact it would be."""
    query = parse_sql(sql, options.unit.subject).query
    with _usage():
        estimated = by_column(options.estimated, "estimate-bounds", "COLUMN=EPSILON")
        found = {column: number_of(epsilon) for column, epsilon in estimated.items()}
    for epsilon in found.values():
        check_budget(epsilon)
    with ending_cleanly(), _opened(path, options) as table:
        kinds = kinds_of(table.schema)
        plan = plan_query(query, _terms(options, kinds, dict.fromkeys(found, _PLACEHOLDER)), kinds)
        if options.dry_run:
            _show_plan(plan, found, options)
            return
        rows = _read(table, [*_used(query, options), *found])
        bounds, spent = _found_bounds(rows, found, options)
        if found:
            plan = plan_query(query, _terms(options, kinds, bounds), kinds)
        _show(run(plan, rows), bounds, spent, options)


# ---- options ----


def _terms(options: QueryOptions, kinds: Mapping[str, Kind], found: Mapping[str, Bounds]) -> Terms:
    with _usage():
        said = declared(options.bounds, options.keys, options.bins, kinds)
        if twice := found.keys() & said.bounds.keys():
            raise ValidationError(f"`{min(twice)}` has its bounds twice")
    return Terms(
        options.epsilon, options.delta, options.unit, {**found, **said.bounds}, said.keys,
        said.bins, options.people,
    )  # fmt: skip


@contextmanager
def _usage() -> Iterator[None]:
    """What is wrong with a text is a mistake of who wrote the command."""
    try:
        yield
    except ValidationError as error:
        raise UsageError(str(error)) from None


# ---- the file ----


@contextmanager
def _opened(path: str, options: QueryOptions) -> Iterator[ReadTable]:
    """The only table of a file, its rows not yet read."""
    for file, name in one_file(path):
        found = tables_of(file, name, options.study)
        table = next(found, None)
        if table is None:
            raise ChoiceError(f"`{path}` holds no table")
        yield table
        return


def _used(query: Query, options: QueryOptions) -> list[str]:
    """The columns that the query looks at."""
    used = [one.column for one in query.aggregates if one.column] + [*query.groupings]
    if query.where is not None:
        used += columns_of(query.where)
    return [*used, options.unit.subject] if options.unit.subject else used


def _read(table: ReadTable, columns: list[str]) -> pa.Table:
    """These columns of a table, whole; the first one where none is needed, to count rows."""
    names = list(dict.fromkeys(columns)) or table.schema.names[:1]
    schema = pa.schema([table.schema.field(name) for name in names])
    batches, held = [], 0
    with output.working("reading") as tell:
        for batch in table.batches:
            batches.append(batch.select(names))
            held += batches[-1].nbytes
            if held > MAX_HELD_BYTES:
                raise TooLargeError(
                    f"the columns have more than {MAX_HELD_BYTES:,} bytes in memory",
                    next_step="ask of fewer columns",
                )
            tell(table.name, "", table.rows)
    return pa.Table.from_batches(batches, schema)


def _found_bounds(
    table: pa.Table, wanted: Mapping[str, float], options: QueryOptions
) -> tuple[dict[str, Bounds], Cost]:
    """Bounds from the data, and what they cost."""
    bounds, spent = {}, Cost()
    for column, epsilon in wanted.items():
        found = estimate_bounds(table, column, epsilon, Unit(options.unit.subject))
        spent += found.cost
        if found.bounds is None:
            raise DpUnboundedError(
                f"no bounds of `{column}` stand out from the noise; the epsilon is spent",
                next_step="declare the bounds with --bounds",
            )
        bounds[column] = found.bounds
    return bounds, spent


# ---- what is shown ----


def _show_plan(plan: Plan, found: Mapping[str, float], options: QueryOptions) -> None:
    if options.as_json:
        extra = {"bounds_epsilon": dict(found)} if found else {}
        output.data(plan_json(plan) | extra, as_json=True)
        return
    rows: list[dict[str, object]] = []
    for one in expectations(plan):
        if one.half_width is not None:
            told = f"± {one.half_width:.4g}"
        elif one.per_row is not None:
            told = f"± {one.per_row:.4g} / rows"
        elif one.ranks is not None:
            told = f"within {one.ranks:,.0f} rows of its rank"
        else:
            told = "depends on the values"
        rows.append({"name": one.name, "exact to": told})
    output.data(rows, as_json=False)
    for column in found:
        output.words(
            f"the bounds of `{output.clean(column)}` are not known yet: taken as 0 … 1 here"
        )
    _tell(plan)
    output.words("nothing was looked at, and nothing is spent")


def _show(answer: Answer, bounds: Mapping[str, Bounds], spent: Cost, options: QueryOptions) -> None:
    plan = answer.plan
    if options.as_json:
        document = answer_json(answer)
        if bounds:
            document["bounds_found"] = {
                column: [one.lower, one.upper] for column, one in bounds.items()
            }
            document["cost"] = msgspec.json.decode((spent + answer.cost).to_json())
        output.data(document, as_json=True)
        return
    rows = []
    for key, estimates in answer.rows:
        row: dict[str, object] = dict(zip(plan.query.groupings, map(shown, key), strict=True))
        for one, estimate in zip(plan.query.aggregates, estimates, strict=True):
            value, interval = rounded(estimate, one.function)
            row |= {one.name: value, f"{one.name} 95 %": interval}
        rows.append(row)
    output.data(rows, as_json=False)
    _tell(plan)


def _tell(plan: Plan) -> None:
    delta = f" and delta {plan.delta:g}" if plan.delta else ""
    output.words(
        output.clean(
            f"epsilon {plan.terms.epsilon:g}{delta}, {plan.noise.value} noise, between "
            f"{neighbours(plan)}"
        )
    )
    for note in notes(plan):
        output.words(output.clean(f"  {note}"))
