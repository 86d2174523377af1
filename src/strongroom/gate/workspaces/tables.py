"""Rows of workspaces. Who is in one, the grants say."""

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from strongroom.vault.database import Base


class WorkspaceRow(Base):
    """A workspace: the wall between tenants."""

    # MLflow has a table `workspaces` of its own in the same database.
    __tablename__ = "strongroom_workspaces"

    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    description: Mapped[str] = mapped_column(String(500))
    created_by: Mapped[str] = mapped_column(String(32))
    created_at: Mapped[datetime]
