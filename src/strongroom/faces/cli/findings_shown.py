"""Findings on a terminal, and as lines for other programs; names and shares, never a value."""

import os
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from strongroom.engines.privacy.discover.findings import ColumnFinding, Role
from strongroom.engines.privacy.report import wording
from strongroom.engines.privacy.report.contents import FileReport, Report, TableReport
from strongroom.faces.cli import output

if TYPE_CHECKING:
    from rich.text import Text

MAX_PLAIN = 40
"""Columns without a finding that a terminal is shown, of one table."""
MAX_SETS = 8
_MAX_FILES = 200
_MAX_TABLES = 50
_SIGNS = {Role.SECRET: "■", Role.DIRECT: "●", Role.SPECIAL: "▲", Role.QUASI: "◆", Role.PLAIN: "○"}
_COLOURS = {
    Role.SECRET: "cyan", Role.DIRECT: "red", Role.SPECIAL: "magenta", Role.QUASI: "yellow",
    Role.PLAIN: "bright_black",
}  # fmt: skip


def show(report: Report) -> None:
    """The report: tables where stdout is a terminal, else lines with tabs between."""
    if sys.stdout.isatty():
        _Shown(report).all()
    else:
        _lines(report)


def _lines(report: Report) -> None:
    rows = [
        {
            "file": wording.clean(file.path, wording.MAX_PATH),
            "table": wording.shown_name(table.name),
            "column": wording.shown_name(column.column),
            "type": column.type,
            "role": wording.role_of_column(column).value,
            "confidence": round(column.confidence, 2),
            "inside": inside(column, report.titles),
            "why": why(column),
        }
        for file in report.files
        for table in file.tables
        for column in table.findings.columns
    ]
    if rows:
        output.data(rows, as_json=False)
    output.words(wording.verdict(report))
    for file in report.files:
        for table in file.tables:
            output.words(f"{_place(file, table)}: {sample_words(table)}")
            for one in table.findings.quasi_identifiers[:MAX_SETS]:
                output.words(f"  {wording.alone_sentence(one)}")


def sample_words(table: TableReport) -> str:
    """The sample's guarantee in one sentence."""
    return wording.guarantee_sentence(table.findings.guarantee)


def why(column: ColumnFinding) -> str:
    """The evidence in words, each reason once."""
    reasons: dict[str, None] = {}
    for one in column.evidence:
        share = "" if one.share is None else f" ({wording.percent(one.share)})"
        reasons[f"{one.detail}{share}"] = None
    return "; ".join(reasons)


def inside(column: ColumnFinding, titles: Mapping[str, str]) -> str:
    """What stands inside free text, with the share of the values that hold it."""
    return ", ".join(
        f"{wording.type_title(name, titles)} {wording.percent(share)}"
        for name, share in wording.inside(column)
    )


def _place(file: FileReport, table: TableReport) -> str:
    path = wording.clean(file.path, wording.MAX_PATH)
    return f"{path}: {wording.shown_name(table.name)}" if table.name else path


class _Shown:
    """A report on a terminal."""

    def __init__(self, report: Report) -> None:
        from rich.console import Console

        self._report = report
        plain = bool(os.environ.get("NO_COLOR"))
        self._console: Console = Console(no_color=plain, highlight=False)

    def all(self) -> None:
        """Verdict; a summary where there are several files; then table after table."""
        from rich.text import Text

        self._console.print(Text(wording.verdict(self._report), style="bold"))
        if len(self._report.files) > 1:
            self._summary()
        tables = [(file, table) for file in self._report.files for table in file.tables]
        telling = [one for one in tables if wording.personal(one[1].findings)]
        shown = tables if len(self._report.files) == 1 else telling[:_MAX_TABLES]
        for file, table in shown:
            self._table(file, table)
        if len(telling) > len(shown):
            self._console.print(
                f"{len(telling) - len(shown)} more tables hold personal data: --json or --html "
                "shows all"
            )

    def _summary(self) -> None:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        table = Table(box=SIMPLE_HEAD, pad_edge=False)
        for name in ("file", "form", "columns", "personal", "types"):
            table.add_column(name, overflow="fold")
        files = sorted(self._report.files, key=lambda file: -_personal_count(file))
        for file in files[:_MAX_FILES]:
            columns = sum(len(one.findings.columns) for one in file.tables)
            table.add_row(
                Text(wording.clean(file.path, wording.MAX_PATH)), Text(file.form), str(columns),
                str(_personal_count(file)), self._types(file),
            )  # fmt: skip
        self._console.print(table)
        if len(files) > _MAX_FILES:
            self._console.print(f"{len(files) - _MAX_FILES} more files: --json shows all")

    def _types(self, file: FileReport) -> "Text":
        from rich.text import Text

        if file.problem:
            return Text(output.clean(file.problem), style="red")
        found: Counter[str] = Counter()
        roles: dict[str, Role] = {}
        for table in file.tables:
            for column in wording.personal(table.findings):
                for name, role in wording.types_of(column, self._report.titles):
                    found[name] += 1
                    roles[name] = role
        text = Text()
        for name, count in found.most_common(12):
            text.append(f"{_SIGNS[roles[name]]} ", style=_COLOURS[roles[name]])
            text.append(f"{name}{f' ({count})' if count > 1 else ''}  ")
        return text

    def _table(self, file: FileReport, table: TableReport) -> None:
        from rich.box import SIMPLE_HEAD
        from rich.table import Table
        from rich.text import Text

        columns, more = _chosen(table)
        self._console.print()
        if len(self._report.files) > 1 or table.name:
            self._console.print(Text(_place(file, table), style="bold"))
        has_inside = any(wording.inside(column) for column in columns)
        drawn = Table(box=SIMPLE_HEAD, pad_edge=False)
        heads = ["column", "holds", "role", "sure", *(["in its text"] if has_inside else []), "why"]
        for name in heads:
            drawn.add_column(name, overflow="fold", justify="right" if name == "sure" else "left")
        for column in columns:
            role = wording.role_of_column(column)
            style = "dim" if role is Role.PLAIN else ""
            cells = [
                Text(wording.shown_name(column.column)),
                Text(wording.type_title(column.type, self._report.titles) or "-"),
                Text(f"{_SIGNS[role]} {role.value}", style=_COLOURS[role]),
                Text(wording.percent(column.confidence) if column.type else ""),
                *([Text(inside(column, self._report.titles))] if has_inside else []),
                Text(why(column), style="dim"),
            ]
            drawn.add_row(*cells, style=style)
        self._console.print(drawn)
        if more:
            self._console.print(f"{more} more columns, nothing personal found: --json shows all")
        for one in table.findings.quasi_identifiers[:MAX_SETS]:
            sentence = wording.alone_sentence(one)
            self._console.print(Text.assemble(("◆ ", "yellow"), sentence))
        self._console.print(Text(sample_words(table), style="dim"))


def _personal_count(file: FileReport) -> int:
    return sum(len(wording.personal(table.findings)) for table in file.tables)


def _chosen(table: TableReport) -> tuple[Sequence[ColumnFinding], int]:
    """The columns to show in their order, and how many plain ones are left out."""
    columns = table.findings.columns
    plain = [column for column in columns if wording.role_of_column(column) is Role.PLAIN]
    if len(plain) <= MAX_PLAIN:
        return columns, 0
    kept = {id(column) for column in plain[:MAX_PLAIN]}
    left_out = {id(column) for column in plain} - kept
    chosen = [column for column in columns if id(column) not in left_out]
    return chosen, len(plain) - MAX_PLAIN
