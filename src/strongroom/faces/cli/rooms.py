"""Which room a command's first word belongs to; only what is written by hand is imported."""

import importlib
from dataclasses import dataclass
from typing import Any

import typer
import typer.core
import typer.main

_IDENTITY = "strongroom.gate.identity.operations"
_WORKSPACES = "strongroom.gate.workspaces.operations"


EXPORT_HOME = "audit-export-home"
"""What `audit export --home …` runs: it needs no server."""


@dataclass(frozen=True, slots=True)
class Room:
    """Where the commands that begin with one word are declared, and their heading in the help.

    Attributes:
        further: modules beside the first, where a word has rooms of their own.
        written: second words of commands that no operation declares, and the modules that have
            them as `command`.
    """

    module: str
    help: str
    further: tuple[str, ...] = ()
    written: tuple[tuple[str, str], ...] = ()


ROOMS = {
    "whoami": Room(_IDENTITY, "Show who you are."),
    "user": Room(_IDENTITY, "People and service identities."),
    "token": Room(_IDENTITY, "API keys."),
    "workspace": Room(_WORKSPACES, "Workspaces."),
    "key": Room("strongroom.gate.workspaces.keys", "The key of a workspace."),
    "role": Room(_WORKSPACES, "Who holds which role."),
    "access": Room(_WORKSPACES, "Who may do what, and why."),
    "data": Room(
        "strongroom.services.data.operations",
        "Datasets, their columns, views and releases; searching them for poison.",
        (
            "strongroom.services.data.release_operations",
            "strongroom.services.models.dataset_assessing_operations",
        ),
    ),
    "model": Room(
        "strongroom.services.models.operations",
        "Model versions, their checks and attacks on them; training with privacy.",
        (
            "strongroom.services.models.training_operations",
            "strongroom.services.models.assessing_operations",
            "strongroom.services.models.hardening_operations",
        ),
        (("import", "strongroom.faces.cli.model_import_command"),),
    ),
    "endpoint": Room(
        "strongroom.services.endpoints.operations",
        "Serving approved models, and guarding them.",
        ("strongroom.services.endpoints.guarding_operations",),
    ),
    "job": Room("strongroom.services.jobs.operations", "Work in the background."),
    "audit": Room("strongroom.services.compliance.operations", "The log and its proofs."),
}
"""A test walks all declared operations and fails where a word is missing here."""

SAME = {"ls": "list", "list": "ls"}
"""Other words for the same verb, understood but not shown."""


class RoomGroup(typer.core.TyperGroup):
    """The root command: a room's commands are built when its word is used."""

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:  # noqa: ANN401 # Typer's own types are private
        """The command for `args`; Typer calls this when it runs or completes one."""
        if args[:2] == ["audit", "export"] and any(a.partition("=")[0] == "--home" for a in args):
            return super().resolve_command(ctx, [EXPORT_HOME, *args[2:]])
        word = args[0] if args else ""
        if word in ROOMS:
            self.commands[word] = load(word)
        return super().resolve_command(ctx, args)


def load(word: str) -> Any:  # noqa: ANN401 # Typer's command type is private
    """The command or group for a word, derived from the declarations of its room."""
    from strongroom.faces.cli import forms
    from strongroom.faces.cli.derive import command_of

    app = typer.Typer(
        help=ROOMS[word].help, no_args_is_help=True, rich_markup_mode=None, add_completion=False
    )
    groups: dict[tuple[str, ...], typer.Typer] = {(): app}
    single = False
    for form in forms.forms():
        words = form.words.split()
        if words[0] != word:
            continue
        single = len(words) == 1
        for depth in range(1, len(words) - 1):
            path = tuple(words[1 : depth + 1])
            if path not in groups:
                groups[path] = typer.Typer(no_args_is_help=True, rich_markup_mode=None)
                groups[path[:-1]].add_typer(groups[path], name=path[-1])
        home = groups[tuple(words[1:-1])]
        run = command_of(form)
        home.command(words[-1], short_help=form.summary)(run)
        if words[-1] in SAME:
            home.command(SAME[words[-1]], hidden=True)(run)
    for second, module in ROOMS[word].written:
        app.command(second)(importlib.import_module(module).command)
    if not single:
        app.callback()(_nothing)
    return typer.main.get_command(app)


def _nothing() -> None:
    """Keeps Typer from taking a group of one command for that command."""


def stubs(app: typer.Typer) -> None:
    """Name every room in the help of `app`, without importing one."""
    for word, room in ROOMS.items():
        app.command(word, help=room.help, rich_help_panel="On a server")(_nothing)
