"""Rows of endpoints and of what was deployed at them."""

from datetime import datetime

from sqlalchemy import JSON, ForeignKeyConstraint, String
from sqlalchemy.orm import Mapped, mapped_column

from strongroom.vault.database import Base


class EndpointRow(Base):
    """An endpoint; `live` is the deployment that answers, empty before the first."""

    __tablename__ = "serving_endpoints"

    workspace: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(63), primary_key=True)
    rows_per_minute: Mapped[int]
    max_rows: Mapped[int]
    decimals: Mapped[int]
    ranges: Mapped[dict[str, list[float | None]]] = mapped_column(JSON)
    live: Mapped[str] = mapped_column(String(28), default="")
    created_by: Mapped[str] = mapped_column(String(64))
    created_at: Mapped[datetime]


class DeploymentRow(Base):
    """A model version that was deployed; `previous` is what it took the place of."""

    __tablename__ = "serving_deployments"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace", "endpoint"],
            ["serving_endpoints.workspace", "serving_endpoints.name"],
            ondelete="CASCADE",
        ),
    )

    id: Mapped[str] = mapped_column(String(28), primary_key=True)
    workspace: Mapped[str] = mapped_column(String(63))
    endpoint: Mapped[str] = mapped_column(String(63))
    model: Mapped[str] = mapped_column(String(256))
    version: Mapped[int]
    digest: Mapped[str] = mapped_column(String(128))
    form: Mapped[str] = mapped_column(String(8))
    features: Mapped[list[str]] = mapped_column(JSON)
    classes: Mapped[list[str]] = mapped_column(JSON)
    previous: Mapped[str] = mapped_column(String(28), default="")
    deployed_by: Mapped[str] = mapped_column(String(64))
    deployed_at: Mapped[datetime]


class GuardPolicyRow(Base):
    """What an endpoint does with its guard; sealed in the journal, see `guard_policies.py`.

    `rate` 0: as the guard was fitted; `top` 0: all; `decimals` -1: those of the endpoint.
    """

    __tablename__ = "serving_guards"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace", "endpoint"],
            ["serving_endpoints.workspace", "serving_endpoints.name"],
            ondelete="CASCADE",
        ),
    )

    workspace: Mapped[str] = mapped_column(String(63), primary_key=True)
    endpoint: Mapped[str] = mapped_column(String(63), primary_key=True)
    mode: Mapped[str] = mapped_column(String(8))
    rate: Mapped[float]
    shows: Mapped[str] = mapped_column(String(13))
    top: Mapped[int]
    decimals: Mapped[int]
    set_by: Mapped[str] = mapped_column(String(64))
    set_at: Mapped[datetime]


class GuardAlarmRow(Base):
    """The last alarm that a caller of an endpoint raised; `rows` asked until then."""

    __tablename__ = "serving_guard_alarms"
    __table_args__ = (
        ForeignKeyConstraint(
            ["workspace", "endpoint"],
            ["serving_endpoints.workspace", "serving_endpoints.name"],
            ondelete="CASCADE",
        ),
    )

    workspace: Mapped[str] = mapped_column(String(63), primary_key=True)
    endpoint: Mapped[str] = mapped_column(String(63), primary_key=True)
    caller: Mapped[str] = mapped_column(String(64), primary_key=True)
    because: Mapped[str] = mapped_column(String(16))
    rows: Mapped[int]
    raised_at: Mapped[datetime]
    reset_at: Mapped[datetime | None]
    reset_by: Mapped[str] = mapped_column(String(64), default="")
