"""Nouns of privacy budgets: what enters and what is given out."""

from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator

from strongroom.engines.privacy.dp.accounting import Rule
from strongroom.services.data.types import DatasetName, DatasetReference, WorkspaceName

MAX_LISTED_SPENDS = 10_000

Epsilon = Annotated[
    float, Field(strict=False, allow_inf_nan=False, description="above 0, commonly 0.1 to 10")
]
Delta = Annotated[
    float,
    Field(
        strict=False, allow_inf_nan=False,
        description="chance that epsilon does not hold; less than one over the number of people",
    ),
]  # fmt: skip
RefillDays = Annotated[
    int, Field(strict=False, description="days after which a new period begins; 0: never")
]
Allotment = Annotated[
    str, StringConstraints(pattern=r"^[^=]{1,100}=[0-9.eE+-]{1,40}$", max_length=150)
]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    workspace: WorkspaceName
    name: DatasetName


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ShowBudget(DatasetReference):
    """The budget of a dataset, and its latest spends."""

    limit: int = Field(
        default=100, ge=0, le=MAX_LISTED_SPENDS, strict=False, description="spends, newest first"
    )


class SetBudget(_Request):
    """A first budget, or a smaller one."""

    epsilon: Epsilon
    delta: Delta = 1e-6
    refill_days: RefillDays = 0
    composition: Rule | None = Field(
        default=None,
        description="pld (of a first budget, where nothing is said): exact for epsilons that are "
        "fixed beforehand, and where somebody chooses them by earlier answers, more may be told, "
        "by a polylogarithmic factor at most; adaptive: holds for these, too, and admits less",
    )


class AllotBudget(_Request):
    """Parts of a budget for purposes, in place of those there were."""

    allotments: list[Allotment] = Field(
        default_factory=list, max_length=50, description="PURPOSE=EPSILON; none: any purpose"
    )

    @field_validator("allotments", mode="before")
    @classmethod
    def _listed(cls, value: object) -> object:
        return value.split(",") if isinstance(value, str) else value


class AskRaise(SetBudget):
    """A larger budget to ask for."""

    reason: str = Field(
        min_length=10, max_length=500, description="why, for those who approve and for the record"
    )


class SettleRaise(_Request):
    """A raise to approve or to decline."""

    number: int = Field(ge=1, le=2**31 - 1, strict=False, description="of the raise")


class SpendShown(_Answer):
    """One spend."""

    number: int
    at: datetime
    by: str
    kind: str = Field(description="query, training or release")
    purpose: str
    epsilon: float = Field(description="of this spend alone")
    spent: float = Field(description="of the period, with this one")
    what: str = Field(description="digest or reference of what was bought")


class AllotmentShown(_Answer):
    """What one purpose may spend."""

    purpose: str
    epsilon: float
    spent: float | None
    remaining: float


class RaiseShown(_Answer):
    """A larger budget that somebody asked for."""

    number: int
    state: str
    epsilon: float
    delta: float
    refill_days: int
    composition: str
    asked_by: str
    asked_at: datetime
    reason: str
    approved_by: list[str]
    declined_by: str


class BudgetShown(_Answer):
    """The privacy budget of a dataset."""

    name: str
    unit: str = Field(description="column that says whom a row is about; empty: a row is the unit")
    protects: str = Field(description="the same in words")
    epsilon: float
    delta: float
    composition: str = Field(description="by which spends are counted: pld or adaptive")
    holds_for: str = Field(description="for whose choices of epsilon that is right, in words")
    spent: float | None = Field(
        description="of the period, all spends composed; null: they have no epsilon at this delta"
    )
    remaining: float
    refill_days: int
    period_began_at: datetime
    next_period_at: datetime | None
    lifetime_epsilon: float | None = Field(
        description="of all periods composed: a refill forgets nothing that was told"
    )
    allotments: list[AllotmentShown]
    raises: list[RaiseShown]
    spends: list[SpendShown]
    spend_count: int
    other_units: int = Field(description="further budgets of the dataset, for other units")
    set_by: str
    set_at: datetime
