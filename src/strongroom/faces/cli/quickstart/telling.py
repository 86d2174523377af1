"""What the quickstart says while it works: steps, facts, how long each took."""

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from rich.console import Console
from rich.table import Table


class Teller:
    """Tells the steps to a person, and keeps what was found for `--json`.

    Words go to standard output, unless it is to hold JSON: then to standard error.
    """

    def __init__(self, *, as_json: bool) -> None:
        self._as_json = as_json
        self._console = Console(stderr=as_json, highlight=False, soft_wrap=True)
        self._started = time.monotonic()
        self.found: dict[str, Any] = {"steps": {}}

    @contextmanager
    def step(self, number: int, title: str) -> Iterator[None]:
        """One numbered step, timed."""
        self._console.print(f"\n[bold]{number}  {title}[/bold]")
        began = time.monotonic()
        yield
        seconds = time.monotonic() - began
        self._console.print(f"   [dim]{seconds:.1f} s[/dim]")
        self.found["steps"][str(number)] = round(seconds, 2)

    def fact(self, text: str) -> None:
        """Something that was done or seen."""
        self._console.print(f"   {text}", markup=False)

    def refused(self, who: str, text: str) -> None:
        """Something that was refused, as it should be."""
        self._console.print(f"   [green]refused[/green] {_plain(who)}: {_plain(text)}")

    def table(self, title: str, columns: list[str], rows: list[list[object]]) -> None:
        """A few rows, drawn as a table."""
        drawn = Table(*columns, title=title, title_justify="left", title_style="", expand=False)
        for row in rows:
            drawn.add_row(*("" if cell is None else _plain(str(cell)) for cell in row))
        self._console.print(drawn)

    def keep(self, **values: object) -> None:
        """Keep values for `--json` and for the tests that check each claim."""
        self.found.update(values)

    def last_words(self, lines: list[tuple[str, str]]) -> None:
        """How to go on: pairs of what and where."""
        seconds = time.monotonic() - self._started
        self.keep(seconds=round(seconds, 1))
        self._console.print(f"\n[bold]Done in {seconds:.0f} s.[/bold]")
        width = max(len(what) for what, _ in lines)
        for what, where in lines:
            self._console.print(f"   {what:<{width}}  {where}", markup=False)

    def finish(self) -> None:
        """Print what was kept, if JSON was asked for."""
        if self._as_json:
            sys.stdout.write(json.dumps(self.found, indent=1, sort_keys=True) + "\n")


def _plain(text: str) -> str:
    return text.replace("[", "\\[")
