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
    NESTED = "nested"  # lists and structs whose inside cannot be told apart


@dataclass(frozen=True, slots=True)
class Evidence:
    """One reason for a finding.

    Attributes:
        source: `name`, `values`, `checksum`, `dictionary`, `statistics`, `language` or `person`.
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
        confidence: of findings that are so sure, this share is right; in [0, 1]; 0 where `type`
            is None.
        decided_by: `engine`, or `person` after somebody's override, which always wins.
        column: name, or the path of a part of a nested column such as `address.city`.
        alternatives: other types that passed the threshold, best first, with confidence.
        inside: types that stand within some of the values, as in free text, the most frequent
            first.
    """

    column: str
    type: str | None
    role: Role
    confidence: float
    evidence: tuple[Evidence, ...]
    profile: ColumnProfile
    decided_by: str = "engine"
    alternatives: tuple[tuple[str, float], ...] = ()
    inside: tuple["TypeInside", ...] = ()


@dataclass(frozen=True, slots=True)
class TypeInside:
    """A type that stands within values.

    Attributes:
        share: of the values looked at that hold it, in [0, 1].
        count: of those values.
        role: of the type; None in findings of an older version, which knew built-in types alone.
    """

    type: str
    share: float
    count: int
    role: Role | None = None


@dataclass(frozen=True, slots=True)
class QuasiIdentifier:
    """Columns that together single people out, none of which could be left out.

    Attributes:
        columns: one to four column names.
        unique_share: share of the sampled people who have a combination of their own, in [0, 1].
        smallest_group: people in the smallest group; 1 means somebody stands alone.
        population_share: the same share in the table that the sample was drawn from, estimated;
            None where it was not (an older finding).
        added: for each column, how much of `unique_share` is lost without it.
    """

    columns: tuple[str, ...]
    unique_share: float
    smallest_group: int
    population_share: float | None = None
    added: tuple[float, ...] = ()


@dataclass(frozen=True, slots=True)
class ColumnUniqueness:
    """What one column does to single people out.

    Attributes:
        alone_share: share of the people it singles out by itself.
        lost_without: share of the people who are singled out by all columns together, and no
            longer when this one is hidden.
        added_in_sets: what it adds to the sets reported, summed.
    """

    column: str
    alone_share: float
    lost_without: float
    added_in_sets: float


@dataclass(frozen=True, slots=True)
class Uniqueness:
    """How far the columns that others may know single people out.

    Attributes:
        people: that were looked at; rows, where no column says whom a row is about.
        sets: the most telling first.
        columns: the one that adds most first.
        share: of the people singled out by all the columns together.
        is_complete: every set that promised to tell was counted; false where there were too
            many, and only the most promising were.
        population: people in the table; more than `people` where these are a sample.
    """

    people: int
    sets: tuple[QuasiIdentifier, ...]
    columns: tuple[ColumnUniqueness, ...]
    share: float
    is_complete: bool
    population: int = 0

    @property
    def is_exact(self) -> bool:
        """True where everybody in the table was looked at."""
        return self.population <= self.people


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
    """Findings of a table, in the order of its columns.

    Attributes:
        uniqueness: how far people are singled out; None in findings of an older version.
    """

    columns: tuple[ColumnFinding, ...]
    quasi_identifiers: tuple[QuasiIdentifier, ...]
    guarantee: SampleGuarantee
    uniqueness: Uniqueness | None = None

    def column(self, name: str) -> ColumnFinding:
        """The finding of the column `name`; KeyError if there is none."""
        for finding in self.columns:
            if finding.column == name:
                return finding
        raise KeyError(name)
