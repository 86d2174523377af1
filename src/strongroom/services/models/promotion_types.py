"""Nouns of promotion: rules, who waits for whom, what was decided."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, Field

from strongroom.services.models.types import (
    MAX_LISTED,
    Decision,
    ModelName,
    ModelVersion,
    RuleShown,
    WorkspaceName,
)


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ShowPolicy(_Request):
    """The rules by which a workspace admits model versions."""

    workspace: WorkspaceName


class SetPolicy(_Request):
    """Rules in place of those there were; the body is TOML."""

    workspace: WorkspaceName


class PolicyShown(_Answer):
    """The rules of a workspace.

    Attributes:
        digest: `sha256:…` of the text, as approvals name it.
        set_by, set_at: None where nobody has set any.
    """

    digest: str
    set_by: str | None
    set_at: datetime | None
    text: str


class ApprovedVersion(ModelVersion):
    """A version after an approval: approved, or waiting for others.

    Attributes:
        approvals: ids of those who have approved it under the rules in force.
        rules: every rule; those that are not met are waited for.
    """

    approvals: list[str]
    rules: list[RuleShown]


class ListWaiting(_Request):
    """Versions that wait for people."""

    workspace: WorkspaceName
    name: str = Field(default="", max_length=256, description="only the versions of this model")
    limit: int = Field(default=100, ge=1, le=MAX_LISTED, strict=False)


class WaitingVersion(_Answer):
    """A version that waits.

    Attributes:
        registered_by, approvals: names; the id of an account that is gone.
        unmet: the rules that it does not meet yet.
        people: names of those who could approve it now.
    """

    name: str
    version: int
    registered_by: str
    registered_at: datetime
    approvals: list[str]
    unmet: list[RuleShown]
    people: list[str]


class WaitingVersions(_Answer):
    """Versions that wait, the longest first."""

    waiting: list[WaitingVersion]


class ShowHistory(_Request):
    """Every decision on the versions of a model."""

    workspace: WorkspaceName
    name: ModelName
    limit: int = Field(default=200, ge=1, le=MAX_LISTED, strict=False)


class HistoryEntry(_Answer):
    """One decision.

    Attributes:
        decision: approval is one of several; approved, rejected, retired and deleted are final.
        is_signed: False for those from before decisions were signed.
        rules: digest of the rules that an approval was given under; empty for others.
    """

    version: int
    decision: Decision
    by: str
    at: datetime
    comment: str
    purpose: str
    rules: str
    is_signed: bool


class History(_Answer):
    """Decisions on the versions of a model, the newest first."""

    name: str
    decisions: list[HistoryEntry]
