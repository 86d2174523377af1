"""The pictures of an assessment, as SVG without script or style attributes.

Every function is pure, escapes what it is given, and draws with classes that `page.css` paints.
Colour is never alone: a status has a sign, a gate a dashed line with its number.
"""

import math
from collections.abc import Iterable, Sequence

from markupsafe import Markup

from strongroom.engines.robustness.outcome import Curve, Gate, Measure

_WIDTH, _HEIGHT = 480.0, 240.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 52.0, 14.0, 14.0, 40.0
_MOST_CURVES = 6
_DECADES = 1.5
"""An axis is logarithmic where its values span so many powers of ten."""


def sign(status: str) -> Markup:
    """The sign of a status: disc, triangle, cross, ring."""
    shapes = {
        "passed": '<circle class="tone passed" cx="8" cy="8" r="5"/>',
        "failed": '<polygon class="tone failed" points="8,2 14,13 2,13"/>',
        "invalid": '<path class="cross" d="M3 3L13 13M13 3L3 13"/>',
    }
    shape = Markup(shapes.get(status, '<circle class="ring" cx="8" cy="8" r="5"/>'))  # noqa: S704 # our own
    return Markup('<svg class="sign" viewBox="0 0 16 16" aria-hidden="true">{}</svg>').format(shape)


def shares(measures: Sequence[Measure], gates: Sequence[Gate]) -> Markup | None:
    """Measures that are shares, each with its bounds and the line of its gate; None for none."""
    chosen = [one for one in measures if one.unit == "share" and math.isfinite(one.value)]
    if not chosen:
        return None
    line, left, right = 26, 250.0, 90.0
    width = 860.0
    room = width - left - right
    low = min([0.0, *(_least(one) for one in chosen)])
    high = max([1.0, *(_most(one) for one in chosen)])

    def at(value: float) -> str:
        return _n(left + room * (min(max(value, low), high) - low) / (high - low))

    parts = []
    for place, one in enumerate(chosen):
        y = place * line + 14
        parts.append(
            Markup(
                '<g><text class="label end" x="{tx}" y="{ty}">{name}</text>'
                '<line class="grid" x1="{x0}" y1="{y}" x2="{x1}" y2="{y}"/>'
                '<line class="bounds" x1="{a}" y1="{y}" x2="{b}" y2="{y}"/>'
                '<circle class="dot" cx="{x}" cy="{y}" r="5"/>'
                '<text class="label" x="{vx}" y="{ty}">{value}</text>{gates}</g>'
            ).format(
                tx=_n(left - 12), ty=_n(y + 4), name=_cut(one.name, 34), y=_n(y), x0=at(low),
                x1=at(high), a=at(_least(one)), b=at(_most(one)), x=at(one.value),
                vx=_n(width - right + 10), value=f"{one.value:.3f}",
                gates=Markup("").join(
                    Markup('<line class="gate" x1="{x}" y1="{a}" x2="{x}" y2="{b}"/>').format(
                        x=at(gate.bound), a=_n(y - 11), b=_n(y + 11)
                    )
                    for gate in gates if gate.measure == one.name
                ),
            )
        )  # fmt: skip
    return _picture(width, len(chosen) * line + 4, "Measures with their 95 % bounds", parts)


def curves(drawn: Sequence[Curve], name: str) -> Markup | None:
    """Curves over one pair of axes, each with its band; None where there is nothing to draw."""
    chosen = [_finite(one) for one in drawn[:_MOST_CURVES]]
    chosen = [one for one in chosen if len(one.points) > 1]
    if not chosen:
        return None
    xs = [point[0] for one in chosen for point in one.points]
    ys = [value for one in chosen for point in one.points for value in point[1:]]
    is_log = min(xs) > 0 and math.log10(max(xs) / min(xs)) > _DECADES
    x0, x1 = _placed(min(xs), is_log=is_log), _placed(max(xs), is_log=is_log)
    y0, y1 = min([0.0, *ys]), max([1.0 if max(ys) <= 1 else max(ys), *ys])

    def at(x: float, y: float) -> str:
        along = (_placed(x, is_log=is_log) - x0) / ((x1 - x0) or 1.0)
        up = (y - y0) / ((y1 - y0) or 1.0)
        across = _LEFT + along * (_WIDTH - _LEFT - _RIGHT)
        return f"{_n(across)},{_n(_TOP + (1 - up) * (_HEIGHT - _TOP - _BOTTOM))}"

    parts = [_axes(chosen[0], (min(xs), max(xs)), (y0, y1))]
    for place, one in enumerate(chosen):
        band = [at(x, high) for x, _, _, high in one.points]
        band += [at(x, low) for x, _, low, _ in reversed(one.points)]
        line = [at(x, y) for x, y, _, _ in one.points]
        parts.append(
            Markup(
                '<polygon class="band c{n}" points="{band}"/>'
                '<polyline class="curve c{n}" points="{line}"/>'
                '<text class="label small c{n}" x="{x}" y="{y}">{name}</text>'
            ).format(
                n=place, band=" ".join(band), line=" ".join(line), x=_n(_LEFT + 8),
                y=_n(_TOP + 14 * (place + 1)), name=f"{_MARKS[place]} {_cut(one.name, 40)}",
            )
        )  # fmt: skip
    return _picture(_WIDTH, _HEIGHT, name, parts, small=True)


_MARKS = "─┄┈━┅┉"
"""How the line of each curve is drawn, for those who see no colours."""


def _axes(curve: Curve, xs: tuple[float, float], ys: tuple[float, float]) -> Markup:
    floor, right = _HEIGHT - _BOTTOM, _WIDTH - _RIGHT
    return Markup(
        '<line class="axis" x1="{l}" y1="{f}" x2="{r}" y2="{f}"/>'
        '<line class="axis" x1="{l}" y1="{t}" x2="{l}" y2="{f}"/>'
        '<text class="label soft small end" x="{yl}" y="{ty}">{y1:.3g}</text>'
        '<text class="label soft small end" x="{yl}" y="{f}">{y0:.3g}</text>'
        '<text class="label soft small" x="{l}" y="{b}">{x0:.3g}</text>'
        '<text class="label soft small end" x="{r}" y="{b}">{x1:.3g}</text>'
        '<text class="label soft small middle" x="{m}" y="{b}">{x}; up: {y}</text>'
    ).format(
        l=_n(_LEFT), r=_n(right), t=_n(_TOP), f=_n(floor), yl=_n(_LEFT - 6), ty=_n(_TOP + 8),
        b=_n(floor + 18), m=_n((_LEFT + right) / 2), x0=xs[0], x1=xs[1], y0=ys[0], y1=ys[1],
        x=_cut(curve.x, 24), y=_cut(curve.y, 24),
    )  # fmt: skip


def _finite(curve: Curve) -> Curve:
    points = tuple(one for one in curve.points if all(map(math.isfinite, one)))
    return Curve(curve.name, curve.x, curve.y, points)


def _placed(value: float, *, is_log: bool) -> float:
    return math.log10(value) if is_log else value


def _least(one: Measure) -> float:
    return one.value if one.low is None or not math.isfinite(one.low) else one.low


def _most(one: Measure) -> float:
    return one.value if one.high is None or not math.isfinite(one.high) else one.high


def _picture(
    width: float, height: float, label: str, parts: Iterable[Markup], *, small: bool = False
) -> Markup:
    return Markup(
        '<svg class="picture{}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(" half" if small else "", _n(width), _n(height), label, Markup("").join(parts))


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _n(number: float) -> str:
    return f"{number:.1f}".rstrip("0").rstrip(".")
