"""What a report is made of: findings by table and file, and what masking changes."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from strongroom.engines.privacy.discover.findings import TableFindings


@dataclass(frozen=True, slots=True)
class ColumnEffect:
    """What masking does to one column.

    Attributes:
        method: of the plan, or `drop`.
        reason: why that method, in words.
        role_before: of the finding; `role_after`: found again in the masked sample, or
            `replaced` where the values are made up.
    """

    column: str
    method: str
    reason: str
    type_before: str | None
    role_before: str
    type_after: str | None
    role_after: str


@dataclass(frozen=True, slots=True)
class SetEffect:
    """How many people a set of columns singles out before and after masking.

    Attributes:
        before: share of the sampled rows that stand alone, in [0, 1].
        after: the same columns in the masked sample; 0 where all of them are dropped.
    """

    columns: tuple[str, ...]
    before: float
    after: float


@dataclass(frozen=True, slots=True)
class MaskEffect:
    """A table before and after masking, measured on the sample.

    Attributes:
        policy: which policy, in words.
        sets: the quasi-identifiers of the findings, most telling first.
    """

    policy: str
    columns: tuple[ColumnEffect, ...]
    sets: tuple[SetEffect, ...]


@dataclass(frozen=True, slots=True)
class TableReport:
    """One table: a file may hold several, as sheets or attachments.

    Attributes:
        name: of the sheet or attachment; empty where a file is one table.
    """

    name: str
    findings: TableFindings
    effect: MaskEffect | None = None


@dataclass(frozen=True, slots=True)
class FileReport:
    """One file.

    Attributes:
        path: as it was given, or below the folder that was.
        form: csv, parquet, …; empty where it is not known.
        problem: why it could not be read, or not to its end; empty where all went well.
    """

    path: str
    form: str = ""
    tables: tuple[TableReport, ...] = ()
    problem: str = ""


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A path that was not read, and why: a link, a device, not a kind that is read."""

    path: str
    reason: str


@dataclass(frozen=True, slots=True)
class Report:
    """Findings of files.

    Attributes:
        title: for people.
        titles: of types that are not built in, by name.
    """

    title: str
    files: tuple[FileReport, ...]
    left_out: tuple[LeftOut, ...] = ()
    titles: Mapping[str, str] = field(default_factory=dict)
