"""The command `anonymize`: its options and help. The work is done in `anonymize.py`."""

from dataclasses import replace
from pathlib import Path
from typing import Annotated

import typer

from strongroom.faces.cli.options import Json
from strongroom.faces.cli.privacy_commands import As, Force, Html, MaxSeconds, NoModel, Trusted

_DEMANDS = "What must hold"
_COLUMNS = "Columns"
_WAY = "How"
_SAFETY = "Output"


def anonymize(
    path: Annotated[str | None, typer.Argument(metavar="PATH", help="A table, or `-`.")] = None,
    to: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            rich_help_panel=_SAFETY,
            help="File to write; its ending says the form.",
        ),
    ] = None,
    k: Annotated[
        int | None,
        typer.Option("--k", min=1, rich_help_panel=_DEMANDS, help="Least rows of a group; else 5."),
    ] = None,
    l: Annotated[  # noqa: E741 # its name everywhere
        float | None,
        typer.Option(
            "--l",
            min=0,
            rich_help_panel=_DEMANDS,
            help="Least different sensitive values in a group.",
        ),
    ] = None,
    t: Annotated[
        float | None,
        typer.Option(
            "--t",
            min=0,
            max=1,
            rich_help_panel=_DEMANDS,
            help="How far a group's sensitive values may differ from all, 0 to 1.",
        ),
    ] = None,
    diversity: Annotated[
        str | None,
        typer.Option(
            "--diversity",
            rich_help_panel=_DEMANDS,
            help="What --l counts: distinct, entropy or recursive (with --c).",
        ),
    ] = None,
    c: Annotated[
        float | None,
        typer.Option(
            "--c", min=0, rich_help_panel=_DEMANDS, help="Of recursive diversity; else 4."
        ),
    ] = None,
    distance: Annotated[
        str | None,
        typer.Option(
            "--distance",
            rich_help_panel=_DEMANDS,
            help="How --t measures: equal, ordered or hierarchical.",
        ),
    ] = None,
    beta: Annotated[
        float | None,
        typer.Option(
            "--beta",
            min=0,
            rich_help_panel=_DEMANDS,
            help="How much likelier a group may make a sensitive value: 1 for twice (β-likeness).",
        ),
    ] = None,
    delta_disclosure: Annotated[
        float | None,
        typer.Option(
            "--delta-disclosure",
            min=0,
            rich_help_panel=_DEMANDS,
            help="A sensitive value's share differs by a factor of less than e to this.",
        ),
    ] = None,
    k_map: Annotated[
        int | None,
        typer.Option(
            "--k-map",
            min=0,
            rich_help_panel=_DEMANDS,
            help="Least people of the --population in a group.",
        ),
    ] = None,
    presence_low: Annotated[
        float | None,
        typer.Option(
            "--presence-low",
            min=0,
            max=1,
            rich_help_panel=_DEMANDS,
            help="Least share of a group's --population that is in the table (δ-presence).",
        ),
    ] = None,
    presence_high: Annotated[
        float | None,
        typer.Option(
            "--presence-high",
            min=0,
            max=1,
            rich_help_panel=_DEMANDS,
            help="Largest share of a group's --population that is in the table.",
        ),
    ] = None,
    average_risk: Annotated[
        float | None,
        typer.Option(
            "--average-risk",
            min=0,
            max=1,
            rich_help_panel=_DEMANDS,
            help="Groups over rows at most, of the whole table.",
        ),
    ] = None,
    suppression: Annotated[
        float | None,
        typer.Option(
            "--suppression",
            min=0,
            max=1,
            rich_help_panel=_DEMANDS,
            help="Share of the rows that may be left out; else 0.05.",
        ),
    ] = None,
    quasi: Annotated[
        list[str] | None,
        typer.Option(
            "--quasi",
            metavar="COLUMN",
            rich_help_panel=_COLUMNS,
            help="Others may know it; may be given again.",
        ),
    ] = None,
    sensitive: Annotated[
        list[str] | None,
        typer.Option(
            "--sensitive",
            metavar="COLUMN",
            rich_help_panel=_COLUMNS,
            help="Must not be found out: --l, --t, --beta and --delta-disclosure are about it.",
        ),
    ] = None,
    keep: Annotated[
        list[str] | None,
        typer.Option("--keep", metavar="COLUMN", rich_help_panel=_COLUMNS, help="Stays as it is."),
    ] = None,
    drop: Annotated[
        list[str] | None,
        typer.Option("--drop", metavar="COLUMN", rich_help_panel=_COLUMNS, help="Left out."),
    ] = None,
    weight: Annotated[
        list[str] | None,
        typer.Option(
            "--weight",
            metavar="COLUMN=NUMBER",
            rich_help_panel=_COLUMNS,
            help="How much a quasi-identifier counts; 1 unless said.",
        ),
    ] = None,
    hierarchies: Annotated[
        Path | None,
        typer.Option(
            "--hierarchies",
            metavar="FOLDER",
            rich_help_panel=_COLUMNS,
            help="Hierarchies as COLUMN.csv, in ARX's form.",
        ),
    ] = None,
    method: Annotated[
        str | None,
        typer.Option(
            "--method",
            rich_help_panel=_WAY,
            help="global (one level a column, the default), local (less lost), microaggregate.",
        ),
    ] = None,
    measure: Annotated[
        str | None,
        typer.Option(
            "--measure",
            rich_help_panel=_WAY,
            help="What is made small: gcp, entropy, precision, discernibility, class_size.",
        ),
    ] = None,
    seconds: Annotated[
        float | None,
        typer.Option(
            "--seconds",
            min=0,
            rich_help_panel=_WAY,
            help="After which a search gives the best so far; 0 for never, 60 unless said.",
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            "--recipe",
            metavar="FILE",
            rich_help_panel=_WAY,
            help="Repeat what an edited recipe says; it decides everything.",
        ),
    ] = None,
    write_recipe: Annotated[
        Path | None,
        typer.Option(
            "--write-recipe",
            metavar="FILE",
            rich_help_panel=_SAFETY,
            help="Write what was decided, to edit and run again.",
        ),
    ] = None,
    explain: Annotated[
        bool,
        typer.Option(
            "--explain", rich_help_panel=_SAFETY, help="Show what would be decided; write no table."
        ),
    ] = False,
    population: Annotated[
        Path | None,
        typer.Option("--population", metavar="FILE", help="Everybody, for k-map and δ-presence."),
    ] = None,
    people: Annotated[
        int,
        typer.Option("--people", min=0, help="People of whom the table is a sample."),
    ] = 0,
    auxiliary: Annotated[
        Path | None,
        typer.Option(
            "--auxiliary",
            metavar="FILE",
            help="A table that an intruder may have: linking is tried out with it.",
        ),
    ] = None,
    target: Annotated[
        str,
        typer.Option("--target", metavar="COLUMN", help="Have a model guess it before and after."),
    ] = "",
    large: Annotated[
        bool,
        typer.Option(
            "--large",
            rich_help_panel=_WAY,
            help="Read the file in passes: for tables larger than memory.",
        ),
    ] = False,
    html: Html = None,
    form: As = None,
    no_model: NoModel = False,
    force: Force = False,
    max_seconds: MaxSeconds = 0.0,
    trusted: Trusted = False,
    as_json: Json = False,
) -> None:
    """Write a copy of a table in which nobody stands alone, and prove it.

    \b
    strongroom anonymize patients.csv --k 5 -o safe.csv --write-recipe recipe.toml
    strongroom anonymize patients.csv --k 5 --l 2 --t 0.2 --sensitive diagnosis -o safe.csv
    strongroom anonymize patients.csv --recipe recipe.toml -o safe.csv --html report.html

    Columns that name people are left out, those that others may know are generalized, as little as
    the demands allow. Every result is counted again before it is written.
    """  # noqa: D301 # Typer keeps the lines after \b as they are
    from strongroom.faces.cli.anonymize import run_anonymize
    from strongroom.faces.cli.anonymize_options import AnonymizeOptions, Named, asked_for
    from strongroom.faces.cli.files import WalkLimits
    from strongroom.faces.cli.study import study_options

    asked = asked_for(
        {
            "k": k, "l": l, "t": t, "diversity": diversity, "c": c, "distance": distance,
            "beta": beta, "delta_disclosure": delta_disclosure, "k_map": k_map,
            "presence_low": presence_low, "presence_high": presence_high,
            "average_risk": average_risk, "suppression": suppression,
        },
        {"recoding": method, "measure": measure, "seconds": seconds},
        has_recipe=recipe is not None,
    )  # fmt: skip
    study = study_options(
        form, None, "2000", None, model=not no_model, seconds=max_seconds, trusted=trusted
    )
    named = Named(
        tuple(quasi or ()), tuple(sensitive or ()), tuple(keep or ()), tuple(drop or ()),
        tuple(weight or ()),
    )  # fmt: skip
    options = AnonymizeOptions(
        study, replace(WalkLimits(), files=1), *asked, named, to, recipe, write_recipe,
        hierarchies, population, people, auxiliary, target, html, large, explain, force, as_json,
    )  # fmt: skip
    raise typer.Exit(run_anonymize(path, options))
