"""Sealed blobs on a real folder and database, and in an object store in memory."""

import errno
import os
import secrets
import shutil
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from strongroom.engines.crypto.floe import sealed_length
from strongroom.errors import (
    KeyUnavailableError,
    NotFoundError,
    StorageFullError,
    TamperedError,
    TooLargeError,
    TruncatedError,
    UnavailableError,
)
from strongroom.vault.blob_reading import BlobInfo, BlobReader
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database
from strongroom.vault.keys import Keyring
from strongroom.vault.roots import LocalRoot

CONTENT = secrets.token_bytes((2 << 20) + 12345)


@pytest.fixture
def keyring(database: Database) -> Keyring:
    keyring = Keyring(LocalRoot(bytes(range(32))))
    with database.write() as session:
        keyring.create_workspace_key(session, "clinic")
        keyring.create_workspace_key(session, "lab")
    return keyring


@pytest.fixture(params=["folder", "memory"])
def store(
    request: pytest.FixtureRequest, database: Database, keyring: Keyring, tmp_path: Path
) -> BlobStore:
    location = tmp_path / "blobs" if request.param == "folder" else "memory:///"
    return BlobStore(location, keyring, database)


@pytest.fixture
def local(database: Database, keyring: Keyring, tmp_path: Path) -> BlobStore:
    return BlobStore(tmp_path / "blobs", keyring, database)


def _put(
    store: BlobStore, database: Database, content: bytes = CONTENT, workspace: str = "clinic"
) -> BlobInfo:
    chunks = (content[at : at + 300_000] for at in range(0, len(content), 300_000))
    with store.put(workspace, "artifact", chunks) as staged, database.write() as session:
        return store.commit(session, staged)


def _open(store: BlobStore, database: Database, blob_id: str) -> BlobReader:
    with database.read() as session:
        return store.open(session, blob_id)


def _files(store: BlobStore) -> list[Path]:
    paths = [store.folder.path(name) for name, _ in store.folder.sizes()]
    return [path for path in paths if path is not None]


def test_what_was_put_comes_back(store: BlobStore, database: Database) -> None:
    info = _put(store, database)
    assert info.size == len(CONTENT)
    assert info.sealed_size == sealed_length(len(CONTENT))
    assert info.sha256 == sha256(CONTENT).hexdigest()
    with _open(store, database, info.id) as reader:
        assert reader.info == info
        assert reader.size == info.size
        assert reader.sha256 == info.sha256
        assert b"".join(reader.chunks()) == CONTENT
        assert b"".join(reader.chunks(1000, 1_500_000)) == CONTENT[1000:1_500_000]
        assert reader.read(1_000_000, 200_000) == CONTENT[1_000_000:1_200_000]
        assert reader.read(len(CONTENT), 10) == b""
    with database.read() as session:
        assert store.verify(session, info.id) == store.info(session, info.id) == info


@pytest.mark.parametrize("length", [0, 1, 1 << 20, (1 << 20) + 1])
def test_lengths_at_the_edges(store: BlobStore, database: Database, length: int) -> None:
    info = _put(store, database, bytes(length))
    with _open(store, database, info.id) as reader:
        assert b"".join(reader.chunks()) == bytes(length)
    with database.read() as session:
        store.verify(session, info.id)


@given(st.lists(st.tuples(st.integers(0, 2), st.integers(0, 3 << 20)), max_size=8))
@settings(
    max_examples=20,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
def test_the_file_reads_like_a_file(
    local: BlobStore, database: Database, moves: list[tuple[int, int]]
) -> None:
    ids = [name for name, _ in local.folder.sizes()]
    blob_id = ids[0] if ids else _put(local, database).id
    with _open(local, database, blob_id) as reader, reader.file() as file:
        position = 0
        for whence, distance in moves:
            start = {0: 0, 1: position, 2: len(CONTENT)}[whence]
            offset = distance if whence == 0 else -min(distance, start)
            position = file.seek(offset, whence)
            assert position == start + offset
            assert file.read(777) == CONTENT[position : position + 777]
            position = file.tell()
        with pytest.raises(ValueError, match="never negative"):
            file.seek(-1)


def test_nothing_is_readable_at_rest(local: BlobStore, database: Database, tmp_path: Path) -> None:
    content = b"patient number 4711 " * 1000
    info = _put(local, database, content)
    stored = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert info.id.encode() in stored
    for clear in (b"patient", bytes.fromhex(info.sha256), info.sha256.encode()):
        assert clear not in stored
    [path] = _files(local)
    assert path.stat().st_mode & 0o777 == 0o600
    assert path.name == info.id


def test_a_blob_is_not_there_before_the_commit(store: BlobStore, database: Database) -> None:
    with store.put("clinic", "artifact", [b"content"]) as staged:
        with database.read() as session, pytest.raises(NotFoundError):
            store.open(session, staged.id)
        with database.write() as session:
            store.commit(session, staged)
            with database.read() as other, pytest.raises(NotFoundError):
                store.open(other, staged.id)
    with _open(store, database, staged.id) as reader:
        assert reader.read(0, 10) == b"content"


def test_a_writer_may_read_what_it_staged(store: BlobStore, keyring: Keyring) -> None:
    with store.put("clinic", "artifact", [CONTENT]) as staged:
        with store.open_staged(staged) as reader:
            assert b"".join(reader.chunks()) == CONTENT
            assert reader.info.sha256 == staged.sha256
        assert CONTENT[:10].hex() not in repr(staged)
        assert staged.key.hex() not in repr(staged)
        with pytest.raises(ValueError, match="another way"):
            store.open_staged(replace(staged, sealing="parquet-1"))


def test_uncommitted_bytes_are_removed(store: BlobStore, database: Database) -> None:
    with store.put("clinic", "artifact", [b"content"]):
        assert len(list(store.folder.sizes())) == 1
    assert list(store.folder.sizes()) == []
    with store.put("clinic", "artifact", [b"content"]) as staged, database.write() as session:
        store.commit(session, staged)
        session.rollback()
    assert list(store.folder.sizes()) == []
    store.discard(store.put("clinic", "artifact", [b"content"]))
    assert list(store.folder.sizes()) == []


def test_a_commit_may_be_tried_again(store: BlobStore, database: Database) -> None:
    with store.put("clinic", "artifact", [b"content"]) as staged:
        with database.write() as session:
            store.commit(session, staged)
            session.rollback()
        with database.write() as session:
            store.commit(session, staged)
    assert store.sweep().removed == ()
    with _open(store, database, staged.id) as reader:
        assert reader.read(0, 10) == b"content"


def test_the_bytes_follow_the_row_when_the_transaction_ends_later(
    store: BlobStore, database: Database
) -> None:
    with database.write() as session, store.put("clinic", "artifact", [b"content"]) as staged:
        store.commit(session, staged)
    with _open(store, database, staged.id) as reader:
        assert reader.read(0, 10) == b"content"
    with database.write() as session:
        with store.put("clinic", "artifact", [b"abandoned"]) as abandoned:
            store.commit(session, abandoned)
        assert len(list(store.folder.sizes())) == 2
        session.rollback()
    assert [name for name, _ in store.folder.sizes()] == [staged.id]
    assert store.sweep().missing == ()


def test_a_savepoint_does_not_confuse_the_commit(store: BlobStore, database: Database) -> None:
    with store.put("clinic", "artifact", [b"content"]) as staged, database.write() as session:
        with session.begin_nested():
            store.commit(session, staged)
        with session.begin_nested() as savepoint:
            savepoint.rollback()
    with _open(store, database, staged.id) as reader:
        assert reader.read(0, 10) == b"content"
    with database.write() as session:
        with session.begin_nested():
            store.delete(session, staged.id)
        assert len(list(store.folder.sizes())) == 1
    assert list(store.folder.sizes()) == []


def test_an_upload_that_fails_leaves_nothing(store: BlobStore, database: Database) -> None:
    def chunks() -> Iterator[bytes]:
        yield CONTENT
        raise ConnectionResetError

    with pytest.raises(ConnectionResetError):
        store.put("clinic", "artifact", chunks())
    with pytest.raises(TruncatedError, match="after 3 of 4 bytes"):
        store.put("clinic", "artifact", [b"abc"], expected_size=4)
    with pytest.raises(TooLargeError, match="more than 2 bytes"):
        store.put("clinic", "artifact", [b"abc"], expected_size=2)
    with pytest.raises(NotFoundError):
        store.put("nobody", "artifact", [b"abc"])
    assert list(store.folder.sizes()) == []


def test_size_limits(database: Database, keyring: Keyring, tmp_path: Path) -> None:
    small = BlobStore(tmp_path / "small", keyring, database, max_bytes=1000)
    with pytest.raises(TooLargeError, match="more than 1000 bytes"):
        small.put("clinic", "artifact", [bytes(999), b"ab"])
    with pytest.raises(TooLargeError, match="1000 bytes"):
        small.put("clinic", "artifact", [], expected_size=1001)
    assert _put(small, database, bytes(1000)).size == 1000
    draft = small.create("clinic", "table", sealing="parquet-1")
    draft.write(bytes(1 << 20))
    with pytest.raises(TooLargeError):
        draft.write(bytes(1 << 20))
    draft.discard()
    assert len(list(small.folder.sizes())) == 1


def test_many_uploads_at_once(local: BlobStore, database: Database) -> None:
    contents = [secrets.token_bytes((1 << 20) + number) for number in range(8)]
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda content: _put(local, database, content), contents))
    for info, content in zip(made, contents, strict=True):
        assert info.sha256 == sha256(content).hexdigest()
        with _open(local, database, info.id) as reader:
            assert b"".join(reader.chunks()) == content


def test_a_full_disk_is_told_and_leaves_nothing(
    local: BlobStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    real_write, written = os.write, []

    def failing(number: int) -> None:
        def write(descriptor: int, view: memoryview) -> int:
            written.append(len(view))
            if len(written) > 2:
                raise OSError(number, os.strerror(number))
            return real_write(descriptor, view[:1000])

        written.clear()
        monkeypatch.setattr("strongroom.vault.durable.os.write", write)

    for number, error in (
        (errno.ENOSPC, StorageFullError),
        (errno.EDQUOT, StorageFullError),
        (errno.EIO, UnavailableError),
    ):
        failing(number)
        with pytest.raises(error):
            local.put("clinic", "artifact", [CONTENT])
        assert list(local.folder.sizes()) == []
        assert "blob-hash" not in {thread.name for thread in threading.enumerate()}
    monkeypatch.undo()

    def sync(descriptor: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr("strongroom.vault.durable.os.fsync", sync)
    with pytest.raises(StorageFullError):
        local.put("clinic", "artifact", [CONTENT])
    assert list(local.folder.sizes()) == []


def test_what_is_deleted_while_it_is_read_is_not_there_and_no_alarm(
    store: BlobStore, database: Database
) -> None:
    info = _put(store, database)
    with database.read() as session:
        store.info(session, info.id)  # from now on the session sees this moment
        _delete(store, database, info.id)
        with pytest.raises(NotFoundError, match="meanwhile"):
            store.open(session, info.id)


def _delete(store: BlobStore, database: Database, blob_id: str) -> None:
    with database.write() as session:
        store.delete(session, blob_id)


def test_the_reserve_of_a_disk_is_not_filled(
    tmp_path: Path, database: Database, keyring: Keyring
) -> None:
    free = shutil.disk_usage(tmp_path).free
    full = BlobStore(tmp_path / "blobs", keyring, database, reserve_bytes=free + 2**40)
    with pytest.raises(StorageFullError, match="kept for the database"):
        full.put("clinic", "artifact", [CONTENT])
    assert list(full.folder.sizes()) == []
    roomy = BlobStore(tmp_path / "blobs", keyring, database, reserve_bytes=1)
    roomy.discard(roomy.put("clinic", "artifact", [CONTENT]))


@pytest.mark.parametrize("at", [0, 20, 60, 74, 80, 100, 1_200_000, -1])
def test_a_changed_byte_is_noticed(local: BlobStore, database: Database, at: int) -> None:
    info = _put(local, database)
    [path] = _files(local)
    sealed = bytearray(path.read_bytes())
    sealed[at] ^= 1
    path.write_bytes(sealed)
    with database.read() as session, pytest.raises(TamperedError):
        list(local.open(session, info.id).chunks())
    with database.read() as session, pytest.raises(TamperedError):
        local.verify(session, info.id)
    assert local.sweep().changed == ()  # a sweep looks at lengths only; `verify` reads


def test_another_length_or_no_file_is_noticed(local: BlobStore, database: Database) -> None:
    info, lost = _put(local, database), _put(local, database, b"lost")
    path, lost_path = local.folder.path(info.id), local.folder.path(lost.id)
    assert path is not None
    assert lost_path is not None
    sealed = path.read_bytes()
    lost_path.unlink()
    for content in (sealed[:-1], sealed + b"\0", b""):
        path.write_bytes(content)
        with database.read() as session, pytest.raises(TamperedError, match="another length"):
            local.open(session, info.id)
        report = local.sweep()
        assert (report.changed, report.missing, report.removed) == ((info.id,), (lost.id,), ())
    with database.read() as session, pytest.raises(TamperedError, match="missing"):
        local.open(session, lost.id)


def test_blobs_cannot_stand_in_for_each_other(local: BlobStore, database: Database) -> None:
    first, second = _put(local, database, b"a" * 50), _put(local, database, b"b" * 50)
    one, two = (local.folder.path(info.id) for info in (first, second))
    assert one is not None
    assert two is not None
    two.write_bytes(one.read_bytes())
    with database.read() as session, pytest.raises(TamperedError):
        local.open(session, second.id)


@pytest.mark.parametrize(
    "change",
    [
        "size = size - 1",
        "sealed_size = sealed_size - 1",
        "kind = 'other'",
        "workspace = 'lab'",
        "sealing = 'parquet-1'",
        "wrapped = (SELECT wrapped FROM blobs ORDER BY created_at DESC LIMIT 1)",
        "wrapped = substr(wrapped, 1, 50)",
    ],
)
def test_a_changed_row_is_noticed(local: BlobStore, database: Database, change: str) -> None:
    info = _put(local, database)
    _put(local, database)
    with database.write() as session:
        session.execute(text(f"UPDATE blobs SET {change} WHERE id = '{info.id}'"))  # noqa: S608 - our own words
    with database.read() as session, pytest.raises(TamperedError):
        local.open(session, info.id)


def test_a_digest_that_does_not_fit_is_noticed(local: BlobStore, database: Database) -> None:
    staged = local.put("clinic", "artifact", [b"content"])
    with replace(staged, sha256="00" * 32) as lying, database.write() as session:
        local.commit(session, lying)
    with database.read() as session, pytest.raises(TamperedError, match="not what was stored"):
        local.verify(session, staged.id)


def test_a_disabled_key_stops_reads_and_writes(
    store: BlobStore, database: Database, keyring: Keyring
) -> None:
    info = _put(store, database)
    reader = _open(store, database, info.id)
    stream = reader.chunks()
    next(stream)
    staged = store.put("clinic", "artifact", [b"begun before"])
    with database.write() as session:
        keyring.disable(session, "clinic")
    with pytest.raises(KeyUnavailableError):
        next(stream)
    with pytest.raises(KeyUnavailableError):
        reader.read(0, 1)
    with pytest.raises(KeyUnavailableError):
        store.put("clinic", "artifact", [b"x"])
    with staged, database.write() as session, pytest.raises(KeyUnavailableError):
        store.commit(session, staged)
    with database.read() as session:
        for attempt in (store.open, store.info, store.verify):
            with pytest.raises(KeyUnavailableError):
                attempt(session, info.id)
    assert [name for name, _ in store.folder.sizes()] == [info.id]
    with database.write() as session:
        keyring.enable(session, "clinic")
    assert reader.read(0, 5) == CONTENT[:5]


def test_deleting(store: BlobStore, database: Database) -> None:
    info, other = _put(store, database, b"first"), _put(store, database, b"second")
    with database.write() as session:
        store.delete(session, info.id)
        session.rollback()
    with _open(store, database, info.id) as reader:
        assert reader.read(0, 5) == b"first"
    with database.write() as session:
        store.delete(session, info.id)
        assert len(list(store.folder.sizes())) == 2
    assert [name for name, _ in store.folder.sizes()] == [other.id]
    with database.write() as session:
        for attempt in (store.open, store.delete, store.verify, store.info):
            with pytest.raises(NotFoundError):
                attempt(session, info.id)


def test_a_file_that_cannot_be_deleted_is_left_to_the_sweep(
    local: BlobStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    info = _put(local, database)

    def refuse(path: Path, *, missing_ok: bool = False) -> None:
        raise PermissionError

    monkeypatch.setattr(Path, "unlink", refuse)
    with database.write() as session:
        local.delete(session, info.id)
    monkeypatch.undo()
    with database.read() as session, pytest.raises(NotFoundError):
        local.open(session, info.id)
    assert local.sweep().removed == (info.id,)


def test_rewrapping_leaves_the_bytes_alone(
    local: BlobStore, database: Database, keyring: Keyring
) -> None:
    info, elsewhere = _put(local, database), _put(local, database, b"x", "lab")
    path = local.folder.path(info.id)
    assert path is not None
    before = path.read_bytes()
    with database.write() as session:
        keyring.rotate(session, "clinic")
        assert local.rewrap(session, "clinic") == 1
        assert local.rewrap(session, "clinic") == 0
    assert path.read_bytes() == before
    with database.read() as session:
        assert local.verify(session, info.id) == info
        assert local.verify(session, elsewhere.id) == elsewhere
        versions = session.execute(text("SELECT workspace, kek_version FROM blobs")).all()
    assert sorted(tuple(row) for row in versions) == [("clinic", 2), ("lab", 1)]


def test_ids_are_not_paths(store: BlobStore, database: Database) -> None:
    for name in ("../x", "/etc/passwd", "", "A" * 32, "a" * 31, "a" * 33, "a" * 31 + "/"):
        with database.read() as session, pytest.raises(NotFoundError):
            store.open(session, name)
        for attempt in (store.folder.create, store.folder.open, store.folder.delete):
            with pytest.raises(ValueError, match="not an id of ours"):
                attempt(name)
