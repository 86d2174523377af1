"""The home folder: made whole, held by one, and refused where it is not ours."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from strongroom.errors import HomeError, HomeInUseError, HomeNewerError, StorageFullError
from strongroom.vault.home import FORMAT, Home


def test_the_layout(home: Home) -> None:
    assert {entry.name for entry in home.path.iterdir()} == {
        "home.json",
        "blobs",
        "tls",
        "log",
        "run",
    }
    for entry in (home.path, home.blobs, home.tls, home.log, home.run):
        assert entry.stat().st_mode & 0o777 == 0o700
    assert home.database_url == f"sqlite:///{home.path}/strongroom.db"
    assert json.loads((home.path / "home.json").read_text())["format"] == FORMAT


def test_nothing_is_left_beside_it(tmp_path: Path) -> None:
    Home.create(tmp_path / "deep" / "home")
    assert [entry.name for entry in (tmp_path / "deep").iterdir()] == ["home"]


def test_an_empty_folder_becomes_a_home(tmp_path: Path) -> None:
    (tmp_path / "home").mkdir()
    Home.create(tmp_path / "home")
    Home.open(tmp_path / "home").close()


def test_what_is_there_is_not_touched(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(HomeError, match="not empty"):
        Home.create(tmp_path)
    with pytest.raises(HomeError, match="not empty"):
        Home.create(tmp_path / "file")
    assert [entry.name for entry in tmp_path.iterdir()] == ["file"]


def test_a_foreign_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="not a home"):
        Home.open(tmp_path)
    with pytest.raises(HomeError, match="not a home"):
        Home.open(tmp_path / "missing")


@pytest.mark.parametrize(
    ("content", "match"),
    [
        ("", "damaged"),
        ("[]", "damaged"),
        ("{}", "damaged"),
        ('{"kind": "other", "format": 1}', "not a home"),
        ('{"kind": "strongroom home", "format": "1"}', "not a home"),
        ('{"kind": "strongroom home", "format": true}', "not a home"),
        ('{"kind": "strongroom home", "format": 0}', "not a home"),
        ("x" * 10_000, "damaged"),
    ],
)
def test_a_false_mark_is_refused(tmp_path: Path, content: str, match: str) -> None:
    Home.create(tmp_path / "home")
    (tmp_path / "home" / "home.json").write_text(content)
    with pytest.raises(HomeError, match=match):
        Home.open(tmp_path / "home")


def test_a_newer_home_is_refused_and_unchanged(tmp_path: Path) -> None:
    Home.create(tmp_path / "home")
    mark = tmp_path / "home" / "home.json"
    mark.write_text(json.dumps({"kind": "strongroom home", "format": FORMAT + 1}))
    before = mark.read_bytes()
    with pytest.raises(HomeNewerError, match=f"format {FORMAT + 1}"):
        Home.open(tmp_path / "home")
    assert mark.read_bytes() == before
    assert not (tmp_path / "home" / "run" / "lock").exists()


def test_a_folder_open_to_others_is_refused(tmp_path: Path) -> None:
    Home.create(tmp_path / "home")
    (tmp_path / "home").chmod(0o750)
    with pytest.raises(HomeError, match="open to other users") as caught:
        Home.open(tmp_path / "home")
    assert "chmod 700" in caught.value.next_step


def test_what_a_death_while_writing_left_is_taken_away(tmp_path: Path) -> None:
    Home.create(tmp_path / "home")
    drafts = [
        tmp_path / "home" / ".anchor.9e17d96a0e659ca0",
        tmp_path / "home" / "tls" / ".server.key.0123456789abcdef",
    ]
    foreign = tmp_path / "home" / ".anchor.txt"
    for file in (*drafts, foreign):
        file.write_bytes(b"half")
    Home.look(tmp_path / "home")
    assert all(draft.exists() for draft in drafts)
    Home.open(tmp_path / "home").close()
    assert not any(draft.exists() for draft in drafts)
    assert foreign.exists()


def test_a_lost_folder_is_named(tmp_path: Path) -> None:
    Home.create(tmp_path / "home")
    (tmp_path / "home" / "blobs").rmdir()
    with pytest.raises(HomeError, match="blobs"):
        Home.open(tmp_path / "home")


def test_the_second_to_open_learns_who_has_it(home: Home) -> None:
    with pytest.raises(HomeInUseError, match=f"process {os.getpid()}"):
        Home.open(home.path)


def test_another_process_is_refused_until_it_is_closed(tmp_path: Path) -> None:
    Home.create(tmp_path / "home")
    script = (
        "import sys; from pathlib import Path; from strongroom.vault.home import Home\n"
        "Home.open(Path(sys.argv[1])); print('opened', flush=True); sys.stdin.read()"
    )
    with subprocess.Popen(
        [sys.executable, "-c", script, str(tmp_path / "home")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"opened\n"
        with pytest.raises(HomeInUseError, match=f"process {other.pid}"):
            Home.open(tmp_path / "home")
        other.kill()
        other.wait()
    # A killed holder leaves its lock file, not its lock.
    assert (tmp_path / "home" / "run" / "lock").exists()
    Home.open(tmp_path / "home").close()


def test_free_space_is_demanded(home: Home) -> None:
    home.require_free(1)
    with pytest.raises(StorageFullError, match="MiB"):
        home.require_free(home.free_bytes + 2**40)


def test_how_to_erase_it(tmp_path: Path) -> None:
    folder = tmp_path / "a b'; rm x"
    Home.create(folder)
    with Home.open(folder) as home:
        command = home.erase_command()
    subprocess.run(["/bin/sh", "-c", command], check=True)
    assert list(tmp_path.iterdir()) == []
