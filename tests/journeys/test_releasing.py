"""A release on a real server: asked for and read from the command line, approved by another."""

import json
import os
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from tests.journeys.served import COMMAND, WORKSPACE, Served
from tests.services.data.killed_releasing import DOMAIN
from tests.services.data.releaseroom import patients, recipe

from strongroom.errors import RefusedError, StateError

NAME = "released"


def command(served: Served, folder: Path, who: str, *arguments: str) -> str:
    """What `strongroom data …` says to somebody."""
    done = subprocess.run(
        [*COMMAND, "data", *arguments, "-w", WORKSPACE, "--server", served.url,
         "--ca", str(served.ca)],
        env={"PATH": os.environ["PATH"], "HOME": str(folder),
             "STRONGROOM_API_KEY": served.keys[who]},
        cwd=folder, capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout


def asks(served: Served, who: str, operation: str, **fields: object) -> Any:  # noqa: ANN401 # JSON
    """What the client gives somebody."""
    with served.client(who) as client:
        return client.call(operation, progress=None, name=NAME, **fields)


def rows(served: Served, who: str) -> list[str]:
    """The lines of the release as somebody reads them."""
    with (
        served.client(who) as client,
        client.stream("data.read_release", name=NAME, number=1) as pieces,
    ):
        return b"".join(pieces).decode().splitlines()


def test_a_release_is_asked_for_approved_and_read(served: Served, tmp_path: Path) -> None:
    (tmp_path / "recipe.toml").write_text(recipe(zip="drop"))
    with served.client("olga") as olga:
        olga.call("data.add", patients(), name=NAME, subject_column="id")
    made: dict[str, Any] = json.loads(command(
        served, tmp_path, "olga", "release", NAME, "recipe.toml", "--purpose", "teaching",
        "--recipients", "nina", "--recipients", "role:Data Scientist", "--json",
    ))  # fmt: skip
    deadline = time.monotonic() + 120
    while made["state"] == "making":
        assert time.monotonic() < deadline
        time.sleep(0.2)
        made = asks(served, "olga", "data.show_release", number=1)["shown"]
    assert made["state"] == "waiting", made
    with pytest.raises(RefusedError, match="does not approve"):
        asks(served, "olga", "data.approve_release", number=1)
    with pytest.raises(StateError, match="waiting"):
        rows(served, "nina")
    asks(served, "petra", "data.approve_release", number=1)
    read = command(served, tmp_path, "nina", "read-release", NAME, "1").splitlines()
    assert read[0].replace('"', "") == "age,illness"
    assert min(Counter(line.split(",")[0] for line in read[1:]).values()) >= 3
    assert sorted(rows(served, "dan")) == sorted(read)
    proof = json.loads(command(served, tmp_path, "nina", "release-proof", NAME, "1", "--json"))
    assert proof["proof"]["smallest"] >= 3
    assert sorted(proof["proof"]["columns"]) == ["age", "illness"]
    for other in ("olga", "petra", "carl", "rita", "aldo"):
        with pytest.raises(RefusedError, match="not permitted"):
            rows(served, other)
        with pytest.raises(RefusedError, match="not permitted"):
            asks(served, other, "data.release_proof", number=1)
    asks(served, "olga", "data.set_budget", epsilon=1.0, delta=1e-6)
    (tmp_path / "domain.toml").write_text(DOMAIN)
    foreseen = json.loads(command(  # a data scientist may ask; made up it is elsewhere in the tests
        served, tmp_path, "dan", "release-synthetic", NAME, "domain.toml", "--epsilon", "0.5",
        "--purpose", "teaching", "--recipients", "nina", "--dry-run", "--json",
    ))  # fmt: skip
    assert (foreseen["fits"], foreseen["release"]) == (True, None)
    assert foreseen["protects"] == "the people of column `id`"
    for other in ("carl", "rita", "aldo"):
        with served.client(other) as client, pytest.raises(RefusedError, match="not permitted"):
            client.call(
                "data.release_synthetic", DOMAIN.encode(), progress=None, name=NAME, epsilon=0.5,
                purpose="teaching", recipients=["nina"],
            )  # fmt: skip
    kept = json.loads(command(
        served, tmp_path, "olga", "release-query", NAME, "SELECT COUNT(*) AS people FROM data",
        "--epsilon", "1", "--purpose", "teaching", "--recipients", "nina", "--json",
    ))  # fmt: skip
    assert (kept["number"], kept["kind"], kept["state"]) == (2, "dp", "waiting")
    asks(served, "petra", "data.approve_release", number=2)
    told = command(served, tmp_path, "nina", "read-release", NAME, "2").splitlines()
    assert told[0].replace('"', "") == "people,people low,people high"
    assert [one["rows"] for one in asks(served, "rita", "data.releases")["releases"]] == [1, 60]
    asks(served, "petra", "data.withdraw_release", number=1, reason="the course is over")
    with pytest.raises(StateError, match="withdrawn"):
        rows(served, "nina")
    served.verify_log()
