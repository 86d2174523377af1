"""A report as JSON: names of columns, edges, shares and distances, never a row."""

import math
from dataclasses import asdict
from typing import Any

from strongroom.engines.drift import wording
from strongroom.engines.drift.findings import ColumnDrift, Report, Status

FORMAT = 1
"""Grows when the document changes in a way that readers notice."""


def report_json(report: Report) -> dict[str, Any]:
    """The whole report; what is not a number is null."""
    statuses = [one.status for one in report.columns]
    model = None
    if report.model is not None:
        model = asdict(report.model)
        for name in ("reliability", "errors"):
            model[name] = dict(zip(("reference", "current"), model[name], strict=True))
    found = _plain({
        "format": FORMAT,
        "verdict": report.says,
        "rows": {"reference": report.rows[0], "current": report.rows[1]},
        "summary": {status.value: statuses.count(status) for status in Status},
        "detectable_shift": report.detectable,
        "thresholds": asdict(report.thresholds),
        "columns": [_column(one) for one in report.columns],
        "together": None if report.together is None else asdict(report.together),
        "together_says": report.together_says,
        "classifier": report.classifier,
        "moved_the_prediction": [asdict(one) for one in report.movers],
        "windows": [asdict(one) for one in report.windows],
        "model": model,
        "attribution": None if report.attribution is None else asdict(report.attribution),
        "over_time": [asdict(one) for one in report.series],
        "remarks": list(report.remarks),
        "notes": list(report.notes),
    })  # fmt: skip
    assert isinstance(found, dict)  # noqa: S101 # for the type checker
    return found


def _column(found: ColumnDrift) -> dict[str, Any]:
    return {
        "column": wording.clean(found.name, 256),
        "kind": found.kind.value,
        "status": found.status.value,
        "prediction": found.is_prediction,
        "says": found.says,
        "values": {"reference": found.values[0], "current": found.values[1]},
        "test": found.test,
        "p_value": found.p_value if found.test else None,
        "q_value": found.q_value if found.test else None,
        "measures": {
            one.name: {"value": one.value, "threshold": one.threshold, "exceeds": one.exceeds}
            for one in found.measures
        },
        "quality": {
            one.what: {"reference": one.reference, "current": one.current, "q_value": one.q_value,
                       "exceeds": one.exceeds}
            for one in found.quality
        },
        "frequent_new": [{"value": name, "at_most": count} for name, count in found.frequent_new],
        "distribution": None if found.distribution is None else asdict(found.distribution),
    }  # fmt: skip


def _plain(value: Any) -> Any:  # noqa: ANN401 # JSON
    """The same with lists for tuples, and null for what JSON has no number for."""
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value
