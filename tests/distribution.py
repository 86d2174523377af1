"""Which tests share a process where several processes share the work (pytest-xdist).

By default each test goes to whoever is free, so that what a file prepares once is prepared in
every process: a trained model, a started server, the whole of `quickstart`. Here a file stays
together, with those beside it that share something dear; and what takes longest begins first, so
that nobody waits for it at the end.
"""

import os
from typing import Any

import pytest
from xdist.scheduler import LoadScopeScheduling  # type: ignore[import-untyped] # has no types

TOGETHER = {
    "tests/faces/mlflow/": "a mounted MLflow",
    "tests/faces/api/test_house.py": "a house",
    "tests/faces/console/": "a house",
    "tests/journeys/test_bad_tables.py": "a server with people",
    "tests/journeys/test_secrets_nowhere.py": "a server with people",
    "tests/journeys/test_two_at_once.py": "a server with people",
    "tests/journeys/test_wrong_role.py": "a server with people",
}
"""Beginnings of names of tests that share something dear → what they share."""

LONGEST_FIRST = (
    "tests/journeys/test_kills.py",
    "tests/journeys/test_quickstart.py",
    "a server with people",
    "tests/services/models/",
    "tests/services/jobs/",
    "a mounted MLflow",
    "a house",
    "tests/journeys/",
    "tests/faces/",
    "tests/gate/",
    "tests/services/",
    "tests/engines/drift/",
    "tests/engines/scanning/",
)
"""Beginnings of names of units of work."""


class Units(LoadScopeScheduling):  # type: ignore[misc] # its base has no types
    """Hands out files, or several files as one."""

    def _split_scope(self, nodeid: str) -> str:
        """The unit that a test belongs to."""
        for beginning, shared in TOGETHER.items():
            if nodeid.startswith(beginning):
                return shared
        return nodeid.partition("::")[0]

    def _assign_work_unit(self, node: Any) -> None:  # noqa: ANN401 # xdist's own type
        """Give `node` the unit that is likely to take longest."""
        self.workqueue.move_to_end(min(self.workqueue, key=_place), last=False)
        super()._assign_work_unit(node)


def _place(unit: str) -> int:
    """Where a unit stands in the order; of equals, xdist puts that with more tests first."""
    for place, beginning in enumerate(LONGEST_FIRST):
        if unit.startswith(beginning):
            return place
    return len(LONGEST_FIRST)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Three to two cores: a third of the time is spent waiting, for a disk or a browser."""
    return (os.cpu_count() or 1) * 3 // 2 or 1


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Units | None:  # noqa: ANN401 # xdist's own type
    """Distribute by units, unless `--dist` asks for something else."""
    return Units(config, log) if config.getoption("dist") == "load" else None
