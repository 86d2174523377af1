"""The command line in a folder of its own, for commands that need no server."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from tests.stock_tools import StockTools, stock_tools

from strongroom.faces.cli import main

Offline = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="session")
def stock() -> Iterator[StockTools]:
    """The stock tools for signatures and bills; skips the test where they are not installed."""
    with stock_tools() as tools:
        yield tools


@pytest.fixture
def offline(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsysbinary: pytest.CaptureFixture[bytes]
) -> Offline:
    """Call it with the words after `strongroom`: gives exit code, stdout and stderr."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("STRONGROOM_HOME", str(tmp_path / "home"))

    def call(*arguments: str) -> tuple[int, str, str]:
        monkeypatch.setattr(sys, "argv", ["strongroom", *arguments])
        code = 0
        try:
            main.run()
        except SystemExit as ended:
            code = int(ended.code or 0)
        out, err = capsysbinary.readouterr()
        assert b"Traceback" not in err
        return code, out.decode(), err.decode()

    return call
