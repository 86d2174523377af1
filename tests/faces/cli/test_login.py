"""`strongroom login` with an invitation, against the real rooms."""

import io
import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.faces.house import House

from strongroom.faces.cli import main

Login = Callable[..., tuple[int, str, str]]


@pytest.fixture
def login(
    house: House,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Login:
    """Runs the command with a secret on stdin; gives code, stdout and stderr."""
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.setenv("STRONGROOM_HOME", str(tmp_path / "home"))

    def call(secret: str, *more: str) -> tuple[int, str, str]:
        where = ["--server", house.address, "--ca", str(house.ca), "--key-file", "-"]
        monkeypatch.setattr(sys, "argv", ["strongroom", "login", *where, *more])
        monkeypatch.setattr(sys, "stdin", io.StringIO(f"{secret}\n"))
        with pytest.raises(SystemExit) as ended:
            main.run()
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


def test_an_invitation_is_redeemed_and_the_key_kept(
    house: House, login: Login, tmp_path: Path
) -> None:
    house.call("user.create", name="by-login")
    invitation = house.call("user.invite", user="by-login").token  # type: ignore[attr-defined] # Invitation
    code, out, err = login(invitation, "--json")
    assert code == 0, err
    told = json.loads(out)
    assert told["name"] == "by-login"
    assert f"Claim code: {told['claim']}" in err
    assert "you were the first" in err
    file = tmp_path / "config" / "strongroom" / "profiles.json"
    kept = file.read_text("utf-8")
    assert "srk_" in kept
    for text in (kept, out, err):
        assert invitation[21:] not in text
    assert "srk_" not in err

    code, out, err = login(invitation)  # as whoever comes second
    assert code == 3
    assert "was redeemed on" in err
    assert "taken your place" in err
    assert file.read_text("utf-8") == kept
