"""The commands `train` and `synthesize`: their options and help. The work is done elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from strongroom.faces.cli.options import Json
from strongroom.faces.cli.privacy_commands import As, Force, MaxSeconds, Trusted

_PUBLIC = "What is publicly known"
_PERSON = "One person"


def train(
    path: Annotated[str, typer.Argument(metavar="FILE", help="A table, or `-`.")],
    epsilon: Annotated[
        float, typer.Option("--epsilon", help="All that the training may cost; 1 is common.")
    ] = 1.0,
    delta: Annotated[
        float, typer.Option("--delta", help="Chance that the promise fails; below one in all.")
    ] = 1e-6,
    method: Annotated[
        str,
        typer.Option("--method", help="additive, boosting, or network (needs the extra torch)."),
    ] = "additive",
    domain: Annotated[
        Path | None,
        typer.Option(
            "--domain",
            metavar="FILE",
            rich_help_panel=_PUBLIC,
            help="Target, bounds and categories, as TOML.",
        ),
    ] = None,
    target: Annotated[
        str,
        typer.Option(
            "--target",
            metavar="COLUMN",
            rich_help_panel=_PUBLIC,
            help="What to predict, for a domain that is read off the data.",
        ),
    ] = "",
    draft_domain: Annotated[
        Path | None,
        typer.Option(
            "--draft-domain",
            metavar="FILE",
            rich_help_panel=_PUBLIC,
            help="Write a domain read off the data, to correct; train nothing.",
        ),
    ] = None,
    domain_from_data: Annotated[
        bool,
        typer.Option(
            "--domain-from-data",
            rich_help_panel=_PUBLIC,
            help="Train without a declared domain; epsilon does not cover it.",
        ),
    ] = False,
    subject: Annotated[
        str,
        typer.Option(
            "--subject",
            metavar="COLUMN",
            rich_help_panel=_PERSON,
            help="Says whose a row is; without it each row is protected by itself.",
        ),
    ] = "",
    rows: Annotated[
        int,
        typer.Option("--rows", min=1, rich_help_panel=_PERSON, help="Of a person that count."),
    ] = 1,
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
    from strongroom.faces.cli.study import study_options
    from strongroom.faces.cli.training import TrainOptions, run_train

    study = study_options(
        form, None, "all", None, model=False, seconds=max_seconds, trusted=trusted
    )
    run_train(path, TrainOptions(
        study, epsilon, delta, method, domain, target, draft_domain, domain_from_data, subject,
        rows, to, force, as_json,
    ))  # fmt: skip


def synthesize(
    path: Annotated[str, typer.Argument(metavar="FILE", help="A table, or `-`.")],
    to: Annotated[
        Path, typer.Option("--output", "-o", metavar="FILE", help="Ends in .csv or .parquet.")
    ],
    domain: Annotated[
        Path,
        typer.Option(
            "--domain",
            metavar="FILE",
            rich_help_panel=_PUBLIC,
            help="Bounds and categories, as TOML; `train --draft-domain` drafts it.",
        ),
    ],
    epsilon: Annotated[
        float, typer.Option("--epsilon", help="All that the table may cost; 1 is common.")
    ] = 1.0,
    delta: Annotated[
        float, typer.Option("--delta", help="Chance that the promise fails; below one in all.")
    ] = 1e-6,
    subject: Annotated[
        str,
        typer.Option(
            "--subject",
            metavar="COLUMN",
            rich_help_panel=_PERSON,
            help="Says whose a row is; without it each row is protected by itself.",
        ),
    ] = "",
    rows: Annotated[
        int,
        typer.Option("--rows", min=1, rich_help_panel=_PERSON, help="Of a person that count."),
    ] = 1,
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
    from strongroom.faces.cli.study import study_options
    from strongroom.faces.cli.synthesizing import run_synthesize

    study = study_options(
        form, None, "all", None, model=False, seconds=max_seconds, trusted=trusted
    )
    run_synthesize(
        path, to, domain, study, epsilon=epsilon, delta=delta, subject=subject, rows=rows,
        report=report, force=force, as_json=as_json,
    )  # fmt: skip
