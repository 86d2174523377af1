"""Rows of jobs. This table is the queue that lasts; what hands the work out only follows it."""

from datetime import datetime

from sqlalchemy import JSON, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from strongroom.vault.database import Base


class JobRow(Base):
    """One job.

    `server` and `leased_until` say who is at it and how long that is to be believed, while it runs;
    while it waits for space, `leased_until` is when it is tried again.
    """

    __tablename__ = "work_jobs"
    __table_args__ = (Index(None, "state", "leased_until"), Index(None, "workspace", "created_at"))

    id: Mapped[str] = mapped_column(String(28), primary_key=True)
    kind: Mapped[str] = mapped_column(String(64))
    workspace: Mapped[str] = mapped_column(String(63))
    actor: Mapped[str] = mapped_column(String(64))
    payload: Mapped[dict[str, object]] = mapped_column(JSON)
    state: Mapped[str] = mapped_column(String(9))
    attempts: Mapped[int] = mapped_column(default=0)
    is_cancel_asked: Mapped[bool] = mapped_column(default=False)
    progress: Mapped[str] = mapped_column(String(500), default="")
    error: Mapped[str] = mapped_column(String(2000), default="")
    result: Mapped[dict[str, object]] = mapped_column(JSON, default=dict)
    server: Mapped[str] = mapped_column(String(16), default="")
    leased_until: Mapped[datetime | None]
    created_at: Mapped[datetime]
    finished_at: Mapped[datetime | None]
