"""Spends from one budget until nothing fits; says how often. Run by `test_budget_races.py`.

python -m tests.services.data.racing_spends URL: becomes some processes, says `ready`, and begins at
a line on stdin.
"""

import multiprocessing
import sys
import time
from datetime import UTC, datetime
from multiprocessing.synchronize import Barrier

from strongroom.engines.privacy.dp.accounting import Composition, Cost
from strongroom.errors import BudgetError, BusyError
from strongroom.services.data.budget_document import Terms
from strongroom.services.data.budget_ledger import Account, Budgets
from strongroom.services.data.budget_pricing import NewSpend
from strongroom.vault.database import Database
from strongroom.vault.keys import Keyring
from strongroom.vault.roots import LocalRoot

COST = Cost.laplace(20.0)
BUDGET = Terms(1.0, 1e-6)
RACERS = 2
PAUSE_SECONDS = 0.15
"""After a spend: SQLite gives the next turn to whoever asks, and others may wait for theirs."""


def keyring() -> Keyring:
    """The same in each process."""
    return Keyring(LocalRoot(bytes(32)))


def prepare(database: Database) -> None:
    """Make the budget."""
    keys, now = keyring(), datetime.now(UTC)
    with database.write() as session:
        keys.create_workspace_key(session, "clinic")
        Budgets(keys).create(session, "clinic", "patients", "id", BUDGET, by="usr_1", now=now)


def account(database: Database) -> Account:
    """As a process that has just started sees it."""
    with database.read() as session:
        return Budgets(keyring()).of(session, "clinic", "patients", "id", datetime.now(UTC))


def spend_all(database: Database, budgets: Budgets) -> int:
    """Spend until it is refused; how often it was not."""
    admitted = 0
    while True:
        now = datetime.now(UTC)
        try:
            with database.write() as session:
                found = budgets.of(session, "clinic", "patients", "id", now)
                new = NewSpend(COST, "research", "usr_1", "query", "sha256:00")
                budgets.spend(session, found, new, now)
        except BusyError:
            continue
        except BudgetError:
            return admitted
        admitted += 1
        time.sleep(PAUSE_SECONDS)


def _race(url: str, begin: Barrier, won: "multiprocessing.SimpleQueue[int]") -> None:
    database, budgets = Database.open(url), Budgets(keyring())
    account(database)
    begin.wait()
    won.put(spend_all(database, budgets))


def main(url: str) -> None:
    """Race; says how often each process won."""
    Composition.of(COST).plus(COST).epsilon(BUDGET.delta)  # all is loaded, once
    context = multiprocessing.get_context("fork")
    begin, won = context.Barrier(RACERS + 1), context.SimpleQueue()
    racers = [context.Process(target=_race, args=(url, begin, won)) for _ in range(RACERS)]
    for racer in racers:
        racer.start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    begin.wait()
    for racer in racers:
        racer.join()
    if any(racer.exitcode for racer in racers):
        sys.exit("a racer failed")
    sys.stdout.write(" ".join(str(won.get()) for _ in racers))


if __name__ == "__main__":
    main(sys.argv[1])
