"""`strongroom scan`: the scanning engine over files and folders, without a server."""

import os
from collections import OrderedDict
from collections.abc import Iterable, Iterator
from contextlib import closing
from functools import partial
from importlib.metadata import version
from pathlib import Path

from strongroom.engines.scanning.findings import Report, Severity, Verdict
from strongroom.engines.scanning.models import SeekableOpener, scan_files
from strongroom.errors import UsageError
from strongroom.faces.cli import output

FINDINGS_EXIT_CODE = 6
NEVER = "never"
MAX_HANDLES = 32
MAX_READ_BYTES = 2**24


def run_scan(paths: list[Path], *, sarif: bool, fail_on: str, as_json: bool) -> int:
    """Scan, show the report, and give the exit code: 6 from `fail_on` on, else 0."""
    threshold = _threshold(fail_on)
    with closing(_Handles()) as handles:
        report = scan_files(_files(paths, handles))
    if sarif:
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


def _files(paths: Iterable[Path], handles: "_Handles") -> Iterator[tuple[str, SeekableOpener]]:
    for path in paths:
        if path.is_file():
            yield path.name, partial(_Opened, path, handles)
        elif path.is_dir():
            for file in sorted(_walk(path)):
                yield file.relative_to(path).as_posix(), partial(_Opened, file, handles)
        else:
            raise UsageError(f"there is nothing at `{path}`")


def _walk(folder: Path) -> Iterator[Path]:
    """Every file below, links not followed: they could lead out of the folder."""
    for base, folders, names in os.walk(folder, followlinks=False):
        folders.sort()
        for name in names:
            file = Path(base) / name
            if file.is_symlink():
                output.words(f"left out, for it is a link: {output.clean(str(file))}")
            elif file.is_file():
                yield file


class _Handles:
    """Open files by path, the few used last: the engine opens a file anew for each look at it."""

    def __init__(self) -> None:
        self._open: OrderedDict[Path, int] = OrderedDict()

    def get(self, path: Path) -> int:
        """A file descriptor of `path`, for reading at any place."""
        handle = self._open.pop(path, None)
        if handle is None:
            handle = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
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
