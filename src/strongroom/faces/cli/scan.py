"""`strongroom scan`: the scanning engine over files and folders, without a server."""

import os
import stat
import sys
import time
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from strongroom.engines.scanning.findings import Finding, Report, Severity, Verdict
from strongroom.engines.scanning.models import scan_files
from strongroom.engines.scanning.reading import SeekableOpener
from strongroom.errors import UsageError
from strongroom.faces.cli import output
from strongroom.services.models.spotting import knowledge

FINDINGS_EXIT_CODE = 6
NEVER = "never"
MAX_HANDLES = 32
MAX_READ_BYTES = 2**24
MAX_TOLD = 100
PROGRESS_SECONDS = 0.5


def run_scan(
    paths: list[Path],
    *,
    sarif: bool,
    fail_on: str,
    as_json: bool,
    advisories: str = "",
    allowed_licences: str = "",
    denied_licences: str = "",
) -> int:
    """Scan, show the report, and give the exit code: 6 from `fail_on` on, else 0."""
    threshold = _threshold(fail_on)
    known = knowledge(
        advisories=advisories,
        cache=_cache(),
        today=datetime.now(UTC).date(),
        allowed_licences=allowed_licences,
        denied_licences=denied_licences,
    )
    left_out: list[Finding] = []
    with closing(_Handles()) as handles, closing(_Progress()) as progress:
        files = _files(paths, handles, left_out)
        report = scan_files(files, knowledge=known, progress=progress)
    if left_out:
        report = replace(report, findings=(*report.findings, *left_out))
    if sarif:
        # Only here, for it takes as long to load as a small model to scan.
        from importlib.metadata import version

        output.data(report.to_sarif(version("strongroom")), as_json=True)
    elif as_json:
        output.data(report.to_json(), as_json=True)
    else:
        _show(report)
    if threshold is None:
        return 0
    # Nothing that could be scanned is no reason to pass.
    failed = report.verdict is Verdict.UNREADABLE or any(
        finding.severity >= threshold for finding in report.findings
    )
    return FINDINGS_EXIT_CODE if failed else 0


def _cache() -> Path:
    """Where the index of advisories is kept; the rest of a scan writes nothing."""
    base = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(base).expanduser() / "strongroom"


def _threshold(name: str) -> Severity | None:
    if name == NEVER:
        return None
    try:
        return Severity[name.upper()]
    except KeyError:
        known = ", ".join(severity.name.lower() for severity in Severity)
        raise UsageError(f"--fail-on is one of {known}, {NEVER}") from None


def _show(report: Report) -> None:
    output.words(f"{report.verdict}: {len(report.files)} files, {len(report.findings)} findings")
    rows = [
        {
            "severity": finding.severity.name.lower(),
            "rule": finding.rule_id,
            "file": finding.file if finding.offset is None else f"{finding.file}@{finding.offset}",
            "what": f"{finding.rule.title}: {finding.says}",
        }
        for finding in sorted(report.findings, key=lambda finding: -finding.severity)
    ]
    if rows:
        output.data(rows, as_json=False)
    for check in report.checks:
        output.words(f"{check.name}: {check.state}: {output.clean(check.says)}")


def _files(
    paths: Iterable[Path], handles: "_Handles", left_out: list[Finding]
) -> Iterator[tuple[str, SeekableOpener]]:
    for path in paths:
        if path.is_file():
            yield path.name, partial(_Opened, path.resolve(), handles)
        elif path.is_dir():
            for file in _walk(path, left_out):
                yield file.relative_to(path).as_posix(), partial(_Opened, file, handles)
        elif path.exists():
            raise UsageError(f"`{path}` is neither a file nor a folder")
        else:
            raise UsageError(f"there is nothing at `{path}`")


def _walk(folder: Path, left_out: list[Finding]) -> Iterator[Path]:
    """Every file below in a stable order, links not followed: they could lead out of the folder.

    Pipes and devices are not opened either: reading one may never end. What is left out could be
    anything to who loads the folder, so each is a finding; but not a link to what is scanned here
    under its own name.
    """
    for base, folders, names in os.walk(folder, onerror=_stop, followlinks=False):
        folders.sort()
        for name in folders:
            if (below := Path(base) / name).is_symlink():
                _leave_out(left_out, folder, below)
        for name in sorted(names):
            file = Path(base) / name
            if stat.S_ISREG(file.lstat().st_mode):
                yield file
            else:
                _leave_out(left_out, folder, file)


def _leave_out(left_out: list[Finding], folder: Path, path: Path) -> None:
    if len(left_out) > MAX_TOLD:
        return
    says = "is no ordinary file, and was left out"
    if path.is_symlink():
        if _stays_in(folder, path):
            return
        says = "is a link out of the folder, and was not followed"
    if len(left_out) == MAX_TOLD:
        says += "; so were more"
    name = output.clean(path.relative_to(folder).as_posix())
    left_out.append(Finding("SR-FMT-004", name, None, says))


def _stays_in(folder: Path, link: Path) -> bool:
    try:
        return link.resolve(strict=True).is_relative_to(folder.resolve())
    except (OSError, RuntimeError):  # it leads nowhere, or in a circle
        return False


def _stop(error: OSError) -> None:
    """A folder that cannot be listed could hold anything."""
    raise UsageError(f"`{error.filename}` cannot be read: {error.strerror}")


class _Progress:
    """Says on a terminal how far a long scan is."""

    def __init__(self) -> None:
        self._shown_at = time.monotonic()
        self._has_shown = False

    def __call__(self, done: int, count: int, name: str) -> None:
        """Before each file."""
        now = time.monotonic()
        if now - self._shown_at < PROGRESS_SECONDS or not sys.stderr.isatty():
            return
        self._shown_at, self._has_shown = now, True
        sys.stderr.write(f"\r\x1b[K{done:,} of {count:,}  {output.clean(name)[:60]}")
        sys.stderr.flush()

    def close(self) -> None:
        """Wipe the line."""
        if self._has_shown:
            sys.stderr.write("\r\x1b[K")


class _Handles:
    """Open files by path, the few used last: the engine opens a file anew for each look at it."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, int] = OrderedDict()

    def get(self, path: Path) -> int:
        """A file descriptor of `path`, for reading at any place."""
        handle = self._open.pop(path, None)
        if handle is None:
            # What was a file when it was listed may be a pipe now: opening it must not wait.
            flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOFOLLOW
            handle = os.open(path, flags)
            if not stat.S_ISREG(os.fstat(handle).st_mode):
                os.close(handle)
                raise OSError("no ordinary file any more")
        self._open[path] = handle
        if len(self._open) > MAX_HANDLES:
            os.close(self._open.popitem(last=False)[1])
        return handle

    def close(self) -> None:
        """Close them all."""
        while self._open:
            os.close(self._open.popitem()[1])


class _Opened:
    """One look at a file: a place in it, and nothing that would have to be closed."""

    def __init__(self, path: Path, handles: _Handles) -> None:
        self._path = path
        self._handles = handles
        self._at = 0

    def read(self, size: int = -1, /) -> bytes:
        """Up to `size` bytes from the present place."""
        if size < 0:
            size = os.fstat(self._handles.get(self._path)).st_size - self._at
        content = os.pread(self._handles.get(self._path), min(size, MAX_READ_BYTES), self._at)
        self._at += len(content)
        return content

    def seek(self, offset: int, whence: int = os.SEEK_SET, /) -> int:
        """Go to a place, counted as for any file."""
        base = {
            os.SEEK_SET: 0,
            os.SEEK_CUR: self._at,
            os.SEEK_END: os.fstat(self._handles.get(self._path)).st_size,
        }[whence]
        self._at = max(base + offset, 0)
        return self._at
