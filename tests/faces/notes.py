"""A small real room for the tests of the faces: notes in workspaces, kept in the database."""

import hashlib
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from sqlalchemy import LargeBinary, String, select
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column

from strongroom.errors import ConflictError, ExpiredError, NotFoundError, SignInError
from strongroom.gate.access.types import Decision, Entity, Principal, PrincipalKind
from strongroom.gate.audit.types import AuditClass, EntryRef, Event
from strongroom.gate.declaration import (
    DECLARED,
    Body,
    BoundOperation,
    Command,
    Limits,
    Route,
    Stream,
    in_workspace,
    operation,
    operations_of,
)
from strongroom.gate.operation import Call, Gate
from strongroom.settings import Settings
from strongroom.vault.database import Database

Workspace = Annotated[str, Field(pattern=r"^[a-z0-9-]{2,63}$", examples=["clinic"])]
Name = Annotated[str, Field(pattern=r"^[a-z0-9_-]{1,40}$", examples=["first"])]


class NotesBase(DeclarativeBase):
    """Apart from the product's tables."""


class NoteRow(NotesBase):
    __tablename__ = "test_note"
    workspace: Mapped[str] = mapped_column(String(63), primary_key=True)
    name: Mapped[str] = mapped_column(String(40), primary_key=True)
    text: Mapped[str] = mapped_column(String(400))
    content: Mapped[bytes] = mapped_column(LargeBinary)


class Colour(StrEnum):
    RED = "red"
    BLUE = "blue"


class AddNote(BaseModel):
    """A note to add."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    workspace: Workspace
    name: Name
    text: Annotated[str, Field(max_length=400, description="what it says", examples=["hello"])]
    colour: Colour = Colour.RED
    weight: Annotated[float, Field(ge=0, le=10, allow_inf_nan=False)] = 1.0


class OneNote(BaseModel):
    workspace: Workspace
    name: Name


class ListNotes(BaseModel):
    workspace: Workspace
    limit: Annotated[int, Field(ge=1, le=100, description="how many at most")] = 50
    colours: list[Colour] = []


class UploadNote(BaseModel):
    workspace: Workspace
    name: Name
    size_limit: Annotated[int | None, Field(ge=1)] = None


class NoteView(BaseModel):
    """A note as it is kept."""

    name: str
    text: str
    bytes: int
    digest: str


def _view(row: NoteRow) -> NoteView:
    return NoteView(
        name=row.name, text=row.text, bytes=len(row.content),
        digest=hashlib.sha256(row.content).hexdigest(),
    )  # fmt: skip


class Notes:
    """The verbs of the room."""

    @operation(
        "note.add", action="addNote", resource=in_workspace, audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("POST", "/workspaces/{workspace}/notes"),
        command=Command("note add", positional=("name",)),
    )  # fmt: skip
    def add(self, call: Call, request: AddNote) -> NoteView:
        """Add a note.

        A name is used once.
        """
        row = NoteRow(
            workspace=request.workspace, name=request.name, text=request.text, content=b""
        )
        with call.transaction() as session:
            if session.get(NoteRow, (request.workspace, request.name)) is not None:
                raise ConflictError(f"there is a note `{request.name}` already")
            session.add(row)
        return _view(row)

    @operation(
        "note.ls", action="readNotes", resource=in_workspace, audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/notes"),
        command=Command("note ls"),
    )  # fmt: skip
    def ls(self, call: Call, request: ListNotes) -> list[NoteView]:
        """List the notes of a workspace."""
        with call.reading() as session:
            rows = session.scalars(
                select(NoteRow).where(NoteRow.workspace == request.workspace)
                .order_by(NoteRow.name).limit(request.limit)
            ).all()  # fmt: skip
        return [_view(row) for row in rows]

    @operation(
        "note.show", action="readNotes", resource=in_workspace,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/notes/{name}"),
        command=Command("note show", positional=("name",)),
    )  # fmt: skip
    def show(self, call: Call, request: OneNote) -> NoteView:
        """Show a note."""
        with call.reading() as session:
            return _view(self._row(session, request))

    @operation(
        "note.upload", action="addNote", resource=in_workspace,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("PUT", "/workspaces/{workspace}/notes/{name}/content"),
        command=Command("note upload", positional=("name",), body="file"), body=Body.STREAM,
        limits=Limits(body_bytes=32 * 2**20),
    )  # fmt: skip
    def upload(self, call: Call, request: UploadNote) -> NoteView:
        """Store the content of a note."""
        content = b"".join(call.stream())
        with call.transaction() as session:
            row = self._row(session, OneNote(workspace=request.workspace, name=request.name))
            row.content = content
        return _view(row)

    @operation(
        "note.download", action="readNotes", resource=in_workspace,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("GET", "/workspaces/{workspace}/notes/{name}/content"),
        command=Command("note download", positional=("name",)),
    )  # fmt: skip
    def download(self, call: Call, request: OneNote) -> Stream:
        """Give the content of a note."""
        with call.reading() as session:
            content = self._row(session, request).content

        def chunks() -> Iterator[bytes]:
            for start in range(0, len(content), 2**16):
                yield content[start : start + 2**16]

        return Stream("text/html", chunks(), filename=f"../{request.name} é.html")

    @operation(
        "note.rm", action="removeNote", resource=in_workspace,
        audit=AuditClass.DATASTORE_ACTIVITY,
        route=Route("DELETE", "/workspaces/{workspace}/notes/{name}"),
        command=Command("note rm", positional=("name",), confirm="name"),
    )  # fmt: skip
    def remove(self, call: Call, request: OneNote) -> None:
        """Remove a note for good."""
        with call.transaction() as session:
            session.delete(self._row(session, request))

    @operation(
        "note.break", action="addNote", resource=in_workspace, audit=AuditClass.API_ACTIVITY,
        route=Route("POST", "/workspaces/{workspace}/notes/{name}/break"),
    )  # fmt: skip
    def fail(self, call: Call, request: OneNote) -> None:  # it only fails
        """Meet a fault nobody foresaw."""
        raise RuntimeError("row 17: Jane Roe, 1970-01-01")

    @staticmethod
    def _row(session: Session, request: OneNote) -> NoteRow:
        row = session.get(NoteRow, (request.workspace, request.name))
        if row is None:
            raise NotFoundError(f"there is no note `{request.name}`")
        return row


# The tests that walk all operations must not meet these.
for _name in [name for name in DECLARED if name.startswith("note.")]:
    del DECLARED[_name]


WRITER = Principal(PrincipalKind.PERSON, "usr_writer", "Wanda Writer", "key_w", address="test")
READER = Principal(PrincipalKind.PERSON, "usr_reader", "Rolf Reader", "key_r", ("clinic",), "test")
KEYS = {"srk_writer": WRITER, "srk_reader": READER}


def identify(secret: str, address: str) -> Principal:
    """A directory of two people."""
    if secret == "srk_old":
        raise ExpiredError("the API key has expired")
    if secret not in KEYS:
        raise SignInError("the API key is not valid")
    return KEYS[secret]


class Table:
    """Decides by a table: the writer does all, the reader reads in the clinic."""

    def decide(self, principal: Principal, action: str, resource: Entity) -> Decision:
        allowed = principal is WRITER or (
            principal is READER and action == "readNotes" and resource.workspace == "clinic"
        )
        return Decision(allowed, ("table",) if allowed else ())

    def epoch(self, session: Session) -> int:  # never changes
        return 1


class Ledger:
    """Keeps events in order."""

    def __init__(self) -> None:
        self.events: list[Event] = []

    def append(self, session: Session, event: Event) -> EntryRef:  # in memory
        return self.record(event)

    def record(self, event: Event) -> EntryRef:
        self.events.append(event)
        return EntryRef(len(self.events) - 1, hashlib.sha256(event.encode(bytes(16))).digest())


class NotesServer:
    """Gate, room and log of a test."""

    def __init__(self, folder: Path, *, calls_per_minute: int = 100_000) -> None:
        self.database = Database.create_for_tests(folder / "notes.db")
        with self.database.write() as session:
            NotesBase.metadata.create_all(session.connection())
        self.log = Ledger()
        self.gate = Gate(self.database, Table(), self.log, calls_per_minute=calls_per_minute)
        self.operations: list[BoundOperation] = operations_of(Notes())
        self.settings = Settings(home=folder, max_request_bytes=64 * 1024, request_seconds=5)

    def outcomes(self) -> list[tuple[str, str, str]]:
        """Operation, outcome and reason of each event."""
        return [(event.operation, event.outcome.value, event.reason) for event in self.log.events]

    def close(self) -> None:
        self.database.close()
