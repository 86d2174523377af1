"""Rows of releases. All that is known of one is sealed, see `release_record.py`."""

from sqlalchemy import LargeBinary, String
from sqlalchemy.orm import Mapped, mapped_column

from strongroom.vault.database import Base


class DatasetReleaseRow(Base):
    """One release of a dataset, numbered from 1; never removed.

    It goes by the name of the dataset and outlives it: what was read of the people counts when they
    are added again.
    """

    __tablename__ = "dataset_releases"

    series: Mapped[str] = mapped_column(String(32), primary_key=True)
    """The releases of one name in one workspace, see `releases.py`."""
    number: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    workspace: Mapped[str] = mapped_column(String(63), index=True)
    record: Mapped[bytes] = mapped_column(LargeBinary)
    record_key: Mapped[bytes] = mapped_column(LargeBinary)
    record_key_version: Mapped[int]
