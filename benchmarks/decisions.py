"""How long a decision takes: anew, from memory, and among a hundred thousand grants.

Marks: at most 50 µs anew and 2 µs from memory, median; at most twice as slow at 100,000 grants.
"""

import tempfile
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from statistics import median
from time import perf_counter

from sqlalchemy import insert

from strongroom.gate.access.decider import Access
from strongroom.gate.access.grants import Grants
from strongroom.gate.access.roles import WORKSPACE_ROLES
from strongroom.gate.access.tables import GrantRow
from strongroom.gate.access.types import Entity, Principal, PrincipalKind
from strongroom.vault.database import Database

ASKER = Principal(PrincipalKind.PERSON, "usr_3")
ACTIONS = ("readDatasetRows", "readDatasetClear", "readDatasetMasked")


def _median_us(ask: Callable[[Entity, str], object], resources: list[Entity]) -> float:
    """Microseconds of one decision, all actions asked about each resource in turn."""
    times = []
    for resource in resources:
        for action in ACTIONS:
            began = perf_counter()
            ask(resource, action)
            times.append(perf_counter() - began)
    return median(times) * 1e6


def _measure(grants: int) -> tuple[float, float]:
    """Median microseconds anew and from memory, with that many grants in the database."""
    with tempfile.TemporaryDirectory() as folder:
        sealed = Grants(bytes(32))
        database = Database.create_for_tests(Path(folder) / "decisions.db")
        rows = [
            {
                "principal": f"usr_{n}", "workspace": f"w{n % 100}", "granted_by": "",
                "role": WORKSPACE_ROLES[n % 8].id, "granted_at": datetime.now(UTC),
            }
            for n in range(grants)
            if n != 3
        ]  # fmt: skip
        with database.write() as session:
            session.execute(insert(GrantRow), rows)
            sealed.grant(session, ASKER.id, WORKSPACE_ROLES[3], "w3", by="", now=datetime.now(UTC))
        access = Access(database, sealed, cache_seconds=600)
        resources = [Entity("Dataset", f"w3/{n}", "w3") for n in range(1_500)]

        def ask(resource: Entity, action: str) -> object:
            return access.decide(ASKER, action, resource)

        anew, remembered = _median_us(ask, resources), _median_us(ask, resources)
        database.close()
    return anew, remembered


def main() -> None:
    """Print both medians for few and for many grants."""
    for grants in (100, 100_000):
        anew, remembered = _measure(grants)
        print(f"{grants:>7,} grants: {anew:5.1f} µs anew, {remembered:4.2f} µs from memory")


if __name__ == "__main__":
    main()
