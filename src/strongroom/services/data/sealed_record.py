"""What is known of a version beside its rows: schema, findings, options; kept as sealed JSON.

Column names and findings tell much of the data, so they are not readable at rest either.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from strongroom.engines.crypto.floe import open_stream, seal_stream
from strongroom.engines.crypto.wrapping import bind
from strongroom.engines.privacy.discover.findings import (
    ColumnFinding,
    ColumnProfile,
    Evidence,
    QuasiIdentifier,
    Role,
    SampleGuarantee,
    Shape,
    TableFindings,
)
from strongroom.engines.privacy.discover.tables import overridden
from strongroom.errors import TamperedError

FORMAT = 1


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """What the sealed JSON says.

    Attributes:
        digest: `sha256:` and the hex digest of the upload as sent.
        subject_column: column that says whom a row is about, or empty.
        findings: as the engine saw them, without any person's override.
    """

    digest: str
    source_format: str
    source_bytes: int
    subject_column: str
    findings: TableFindings


def seal_record(record: VersionRecord, key: bytes, dataset: str, version: int) -> bytes:
    """`record` under a key of its own, bound to its version."""
    body = json.dumps({"v": FORMAT, **asdict(record)}, separators=(",", ":")).encode()
    return b"".join(seal_stream(key, _context(dataset, version), [body]))


def open_record(sealed: bytes, key: bytes, dataset: str, version: int) -> VersionRecord:
    """What `seal_record` took.

    Raises:
        TamperedError: it was changed, or belongs to another version.
    """
    body = b"".join(open_stream(key, _context(dataset, version), [sealed]))
    try:
        fields = json.loads(body)
        if fields.pop("v") != FORMAT:
            raise ValueError
        return VersionRecord(**{**fields, "findings": _findings(fields["findings"])})
    except (ValueError, KeyError, TypeError):
        raise TamperedError("a dataset's record is not of this form") from None


def with_overrides(findings: TableFindings, overrides: Mapping[str, str | None]) -> TableFindings:
    """`findings` after people's words; the engine's own stay in the record."""
    return replace(
        findings,
        columns=tuple(
            overridden(finding, overrides[finding.column])
            if finding.column in overrides
            else finding
            for finding in findings.columns
        ),
    )


def _context(dataset: str, version: int) -> bytes:
    return bind("strongroom dataset record", FORMAT, dataset, version)


def _findings(fields: Mapping[str, Any]) -> TableFindings:
    return TableFindings(
        columns=tuple(_column(column) for column in fields["columns"]),
        quasi_identifiers=tuple(
            QuasiIdentifier(tuple(item["columns"]), item["unique_share"], item["smallest_group"])
            for item in fields["quasi_identifiers"]
        ),
        guarantee=SampleGuarantee(**fields["guarantee"]),
    )


def _column(fields: Mapping[str, Any]) -> ColumnFinding:
    profile = fields["profile"]
    return ColumnFinding(
        **{
            **fields,
            "role": Role(fields["role"]),
            "evidence": tuple(Evidence(**item) for item in fields["evidence"]),
            "profile": ColumnProfile(**{**profile, "shape": Shape(profile["shape"])}),
            "alternatives": tuple((name, share) for name, share in fields["alternatives"]),
        }
    )
