"""Backups while a server runs, restored elsewhere; cut off, changed, and with another root key."""

import subprocess
import sys
import textwrap
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest
from tests.faces.homes import (
    CONTENT,
    database_of,
    give_reader,
    keep_blob,
    keep_database,
    newly_served,
    operations,
    put_back,
    served,
    settings_of,
)
from tests.vault.test_migrations import own_database

from strongroom.errors import (
    HomeError,
    KeyUnavailableError,
    NotFoundError,
    StorageFullError,
    TamperedError,
    UnavailableError,
    ValidationError,
)
from strongroom.faces.backing import make_backup, restore
from strongroom.faces.foundation import open_foundation
from strongroom.faces.recovering import accept_rollback
from strongroom.vault.backup_manifest import MAC_SECRET, Backup, backups_in, mac_of
from strongroom.vault.keys import Keyring
from strongroom.vault.roots import LocalRoot

KILLED = """
    import os, signal, sys
    from pathlib import Path
    from strongroom.faces.backing import make_backup, restore
    from strongroom.settings import Settings
    from strongroom.vault.backup_manifest import Backup

    home, folder, target = map(Path, sys.argv[1:4])

    def die_before(step):
        def stop(reached):
            if reached == step:
                os.kill(os.getpid(), signal.SIGKILL)

        if str(target) == "-":
            make_backup(Settings(home=home, min_free_bytes=1), folder, step=stop)
        else:
            restore(Settings(home=target, min_free_bytes=1), Backup.open(folder),
                    root_key=home / "root.key", step=stop)

    for step in sys.argv[4:]:
        child = os.fork()  # this process has no thread: it only waits
        if not child:
            die_before(step)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        left = sorted(path.name for path in (folder if str(target) == "-" else target).glob("2*"))
        print(step, os.WTERMSIG(status) if os.WIFSIGNALED(status) else "lived", left,
              target.exists(), sep=";")
"""


def killed_at(steps: list[str], home: Path, folder: Path, target: Path | str = "-") -> None:
    """Back up, or restore, in processes that die just before each of `steps`, and leave nothing."""
    arguments = [str(home), str(folder), str(target), *steps]
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(KILLED), *arguments], check=True,
        capture_output=True, text=True,
    )  # fmt: skip
    assert done.stdout.splitlines() == [f"{step};9;[];False" for step in steps], done.stderr


def test_a_backup_made_while_a_server_runs_becomes_a_home_elsewhere(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "backups"
    settings, first = served(home)
    with open_foundation(settings) as foundation:
        kept = keep_blob(foundation)
        made = make_backup(settings, folder)
        assert not made.manifest.is_last
        later = keep_blob(foundation, b"after the backup")
        old_key = foundation.log.key
    # Nothing of it is in clear, and the key that opens it is not there.
    stored = b"".join(path.read_bytes() for path in folder.rglob("*") if path.is_file())
    assert CONTENT[:24] not in stored
    assert not list(folder.rglob("root.key"))

    target = tmp_path / "elsewhere"
    restore(settings_of(target), Backup.open(folder), root_key=home / "root.key")
    with open_foundation(settings_of(target)) as foundation:
        assert operations(foundation)[-2:] == ["server.backup", "server.restored"]
        assert foundation.log.key.name == f"{old_key.name}/again-1"
        foundation.log.verify_live()
        with foundation.database.read() as session:
            assert b"".join(foundation.blobs.open(session, kept).chunks()) == CONTENT
            with pytest.raises(NotFoundError):
                foundation.blobs.open(session, later)
            assert ("", "Operator") in foundation.grants.standing(session, first).grants


def test_a_later_backup_copies_only_what_is_new(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "backups"
    settings, _ = served(home)
    copied: list[int] = []
    for number in range(3):
        with open_foundation(settings) as foundation:
            keep_blob(foundation, bytes(100_000) + bytes([number]))
        copied.clear()
        made = make_backup(settings, folder, progress=lambda done, _: copied.append(done))
        assert made.manifest.is_last
        assert len(made.manifest.blobs) == number + 1
        assert copied[-1] < 102_000
    assert len(backups_in(folder)) == 3
    for path in backups_in(folder):
        Backup.open(path).verify()


def test_a_home_that_nothing_was_logged_after_keeps_its_log(tmp_path: Path) -> None:
    settings, _ = served(tmp_path / "home")
    made = make_backup(settings, tmp_path / "backups", with_root_key=True)
    target = settings_of(tmp_path / "moved")
    restore(target, made, root_key=None, same_log=True)
    with open_foundation(target) as foundation:
        assert str(foundation.log.key) == made.manifest.log_key
        assert operations(foundation)[-1] == "server.restored"


def test_a_log_keeps_its_name_only_where_no_server_went_on_with_it(tmp_path: Path) -> None:
    settings, _ = served(tmp_path / "home")
    with open_foundation(settings):
        made = make_backup(settings, tmp_path / "backups", with_root_key=True)
    target = settings_of(tmp_path / "moved")
    with pytest.raises(ValidationError, match="beside a running server"):
        restore(target, made, root_key=None, same_log=True)
    assert not target.home.exists()
    restore(target, made, root_key=None)


@pytest.mark.parametrize("line", ["database_url = '{}'", '"database_url" = "{}"', "not toml ="])
def test_a_restored_home_does_not_take_the_database_of_the_living_one(
    tmp_path: Path, line: str
) -> None:
    home = tmp_path / "home"
    settings, _ = served(home)
    (home / "strongroom.toml").write_text(line.format(f"sqlite:///{home}/strongroom.db"))
    made = make_backup(settings, tmp_path / "backups", with_root_key=True)
    target = settings_of(tmp_path / "moved")
    assert restore(target, made, root_key=None).settings_file == "strongroom.toml.from-backup"
    assert not (target.home / "strongroom.toml").exists()


def test_only_what_a_crash_left_is_removed(tmp_path: Path) -> None:
    settings, _ = served(tmp_path / "home")
    folder = tmp_path / "backups"
    mine = [folder / ".partial-notes", tmp_path / ".moved-restore-notes"]
    left = [folder / ".partial-20260101T000000Z-1", tmp_path / ".moved-restore-20260101T000000"]
    for path in (*mine, *left):
        path.mkdir(parents=True)
    made = make_backup(settings, folder, with_root_key=True)
    restore(settings_of(tmp_path / "moved"), made, root_key=None)
    assert [path.exists() for path in (*mine, *left)] == [True, True, False, False]


def test_a_changed_backup_is_refused_and_leaves_nothing(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "backups"
    settings, _ = served(home)
    with open_foundation(settings) as foundation:
        keep_blob(foundation)
    made = make_backup(settings, folder)
    target = tmp_path / "target"
    files = [path for _, path, _ in made.items()] + [
        made.path / name for name in ("manifest.note", "manifest.mac")
    ]
    assert len(files) >= 4
    for file in files:
        whole = file.read_bytes()
        for harmed in (whole[:-1], whole[:-1] + bytes([whole[-1] ^ 1]), None):
            file.unlink() if harmed is None else file.write_bytes(harmed)
            with pytest.raises(TamperedError):
                restore(settings_of(target), Backup.open(made.path), root_key=home / "root.key")
            file.write_bytes(whole)
    assert not target.exists()
    # Who changes files and manifest alike still lacks the root, and the log's key.
    manifest = made.path / "manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b'"is_last": true', b'"is_last": false'))
    with pytest.raises(TamperedError, match="not the one that was made"):
        restore(settings_of(target), Backup.open(made.path), root_key=home / "root.key")
    secret = Keyring(LocalRoot.open(home / "root.key")).secret(MAC_SECRET)
    (made.path / "manifest.mac").write_bytes(mac_of(manifest.read_bytes(), secret))
    with pytest.raises(TamperedError, match="not the one that was signed"):
        restore(settings_of(target), Backup.open(made.path), root_key=home / "root.key")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["backups", "home"]


def test_another_root_key_opens_nothing(tmp_path: Path) -> None:
    settings, _ = served(tmp_path / "home")
    made = make_backup(settings, tmp_path / "backups")
    LocalRoot.create(tmp_path / "other.key")
    target = settings_of(tmp_path / "target")
    with pytest.raises(ValidationError, match="not in the backup"):
        restore(target, made, root_key=None)
    with pytest.raises(KeyUnavailableError, match="does not open"):
        restore(target, made, root_key=tmp_path / "other.key")
    (tmp_path / "none.key").write_bytes(b"\x00" * 32)
    (tmp_path / "none.key").chmod(0o600)
    for name in ("none.key", "missing.key"):
        with pytest.raises(KeyUnavailableError, match="cannot be used as the root key"):
            restore(target, made, root_key=tmp_path / name)
    assert not target.home.exists()


def test_one_backup_at_a_time_is_made_into_a_folder(tmp_path: Path) -> None:
    settings, _ = served(tmp_path / "home")
    folder = tmp_path / "backups"
    refused: list[str] = []

    def meanwhile(name: str) -> None:
        if name == "manifest":
            with pytest.raises(UnavailableError, match="another backup is being made") as caught:
                make_backup(settings, folder)
            refused.append(caught.value.code)

    made = make_backup(settings, folder, step=meanwhile)
    assert refused == ["unavailable"]
    made.verify()
    make_backup(settings, folder)
    assert len(backups_in(folder)) == 2


def test_nothing_is_overwritten(tmp_path: Path) -> None:
    settings, _ = served(tmp_path / "home")
    made = make_backup(settings, tmp_path / "backups")
    with pytest.raises(HomeError, match="not empty"):
        restore(settings, made, root_key=tmp_path / "home" / "root.key")
    (tmp_path / "empty").mkdir()
    restore(settings_of(tmp_path / "empty"), made, root_key=tmp_path / "home" / "root.key")


def test_a_full_disk_leaves_no_backup(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    settings, _ = served(tmp_path / "home")
    with open_foundation(settings) as foundation:
        keep_blob(foundation)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr("strongroom.vault.backups.write_all", full)
        with pytest.raises(StorageFullError):
            make_backup(settings, tmp_path / "backups")
    assert backups_in(tmp_path / "backups") == []
    make_backup(settings, tmp_path / "backups").verify()


def test_a_backup_killed_at_any_step_is_none_and_the_next_one_is_whole(tmp_path: Path) -> None:
    home, folder = tmp_path / "home", tmp_path / "backups"
    settings, _ = served(home)
    with open_foundation(settings) as foundation:
        keep_blob(foundation)
    killed_at(["snapshot", "blob", "manifest", "whole"], home, folder)
    assert backups_in(folder) == []
    make_backup(settings, folder).verify()
    assert [path.name for path in folder.iterdir() if path.name.startswith(".")] == []


def test_a_restore_killed_at_any_step_leaves_no_home_and_the_next_one_is_whole(
    tmp_path: Path,
) -> None:
    home, folder, target = tmp_path / "home", tmp_path / "backups", tmp_path / "target"
    settings, _ = served(home)
    with open_foundation(settings) as foundation:
        kept = keep_blob(foundation)
    made = make_backup(settings, folder)
    killed_at(["restore blob", "record", "appear"], home, made.path, target)
    restore(settings_of(target), made, root_key=home / "root.key")
    assert [path.name for path in tmp_path.iterdir() if path.name.startswith(".")] == []
    with open_foundation(settings_of(target)) as foundation, foundation.database.read() as session:
        assert b"".join(foundation.blobs.open(session, kept).chunks()) == CONTENT


def test_a_postgresql_home_is_backed_up_and_restored(
    tmp_path: Path, postgres_server_url: str
) -> None:
    home = tmp_path / "home"
    with own_database(postgres_server_url) as old, own_database(postgres_server_url) as new:
        settings, first = newly_served(home, database_url=old)
        with open_foundation(settings) as foundation:
            kept = keep_blob(foundation)
            made = make_backup(settings, tmp_path / "backups")
        target = replace(settings_of(tmp_path / "target"), database_url=new)
        with pytest.raises(HomeError, match="database to restore into is not empty"):
            restore(replace(target, database_url=old), made, root_key=home / "root.key")
        # A dump that somebody else wrote is not loaded: afterwards the database is still empty.
        dump = made.path / "database.pgdump"
        whole, manifest = dump.read_bytes(), (made.path / "manifest.json").read_bytes()
        dump.write_bytes(whole[:-1] + b"!")
        before, after = (sha256(one).hexdigest().encode() for one in (whole, dump.read_bytes()))
        (made.path / "manifest.json").write_bytes(manifest.replace(before, after))
        with pytest.raises(TamperedError, match="not the one that was made"):
            restore(target, Backup.open(made.path), root_key=home / "root.key")
        dump.write_bytes(whole)
        restore(target, made, root_key=home / "root.key")
        with open_foundation(target) as foundation, foundation.database.read() as session:
            assert b"".join(foundation.blobs.open(session, kept).chunks()) == CONTENT
            assert ("", "Operator") in foundation.grants.standing(session, first).grants
            assert "server.restored" in operations(foundation)
            foundation.log.verify_live()


def test_an_older_database_over_newer_blobs_takes_none_for_good(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings, first = served(home)
    keep_database(home, tmp_path / "kept")
    with open_foundation(settings) as foundation:
        newer = keep_blob(foundation)
        give_reader(foundation, "usr_ann", by=first)
    keep_database(home, tmp_path / "newest")
    put_back(home, tmp_path / "kept")
    with open_foundation(settings, accept=accept_rollback) as foundation:
        assert newer not in dict(foundation.blobs.folder.sizes())
    # The newest database turns up after all: the anchor is now of the older one, so that is
    # accepted on the record, too, and the blob is back.
    put_back(home, tmp_path / "newest")
    with (
        open_foundation(settings, accept=accept_rollback) as foundation,
        foundation.database.read() as session,
    ):
        assert b"".join(foundation.blobs.open(session, newer).chunks()) == CONTENT


def test_a_blob_that_is_missing_in_the_home_stops_the_backup(tmp_path: Path) -> None:
    home = tmp_path / "home"
    settings, _ = served(home)
    with open_foundation(settings) as foundation:
        kept = keep_blob(foundation)
    (home / "blobs" / kept[:2] / kept).unlink()
    with pytest.raises(TamperedError, match="are missing in the home"):
        make_backup(settings, tmp_path / "backups")
    assert backups_in(tmp_path / "backups") == []
    with database_of(home) as rows:
        assert rows.execute("SELECT count(*) FROM blobs").fetchone() == (1,)
