"""Our own rows about MLflow's things: the files of runs and models, and what was registered."""

from datetime import datetime

from sqlalchemy import ForeignKey, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from strongroom.vault.database import Base


class ArtifactRow(Base):
    """One file that a run, logged model or trace has left; its bytes are a sealed blob.

    Columns:
        folder: whose it is, below the experiment: `<run id>`, `models/<id>` or `traces/<id>`.
        path: below the folder's `artifacts/`.
    """

    __tablename__ = "artifacts"
    __table_args__ = (UniqueConstraint("workspace", "experiment", "folder", "path"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    workspace: Mapped[str]
    experiment: Mapped[str]
    folder: Mapped[str]
    path: Mapped[str]
    blob: Mapped[str] = mapped_column(ForeignKey("blobs.id"))
    size: Mapped[int]
    created_at: Mapped[datetime]


class RegistrationRow(Base):
    """Files that were handed to the model checks as a version of a registered model.

    From then on they cannot be changed, and are only given out when the checks were passed.

    Columns:
        prefix: directory below the folder's `artifacts/`; empty for all of it.
        entry: id of the version in the model room.
    """

    __tablename__ = "registrations"
    __table_args__ = (UniqueConstraint("workspace", "model", "version"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=True)
    workspace: Mapped[str] = mapped_column(index=True)
    experiment: Mapped[str]
    folder: Mapped[str] = mapped_column(index=True)
    prefix: Mapped[str]
    model: Mapped[str] = mapped_column(index=True)
    version: Mapped[int]
    entry: Mapped[str]
