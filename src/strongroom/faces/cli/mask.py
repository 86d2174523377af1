"""`strongroom mask`: a copy of files and folders without the personal data; without a server."""

from collections.abc import Iterator
from contextlib import nullcontext
from pathlib import Path, PurePosixPath

from strongroom.engines.privacy.report import wording
from strongroom.engines.privacy.report.contents import FileReport, LeftOut, Report
from strongroom.engines.reading.sniffing import is_other_kind
from strongroom.errors import ConflictError, StrongroomError, UsageError
from strongroom.faces.cli import output
from strongroom.faces.cli.discover import write_page
from strongroom.faces.cli.drafts import ending_cleanly, require_apart, require_free
from strongroom.faces.cli.files import (
    STDIN,
    STDIN_SHOWN,
    NotRead,
    OpenedFile,
    stdin_file,
    walk,
)
from strongroom.faces.cli.mask_file import FileMasking, MaskDone, MaskOptions

_SHOWN_UNMET = 10
_SHOWN_NAME = 100


def run_mask(path: str | None, options: MaskOptions) -> int:
    """Mask; the exit code: 1 where some files could not be masked, else 0."""
    if path is None:
        raise UsageError("what shall be masked?", next_step="give a file, a folder, or `-`")
    if options.html is not None:
        require_free(options.html, force=options.force)
        require_apart([options.html], [Path(path)] if path != STDIN else [])
    require_apart([options.html, None if options.explain else options.to], options.beside)
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
        self._say_unmet(done)
        if options.as_json and (options.to is not None or options.explain):
            shown = [
                {"input": one.shown, "outputs": one.outputs, "columns": one.columns,
                 "problem": one.problem} for one in done
            ]  # fmt: skip
            output.data({"policy": options.masking.name, "files": shown}, as_json=True)
        if not done:
            output.words("there was nothing that could be read")
        return 1 if self._problems or not done else 0

    def _say_unmet(self, done: list[MaskDone]) -> None:
        """Name what the policy names and nothing has: it may be misspelt, and so not be obeyed."""
        policy = self._options.masking.policy
        met = {name for one in done for name in one.met}
        tables = {name for one in done for name in one.tables}
        unmet = {f"column `{name}`" for name in policy.columns if name not in met}
        for table, columns in policy.tables.items():
            if table not in tables:
                unmet.add(f"table `{table}`")
            else:
                unmet |= {f"column `{name}` of {table}" for name in columns if name not in met}
        if done and unmet:
            shown = [output.clean(name[:_SHOWN_NAME]) for name in sorted(unmet)[:_SHOWN_UNMET]]
            more = f" and {len(unmet) - _SHOWN_UNMET} more" if len(unmet) > _SHOWN_UNMET else ""
            output.words(
                f"the policy names what is not there: {', '.join(shown)}{more}; is it spelt so?"
            )

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

    def _each(self) -> Iterator[MaskDone]:
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

    def _file(self, found: OpenedFile) -> MaskDone | None:
        """One file; an error in a folder is said and the others go on."""
        done = MaskDone(found.shown)
        try:
            FileMasking(found, self._options, done, self._is_folder, self._tell, self._report).run()
        except StrongroomError as error:
            if not self._is_folder:
                raise
            if is_other_kind(error, found.shown):
                self._left_out.append(LeftOut(found.shown, error.message))
                return None
            done.problem = error.message
            self._problems += 1
            output.words(output.clean(f"not masked: {found.shown}: {error.message}"))
        self._problems += bool(done.unread and not done.problem)
        return done

    def _report(self, report: FileReport, left_out: list[LeftOut]) -> None:
        self._reports.append(report)
        self._left_out.extend(left_out)
