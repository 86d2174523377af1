"""Rows behind decisions: who holds which role where, who is suspended, seals, and the epoch."""

from datetime import datetime

from sqlalchemy import Index, String
from sqlalchemy.orm import Mapped, mapped_column

from strongroom.vault.database import Base

SERVER_WIDE = ""
"""The `workspace` of a grant that is about the server itself; no workspace has this name."""


class GrantRow(Base):
    """A principal holds a role in a workspace. In Cedar: it is a child of that role's entity."""

    __tablename__ = "grants"
    __table_args__ = (Index(None, "workspace", "role"),)

    principal: Mapped[str] = mapped_column(String(64), primary_key=True)
    workspace: Mapped[str] = mapped_column(String(63), primary_key=True)
    role: Mapped[str] = mapped_column(String(64), primary_key=True)
    granted_by: Mapped[str] = mapped_column(String(64))
    granted_at: Mapped[datetime]


class SuspensionRow(Base):
    """A principal to whom everything is forbidden until the row is gone."""

    __tablename__ = "suspensions"

    principal: Mapped[str] = mapped_column(String(64), primary_key=True)
    since: Mapped[datetime]


class StandingRow(Base):
    """The seal of all that `grants` and `suspensions` say of a principal.

    Kept when nothing is held any more, so that its absence beside a grant is a forgery.
    """

    __tablename__ = "standings"

    principal: Mapped[str] = mapped_column(String(64), primary_key=True)
    number: Mapped[int]
    """The epoch that their last change began; it only grows."""
    mac: Mapped[bytes]


class PolicyEpochRow(Base):
    """The only row, `id` 1, counts the changes of grants, suspensions and policies."""

    __tablename__ = "policy_epoch"

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    epoch: Mapped[int]
