"""Drift on a terminal, and as lines for other programs."""

import os
import sys
from collections.abc import Iterable
from typing import TYPE_CHECKING

from strongroom.engines.drift import model_wording, wording
from strongroom.engines.drift.findings import ColumnDrift, Report, Status
from strongroom.faces.cli import output

if TYPE_CHECKING:
    from rich.console import Console

SIGNS = {Status.DRIFTED: "▲", Status.MOVED: "◆", Status.STABLE: "●", Status.UNKNOWN: "○"}
_COLOURS = {
    Status.DRIFTED: "red", Status.MOVED: "yellow", Status.STABLE: "green",
    Status.UNKNOWN: "bright_black",
}  # fmt: skip
_ORDER = list(Status)
MAX_STABLE = 40
"""Columns without a change that a terminal is shown."""
_WIDE = 100
"""Characters a line from which figures have a place beside words, which name them too."""


def show(report: Report) -> None:
    """The report: a table where stdout is a terminal, else lines with tabs between."""
    if sys.stdout.isatty():
        _terminal(report)
    else:
        _lines(report)


def _lines(report: Report) -> None:
    output.data([_row(one) for one in report.columns], as_json=False)
    output.words(report.says)
    for words in _around(report):
        output.words(words)


def _row(found: ColumnDrift) -> dict[str, object]:
    row: dict[str, object] = {
        "column": wording.clean(found.name),
        "kind": found.kind.value,
        "status": found.status.value,
    }
    for name in wording.MEASURE_TITLES:
        value = found.measure(name)
        row[name] = None if value is None else round(value, 4)
    row["q_value"] = float(f"{found.q_value:.3g}") if found.test else None
    row["says"] = found.says
    return row


def _around(report: Report) -> Iterable[str]:
    """What is said beside the columns."""
    yield f"{report.rows[0]:,} rows of the reference, {report.rows[1]:,} current ones. " + (
        wording.power_says(report)
    )
    yield report.together_says
    yield from report.notes
    if report.movers:
        yield wording.movers_say(report.movers)
    for window in report.windows:
        yield f"{window.name}: {window.rows:,} rows: {wording.window_says(window)}"
    yield from (one.says for one in report.series)
    if report.attribution is not None:
        yield report.attribution.says
    yield from model_wording.model_says(report.model)
    for remark in report.remarks:
        yield f"note: {remark}"


def _terminal(report: Report) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console: Console = Console(no_color=bool(os.environ.get("NO_COLOR")), highlight=False)
    console.print(Text(report.says, style="bold"))
    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    is_wide = console.width >= _WIDE
    table.add_column("column", overflow="fold", max_width=28 if is_wide else 16)
    table.add_column("status", no_wrap=True)
    for title in ("JS", "Wasserstein", "PSI", "q") if is_wide else ():
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("what happened", overflow="fold", ratio=1)
    ordered = sorted(report.columns, key=lambda one: _ORDER.index(one.status))
    calm = [one for one in ordered if one.status in {Status.STABLE, Status.UNKNOWN}]
    hidden = len(calm) - MAX_STABLE
    shown = [one for one in ordered if one not in calm[MAX_STABLE:]] if hidden > 0 else ordered
    for one in shown:
        colour = _COLOURS[one.status]
        table.add_row(
            Text(wording.named(one)),
            Text(f"{SIGNS[one.status]} {one.status.value}", style=colour),
            *(_figures(one) if is_wide else ()),
            Text(one.says),
        )
    console.print(table)
    _rest(console, report, hidden)


def _figures(found: ColumnDrift) -> tuple[str, ...]:
    q = "" if not found.test else "<0.001" if found.q_value < 0.001 else f"{found.q_value:.2g}"
    distances = (_distance(found, name) for name in ("jensen_shannon", "wasserstein", "psi"))
    return (*distances, q)


def _distance(found: ColumnDrift, name: str) -> str:
    value = found.measure(name)
    return "" if value is None else f"{value:.3f}"


def _rest(console: "Console", report: Report, hidden: int) -> None:
    from rich.text import Text

    if hidden > 0:
        console.print(f"{hidden} more columns without a change: --json or --html shows all")
    for words in _around(report):
        console.print(Text(words))
