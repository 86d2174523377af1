"""Nouns of training with privacy: what is asked and what is answered."""

from pydantic import BaseModel, ConfigDict, Field

from strongroom.engines.privacy.dp.training.running import DEFAULT_DELTA
from strongroom.services.data.types import DatasetName
from strongroom.services.models.types import ModelName, WorkspaceName

MAX_DOMAIN_BYTES = 1 << 20


class TrainModel(BaseModel):
    """A model to learn from the rows of a dataset, paid from its privacy budget."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    workspace: WorkspaceName
    name: ModelName
    dataset: DatasetName = Field(description="whose rows it learns from")
    dataset_version: int = Field(
        default=0, ge=0, le=2**31 - 1, strict=False, description="the newest for 0"
    )
    epsilon: float = Field(
        strict=False, allow_inf_nan=False, description="to spend; commonly 0.5 to 4"
    )
    delta: float = Field(
        default=DEFAULT_DELTA, strict=False, allow_inf_nan=False,
        description="chance that epsilon does not hold; best the budget's",
    )  # fmt: skip
    purpose: str = Field(max_length=100, description="what the model is for")
    method: str = Field(
        default="additive", description="additive, boosting, or network (needs the extra torch)"
    )
    rows: int = Field(default=1, ge=1, strict=False, description="rows of one person that count")
    dry_run: bool = Field(default=False, strict=False, description="say what it costs, only")


class TrainingAnswer(BaseModel):
    """What a training costs, and the job that does it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    job: str = Field(description="shows with `strongroom job show`; empty after a dry run")
    protects: str
    epsilon: float | None = Field(
        description="of this training, at the budget's delta; null where it has none"
    )
    spent: float | None = Field(description="of the budget's period, with this training")
    remaining: float
    fits: bool
    refusal: str | None = Field(description="why it does not fit")
