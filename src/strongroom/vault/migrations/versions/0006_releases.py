"""Releases of datasets."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the table."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "dataset_releases",
        sa.Column("series", sa.String(length=32), nullable=False),
        sa.Column("number", number, autoincrement=False, nullable=False),
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("record_key", sa.LargeBinary(), nullable=False),
        sa.Column("record_key_version", number, nullable=False),
        sa.PrimaryKeyConstraint("series", "number", name=op.f("pk_dataset_releases")),
    )
    op.create_index(
        op.f("ix_dataset_releases_workspace"), "dataset_releases", ["workspace"], unique=False
    )
