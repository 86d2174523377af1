"""The command `anonymize`: its options and help. The work is done in `anonymize.py`."""

from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import Annotated, TypeVar

import typer

from strongroom.errors import UsageError
from strongroom.faces.cli.options import Json
from strongroom.faces.cli.privacy_commands import As, Force, Html, MaxSeconds, NoModel, Trusted

_DEMANDS = "What must hold"
_COLUMNS = "Columns"
_WAY = "How"
_SAFETY = "Output"
_Choice = TypeVar("_Choice", bound=StrEnum)


def _one_of(kind: type[_Choice], option: str, value: str) -> _Choice:
    """The choice of that name. Raises: UsageError."""
    try:
        return kind(value.lower())
    except ValueError:
        known = ", ".join(one.value for one in kind)
        raise UsageError(f"{option} is one of {known}") from None


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
        int, typer.Option("--k", min=1, rich_help_panel=_DEMANDS, help="Least rows of a group.")
    ] = 5,
    l: Annotated[  # noqa: E741 # its name everywhere
        float,
        typer.Option(
            "--l",
            min=0,
            rich_help_panel=_DEMANDS,
            help="Least different sensitive values in a group.",
        ),
    ] = 0,
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
        str,
        typer.Option(
            "--diversity",
            rich_help_panel=_DEMANDS,
            help="What --l counts: distinct, entropy or recursive (with --c).",
        ),
    ] = "distinct",
    c: Annotated[float, typer.Option("--c", min=0, rich_help_panel=_DEMANDS)] = 4.0,
    distance: Annotated[
        str,
        typer.Option(
            "--distance",
            rich_help_panel=_DEMANDS,
            help="How --t measures: equal, ordered or hierarchical.",
        ),
    ] = "equal",
    suppression: Annotated[
        float,
        typer.Option(
            "--suppression",
            min=0,
            max=1,
            rich_help_panel=_DEMANDS,
            help="Share of the rows that may be left out.",
        ),
    ] = 0.05,
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
            help="Must not be found out: --l and --t are about it.",
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
        str,
        typer.Option(
            "--method",
            rich_help_panel=_WAY,
            help="global (one level a column), local (less lost), microaggregate.",
        ),
    ] = "global",
    measure: Annotated[
        str,
        typer.Option(
            "--measure",
            rich_help_panel=_WAY,
            help="What is made small: gcp, entropy, precision, discernibility, class_size.",
        ),
    ] = "gcp",
    seconds: Annotated[
        float,
        typer.Option(
            "--seconds",
            min=0,
            rich_help_panel=_WAY,
            help="After which a search gives the best so far; 0 for never.",
        ),
    ] = 60.0,
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
    from strongroom.engines.privacy.anonymize.criteria import Distance
    from strongroom.engines.privacy.anonymize.objective import Measure
    from strongroom.engines.privacy.anonymize.recipe import (
        DemandsRecipe,
        Diversity,
        MethodRecipe,
        Recoding,
    )
    from strongroom.faces.cli.anonymize import AnonymizeOptions, Named, run_anonymize
    from strongroom.faces.cli.files import WalkLimits
    from strongroom.faces.cli.study import study_options

    demands = DemandsRecipe(
        k=k, l=l, t=t, c=c, suppression=suppression,
        diversity=_one_of(Diversity, "--diversity", diversity),
        distance=_one_of(Distance, "--distance", distance),
    )  # fmt: skip
    way = MethodRecipe(
        _one_of(Recoding, "--method", method), _one_of(Measure, "--measure", measure), seconds
    )
    study = study_options(
        form, None, "2000", None, model=not no_model, seconds=max_seconds, trusted=trusted
    )
    named = Named(tuple(quasi or ()), tuple(sensitive or ()), tuple(keep or ()), tuple(drop or ()))
    options = AnonymizeOptions(
        study, replace(WalkLimits(), files=1), demands, way, named, to, recipe, write_recipe,
        hierarchies, population, people, auxiliary, target, html, large, explain, force, as_json,
    )  # fmt: skip
    raise typer.Exit(run_anonymize(path, options))
