"""Nouns of searching a dataset version for poison: what is asked, what came of it."""

from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from strongroom.services.data.types import (
    MAX_COLUMN_NAME,
    ColumnName,
    DatasetName,
    DatasetReference,
    WorkspaceName,
    listed,
)
from strongroom.services.models.assessing_types import AssessmentStanding, Kind

POISONING = "poisoning"
"""The kind whose plan every workspace has from the start."""


class AssessDataset(DatasetReference):
    """A version to search, and what its columns are where the plan says nothing of them."""

    kind: Kind = Field(default=POISONING, description="whose plan says what is done")
    label: str = Field(
        default="", max_length=MAX_COLUMN_NAME, description="column that a model would predict"
    )
    source: str = Field(
        default="", max_length=MAX_COLUMN_NAME, description="column that says who brought a row"
    )
    leave_out: Annotated[list[ColumnName], BeforeValidator(listed)] = Field(
        default_factory=list, max_length=10_000,
        description="columns that would not go into a model",
    )  # fmt: skip


class ListDatasetAssessments(BaseModel):
    """The assessments of a dataset."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    workspace: WorkspaceName
    name: DatasetName
    limit: int = Field(default=100, ge=1, le=1_000, strict=False)


class DatasetAssessment(AssessmentStanding):
    """One assessment of a dataset version.

    Attributes:
        in_force: it is the newest of its kind on that version, under the thresholds of today.
    """

    in_force: bool


class DatasetAssessments(BaseModel):
    """Assessments of a dataset, the newest first."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    assessments: list[DatasetAssessment]


class ShowDatasetAssessment(DatasetReference):
    """The report of a version's newest assessment of a kind."""

    kind: Kind = POISONING
    form: Literal["json", "html"] = Field(default="json", description="json or html")


class ShowDatasetQuarantine(DatasetReference):
    """The suspect rows that a version's newest assessment of a kind listed."""

    kind: Kind = POISONING
