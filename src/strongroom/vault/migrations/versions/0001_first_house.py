"""The first house: every room's tables."""

import sqlalchemy as sa
from alembic import op

from strongroom.vault.database import UtcDateTime

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "accounts",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("kind", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("created_by", sa.String(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_accounts")),
        sa.UniqueConstraint("name", name=op.f("uq_accounts_name")),
    )
    op.create_table(
        "blobs",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("workspace", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("sealing", sa.String(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.Column(
            "kek_version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "sealed_size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_blobs")),
    )
    op.create_index(op.f("ix_blobs_workspace"), "blobs", ["workspace"], unique=False)
    op.create_table(
        "dataset_names",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=100), nullable=False),
        sa.Column("mask_key", sa.LargeBinary(), nullable=False),
        sa.Column(
            "mask_key_version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dataset_names")),
        sa.UniqueConstraint("workspace", "name", name=op.f("uq_dataset_names_workspace_name")),
    )
    op.create_index(
        op.f("ix_dataset_names_workspace"), "dataset_names", ["workspace"], unique=False
    )
    op.create_table(
        "grants",
        sa.Column("principal", sa.String(length=64), nullable=False),
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("granted_by", sa.String(length=64), nullable=False),
        sa.Column("granted_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("principal", "workspace", "role", name=op.f("pk_grants")),
    )
    op.create_index(op.f("ix_grants_workspace_role"), "grants", ["workspace", "role"], unique=False)
    op.create_table(
        "log_checkpoints",
        sa.Column(
            "size",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("note", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("size", name=op.f("pk_log_checkpoints")),
    )
    op.create_table(
        "log_entries",
        sa.Column(
            "leaf_index",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("time", sa.Double(), nullable=False),
        sa.Column("workspace", sa.String(), nullable=False),
        sa.Column("action", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("actor_tag", sa.LargeBinary(length=8), nullable=False),
        sa.Column("resource_tag", sa.LargeBinary(length=8), nullable=False),
        sa.Column("leaf_hash", sa.LargeBinary(length=32), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("leaf_index", name=op.f("pk_log_entries")),
    )
    op.create_index(op.f("ix_log_entries_actor_tag"), "log_entries", ["actor_tag"], unique=False)
    op.create_index(
        op.f("ix_log_entries_resource_tag"), "log_entries", ["resource_tag"], unique=False
    )
    op.create_index(op.f("ix_log_entries_workspace"), "log_entries", ["workspace"], unique=False)
    op.create_table(
        "log_tiles",
        sa.Column(
            "level",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column(
            "index",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("hashes", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("level", "index", name=op.f("pk_log_tiles")),
    )
    op.create_table(
        "model_entries",
        sa.Column("id", sa.String(length=28), nullable=False),
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("model", sa.String(length=256), nullable=False),
        sa.Column("version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("state", sa.String(length=11), nullable=False),
        sa.Column("verdict", sa.String(length=10), nullable=False),
        sa.Column("reason", sa.String(length=1000), nullable=False),
        sa.Column("serving", sa.String(length=9), nullable=False),
        sa.Column("serving_reason", sa.String(length=500), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("facts", sa.LargeBinary(), nullable=False),
        sa.Column("facts_key", sa.LargeBinary(), nullable=False),
        sa.Column(
            "facts_key_version",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("report", sa.String(length=32), nullable=True),
        sa.Column("statement", sa.String(length=32), nullable=True),
        sa.Column("onnx", sa.String(length=32), nullable=True),
        sa.Column("approval", sa.LargeBinary(), nullable=True),
        sa.Column("job", sa.String(length=28), nullable=False),
        sa.Column("tampered_at", UtcDateTime(), nullable=True),
        sa.Column("tampered_reason", sa.String(length=500), nullable=False),
        sa.Column("registered_by", sa.String(length=64), nullable=False),
        sa.Column("registered_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_entries")),
        sa.UniqueConstraint(
            "workspace", "model", "version", name=op.f("uq_model_entries_workspace_model_version")
        ),
    )
    op.create_index(op.f("ix_model_entries_state"), "model_entries", ["state"], unique=False)
    op.create_table(
        "policy_epoch",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("epoch", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_policy_epoch")),
    )
    op.create_table(
        "registrations",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("workspace", sa.String(), nullable=False),
        sa.Column("experiment", sa.String(), nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("prefix", sa.String(), nullable=False),
        sa.Column("model", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("entry", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_registrations")),
        sa.UniqueConstraint(
            "workspace", "model", "version", name=op.f("uq_registrations_workspace_model_version")
        ),
    )
    op.create_index(op.f("ix_registrations_folder"), "registrations", ["folder"], unique=False)
    op.create_index(op.f("ix_registrations_model"), "registrations", ["model"], unique=False)
    op.create_index(
        op.f("ix_registrations_workspace"), "registrations", ["workspace"], unique=False
    )
    op.create_table(
        "sealed_secrets",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column(
            "key_version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("wrapped", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_sealed_secrets")),
    )
    op.create_table(
        "serving_endpoints",
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column(
            "rows_per_minute", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("max_rows", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("decimals", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("ranges", sa.JSON(), nullable=False),
        sa.Column("live", sa.String(length=28), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "name", name=op.f("pk_serving_endpoints")),
    )
    op.create_table(
        "standings",
        sa.Column("principal", sa.String(length=64), nullable=False),
        sa.Column("number", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("principal", name=op.f("pk_standings")),
    )
    op.create_table(
        "strongroom_workspaces",
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("description", sa.String(length=500), nullable=False),
        sa.Column("created_by", sa.String(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_strongroom_workspaces")),
    )
    op.create_table(
        "suspensions",
        sa.Column("principal", sa.String(length=64), nullable=False),
        sa.Column("since", UtcDateTime(), nullable=False),
        sa.PrimaryKeyConstraint("principal", name=op.f("pk_suspensions")),
    )
    op.create_table(
        "work_jobs",
        sa.Column("id", sa.String(length=28), nullable=False),
        sa.Column("kind", sa.String(length=64), nullable=False),
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("actor", sa.String(length=64), nullable=False),
        sa.Column("payload", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(length=9), nullable=False),
        sa.Column("attempts", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("is_cancel_asked", sa.Boolean(), nullable=False),
        sa.Column("progress", sa.String(length=500), nullable=False),
        sa.Column("error", sa.String(length=2000), nullable=False),
        sa.Column("result", sa.JSON(), nullable=False),
        sa.Column("server", sa.String(length=16), nullable=False),
        sa.Column("leased_until", UtcDateTime(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("finished_at", UtcDateTime(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_work_jobs")),
    )
    op.create_index(
        op.f("ix_work_jobs_state_leased_until"),
        "work_jobs",
        ["state", "leased_until"],
        unique=False,
    )
    op.create_index(
        op.f("ix_work_jobs_workspace_created_at"),
        "work_jobs",
        ["workspace", "created_at"],
        unique=False,
    )
    op.create_table(
        "workspace_keys",
        sa.Column("workspace", sa.String(), nullable=False),
        sa.Column("version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("wrapped", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("mac", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("workspace", "version", name=op.f("pk_workspace_keys")),
    )
    op.create_table(
        "api_keys",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("owner", sa.String(length=32), nullable=False),
        sa.Column("purpose", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("workspaces", sa.String(), nullable=False),
        sa.Column("created_by", sa.String(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("last_used_at", UtcDateTime(), nullable=True),
        sa.Column("revoked_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["owner"], ["accounts.id"], name=op.f("fk_api_keys_owner_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_keys")),
    )
    op.create_index(
        op.f("ix_api_keys_owner_purpose"), "api_keys", ["owner", "purpose"], unique=False
    )
    op.create_table(
        "artifacts",
        sa.Column(
            "id",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("workspace", sa.String(), nullable=False),
        sa.Column("experiment", sa.String(), nullable=False),
        sa.Column("folder", sa.String(), nullable=False),
        sa.Column("path", sa.String(), nullable=False),
        sa.Column("blob", sa.String(), nullable=False),
        sa.Column("size", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(["blob"], ["blobs.id"], name=op.f("fk_artifacts_blob_blobs")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_artifacts")),
        sa.UniqueConstraint(
            "workspace",
            "experiment",
            "folder",
            "path",
            name=op.f("uq_artifacts_workspace_experiment_folder_path"),
        ),
    )
    op.create_table(
        "console_sessions",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("ended_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"], ["accounts.id"], name=op.f("fk_console_sessions_account_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_console_sessions")),
    )
    op.create_index(
        op.f("ix_console_sessions_account"), "console_sessions", ["account"], unique=False
    )
    op.create_table(
        "dataset_column_overrides",
        sa.Column("dataset", sa.String(length=32), nullable=False),
        sa.Column("column", sa.String(length=256), nullable=False),
        sa.Column("type", sa.String(length=64), nullable=True),
        sa.Column("decided_by", sa.String(length=64), nullable=False),
        sa.Column("decided_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset"],
            ["dataset_names.id"],
            name=op.f("fk_dataset_column_overrides_dataset_dataset_names"),
        ),
        sa.PrimaryKeyConstraint("dataset", "column", name=op.f("pk_dataset_column_overrides")),
    )
    op.create_table(
        "dataset_versions",
        sa.Column("dataset", sa.String(length=32), nullable=False),
        sa.Column(
            "version",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=False,
            nullable=False,
        ),
        sa.Column("blob", sa.String(length=32), nullable=False),
        sa.Column("fingerprint", sa.String(length=64), nullable=False),
        sa.Column("rows", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("columns", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column(
            "personal_columns", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("record", sa.LargeBinary(), nullable=False),
        sa.Column("record_key", sa.LargeBinary(), nullable=False),
        sa.Column(
            "record_key_version",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            nullable=False,
        ),
        sa.Column("purpose", sa.String(length=200), nullable=False),
        sa.Column("legal_basis", sa.String(length=32), nullable=False),
        sa.Column(
            "retention_days", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False
        ),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("created_by", sa.String(length=64), nullable=False),
        sa.ForeignKeyConstraint(
            ["dataset"],
            ["dataset_names.id"],
            name=op.f("fk_dataset_versions_dataset_dataset_names"),
        ),
        sa.PrimaryKeyConstraint("dataset", "version", name=op.f("pk_dataset_versions")),
        sa.UniqueConstraint("blob", name=op.f("uq_dataset_versions_blob")),
        sa.UniqueConstraint(
            "dataset", "fingerprint", name=op.f("uq_dataset_versions_dataset_fingerprint")
        ),
    )
    op.create_table(
        "model_decisions",
        sa.Column(
            "number",
            sa.BigInteger().with_variant(sa.Integer(), "sqlite"),
            autoincrement=True,
            nullable=False,
        ),
        sa.Column("entry", sa.String(length=28), nullable=False),
        sa.Column("decision", sa.String(length=11), nullable=False),
        sa.Column("by", sa.String(length=64), nullable=False),
        sa.Column("at", UtcDateTime(), nullable=False),
        sa.Column("comment", sa.String(length=500), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry"], ["model_entries.id"], name=op.f("fk_model_decisions_entry_model_entries")
        ),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_model_decisions")),
    )
    op.create_index(op.f("ix_model_decisions_entry"), "model_decisions", ["entry"], unique=False)
    op.create_table(
        "model_files",
        sa.Column("entry", sa.String(length=28), nullable=False),
        sa.Column("path", sa.String(length=1024), nullable=False),
        sa.Column("blob", sa.String(length=32), nullable=False),
        sa.ForeignKeyConstraint(
            ["entry"], ["model_entries.id"], name=op.f("fk_model_files_entry_model_entries")
        ),
        sa.PrimaryKeyConstraint("entry", "path", name=op.f("pk_model_files")),
    )
    op.create_table(
        "serving_deployments",
        sa.Column("id", sa.String(length=28), nullable=False),
        sa.Column("workspace", sa.String(length=63), nullable=False),
        sa.Column("endpoint", sa.String(length=63), nullable=False),
        sa.Column("model", sa.String(length=256), nullable=False),
        sa.Column("version", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("digest", sa.String(length=128), nullable=False),
        sa.Column("form", sa.String(length=8), nullable=False),
        sa.Column("features", sa.JSON(), nullable=False),
        sa.Column("classes", sa.JSON(), nullable=False),
        sa.Column("previous", sa.String(length=28), nullable=False),
        sa.Column("deployed_by", sa.String(length=64), nullable=False),
        sa.Column("deployed_at", UtcDateTime(), nullable=False),
        sa.ForeignKeyConstraint(
            ["workspace", "endpoint"],
            ["serving_endpoints.workspace", "serving_endpoints.name"],
            name=op.f("fk_serving_deployments_workspace_endpoint_serving_endpoints"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_serving_deployments")),
    )
    op.create_table(
        "sign_in_links",
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("account", sa.String(length=32), nullable=False),
        sa.Column("digest", sa.LargeBinary(length=32), nullable=False),
        sa.Column("created_by", sa.String(length=32), nullable=False),
        sa.Column("created_at", UtcDateTime(), nullable=False),
        sa.Column("expires_at", UtcDateTime(), nullable=False),
        sa.Column("used_at", UtcDateTime(), nullable=True),
        sa.ForeignKeyConstraint(
            ["account"], ["accounts.id"], name=op.f("fk_sign_in_links_account_accounts")
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sign_in_links")),
    )
    op.create_index(op.f("ix_sign_in_links_account"), "sign_in_links", ["account"], unique=False)
