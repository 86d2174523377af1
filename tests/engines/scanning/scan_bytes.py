"""Shorthand of the scanning tests: scan bytes as files."""

import io
from collections.abc import Mapping
from functools import partial

from strongroom.engines.scanning.findings import Report, Verdict
from strongroom.engines.scanning.models import scan_files
from strongroom.engines.scanning.reading import Limits


def scan(data: bytes, name: str = "model.bin", limits: Limits | None = None) -> Report:
    """Scans one file."""
    return scan_files([(name, lambda: io.BytesIO(data))], limits)


def scan_folder(files: Mapping[str, bytes]) -> Report:
    """Scans several files of one model."""
    return scan_files([(name, partial(io.BytesIO, data)) for name, data in files.items()])


def rules(report: Report) -> set[str]:
    """Rule ids of the findings."""
    return {finding.rule_id for finding in report.findings}


def assert_malicious(data: bytes, rule_id: str | None = None, name: str = "model.bin") -> Report:
    """Fails unless the scan finds an attack, and of this rule if one is given."""
    report = scan(data, name)
    assert report.verdict is Verdict.MALICIOUS, report.findings
    if rule_id is not None:
        assert rule_id in rules(report), report.findings
    return report


def assert_clean(data: bytes, name: str = "model.bin") -> Report:
    """Fails unless the scan finds nothing."""
    report = scan(data, name)
    assert report.verdict is Verdict.CLEAN, report.findings
    assert report.findings == ()
    return report
