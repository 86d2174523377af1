"""The local root key: its file, its passphrase, and what it refuses."""

import json
import os
from pathlib import Path

import pytest

from strongroom.errors import HomeError, KeyUnavailableError, TamperedError
from strongroom.vault.roots import LocalRoot, read_passphrase


def _private(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    path.chmod(0o600)
    return path


@pytest.mark.parametrize("passphrase", [None, b"correct horse battery staple"])
def test_the_same_root_comes_back(tmp_path: Path, passphrase: bytes | None) -> None:
    path = tmp_path / "root.key"
    root = LocalRoot.create(path, passphrase)
    again = LocalRoot.open(path, passphrase)
    wrapped = root.wrap(b"secret", b"context")
    assert again.unwrap(wrapped, b"context") == b"secret"
    assert again.derive(b"purpose") == root.derive(b"purpose") != root.derive(b"other")
    assert path.stat().st_mode & 0o777 == 0o600
    assert [entry.name for entry in tmp_path.iterdir()] == ["root.key"]


def test_two_roots_share_nothing(tmp_path: Path) -> None:
    first, second = LocalRoot.create(tmp_path / "a"), LocalRoot.create(tmp_path / "b")
    assert first.derive(b"p") != second.derive(b"p")
    with pytest.raises(TamperedError):
        second.unwrap(first.wrap(b"secret", b""), b"")


def test_an_existing_key_is_never_replaced(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    LocalRoot.create(path)
    before = path.read_bytes()
    with pytest.raises(HomeError, match="exists already"):
        LocalRoot.create(path)
    assert path.read_bytes() == before
    assert len(list(tmp_path.iterdir())) == 1


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(HomeError, match="cannot write"):
        LocalRoot.create(tmp_path / "none" / "root.key")
    with pytest.raises(HomeError, match="cannot read"):
        LocalRoot.open(tmp_path / "none")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o620, 0o666])
def test_a_file_open_to_others_is_refused(tmp_path: Path, mode: int) -> None:
    path = tmp_path / "root.key"
    LocalRoot.create(path)
    path.chmod(mode)
    with pytest.raises(HomeError, match="by others"):
        LocalRoot.open(path)


def test_links_and_folders_are_refused(tmp_path: Path) -> None:
    LocalRoot.create(tmp_path / "root.key")
    (tmp_path / "link").symlink_to(tmp_path / "root.key")
    with pytest.raises(HomeError, match="cannot read"):
        LocalRoot.open(tmp_path / "link")
    with pytest.raises(HomeError, match="not a file"):
        LocalRoot.open(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(HomeError, match="not a file"):
        LocalRoot.open(tmp_path / "pipe")


def test_the_passphrase_must_be_right(tmp_path: Path) -> None:
    path = tmp_path / "root.key"
    LocalRoot.create(path, b"correct")
    assert b"correct" not in path.read_bytes()
    with pytest.raises(KeyUnavailableError, match="under a passphrase"):
        LocalRoot.open(path)
    with pytest.raises(KeyUnavailableError, match="does not open"):
        LocalRoot.open(path, b"wrong")
    fields = json.loads(path.read_bytes())
    assert fields.keys() == {"format", "wrapped", "salt", "memory_kib", "passes", "lanes"}
    for change in (
        {"wrapped": fields["wrapped"][:-2] + "00"},
        {"salt": "00" * 16},
    ):
        _private(path, json.dumps(fields | change).encode())
        with pytest.raises(KeyUnavailableError):
            LocalRoot.open(path, b"correct")


@pytest.mark.parametrize(
    "change",
    [
        {"memory_kib": 1 << 30},
        {"memory_kib": 1},
        {"passes": 0},
        {"passes": 10_000},
        {"lanes": 0},
        {"lanes": "4"},
        {"salt": 4},
        {"salt": "x"},
        {"salt": "00"},
        {"wrapped": None},
    ],
)
def test_costs_in_the_file_are_limited(tmp_path: Path, change: dict[str, object]) -> None:
    good = {
        "format": "strongroom root key 1",
        "wrapped": "00" * 61,
        "salt": "00" * 16,
        "memory_kib": 64,
        "passes": 1,
        "lanes": 1,
    }
    path = _private(tmp_path / "root.key", json.dumps(good | change).encode())
    with pytest.raises(HomeError, match="damaged"):
        LocalRoot.open(path, b"passphrase")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "damaged"),
        (b"{}", "damaged"),
        (b"[1]", "damaged"),
        (b"\xff\xfe", "damaged"),
        (b'{"format": "strongroom root key 2", "key": ""}', "unknown format"),
        (b'{"format": "strongroom root key 1", "key": "00"}', "damaged"),
        (b'{"format": "strongroom root key 1", "key": "xx"}', "damaged"),
        (b'{"format": "strongroom root key 1"}', "damaged"),
        (b" " * 5000, "too long"),
    ],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    path = _private(tmp_path / "root.key", content)
    with pytest.raises(HomeError, match=message):
        LocalRoot.open(path, b"passphrase")


def test_passphrase_files(tmp_path: Path) -> None:
    path = _private(tmp_path / "passphrase", b"two words\r\n")
    assert read_passphrase(path) == b"two words"
    with pytest.raises(HomeError, match="holds no passphrase"):
        read_passphrase(_private(tmp_path / "empty", b"\n"))
    path.chmod(0o644)
    with pytest.raises(HomeError, match="by others"):
        read_passphrase(path)
