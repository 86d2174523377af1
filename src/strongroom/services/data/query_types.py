"""Nouns of differentially private queries: what is asked and what is answered."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from strongroom.engines.privacy.dp.sql import MAX_CHARACTERS
from strongroom.services.data.types import DatasetReference

MAX_DECLARED = 200
"""Columns with bounds, keys or bins."""

Declared = Annotated[str, StringConstraints(min_length=3, max_length=100_000)]
Shown = str | int | float | bool | None


class QueryDataset(DatasetReference):
    """A question about the rows of a dataset, answered with noise."""

    sql: str = Field(
        min_length=1, max_length=MAX_CHARACTERS,
        description="SELECT of aggregates; docs/differential-privacy.md says what is taken",
    )  # fmt: skip
    epsilon: float = Field(
        strict=False, allow_inf_nan=False, description="to spend; commonly 0.1 to 1"
    )
    delta: float = Field(
        default=0.0, strict=False, allow_inf_nan=False,
        description="needed for groups that only the data knows, and for Gaussian noise; a "
        "hundredth of the budget's, or less",
    )  # fmt: skip
    purpose: str = Field(max_length=100, description="what the answer is for")
    groups: int = Field(
        default=1, ge=1, strict=False, description="groups that one person may be in"
    )
    rows: int = Field(
        default=1, ge=1, strict=False, description="rows of one person that count in a group"
    )
    bounds: list[Declared] = Field(
        default_factory=list, max_length=MAX_DECLARED,
        description="COLUMN=LOW:HIGH, from what is publicly known",
    )  # fmt: skip
    keys: list[Declared] = Field(
        default_factory=list, max_length=MAX_DECLARED,
        description="COLUMN=A,B,…: the groups that there are, as publicly known",
    )  # fmt: skip
    bins: list[Declared] = Field(
        default_factory=list, max_length=MAX_DECLARED,
        description="COLUMN=0,18,65: edges of groups of numbers",
    )  # fmt: skip
    dry_run: bool = Field(
        default=False, strict=False, description="say what it costs and how exact it is, only"
    )


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ExpectedShown(_Answer):
    """How exact a column of the answer is, known before it is asked for.

    Half the width of an interval that holds the value without noise with a chance of 95 %.
    """

    name: str
    half_width: float | None = None
    half_width_times_rows: float | None = Field(
        default=None, description="of a mean: divide by the number of rows"
    )
    ranks: float | None = Field(default=None, description="of a quantile: by rank")


class EstimateShown(_Answer):
    """A value with noise, and the interval that holds the one without with a chance of 95 %."""

    value: float
    low: float
    high: float


class GroupShown(_Answer):
    """The values of a group."""

    key: dict[str, Shown]
    values: dict[str, EstimateShown]


class QueryAnswer(_Answer):
    """What may be told of the rows to those who may not see them."""

    name: str
    version: int
    spent: bool = Field(description="false: a dry run, which costs nothing and answers nothing")
    groups: list[GroupShown]
    expected: list[ExpectedShown]
    noise: str
    neighbours: str = Field(description="between which tables nobody can tell")
    notes: list[str]
    epsilon: float = Field(description="of this answer, as it was asked for")
    delta: float
    epsilon_alone: float | None = Field(
        description="of this answer, at the budget's delta; null: it has none there"
    )
    budget_spent: float | None = Field(description="of the period, with this answer")
    budget_remaining: float = Field(description="for its purpose, with this answer")
    fits: bool
    refusal: str | None
    spend: int | None = Field(description="number of the spend in the budget")
    log_entry: int | None = Field(description="where the spend is recorded")
