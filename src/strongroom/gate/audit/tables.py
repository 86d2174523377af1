"""Rows of the log.

What an event says is sealed; in clear stand only the place, time, workspace, action and
outcome, and keyed tags by which actor and resource can be found.
"""

from datetime import datetime

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from strongroom.vault.database import Base


class LogEntryRow(Base):
    """One entry, in the place it has for good from the transaction that wrote it."""

    __tablename__ = "log_entries"

    leaf_index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[float]
    workspace: Mapped[str] = mapped_column(index=True)
    action: Mapped[str]
    outcome: Mapped[str]
    actor_tag: Mapped[bytes] = mapped_column(LargeBinary(8), index=True)
    resource_tag: Mapped[bytes] = mapped_column(LargeBinary(8), index=True)
    leaf_hash: Mapped[bytes] = mapped_column(LargeBinary(32))
    sealed: Mapped[bytes] = mapped_column(LargeBinary)


class LogTileRow(Base):
    """One tile of hashes (C2SP tlog-tiles); the last of each level may be partial."""

    __tablename__ = "log_tiles"

    level: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    index: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    hashes: Mapped[bytes] = mapped_column(LargeBinary)


class LogCheckpointRow(Base):
    """A signed checkpoint: the latest, and the last of each hour before."""

    __tablename__ = "log_checkpoints"

    size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    time: Mapped[float]
    note: Mapped[bytes] = mapped_column(LargeBinary)


class LogCosignatureRow(Base):
    """A checkpoint that a witness has cosigned: the newest of each witness."""

    __tablename__ = "log_cosignatures"

    size: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    witness: Mapped[str] = mapped_column(String(255), primary_key=True)
    note: Mapped[bytes] = mapped_column(LargeBinary)
    time: Mapped[float]


class IntegrityFindingRow(Base):
    """Something that was found changed, once; taken away when it is whole again."""

    __tablename__ = "integrity_findings"

    kind: Mapped[str] = mapped_column(String(32), primary_key=True)
    subject: Mapped[str] = mapped_column(String(128), primary_key=True)
    reason: Mapped[str] = mapped_column(String(256))
    found_at: Mapped[datetime]
    entry: Mapped[int | None]
