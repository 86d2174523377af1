"""The picture of a privacy budget: what was spent of it over time; the table below has the same."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from markupsafe import Markup

from strongroom.engines.privacy.report.drawing import WIDTH
from strongroom.faces.console.pictures import Picture

_LEFT, _TOP, _HIGH = 56.0, 20.0, 170.0
_WIDE = WIDTH - _LEFT - 20
_MAX_POINTS = 2_000
_TWO_DAYS = 2 * 86_400.0


def of_budget(answer: Mapping[str, Any]) -> Picture | None:
    """Steps of what was spent, period by period, under the line of the budget; None without any."""
    spends: Sequence[Mapping[str, Any]] = answer["spends"][::-1][-_MAX_POINTS:]
    if not spends:
        return None
    moments = [_seconds(one["at"]) for one in spends]
    refilled = _seconds(answer["period_began_at"])
    first, last = moments[0], max(moments[-1], moments[0] + 1, refilled)
    top = max(float(answer["epsilon"]), *(float(one["spent"]) for one in spends))

    def place(moment: float, spent: float) -> tuple[float, float]:
        across = (moment - first) / (last - first)
        return _LEFT + _WIDE * across, _TOP + _HIGH * (1 - spent / top)

    # Of many spends the oldest are not shown: then the curve begins where they have left it.
    corners, before = [], 0.0 if spends[0]["number"] == 1 else float(spends[0]["spent"])
    for moment, one in zip(moments, spends, strict=True):
        corners += [place(moment, before), place(moment, float(one["spent"]))]
        before = float(one["spent"])
    if refilled > moments[-1]:
        corners += [place(refilled, before), place(refilled, 0.0)]
    line = " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)
    _, limit = place(first, float(answer["epsilon"]))
    parts = [_gridline(place(first, top * part)[1], f"{top * part:.3g}") for part in (0, 0.5, 1)]
    parts.append(
        Markup(
            '<line class="marker" x1="{left}" y1="{y:.1f}" x2="{right}" y2="{y:.1f}"/>'
            '<text class="label" x="{left}" y="{over:.1f}">budget: epsilon {epsilon:.4g}</text>'
            '<polyline class="curve" points="{line}"/>'
        ).format(
            left=_LEFT, right=WIDTH - 20, y=limit, over=limit - 6,
            epsilon=float(answer["epsilon"]), line=line,
        )
    )  # fmt: skip
    for x, moment, side in ((_LEFT, first, ""), (WIDTH - 20, last, " end")):
        parts.append(
            Markup('<text class="label soft{}" x="{}" y="{}">{}</text>').format(
                side, x, _TOP + _HIGH + 18, _said(moment, last - first)
            )
        )
    spent = "more" if answer["spent"] is None else f"{answer['spent']:.4g}"
    said = f"{len(spends):,} spends; {spent} of epsilon {answer['epsilon']:.4g} spent"
    svg = Markup(
        '<svg class="picture" viewBox="0 0 {} {}" role="img" aria-label="Privacy budget over time: '
        '{}">{}</svg>'
    ).format(WIDTH, _TOP + _HIGH + 28, said, Markup("").join(parts))
    caption = (
        "Epsilon spent over time, all spends of a period together. The dashed line is the budget; "
        "the table of spends holds the same figures."
    )
    return Picture(svg, caption)


def _seconds(moment: str) -> float:
    return datetime.fromisoformat(moment).timestamp()


def _said(moment: float, length: float) -> str:
    """A day, with the time where the whole picture is of a day or two."""
    form = "%Y-%m-%d" if length > _TWO_DAYS else "%Y-%m-%d %H:%M UTC"
    return f"{datetime.fromtimestamp(moment, UTC):{form}}"


def _gridline(y: float, label: str) -> Markup:
    return Markup(
        '<line class="grid" x1="{}" y1="{:.1f}" x2="{}" y2="{:.1f}"/>'
        '<text class="label soft end" x="{}" y="{:.1f}">{}</text>'
    ).format(_LEFT, y, WIDTH - 20, y, _LEFT - 8, y + 4, label)
