"""Nouns of workspaces: what enters and what is given out."""

from collections.abc import Mapping
from datetime import datetime
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

MAX_LISTED = 1_000

WorkspaceName = Annotated[
    str, StringConstraints(pattern=r"^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])$", max_length=63)
]
"""2 to 63 small letters, digits and hyphens, no hyphen at either end; as MLflow wants them."""

PrincipalReference = Annotated[
    str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$", max_length=64)
]
"""A person or service identity by id or by name."""

RoleName = Annotated[str, StringConstraints(min_length=1, max_length=64)]
"""A role as people write it: `Data Scientist`, `data-scientist`."""

ActionName = Annotated[str, StringConstraints(pattern=r"^[a-z][A-Za-z]{1,63}$")]


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class CreateWorkspace(_Request):
    """A new workspace; who makes it becomes its Owner."""

    name: WorkspaceName
    description: str = Field(default="", max_length=500)


class WorkspaceReference(_Request):
    """One workspace."""

    workspace: WorkspaceName


class ListWorkspaces(_Request):
    """A page of the workspaces that one may read, by name."""

    after: str = Field(default="", max_length=63, description="name after which the page begins")
    limit: int = Field(default=100, ge=1, le=MAX_LISTED, strict=False)


class Workspace(_Answer):
    """A workspace."""

    name: str
    description: str
    created_at: datetime


class Workspaces(_Answer):
    """A page of workspaces."""

    workspaces: list[Workspace]


ClaimCode = Annotated[str, StringConstraints(pattern=r"^[A-Za-z2-7]{4}-?[A-Za-z2-7]{4}$")]
"""How a person knows that it is they who claimed their account: `K7QX-3M2P`."""


class _RoleOf(_Request):
    workspace: WorkspaceName
    principal: PrincipalReference
    role: RoleName


class GrantRole(_RoleOf):
    """A role for a person or service identity in a workspace."""

    claim: ClaimCode | None = Field(
        default=None,
        description="the claim code that the person tells; needed for a first role here",
    )


class RevokeRole(_RoleOf):
    """A role to take away."""


class ResealRole(_Request):
    """What a member holds, to be made again as the log says."""

    workspace: WorkspaceName
    principal: PrincipalReference
    confirm: str | None = Field(
        default=None, pattern=r"^[0-9a-f]{16}$",
        description="the code that was shown with the difference; none: only show it",
    )  # fmt: skip
    reason: str = Field(
        default="", max_length=200, description="why; it stays in the log, so nothing personal"
    )


class Resealed(_Answer):
    """What differs from what the log says, and whether it was made so.

    `-` stands in the rows and must not, `+` must and does not.
    """

    principal: str
    difference: list[str]
    confirm: str = Field(description="the code of this difference")
    done: bool


class Member(_Answer):
    """Who holds which role, since when and by whose word."""

    principal: str
    name: str
    role: str
    granted_by: str
    granted_at: datetime
    tampered: bool = Field(
        default=False, description="changed outside the server: they hold nothing, see role.reseal"
    )


class Members(_Answer):
    """The members of a workspace with their roles, and what roles there are."""

    members: list[Member]
    roles: Mapping[str, str] = Field(description="each built-in role and what it is for")


class AskAccess(_Request):
    """May a principal do something? About oneself unless `principal` names another."""

    workspace: WorkspaceName
    action: ActionName
    principal: PrincipalReference | None = None
    resource_type: str = Field(default="Workspace", pattern=r"^[A-Z][A-Za-z]{1,63}$")
    resource: str | None = Field(
        default=None, max_length=300, description="its id within the workspace; none: the workspace"
    )


class AskWhoCan(_Request):
    """Which members may do something?"""

    workspace: WorkspaceName
    action: ActionName
    resource_type: str = Field(default="Workspace", pattern=r"^[A-Z][A-Za-z]{1,63}$")
    resource: str | None = Field(
        default=None, max_length=300, description="its id within the workspace; none: the workspace"
    )


class AccessAnswer(_Answer):
    """The decision, and the policies it rests on."""

    principal: str
    name: str
    allowed: bool
    policies: list[str]


class WhoCan(_Answer):
    """Those who may."""

    principals: list[AccessAnswer]
