"""The command `attack`: its options and help. The work is done elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

from strongroom.errors import UsageError
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
from strongroom.faces.cli.options import Json, Profile, Server, Workspace
from strongroom.faces.cli.privacy_commands import As, Force, MaxSeconds, Trusted

_IMAGES = "Images"
_ADDRESS = "A model behind an address"
_SELF = "A running server"
_OUTPUT = "Output"

File = Path | None


def attack(
    model: Annotated[
        str,
        typer.Argument(
            metavar="MODEL",
            help="A model's file or folder, or the https address of one that answers; none yet: "
            "--data alone is searched for poison.",
        ),
    ] = "",
    data: Annotated[
        str,
        typer.Option(
            "--data", metavar="FILE", rich_help_panel=ROWS, help="Rows it was trained on; or .npz."
        ),
    ] = "",
    held_out: HeldOut = "",
    label: LabelColumn = "",
    left_out: LeftOut = None,
    plan: PlanFile = None,
    draft_plan: Annotated[
        File,
        typer.Option(
            "--draft-plan",
            metavar="FILE",
            rich_help_panel=TRIED,
            help="Write a plan to edit; attack nothing.",
        ),
    ] = None,
    test: Tests = None,
    rows: AttackedRows = None,
    minutes: Annotated[
        float | None,
        typer.Option(
            "--minutes", min=0.01, rich_help_panel=TRIED, help="Of processor time, for all tests."
        ),
    ] = None,
    seed: Seed = None,
    norm: Annotated[
        str,
        typer.Option(
            "--norm", metavar="l2|linf", rich_help_panel=TRIED, help="Of distances in evasion."
        ),
    ] = "",
    distance: Annotated[
        float | None,
        typer.Option(
            "--distance",
            rich_help_panel=TRIED,
            help="That the model should stand, a share of ranges; 0.1 where nothing is said.",
        ),
    ] = None,
    tolerance: Annotated[
        float | None,
        typer.Option(
            "--tolerance",
            rich_help_panel=TRIED,
            help="Of a regression: a larger change of an answer is a wrong one.",
        ),
    ] = None,
    image_shape: Annotated[
        str,
        typer.Option(
            "--image-shape",
            metavar="28x28x1",
            rich_help_panel=_IMAGES,
            help="Each row is an image; its columns are the cells in the model's order.",
        ),
    ] = "",
    image_range: Annotated[
        str,
        typer.Option(
            "--image-range", metavar="0:255", rich_help_panel=_IMAGES, help="Of every cell."
        ),
    ] = "",
    show_images: Annotated[
        int,
        typer.Option(
            "--show-images",
            min=0,
            max=20,
            rich_help_panel=_IMAGES,
            help="So many stand in the report, before and after: values of rows, so none else.",
        ),
    ] = 0,
    epsilon: Annotated[
        float | None,
        typer.Option(
            "--epsilon",
            min=0.0,
            rich_help_panel=TRIED,
            help="That the model claims; else as its record says. Audited.",
        ),
    ] = None,
    key_file: Annotated[
        File,
        typer.Option(
            "--key-file", metavar="FILE", rich_help_panel=_ADDRESS, help="Holds the bearer key."
        ),
    ] = None,
    ca: Annotated[
        File,
        typer.Option(
            "--ca",
            metavar="FILE",
            rich_help_panel=_ADDRESS,
            help="Certificate authority to trust.",
        ),
    ] = None,
    rows_each: Annotated[
        int,
        typer.Option(
            "--rows-each", min=1, max=10_000, rich_help_panel=_ADDRESS, help="Rows in one request."
        ),
    ] = 100,
    itself: Annotated[
        bool,
        typer.Option(
            "--self", rich_help_panel=_SELF, help="Attack a running server in the place of a model."
        ),
    ] = False,
    server: Server = None,
    profile: Profile = None,
    workspace: Workspace = None,
    other_workspace: Annotated[
        str,
        typer.Option(
            "--other-workspace",
            metavar="NAME",
            rich_help_panel=_SELF,
            help="One in which the key is good for nothing.",
        ),
    ] = "",
    keep: Annotated[
        File,
        typer.Option(
            "--keep",
            metavar="FILE",
            rich_help_panel=_OUTPUT,
            help="Keep there what is done, to go on after a break.",
        ),
    ] = None,
    quarantine: Annotated[
        File,
        typer.Option(
            "--quarantine",
            metavar="FILE",
            rich_help_panel=_OUTPUT,
            help="Training rows to look at, as CSV to edit.",
        ),
    ] = None,
    report: Annotated[
        File,
        typer.Option(
            "--output", "-o", metavar="FILE", rich_help_panel=_OUTPUT, help="The report as JSON."
        ),
    ] = None,
    html: Annotated[
        File,
        typer.Option(
            "--html", metavar="FILE", rich_help_panel=_OUTPUT, help="The report with pictures."
        ),
    ] = None,
    sign: Annotated[
        str | None,
        typer.Option(
            "--sign", metavar="KEY", rich_help_panel=_OUTPUT,
            help="Sign the report: a private key in PEM, or the URI of one in a device.",
        ),
    ] = None,
    passphrase_file: Annotated[
        str | None,
        typer.Option(
            "--passphrase-file", metavar="FILE", rich_help_panel=_OUTPUT,
            help="Of the key; else it is asked for.",
        ),
    ] = None,
    force: Force = False,
    form: As = None,
    max_seconds: MaxSeconds = 0.0,
    trusted: Trusted = False,
    as_json: Json = False,
) -> None:  # fmt: skip
    """Attack a model and say how it did: evasion, poisoned data, membership, extraction, load.

    \b
    strongroom attack model/ --data train.csv --held-out test.csv --label outcome --html report.html
    strongroom attack model/ --label outcome --draft-plan plan.toml
    strongroom attack model/ --data train.csv --held-out test.csv --plan plan.toml
    strongroom attack --data train.csv --label outcome --quarantine q.csv     # before training
    strongroom attack net.onnx --held-out digits.npz --image-shape 8x8 --image-range 0:16
    strongroom attack https://host/endpoints/clinic/risk/score --held-out test.csv --label outcome

    strongroom attack --self --workspace clinic --other-workspace research

    The model runs in a sandbox, whatever its format. Every test plants something that it must
    find; one that misses it proves nothing. Exit codes: 6 a gate was not kept, 1 nothing can be
    concluded. `--self` asks a server for what it must refuse: paths that leave their place, code in
    models, what belongs to others; it leaves a rejected model version and some experiments there.
    """  # noqa: D301 # Typer keeps the lines after \b as they are
    if itself and sign is not None:
        raise UsageError("--sign is for the report of an attack on a model")
    if itself:
        from strongroom.faces.cli.self_attack.run import SelfOptions, run_self_attack
        from strongroom.faces.client.profiles import resolve

        found = resolve(
            name=profile, server=server, ca=str(ca) if ca else None, workspace=workspace
        )
        tests = tuple(test or ())
        raise typer.Exit(
            run_self_attack(
                SelfOptions(found, other_workspace, tests, report, html, force, as_json)
            )
        )
    if not (model or data or draft_plan):
        raise UsageError(
            "give the model to attack, --data FILE for rows before there is one, or --self for a "
            "running server"
        )
    from strongroom.faces.cli.attack import AttackOptions, run_attack
    from strongroom.faces.cli.attack_address import Address
    from strongroom.faces.cli.attack_rows import EvasionOptions
    from strongroom.faces.cli.promise_options import table_study

    study = table_study(form, max_seconds, trusted=trusted)
    raise typer.Exit(
        run_attack(
            model,
            AttackOptions(
                study, data, held_out, plan, label, tuple(test or ()), rows, minutes, seed,
                tuple(left_out or ()), epsilon, Address(key_file, ca, rows_each), keep, sign,
                passphrase_file, report, html, draft_plan, quarantine,
                EvasionOptions(image_shape, image_range, show_images, norm, distance, tolerance),
                force=force, as_json=as_json,
            ),
        )
    )  # fmt: skip
