"""The command `drift`: its options and help. The work is done elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from strongroom.faces.cli.options import Json
from strongroom.faces.cli.privacy_commands import As, Force, MaxSeconds, Trusted

_MODEL = "The model"
_OUTPUT = "Output"
_COMPARING = "Comparing"

Column = str | None


def drift(
    reference: Annotated[
        Path, typer.Argument(metavar="REFERENCE", help="A table, or a state saved by --save.")
    ],
    current: Annotated[
        Path | None, typer.Argument(metavar="CURRENT", help="The table to compare with it.")
    ] = None,
    prediction: Annotated[
        Column,
        typer.Option(
            "--prediction",
            metavar="COLUMN",
            rich_help_panel=_MODEL,
            help="What the model said: a class, or a number.",
        ),
    ] = None,
    score: Annotated[
        Column,
        typer.Option(
            "--score",
            metavar="COLUMN",
            rich_help_panel=_MODEL,
            help="Probability of the positive class.",
        ),
    ] = None,
    label: Annotated[
        Column,
        typer.Option(
            "--label",
            metavar="COLUMN",
            rich_help_panel=_MODEL,
            help="What came true; in CURRENT it may be missing.",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            metavar="FILE",
            rich_help_panel=_MODEL,
            help="Labels of CURRENT that came late, joined by --id.",
        ),
    ] = None,
    id_: Annotated[
        Column,
        typer.Option(
            "--id",
            metavar="COLUMN",
            rich_help_panel=_MODEL,
            help="Ids of rows, in CURRENT and --labels; not compared.",
        ),
    ] = None,
    positive: Annotated[
        str | None,
        typer.Option(
            "--positive",
            metavar="VALUE",
            rich_help_panel=_MODEL,
            help="The label of the positive class, where it is not 1 or true.",
        ),
    ] = None,
    classes: Annotated[
        list[str] | None,
        typer.Option(
            "--class",
            metavar="NAME=COLUMN",
            rich_help_panel=_MODEL,
            help="Of several classes: the column of its probability. Once a class.",
        ),
    ] = None,
    slices: Annotated[
        list[str] | None,
        typer.Option(
            "--slice",
            metavar="COLUMN",
            rich_help_panel=_MODEL,
            help="Look at the model for each value of a column.",
        ),
    ] = None,
    attribution: Annotated[
        bool,
        typer.Option(
            "--attribution",
            rich_help_panel=_MODEL,
            help="Also compare which features matter to --score or --prediction.",
        ),
    ] = False,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            "--exclude",
            metavar="COLUMN",
            rich_help_panel=_COMPARING,
            help="A column not to compare.",
        ),
    ] = None,
    time: Annotated[
        Column,
        typer.Option(
            "--time",
            metavar="COLUMN",
            rich_help_panel=_COMPARING,
            help="Times by which CURRENT is split into windows.",
        ),
    ] = None,
    every: Annotated[
        str,
        typer.Option(
            "--every",
            metavar="LENGTH",
            rich_help_panel=_COMPARING,
            help="Of a window: hour, day, week or month.",
        ),
    ] = "day",
    season: Annotated[
        bool,
        typer.Option(
            "--season",
            rich_help_panel=_COMPARING,
            help="Compare windows with like ones of REFERENCE, e.g. Mondays with Mondays.",
        ),
    ] = False,
    detect: Annotated[
        list[str] | None,
        typer.Option(
            "--detect",
            metavar="COLUMN",
            rich_help_panel=_COMPARING,
            help="Say when its level changed in CURRENT; `error` for the model's error.",
        ),
    ] = None,
    classifier: Annotated[
        bool,
        typer.Option(
            "--classifier",
            rich_help_panel=_COMPARING,
            help="Also learn to tell the rows of the samples apart.",
        ),
    ] = False,
    threshold: Annotated[
        list[str] | None,
        typer.Option(
            "--threshold",
            metavar="NAME=VALUE",
            rich_help_panel=_COMPARING,
            help="E.g. jensen_shannon=0.05, psi=0.1, missing=0.02.",
        ),
    ] = None,
    rate: Annotated[
        float,
        typer.Option(
            "--rate",
            min=1e-6,
            max=0.5,
            rich_help_panel=_COMPARING,
            help="Share of false findings to accept.",
        ),
    ] = 0.05,
    exact: Annotated[
        bool,
        typer.Option(
            "--exact",
            rich_help_panel=_COMPARING,
            help="Keep rare categories and small counts too: they can tell of a person.",
        ),
    ] = False,
    fail_on: Annotated[
        str,
        typer.Option(
            "--fail-on", metavar="STATUS", help="Exit 6 for drifted, or moved and drifted."
        ),
    ] = "never",
    html: Annotated[
        Path | None,
        typer.Option(
            "--html", metavar="FILE", rich_help_panel=_OUTPUT, help="Write a page with pictures."
        ),
    ] = None,
    save: Annotated[
        Path | None,
        typer.Option(
            "--save",
            metavar="FILE",
            rich_help_panel=_OUTPUT,
            help="Write the state of REFERENCE, to be given in its place later.",
        ),
    ] = None,
    save_current: Annotated[
        Path | None,
        typer.Option(
            "--save-current",
            metavar="FILE",
            rich_help_panel=_OUTPUT,
            help="Write the state of CURRENT.",
        ),
    ] = None,
    force: Force = False,
    form: As = None,
    max_seconds: MaxSeconds = 0.0,
    trusted: Trusted = False,
    as_json: Json = False,
) -> None:
    """Find what changed between two samples; no server, no network, no row kept.

    \b
    strongroom drift january.parquet june.parquet
    strongroom drift train.csv week.csv --score p --label paid --html drift.html
    strongroom drift train.csv --save train.state           # a few kB, no row in it
    strongroom drift train.state today.csv --fail-on drifted
    strongroom drift train.csv week.csv --class cat=p_cat --class dog=p_dog --label seen
    strongroom drift year.csv week.csv --time seen --every day --season
    strongroom drift train.csv month.csv --score p --label paid --labels late.csv --id case

    Reads what `discover` reads. Counts below ten, and categories as rare, are in no state.
    """  # noqa: D301 # Typer keeps the lines after \b as they are
    from strongroom.engines.drift.planning import PlanOptions
    from strongroom.engines.drift.windows import Every
    from strongroom.errors import UsageError
    from strongroom.faces.cli.drift import DriftOptions, parsed_thresholds, run_drift
    from strongroom.faces.cli.drift_columns import ModelColumns, parsed_classes
    from strongroom.faces.cli.drift_reading import ReadingOptions
    from strongroom.faces.cli.study import study_options

    study = study_options(
        form, None, "all", None, model=False, seconds=max_seconds, trusted=trusted
    )
    if every not in set(Every):
        raise UsageError(f"--every is one of {', '.join(Every)}")
    plan = PlanOptions(minimum_count=0) if exact else PlanOptions()
    columns = ModelColumns(
        prediction or "", score or "", label or "", positive or "", tuple(slices or ()),
        parsed_classes(classes or []),
    )  # fmt: skip
    options = DriftOptions(
        ReadingOptions(study, plan, time or "", Every(every), season),
        parsed_thresholds(threshold or [], rate), columns, tuple(exclude or ()), classifier,
        attribution, tuple(detect or ()), labels, id_ or "",
        fail_on, html, save, save_current, force, as_json,
    )  # fmt: skip
    raise typer.Exit(run_drift(reference, current, options))
