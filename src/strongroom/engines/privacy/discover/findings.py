"""What discovery says: findings carry counts, shares and names of rules, never a value."""

from dataclasses import dataclass
from enum import StrEnum


class Role(StrEnum):
    """What a semantic type does to a person's privacy."""

    DIRECT = "direct"  # names a person or leads straight to one
    QUASI = "quasi"  # sets people apart together with others
    SPECIAL = "special"  # GDPR article 9, or as delicate: must not be linked to a person
    SECRET = "secret"  # noqa: S105 # the kind "credential", not one
    PLAIN = "plain"  # recognised, and not personal


class Shape(StrEnum):
    """How the values of a column look, whatever they mean."""

    EMPTY = "empty"
    CONSTANT = "constant"
    BOOLEAN = "boolean"
    NUMBER = "number"
    UNIQUE_INTEGER = "unique_integer"  # nearly every row its own whole number: a key
    DATE = "date"
    CATEGORY = "category"  # few distinct values, repeated
    SHORT_TEXT = "short_text"
    UNIQUE_TEXT = "unique_text"  # nearly every row its own text: likely to identify
    FREE_TEXT = "free_text"  # sentences: may say anything
    BINARY = "binary"
    NESTED = "nested"  # lists and structs, not looked into yet


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reason for a finding.

    Attributes:
        source: `name`, `values`, `checksum`, `dictionary`, `statistics` or `person`.
        detail: the reason in words, without any value of the column.
        share: share of the looked-at values that agree, in [0, 1]; None where it says nothing.
    """

    source: str
    detail: str
    share: float | None = None


@dataclass(frozen=True, slots=True)
class ColumnProfile:
    """Counts over the sampled rows of one column.

    Attributes:
        rows: sampled rows.
        nulls: of them null or blank.
        distinct: distinct values among the rest.
        singletons: rows whose value occurs once in the sample.
        mean_length: characters, 0 where the column is not text.
    """

    arrow_type: str
    shape: Shape
    rows: int
    nulls: int
    distinct: int
    singletons: int
    mean_length: float

    @property
    def unique_share(self) -> float:
        """Share of the sampled rows that this column alone sets apart, in [0, 1]."""
        return self.singletons / self.rows if self.rows else 0.0


@dataclass(frozen=True, slots=True)
class ColumnFinding:
    """What one column holds.

    Attributes:
        type: name of a semantic type, or None where none was recognised.
        confidence: in [0, 1]; 0 where `type` is None.
        decided_by: `engine`, or `person` after somebody's override, which always wins.
        alternatives: other types that passed the threshold, best first, with confidence.
    """

    column: str
    type: str | None
    role: Role
    confidence: float
    evidence: tuple[Evidence, ...]
    profile: ColumnProfile
    decided_by: str = "engine"
    alternatives: tuple[tuple[str, float], ...] = ()


@dataclass(frozen=True, slots=True)
class QuasiIdentifier:
    """Columns that together set people apart.

    Attributes:
        columns: one or two column names.
        unique_share: share of the sampled rows whose combination occurs once, in [0, 1].
        smallest_group: rows in the smallest group; 1 means somebody stands alone.
    """

    columns: tuple[str, ...]
    unique_share: float
    smallest_group: int


@dataclass(frozen=True, slots=True)
class SampleGuarantee:
    """What the sample can have missed.

    A type present in a share `detectable_share` of the rows, spread at random, is missed by the
    whole sample with a probability of at most `miss_probability`.
    """

    rows_seen: int
    rows_sampled: int
    detectable_share: float
    miss_probability: float


@dataclass(frozen=True, slots=True)
class TableFindings:
    """Findings of a table, in the order of its columns."""

    columns: tuple[ColumnFinding, ...]
    quasi_identifiers: tuple[QuasiIdentifier, ...]
    guarantee: SampleGuarantee

    def column(self, name: str) -> ColumnFinding:
        """The finding of the column `name`; KeyError if there is none."""
        for finding in self.columns:
            if finding.column == name:
                return finding
        raise KeyError(name)
