"""Privacy budgets of datasets, and what was spent of them."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    number = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "privacy_budgets",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("key", sa.LargeBinary(), nullable=False),
        sa.Column("key_version", number, nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_privacy_budgets")),
    )
    op.create_index(
        op.f("ix_privacy_budgets_workspace"), "privacy_budgets", ["workspace"], unique=False
    )
    op.create_table(
        "privacy_spends",
        sa.Column("budget", sa.String(length=32), nullable=False),
        sa.Column("number", number, autoincrement=False, nullable=False),
        sa.Column("spend", sa.LargeBinary(), nullable=False),
        sa.Column("head", sa.LargeBinary(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["budget"],
            ["privacy_budgets.id"],
            name=op.f("fk_privacy_spends_budget_privacy_budgets"),
        ),
        sa.PrimaryKeyConstraint("budget", "number", name=op.f("pk_privacy_spends")),
    )
