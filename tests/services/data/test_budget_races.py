"""Many at once, in threads and in processes, and killed in between: nobody overspends."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import accumulate
from pathlib import Path

import pytest
from tests.services.data.dataroom import dataroom
from tests.services.data.killed_asking import MOMENTS, QUESTION, prepare
from tests.services.data.racing_spends import (
    BUDGET,
    COST,
    RACERS,
    account,
    keyring,
    spend_all,
)
from tests.services.data.racing_spends import prepare as prepare_race
from tests.vault.test_migrations import own_database

from strongroom.engines.privacy.dp.accounting import Composition, Cost, epsilon
from strongroom.errors import BudgetError
from strongroom.services.data.budget_ledger import Budgets
from strongroom.services.data.budget_types import ShowBudget
from strongroom.vault.database import Database

REPOSITORY = Path(__file__).resolve().parents[3]


def most() -> int:
    """How often the cost fits into the budget."""
    fits, spent = 0, Composition.of(COST)
    while spent.epsilon(BUDGET.delta) <= BUDGET.epsilon:
        fits, spent = fits + 1, spent.plus(COST)
    return fits


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Of a database with a budget."""
    if request.param == "sqlite":
        yield _prepared(f"sqlite:///{tmp_path}/race.db")
    else:
        with own_database(request.getfixturevalue("postgres_server_url")) as server:
            yield _prepared(server)


def _prepared(url: str) -> str:
    database = Database.open(url)
    database.migrate()
    prepare_race(database)
    database.close()
    return url


def test_racing_threads_and_processes_admit_what_fits_and_nothing_more(url: str) -> None:
    others = subprocess.Popen(
        [sys.executable, "-m", "tests.services.data.racing_spends", url],
        cwd=REPOSITORY, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip
    database = Database.open(url)
    shared = Budgets(keyring())
    try:
        assert others.stdout is not None
        assert others.stdin is not None
        assert others.stdout.readline() == b"ready\n"
        account(database)
        others.stdin.write(b"\n")
        others.stdin.flush()
        with ThreadPoolExecutor(3) as pool:
            here = [pool.submit(spend_all, database, shared) for _ in range(3)]
            admitted = [sum(one.result() for one in here)]
        told, failed = others.communicate(timeout=120)
        assert others.returncode == 0, failed.decode()[-2000:]
        admitted += [int(one) for one in told.split()]
        found = account(database)
    finally:
        database.close()
        others.kill()
        others.wait()
    assert len(admitted) == 1 + RACERS
    # Else nobody raced. Not each of them gets something: a lock of SQLite is not given out in turn.
    assert sum(one > 0 for one in admitted) > 1, admitted
    assert sum(admitted) == len(found.spends) == most()
    assert found.spent <= BUDGET.epsilon
    spent = [spend.spent for spend in found.spends]
    assert spent == sorted(spent)
    costs = [Cost.from_json(spend.cost) for spend in found.spends]
    assert found.spent == pytest.approx(epsilon(costs, BUDGET.delta))


def test_killed_while_asking(tmp_path: Path) -> None:
    with dataroom(tmp_path) as room:
        prepare(room)
    done = subprocess.run(
        [sys.executable, "-m", "tests.services.data.killed_asking", str(tmp_path)],
        cwd=REPOSITORY, capture_output=True, timeout=120, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    kept = list(accumulate(int("not committed" not in moment) for moment in MOMENTS))
    lines = done.stdout.decode().splitlines()
    assert lines == [f"{signal.SIGKILL.value} {spends}" for spends in kept]
    with dataroom(tmp_path, owner="ole") as room:
        shown = room.call(
            room.owner, "data.budget", ShowBudget(workspace="clinic", name="patients")
        )
        assert (shown.spend_count, shown.spent) == (3, pytest.approx(2.1, abs=1e-2))
        recorded = [e for e in room.house.events() if e.operation == "data.query"]
        assert len(recorded) == 3
        with pytest.raises(BudgetError):
            room.call(room.owner, "data.query", QUESTION)
