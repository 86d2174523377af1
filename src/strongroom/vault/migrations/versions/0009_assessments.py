"""Plans of assessments, and the assessments of model versions."""

import sqlalchemy as sa
from alembic import op

from strongroom.vault.database import UtcDateTime

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "model_plans",
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("plan", sa.LargeBinary(), nullable=False),
        sa.Column("plan_key", sa.LargeBinary(), nullable=False),
        sa.Column("plan_key_version", number, nullable=False),
        sa.Column("set_by", sa.String(length=64), nullable=False),
        sa.Column("set_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "kind", name=op.f("pk_model_plans")),
    )
    op.create_table(
        "model_assessments",
        sa.Column("id", sa.String(length=28), nullable=False),
        sa.Column("entry", sa.String(length=28), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("verdict", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("wish", sa.String(length=32), nullable=True),
        sa.Column("kept", sa.String(length=32), nullable=True),
        sa.Column("report", sa.String(length=32), nullable=True),
        sa.Column("job", sa.String(length=28), nullable=False),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["entry"], ["model_entries.id"], name=op.f("fk_model_assessments_entry_model_entries")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_assessments")),
    )
    op.create_index(
        op.f("ix_model_assessments_entry"), "model_assessments", ["entry"], unique=False
    )
