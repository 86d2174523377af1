"""The command `harden`: its options and help. The work is done elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from strongroom.faces.cli.attacked_options import (
    ROWS,
    TRIED,
    AttackedRows,
    HeldOut,
    LabelColumn,
    LeftOut,
    PlanFile,
    Seed,
    Tests,
)
from strongroom.faces.cli.options import Json
from strongroom.faces.cli.privacy_commands import As, Force, MaxSeconds, Trusted

_HOW = "How it is hardened"
_PRIVACY = "Training with privacy"
_OUTPUT = "Output"

File = Path | None


def harden(
    model: Annotated[str, typer.Argument(metavar="MODEL", help="A model's file or folder.")],
    to: Annotated[
        Path,
        typer.Option(
            "--output", "-o", metavar="FOLDER", rich_help_panel=_OUTPUT, help="A folder each way."
        ),
    ],
    data: Annotated[
        str,
        typer.Option("--data", metavar="FILE", rich_help_panel=ROWS, help="Rows to train on."),
    ] = "",
    held_out: HeldOut = "",
    label: LabelColumn = "",
    left_out: LeftOut = None,
    without: Annotated[
        File,
        typer.Option(
            "--without",
            metavar="FILE",
            rich_help_panel=ROWS,
            help="A quarantine list, as `attack --quarantine` wrote it and you edited it.",
        ),
    ] = None,
    plan: PlanFile = None,
    test: Tests = None,
    rows: AttackedRows = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes", min=0.01, rich_help_panel=TRIED, help="Of processor time, each side."
        ),
    ] = None,
    seed: Seed = None,
    way: Annotated[
        list[str] | None,
        typer.Option(
            "--way",
            metavar="WAY",
            rich_help_panel=_HOW,
            help="retrained, adversarial, regularised, dropping, rounding, private, or all.",
        ),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            "--recipe",
            metavar="NAME",
            rich_help_panel=_HOW,
            help="own, forest, boosting or logistic; else own where the model tells it.",
        ),
    ] = "",
    radius: Annotated[
        float,
        typer.Option(
            "--radius",
            min=0.0,
            max=10.0,
            rich_help_panel=_HOW,
            help="Within which adversarial rows are added; 0: by the distance of the classes.",
        ),
    ] = 0.0,
    rounds: Annotated[
        int,
        typer.Option(
            "--rounds", min=1, max=20, rich_help_panel=_HOW, help="Of adversarial training."
        ),
    ] = 3,
    drop: Annotated[
        list[str] | None,
        typer.Option(
            "--drop",
            metavar="COLUMN",
            rich_help_panel=_HOW,
            help="A feature to drop; else those that an attack leans on.",
        ),
    ] = None,
    decimals: Annotated[
        int,
        typer.Option("--decimals", min=0, max=15, rich_help_panel=_HOW, help="Of answers."),
    ] = 1,
    labels_only: Annotated[
        bool,
        typer.Option("--labels-only", rich_help_panel=_HOW, help="Round to labels alone."),
    ] = False,
    control: Annotated[
        bool,
        typer.Option(
            "--control/--no-control",
            rich_help_panel=_HOW,
            help="Also fit anew with nothing changed: what that does, no way did.",
        ),
    ] = True,
    epsilon: Annotated[
        float | None,
        typer.Option(
            "--epsilon", rich_help_panel=_PRIVACY, help="All that it may cost each person."
        ),
    ] = None,
    delta: Annotated[
        float,
        typer.Option(
            "--delta", rich_help_panel=_PRIVACY, help="Chance that the promise fails, in all."
        ),
    ] = 1e-6,
    domain: Annotated[
        File,
        typer.Option(
            "--domain",
            metavar="FILE",
            rich_help_panel=_PRIVACY,
            help="Target, bounds and categories, as TOML.",
        ),
    ] = None,
    domain_from_data: Annotated[
        bool,
        typer.Option(
            "--domain-from-data",
            rich_help_panel=_PRIVACY,
            help="Read them off the data; epsilon does not cover it.",
        ),
    ] = False,
    subject: Annotated[
        str,
        typer.Option(
            "--subject",
            metavar="COLUMN",
            rich_help_panel=_PRIVACY,
            help="Says whose a row is; without it each row is protected by itself.",
        ),
    ] = "",
    keep: Annotated[
        File,
        typer.Option(
            "--keep",
            metavar="FILE",
            rich_help_panel=_OUTPUT,
            help="Keep there, and beside it, what is done, to go on after a break.",
        ),
    ] = None,
    html: Annotated[
        File,
        typer.Option(
            "--html", metavar="FILE", rich_help_panel=_OUTPUT, help="Before and after, as a page."
        ),
    ] = None,
    report: Annotated[
        File,
        typer.Option("--report", metavar="FILE", rich_help_panel=_OUTPUT, help="The same as JSON."),
    ] = None,
    force: Force = False,
    form: As = None,
    max_seconds: MaxSeconds = 0.0,
    trusted: Trusted = False,
    as_json: Json = False,
) -> None:
    """Train a model anew so that attacks gain less, and show it before and after.

    \b
    strongroom harden model/ --data train.csv --held-out test.csv --label outcome --way all -o hard/
    strongroom harden model/ --data train.csv --held-out test.csv --plan plan.toml \\
        --way regularised --html hard.html -o hard/
    strongroom attack model/ --data train.csv --held-out test.csv --label outcome --quarantine q.csv
    strongroom harden model/ --data train.csv --held-out test.csv --label outcome \\
        --without q.csv -o hard/

    The plan of `attack` runs on the model as it was and on each new one, with one seed. New models
    come out as ONNX, never as a pickle; what does not help is said to be so. Exit codes: 0 a way
    kept every gate, 6 none did, 1 nothing can be concluded.
    """  # noqa: D301 # Typer keeps the lines after \b as they are
    from strongroom.engines.robustness.hardening.ways import Options
    from strongroom.engines.robustness.target import OutputForm
    from strongroom.faces.cli.attack import AttackOptions
    from strongroom.faces.cli.harden import HardenOptions, run_harden
    from strongroom.faces.cli.promise_options import table_study

    study = table_study(form, max_seconds, trusted=trusted)
    attack = AttackOptions(
        study, data, held_out, plan, label, tuple(test or ()), rows, minutes, seed,
        tuple(left_out or ()),
    )  # fmt: skip
    answers = OutputForm(shows="labels") if labels_only else OutputForm(decimals=decimals)
    raise typer.Exit(
        run_harden(
            model,
            HardenOptions(
                study, data, held_out, tuple(way or ()), to, attack, recipe, without,
                Options(radius, rounds, tuple(drop or ())), answers, control, epsilon, delta,
                domain, domain_from_data, subject, html, report, keep, force=force, as_json=as_json,
            ),
        )
    )  # fmt: skip
