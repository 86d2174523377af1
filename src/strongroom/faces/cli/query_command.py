"""The command `query`: its options and help. The work is done in `query.py`."""

from typing import Annotated

import typer

from strongroom.faces.cli.options import Json
from strongroom.faces.cli.privacy_commands import As, MaxSeconds, Trusted
from strongroom.faces.cli.promise_options import (
    PERSON,
    PUBLIC,
    Epsilon,
    SubjectColumn,
    Table,
    chance,
    table_study,
)


def query(
    path: Table,
    sql: Annotated[
        str, typer.Argument(metavar="SQL", help="SELECT aggregates; the table's name is free.")
    ],
    epsilon: Epsilon,
    delta: Annotated[
        float,
        typer.Option(
            "--delta",
            callback=chance,
            help="Chance that the promise fails; needed for groups read from the data.",
        ),
    ] = 0.0,
    subject: SubjectColumn = "",
    rows: Annotated[
        int,
        typer.Option(
            "--rows", min=1, rich_help_panel=PERSON, help="Of a person in a group that count."
        ),
    ] = 1,
    groups: Annotated[
        int,
        typer.Option("--groups", min=1, rich_help_panel=PERSON, help="Of a person that count."),
    ] = 1,
    bounds: Annotated[
        list[str] | None,
        typer.Option(
            "--bounds",
            metavar="COLUMN=LOW:HIGH",
            rich_help_panel=PUBLIC,
            help="Numbers are clamped to it; may be given again.",
        ),
    ] = None,
    estimate_bounds: Annotated[
        list[str] | None,
        typer.Option(
            "--estimate-bounds",
            metavar="COLUMN=EPSILON",
            rich_help_panel=PUBLIC,
            help="Find bounds for an epsilon of their own, beside the query's.",
        ),
    ] = None,
    keys: Annotated[
        list[str] | None,
        typer.Option(
            "--keys",
            metavar="COLUMN=A,B,…",
            rich_help_panel=PUBLIC,
            help="The values that a column to group by has; an empty one is a missing value.",
        ),
    ] = None,
    bins: Annotated[
        list[str] | None,
        typer.Option(
            "--bins",
            metavar="COLUMN=0,18,65,…",
            rich_help_panel=PUBLIC,
            help="Edges of bins of a column to group by.",
        ),
    ] = None,
    people: Annotated[
        int,
        typer.Option(
            "--people",
            min=0,
            rich_help_panel=PUBLIC,
            help="About how many there are, to judge --delta by.",
        ),
    ] = 0,
    dry_run: Annotated[
        bool,
        typer.Option("--dry-run", help="Show cost and exactness; look at no row, spend nothing."),
    ] = False,
    form: As = None,
    max_seconds: MaxSeconds = 0.0,
    trusted: Trusted = False,
    as_json: Json = False,
) -> None:
    """Ask a table for aggregates with differential privacy; no server, no budget kept.

    \b
    strongroom query visits.csv "SELECT COUNT(*), AVG(age) FROM visits" \\
        --epsilon 1 --subject patient --bounds age=0:120 --dry-run
    strongroom query visits.csv "SELECT ward, COUNT(*) FROM visits GROUP BY ward" \\
        --epsilon 0.5 --subject patient --rows 5 --keys ward=north,south

    Every value comes with the interval that holds it with a chance of 95 %. Nothing here remembers
    what was spent before: asking twice costs twice.
    """  # noqa: D301 # Typer keeps the lines after \b as they are
    from strongroom.engines.privacy.dp.query import Unit
    from strongroom.faces.cli.query import QueryOptions, run_query

    study = table_study(form, max_seconds, trusted=trusted)
    options = QueryOptions(
        study, epsilon, delta, Unit(subject, groups, rows), tuple(bounds or ()),
        tuple(estimate_bounds or ()), tuple(keys or ()), tuple(bins or ()), people, dry_run,
        as_json,
    )  # fmt: skip
    run_query(path, sql, options)
