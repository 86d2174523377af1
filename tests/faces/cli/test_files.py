"""Walking: what is opened, what never, and what is said about the rest."""

import os
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from strongroom.errors import TooLargeError, UsageError
from strongroom.faces.cli.files import NotRead, OpenedFile, WalkLimits, walk


def seen(*paths: Path, limits: WalkLimits | None = None) -> tuple[dict[str, bytes], dict[str, str]]:
    """Contents of what was opened by its place, and reasons of what was not by its name."""
    opened, left = {}, {}
    for found in walk(paths, limits or WalkLimits()):
        if isinstance(found, OpenedFile):
            opened[str(found.inside)] = found.handle.read()
        else:
            left[Path(found.shown).name] = found.reason
    return opened, left


def test_all_below_is_read_in_order_hidden_files_too(tmp_path: Path) -> None:
    for name in ("b.csv", "a.csv", ".env", "sub/c.csv", ".hidden/d.csv", "sub/.git/objects/e"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(name)
    opened, left = seen(tmp_path)
    assert list(opened) == [".env", "a.csv", "b.csv", ".hidden/d.csv", "sub/c.csv"]
    assert all(content.decode() == name for name, content in opened.items())
    assert left == {".git": "a store of version control: not looked into"}


def test_links_devices_pipes_and_sockets_are_never_opened(tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "secret").write_text("secret")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file-link").symlink_to(outside / "secret")
    (folder / "folder-link").symlink_to(outside)
    (folder / "broken").symlink_to("nowhere")
    os.mkfifo(folder / "pipe")
    listener = socket.socket(socket.AF_UNIX)
    listener.bind(str(folder / "socket"))
    listener.close()
    (folder / "real").write_text("real")
    opened, left = seen(folder)
    assert opened == {"real": b"real"}
    assert left.keys() == {"file-link", "folder-link", "broken", "pipe", "socket"}


def test_a_pipe_or_device_that_is_named_is_refused(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (tmp_path / "pipe", Path("/dev/null")):
        with pytest.raises(UsageError, match="neither a file nor a folder"):
            seen(path)
    with pytest.raises(UsageError, match="nothing at"):
        seen(tmp_path / "missing")


def test_a_link_that_is_named_is_followed(tmp_path: Path) -> None:
    (tmp_path / "real").write_text("real")
    (tmp_path / "link").symlink_to("real")
    assert seen(tmp_path / "link")[0] == {"link": b"real"}


def test_a_file_swapped_for_a_link_meanwhile_is_not_followed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "secret").write_text("secret")
    folder = tmp_path / "folder"
    folder.mkdir()
    (folder / "file").write_text("harmless")
    true_open = os.open

    def swapping(path: object, flags: int, *rest: object, **more: object) -> int:
        if path == "file":
            (folder / "file").unlink()
            (folder / "file").symlink_to(tmp_path / "secret")
        return true_open(path, flags, *rest, **more)  # type: ignore[arg-type] # passed on as it came

    monkeypatch.setattr(os, "open", swapping)
    opened, left = seen(folder)
    assert opened == {}
    assert "cannot be read" in left["file"]


def test_limits_on_size_depth_and_number(tmp_path: Path) -> None:
    (tmp_path / "a/b/c").mkdir(parents=True)
    (tmp_path / "big").write_bytes(b"x" * 100)
    (tmp_path / "a/b/c/deep").write_text("deep")
    (tmp_path / "a/small").write_text("small")
    opened, left = seen(tmp_path, limits=WalkLimits(file_bytes=99, depth=2))
    assert opened == {"a/small": b"small"}
    assert "99 bytes" in left["big"]
    assert "2 folders deep" in left["b"]
    with pytest.raises(TooLargeError, match="more than 1 files"):
        seen(tmp_path, limits=WalkLimits(files=1))


def test_what_cannot_be_read_is_said_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Permissions do not bind root, so the refusal is the system call's own."""
    (tmp_path / "a").write_text("a")
    (tmp_path / "b").write_text("b")
    true_open = os.open

    def refusing(path: object, flags: int, *rest: object, **more: object) -> int:
        if path == "a":
            raise PermissionError(13, "Permission denied", "a")
        return true_open(path, flags, *rest, **more)  # type: ignore[arg-type] # passed on as it came

    monkeypatch.setattr(os, "open", refusing)
    opened, left = seen(tmp_path)
    assert opened == {"b": b"b"}
    assert left == {"a": "cannot be read: Permission denied"}


def test_files_are_closed_as_one_goes_on(tmp_path: Path) -> None:
    for at in range(3):
        (tmp_path / str(at)).write_text("x")
    walking: Iterator[OpenedFile | NotRead] = walk([tmp_path], WalkLimits())
    first = next(walking)
    assert isinstance(first, OpenedFile)
    next(walking)
    assert first.handle.closed
