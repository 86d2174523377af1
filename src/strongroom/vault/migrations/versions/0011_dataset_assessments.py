"""Assessments of dataset versions: their rows searched for poison before a model is trained."""

import sqlalchemy as sa
from alembic import op

from strongroom.vault.database import UtcDateTime

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "dataset_assessments",
        sa.Column("id", sa.String(length=28), nullable=False),
        sa.Column("dataset", sa.String(length=32), nullable=False),
        sa.Column("version", number, nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("state", sa.String(length=8), nullable=False),
        sa.Column("verdict", sa.String(length=8), nullable=False),
        sa.Column("reason", sa.String(length=500), nullable=False),
        sa.Column("wish", sa.String(length=32), nullable=True),
        sa.Column("kept", sa.String(length=32), nullable=True),
        sa.Column("report", sa.String(length=32), nullable=True),
        sa.Column("envelope", sa.LargeBinary(), nullable=True),
        sa.Column("job", sa.String(length=28), nullable=False),
        sa.Column("asked_by", sa.String(length=64), nullable=False),
        sa.Column("asked_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["dataset"], ["dataset_names.id"],
            name=op.f("fk_dataset_assessments_dataset_dataset_names"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_assessments")),
    )  # fmt: skip
    op.create_index(
        op.f("ix_dataset_assessments_dataset"), "dataset_assessments", ["dataset"], unique=False
    )
