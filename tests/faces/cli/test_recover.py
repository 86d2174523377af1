"""A way back in for whoever can open the home folder, on the record."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from strongroom.errors import NotFoundError, SignInError
from strongroom.faces.cli.recover import run_recovery
from strongroom.faces.foundation import open_foundation
from strongroom.gate.audit.reading import Filters
from strongroom.gate.identity.bootstrap import bootstrap
from strongroom.settings import Settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    settings = Settings(home=tmp_path / "home", min_free_bytes=0)
    with open_foundation(settings) as foundation:
        bootstrap(
            foundation.database,
            foundation.log,
            foundation.issuer,
            foundation.grants,
            api_key_days=1,
            link_minutes=1,
        )
    return settings


def test_a_new_key_is_good_and_the_one_before_is_not(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    keys = []
    for _ in range(2):
        run_recovery(settings, "operator", as_json=False)
        keys.append(capsys.readouterr().out.strip())
    with open_foundation(settings) as foundation:
        assert foundation.sign_in.identify(keys[1]).name == "operator"
        with pytest.raises(SignInError):
            foundation.sign_in.identify(keys[0])
        with foundation.database.read() as session:
            found = foundation.log.search(session, Filters(), limit=50)
    recorded = [entry.event.operation for entry in found]
    assert recorded.count("server.local_key") == 2
    assert all(key not in str(entry) for key in keys for entry in found)


def test_nobody_of_that_name(settings: Settings) -> None:
    with pytest.raises(NotFoundError):
        run_recovery(settings, "nobody", as_json=False)


def test_the_command_gives_the_key_alone_on_stdout(settings: Settings) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "strongroom.faces.cli.main", "recover", "--home", settings.home],
        env={"PATH": os.environ["PATH"], "STRONGROOM_MIN_FREE_BYTES": "0"},
        capture_output=True, text=True, check=True, timeout=240,
    )  # fmt: skip
    assert done.stdout.strip().startswith("srk_")
    assert len(done.stdout.split()) == 1
