"""The nouns of endpoints: what is created, deployed and asked, and what a model answers."""

from datetime import datetime
from typing import Annotated, Literal, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator
from sqlalchemy.orm import Session

from strongroom.services.models.types import Servable

MAX_ROWS = 10_000

EndpointName = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,62}$")]
ModelName = Annotated[str, StringConstraints(min_length=1, max_length=256)]
Workspace = Annotated[str, StringConstraints(pattern=r"^[a-z0-9-]{2,63}$")]
Form = Literal["onnx", "confined"]
GuardMode = Literal["off", "observe", "refuse"]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Range(_Request):
    """Bounds of one feature, both included; a value outside is refused before the model."""

    low: float | None = Field(default=None, allow_inf_nan=False)
    high: float | None = Field(default=None, allow_inf_nan=False)

    @model_validator(mode="after")
    def _in_order(self) -> Self:
        if self.low is not None and self.high is not None and self.low > self.high:
            raise ValueError("`low` must not be above `high`")
        return self


class CreateEndpoint(_Request):
    """A new endpoint; it answers once a model is deployed."""

    workspace: Workspace
    endpoint: EndpointName
    rows_per_minute: int = Field(default=60_000, ge=1, le=100_000_000, description="of one caller")
    max_rows: int = Field(default=1_000, ge=1, le=MAX_ROWS, description="rows of one call")
    decimals: int = Field(default=4, ge=0, le=15, description="to which probabilities are rounded")
    ranges: dict[str, Range] = Field(default_factory=dict, description="bounds by feature")


class DeployModel(_Request):
    """Which approved model version an endpoint shall answer with."""

    workspace: Workspace
    endpoint: EndpointName
    model: ModelName
    version: int = Field(ge=1, le=2**31 - 1)
    guard: Literal["", "off", "observe", "refuse"] = Field(
        default="", description="what the endpoint does with its guard; empty: as it did before"
    )


class EndpointReference(_Request):
    """Names one endpoint."""

    workspace: Workspace
    endpoint: EndpointName


class ListEndpoints(_Request):
    """Which endpoints to list."""

    workspace: Workspace


class InvokeEndpoint(_Request):
    """Rows to predict: one list of values for each row, in the order of the features."""

    workspace: Workspace
    endpoint: EndpointName
    rows: list[list[float | str]] = Field(min_length=1, max_length=MAX_ROWS)


class Deployment(_Answer):
    """A model version at an endpoint."""

    id: str
    model: str
    version: int
    digest: str
    form: Form
    features: list[str]
    classes: list[str]
    deployed_by: str
    deployed_at: datetime


class GuardStanding(_Answer):
    """How an endpoint is guarded, for whoever may see the endpoint.

    No count of rows is among it: a caller could ask one row, look again, and so learn of each what
    the guard thinks of it, even where the guard may only observe.

    Attributes:
        is_guarded: rows are looked at.
        fault: why not, where they should be.
        alarms: callers with an alarm that is in force.
    """

    mode: GuardMode
    is_guarded: bool
    fault: str
    alarms: int


class Endpoint(_Answer):
    """An endpoint, and what it answers with; `guard` is None where nothing answers."""

    workspace: str
    name: str
    rows_per_minute: int
    max_rows: int
    decimals: int
    ranges: dict[str, Range]
    live: Deployment | None
    is_ready: bool
    fault: str = ""
    guard: GuardStanding | None = None


class EndpointList(_Answer):
    """The endpoints of a workspace by name."""

    endpoints: list[Endpoint]


class PredictionAnswer(_Answer):
    """What the model says of each row."""

    model: str
    version: int
    predictions: list[int | float | str]
    probabilities: list[list[float]] | None = None
    classes: list[str] = Field(default_factory=list)


# ---- inside ----


class ServableModels(Protocol):
    """Who hands out models to serve: `services.models`."""

    def servable(self, workspace: str, model: str, version: int) -> Servable:
        """Verify signature, digests and state, and open it.

        Raises:
            NotFoundError: no such version.
            StateError: it is not approved.
            TamperedError: its bytes are not what was signed.
            KeyUnavailableError: the workspace's key is disabled.
        """
        ...

    def falls_back(self, workspace: str) -> bool:
        """Whether an endpoint goes on with its former version when one was tampered with."""
        ...

    def require_standing(self, session: Session, workspace: str, model: str, version: int) -> None:
        """Return if a version that was loaded may go on answering; reads no bytes of it.

        Raises:
            StateError: it is no longer approved.
            NotFoundError: it is gone.
            KeyUnavailableError: the workspace's key is disabled or destroyed.
        """
        ...
