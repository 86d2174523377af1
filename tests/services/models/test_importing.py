"""Versions that are sent file by file: resumed, shared, refused, swept; through the real gate."""

from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from pydantic import BaseModel
from sqlalchemy import func, select
from tests.services.models.modelroom import ModelRoom, modelroom
from tests.vault.test_migrations import own_database

from strongroom.errors import (
    ConflictError,
    NotFoundError,
    RefusedError,
    StateError,
    StrongroomError,
    TamperedError,
    TooLargeError,
    TruncatedError,
    ValidationError,
)
from strongroom.gate.access.types import Principal
from strongroom.gate.declaration import operations_of
from strongroom.services.models.import_manifest import MAX_FILE_BYTES, read_manifest
from strongroom.services.models.import_types import (
    BeginImport,
    FilesTaken,
    FinishImport,
    ImportForm,
    ImportReference,
    ImportShown,
    ListImports,
    SendFile,
    SendFiles,
)
from strongroom.services.models.keeping_types import DeleteVersion
from strongroom.services.models.tables import (
    ModelEntryRow,
    ModelFileRow,
    ModelImportFileRow,
    ModelImportRow,
)
from strongroom.services.models.types import ModelState
from strongroom.vault.blobs import BlobRow

LARGE = b"# of a kind that is not converted\n" * 400
FILES = {"notes.md": b"# a model\n", "deep/\u00e4.md": LARGE, "twin.md": b"# a model\n"}
WHERE = {"workspace": "clinic", "name": "borrowed"}


def manifest(files: Mapping[str, bytes]) -> bytes:
    lines = [f"{sha256(data).hexdigest()} {len(data)} {path}" for path, data in files.items()]
    return "\n".join(lines).encode()


def perform(
    room: ModelRoom, who: Principal, name: str, request: BaseModel, body: Iterator[bytes] | None
) -> object:
    bound = next(b for b in operations_of(room.room) if b.declared.name == name)
    return room.house.gate.perform(bound, who, request, body=body).result


def begin(
    room: ModelRoom, files: Mapping[str, bytes], who: Principal | None = None, **more: object
) -> ImportShown:
    request = BeginImport.model_validate({**WHERE, **more})
    body = iter([manifest(files)])
    shown = perform(room, who or room.scientist, "model.begin_import", request, body)
    assert isinstance(shown, ImportShown)
    return shown


def send(
    room: ModelRoom, begun: ImportShown, path: str, *pieces: bytes, who: Principal | None = None
) -> None:
    request = SendFile(workspace="clinic", name=begun.name, id=begun.id, path=path)
    perform(room, who or room.scientist, "model.send_file", request, iter(pieces))


def finish(
    room: ModelRoom, begun: ImportShown, who: Principal | None = None, *, reuse: bool = True
) -> int:
    request = FinishImport(
        workspace="clinic", name=begun.name, id=begun.id, digest=begun.digest,
        form=ImportForm.OCI, reuse=reuse,
    )  # fmt: skip
    answer = perform(room, who or room.scientist, "model.finish_import", request, None)
    version = getattr(answer, "version", 0)
    assert isinstance(version, int)
    return version


def whole(
    room: ModelRoom, files: Mapping[str, bytes], who: Principal | None = None, **more: object
) -> int:
    begun = begin(room, files, who, **more)
    for path in begun.missing:
        send(room, begun, path, files[path], who=who)
    return finish(room, begun, who)


def entry_of(room: ModelRoom, version: int, model: str = "borrowed") -> ModelEntryRow:
    with room.house.database.read() as session:
        return session.scalars(
            select(ModelEntryRow).where(
                ModelEntryRow.model == model, ModelEntryRow.version == version
            )
        ).one()


def count(room: ModelRoom, table: type) -> int:
    with room.house.database.read() as session:
        return session.scalar(select(func.count()).select_from(table)) or 0


def test_many_small_files_come_at_once_all_or_none(room: ModelRoom) -> None:
    begun = begin(room, FILES)
    request = SendFiles(workspace="clinic", name=begun.name, id=begun.id)
    good = b"deep/\xc3\xa4.md\nnotes.md\n\n" + LARGE + FILES["notes.md"]
    for wrong in (good[:-1], good + b"x", good[:-2] + b"x\n", b"other\n\n" + good):
        with pytest.raises((ValidationError, NotFoundError)):
            perform(room, room.scientist, "model.send_files", request, iter([wrong]))
        assert begin(room, FILES).missing == begun.missing
    with pytest.raises(NotFoundError):  # another's import is not there
        perform(room, room.engineer, "model.send_files", request, iter([good]))
    pieces = iter([good[:7], good[7:50], good[50:]])
    answer = perform(room, room.scientist, "model.send_files", request, pieces)
    assert answer == FilesTaken(files=2, bytes=len(LARGE) + len(FILES["notes.md"]))
    assert finish(room, begun) == 1
    with pytest.raises(StateError, match="version 1"):
        perform(room, room.scientist, "model.send_files", request, iter([good]))


def test_what_has_come_is_not_asked_for_again_and_becomes_one_version(room: ModelRoom) -> None:
    begun = begin(room, FILES)
    assert begun.missing == ["deep/\u00e4.md", "notes.md"]  # the twins are sent once
    assert (begun.files, begun.bytes) == (3, sum(map(len, FILES.values())))
    assert begun.missing_bytes == len(LARGE) + len(FILES["notes.md"])
    with pytest.raises(StateError, match="3 files of the import have not come"):
        finish(room, begun)
    send(room, begun, "deep/\u00e4.md", LARGE[:1_000], LARGE[1_000:])

    def dying() -> Iterator[bytes]:
        yield b"# a"
        raise TruncatedError("the connection ended")

    request = SendFile(**WHERE, id=begun.id, path="notes.md")
    with pytest.raises(TruncatedError):
        perform(room, room.scientist, "model.send_file", request, dying())
    for wrong in (b"# a modem\n", b"# a model\n\n", b"# a mod"):
        with pytest.raises((ValidationError, TooLargeError, TruncatedError)):
            send(room, begun, "notes.md", wrong)
    assert count(room, ModelEntryRow) == 0

    again = begin(room, dict(reversed(FILES.items())))
    assert (again.id, again.missing, again.version) == (begun.id, ["notes.md"], 0)
    listed = room.call(room.scientist, "model.imports", ListImports(workspace="clinic"))
    assert [(one.id, one.sent) for one in listed.imports] == [(begun.id, 1)]
    send(room, begun, "notes.md", FILES["notes.md"])
    send(room, begun, "notes.md", FILES["notes.md"])  # twice is once
    send(room, begun, "twin.md", FILES["twin.md"])  # not asked for, and taken
    assert finish(room, begun) == 1
    assert finish(room, begun) == 1
    assert begin(room, FILES).version == 1
    with pytest.raises(StateError, match="has become version 1"):
        send(room, begun, "notes.md", FILES["notes.md"])

    row = room.wait(entry_of(room, 1).id)
    assert (row.state, row.digest, row.registered_by) == (
        ModelState.CHECKED, begun.digest, room.scientist.id,
    )  # fmt: skip
    with room.house.database.read() as session:
        facts = room.room._registry.facts(session, row)
        blobs = session.scalars(select(ModelFileRow.blob)).all()
        held = session.scalars(select(BlobRow.id).where(BlobRow.kind == "model-file")).all()
    assert (facts["source"], facts["parameters"]) == ("strongroom import", {"form": "oci"})
    assert sorted(blobs) == sorted(held)  # no blob is nobody's
    assert count(room, ModelImportFileRow) == 0
    assert ("model.finish_import", "allowed") in room.operations()


def test_a_file_is_shared_with_versions_that_the_sender_may_pull(room: ModelRoom) -> None:
    room.wait(entry_of(room, whole(room, FILES)).id)
    other = room.house.person("olga", "Data Scientist")
    changed = {**FILES, "notes.md": b"# another\n", "twin.md": b"# twin\n"}
    assert begin(room, changed, other, reuse=False).missing_bytes > len(LARGE)
    begun = begin(room, changed, other)
    assert begun.missing == ["notes.md", "twin.md"]  # small ones are sent
    for path in begun.missing:
        send(room, begun, path, changed[path], who=other)
    with pytest.raises(StateError, match=r"deep/\u00e4\.md"):
        finish(room, begun, other, reuse=False)
    assert finish(room, begun, other) == 2
    room.wait(entry_of(room, 2).id)
    with room.house.database.read() as session:
        shared = session.scalars(
            select(ModelFileRow.blob).where(ModelFileRow.path == "deep/\u00e4.md")
        ).all()
    assert len(shared) == 2
    assert len(set(shared)) == 1

    # Deleting one of them leaves the other whole.
    gone = DeleteVersion(workspace="clinic", name="borrowed", version=1)
    room.call(room.house.person("olaf", "Owner"), "model.rm", gone)
    assert room.room._verifier.verify("clinic", "borrowed", 2).bytes > len(LARGE)


def test_nothing_tells_of_files_that_the_sender_may_not_pull(room: ModelRoom) -> None:
    first = whole(room, FILES)
    # Quarantined: nobody may pull it yet. In another workspace: never.
    other = room.house.person("olga", "Data Scientist")
    room.house.grant(other, "Data Scientist", "other")
    with room.house.database.write() as session:
        row = session.get_one(ModelEntryRow, entry_of(room, first).id)
        row.tampered_at = datetime.now(UTC)
    assert "deep/\u00e4.md" in begin(room, FILES, other).missing
    with room.house.database.write() as session:
        session.get_one(ModelEntryRow, entry_of(room, first).id).tampered_at = None
    room.wait(entry_of(room, first).id)
    assert "deep/\u00e4.md" not in begin(room, FILES, other).missing
    assert "deep/\u00e4.md" in begin(room, FILES, other, workspace="other").missing
    # A run's artifact is no model's alone: its owner may delete it.
    artifact = b"# of a run\n" * 500
    room.wait(room.register({"run.md": artifact}, model="logged"))
    assert begin(room, {"run.md": artifact}, other, name="copy").missing == ["run.md"]


def test_an_import_is_its_beginners_own(room: ModelRoom) -> None:
    begun = begin(room, FILES)
    other = room.house.person("olga", "Data Scientist")
    reader = room.house.person("rea", "Reader")
    reference = ImportReference(**WHERE, id=begun.id)
    with pytest.raises(NotFoundError):
        send(room, begun, "notes.md", FILES["notes.md"], who=other)
    with pytest.raises(NotFoundError):
        finish(room, begun, other)
    with pytest.raises(NotFoundError):
        perform(room, other, "model.drop_import", reference, None)
    with pytest.raises(NotFoundError):
        send(room, begun.model_copy(update={"name": "another"}), "notes.md", b"")
    with pytest.raises(NotFoundError, match="no file"):
        send(room, begun, "elsewhere.md", b"")
    assert begin(room, FILES, other).id != begun.id
    for name, request in (
        ("model.begin_import", BeginImport(workspace="clinic", name="borrowed")),
        ("model.imports", ListImports(workspace="clinic")),
        ("model.send_file", SendFile(**WHERE, id=begun.id, path="notes.md")),
        ("model.finish_import",
         FinishImport(
             workspace="clinic", name="borrowed", id=begun.id, digest=begun.digest,
             form=ImportForm.OCI,
         )),
        ("model.drop_import", reference),
    ):  # fmt: skip
        with pytest.raises(RefusedError):
            perform(room, reader, name, request, iter([b""]))
        assert (name, "refused") in room.operations()
    assert count(room, ModelEntryRow) == 0


def test_two_people_get_two_versions_and_foreign_names_are_left_alone(room: ModelRoom) -> None:
    other = room.house.person("olga", "Data Scientist")
    mine, theirs = begin(room, FILES), begin(room, FILES, other)
    for path in mine.missing:
        send(room, mine, path, FILES[path])
        send(room, theirs, path, FILES[path], who=other)
    with ThreadPoolExecutor(4) as threads:
        both = [threads.submit(finish, room, mine) for _ in range(2)]
        both += [threads.submit(finish, room, theirs, other) for _ in range(2)]
    first, again, *of_other = [one.result() for one in both]
    assert {first, again} | {*of_other} == {1, 2}
    assert {first, again}.isdisjoint(of_other)
    room.register(FILES, model="tracked")
    with pytest.raises(ConflictError, match="registered by a client"):
        begin(room, FILES, name="tracked")
    # Before gigabytes are sent for nothing.
    for name in ("borr\u200bowed", "o\u0308", "borrowed "):
        with pytest.raises(ValidationError):
            begin(room, FILES, name=name)
    late = begin(room, FILES, name="late")
    for path in late.missing:
        send(room, late, path, FILES[path])
    room.register(FILES, model="late")
    with pytest.raises(ConflictError, match="registered by a client"):
        finish(room, late)


def test_what_is_given_up_or_forgotten_is_swept(
    room: ModelRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    begun = begin(room, FILES)
    send(room, begun, "notes.md", FILES["notes.md"])
    assert count(room, BlobRow) == 2
    dropped = room.call(room.scientist, "model.drop_import", ImportReference(**WHERE, id=begun.id))
    assert dropped.files == 1
    assert (count(room, ModelImportRow), count(room, BlobRow)) == (0, 0)
    assert room.stored() == []
    with pytest.raises(NotFoundError):
        finish(room, begun)

    begun = begin(room, FILES)
    for path in begun.missing:
        send(room, begun, path, FILES[path])
    tomorrow = datetime.now(UTC) + timedelta(hours=25)
    monkeypatch.setattr(room.room._uploads, "_now", lambda: tomorrow)
    monkeypatch.setattr("strongroom.services.models.uploads._SWEPT_AT_ONCE", 1)
    with pytest.raises(NotFoundError, match="for a day"):
        finish(room, begun)
    room.room._tidy()
    assert (count(room, ModelImportRow), count(room, BlobRow)) == (0, 0)
    monkeypatch.setattr("strongroom.services.models.uploads.MAX_OPEN", 2)
    for number in range(2):
        begin(room, {"notes.md": b"%d" % number})
    with pytest.raises(ConflictError, match="under way"):
        begin(room, FILES)


def test_a_file_that_takes_longer_than_a_day_is_not_swept_meanwhile(
    room: ModelRoom, monkeypatch: pytest.MonkeyPatch
) -> None:
    hours = [0]
    began = datetime.now(UTC)
    monkeypatch.setattr(room.room._uploads, "_now", lambda: began + timedelta(hours=hours[0]))

    def slowly(content: bytes) -> Iterator[bytes]:
        for at in range(0, len(content), len(content) // 3):
            yield content[at : at + len(content) // 3]
            hours[0] += 20
            room.room._tidy()

    begun = begin(room, FILES)
    send(room, begun, "notes.md", FILES["notes.md"])
    request = SendFile(workspace="clinic", name=begun.name, id=begun.id, path="deep/\u00e4.md")
    body = slowly(FILES["deep/\u00e4.md"])
    perform(room, room.scientist, "model.send_file", request, body)
    assert hours[0] > 40
    assert finish(room, begun) == 1

    # What its sender gave up does not come back to life by what still arrives.
    begun = begin(room, {"notes.md": LARGE})
    dropping = ImportReference(workspace="clinic", name=begun.name, id=begun.id)

    def given_up() -> Iterator[bytes]:
        room.call(room.scientist, "model.drop_import", dropping)
        yield from slowly(LARGE)

    request = SendFile(workspace="clinic", name=begun.name, id=begun.id, path="notes.md")
    with pytest.raises(NotFoundError):
        perform(room, room.scientist, "model.send_file", request, given_up())
    assert count(room, ModelImportRow) == 0


def test_a_row_that_was_changed_makes_no_version(room: ModelRoom) -> None:
    one, two = begin(room, FILES), begin(room, {"notes.md": b"# hostile\n"}, name="other")
    for begun, files in ((one, FILES), (two, {"notes.md": b"# hostile\n"})):
        for path in begun.missing:
            send(room, begun, path, files[path])
    with room.house.database.write() as session:
        hostile = session.scalars(
            select(ModelImportFileRow).where(ModelImportFileRow.upload == two.id)
        ).one()
        row = session.get_one(ModelImportFileRow, (one.id, "notes.md"))
        kept, row.blob = row.blob, hostile.blob
    with pytest.raises(TamperedError):
        finish(room, one)
    with room.house.database.write() as session:
        session.get_one(ModelImportFileRow, (one.id, "notes.md")).blob = kept
        upload, foreign = (session.get_one(ModelImportRow, it.id) for it in (one, two))
        manifest_of_one, upload.manifest = upload.manifest, foreign.manifest
    with pytest.raises(TamperedError):
        finish(room, one)
    version = whole(room, FILES, room.house.person("olga", "Data Scientist"))
    with room.house.database.write() as session:
        upload = session.get_one(ModelImportRow, one.id)
        upload.manifest, upload.version = manifest_of_one, version
    with pytest.raises(TamperedError):
        finish(room, one)


A = "a" * 64


@pytest.mark.parametrize(
    "text",
    [
        "", "x", f"{A} 1", f"{A} 01 a", f"{A} -1 a", f"{A.upper()} 1 a", f"{A} 1 ../a",
        f"{A} 1 /a", f"{A} 1 a\n{A} 1 a", f"{A} 1 a\n{A} 2 b", f"{A} 1 a\n\n{A} 1 b",
        f"{A} 1 a\n{A} 1 a/b", f"{A} 1 A\n{A} 1 a", f"{A} 1 a\r", f"{A} 1 a\u202eb", f"{A} 1 a//b",
        f"{A} 1 {'n' * 1_025}",
        f"{A} 1 a.\n{A} 1 a", f"{A} 1 b /a\n{A} 1 b/A",
    ],
    ids=range(19),
)  # fmt: skip
def test_a_manifest_that_two_could_read_differently_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        read_manifest(text, MAX_FILE_BYTES)


def test_a_manifest_has_limits(room: ModelRoom) -> None:
    many = "\n".join(f"{A} 1 {number}" for number in range(50_001))
    with pytest.raises(TooLargeError):
        read_manifest(many, MAX_FILE_BYTES)
    with pytest.raises(TooLargeError):
        read_manifest(f"{A} {1 << 39} a", 1 << 38)
    with pytest.raises(TooLargeError):
        read_manifest(f"{A} {1 << 40} a\n{'b' * 64} {1 << 40} b", MAX_FILE_BYTES)
    request = BeginImport(workspace="clinic", name="borrowed")
    for body in (iter([b"x" * (1 << 20)] * 17), iter([b"\xff"]), iter([b" "])):
        with pytest.raises(StrongroomError):
            perform(room, room.scientist, "model.begin_import", request, body)
    assert count(room, ModelImportRow) == 0


def test_postgresql_takes_imports_as_well(tmp_path: Path, postgres_server_url: str) -> None:
    with own_database(postgres_server_url) as url, modelroom(tmp_path, database_url=url) as room:
        begun = begin(room, FILES)
        for path in begun.missing:
            send(room, begun, path, FILES[path])
        with ThreadPoolExecutor(2) as threads:
            both = [threads.submit(finish, room, begun) for _ in range(2)]
        assert [one.result() for one in both] == [1, 1]
        room.wait(entry_of(room, 1).id)
        begun = begin(room, FILES, name="second")
        assert begun.missing == ["notes.md"]
        send(room, begun, "notes.md", FILES["notes.md"])
        reference = ImportReference(workspace="clinic", name="second", id=begun.id)
        assert room.call(room.scientist, "model.drop_import", reference).files == 1
        assert count(room, ModelImportRow) == 1
