"""Options that `attack` and `harden` share: the rows, and what is tried on the model."""

from pathlib import Path
from typing import Annotated

import typer

ROWS = "Rows"
TRIED = "What is tried"

HeldOut = Annotated[
    str,
    typer.Option("--held-out", metavar="FILE", rich_help_panel=ROWS, help="Rows it never saw."),
]
LabelColumn = Annotated[
    str,
    typer.Option(
        "--label", metavar="COLUMN", rich_help_panel=ROWS, help="What the model predicts."
    ),
]
LeftOut = Annotated[
    list[str] | None,
    typer.Option(
        "--leave-out",
        metavar="COLUMN",
        rich_help_panel=ROWS,
        help="A column that does not go into the model.",
    ),
]
PlanFile = Annotated[
    Path | None,
    typer.Option(
        "--plan", metavar="FILE", rich_help_panel=TRIED,
        help="Tests, gates, and what may change, as TOML.",
    ),
]  # fmt: skip
Tests = Annotated[
    list[str] | None,
    typer.Option("--test", metavar="ID", rich_help_panel=TRIED, help="Run this test; else all."),
]
AttackedRows = Annotated[
    int | None,
    typer.Option("--rows", min=1, rich_help_panel=TRIED, help="Each test attacks so many."),
]
Seed = Annotated[
    int | None,
    typer.Option("--seed", min=0, rich_help_panel=TRIED, help="Same seed, same outcome."),
]
