"""`strongroom mask`: a copy of files and folders without the personal data; without a server."""

import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import nullcontext
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path, PurePosixPath
from typing import BinaryIO

import pyarrow as pa

from strongroom.engines.privacy.mask.policy import Method
from strongroom.engines.privacy.report import wording
from strongroom.engines.privacy.report.contents import FileReport, LeftOut, Report, TableReport
from strongroom.engines.reading.types import COMPRESSED, Form, ReadTable, Unread
from strongroom.errors import (
    ConflictError,
    FormatError,
    StrongroomError,
    TableError,
    TruncatedError,
    UsageError,
)
from strongroom.faces.cli import explaining, masked_files, output
from strongroom.faces.cli.discover import write_page
from strongroom.faces.cli.drafts import draft, ending_cleanly, require_free
from strongroom.faces.cli.files import (
    STDIN,
    STDIN_SHOWN,
    NotRead,
    OpenedFile,
    WalkLimits,
    stdin_file,
    walk,
)
from strongroom.faces.cli.masking import Masking, effect_of
from strongroom.faces.cli.study import StudyOptions, TableStudy, inner_name, study, tables_of


@dataclass(frozen=True, slots=True)
class MaskOptions:
    """What was asked for.

    Attributes:
        to: file or folder; None: stdout.
        html: where to write the page of before and after.
        explain: show, and write nothing.
        show_values: with `explain`, also where stdout is no terminal.
    """

    study: StudyOptions
    limits: WalkLimits
    masking: Masking
    to: Path | None
    html: Path | None
    force: bool
    explain: bool
    show_values: bool
    as_json: bool


@dataclass(slots=True)
class _Done:
    """What became of one file."""

    shown: str
    outputs: list[str] = field(default_factory=list)
    columns: dict[str, str] = field(default_factory=dict)
    problem: str = ""


def run_mask(path: str | None, options: MaskOptions) -> int:
    """Mask; the exit code: 1 where some files could not be masked, else 0."""
    if path is None:
        raise UsageError("what shall be masked?", next_step="give a file, a folder, or `-`")
    if options.html is not None:
        require_free(options.html, force=options.force)
    vault = options.masking.vault
    with ending_cleanly(), vault.alone() if vault is not None else nullcontext():
        return _Run(path, options).all()


class _Run:
    """One run over a file, a folder or stdin."""

    def __init__(self, path: str, options: MaskOptions) -> None:
        self._path = path
        self._options = options
        self._is_folder = path != STDIN and Path(path).is_dir()
        self._reports: list[FileReport] = []
        self._left_out: list[LeftOut] = []
        self._problems = 0

    def all(self) -> int:
        """Everything, then what is to be said about it."""
        options = self._options
        if not options.explain:
            self._check_target()
            if options.masking.is_random:
                output.words("pseudonyms are under a random key: another run gives others")
        done = list(self._each())
        if options.html is not None:
            title = STDIN_SHOWN if self._path == STDIN else Path(self._path).resolve().name
            titles = {one.name: one.title for one in options.study.custom}
            report = Report(title, tuple(self._reports), tuple(self._left_out), titles)
            write_page(report, options.html, force=options.force)
        for one in self._left_out:
            path = wording.clean(one.path, wording.MAX_PATH)
            output.words(output.clean(f"left out: {path}: {one.reason}"))
        if options.as_json and (options.to is not None or options.explain):
            shown = [
                {"input": one.shown, "outputs": one.outputs, "columns": one.columns,
                 "problem": one.problem} for one in done
            ]  # fmt: skip
            output.data({"policy": options.masking.name, "files": shown}, as_json=True)
        if not done:
            output.words("there was nothing that could be read")
        return 1 if self._problems or not done else 0

    def _check_target(self) -> None:
        """Refuse what would be overwritten, before anything is read."""
        to = self._options.to
        if self._is_folder:
            source = Path(self._path).resolve()
            if to is None:
                raise UsageError("a folder is masked into a folder", next_step="give --output")
            target = to.resolve()
            if target == source or source in target.parents or target in source.parents:
                raise UsageError(
                    "the folder to write lies in the one to read, or around it",
                    next_step="give a folder elsewhere",
                )
            if to.exists() and not to.is_dir():
                raise ConflictError(f"`{to}` is there already, and is no folder")
            if to.is_dir() and any(to.iterdir()) and not self._options.force:
                raise ConflictError(
                    f"the folder `{to}` is not empty",
                    next_step="give another, or --force to replace what is there",
                )
        elif to is not None and not to.is_dir():
            require_free(to, force=self._options.force)

    def _each(self) -> Iterator[_Done]:
        quiet = self._options.explain or self._options.to is None
        with output.working("masking", quiet=quiet) as self._tell:
            for found in self._found():
                if isinstance(found, NotRead):
                    self._left_out.append(LeftOut(found.shown, found.reason))
                    self._problems += found.is_problem
                    continue
                done = self._file(found)
                if done is not None:
                    yield done

    def _found(self) -> Iterator[OpenedFile | NotRead]:
        if self._path != STDIN:
            yield from walk([Path(self._path)], self._options.limits)
            return
        held = stdin_file(self._options.limits)  # it is read twice
        yield OpenedFile(STDIN_SHOWN, PurePosixPath(STDIN_SHOWN), held, 0, (0, 0))

    def _file(self, found: OpenedFile) -> _Done | None:
        """One file; an error in a folder is said and the others go on."""
        done = _Done(found.shown)
        try:
            _OneFile(found, self._options, done, self._is_folder, self._tell, self._report).run()
        except StrongroomError as error:
            if not self._is_folder:
                raise
            if isinstance(error, FormatError) or (
                isinstance(error, TruncatedError) and not found.size
            ):
                self._left_out.append(LeftOut(found.shown, error.message))
                return None
            done.problem = error.message
            self._problems += 1
            output.words(output.clean(f"not masked: {found.shown}: {error.message}"))
        return done

    def _report(self, report: FileReport, left_out: list[LeftOut]) -> None:
        self._reports.append(report)
        self._left_out.extend(left_out)


class _OneFile:
    """One file on its way: looked at, then read again and masked."""

    def __init__(
        self,
        found: OpenedFile,
        options: MaskOptions,
        done: _Done,
        in_folder: bool,
        tell: Callable[[str, str, int], None],
        report: Callable[[FileReport, list[LeftOut]], None],
    ) -> None:
        self._found = found
        self._options = options
        self._done = done
        self._in_folder = in_folder
        self._tell = tell
        self._report = report
        self._unread: list[LeftOut] = []

    def run(self) -> None:
        """Look, then explain or write."""
        looked = list(
            study(self._found.handle, self._name, self._options.study, unread=self._note,
                  watch=partial(self._tell, self._found.shown))
        )  # fmt: skip
        self._report(self._reported(looked), self._unread)
        if self._options.explain:
            for one in looked:
                explaining.explain(self._found.shown, one, self._options.masking,
                                   show_values=self._options.show_values,
                                   as_json=self._options.as_json)  # fmt: skip
                self._count(one)
            return
        self._say_where_nothing_is_personal(looked)
        self._write(looked)

    @property
    def _name(self) -> str:
        return self._found.inside.name

    def _note(self, one: Unread) -> None:
        self._unread.append(LeftOut(one.name, one.error.message))

    def _reported(self, looked: list[TableStudy]) -> FileReport:
        tables = tuple(
            TableReport(
                one.name, one.findings,
                effect_of(one, self._options.masking) if self._options.html is not None else None,
            )
            for one in looked
        )  # fmt: skip
        return FileReport(self._found.shown, looked[0].form.value if looked else "", tables)

    def _say_where_nothing_is_personal(self, looked: list[TableStudy]) -> None:
        if looked and not any(
            wording.personal(one.findings) or any(wording.inside(c) for c in one.findings.columns)
            for one in looked
        ):
            shown = output.clean(self._found.shown)
            output.words(
                f"no personal data was found in {shown}: what is masked is so for its shape alone"
            )

    def _count(self, one: TableStudy) -> None:
        for mask in self._options.masking.plan(one).masks:
            place = f"{one.name}/{mask.column}" if one.name else mask.column
            self._done.columns[wording.shown_name(place)] = str(mask.rule.method)

    def _write(self, looked: list[TableStudy]) -> None:
        targets = self._targets(looked)
        self._found.handle.seek(0)
        again = tables_of(self._found.handle, self._name, self._options.study,
                          unread=lambda _one: None)  # fmt: skip
        if self._is_plain_text(looked):
            self._write_text(looked[0], targets[0])
            return
        for one, target, table in zip(looked, targets, again, strict=True):
            if table.schema != one.schema or inner_name(table, self._name) != one.name:
                raise TableError("the file has changed while it was read")
            self._write_table(one, table, target)

    def _is_plain_text(self, looked: list[TableStudy]) -> bool:
        """A text that lies there as it is: packed ones come as the rows that were read."""
        if len(looked) != 1 or looked[0].form not in masked_files.TEXTS or looked[0].name:
            return False
        return looked[0].encoding is not None and not _is_packed(self._found.handle)

    def _targets(self, looked: list[TableStudy]) -> list[Path | None]:
        """Where each table goes; None for stdout."""
        to, alone = self._options.to, len(looked) == 1
        if self._in_folder or (to is not None and to.is_dir()):
            assert to is not None  # noqa: S101 # a folder is masked into a folder
            inside = self._found.inside
            places = [
                masked_files.place_in_folder(inside, one.name, one.form, alone=alone)
                for one in looked
            ]
            return [to / place for place in _distinct(places)]
        if alone:
            return [to]
        if to is None or to.suffix.lower() in masked_files.BY_ENDING:
            raise UsageError(
                f"the file holds {len(looked)} tables", next_step="give a folder with --output"
            )
        inside = self._found.inside
        places = [
            masked_files.place_in_folder(inside, one.name, one.form, alone=False).relative_to(
                inside
            )
            for one in looked
        ]
        return [to / place for place in _distinct(places)]

    def _write_table(self, one: TableStudy, table: ReadTable, target: Path | None) -> None:
        masking = self._options.masking
        plan = masking.plan(one)
        form = masked_files.out_form(one.form, target)
        pieces = masked_files.table_bytes(masking.masked(table.batches, plan), plan.schema, form)
        if form in masked_files.TEXTS:
            pieces = _joined(masking.masked(table.batches, plan))
        self._put(pieces, target)
        self._count(one)
        if not self._in_folder:
            for mask in plan.masks:
                name = wording.shown_name(mask.column)
                output.words(f"  {name}: {mask.rule.method} ({mask.reason})")
        if any(mask.rule.method is Method.MASK_SPANS for mask in plan.masks):
            output.words("  in texts, what the finder misses stays in clear")

    def _write_text(self, one: TableStudy, target: Path | None) -> None:
        self._found.handle.seek(0)
        masker = self._options.masking.text_masker(one.form)
        pieces = masked_files.text_bytes(
            self._found.handle, one.encoding or "utf-8", masker, one.form,
            row_bytes=self._options.study.limits.row_bytes,
        )  # fmt: skip
        self._put(pieces, target)
        self._done.columns["text"] = str(Method.MASK_SPANS)
        if not self._in_folder:
            output.words(
                "what was found in the text is masked; what the finder misses stays in clear"
            )

    def _put(self, pieces: Iterator[bytes], target: Path | None) -> None:
        """To stdout, or to a file that appears when it is whole; tokens are kept before that."""
        vault = self._options.masking.vault
        if target is None:
            for piece in pieces:
                sys.stdout.buffer.write(piece)
            if vault is not None:
                vault.save()
            sys.stdout.buffer.flush()
            return
        self._refuse_input(target)
        with draft(target, force=self._options.force) as file:
            for piece in pieces:
                file.write(piece)
            if vault is not None:
                vault.save()
        self._done.outputs.append(str(target))

    def _refuse_input(self, target: Path) -> None:
        """The file that is read is only replaced by name and with --force; never through a link."""
        if self._options.force or not target.exists():
            return
        found = target.stat()
        if (found.st_dev, found.st_ino) == self._found.identity:
            raise ConflictError(
                f"`{target}` is the file that is masked", next_step="give another name"
            )


def _is_packed(file: BinaryIO) -> bool:
    from strongroom.engines.reading.sniffing import by_magic

    file.seek(0)
    form = by_magic(file.read(64))
    file.seek(0)
    return form in COMPRESSED or form is Form.ZIP


def _joined(batches: Iterable[pa.RecordBatch]) -> Iterator[bytes]:
    """Rows of one text column as lines."""
    for batch in batches:
        for text in batch.column(0).to_pylist():
            yield f"{text or ''}\n".encode()


def _distinct(places: list[PurePosixPath]) -> list[PurePosixPath]:
    """The places, a number in the names of those that would meet."""
    taken: set[PurePosixPath] = set()
    found = []
    for place in places:
        free, number = place, 2
        while free in taken:
            free = place.with_name(f"{place.stem}-{number}{place.suffix}")
            number += 1
        taken.add(free)
        found.append(free)
    return found
