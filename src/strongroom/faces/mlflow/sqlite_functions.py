"""Functions that MLflow's queries call on SQLite, which has none of these names.

MLflow gives them to each connection that it opens itself; it opens none here.
"""

import math
from typing import Any

import re2
from sqlalchemy import Connection

_GIVEN = "strongroom_mlflow_functions"
_OPTIONS = re2.Options()
_OPTIONS.log_errors = False


def give(connection: Connection) -> None:
    """Let a connection to SQLite have them, from now on."""
    if _GIVEN not in connection.info:
        raw: Any = connection.connection.dbapi_connection
        raw.create_function("regexp", 2, _matches, deterministic=True)
        raw.create_aggregate("percentile", 2, _Percentile)
        connection.info[_GIVEN] = True


def _matches(pattern: str | None, text: str | None) -> bool:
    """Whether the pattern is found in the text. A caller wrote it: RE2 takes linear time."""
    if pattern is None or text is None:
        return False
    try:
        return re2.search(pattern, text, _OPTIONS) is not None
    except re2.error:
        return False


class _Percentile:
    """PERCENTILE_CONT of SQL:2008, 10.9: linear between the two nearest values."""

    def __init__(self) -> None:
        self._values: list[float] = []
        self._fraction = math.nan

    def step(self, value: float | None, percent: float | None) -> None:
        """One row; `percent` is the same for all, in [0, 100]. SQLite makes NULL of NaN."""
        self._fraction = math.nan if percent is None else percent / 100
        if value is not None:
            self._values.append(float(value))

    def finalize(self) -> float | None:
        """None where there were no values, or no such percentile."""
        if not self._values or not 0 <= self._fraction <= 1:
            return None
        self._values.sort()
        place = self._fraction * (len(self._values) - 1)
        below = int(place)
        above = min(below + 1, len(self._values) - 1)
        low, high = self._values[below], self._values[above]
        return low + (place - below) * (high - low)
