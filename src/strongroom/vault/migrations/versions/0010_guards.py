"""Guards of model versions; what endpoints do with them, and callers who raised an alarm."""

import sqlalchemy as sa
from alembic import op

from strongroom.vault.database import UtcDateTime

revision = "0010"
down_revision = "0009"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "model_guards",
        sa.Column("entry", sa.String(length=28), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("wish", sa.String(length=32), nullable=True),
        sa.Column("guard", sa.String(length=32), nullable=True),
        sa.Column("job", sa.String(length=28), nullable=False),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["entry"], ["model_entries.id"], name=op.f("fk_model_guards_entry_model_entries")
        ),
        sa.PrimaryKeyConstraint("entry", name=op.f("pk_model_guards")),
    )
    _endpoint_tables()


def _endpoint_tables() -> None:
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    endpoint = ["workspace", "endpoint"], ["serving_endpoints.workspace", "serving_endpoints.name"]
    op.create_table(
        "serving_guards",
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("endpoint", sa.String(length=63), nullable=False),
        sa.Column("mode", sa.String(length=8), nullable=False),
        sa.Column("rate", sa.Double(), nullable=False),
        sa.Column("shows", sa.String(length=13), nullable=False),
        sa.Column("top", number, nullable=False),
        sa.Column("decimals", number, nullable=False),
        sa.Column("set_by", sa.String(length=64), nullable=False),
        sa.Column("set_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            *endpoint, name=op.f("fk_serving_guards_workspace_endpoint_serving_endpoints"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("workspace", "endpoint", name=op.f("pk_serving_guards")),
    )  # fmt: skip
    op.create_table(
        "serving_guard_alarms",
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("endpoint", sa.String(length=63), nullable=False),
        sa.Column("caller", sa.String(length=64), nullable=False),
        sa.Column("because", sa.String(length=16), nullable=False),
        sa.Column("rows", number, nullable=False),
        sa.Column("raised_at", UtcDateTime(), nullable=False),
        sa.Column("reset_at", UtcDateTime(), nullable=True),
        sa.Column("reset_by", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            *endpoint, name=op.f("fk_serving_guard_alarms_workspace_endpoint_serving_endpoints"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint(
            "workspace", "endpoint", "caller", name=op.f("pk_serving_guard_alarms")
        ),
    )  # fmt: skip
