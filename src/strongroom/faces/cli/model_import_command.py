"""The command `model import`: its options and help. The work is done in `model_import.py`."""

from pathlib import Path
from typing import Annotated

import typer

from strongroom.faces.cli.options import Ca, Json, Profile, Server, Workspace
from strongroom.services.models.import_types import ImportForm


def command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="Of the model, on the server.")],
    path: Annotated[
        Path, typer.Argument(metavar="PATH", help="A folder, or a tar that is not compressed.")
    ],
    form: Annotated[
        ImportForm | None, typer.Option("--form", help="Else by what lies there.")
    ] = None,
    reference: Annotated[
        str, typer.Option("--reference", help="Of the manifest, in an OCI layout of several.")
    ] = "",
    send_all: Annotated[
        bool, typer.Option("--send-all", help="Also what other versions have that you may pull.")
    ] = False,
    workspace: Workspace = None,
    as_json: Json = False,
    server: Server = None,
    profile: Profile = None,
    ca: Ca = None,
) -> None:
    """Import a model as a new version: an MLflow folder, a Hugging Face folder, an OCI layout.

    It is quarantined and checked like any other. Run again after a break, it sends only what has
    not come; what came is kept for a day.
    """
    from strongroom.faces.cli.model_import import run_import

    run_import(
        name, path, form=form, reference=reference, reuse=not send_all,
        connection=(server, profile, ca, workspace), as_json=as_json,
    )  # fmt: skip
