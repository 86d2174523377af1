"""A report as one HTML page: no script, nothing loaded, everything escaped, no personal value."""

import hashlib
from base64 import b64encode
from collections import Counter
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from strongroom.engines.privacy.report import drawing, wording
from strongroom.engines.privacy.report.contents import FileReport, Report, TableReport
from strongroom.engines.privacy.report.pictures import TableDrawn, drawn_table

MAX_TABLES = 200
"""Tables that are shown in full; JSON has them all."""
MAX_LISTED = 500
_MAX_MAP_FILES, _MAX_MAP_TYPES = 60, 18

_HERE = Path(__file__).parent
DRAWING_CSS = (_HERE / "drawing.css").read_text(encoding="utf-8")
_CSS = "\n" + (_HERE / "page.css").read_text(encoding="utf-8") + DRAWING_CSS


def content_security_policy() -> str:
    """The page's own policy: its one style sheet by its hash, and nothing else."""
    digest = b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@dataclass(frozen=True, slots=True)
class _Section:
    """One table with its file, ready to be shown."""

    heading: str
    file: FileReport
    table: TableDrawn


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(
        percent=wording.percent,
        shown=wording.shown_name,
        sign=drawing.sign,
        path=lambda text: wording.clean(text, wording.MAX_PATH),
    )
    environment.globals.update(
        meter=drawing.meter, role_words={r.value: w for r, w in wording.ROLE_WORDS.items()}
    )
    return environment


def report_page(report: Report, *, made: str = "") -> str:
    """The page.

    Args:
        report: findings of any number of files.
        made: when and by what it was made, in words; the engine has no clock.
    """
    tables = [(file, table) for file in report.files for table in file.tables]
    sections = [
        _Section(_heading(file, table), file, drawn_table(table, report.titles))
        for file, table in tables[:MAX_TABLES]
    ]
    counts = wording.role_counts(table.findings for _, table in tables)
    context: dict[str, Any] = {
        "report": report,
        "verdict": wording.verdict(report),
        "made": made,
        "css": Markup(_CSS),  # noqa: S704 # our own file
        "policy": content_security_policy(),
        "inks": drawing.inks(),
        "counts": [(role.value, wording.ROLE_WORDS[role], count) for role, count in counts.items()],
        "sections": sections,
        "more_tables": len(tables) - len(sections),
        "overview": _overview(report) if len(report.files) > 1 else None,
        "problems": [file for file in report.files if file.problem][:MAX_LISTED],
        "left_out": report.left_out[:MAX_LISTED],
    }
    return _environment().get_template("page.html").render(context)


def _heading(file: FileReport, table: TableReport) -> str:
    path = wording.clean(file.path, wording.MAX_PATH)
    return f"{path}: {wording.shown_name(table.name)}" if table.name else path


@dataclass(frozen=True, slots=True)
class _Overview:
    """Files against types."""

    picture: Markup
    rows: list[dict[str, Any]]
    more_files: int
    more_types: int


def _overview(report: Report) -> _Overview:
    roles: dict[str, str] = {}
    found: dict[int, Counter[str]] = {}
    total: Counter[str] = Counter()
    for at, file in enumerate(report.files):
        found[at] = Counter()
        for table in file.tables:
            for column in table.findings.columns:
                for title, role in wording.types_of(column, report.titles):
                    found[at][title] += 1
                    roles[title] = role.value
        total.update(found[at])
    with_types = sorted(
        (at for at, types in found.items() if types), key=lambda at: (-len(found[at]), at)
    )
    top = [title for title, _ in total.most_common(_MAX_MAP_TYPES)]
    shown = with_types[:_MAX_MAP_FILES]
    counts = {
        (row, column): found[at][title]
        for row, at in enumerate(shown)
        for column, title in enumerate(top)
        if found[at][title]
    }
    names = [wording.clean(report.files[at].path, wording.MAX_PATH) for at in shown]
    types = [(title, roles[title]) for title in top]
    rows = [
        {
            "file": report.files[at].path,
            "form": report.files[at].form,
            "types": [(title, roles[title], count) for title, count in found[at].most_common()],
        }
        for at in with_types[:MAX_LISTED]
    ]
    return _Overview(
        drawing.heat_map(names, types, counts), rows,
        len(with_types) - len(shown), len(total) - len(top),
    )  # fmt: skip
