"""Options of the commands that promise something to each person: `query`, `train`, `synthesize`."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from strongroom.faces.cli.study import StudyOptions

PUBLIC = "What is publicly known"
PERSON = "One person"
"""Headings in the help."""

Table = Annotated[str, typer.Argument(metavar="FILE", help="A table, or `-`.")]
Epsilon = Annotated[
    float, typer.Option("--epsilon", help="All that it may cost each person; 1 is common.")
]
Delta = Annotated[
    float, typer.Option("--delta", help="Chance that the promise fails; below one in all.")
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
