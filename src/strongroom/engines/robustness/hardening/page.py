"""Before and after as one HTML page: no script, nothing loaded, everything escaped."""

import math
from collections.abc import Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from strongroom.engines.robustness.assessment import drawing
from strongroom.engines.robustness.assessment.page import (
    BROKE_OFF,
    CSS,
    content_security_policy,
    shown,
)
from strongroom.engines.robustness.assessment.plan import Plan
from strongroom.engines.robustness.hardening.weighing import (
    Change,
    Cost,
    Effect,
    Turn,
    Weighed,
)
from strongroom.engines.robustness.outcome import Measure

_HERE = Path(__file__).parent
_LINE, _LEFT, _RIGHT, _WIDTH = 26.0, 330.0, 110.0, 900.0
_MOST_DRAWN = 40
_ORDER = (
    Effect.BETTER, Effect.WORSE, Effect.REFIT, Effect.UNBOUNDED, Effect.UNSURE, Effect.OTHER,
)  # fmt: skip
SIGNS = {
    Effect.BETTER: "▲", Effect.WORSE: "▼", Effect.UNSURE: "·", Effect.REFIT: "·",
    Effect.UNBOUNDED: "~", Effect.OTHER: "~", Effect.SAME: "=",
}  # fmt: skip
"""Effect → what stands for it where there is little room; the word is always beside it."""


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(_HERE), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    environment.globals["sign"] = drawing.sign
    return environment


def hardening_page(
    weighed: Sequence[Weighed], plan: Plan, *, model: str, left_out: int = 0, made: str = "",
    remarks: Sequence[str] = (),
) -> str:  # fmt: skip
    """The page.

    Args:
        model: its name, for the title.
        left_out: rows that were left out of the training.
        made: when and by what it was made, in words; the engine has no clock.
        remarks: on the rows of both sides.
    """
    context: dict[str, Any] = {
        "model": model,
        "plan": plan,
        "left_out": left_out,
        "made": made,
        "remarks": remarks,
        "css": Markup(CSS),  # noqa: S704 # our own file
        "policy": content_security_policy(),
        "ways": [_way(one) for one in weighed],
        "matrix": _matrix(weighed),
    }
    return _environment().get_template("page.html").render(context)


def cost_rows(cost: Cost) -> list[tuple[str, str, str, str]]:
    """What a way costs: name, before, after, and what to know of the difference."""
    rows = []
    if cost.accuracy_before is not None and cost.accuracy is not None and cost.gain is not None:
        low, high = cost.gain.low or 0.0, cost.gain.high or 0.0
        sure = "surely better" if low > 0 else "surely worse" if high < 0 else "no sure change"
        rows.append((
            "accuracy", shown(cost.accuracy_before.value, "share"),
            shown(cost.accuracy.value, "share"),
            f"{100 * cost.gain.value:+.2f} points ({100 * low:+.2f} to {100 * high:+.2f}): {sure}",
        ))  # fmt: skip
    for name, before, after in (
        ("calibration error", cost.calibration_before, cost.calibration),
        ("Brier score", cost.brier_before, cost.brier),
    ):
        if before is not None and after is not None:
            rows.append((name, f"{before:.4f}", f"{after:.4f}", "without bounds"))
    if cost.epsilon is not None:
        rows.append(("epsilon", "none", f"{cost.epsilon:g} at delta {cost.delta or 0:g}", "spent"))
    rows.append(("rows asked by the tests", "", f"{cost.queries:,}", ""))
    if cost.seconds:
        rows.append(("processor time of fitting", "", f"{cost.seconds:.1f} s", ""))
    return rows


def told(one: Measure) -> str:
    """A measure with its bounds."""
    if one.low is None or one.high is None:
        return shown(one.value, one.unit)
    low, high = shown(one.low, one.unit), shown(one.high, one.unit)
    return f"{shown(one.value, one.unit)} ({low} to {high})"


def ordered(changes: Sequence[Change]) -> list[Change]:
    """Those that a person should see, what surely changed first."""
    seen = [one for one in changes if one.effect in _ORDER]
    return sorted(seen, key=lambda one: _ORDER.index(one.effect))


def ending(turn: Turn) -> tuple[str, str]:
    """How a test ended, before and after, in words."""
    before, after = (BROKE_OFF if one is None else one.value for one in (turn.before, turn.after))
    return before, after


def _way(one: Weighed) -> dict[str, Any]:
    return {
        "name": one.title,
        "verdict": one.verdict.value,
        "verdict_before": one.verdict_before.value,
        "better": one.count(Effect.BETTER),
        "worse": one.count(Effect.WORSE),
        "unsure": one.count(Effect.UNSURE) + one.count(Effect.REFIT),
        "says": one.says,
        "warns": one.warns,
        "cost": cost_rows(one.cost),
        "turns": [(turn.test, *ending(turn)) for turn in one.turns if turn.before != turn.after],
        "picture": _pairs(ordered(one.changes)),
        "changes": [
            (
                change.test, change.before.name, told(change.before),
                "" if change.control is None else told(change.control), told(change.after),
                SIGNS[change.effect], change.effect.value,
            )
            for change in ordered(one.changes)
        ],
    }  # fmt: skip


def _matrix(weighed: Sequence[Weighed]) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """Measures that some way surely changed, and what each way did to them."""
    by_name = [{(one.test, one.before.name): one for one in way.changes} for way in weighed]
    moved = dict.fromkeys(
        key
        for ways in by_name
        for key, one in ways.items()
        if one.effect in {Effect.BETTER, Effect.WORSE}
    )
    return [
        (test, measure, [_cell(ways.get((test, measure))) for ways in by_name])
        for test, measure in moved
    ]


def _cell(one: Change | None) -> tuple[str, str]:
    if one is None:
        return "", "does not apply"
    return SIGNS[one.effect], f"{one.effect.value}: {shown(one.after.value, one.after.unit)}"


def _pairs(changes: Sequence[Change]) -> Markup | None:
    """Shares before (ring) and after (disc) with their bounds, one line a measure."""
    drawn = [
        one for one in changes
        if one.before.unit == "share"
        and all(math.isfinite(side.value) for side in (one.before, one.after))
    ][:_MOST_DRAWN]  # fmt: skip
    if not drawn:
        return None
    parts = [_pair(place * _LINE + 16, one) for place, one in enumerate(drawn)]
    height = len(drawn) * _LINE + 12
    return Markup(
        '<svg class="picture" viewBox="0 0 {w} {h}" role="img" aria-label="Shares before and '
        'after">{parts}</svg>'
    ).format(w=f"{_WIDTH:g}", h=f"{height:g}", parts=Markup("").join(parts))


def _pair(y: float, one: Change) -> Markup:
    name = f"{one.test}: {one.before.name}"
    return Markup(
        '<g><text class="label end small" x="{tx}" y="{ty}">{name}</text>'
        '<line class="grid" x1="{x0}" y1="{y}" x2="{x1}" y2="{y}"/>'
        '<line class="before" x1="{a}" y1="{up}" x2="{b}" y2="{up}"/>'
        '<circle class="ring" cx="{c}" cy="{up}" r="4"/>'
        '<line class="bounds" x1="{d}" y1="{down}" x2="{e}" y2="{down}"/>'
        '<circle class="dot" cx="{f}" cy="{down}" r="4"/>'
        '<text class="label small" x="{vx}" y="{ty}">{effect}</text></g>'
    ).format(
        tx=f"{_LEFT - 10:g}", ty=f"{y + 4:g}", name=name if len(name) < 52 else f"{name[:50]}…",
        x0=_at(0.0), x1=_at(1.0), y=f"{y:g}", up=f"{y - 4:g}", down=f"{y + 4:g}",
        a=_at(one.before.low, one.before.value), b=_at(one.before.high, one.before.value),
        c=_at(one.before.value), d=_at(one.after.low, one.after.value),
        e=_at(one.after.high, one.after.value), f=_at(one.after.value),
        vx=f"{_WIDTH - _RIGHT + 8:g}", effect=f"{SIGNS[one.effect]} {one.effect.value}"[:20],
    )  # fmt: skip


def _at(value: float | None, otherwise: float = 0.0) -> str:
    share = otherwise if value is None or not math.isfinite(value) else value
    return f"{_LEFT + (_WIDTH - _LEFT - _RIGHT) * min(max(share, 0.0), 1.0):.1f}"
