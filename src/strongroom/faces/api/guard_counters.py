"""What the guards of endpoints have counted, as /metrics shows it.

Endpoints are named, callers never: whom a guard flagged is for those who may see its endpoint.
"""

from collections.abc import Callable, Iterable, Mapping

from prometheus_client.core import CounterMetricFamily, Metric
from prometheus_client.registry import Collector

from strongroom.engines.robustness.guards.guard import DETECTORS
from strongroom.services.endpoints.guarding import Tally

_PLACE = ["workspace", "endpoint"]


class GuardCounters(Collector):
    """Read when somebody asks: nothing is counted twice."""

    def __init__(self, tallies: Callable[[], Mapping[tuple[str, str], Tally]]) -> None:
        """`tallies` gives workspace and endpoint, and what was counted there."""
        self._tallies = tallies

    def collect(self) -> Iterable[Metric]:
        """Four families, of all endpoints that have been live."""
        rows = CounterMetricFamily(
            "strongroom_guard_rows", "Rows that a guard looked at.", labels=_PLACE
        )
        flagged = CounterMetricFamily(
            "strongroom_guard_flagged_rows", "Rows that a guard found odd.",
            labels=[*_PLACE, "detector"],
        )  # fmt: skip
        refused = CounterMetricFamily(
            "strongroom_guard_refused_requests", "Requests that a guard refused.", labels=_PLACE
        )
        alarms = CounterMetricFamily(
            "strongroom_guard_alarms", "Alarms that callers raised.", labels=_PLACE
        )
        for place, tally in self._tallies().items():
            rows.add_metric(place, tally.rows)
            refused.add_metric(place, tally.refused)
            alarms.add_metric(place, tally.alarms)
            for detector in DETECTORS:
                flagged.add_metric([*place, detector], tally.flags[detector])
        return [rows, flagged, refused, alarms]
