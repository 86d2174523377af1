"""What is known of a version beside its rows: schema, findings, options; kept as sealed JSON.

Column names and findings tell much of the data, so they are not readable at rest either.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from strongroom.engines.crypto.floe import open_stream, seal_stream
from strongroom.engines.crypto.wrapping import bind
from strongroom.engines.privacy.discover.custom import CustomType
from strongroom.engines.privacy.discover.findings import (
    ColumnFinding,
    ColumnProfile,
    ColumnUniqueness,
    Evidence,
    QuasiIdentifier,
    Role,
    SampleGuarantee,
    Shape,
    TableFindings,
    TypeInside,
    Uniqueness,
)
from strongroom.engines.privacy.discover.tables import overridden
from strongroom.errors import TamperedError

FORMAT = 2
"""Since 2 a record is bound to what it is a record of, see `Bound`; 1 is still read."""


@dataclass(frozen=True, slots=True)
class Bound:
    """What a record belongs to: put beside another's rows or in another's name it does not open.

    Attributes:
        blob: id of the table: other rows under these findings would be masked by the wrong ones.
        created_by, purpose: masks hash under a key that follows from both.
    """

    dataset: str
    version: int
    blob: str
    created_by: str
    purpose: str

    def context(self) -> bytes:
        """Associated data of the sealed record."""
        return bind(
            "strongroom dataset record", FORMAT, self.dataset, self.version, self.blob,
            self.created_by, self.purpose,
        )  # fmt: skip

    def older_context(self) -> bytes:
        """As format 1 had it."""
        return bind("strongroom dataset record", 1, self.dataset, self.version)


@dataclass(frozen=True, slots=True)
class VersionRecord:
    """What the sealed JSON says.

    Attributes:
        digest: `sha256:` and the hex digest of the upload as sent.
        subject_column: column that says whom a row is about, or empty.
        findings: as the engine saw them, without any person's override.
        counts: column → value → rows (or subjects) of the sample that hold it, for `keep_common`;
            the only values in the record, so it is never given out.
    """

    digest: str
    source_format: str
    source_bytes: int
    subject_column: str
    findings: TableFindings
    counts: Mapping[str, Mapping[str, int]] = field(default_factory=dict)


def seal_record(record: VersionRecord, key: bytes, bound: Bound) -> bytes:
    """`record` under a key of its own, bound to its version."""
    body = json.dumps({"v": FORMAT, **asdict(record)}, separators=(",", ":")).encode()
    return b"".join(seal_stream(key, bound.context(), [body]))


def open_record(sealed: bytes, key: bytes, bound: Bound) -> VersionRecord:
    """What `seal_record` took.

    Raises:
        TamperedError: it was changed, or belongs to another version.
    """
    format_found = FORMAT
    try:
        body = b"".join(open_stream(key, bound.context(), [sealed]))
    except TamperedError:
        # Nothing of today's form opens so: only what an older version sealed.
        body = b"".join(open_stream(key, bound.older_context(), [sealed]))
        format_found = 1
    try:
        fields = json.loads(body)
        if fields.pop("v") != format_found:
            raise ValueError
        return VersionRecord(**{**fields, "findings": _findings(fields["findings"])})
    except (ValueError, KeyError, TypeError):
        raise TamperedError("a dataset's record is not of this form") from None


def with_overrides(
    findings: TableFindings,
    overrides: Mapping[str, str | None],
    custom: Sequence[CustomType] = (),
) -> TableFindings:
    """`findings` after people's words; the engine's own stay in the record.

    `custom`: types that the words may name beside the built-in ones.
    """
    return replace(
        findings,
        columns=tuple(
            overridden(finding, overrides[finding.column], custom)
            if finding.column in overrides
            else finding
            for finding in findings.columns
        ),
    )


def _findings(fields: Mapping[str, Any]) -> TableFindings:
    uniqueness = fields.get("uniqueness")  # a record of an older version has none
    return TableFindings(
        columns=tuple(_column(column) for column in fields["columns"]),
        quasi_identifiers=tuple(_set(item) for item in fields["quasi_identifiers"]),
        guarantee=SampleGuarantee(**fields["guarantee"]),
        uniqueness=None if uniqueness is None else _uniqueness(uniqueness),
    )


def _set(fields: Mapping[str, Any]) -> QuasiIdentifier:
    return QuasiIdentifier(
        **{
            **fields,
            "columns": tuple(fields["columns"]),
            "added": tuple(fields.get("added", ())),
        }
    )


def _uniqueness(fields: Mapping[str, Any]) -> Uniqueness:
    return Uniqueness(
        **{
            **fields,
            "sets": tuple(_set(item) for item in fields["sets"]),
            "columns": tuple(ColumnUniqueness(**item) for item in fields["columns"]),
        }
    )


def _inside(fields: Mapping[str, Any]) -> TypeInside:
    role = fields.get("role")  # a record of an older version has none
    return TypeInside(**{**fields, "role": None if role is None else Role(role)})


def _column(fields: Mapping[str, Any]) -> ColumnFinding:
    profile = fields["profile"]
    return ColumnFinding(
        **{
            **fields,
            "role": Role(fields["role"]),
            "evidence": tuple(Evidence(**item) for item in fields["evidence"]),
            "profile": ColumnProfile(**{**profile, "shape": Shape(profile["shape"])}),
            "inside": tuple(_inside(item) for item in fields.get("inside", ())),
            "alternatives": tuple((name, share) for name, share in fields["alternatives"]),
        }
    )
