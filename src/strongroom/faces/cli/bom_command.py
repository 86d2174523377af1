"""The command `strongroom bom`."""

from pathlib import Path
from typing import Annotated

import typer


def bom(
    path: Annotated[Path, typer.Argument(metavar="PATH", help="Folder or file of the model.")],
    name: Annotated[
        str, typer.Option("--name", metavar="NAME", help="Of the model; else that of the folder.")
    ] = "",
    version: Annotated[
        str, typer.Option("--version", metavar="TEXT", help="Of the model, where it has one.")
    ] = "",
    follow_links: Annotated[
        bool, typer.Option("--follow-links", help="Take links to files for the files.")
    ] = False,
) -> None:
    """List what a model is made of: a bill of materials in CycloneDX 1.7, as JSON.

    Files with their digests, libraries it asks for, and what it states of itself. No code is run.
    """
    from strongroom.faces.cli.bom import run_bom

    run_bom(path, name=name, version=version, follows_links=follow_links)
