"""A report as one HTML page: no script, nothing loaded, everything escaped."""

import hashlib
import json
import math
from base64 import b64encode
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from strongroom.engines.robustness.assessment import drawing, pictures
from strongroom.engines.robustness.assessment.document import (
    STATUS_WORDS,
    VERDICT_WORDS,
    ran_json,
)
from strongroom.engines.robustness.assessment.plan import Plan
from strongroom.engines.robustness.assessment.running import Ran, Report
from strongroom.engines.robustness.outcome import Gate, Measure, Status

THREATS = {
    1: "Poisoned data",
    2: "What answers tell: membership, inversion, extraction",
    3: "Evasion",
    4: "Privilege",
    5: "Denial of service",
    6: "Leakage",
}
"""Number of a threat → its title."""
BROKE_OFF = "broke off"
_MOST_LISTED = 40_000
_HERE = Path(__file__).parent
CSS = "\n" + (_HERE / "page.css").read_text(encoding="utf-8")
"""The style sheet of reports; every page has the same."""


def content_security_policy(*, has_pictures: bool = False) -> str:
    """The page's own policy: its one style sheet by its hash, and nothing else.

    Args:
        has_pictures: that lie in the page itself.
    """
    digest = b64encode(hashlib.sha256(CSS.encode()).digest()).decode()
    images = "img-src data:; " if has_pictures else ""
    style = f"style-src 'sha256-{digest}'"
    return f"default-src 'none'; {images}{style}; base-uri 'none'; form-action 'none'"


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.globals["sign"] = drawing.sign
    return environment


def report_page(report: Report, *, model: str, made: str = "") -> str:
    """The page.

    Args:
        model: its name, for the title.
        made: when and by what it was made, in words; the engine has no clock.
    """
    words = [(one.value, STATUS_WORDS[one]) for one in Status] + [(BROKE_OFF, STATUS_WORDS[None])]
    statuses = [_status(one) for one in report.ran]
    context: dict[str, Any] = {
        "report": report,
        "model": model,
        "made": made,
        "css": Markup(CSS),  # noqa: S704 # our own file
        "policy": content_security_policy(has_pictures=plan_shows(report.plan)),
        "shows_values": plan_shows(report.plan),
        "verdict_says": VERDICT_WORDS[report.verdict],
        "counts": [
            (status, statuses.count(status), says) for status, says in words if status in statuses
        ],
        "threats": [
            {
                "title": title,
                "tests": [_test(one, report.plan) for one in report.ran if one.threat == number],
            }
            for number, title in THREATS.items()
            if any(one.threat == number for one in report.ran)
        ],
    }
    return _environment().get_template("page.html").render(context)


def _status(ran: Ran) -> str:
    return BROKE_OFF if ran.status is None else ran.status.value


def plan_shows(plan: Plan) -> bool:
    """Whether the plan asks for pictures, which are values of rows."""
    return plan.images is not None and plan.images.shown > 0


def _test(ran: Ran, plan: Plan) -> dict[str, Any]:
    outcome = ran.outcome
    if outcome is None:
        words: tuple[str, ...] = (ran.broke,)
    else:
        words = (outcome.reason, *outcome.words) if outcome.reason else outcome.words
    listed = ran_json(ran)["outcome"]["listed"] if outcome is not None and outcome.listed else None
    drawn = (listed or {}).pop("pictures", [])
    by_axes: dict[tuple[str, str], list[Any]] = {}
    for curve in outcome.curves if outcome else ():
        by_axes.setdefault((curve.x, curve.y), []).append(curve)
    return {
        "ran": ran,
        "status": _status(ran),
        "says": STATUS_WORDS[ran.status],
        "words": words,
        "atlas": outcome.atlas if outcome else (),
        "queries": outcome.queries if outcome else 0,
        "canary": outcome.canary if outcome else None,
        "shares": drawing.shares(outcome.measures, ran.gates) if outcome else None,
        "curves": [
            picture
            for (x, y), ones in by_axes.items()
            if (picture := drawing.curves(ones, f"{y} by {x}")) is not None
        ],
        "measures": [_measure(one, ran.gates) for one in outcome.measures] if outcome else [],
        "images": (
            pictures.shown(drawn, plan.images.shape) if plan.images and plan_shows(plan) else []
        ),
        "listed": json.dumps(listed, indent=1, ensure_ascii=False)[:_MOST_LISTED] if listed else "",
    }


def _measure(one: Measure, gates: tuple[Gate, ...]) -> dict[str, str]:
    bounds = ""
    if one.low is not None and one.high is not None:
        bounds = f"{shown(one.low, one.unit)} to {shown(one.high, one.unit)}"
    told = [
        f"{gate.side} {shown(gate.bound, one.unit)}"
        f"{' at its worse bound' if gate.judged == 'worst' else ''}"
        f": {'kept' if gate.holds(one) else 'not kept'}"
        for gate in gates
        if gate.measure == one.name
    ]
    return {
        "name": one.name, "value": shown(one.value, one.unit), "bounds": bounds,
        "gate": "; ".join(told),
    }  # fmt: skip


def shown(value: float, unit: str) -> str:
    """A number with its unit, for people."""
    if not math.isfinite(value):
        return {"inf": "without end", "-inf": "none"}.get(str(value), "unknown")
    if unit == "share":
        return f"{100 * value:.2f} %"
    number = f"{value:,.0f}" if float(value).is_integer() and abs(value) < 1e15 else f"{value:.4g}"
    return f"{number} {unit}".strip()
