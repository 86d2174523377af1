"""Nouns of datasets: what enters and what is given out."""

import json
from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from strongroom.services.data.formats import TableFormat

MAX_LISTED = 1_000
MAX_COLUMN_NAME = 256
MAX_REVEALED = 100
"""Tokens in one call."""

WorkspaceName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])$", max_length=63)
]
DatasetName = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$", max_length=100)
]
"""Letters, digits, dot, underscore and hyphen; begins with a letter or digit."""

ColumnName = Annotated[str, StringConstraints(min_length=1, max_length=MAX_COLUMN_NAME)]


class AddedFormat(StrEnum):
    """How to read an upload; `auto` looks at its content. Any of them may be compressed."""

    AUTO = "auto"
    CSV = "csv"
    TSV = "tsv"
    JSONL = "jsonl"
    JSON = "json"
    PARQUET = "parquet"
    ARROW = "arrow"
    XLSX = "xlsx"
    TEXT = "text"
    LOG = "log"
    EML = "eml"
    MBOX = "mbox"


class LegalBasis(StrEnum):
    """Why the data may be processed: GDPR article 6(1), or not stated."""

    UNSTATED = "unstated"
    CONSENT = "consent"
    CONTRACT = "contract"
    LEGAL_OBLIGATION = "legal_obligation"
    VITAL_INTERESTS = "vital_interests"
    PUBLIC_TASK = "public_task"
    LEGITIMATE_INTERESTS = "legitimate_interests"


class View(StrEnum):
    """What a reader sees of the rows."""

    CLEAR = "clear"
    MASKED = "masked"


class AskedView(StrEnum):
    """The view to read; `allowed` is the clearest one that the policies permit."""

    ALLOWED = "allowed"
    CLEAR = "clear"
    MASKED = "masked"


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def listed(value: object) -> object:
    """A list given as text: JSON, or names with commas between."""
    if isinstance(value, str):
        return json.loads(value) if value.startswith("[") else value.split(",")
    return value


class AddDataset(_Request):
    """A table to take in; its bytes are the body of the request."""

    workspace: WorkspaceName
    name: DatasetName
    format: AddedFormat = Field(default=AddedFormat.AUTO, strict=False)
    purpose: str = Field(
        default="", max_length=200, description="what the data is for, in a few words"
    )
    legal_basis: LegalBasis = Field(default=LegalBasis.UNSTATED, strict=False)
    retention_days: int = Field(
        default=0, ge=0, le=36_525, strict=False, description="days to keep it, 0 for no limit"
    )
    subject_column: str = Field(
        default="", max_length=MAX_COLUMN_NAME, description="column that says whom a row is about"
    )
    text_columns: list[ColumnName] = Field(
        default_factory=list, max_length=10_000, description="CSV or sheet columns to keep as text"
    )
    encoding: str = Field(
        default="", max_length=40, description="of text; found from the content where empty"
    )
    sheet: str = Field(default="", max_length=100, description="the sheet to take of a workbook")
    member: str = Field(
        default="",
        max_length=1_024,
        description="the file to take of an archive, attachment of a message or list of a JSON",
    )

    _text_columns = field_validator("text_columns", mode="before")(listed)


class DatasetReference(_Request):
    """One dataset, at one version or the newest."""

    workspace: WorkspaceName
    name: DatasetName
    version: int = Field(default=0, ge=0, le=2**31 - 1, strict=False, description="0 is the newest")


class ListDatasets(_Request):
    """A page of the datasets of a workspace, by name."""

    workspace: WorkspaceName
    after: str = Field(default="", max_length=100, description="name after which the page begins")
    limit: int = Field(default=100, ge=1, le=MAX_LISTED, strict=False)


class ReadRows(DatasetReference):
    """Rows to read."""

    view: AskedView = Field(default=AskedView.ALLOWED, strict=False)
    format: TableFormat = Field(default=TableFormat.CSV, strict=False)
    columns: list[ColumnName] = Field(
        default_factory=list, max_length=10_000, description="all where none is named"
    )
    limit: int = Field(default=0, ge=0, strict=False, description="rows from the start, 0 for all")

    _columns = field_validator("columns", mode="before")(listed)


class ClassifyColumn(_Request):
    """What a person says a column holds."""

    workspace: WorkspaceName
    name: DatasetName
    column: ColumnName
    type: str = Field(
        max_length=64, description="a semantic type, `none`, or `engine` to withdraw the word"
    )
    reason: str = Field(default="", max_length=500, description="why, for the record")


class ShowTypes(_Request):
    """A workspace whose own semantic types to show."""

    workspace: WorkspaceName


class SetTypes(_Request):
    """Semantic types to put in force; their text is the body of the request."""

    workspace: WorkspaceName


class SetPolicy(_Request):
    """A mask policy to put in force; its text is the body of the request."""

    workspace: WorkspaceName
    name: DatasetName


class UnsetPolicy(SetPolicy):
    """A dataset that shall have the default policy again."""


class RevealTokens(DatasetReference):
    """Tokens of a masked view to turn back into values."""

    tokens: list[Annotated[str, StringConstraints(min_length=1, max_length=200)]] = Field(
        min_length=1, max_length=MAX_REVEALED, description="as the masked view shows them"
    )
    reason: str = Field(
        min_length=10,
        max_length=500,
        description="why, for the record; without names or other personal data",
    )

    _tokens = field_validator("tokens", mode="before")(listed)


class ForgottenBy(StrEnum):
    """What names the tokens to forget."""

    VALUES = "values"
    TOKENS = "tokens"


class ForgetTokens(_Request):
    """Tokens to forget in all versions of a dataset; the body of the request names them."""

    workspace: WorkspaceName
    name: DatasetName
    by: ForgottenBy = Field(
        default=ForgottenBy.VALUES,
        strict=False,
        description="what the body lists: values that tokens stand for, or tokens",
    )
    reason: str = Field(
        min_length=10,
        max_length=500,
        description="why, for the record; without names or other personal data",
    )


class RemoveDataset(DatasetReference):
    """A dataset or one version to remove; version 0 means all of it."""


class EvidenceShown(_Answer):
    """One reason for a finding; never a value of the column."""

    source: str
    detail: str
    share: float | None


class InsideShown(_Answer):
    """A type that stands within the values of a column, as in free text."""

    type: str
    title: str
    role: str
    share: float = Field(description="of the values looked at, in [0, 1]")


class ColumnShown(_Answer):
    """A column, what was found in it, and what masked views do to it."""

    name: str
    arrow_type: str
    type: str | None
    title: str
    role: str
    confidence: float
    decided_by: str
    shape: str
    rows: int
    nulls: int
    distinct: int
    unique_share: float
    evidence: list[EvidenceShown]
    alternatives: list[tuple[str, float]]
    inside: list[InsideShown]
    masked_by: str
    mask_reason: str


class QuasiIdentifierShown(_Answer):
    """Columns that together set people apart."""

    columns: list[str]
    unique_share: float = Field(description="of the people looked at, in [0, 1]")
    population_share: float | None = Field(description="the same in the whole table, estimated")
    added: list[float] = Field(
        description="by column, the share that would not be singled out without it"
    )
    smallest_group: int


class DatasetVersion(_Answer):
    """One version of a dataset."""

    workspace: str
    name: str
    version: int
    digest: str = Field(
        description="sha256:… of the bytes as they were sent, for who may read them in clear; "
        "else the commitment"
    )
    commitment: str = Field(description="hmac-sha256:… of that, under a key of the dataset")
    rows: int
    columns: int
    personal_columns: int = Field(description="columns that identify, set apart or are special")
    source_format: str
    source_bytes: int
    purpose: str
    legal_basis: str
    retention_days: int
    retain_until: datetime | None
    subject_column: str
    created_at: datetime
    created_by: str
    existed: bool = Field(description="the same content was there already; nothing was added")


class DatasetDetail(_Answer):
    """A dataset: its versions, and columns and findings of one of them."""

    shown: DatasetVersion
    versions: list[DatasetVersion]
    columns: list[ColumnShown]
    quasi_identifiers: list[QuasiIdentifierShown]
    rows_sampled: int
    detectable_share: float = Field(
        description="a type in this share of the rows is missed with miss_probability at most"
    )
    miss_probability: float
    guarantee: str = Field(description="what the sample may have missed, in one sentence")
    people_alone: float | None = Field(
        description="share of the people whom the columns that others may know single out"
    )
    policy: str = Field(description="default, or the sha256:… of the dataset's own mask policy")
    has_budget: bool = Field(description="whether it has a privacy budget; see data.budget")


class PolicyShown(_Answer):
    """The mask policy of a dataset."""

    name: str
    is_default: bool
    link: str = Field(description="dataset or purpose: how far equal values stay equal")
    digest: str
    set_by: str | None
    set_at: datetime | None
    text: str = Field(description="TOML")


class CustomTypeShown(_Answer):
    """A semantic type of a workspace's own."""

    name: str
    title: str
    role: str


class TypesShown(_Answer):
    """The semantic types that a workspace has beside the built-in ones."""

    types: list[CustomTypeShown]
    digest: str
    set_by: str | None
    set_at: datetime | None
    text: str = Field(description="TOML")


class RevealedToken(_Answer):
    """What one token stands for."""

    token: str
    value: str | None = Field(description="missing where it is no token, or was forgotten")
    forgotten: bool = Field(description="it stood for a value that was forgotten")


class Revealed(_Answer):
    """What tokens stand for."""

    revealed: list[RevealedToken]
    unknown: int = Field(description="no tokens of this dataset")
    forgotten: int


class TokensForgotten(_Answer):
    """What became of tokens that were to be forgotten."""

    name: str
    forgotten: int = Field(description="tokens that nothing turns back any more")
    unknown: int = Field(description="values or tokens named of which there was none")
    orphaned: int = Field(
        description="tokens of versions that are no longer there, which went as well"
    )


class Datasets(_Answer):
    """A page of datasets, each at its newest version."""

    datasets: list[DatasetVersion]


class Removed(_Answer):
    """What was removed."""

    name: str
    versions: list[int]
