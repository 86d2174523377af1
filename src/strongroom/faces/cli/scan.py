"""`strongroom scan`: the scanning engine over files and folders, without a server."""

import os
from collections.abc import Iterable, Iterator
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import BinaryIO, cast

from strongroom.engines.scanning.findings import Report, Severity, Verdict
from strongroom.engines.scanning.models import SeekableOpener, scan_files
from strongroom.errors import UsageError
from strongroom.faces.cli import output

FINDINGS_EXIT_CODE = 6
NEVER = "never"


def run_scan(paths: list[Path], *, sarif: bool, fail_on: str, as_json: bool) -> int:
    """Scan, show the report, and give the exit code: 6 from `fail_on` on, else 0."""
    threshold = _threshold(fail_on)
    report = scan_files(_files(paths))
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


def _files(paths: Iterable[Path]) -> Iterator[tuple[str, SeekableOpener]]:
    for path in paths:
        if path.is_file():
            yield path.name, partial(_open, path)
        elif path.is_dir():
            for file in sorted(_walk(path)):
                yield file.relative_to(path).as_posix(), partial(_open, file)
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


def _open(path: Path) -> BinaryIO:
    return cast("BinaryIO", path.open("rb"))
