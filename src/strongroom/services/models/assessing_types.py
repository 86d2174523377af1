"""Nouns of assessments: plans, what is asked, what came of it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from strongroom.services.data.types import DatasetName
from strongroom.services.models.types import ModelName, ModelReference, WorkspaceName

Kind = Annotated[str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9_.-]{0,62}[a-z0-9])?$")]
"""Of assessments, as rules of promotion name it."""

HARDENING = "(hardening)"
"""In the place of a kind, for hardenings among the rows of assessments; no plan is called so."""


class AssessmentState(StrEnum):
    """How far an assessment is."""

    QUEUED = "queued"
    DONE = "done"
    BROKEN = "broken"
    """It ended without a verdict; the reason says why."""


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ShowPlan(_Request):
    """The plan of a kind of assessment."""

    workspace: WorkspaceName
    kind: Kind


class SetPlan(ShowPlan):
    """A plan in place of the one there was; the body is TOML."""


class PlanShown(_Answer):
    """A plan.

    Attributes:
        digest: `sha256:…` of the text, as reports name it.
        set_by, set_at: None where it is the one that there is from the start.
    """

    kind: str
    digest: str
    set_by: str | None
    set_at: datetime | None
    text: str


class AssessModel(ModelReference):
    """A version to attack, and the rows to do it with."""

    kind: Kind = Field(default="robustness", description="whose plan says what is done")
    dataset: DatasetName = Field(description="whose rows the model was trained on")
    dataset_version: int = Field(
        default=0, ge=0, le=2**31 - 1, strict=False, description="the newest for 0"
    )
    held_out: str = Field(
        default="", max_length=128, description="a dataset whose rows the model never saw"
    )
    held_out_version: int = Field(
        default=0, ge=0, le=2**31 - 1, strict=False, description="the newest for 0"
    )


class ListAssessments(_Request):
    """The assessments of a model."""

    workspace: WorkspaceName
    name: ModelName
    limit: int = Field(default=100, ge=1, le=1_000, strict=False)


class AssessmentStanding(BaseModel):
    """What is told of every assessment.

    Attributes:
        verdict: passed, failed or invalid; empty until it has ended.
        reason: why there is no verdict.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    name: str
    version: int
    kind: str
    state: AssessmentState
    verdict: str
    reason: str
    job: str
    asked_by: str
    asked_at: datetime
    ended_at: datetime | None


class Assessment(AssessmentStanding):
    """One assessment of a version.

    Attributes:
        counts: it is the newest of its kind, under the plan that is in force, so rules look at it.
    """

    counts: bool


class Assessments(_Answer):
    """Assessments of a model, the newest first."""

    assessments: list[Assessment]


class ShowAssessment(ModelReference):
    """The report of a version's newest assessment of a kind."""

    kind: Kind = "robustness"
    form: Literal["json", "html"] = Field(default="json", description="json or html")
