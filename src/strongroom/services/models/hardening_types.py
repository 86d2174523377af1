"""Nouns of hardening on the server: what is asked, what is answered."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

import msgspec
from pydantic import BaseModel, ConfigDict, Field

from strongroom.engines.robustness.hardening.ways import Options
from strongroom.services.data.types import DatasetName
from strongroom.services.models.assessing_types import Kind
from strongroom.services.models.types import ModelReference

_Way = Literal["retrained", "adversarial", "regularised", "dropping"]


class HardenModel(ModelReference):
    """A version to train anew, the rows to do it with, and how."""

    way: _Way = Field(
        default="retrained", description="retrained, adversarial, regularised or dropping"
    )
    kind: Kind = Field(default="robustness", description="whose plan is run before and after")
    dataset: DatasetName = Field(description="whose rows it is trained on")
    dataset_version: int = Field(
        default=0, ge=0, le=2**31 - 1, strict=False, description="the newest for 0"
    )
    held_out: DatasetName = Field(description="a dataset whose rows no model saw")
    held_out_version: int = Field(
        default=0, ge=0, le=2**31 - 1, strict=False, description="the newest for 0"
    )
    into: str = Field(
        default="", max_length=256,
        description="model that gets the new version; NAME, or NAME-hardened where a client "
        "counts the versions of that",
    )  # fmt: skip
    recipe: Literal["", "forest", "boosting", "logistic"] = Field(
        default="", description="forest, boosting or logistic; the model's own for none"
    )
    radius: float = Field(
        default=0.0, ge=0, le=10, strict=False, description="of adversarial training; 0: by rows"
    )
    rounds: int = Field(default=3, ge=1, le=20, strict=False, description="of the same")
    drop: str = Field(
        default="", max_length=10_000,
        description="features to drop, with commas between; those attacks lean on for none",
    )  # fmt: skip
    control: bool = Field(
        default=True, strict=False, description="also fit anew with nothing changed"
    )


class Hardening(BaseModel):
    """A hardening that was asked for; its job tells the new version."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    parent: str
    into: str = Field(description="model that gets the new version")
    way: str
    kind: str
    left_out: int = Field(description="rows that the quarantine list takes out")
    job: str = Field(description="shows with `strongroom job show`")
    asked_at: datetime


class ShowHardening(ModelReference):
    """Before and after of a version that came of a hardening."""

    form: Literal["json", "html"] = Field(default="json", description="json or html")


class ShowQuarantine(ModelReference):
    """The suspect training rows that the newest assessment of a version listed."""

    kind: Kind = "robustness"


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked for, as it lies sealed until the job has ended.

    Attributes:
        plan: its text. quarantine: the list of rows that are left out, as CSV, or empty.
        recipe: a reference's name; empty: the model's own, where it states one.
        into: name of the model that gets the new version.
        tables: `trained` and `held_out` → id of the dataset and number of its version.
    """

    plan: str
    way: str
    recipe: str
    into: str
    has_control: bool
    tables: dict[str, tuple[str, int]]
    options: Options
    quarantine: str = ""

    def to_bytes(self) -> bytes:
        """As JSON."""
        return msgspec.json.encode(self)
