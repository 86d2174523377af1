"""The command `strongroom scan`: its arguments and options."""

from pathlib import Path
from typing import Annotated

import typer

from strongroom.faces.cli.options import Json

Paths = Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files or folders.")]
Advisories = Annotated[
    str,
    typer.Option(
        "--advisories",
        metavar="PATH",
        envvar="STRONGROOM_ADVISORIES",
        help="Folder or zip of OSV advisories, to look up requirements in.",
    ),
]
Allowed = Annotated[
    str,
    typer.Option(
        "--allow-licences",
        metavar="SPDX,...",
        envvar="STRONGROOM_LICENCES_ALLOWED",
        help="Licences that requirements may have; all others go to a person.",
    ),
]
Denied = Annotated[
    str,
    typer.Option(
        "--deny-licences",
        metavar="SPDX,...",
        envvar="STRONGROOM_LICENCES_DENIED",
        help="Licences that they may not have.",
    ),
]


def scan(
    paths: Paths,
    sarif: Annotated[bool, typer.Option("--sarif", help="Print SARIF 2.1.0.")] = False,
    fail_on: Annotated[
        str, typer.Option("--fail-on", help="Exit 6 from this severity on.", metavar="SEVERITY")
    ] = "medium",
    advisories: Advisories = "",
    allow_licences: Allowed = "",
    deny_licences: Denied = "",
    as_json: Json = False,
) -> None:
    """Scan model files for code that would run when they are loaded, without loading them.

    Also told: requirements with known vulnerabilities, secrets, personal data and tables that
    come with the model.
    """
    from strongroom.faces.cli.scan import run_scan

    code = run_scan(
        paths,
        sarif=sarif,
        fail_on=fail_on,
        as_json=as_json,
        advisories=advisories,
        allowed_licences=allow_licences,
        denied_licences=deny_licences,
    )
    raise typer.Exit(code)
