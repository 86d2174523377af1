"""The room of datasets over a real gate, database and blob folder."""

import io
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel
from tests.gate.gatehouse import Gatehouse, gatehouse

from strongroom.gate.access.types import Principal
from strongroom.gate.declaration import Stream, operations_of
from strongroom.services.data.operations import DataOperations
from strongroom.services.data.types import AddDataset, DatasetVersion, ReadRows
from strongroom.settings import Settings
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database


@dataclass
class DataRoom:
    """What the tests of datasets work with; `owner` is an Owner of `clinic`."""

    house: Gatehouse
    blobs: BlobStore
    room: DataOperations
    owner: Principal
    folder: Path

    def call(
        self,
        principal: Principal,
        name: str,
        request: BaseModel,
        body: Iterable[bytes] | None = None,
        content_type: str = "",
    ) -> Any:  # noqa: ANN401 # each operation has its own
        """Perform an operation of this room through the gate; what it gave."""
        bound = next(b for b in operations_of(self.room) if b.declared.name == name)
        chunks = None if body is None else iter(body)
        return self.house.gate.perform(
            bound, principal, request, body=chunks, content_type=content_type
        ).result

    def add(
        self, content: bytes, name: str = "patients", *, chunk: int = 1 << 16, **fields: object
    ) -> DatasetVersion:
        """Add `content` as the Owner, in pieces of `chunk` bytes."""
        pieces = (content[i : i + chunk] for i in range(0, len(content), chunk))
        request = AddDataset.model_validate({"workspace": "clinic", "name": name, **fields})
        added = self.call(self.owner, "data.add", request, pieces)
        assert isinstance(added, DatasetVersion)
        return added

    def read(self, principal: Principal, name: str = "patients", **fields: object) -> Stream:
        """Read rows."""
        request = ReadRows.model_validate({"workspace": "clinic", "name": name, **fields})
        stream = self.call(principal, "data.read", request)
        assert isinstance(stream, Stream)
        return stream

    def table(self, principal: Principal, name: str = "patients", **fields: object) -> pa.Table:
        """The rows as an Arrow table."""
        content = b"".join(self.read(principal, name, **{**fields, "format": "arrow"}).chunks)
        return pa.ipc.open_stream(io.BytesIO(content)).read_all()

    def files(self) -> list[Path]:
        """Every file in the blob folder."""
        return [path for path in self.folder.rglob("*") if path.is_file()]


@contextmanager
def dataroom(
    folder: Path,
    *,
    owner: str = "olga",
    max_field_bytes: int = 1 << 20,
    max_columns: int = 50,
    url: str = "",
) -> Iterator[DataRoom]:
    """A room over the database in `folder`; made with the workspaces `clinic` and `other`.

    Args:
        url: of an empty database to take in place of that one.
    """
    path = folder / "data.db"
    is_new = bool(url) or not path.exists()
    if url:
        database = Database.open(url)
        database.migrate()
    elif is_new:
        database = Database.create_for_tests(path)
    else:
        database = Database.open(f"sqlite:///{path}")
    with gatehouse(database) as house:
        blobs = BlobStore(folder / "blobs", house.keyring, database)
        for workspace in ("clinic", "other") if is_new else ():
            house.workspace(workspace)
            with database.write() as session:
                house.keyring.create_workspace_key(session, workspace)
        settings = Settings(home=folder, max_field_bytes=max_field_bytes, max_columns=max_columns)
        room = DataOperations(blobs, house.keyring, settings, sample_seed=lambda: 7)
        yield DataRoom(house, blobs, room, house.person(owner, "Owner"), folder / "blobs")
    database.close()
