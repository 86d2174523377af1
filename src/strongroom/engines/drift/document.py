"""A report as JSON: names of columns, edges, shares and distances, never a row."""

import math
from dataclasses import is_dataclass
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
        model = _plain(report.model)
        for name in ("reliability", "errors"):
            model[name] = dict(zip(("reference", "current"), model[name], strict=True))
    found = _plain({
        "format": FORMAT,
        "verdict": report.says,
        "rows": {"reference": report.rows[0], "current": report.rows[1]},
        "summary": {status.value: statuses.count(status) for status in Status},
        "detectable_shift": report.detectable,
        "thresholds": report.thresholds,
        "columns": [_column(one) for one in report.columns],
        "together": report.together,
        "together_says": report.together_says,
        "classifier": report.classifier,
        "moved_the_prediction": report.movers,
        "windows": report.windows,
        "model": model,
        "attribution": report.attribution,
        "over_time": report.series,
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
        "label": found.is_label,
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
        "distribution": found.distribution,
    }  # fmt: skip


def _plain(value: Any) -> Any:  # noqa: ANN401 # JSON
    """The same as objects and lists, and null for what JSON has no number for."""
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(one) for one in value]
    if is_dataclass(value):
        return {name: _plain(getattr(value, name)) for name in value.__dataclass_fields__}
    return value
