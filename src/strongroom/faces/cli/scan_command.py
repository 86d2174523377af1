"""The command `strongroom scan`: its arguments and options."""

from pathlib import Path
from typing import Annotated, Any

import typer

from strongroom.faces.cli.scan_options import (
    ADVISORIES,
    ALLOWED,
    DENIED,
    FAIL_ON,
    JSON,
    SARIF,
    ScanOption,
)


def _option(option: ScanOption) -> Any:  # noqa: ANN401 # what Typer's own function gives
    return typer.Option(
        option.name, metavar=option.metavar or None, envvar=option.envvar, help=option.help
    )


Paths = Annotated[list[Path], typer.Argument(metavar="PATH...", help="Files or folders.")]


def scan(
    paths: Paths,
    sarif: Annotated[bool, _option(SARIF)] = False,
    fail_on: Annotated[str, _option(FAIL_ON)] = FAIL_ON.default,
    advisories: Annotated[str, _option(ADVISORIES)] = ADVISORIES.default,
    allow_licences: Annotated[str, _option(ALLOWED)] = ALLOWED.default,
    deny_licences: Annotated[str, _option(DENIED)] = DENIED.default,
    as_json: Annotated[bool, _option(JSON)] = False,
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
