"""Nouns of guards of model versions: what is asked, how a guard stands."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from strongroom.services.data.types import DatasetName
from strongroom.services.models.types import ModelReference


class GuardState(StrEnum):
    """How far the fitting of a guard is."""

    WAITING = "waiting"
    """For the checks of the version."""
    QUEUED = "queued"
    DONE = "done"
    BROKEN = "broken"
    """It ended without a guard; the reason says why. A former guard stays."""
    DAMAGED = "damaged"
    """It was fitted, and what is kept of it cannot be read any more: fit it anew."""
    GONE = "gone"
    """The version was deleted, and the guard with it."""


class FitGuard(ModelReference):
    """A version to guard, and the rows to know honest questions by."""

    dataset: DatasetName = Field(description="whose rows the model was trained on, or such rows")
    dataset_version: int = Field(
        default=0, ge=0, le=2**31 - 1, strict=False, description="the newest for 0"
    )
    label: str = Field(min_length=1, max_length=200, description="column of the true labels")
    label_values: list[Annotated[str, StringConstraints(min_length=1, max_length=500)]] = Field(
        default_factory=list, max_length=1_000,
        description="values of that column in the order of the model's classes, where it names "
        "them otherwise",
    )  # fmt: skip
    held_out: str = Field(
        default="", max_length=128,
        description="a dataset whose rows the model never saw: sets the rate of false alarms",
    )  # fmt: skip
    held_out_version: int = Field(
        default=0, ge=0, le=2**31 - 1, strict=False, description="the newest for 0"
    )
    rate: float = Field(
        default=0.01, gt=0, le=0.5, strict=False, allow_inf_nan=False,
        description="of false alarms, over rows that the model answers rightly",
    )  # fmt: skip
    group: int = Field(
        default=1, ge=1, le=100, strict=False,
        description="rows averaged into a point that is kept; 1 keeps rows as they are",
    )  # fmt: skip
    squeezing: bool = Field(
        default=False, strict=False, description="also ask the model for a coarser row each time"
    )


class ModelGuard(BaseModel):
    """The guard of a version, as far as people may see it: nothing of the rows that it holds.

    Attributes:
        has_guard: one is there, perhaps a former one while another is fitted.
        reason: why the last fitting ended without one, or why it cannot be read.
        job: of the last fitting; empty while it waits for the checks of the version.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    version: int
    state: GuardState
    has_guard: bool
    reason: str
    job: str
    asked_by: str
    asked_at: datetime
    ended_at: datetime | None
