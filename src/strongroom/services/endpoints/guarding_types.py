"""Nouns of guarding endpoints: what is set, what a guard has seen, whose state is reset."""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from strongroom.services.endpoints.types import EndpointReference, GuardMode, GuardStanding

Pseudonym = Annotated[str, StringConstraints(pattern=r"^c-[0-9a-f]{12}$")]


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class SetGuard(EndpointReference):
    """What an endpoint shall do with its guard; what is left out stays as it is."""

    mode: Literal["", "off", "observe", "refuse"] = Field(
        default="", description="off, observe or refuse"
    )
    rate: float | None = Field(
        default=None, ge=0, le=0.5, allow_inf_nan=False,
        description="of false alarms, of single rows; 0: as the guard was fitted",
    )  # fmt: skip
    shows: Literal["", "probabilities", "labels"] = Field(
        default="", description="what leaves: probabilities or labels"
    )
    top: int | None = Field(
        default=None, ge=0, le=1_000, description="largest probabilities that are shown; 0: all"
    )
    decimals: int | None = Field(
        default=None, ge=-1, le=15, description="of probabilities; -1: those of the endpoint"
    )


class ResetCaller(EndpointReference):
    """A caller to begin anew with, as `endpoint guard` names them."""

    caller: Pseudonym


class CallerSeen(_Answer):
    """One caller of an endpoint, under a pseudonym that stays the same within the workspace.

    Attributes:
        rows, flagged, refused: since the server was started, or the caller was reset.
        because: the signal that raised the last alarm.
        raised_at: of that alarm; None for never.
        is_alarmed: it is in force.
    """

    caller: str
    rows: int
    flagged: int
    refused: int
    because: str
    raised_at: datetime | None
    is_alarmed: bool


class Detector(_Answer):
    """One detector of single rows, and the rows that it flagged since the server was started."""

    name: str
    flagged: int


class RowGuard(_Answer):
    """What judges single rows.

    Attributes:
        rate: of false alarms that is in force, over rows that the model answers rightly.
        rate_low, rate_high: with so many calibration rows the true rate lies between these (95 %).
        rows: looked at since the server was started.
    """

    detectors: list[Detector]
    rate: float
    rate_low: float
    rate_high: float
    calibration: int
    rows: int


class StreamGuard(_Answer):
    """What judges all that a caller asks.

    Attributes:
        rate: of honest streams of `length` questions that raise an alarm.
        alarms: in force, whichever server raised them.
        raised: by this server since it was started.
    """

    signals: list[str]
    rate: float
    length: int
    alarms: int
    raised: int


class GuardShown(_Answer):
    """How an endpoint is guarded, and what its guard has seen.

    Attributes:
        flagged, refused: rows and requests, since the server was started.
        rows, streams: None where there is no guard, or it cannot tell honest streams.
        callers: those with the latest alarms first, then those with most flagged rows.
    """

    endpoint: str
    model: str
    version: int
    standing: GuardStanding
    flagged: int
    refused: int
    mode: GuardMode
    shows: Literal["probabilities", "labels"]
    top: int | None
    decimals: int
    rows: RowGuard | None
    streams: StreamGuard | None
    callers: list[CallerSeen]


class CallerReset(_Answer):
    """A caller that is looked at anew."""

    endpoint: str
    caller: str
    had_alarm: bool
