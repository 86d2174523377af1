"""Written files: whole or not at all, and never over what is there unless asked."""

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from strongroom.errors import CallerError, ConflictError
from strongroom.faces.cli import drafts

KINDS = [pytest.param(True, id="unnamed"), pytest.param(False, id="named")]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> bool:
    """Both ways of making a draft: without a name where the system can, and beside the file."""
    if not request.param:
        monkeypatch.setattr(drafts, "_UNNAMED", 0)
    return bool(request.param)


@pytest.mark.usefixtures("kind")
def test_a_file_appears_when_it_is_whole(tmp_path: Path) -> None:
    to = tmp_path / "sub" / "out"
    with drafts.draft(to, force=False) as file:
        file.write(b"half")
        file.flush()
        assert not to.exists()
    assert to.read_bytes() == b"half"
    assert list(to.parent.iterdir()) == [to]


@pytest.mark.usefixtures("kind")
def test_an_error_leaves_nothing_and_what_was_there(tmp_path: Path) -> None:
    to = tmp_path / "out"
    to.write_bytes(b"before")
    with pytest.raises(TypeError), drafts.draft(to, force=True) as file:
        file.write(b"half" + None)  # type: ignore[operator] # fails while the draft is there
    assert to.read_bytes() == b"before"
    assert list(tmp_path.iterdir()) == [to]


@pytest.mark.usefixtures("kind")
def test_nothing_is_replaced_unless_asked(tmp_path: Path) -> None:
    to = tmp_path / "out"
    to.write_bytes(b"before")
    with pytest.raises(ConflictError), drafts.draft(to, force=False):
        pytest.fail("the block must not begin")
    with drafts.draft(to, force=True) as file:
        file.write(b"after")
    assert to.read_bytes() == b"after"
    with pytest.raises(ConflictError):
        drafts.require_free(tmp_path, force=True)


@pytest.mark.usefixtures("kind")
def test_a_pipe_or_device_stays_what_it_is(tmp_path: Path) -> None:
    to = tmp_path / "pipe"
    os.mkfifo(to)
    (tmp_path / "link").symlink_to(to)
    for path in (to, tmp_path / "link", Path(os.devnull)):
        with pytest.raises(ConflictError), drafts.draft(path, force=True):
            pytest.fail("the block must not begin")
    assert to.is_fifo()


@pytest.mark.usefixtures("kind")
def test_what_came_meanwhile_is_not_replaced(tmp_path: Path) -> None:
    to = tmp_path / "out"
    with pytest.raises(ConflictError), drafts.draft(to, force=False):
        to.write_bytes(b"theirs")
    assert to.read_bytes() == b"theirs"
    assert list(tmp_path.iterdir()) == [to]


def test_a_link_is_replaced_and_not_written_through(tmp_path: Path) -> None:
    (tmp_path / "target").write_bytes(b"target")
    (tmp_path / "out").symlink_to("target")
    with pytest.raises(ConflictError), drafts.draft(tmp_path / "out", force=False):
        pytest.fail("the block must not begin")
    with drafts.draft(tmp_path / "out", force=True) as file:
        file.write(b"new")
    assert (tmp_path / "target").read_bytes() == b"target"
    assert (tmp_path / "out").read_bytes() == b"new"


def test_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    to = tmp_path / "file" / "out"
    with pytest.raises(CallerError, match="cannot write"), drafts.draft(to, force=False):
        pytest.fail("the block must not begin")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_killed_command_leaves_no_half_file(tmp_path: Path, number: signal.Signals) -> None:
    code = (
        "import sys, time\nfrom pathlib import Path\n"
        "from strongroom.faces.cli.drafts import draft, ending_cleanly\n"
        "with ending_cleanly(), draft(Path(sys.argv[1]) / 'out', force=False) as file:\n"
        "    file.write(b'half'); file.flush(); print('ready', flush=True); time.sleep(60)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(tmp_path)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    assert process.stdout.readline() == "ready\n"
    process.send_signal(number)
    assert process.wait(30) != 0
    process.stdout.close()
    if number is signal.SIGKILL and not drafts._can_be_unnamed(tmp_path):
        pytest.skip("no files without a name here")
    assert list(tmp_path.iterdir()) == []


def test_signals_are_as_before_afterwards() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with drafts.ending_cleanly():
        assert signal.getsignal(signal.SIGTERM) is not before
        with pytest.raises(SystemExit) as ended:
            signal.raise_signal(signal.SIGTERM)
        assert ended.value.code == 128 + signal.SIGTERM
    assert signal.getsignal(signal.SIGTERM) is before
