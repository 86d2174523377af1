"""A report as one HTML page: no script, nothing loaded, everything escaped."""

import hashlib
import math
from base64 import b64encode
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from strongroom.engines.drift import drawing, drawing_time, model_wording, wording
from strongroom.engines.drift.comparison import MAIN
from strongroom.engines.drift.drawing import Bar
from strongroom.engines.drift.findings import ColumnDrift, ModelReport, Report, Series, Status
from strongroom.engines.drift.multiclass import ClassPerformance
from strongroom.engines.drift.plan import Kind
from strongroom.engines.drift.scores import METRICS, Performance

MAX_ROWS = 1_000
MAX_BARS, MAX_CARDS, MAX_HEAT_ROWS, MAX_WINDOWS = 40, 24, 40, 120
MAX_CATEGORIES, MAX_MOVERS, MAX_SLICES, MAX_IMPORTANCES = 12, 15, 40, 20
_ORDER = list(Status)
_HERE = Path(__file__).parent
_CSS = "\n" + (_HERE / "page.css").read_text(encoding="utf-8")


def content_security_policy() -> str:
    """The page's own policy: its one style sheet by its hash, and nothing else."""
    digest = b64encode(hashlib.sha256(_CSS.encode()).digest()).decode()
    return f"default-src 'none'; style-src 'sha256-{digest}'; base-uri 'none'; form-action 'none'"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.filters.update(
        sign=drawing.sign,
        name=lambda text: wording.clean(text, 2 * wording.MAX_NAME),
        metric=model_wording.METRIC_TITLES.__getitem__,
    )
    return environment


def report_page(report: Report, *, made: str = "") -> str:
    """The page.

    Args:
        made: when and by what it was made, in words; the engine has no clock.
    """
    ordered = sorted(
        report.columns, key=lambda one: (_ORDER.index(one.status), -(one.measure(MAIN) or 0.0))
    )
    changed = [one for one in ordered if one.status in {Status.DRIFTED, Status.MOVED}]
    measured = [one for one in ordered if one.measure(MAIN) is not None]
    statuses = [one.status for one in report.columns]
    context: dict[str, Any] = {
        "report": report,
        "made": made,
        "css": Markup(_CSS),  # noqa: S704 # our own file
        "policy": content_security_policy(),
        "power": wording.power_says(report),
        "counts": [(s.value, wording.STATUS_WORDS[s], statuses.count(s)) for s in Status],
        "overview": _overview(report, measured),
        "more_bars": max(len(measured) - MAX_BARS, 0),
        "cards": [_card(one) for one in changed[:MAX_CARDS] if one.distribution is not None],
        "more_cards": max(len(changed) - MAX_CARDS, 0),
        "movers": _movers(report),
        "movers_say": wording.movers_say(report.movers) if report.movers else "",
        "heat": _heat(report, ordered),
        "window_says": wording.window_says,
        "series": [_series(one) for one in report.series],
        "importances": _importances(report),
        "titles": ["Jensen-Shannon", "Wasserstein", "PSI", "Hellinger", "KS"],
        "rows": [_row(one) for one in ordered[:MAX_ROWS]],
        "more_columns": max(len(ordered) - MAX_ROWS, 0),
        **_model(report.model),
    }
    return _environment().get_template("page.html").render(context)


def _overview(report: Report, measured: list[ColumnDrift]) -> Markup | None:
    if not measured:
        return None
    far = sorted(measured, key=lambda one: -(one.measure(MAIN) or 0.0))[:MAX_BARS]
    return drawing.distances(
        [Bar(_name(one), one.measure(MAIN) or 0.0, one.status.value, one.says) for one in far],
        report.thresholds.jensen_shannon,
    )


def _name(found: ColumnDrift) -> str:
    return wording.named(found)


def _card(found: ColumnDrift) -> dict[str, Any]:
    return {
        "name": _name(found), "status": found.status.value, "says": found.says,
        "picture": _distribution(found),
    }  # fmt: skip


def _distribution(found: ColumnDrift) -> Markup:
    shown = found.distribution
    if shown is None:
        return Markup("")
    name = wording.clean(found.name)
    if not shown.edges:
        largest = sorted(
            range(len(shown.labels)), key=lambda at: -max(shown.reference[at], shown.current[at])
        )[:MAX_CATEGORIES]
        labels = [wording.clean(shown.labels[at]) for at in largest]
        return drawing.categories(
            labels, [shown.reference[at] for at in largest],
            [shown.current[at] for at in largest], name,
        )  # fmt: skip
    write = wording.moment if found.kind is Kind.TIME else wording.number
    ends = f"< {write(shown.edges[0])}", f"≥ {write(shown.edges[-1])}"
    return drawing.densities(shown.edges, shown.reference, shown.current, ends, name)


def _movers(report: Report) -> Markup | None:
    bars = [
        Bar(wording.clean(one.name), one.share, "moved",
            f"moved by {one.moved:+.2f} standard deviations, weight {one.weight:+.2f}")
        for one in report.movers[:MAX_MOVERS]
    ]  # fmt: skip
    return drawing.movers(bars) if bars else None


def _heat(report: Report, ordered: list[ColumnDrift]) -> Markup | None:
    windows = report.windows[-MAX_WINDOWS:]
    names = [one.name for one in ordered if one.kind is not Kind.TIME][:MAX_HEAT_ROWS]
    if not windows or not names:
        return None
    values = [[window.distances.get(name) for window in windows] for name in names]
    drifted = frozenset(
        (row, at)
        for row, name in enumerate(names)
        for at, window in enumerate(windows)
        if name in window.drifted
    )
    shown = [wording.clean(name) for name in names]
    titles = [wording.clean(window.name) for window in windows]
    return drawing.heat_map(titles, shown, values, drifted, report.thresholds.jensen_shannon)


def _series(found: Series) -> dict[str, Any]:
    changes = [
        [wording.moment(one.began), wording.moment(one.noticed), " and ".join(one.detectors),
         *(wording.NOTHING if mean is None else wording.number(mean)
           for mean in (one.before, one.after))]
        for one in found.changes
    ]  # fmt: skip
    name = wording.clean(found.name)
    picture = drawing_time.levels(found, name) if found.levels else None
    return {"name": name, "says": found.says, "picture": picture, "changes": changes}


def _importances(report: Report) -> Markup | None:
    if report.attribution is None:
        return None
    shown = report.attribution.importances[:MAX_IMPORTANCES]
    return drawing.categories(
        [wording.clean(name) for name, _, _ in shown], [one[1] for one in shown],
        [one[2] for one in shown], "importances",
    )  # fmt: skip


def _row(found: ColumnDrift) -> dict[str, Any]:
    values = [found.measure(name) for name in wording.MEASURE_TITLES]
    return {
        "name": _name(found),
        "status": found.status.value,
        "distances": [wording.NOTHING if value is None else f"{value:.3f}" for value in values],
        "q": wording.NOTHING
        if not found.test
        else "<0.001"
        if found.q_value < 0.001
        else f"{found.q_value:.2g}",
        "says": found.says,
    }


def _metric(found: Performance | None, name: str) -> str:
    value = math.nan if found is None else getattr(found, name)
    return wording.NOTHING if math.isnan(value) else f"{value:.3f}"


def _class(found: ClassPerformance) -> list[str]:
    expected = None if found.estimate is None else found.estimate.performance
    sides = (found.reference, found.current, expected)
    shown = (_metric(one, name) for name in ("precision", "recall", "f1") for one in sides)
    return [found.name, *shown]


def _model(model: ModelReport | None) -> dict[str, Any]:
    told = list(model_wording.model_says(model))
    if model is None:
        return {
            "model_says": told, "metrics": [], "classes": [], "reliability": None, "slices": [],
        }  # fmt: skip
    expected = model.estimate.performance if model.estimate is not None else None
    sides = (model.reference, model.current, expected)
    metrics = [
        [model_wording.METRIC_TITLES[name], *(_metric(one, name) for one in sides)]
        for name in METRICS
        if any(one is not None for one in sides)
    ]
    before, now = (() if one is None else one.groups for one in model.reliability)
    return {
        "model_says": told,
        "metrics": metrics,
        "classes": [] if model.classes is None else [_class(one) for one in model.classes.classes],
        "reliability": drawing.reliability(before, now) if before or now else None,
        "slices": model.slices[:MAX_SLICES],
    }
