"""Options of the commands that promise something to each person: `query`, `train`, `synthesize`."""

from typing import TYPE_CHECKING, Annotated

import typer

from strongroom.errors import UsageError

if TYPE_CHECKING:
    from strongroom.faces.cli.study import StudyOptions

PUBLIC = "What is publicly known"
PERSON = "One person"
"""Headings in the help."""

Table = Annotated[str, typer.Argument(metavar="FILE", help="A table, or `-`.")]


def _above_zero(value: float) -> float:
    """What no command takes is a mistake in the command line; each knows its own largest."""
    if not value > 0:  # nor nan
        raise UsageError("--epsilon is a number above 0")
    return value


def chance(value: float) -> float:
    """A delta; as for `--epsilon`, each command knows its own range within."""
    if not 0 <= value < 1:
        raise UsageError("--delta is a number from 0 to below 1")
    return value


Epsilon = Annotated[
    float,
    typer.Option(
        "--epsilon", callback=_above_zero, help="All that it may cost each person; 1 is common."
    ),
]
Delta = Annotated[
    float,
    typer.Option(
        "--delta", callback=chance, help="Chance that the promise fails; below one in all."
    ),
]
SubjectColumn = Annotated[
    str,
    typer.Option(
        "--subject",
        metavar="COLUMN",
        rich_help_panel=PERSON,
        help="Says whose a row is; without it each row is protected by itself.",
    ),
]
RowsEach = Annotated[
    int, typer.Option("--rows", min=1, rich_help_panel=PERSON, help="Of a person that count.")
]


def table_study(form: str | None, max_seconds: float, *, trusted: bool) -> "StudyOptions":
    """How the one table of such a command is read: all of it."""
    from strongroom.faces.cli.study import study_options

    return study_options(form, None, "all", None, model=False, seconds=max_seconds, trusted=trusted)
