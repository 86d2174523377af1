"""Asks a question and dies by SIGKILL, at each of some moments; run by `test_budget_races.py`.

python -m tests.services.data.killed_asking FOLDER: one process after the other asks and dies; what
signal ended it and how many spends there are then is said, a line each.
"""

import os
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path

from tests.services.data.budgetroom import CSV, set_budget
from tests.services.data.dataroom import DataRoom, dataroom
from tests.services.data.killed_adding import die, dying

from strongroom.engines.privacy.dp.accounting import Composition, Cost
from strongroom.engines.privacy.dp.mechanisms import warm_up
from strongroom.engines.privacy.dp.sql import parse_sql
from strongroom.gate.audit.log import AuditLog
from strongroom.services.data import query_operations
from strongroom.services.data.budget_ledger import Budgets
from strongroom.services.data.query_types import QueryDataset


def _die_instead(name: str) -> None:
    setattr(query_operations, name, die)


MOMENTS: dict[str, Callable[[], None]] = {
    "spend written, not committed": lambda: dying(Budgets, "spend", before=False),
    "recorded, not committed": lambda: dying(AuditLog, "append", before=False),
    "committed, no row read": lambda: _die_instead("read_table"),
    "rows read, no noise drawn": lambda: _die_instead("run"),
    "answered, nothing sent": lambda: _die_instead("_shown"),
}
QUESTION = QueryDataset(
    workspace="clinic", name="patients", sql="SELECT COUNT(*) FROM data", epsilon=0.7,
    purpose="research",
)  # fmt: skip
BUDGET = 2.5
"""Three of them fit, and no fourth."""


def prepare(room: DataRoom) -> None:
    """A dataset and its budget."""
    room.add(CSV, subject_column="patient")
    set_budget(room, room.owner, BUDGET)


def _ask(folder: Path, number: int, break_it: Callable[[], None]) -> None:
    """Ask until death."""
    with dataroom(folder, owner=f"omar{number}") as room:
        break_it()
        room.call(room.owner, "data.query", QUESTION)


def main(folder: Path) -> None:
    """One death after the other."""
    warm_up()  # what all of them need is loaded once
    parse_sql(QUESTION.sql)
    Composition.of(Cost.pure(0.7)).epsilon(1e-6)
    for number, break_it in enumerate(MOMENTS.values()):
        child = os.fork()
        if child == 0:
            _ask(folder, number, break_it)
            os._exit(1)
        _, status = os.waitpid(child, 0)
        with sqlite3.connect(folder / "data.db") as database:
            (spends,) = database.execute("SELECT COUNT(*) FROM privacy_spends").fetchone()
        sys.stdout.write(f"{os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0} {spends}\n")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
