"""Nouns of releases: what enters and what is given out."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from strongroom.engines.privacy.dp.training.running import DEFAULT_DELTA
from strongroom.services.data.formats import TableFormat
from strongroom.services.data.query_types import QueryDataset
from strongroom.services.data.types import DatasetName, WorkspaceName

MAX_RECIPIENTS = 200
MAX_EXPIRY_DAYS = 3_653
MAX_RELEASES = 1_000
"""Of one dataset: each new one is checked against all that were read."""
MAX_DOMAIN_BYTES = 256 << 10
"""Of a made-up table, which has some sixty columns at most."""

ROLE = "role:"
"""Before the name of a role among recipients."""

Recipient = Annotated[str, StringConstraints(min_length=1, max_length=100)]


class ReleaseKind(StrEnum):
    """How a release hides people."""

    ANONYMIZED = "anonymized"
    DP = "dp"
    """Aggregates, by group or of all, answered with differential privacy."""
    SYNTHETIC = "synthetic"
    """Made-up rows, drawn from counts with differential privacy."""


class ReleaseState(StrEnum):
    """making → waiting → approved; or refused, withdrawn, expired."""

    MAKING = "making"
    WAITING = "waiting"
    APPROVED = "approved"
    REFUSED = "refused"
    WITHDRAWN = "withdrawn"
    EXPIRED = "expired"


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


def _listed(value: object) -> object:
    """Names with commas between are a list."""
    return [one.strip() for one in value.split(",")] if isinstance(value, str) else value


Recipients = Annotated[
    list[Recipient],
    BeforeValidator(_listed),
    Field(
        min_length=1, max_length=MAX_RECIPIENTS,
        description="who may read it: names of accounts, or `role:Data Scientist`",
    ),
]  # fmt: skip
ExpiresDays = Annotated[
    int,
    Field(
        ge=1, le=MAX_EXPIRY_DAYS, strict=False,
        description="days from now after which nobody reads it",
    ),
]  # fmt: skip


class MakeRelease(_Request):
    """A release to make; its recipe is the body of the request."""

    workspace: WorkspaceName
    name: DatasetName
    version: int = Field(default=0, ge=0, le=2**31 - 1, strict=False, description="0 is the newest")
    purpose: str = Field(
        min_length=3, max_length=200, description="what the recipients may use it for"
    )
    recipients: Recipients
    expires_days: ExpiresDays = 90


class ReleaseQuery(QueryDataset):
    """A question whose answer named recipients may read; `purpose` is of budget and release."""

    recipients: Recipients
    expires_days: ExpiresDays = 90


class SynthesizeRelease(_Request):
    """A made-up table to release; its domain is the body of the request."""

    workspace: WorkspaceName
    name: DatasetName
    version: int = Field(default=0, ge=0, le=2**31 - 1, strict=False, description="0 is the newest")
    epsilon: float = Field(
        strict=False, allow_inf_nan=False, description="to spend; commonly 0.5 to 4"
    )
    delta: float = Field(
        default=DEFAULT_DELTA, strict=False, allow_inf_nan=False,
        description="chance that epsilon does not hold; best the budget's",
    )  # fmt: skip
    purpose: str = Field(
        min_length=3,
        max_length=100,
        description="of the budget, and what recipients may use it for",
    )
    rows: int = Field(default=1, ge=1, strict=False, description="rows of one person that count")
    recipients: Recipients
    expires_days: ExpiresDays = 90
    dry_run: bool = Field(default=False, strict=False, description="say what it costs, only")


class ListReleases(_Request):
    """The releases of a dataset."""

    workspace: WorkspaceName
    name: DatasetName


class ReleaseReference(ListReleases):
    """One release of a dataset."""

    number: int = Field(ge=1, le=2**31 - 1, strict=False)


class WithdrawRelease(ReleaseReference):
    """A release that nobody shall read any more."""

    reason: str = Field(default="", max_length=500, description="why, for the record")


class ReadRelease(ReleaseReference):
    """Rows of a release to read."""

    format: TableFormat = Field(default=TableFormat.CSV, strict=False)


class ReleaseShown(_Answer):
    """One release, without its rows."""

    workspace: str
    name: str
    number: int
    kind: ReleaseKind
    state: ReleaseState
    refusal: str = Field(
        description="why it was refused; of anonymized ones for who may make releases"
    )
    next_step: str
    source_version: int
    source_commitment: str = Field(description="hmac-sha256:… of the source version's digest")
    recipe_digest: str
    purpose: str
    recipients: list[str] = Field(description="ids of accounts, and `role:…`")
    made_by: str
    made_at: datetime
    approved_by: str | None
    approved_at: datetime | None
    expires_at: datetime
    withdrawn_by: str | None
    withdrawn_at: datetime | None
    first_read_at: datetime | None
    rows: int
    suppressed: int
    job: str


class BreachShown(_Answer):
    """A promise that would not hold for who has several releases."""

    release: int = Field(description="whose promise it is")
    demand: str
    asked: float
    worst: float
    people: int


class CompositionShown(_Answer):
    """The check against former releases."""

    against: list[int] = Field(description="releases that were or may be read")
    people: int
    cells: int
    smallest: int = Field(description="people of the smallest part that all releases tell apart")
    breaches: list[BreachShown]


class ProofShown(_Answer):
    """What was promised, and what was counted in the written table."""

    promised: dict[str, str | int | float | bool | None]
    rows: int
    groups: int
    smallest: int
    measured: dict[str, float]
    levels: dict[str, int] = Field(description="level of each column, where it has one")
    loss: float | None
    bound: float | None
    highest_risk: float
    average_risk: float
    columns: dict[str, str] = Field(description="column → role")


class SyntheticProof(_Answer):
    """What was promised of made-up rows, and what was measured to make them up.

    All of it is covered by epsilon, or was known before a row was read.
    """

    mechanism: str
    epsilon: float
    delta: float
    rho: float
    unit: str = Field(description="whom the promise is to")
    rows_of_one_unit: int
    neighbours: str
    domain: str = Field(description="where bounds and categories come from")
    columns: list[str] = Field(description="counted one by one")
    pairs: list[tuple[str, str]] = Field(description="counted together; a tree, chosen privately")
    noise_of_columns: float = Field(description="standard deviation, on each count")
    noise_of_pairs: float
    rows: int
    accountant: str
    limits: list[str]
    libraries: dict[str, str]


class AnswerProof(_Answer):
    """What was promised of an answer with noise, and how its values are to be read.

    All of it was known before a row was read.
    """

    epsilon: float
    delta: float
    noise: str
    neighbours: str = Field(description="between which tables nobody can tell")
    interval: float = Field(
        description="chance that an interval holds what the rows that count give without noise"
    )
    notes: list[str] = Field(description="what is left out, and what to be careful about")


class QualityShown(_Answer):
    """How far made-up rows resemble the real ones. It looks at real rows and is not private."""

    columns: dict[str, float] = Field(description="distance of each column; 0 same, 1 unlike")
    pairs: tuple[float, float] = Field(description="distance of pairs: mean and worst")
    auc: float | None = Field(description="on real rows, of a model that learned made-up ones")
    auc_real: float | None = Field(description="the same, learned from real ones")
    copies: float = Field(description="share of made-up rows that also exist")
    copies_real: float = Field(description="the same among two halves of the real rows")


class SyntheticAnswer(_Answer):
    """What a made-up table costs, and the release that it becomes."""

    release: ReleaseShown | None = Field(description="none after a dry run")
    protects: str
    epsilon: float | None = Field(description="at the budget's delta; null where it has none")
    spent: float | None = Field(description="of the budget's period, with this one")
    remaining: float
    fits: bool
    refusal: str | None = Field(description="why it does not fit")
    spend: int | None = Field(description="number of the spend in the budget")


class ReleaseDetail(_Answer):
    """A release with its proof."""

    shown: ReleaseShown
    proof: ProofShown | None
    synthetic: SyntheticProof | None = Field(description="the proof of made-up rows")
    answer: AnswerProof | None = Field(description="the proof of an answer with noise")
    composition: CompositionShown | None
    cost: str = Field(description="of kind dp or synthetic: the privacy loss, as JSON")
    recipe: str = Field(description="TOML or JSON, for who may make releases; else empty")
    quality: QualityShown | None = Field(
        description="of made-up rows, for who may make releases of real ones; else null"
    )


class ReleaseProof(_Answer):
    """What who reads a release may know of it."""

    number: int
    kind: ReleaseKind
    state: ReleaseState
    purpose: str
    expires_at: datetime
    source_commitment: str = Field(description="hmac-sha256:… of the source version's digest")
    recipe_digest: str
    proof: ProofShown | None
    synthetic: SyntheticProof | None = Field(description="the proof of made-up rows")
    answer: AnswerProof | None = Field(description="the proof of an answer with noise")
    composition: CompositionShown | None
    cost: str = Field(description="of kind dp or synthetic: the privacy loss, as JSON")


class Releases(_Answer):
    """The releases of a dataset, newest first."""

    releases: list[ReleaseShown]
