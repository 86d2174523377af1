"""Processes killed at each durable step of a blob: what was acknowledged stays, the rest goes."""

import os
import signal
import subprocess
import sys
import textwrap
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from strongroom.errors import NotFoundError
from strongroom.vault.blobs import BlobStore
from strongroom.vault.database import Database
from strongroom.vault.folders import RemoteFolder, is_id
from strongroom.vault.keys import Keyring
from strongroom.vault.roots import LocalRoot

CONTENT = b"0123456789" * 300_000

WRITER = """
    import os, signal, sys
    from pathlib import Path
    from strongroom.vault.blobs import BlobStore
    from strongroom.vault.database import Database
    from strongroom.vault.keys import Keyring
    from strongroom.vault.roots import LocalRoot

    folder, step = Path(sys.argv[1]), sys.argv[2]
    database = Database.open(f"sqlite:///{folder}/test.db")
    store = BlobStore(folder / "blobs", Keyring(LocalRoot(bytes(32))), database)

    def stop(reached):
        if reached == step:
            print("reached", flush=True)
            os.kill(os.getpid(), signal.SIGSTOP if sys.argv[3] == "stop" else signal.SIGKILL)

    def chunks():
        yield b"0123456789" * 200_000
        stop("while writing")
        yield b"0123456789" * 100_000

    with store.put("clinic", "artifact", chunks()) as staged:
        stop("before the commit")
        with database.write() as session:
            store.commit(session, staged)
            stop("inside the transaction")
        stop("after the commit")
        print(staged.id, flush=True)
    if step == "deleting":
        with database.write() as session:
            store.delete(session, staged.id)
            store.folder.delete = lambda name: stop("deleting")
"""


@pytest.fixture
def store(database: Database, tmp_path: Path) -> BlobStore:
    keyring = Keyring(LocalRoot(bytes(32)))
    with database.write() as session:
        keyring.create_workspace_key(session, "clinic")
    return BlobStore(tmp_path / "blobs", keyring, database)


def _writer(folder: Path, step: str, how: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(WRITER), str(folder), step, how],
        stdout=subprocess.PIPE,
        text=True,
    )


@pytest.mark.parametrize("step", ["while writing", "before the commit", "inside the transaction"])
def test_killed_before_the_commit(
    store: BlobStore, database: Database, tmp_path: Path, step: str
) -> None:
    with _writer(tmp_path, step, "kill") as writer:
        output, _ = writer.communicate(timeout=240)
    assert output == "reached\n"
    assert writer.returncode == -signal.SIGKILL
    [(name, _)] = store.folder.sizes()
    with database.read() as session, pytest.raises(NotFoundError):
        store.open(session, name)
    assert store.sweep().removed == (name,)
    assert list(store.folder.sizes()) == []


def test_killed_after_the_commit(store: BlobStore, database: Database, tmp_path: Path) -> None:
    with _writer(tmp_path, "after the commit", "kill") as writer:
        writer.communicate(timeout=240)
    assert writer.returncode == -signal.SIGKILL
    report = store.sweep()
    assert (report.removed, report.missing, report.changed) == ((), (), ())
    [(name, _)] = store.folder.sizes()
    with database.read() as session:
        store.verify(session, name)
        with store.open(session, name) as reader:
            assert b"".join(reader.chunks()) == CONTENT


def test_killed_while_deleting(store: BlobStore, database: Database, tmp_path: Path) -> None:
    with _writer(tmp_path, "deleting", "kill") as writer:
        output, _ = writer.communicate(timeout=240)
    assert writer.returncode == -signal.SIGKILL
    name = output.split()[0]
    with database.read() as session, pytest.raises(NotFoundError):
        store.open(session, name)
    assert store.sweep().removed == (name,)


@pytest.mark.parametrize("step", ["while writing", "before the commit"])
def test_a_sweep_spares_what_a_living_writer_holds(
    store: BlobStore, database: Database, tmp_path: Path, step: str
) -> None:
    with _writer(tmp_path, step, "stop") as writer:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "reached\n"
        try:
            assert store.sweep().removed == ()
        finally:
            os.kill(writer.pid, signal.SIGCONT)
        name = writer.stdout.readline().strip()
    assert writer.returncode == 0
    assert store.sweep().removed == ()
    with database.read() as session:
        store.verify(session, name)


def test_a_sweep_leaves_alone_what_is_not_ours(store: BlobStore, tmp_path: Path) -> None:
    foreign = tmp_path / "blobs" / "ab" / "notes.txt"
    foreign.write_text("kept")
    link = tmp_path / "blobs" / "ab" / ("ab" * 16)
    link.symlink_to(foreign)
    leftover = tmp_path / "blobs" / "cd" / ("cd" * 16)
    leftover.touch()
    assert store.sweep().removed == (leftover.name,)
    assert foreign.read_text() == "kept"
    assert link.is_symlink()


def test_a_remote_sweep_waits_a_day() -> None:
    moment = datetime.now(UTC)
    folder = RemoteFolder("memory:///", now=lambda: moment)
    for name in ("ab" * 16, "cd" * 16):
        upload = folder.create(name)
        upload.write(b"content")
        upload.finish()
        upload.release()
        upload.discard()  # after a release nothing is removed any more
    assert folder.sweep(lambda _: set()) == []
    moment += timedelta(hours=25)
    assert folder.sweep(lambda _: {"cd" * 16}) == ["ab" * 16]
    assert [name for name, _ in folder.sizes()] == ["cd" * 16]
    assert is_id("cd" * 16)


LIMITED = """
    import resource, sys
    from pathlib import Path
    from strongroom.errors import StorageFullError
    from strongroom.vault.blobs import BlobStore
    from strongroom.vault.database import Database
    from strongroom.vault.keys import Keyring
    from strongroom.vault.roots import LocalRoot

    folder = Path(sys.argv[1])
    database = Database.open(f"sqlite:///{folder}/test.db")
    store = BlobStore(folder / "blobs", Keyring(LocalRoot(bytes(32))), database)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
    try:
        store.put("clinic", "artifact", [bytes(3 << 20)])
    except StorageFullError:
        print("full", list(store.folder.sizes()))
"""


def test_a_file_that_may_not_grow(store: BlobStore, tmp_path: Path) -> None:
    # The kernel refuses bytes past a limit as it does on a full disk, in the midst of a write.
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(LIMITED), str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=240,
        check=True,
    )
    assert run.stdout == "full []\n"
    assert store.sweep().removed == ()
