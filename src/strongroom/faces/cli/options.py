"""Options that many commands share, and what they stand for."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from strongroom.errors import UsageError

if TYPE_CHECKING:
    from strongroom.faces.client.client import Client

CONNECTION = "Connection"

Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
Server = Annotated[
    str | None,
    typer.Option("--server", help="Address of the server.", rich_help_panel=CONNECTION,
                 metavar="URL"),
]  # fmt: skip
Profile = Annotated[
    str | None,
    typer.Option("--profile", help="Stored server and key to use.", rich_help_panel=CONNECTION,
                 metavar="NAME"),
]  # fmt: skip
Ca = Annotated[
    str | None,
    typer.Option("--ca", help="Certificate authority to trust.", rich_help_panel=CONNECTION,
                 metavar="FILE"),
]  # fmt: skip
Workspace = Annotated[
    str | None,
    typer.Option("--workspace", "-w", help="Workspace; else the profile's.",
                 rich_help_panel=CONNECTION, metavar="NAME"),
]  # fmt: skip
Home = Annotated[Path | None, typer.Option("--home", help="Home folder.", envvar="STRONGROOM_HOME")]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]


def connect(
    server: str | None, profile: str | None, ca: str | None, workspace: str | None
) -> "Client":
    """A client with a key.

    Raises:
        SignInError: there is no key.
    """
    from strongroom.faces.client.client import Client, require_key

    client = Client.connect(server, profile=profile, ca=ca, workspace=workspace)
    require_key(client.profile)
    return client


def confirm(what: str, *, yes: bool, doing: str) -> None:
    """Have the person type `what` again, for `doing` destroys it or cuts people off.

    Raises:
        UsageError: something else was typed, or nobody is there to type.
    """
    if yes:
        return
    if not sys.stdin.isatty():
        raise UsageError(
            f"`{doing}` on `{what}` must be confirmed, and nobody is there", next_step="add --yes"
        )
    sys.stderr.write(f"{doing}: type `{what}` to go on: ")
    sys.stderr.flush()
    if sys.stdin.readline().strip() != what:
        raise UsageError("not confirmed, nothing was done", next_step="type the name exactly")


def secret(name: str, file: str | None) -> str:
    """A secret from a file, from stdin (`-`), or typed unseen. Never from a flag.

    Raises:
        UsageError: there is none, and nobody to ask.
    """
    if file == "-":
        return sys.stdin.readline(65_536).strip()
    if file is not None:
        from strongroom.faces.client.profiles import secret_from_file

        return secret_from_file(file)
    if not sys.stdin.isatty():
        raise UsageError(
            f"the {name} is needed", next_step=f"give it by --{name.replace('_', '-')}-file FILE"
        )
    import getpass

    return getpass.getpass(f"{name.replace('_', ' ')}: ", stream=sys.stderr)
