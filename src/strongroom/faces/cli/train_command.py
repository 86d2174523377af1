"""The commands `train` and `synthesize`: their options and help. The work is done elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from strongroom.faces.cli.options import Json
from strongroom.faces.cli.privacy_commands import As, Force, MaxSeconds, Trusted
from strongroom.faces.cli.promise_options import (
    PUBLIC,
    Delta,
    Epsilon,
    RowsEach,
    SubjectColumn,
    Table,
    table_study,
)


def train(
    path: Table,
    epsilon: Epsilon = 1.0,
    delta: Delta = 1e-6,
    method: Annotated[
        str,
        typer.Option("--method", help="additive, boosting, or network (needs the extra torch)."),
    ] = "additive",
    domain: Annotated[
        Path | None,
        typer.Option(
            "--domain",
            metavar="FILE",
            rich_help_panel=PUBLIC,
            help="Target, bounds and categories, as TOML.",
        ),
    ] = None,
    target: Annotated[
        str,
        typer.Option(
            "--target",
            metavar="COLUMN",
            rich_help_panel=PUBLIC,
            help="What to predict, for a domain that is read off the data.",
        ),
    ] = "",
    draft_domain: Annotated[
        Path | None,
        typer.Option(
            "--draft-domain",
            metavar="FILE",
            rich_help_panel=PUBLIC,
            help="Write a domain read off the data, to correct; train nothing.",
        ),
    ] = None,
    domain_from_data: Annotated[
        bool,
        typer.Option(
            "--domain-from-data",
            rich_help_panel=PUBLIC,
            help="Train without a declared domain; epsilon does not cover it.",
        ),
    ] = False,
    subject: SubjectColumn = "",
    rows: RowsEach = 1,
    audit: Annotated[
        bool,
        typer.Option(
            "--audit",
            help="First try on made-up rows whether the trainer keeps its epsilon; costs none.",
        ),
    ] = False,
    to: Annotated[
        Path | None,
        typer.Option("--output", "-o", metavar="FOLDER", help="For the model and its record."),
    ] = None,
    force: Force = False,
    form: As = None,
    max_seconds: MaxSeconds = 0.0,
    trusted: Trusted = False,
    as_json: Json = False,
) -> None:
    """Train a model that tells little of any one person; no server, no budget kept.

    \b
    strongroom train visits.csv --target readmitted --draft-domain domain.toml
    strongroom train visits.csv --domain domain.toml --subject patient --epsilon 1 -o model/

    The first line writes what the second needs: a small file with bounds and categories, to be
    corrected to what is publicly known. The model is a table a column, as JSON and as ONNX; a
    record says what was promised and how it was kept.
    """  # noqa: D301 # Typer keeps the lines after \b as they are
    from strongroom.faces.cli.training import TrainOptions, run_train

    study = table_study(form, max_seconds, trusted=trusted)
    run_train(path, TrainOptions(
        study, epsilon, delta, method, domain, target, draft_domain, domain_from_data, subject,
        rows, to, force, as_json, audit=audit,
    ))  # fmt: skip


def synthesize(
    path: Table,
    to: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Ends in .csv or .parquet.")
    ],
    domain: Annotated[
        Path,
        typer.Option(
            "--domain",
            metavar="FILE",
            rich_help_panel=PUBLIC,
            help="Bounds and categories, as TOML; `train --draft-domain` drafts it.",
        ),
    ],
    epsilon: Epsilon = 1.0,
    delta: Delta = 1e-6,
    subject: SubjectColumn = "",
    rows: RowsEach = 1,
    report: Annotated[
        bool,
        typer.Option("--report", help="Compare with the real rows; the figures are not private."),
    ] = False,
    force: Force = False,
    form: As = None,
    max_seconds: MaxSeconds = 0.0,
    trusted: Trusted = False,
    as_json: Json = False,
) -> None:
    """Make up a table that resembles the real one in counts; no server, no budget kept.

    \b
    strongroom synthesize visits.csv --domain domain.toml --subject patient -o madeup.csv --report

    Needs the extra `synthetic`. Columns and a tree of pairs are counted with noise (MST); what no
    such pair tells is not in the made-up rows.
    """  # noqa: D301 # Typer keeps the lines after \b as they are
    from strongroom.faces.cli.synthesizing import run_synthesize

    run_synthesize(
        path, to, domain, table_study(form, max_seconds, trusted=trusted), epsilon=epsilon,
        delta=delta, subject=subject, rows=rows, report=report, force=force, as_json=as_json,
    )  # fmt: skip
