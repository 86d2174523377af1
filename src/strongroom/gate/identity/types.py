"""Nouns of identity: what enters and what is given out.

A secret appears in no answer but the one that made it.
"""

from datetime import datetime
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from strongroom.gate.workspaces.types import PrincipalReference, WorkspaceName

AccountKind = Literal["person", "service"]
KeyState = Literal["active", "expired", "revoked"]

AccountName = Annotated[
    str,
    # Not `usr_…` or `svc_…`: those are ids, and one field may take either.
    StringConstraints(pattern=r"^[A-Za-z][A-Za-z0-9.-]{0,62}[A-Za-z0-9]$", max_length=64),
]
"""How people call an account: letters, digits, dots and hyphens. No personal data is needed."""

Purpose = Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9-]{0,31}$")]

ApiKeyId = Annotated[str, StringConstraints(pattern=r"^srk_[a-z2-7]{16}$")]

MAX_LISTED = 1_000


class _Request(BaseModel):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class _Answer(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Nothing(_Request):
    """A request that needs no fields."""


class CreateUser(_Request):
    """A new person or service identity."""

    name: AccountName
    kind: AccountKind = "person"


class ListUsers(_Request):
    """A page of accounts, by name."""

    after: str = Field(default="", max_length=64, description="name after which the page begins")
    limit: int = Field(default=100, ge=1, le=MAX_LISTED, strict=False)


class UserReference(_Request):
    """One account."""

    user: PrincipalReference


class User(_Answer):
    """An account."""

    id: str
    name: str
    kind: AccountKind
    disabled: bool
    created_at: datetime


class Users(_Answer):
    """A page of accounts."""

    users: list[User]


class CreateApiKey(_Request):
    """A new API key for oneself."""

    purpose: Purpose = "default"
    days: int | None = Field(
        default=None,
        ge=1,
        strict=False,
        description="until it expires; at most as the server allows",
    )
    workspaces: list[WorkspaceName] = Field(
        default_factory=list, max_length=100, description="limit the key to these; none: all"
    )


class ApiKey(_Answer):
    """An API key as listed: never its secret."""

    id: str
    user: str
    purpose: str
    workspaces: list[str]
    created_at: datetime
    expires_at: datetime
    last_used_at: datetime | None = Field(description="to within the hour")
    state: KeyState


class NewApiKey(ApiKey):
    """An API key just made; `secret` is shown this once."""

    secret: str = Field(repr=False)


class ListApiKeys(_Request):
    """Whose keys to list: one's own unless `user` names another."""

    user: PrincipalReference | None = None


class ApiKeys(_Answer):
    """API keys, the newest first."""

    keys: list[ApiKey]


class ApiKeyReference(_Request):
    """One API key."""

    key: ApiKeyId


class NewLink(_Answer):
    """A one-time sign-in link; `token`, which the console's sign-in takes, is shown this once."""

    user: str
    token: str = Field(repr=False)
    expires_at: datetime


class Invitation(_Answer):
    """What claims an account, once; `token` is shown this once, and for its person only."""

    user: str
    token: str = Field(repr=False)
    expires_at: datetime


class Claimed(NewApiKey):
    """The first API key of an account just claimed, and the code of the claim."""

    claim: str = Field(description="an Owner asks for it before giving a first role")


class Whoami(_Answer):
    """Who the credential belongs to, what it is limited to, and the code of the claim."""

    id: str
    name: str
    kind: AccountKind
    credential: str
    workspaces: list[str] = Field(description="the credential is limited to these; none: all")
    claim: str = Field(description="an Owner asks for it before giving a first role; empty: none")
