"""What a scan says: findings, the verdict they add up to, and the report in JSON and SARIF.

A rule id is stable for ever: dashboards, waivers and audits name it. `RULES` is the whole list;
docs/scanning.md explains each one and a test holds the two together.
"""

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from hashlib import sha256
from typing import Any, Literal
from urllib.parse import quote

_SARIF_SCHEMA = "https://json.schemastore.org/sarif-2.1.0.json"


class Verdict(StrEnum):
    """What may happen to the artifact; only `CLEAN` may be approved."""

    CLEAN = "clean"
    REVIEW = "review"
    UNREADABLE = "unreadable"
    MALICIOUS = "malicious"


class Severity(IntEnum):
    """How bad it is, for sorting and for SARIF's `security-severity`."""

    INFO = 0
    LOW = 3
    MEDIUM = 5
    HIGH = 8
    CRITICAL = 9


@dataclass(frozen=True, slots=True)
class Rule:
    """One kind of finding.

    Attributes:
        id: stable identifier.
        title: what is wrong, a few words.
        verdict: what a single finding of this kind makes of the artifact.
        atlas: MITRE ATLAS technique.
    """

    id: str
    title: str
    severity: Severity
    verdict: Verdict
    atlas: str


UNSAFE_ARTIFACT = "AML.T0011.000"  # User Execution: Unsafe AI Artifacts
EMBEDDED_MALWARE = "AML.T0018.002"  # Manipulate AI Model: Embed Malware
SUPPLY_SOFTWARE = "AML.T0010.001"  # AI Supply Chain Compromise: AI Software
SUPPLY_MODEL = "AML.T0010.003"  # AI Supply Chain Compromise: Model
DENIAL = "AML.T0029"  # Denial of AI Service
MASQUERADING = "AML.T0074"  # Masquerading
CREDENTIALS = "AML.T0055"  # Unsecured Credentials
COLLECTION = "AML.T0035"  # AI Artifact Collection

_CLEAN, _REVIEW = Verdict.CLEAN, Verdict.REVIEW
_UNREADABLE, _MALICIOUS = Verdict.UNREADABLE, Verdict.MALICIOUS
_LOW, _MEDIUM = Severity.LOW, Severity.MEDIUM
_HIGH, _CRITICAL = Severity.HIGH, Severity.CRITICAL


def _rules(*rows: tuple[str, str, Severity, Verdict, str]) -> Mapping[str, Rule]:
    return {row[0]: Rule(*row) for row in rows}


RULES: Mapping[str, Rule] = _rules(
    # ---- pickle programs ----
    ("SR-PKL-001", "runs code", _CRITICAL, _MALICIOUS, EMBEDDED_MALWARE),
    ("SR-PKL-002", "reaches files, processes or network", _CRITICAL, _MALICIOUS, EMBEDDED_MALWARE),
    ("SR-PKL-003", "loads another pickle", _HIGH, _MALICIOUS, EMBEDDED_MALWARE),
    ("SR-PKL-004", "unknown callable", _MEDIUM, _REVIEW, UNSAFE_ARTIFACT),
    ("SR-PKL-005", "known callable, unknown use", _MEDIUM, _REVIEW, UNSAFE_ARTIFACT),
    ("SR-PKL-006", "name computed while loading", _HIGH, _MALICIOUS, EMBEDDED_MALWARE),
    ("SR-PKL-007", "changes a class, function or module", _CRITICAL, _MALICIOUS, EMBEDDED_MALWARE),
    ("SR-PKL-008", "extension code", _MEDIUM, _REVIEW, UNSAFE_ARTIFACT),
    ("SR-PKL-009", "persistent id outside a torch archive", _MEDIUM, _REVIEW, UNSAFE_ARTIFACT),
    ("SR-PKL-010", "not a whole pickle", _MEDIUM, _UNREADABLE, UNSAFE_ARTIFACT),
    ("SR-PKL-011", "pickle over a limit", _MEDIUM, _UNREADABLE, DENIAL),
    ("SR-PKL-012", "bytes after the last pickle", _MEDIUM, _REVIEW, MASQUERADING),
    ("SR-PKL-013", "pickle hidden in another file", _HIGH, _MALICIOUS, MASQUERADING),
    ("SR-PKL-014", "attribute makes the model read files", _MEDIUM, _REVIEW, UNSAFE_ARTIFACT),
    ("SR-PKL-015", "buffers kept outside the file", _MEDIUM, _REVIEW, UNSAFE_ARTIFACT),
    ("SR-PKL-016", "carries code of its own", _HIGH, _REVIEW, EMBEDDED_MALWARE),
    # ---- containers ----
    ("SR-ARC-001", "member leaves the folder", _HIGH, _MALICIOUS, EMBEDDED_MALWARE),
    ("SR-ARC-002", "link or device in the archive", _HIGH, _MALICIOUS, EMBEDDED_MALWARE),
    ("SR-ARC-003", "two members of one name", _HIGH, _MALICIOUS, MASQUERADING),
    ("SR-ARC-004", "archive over a limit", _MEDIUM, _UNREADABLE, DENIAL),
    ("SR-ARC-005", "archive cannot be read", _MEDIUM, _UNREADABLE, UNSAFE_ARTIFACT),
    ("SR-ARC-006", "headers disagree or hide bytes", _HIGH, _MALICIOUS, MASQUERADING),
    ("SR-ARC-007", "unknown compression or encrypted", _MEDIUM, _UNREADABLE, UNSAFE_ARTIFACT),
    # ---- data formats ----
    ("SR-NPY-001", "array file is malformed", _MEDIUM, _UNREADABLE, UNSAFE_ARTIFACT),
    ("SR-ONX-001", "tensor data outside the folder", _HIGH, _MALICIOUS, UNSAFE_ARTIFACT),
    ("SR-ONX-002", "operators of an unknown domain", _MEDIUM, _REVIEW, SUPPLY_SOFTWARE),
    ("SR-ONX-003", "ONNX file is malformed", _MEDIUM, _UNREADABLE, UNSAFE_ARTIFACT),
    ("SR-ONX-004", "tensor data is missing", _MEDIUM, _REVIEW, SUPPLY_MODEL),
    ("SR-STS-001", "safetensors header is malformed", _MEDIUM, _UNREADABLE, UNSAFE_ARTIFACT),
    ("SR-SKP-001", "skops file names an unknown type", _MEDIUM, _REVIEW, UNSAFE_ARTIFACT),
    ("SR-SKP-002", "skops schema is malformed", _MEDIUM, _UNREADABLE, UNSAFE_ARTIFACT),
    ("SR-GUF-001", "GGUF header is malformed", _MEDIUM, _UNREADABLE, UNSAFE_ARTIFACT),
    ("SR-GUF-002", "chat template reaches into Python", _CRITICAL, _MALICIOUS, EMBEDDED_MALWARE),
    ("SR-KER-001", "Keras file runs code when loaded", _CRITICAL, _MALICIOUS, EMBEDDED_MALWARE),
    ("SR-KER-002", "HDF5 or Keras file needs a person", _MEDIUM, _REVIEW, UNSAFE_ARTIFACT),
    ("SR-KER-003", "Keras configuration is malformed", _MEDIUM, _UNREADABLE, UNSAFE_ARTIFACT),
    ("SR-KER-004", "Keras layer reads a file when loaded", _HIGH, _MALICIOUS, EMBEDDED_MALWARE),
    ("SR-TOR-001", "TorchScript carries code", _MEDIUM, _REVIEW, UNSAFE_ARTIFACT),
    ("SR-TOR-002", "TorchScript reads or writes files", _HIGH, _MALICIOUS, EMBEDDED_MALWARE),
    ("SR-TOR-003", "TorchScript cannot be parsed", _MEDIUM, _UNREADABLE, UNSAFE_ARTIFACT),
    ("SR-HDF-001", "HDF5 reaches into other files", _HIGH, _MALICIOUS, UNSAFE_ARTIFACT),
    ("SR-HDF-002", "HDF5 needs a plugin or a person", _MEDIUM, _REVIEW, UNSAFE_ARTIFACT),
    ("SR-HDF-003", "HDF5 cannot be walked", _MEDIUM, _UNREADABLE, UNSAFE_ARTIFACT),
    ("SR-HDF-004", "HDF5 bytes that are not looked into", _LOW, _CLEAN, UNSAFE_ARTIFACT),
    ("SR-TFM-001", "graph reaches files or network", _CRITICAL, _MALICIOUS, EMBEDDED_MALWARE),
    ("SR-TFM-002", "graph calls Python", _HIGH, _REVIEW, EMBEDDED_MALWARE),
    ("SR-TFM-003", "operators that are not TensorFlow's own", _MEDIUM, _REVIEW, SUPPLY_SOFTWARE),
    ("SR-TFM-004", "asset outside the folder", _HIGH, _MALICIOUS, EMBEDDED_MALWARE),
    ("SR-TFM-005", "TensorFlow model is malformed", _MEDIUM, _UNREADABLE, UNSAFE_ARTIFACT),
    ("SR-TRE-001", "boosting model is not whole", _MEDIUM, _UNREADABLE, UNSAFE_ARTIFACT),
    ("SR-TPL-001", "template needs a person", _MEDIUM, _REVIEW, UNSAFE_ARTIFACT),
    ("SR-HUG-001", "configuration asks for code of its own", _MEDIUM, _REVIEW, EMBEDDED_MALWARE),
    ("SR-HUG-002", "configuration runs code", _CRITICAL, _MALICIOUS, EMBEDDED_MALWARE),
    # ---- MLflow folders ----
    ("SR-MLF-001", "loader outside the known list", _MEDIUM, _REVIEW, UNSAFE_ARTIFACT),
    ("SR-MLF-002", "brings its own code", _MEDIUM, _REVIEW, EMBEDDED_MALWARE),
    ("SR-MLF-003", "path leaves the model folder", _HIGH, _MALICIOUS, UNSAFE_ARTIFACT),
    ("SR-MLF-004", "requirement from elsewhere than the index", _MEDIUM, _REVIEW, SUPPLY_SOFTWARE),
    ("SR-MLF-005", "MLmodel cannot be read", _MEDIUM, _UNREADABLE, UNSAFE_ARTIFACT),
    # ---- what comes with a model ----
    ("SR-PKG-001", "requirement without one version", _LOW, _CLEAN, SUPPLY_SOFTWARE),
    ("SR-PKG-002", "name resembles a well-known package", _LOW, _CLEAN, SUPPLY_SOFTWARE),
    ("SR-PKG-003", "requirement that cannot be read", _MEDIUM, _REVIEW, SUPPLY_SOFTWARE),
    ("SR-PKG-004", "package known to be hostile", _CRITICAL, _MALICIOUS, SUPPLY_SOFTWARE),
    ("SR-PKG-005", "known vulnerability, high or critical", _HIGH, _REVIEW, SUPPLY_SOFTWARE),
    ("SR-PKG-006", "known vulnerability, medium or not rated", _MEDIUM, _REVIEW, SUPPLY_SOFTWARE),
    ("SR-PKG-007", "known vulnerability, low", _LOW, _CLEAN, SUPPLY_SOFTWARE),
    ("SR-PKG-008", "licence that the policy denies", _MEDIUM, _REVIEW, SUPPLY_SOFTWARE),
    ("SR-PKG-009", "licence not known, where a policy asks", _MEDIUM, _REVIEW, SUPPLY_SOFTWARE),
    ("SR-SEC-001", "secret in a file", _HIGH, _REVIEW, CREDENTIALS),
    ("SR-SEC-002", "private key in a file", _HIGH, _REVIEW, CREDENTIALS),
    ("SR-PII-001", "personal data in a file", _MEDIUM, _REVIEW, COLLECTION),
    ("SR-PII-002", "a trace of personal data", _LOW, _CLEAN, COLLECTION),
    ("SR-PII-003", "keeps rows of its training table", _MEDIUM, _REVIEW, COLLECTION),
    ("SR-PII-004", "table beside the model", _MEDIUM, _REVIEW, COLLECTION),
    # ---- any file ----
    ("SR-FMT-001", "format not recognised", _MEDIUM, _REVIEW, UNSAFE_ARTIFACT),
    ("SR-FMT-002", "code or machine code", _MEDIUM, _REVIEW, EMBEDDED_MALWARE),
    ("SR-FMT-003", "name and content disagree", _LOW, _CLEAN, MASQUERADING),
    ("SR-FMT-004", "could not be scanned", _MEDIUM, _UNREADABLE, UNSAFE_ARTIFACT),
    ("SR-FMT-005", "scan over its limits", _MEDIUM, _UNREADABLE, DENIAL),
    ("SR-FMT-006", "hostile file name", _HIGH, _MALICIOUS, MASQUERADING),
    ("SR-FMT-007", "two formats in one file", _HIGH, _MALICIOUS, MASQUERADING),
    ("SR-FMT-008", "two files that may be one", _MEDIUM, _REVIEW, MASQUERADING),
)  # fmt: skip

# From best to worst: the worst finding decides.
_ORDER = (Verdict.CLEAN, Verdict.REVIEW, Verdict.UNREADABLE, Verdict.MALICIOUS)


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing a person should know about one file.

    Attributes:
        rule_id: key of `RULES`.
        file: name of the file; members of archives follow after `!/`.
        offset: byte within that file (uncompressed member) where it stands, or None.
        says: what it would do, in words; lower case, no full stop.
        subject: the callable, member or path concerned, cut to 200 characters.
        length: how many bytes it is about, where that says something.
    """

    rule_id: str
    file: str
    offset: int | None
    says: str
    subject: str = ""
    length: int | None = None

    @property
    def rule(self) -> Rule:
        """The rule this finding is an instance of."""
        return RULES[self.rule_id]

    @property
    def severity(self) -> Severity:
        """Severity of the rule."""
        return self.rule.severity

    @property
    def verdict(self) -> Verdict:
        """What this finding alone makes of the artifact."""
        return self.rule.verdict


@dataclass(frozen=True, slots=True)
class FileReport:
    """One scanned file: what its content is, whatever its name says.

    Attributes:
        format: recognised format, such as `pickle`, `joblib+zlib`, `onnx`, `text`.
        data_only: True where no loader of this format runs code from the file.
    """

    name: str
    format: str
    data_only: bool
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was looked for, and how far: what was not checked is never clean.

    Attributes:
        name: `vulnerabilities`, `licences`, `secrets` or `personal data`.
        says: what came of it or why not, in words.
    """

    name: str
    state: Literal["checked", "partly", "not checked"]
    says: str


@dataclass(frozen=True, slots=True)
class Report:
    """What the whole scan found."""

    files: tuple[FileReport, ...]
    findings: tuple[Finding, ...] = field(default=())
    checks: tuple[Check, ...] = field(default=())

    @property
    def verdict(self) -> Verdict:
        """The worst verdict among the findings; nothing scanned is `UNREADABLE`."""
        if not self.files:
            return Verdict.UNREADABLE
        return worst(finding.verdict for finding in self.findings)

    @property
    def data_only(self) -> bool:
        """Whether no file needs its loader to run code from it."""
        return bool(self.files) and all(file.data_only for file in self.files)

    def reason(self) -> str:
        """The worst finding in one sentence, for an error message; empty when clean."""
        bad = [finding for finding in self.findings if finding.verdict is self.verdict]
        if self.verdict is Verdict.CLEAN:
            return ""
        if not bad:
            return "nothing was there to scan"
        first = max(bad, key=lambda finding: finding.severity)
        more = f", and {len(bad) - 1} more" if len(bad) > 1 else ""
        return f"{first.rule_id} in `{first.file}`: {first.says}{more}"

    def to_json(self) -> dict[str, Any]:
        """The report as plain values, in a stable order."""
        return {
            "verdict": str(self.verdict),
            "data_only": self.data_only,
            "files": [
                {
                    "name": file.name,
                    "format": file.format,
                    "data_only": file.data_only,
                    "size_bytes": file.size_bytes,
                }
                for file in self.files
            ],
            "findings": [_finding_json(finding) for finding in self.findings],
            "checks": [
                {"name": check.name, "state": check.state, "says": check.says}
                for check in self.checks
            ],
        }

    def to_sarif(self, version: str) -> dict[str, Any]:
        """The report as SARIF 2.1.0 (OASIS), for code-scanning tools.

        Args:
            version: version of the scanner that made it.
        """
        used = sorted({finding.rule_id for finding in self.findings})
        return {
            "$schema": _SARIF_SCHEMA,
            "version": "2.1.0",
            "runs": [
                {
                    "tool": {
                        "driver": {
                            "name": "strongroom",
                            "semanticVersion": version,
                            "rules": [_sarif_rule(RULES[rule_id]) for rule_id in used],
                        }
                    },
                    "columnKind": "unicodeCodePoints",
                    "invocations": [_sarif_invocation(self)],
                    "results": [_sarif_result(finding, used) for finding in self.findings],
                }
            ],
        }

    def to_bytes(self) -> bytes:
        """The JSON report as bytes that are the same for the same report."""
        return json.dumps(self.to_json(), sort_keys=True, separators=(",", ":")).encode()


def worst(verdicts: Iterable[Verdict]) -> Verdict:
    """The worst of several verdicts; `CLEAN` for none."""
    return max(verdicts, key=_ORDER.index, default=Verdict.CLEAN)


def _finding_json(finding: Finding) -> dict[str, Any]:
    return {
        "rule_id": finding.rule_id,
        "title": finding.rule.title,
        "severity": finding.severity.name.lower(),
        "verdict": str(finding.verdict),
        "atlas": finding.rule.atlas,
        "file": finding.file,
        "offset": finding.offset,
        "says": finding.says,
        "subject": finding.subject,
    }


_LEVELS = {Severity.INFO: "note", Severity.LOW: "note", Severity.MEDIUM: "warning"}


def _sarif_invocation(report: Report) -> dict[str, Any]:
    """Whether all could be read, and what was not looked for (SARIF 2.1.0, 3.20 and 3.58)."""
    return {
        "executionSuccessful": bool(report.files) and report.verdict is not Verdict.UNREADABLE,
        "toolExecutionNotifications": [
            {
                "descriptor": {"id": check.name.replace(" ", "-")},
                "level": "note" if check.state == "checked" else "warning",
                "message": {"text": f"{check.name}: {check.state}: {check.says}"},
            }
            for check in report.checks
        ],
    }


def _sarif_rule(rule: Rule) -> dict[str, Any]:
    return {
        "id": rule.id,
        "name": "".join(word.capitalize() for word in re.findall(r"[A-Za-z]+", rule.title)),
        "shortDescription": {"text": rule.title},
        "defaultConfiguration": {"level": _LEVELS.get(rule.severity, "error")},
        "properties": {
            "tags": ["security", rule.atlas],
            "security-severity": f"{float(rule.severity):.1f}",
            "verdict": str(rule.verdict),
        },
    }


def _sarif_result(finding: Finding, used: list[str]) -> dict[str, Any]:
    # Names of files hold blanks, `!` and worse: an address must not (RFC 3986).
    address = quote(finding.file, safe="/!@=,+~", errors="replace")
    location: dict[str, Any] = {"artifactLocation": {"uri": address}}
    if finding.offset is not None:
        location["region"] = {"byteOffset": finding.offset}
    key = "\0".join((finding.rule_id, finding.file, finding.subject or finding.says))
    return {
        "ruleId": finding.rule_id,
        "ruleIndex": used.index(finding.rule_id),
        "level": _LEVELS.get(finding.severity, "error"),
        "message": {"text": finding.says},
        "locations": [{"physicalLocation": location}],
        # What tells the same finding in the next scan, wherever it has moved to (3.27.17).
        "partialFingerprints": {
            "strongroom/v1": sha256(key.encode("utf-8", "replace")).hexdigest()[:32]
        },
        "properties": {"verdict": str(finding.verdict)},
    }
