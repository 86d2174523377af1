"""`strongroom discover`: what files and folders hold about people; without a server."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO

from strongroom.engines.privacy.discover.custom import CustomType
from strongroom.engines.privacy.discover.findings import ColumnFinding, Role
from strongroom.engines.privacy.discover.rules.registry import RULES_BY_NAME
from strongroom.engines.privacy.report import wording
from strongroom.engines.privacy.report.contents import FileReport, LeftOut, Report, TableReport
from strongroom.engines.privacy.report.document import report_json
from strongroom.engines.reading.sniffing import is_other_kind
from strongroom.engines.reading.types import SEEKABLE, Form, Unread
from strongroom.errors import StrongroomError, UsageError
from strongroom.faces.cli import findings_shown, output
from strongroom.faces.cli.drafts import draft, ending_cleanly, require_apart, require_free
from strongroom.faces.cli.files import (
    STDIN,
    STDIN_SHOWN,
    NotRead,
    OpenedFile,
    WalkLimits,
    stdin_file,
    stdin_stream,
    walk,
)
from strongroom.faces.cli.study import StudyOptions, TableStudy, study

if TYPE_CHECKING:
    from strongroom.faces.cli.masking import Masking

FINDINGS_EXIT_CODE = 6
NEVER = "never"
ANY = "any"
SURE = 0.8
"""Confidence from which a finding fails a run, unless --min-confidence says otherwise: fewer
false alarms than all that is shown."""


@dataclass(frozen=True, slots=True)
class DiscoverOptions:
    """What was asked for.

    Attributes:
        fail_on: roles and types, with commas between, that end the run with exit code 6.
        min_confidence: of findings that are shown and that fail a run; None: all that the engine
            reports are shown, and those from `SURE` on fail.
        html: where to write the page with pictures.
        masking: whose effect the page shows.
    """

    study: StudyOptions
    limits: WalkLimits
    fail_on: str
    min_confidence: float | None
    html: Path | None
    force: bool
    masking: "Masking | None"
    as_json: bool


def run_discover(paths: list[Path], options: DiscoverOptions) -> int:
    """Look, show, and give the exit code: 6 above the threshold, 1 for files unread, else 0."""
    fails = _Threshold(options.fail_on, options.min_confidence, options.study.custom)
    if options.html is not None:
        require_free(options.html, force=options.force)
        require_apart([options.html], paths)
    with ending_cleanly():
        discovery = _Discovery(paths, options)
        report, problems = discovery.report()
        if options.html is not None:
            write_page(report, options.html, force=options.force)
    if options.as_json:
        output.data(report_json(report), as_json=True)
    else:
        findings_shown.show(report)
    for remark in discovery.remarks:
        output.words(output.clean(remark))
    _say_unread(report)
    if fails.met(report):
        return FINDINGS_EXIT_CODE
    return 1 if problems or not report.files else 0


def write_page(report: Report, to: Path, *, force: bool) -> None:
    """The page with pictures."""
    from strongroom.engines.privacy.report.page import report_page

    made = f"Made on {datetime.now(UTC):%Y-%m-%d %H:%M} UTC by strongroom {version('strongroom')}."
    with draft(to, force=force) as file:
        file.write(report_page(report, made=made).encode())
    output.words(f"report: {output.clean(str(to))}")


def _say_unread(report: Report) -> None:
    for file in report.files:
        if file.problem:
            path = wording.clean(file.path, wording.MAX_PATH)
            how = "not read to its end" if file.tables else "not read"
            output.words(output.clean(f"{how}: {path}: {file.problem}"))
    for one in report.left_out:
        path = wording.clean(one.path, wording.MAX_PATH)
        output.words(output.clean(f"left out: {path}: {one.reason}"))
    if not report.files:
        output.words("there was nothing that could be read")


class _Threshold:
    """Which findings end the run with exit code 6."""

    def __init__(
        self, text: str, min_confidence: float | None, custom: Iterable[CustomType]
    ) -> None:
        self._least = SURE if min_confidence is None else min_confidence
        self._names = frozenset(name.strip().lower() for name in text.split(",")) - {"", NEVER}
        roles = {role.value for role in wording.PERSONAL}
        types = {*RULES_BY_NAME, *(one.name for one in custom)}
        if unknown := sorted(self._names - roles - types - {ANY}):
            raise UsageError(
                f"--fail-on does not know `{unknown[0]}`",
                next_step=f"give {', '.join(roles)}, {ANY}, {NEVER}, or names of types",
            )

    def met(self, report: Report) -> bool:
        """Whether the report holds such a finding."""
        return any(
            self._fails(column)
            for file in report.files
            for table in file.tables
            for column in table.findings.columns
        )

    def _fails(self, column: ColumnFinding) -> bool:
        roles = wording.roles_inside(column)
        held = [(name, roles[name]) for name, _ in wording.telling_inside(column)]
        if column.type is not None and column.confidence >= self._least:
            held.append((column.type, column.role))
        return any(
            name in self._names
            or role.value in self._names
            or (ANY in self._names and role is not Role.PLAIN)
            for name, role in held
        )


class _Discovery:
    """One run over paths."""

    def __init__(self, paths: list[Path], options: DiscoverOptions) -> None:
        self._paths = paths
        self._options = options
        self._left_out: list[LeftOut] = []
        self._problems = 0
        self.remarks: list[str] = []

    def report(self) -> tuple[Report, int]:
        """The findings of all files, and how many could not be read as they should."""
        files: list[FileReport] = []
        with output.working("looking") as self._tell:
            for found in self._found():
                if isinstance(found, NotRead):
                    self._left_out.append(LeftOut(found.shown, found.reason))
                    self._problems += found.is_problem
                    continue
                looked = self._look(found)
                if looked is not None:
                    files.append(looked)
        if len(self._paths) == 1:
            name = str(self._paths[0])
            title = STDIN_SHOWN if name == STDIN else Path(name).resolve().name or name
        else:
            title = f"{len(self._paths)} paths"
        titles = {one.name: one.title for one in self._options.study.custom}
        return Report(title, tuple(files), tuple(self._left_out), titles), self._problems

    def _found(self) -> Iterator[OpenedFile | NotRead | None]:
        """Files below the paths; None for stdin."""
        for path in self._paths:
            if str(path) == STDIN:
                yield None
            else:
                yield from walk([path], self._options.limits)

    def _look(self, found: OpenedFile | None) -> FileReport | None:
        """One file; None where it is of no kind that is read, which is no problem in a folder."""
        name = found.shown if found is not None else STDIN_SHOWN
        handle: BinaryIO | Iterable[bytes]
        if found is not None:
            handle = found.handle
        else:
            whole = self._options.study.form in SEEKABLE
            handle = stdin_file(self._options.limits) if whole else stdin_stream()
        tables: list[TableReport] = []
        form, problem = "", ""

        def unread(one: Unread) -> None:
            self._left_out.append(LeftOut(one.name, one.error.message))
            self._problems += not is_other_kind(one.error, one.name)

        try:
            watch = partial(self._tell, name)
            looking = study(handle, _short(found), self._options.study, unread=unread, watch=watch)
            for looked in looking:
                form = form or looked.form.value
                tables.append(self._table(looked))
                self.remarks += [f"{name}: {remark}" for remark in looked.remarks]
        except StrongroomError as error:
            if not tables and self._is_other_kind(found, error):
                self._left_out.append(LeftOut(name, error.message))
                return None
            problem = error.message
            self._problems += 1
        return FileReport(name, form, tuple(tables), problem)

    def _is_other_kind(self, found: OpenedFile | None, error: StrongroomError) -> bool:
        """In a folder pictures and empty files are no fault; what was given by name is."""
        if found is None or any(str(path) == found.shown for path in self._paths):
            return False
        return self._options.study.form is Form.AUTO and is_other_kind(error, found.shown)

    def _table(self, looked: TableStudy) -> TableReport:
        findings = looked.findings
        least = self._options.min_confidence
        if least is not None:
            findings = wording.surer_than(findings, least)
        effect = None
        if self._options.masking is not None:
            from strongroom.faces.cli.masking import effect_of

            effect = effect_of(looked, self._options.masking)
        return TableReport(looked.name, findings, effect)


def _short(found: OpenedFile | None) -> str:
    return found.inside.name if found is not None else STDIN_SHOWN
