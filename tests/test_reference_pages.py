"""The reference pages list exactly what the code has: errors, settings, own commands.

`python -m tests.test_reference_pages` writes the generated parts anew.
"""

import importlib
import importlib.util
import pkgutil
from pathlib import Path
from typing import get_args

import pytest

from strongroom import settings
from strongroom.faces.api.openapi import every_error
from strongroom.faces.cli import rooms
from strongroom.settings import Settings

DOCS = Path(__file__).resolve().parents[1] / "docs"
_MARKS = ("<!-- generated: begin -->\n", "<!-- generated: end -->\n")


def import_rooms() -> None:
    """Rooms have errors of their own."""
    for parent in ("strongroom.gate", "strongroom.services"):
        package = importlib.import_module(parent)
        for found in pkgutil.iter_modules(package.__path__, f"{parent}."):
            if found.ispkg and importlib.util.find_spec(f"{found.name}.operations"):
                importlib.import_module(f"{found.name}.operations")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def errors_table() -> str:
    import_rooms()
    rows = ["| code | status | exit | when | what to do |", "|---|---|---|---|---|"]
    for kind in sorted(every_error(), key=lambda kind: (kind.status, kind.code, kind.__name__)):
        if kind.__name__ != "StrongroomError":
            when = (kind.__doc__ or "").split("\n")[0].rstrip(".")
            facts = f"`{kind.code}` | {kind.status} | {kind.exit_code}"
            rows += [f"| {facts} | {_cell(when)} | {_cell(kind.next_step)} |"]
    return "\n".join(rows) + "\n"


def settings_table() -> str:
    rows = ["| setting | variable | default | meaning |", "|---|---|---|---|"]
    defaults = Settings()
    for name, hint in settings.declared().items():
        value = getattr(defaults, name)
        shown = f"`{value}`" if str(value) else "empty"
        rows.append(
            f"| `{name}` | `STRONGROOM_{name.upper()}` | {shown} | {_cell(get_args(hint)[1])} |"
        )
    return "\n".join(rows) + "\n"


PAGES = {
    "errors.md": errors_table,
    "settings.md": settings_table,
}


def _generated(page: str) -> tuple[str, str, str]:
    text = (DOCS / page).read_text("utf-8")
    before, _, rest = text.partition(_MARKS[0])
    part, _, after = rest.partition(_MARKS[1])
    assert rest
    assert after is not None
    return before, part, after


@pytest.mark.parametrize("page", PAGES)
def test_the_generated_part_is_as_the_code(page: str) -> None:
    assert _generated(page)[1] == PAGES[page](), "run `python -m tests.test_reference_pages`"


def test_own_commands_are_on_the_page() -> None:
    from typer.main import get_command

    from strongroom.faces.cli.app import app

    text = (DOCS / "cli.md").read_text("utf-8")
    for name in get_command(app).commands:  # type: ignore[attr-defined] # the root is a group
        if name not in rooms.ROOMS:
            assert f"`strongroom {name}" in text, name


if __name__ == "__main__":
    for name, table in PAGES.items():
        head, _, tail = _generated(name)
        (DOCS / name).write_text(head + _MARKS[0] + table() + _MARKS[1] + tail, "utf-8")
