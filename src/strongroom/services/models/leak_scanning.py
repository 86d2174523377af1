"""The scan of a model's files for an assessment: secrets and data of people, with a canary.

Robustness and scanning are engines that do not know each other; here the findings of one become
what a test of the other judges.
"""

import hashlib
import io
from base64 import b64encode
from collections.abc import Iterable

from strongroom.engines.robustness.leakage.tests import Scanned
from strongroom.engines.scanning.findings import Report
from strongroom.engines.scanning.models import scan_files
from strongroom.engines.scanning.reading import SeekableOpener

_SECRETS = ("SR-SEC-001", "SR-SEC-002")
_PERSONAL = ("SR-PII-001", "SR-PII-003", "SR-PII-004")


def scanned(files: Iterable[tuple[str, SeekableOpener]]) -> Scanned:
    """What the scan finds in them.

    Args:
        files: name, and what opens the file anew each time.
    """
    report = scan_files(files)
    places = sorted({one.file for one in report.findings if one.rule_id in _SECRETS})
    return Scanned(
        _count(report, _SECRETS), _count(report, _PERSONAL), tuple(places), _finds_a_key()
    )


def _count(report: Report, rules: tuple[str, ...]) -> int:
    return sum(finding.rule_id in rules for finding in report.findings)


def _finds_a_key() -> bool:
    """Whether a made-up key of a cloud is found in a text; it is nobody's."""
    made = b64encode(hashlib.sha256(b"a key that is nobody's").digest())[:40].decode()
    text = f"aws_secret_access_key = {made}\n".encode()
    return _count(scan_files([("canary.txt", lambda: io.BytesIO(text))]), _SECRETS) > 0
