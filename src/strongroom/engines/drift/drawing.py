"""The pictures of a drift report, as SVG without script or style attributes.

Every function is pure, escapes what it is given, and draws with classes that `page.css` paints.
Colour is never alone: the reference is filled and the current sample is a line, and
a status has a sign.
"""

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

WIDTH = 960
_STATUS_CLASSES = frozenset({"drifted", "moved", "stable", "unknown"})


@dataclass(frozen=True, slots=True)
class Bar:
    """A named number with a status and words beside it."""

    label: str
    value: float
    status: str
    says: str = ""


def sign(status: str) -> Markup:
    """The sign of a status, for a line of text."""
    return Markup('<svg class="sign" viewBox="0 0 16 16" aria-hidden="true">{}</svg>').format(
        mark(status, 8, 8, 6)
    )


def mark(status: str, x: float, y: float, r: float) -> Markup:
    """Triangle: drifted. Diamond: moved. Disc: stable. Ring: unknown."""
    if status in {"drifted", "moved"}:
        corners = (
            [(x, y - r), (x + r, y + r * 0.8), (x - r, y + r * 0.8)]
            if status == "drifted"
            else [(x, y - r), (x + r, y), (x, y + r), (x - r, y)]
        )
        points = " ".join(f"{digits(a)},{digits(b)}" for a, b in corners)
        return Markup('<polygon class="tone {}" points="{}"/>').format(status, points)
    kind = "ring" if status != "stable" else "tone stable"
    return Markup('<circle class="{}" cx="{}" cy="{}" r="{}"/>').format(
        kind, digits(x), digits(y), digits(r - 1)
    )


def distances(bars: Sequence[Bar], threshold: float) -> Markup:
    """A bar a column, its length the distance, with the threshold as a line."""
    line, left, right = 24, 210, 120
    room = WIDTH - left - right
    most = max([threshold * 1.5, *(bar.value for bar in bars)], default=1.0) or 1.0
    parts = []
    for at, bar in enumerate(bars):
        y = at * line
        wide = max(room * min(bar.value / most, 1.0), 1.5)
        parts.append(
            Markup(
                '<g><title>{says}</title><text x="{tx}" y="{ty}" class="label end">{label}</text>'
                '<rect class="rail" x="{left}" y="{ry}" width="{room}" height="14"/>'
                '<rect class="bar {status}" x="{left}" y="{ry}" width="{wide}" height="14"/>{sign}'
                '<text x="{vx}" y="{ty}" class="label">{value:.3f}</text></g>'
            ).format(
                says=bar.says, tx=left - 10, ty=y + 16, label=_cut(bar.label, 26), left=left,
                ry=y + 5, room=room, status=_known(bar.status), wide=digits(wide),
                sign=mark(bar.status, left + room + 18, y + 12, 6), vx=left + room + 34,
                value=bar.value,
            )
        )  # fmt: skip
    high = len(bars) * line
    x = left + room * min(threshold / most, 1.0)
    parts.append(
        Markup(
            '<line class="marker" x1="{x}" y1="0" x2="{x}" y2="{y}"/>'
            '<text x="{x}" y="{t}" class="label soft middle">threshold {value:g}</text>'
        ).format(x=digits(x), y=high, t=high + 16, value=threshold)
    )
    return picture(WIDTH, high + 22, "Distance of each column", parts)


# ---- distributions ----


def densities(
    edges: Sequence[float], reference: Sequence[float], current: Sequence[float],
    ends: tuple[str, str], name: str,
) -> Markup:  # fmt: skip
    """Both samples over one axis: the reference filled, the current one a line.

    Heights are densities along the axis, which is logarithmic where the edges span a factor of a
    thousand. What lies beyond the outermost edges stands in a bar at each end.
    """
    width, high, top, left = 440.0, 130.0, 12.0, 8.0
    cap = 26.0
    places = _places(edges)
    span = max(places[-1] - places[0], 1e-300) if places else 1.0
    room = width - 2 * left - 2 * cap - 8
    xs = [left + cap + 4 + room * (place - places[0]) / span for place in places]
    bins = [(left, left + cap)]
    bins += list(itertools.pairwise(xs))
    bins.append((width - left - cap, width - left))
    if len(bins) != len(reference):  # one edge or none: nothing lies between
        bins = [bins[0], bins[-1]][: len(reference)]
    tall = [
        [share / max(b - a, 0.5) for share, (a, b) in zip(side, bins, strict=True)]
        for side in (reference, current)
    ]
    most = max(*tall[0], *tall[1], 1e-300)
    floor = top + high
    filled, line = (_steps(bins, one, most, high, floor) for one in tall)
    parts = [
        Markup('<path class="before" d="{}Z"/>').format(filled),
        Markup('<path class="now" d="{}"/>').format(line),
        Markup('<line class="axis" x1="{}" y1="{y}" x2="{}" y2="{y}"/>').format(
            digits(left), digits(width - left), y=digits(floor)
        ),
        Markup(
            '<text x="{}" y="{y}" class="label soft small">{}</text>'
            '<text x="{}" y="{y}" class="label soft small end">{}</text>'
        ).format(digits(left), ends[0], digits(width - left), ends[1], y=digits(floor + 15)),
    ]
    return picture(width, floor + 20, f"Distribution of {name}", parts, small=True)


def _places(edges: Sequence[float]) -> list[float]:
    if edges and edges[0] > 0 and edges[-1] / edges[0] > 1_000:
        return [math.log(edge) for edge in edges]
    scale = max((abs(edge) for edge in edges), default=1.0)
    return [edge / scale if scale > 1e150 else edge for edge in edges]


def _steps(
    bins: Sequence[tuple[float, float]], tall: Sequence[float], most: float, high: float,
    floor: float,
) -> str:  # fmt: skip
    """An outline of steps; gaps between bins go down to the floor."""
    words, before = [], -1.0
    for (a, b), height in zip(bins, tall, strict=True):
        y = floor - high * height / most
        if before < 0 or a - before > 0.01:
            start = f"L{digits(before)} {digits(floor)}" if before >= 0 else ""
            words.append(f"{start}{'M' if before < 0 else 'L'}{digits(a)} {digits(floor)}")
        words.append(f"L{digits(a)} {digits(y)}L{digits(b)} {digits(y)}")
        before = b
    words.append(f"L{digits(before)} {digits(floor)}")
    return "".join(words)


def categories(
    labels: Sequence[str], reference: Sequence[float], current: Sequence[float], name: str
) -> Markup:
    """Two bars a category: the reference filled, the current one an outline."""
    line, left, room = 26, 130.0, 250.0
    most = max([*reference, *current, 1e-9])
    parts = []
    for at, (label, before, now) in enumerate(zip(labels, reference, current, strict=True)):
        y = at * line
        parts.append(
            Markup(
                '<g><text x="{tx}" y="{ty}" class="label end small">{label}</text>'
                '<rect class="before" x="{left}" y="{y1}" width="{w1}" height="9"/>'
                '<rect class="now-bar" x="{left}" y="{y2}" width="{w2}" height="9"/>'
                '<text x="{vx}" y="{ty}" class="label soft small">{before:.1f} → {now:.1f} %</text>'
                "</g>"
            ).format(
                tx=left - 8, ty=y + 16, label=_cut(label, 18), left=left, y1=y + 3, y2=y + 13,
                w1=digits(max(room * before / most, 0.5)), w2=digits(max(room * now / most, 0.5)),
                vx=digits(left + room * max(before, now) / most + 6), before=before * 100,
                now=now * 100,
            )
        )  # fmt: skip
    return picture(500, len(labels) * line + 4, f"Shares of {name}", parts, small=True)


# ---- time, prediction, reliability ----


def heat_map(
    windows: Sequence[str], columns: Sequence[str], values: Sequence[Sequence[float | None]],
    drifted: frozenset[tuple[int, int]], threshold: float,
) -> Markup:  # fmt: skip
    """Columns against windows: the darker, the farther; a triangle where a column drifted."""
    left, line = 180.0, 22
    top = 24 + 5.2 * max((len(name) for name in windows), default=10)
    step = min((WIDTH - left - 10) / max(len(windows), 1), 60.0)
    every = max(math.ceil(26 / step), 1)
    parts = []
    for at, name in enumerate(windows):
        if at % every == 0:
            x = left + step * (at + 0.5)
            parts.append(
                Markup(
                    '<text x="{x}" y="{y}" class="label small" transform="rotate(-45 {x} {y})">{t}'
                    "</text>"
                ).format(x=digits(x), y=digits(top - 8), t=name)
            )
    for row, name in enumerate(columns):
        y = top + row * line
        parts.append(
            Markup('<text x="{}" y="{}" class="label end">{}</text>').format(
                digits(left - 10), digits(y + 15), _cut(name, 22)
            )
        )
        for at, window in enumerate(windows):
            value = values[row][at]
            x = left + step * at
            told = "not compared" if value is None else f"{value:.3f}"
            parts.append(
                Markup(
                    '<g class="heat-mark"><title>{name}, {window}: {told}</title>'
                    '<rect class="{cls}" x="{x}" y="{y}" width="{w}" height="{h}" '
                    'fill-opacity="{o}"/>{mark}</g>'
                ).format(
                    name=name, window=window, told=told, cls="none" if value is None else "heat",
                    x=digits(x + 1), y=digits(y + 1), w=digits(step - 2), h=line - 2,
                    o=_n2(_heat(value, threshold)),
                    mark=mark("drifted", x + step / 2, y + line / 2, min(5.0, step / 3))
                    if (row, at) in drifted
                    else "",
                )
            )  # fmt: skip
    return picture(WIDTH, top + len(columns) * line + 4, "Distance by window", parts)


def _heat(value: float | None, threshold: float) -> float:
    """A third as dark at the threshold as at three times it."""
    if value is None:
        return 0.0
    return min(0.04 + 0.96 * max(value, 0.0) / max(3 * threshold, 1e-9), 1.0)


def movers(bars: Sequence[Bar]) -> Markup:
    """What pushed the prediction up, to the right, and down, to the left."""
    line, left, middle = 24, 210, 585.0
    room = 240.0
    most = max((abs(bar.value) for bar in bars), default=1.0) or 1.0
    parts = [
        Markup('<line class="axis" x1="{x}" y1="0" x2="{x}" y2="{y}"/>').format(
            x=digits(middle), y=len(bars) * line
        )
    ]
    for at, bar in enumerate(bars):
        y, wide = at * line, room * abs(bar.value) / most
        up = bar.value >= 0
        x = middle if up else middle - wide
        parts.append(
            Markup(
                '<g><title>{says}</title><text x="{tx}" y="{ty}" class="label end">{label}</text>'
                '<rect class="{cls}" x="{x}" y="{ry}" width="{w}" height="14"/>'
                '<text x="{vx}" y="{ty}" class="label{end}">{value:+.2f}</text></g>'
            ).format(
                says=bar.says, tx=left - 10, ty=y + 16, label=_cut(bar.label, 26),
                cls="now-bar" if up else "before", x=digits(x), ry=y + 5, w=digits(max(wide, 1.0)),
                vx=digits(middle + wide + 8 if up else middle - wide - 8), end="" if up else " end",
                value=bar.value,
            )
        )  # fmt: skip
    return picture(WIDTH, len(bars) * line + 4, "What moved the prediction", parts)


def reliability(
    before: Sequence[tuple[float, float, int]], now: Sequence[tuple[float, float, int]]
) -> Markup:
    """Share that came true against the score; on the diagonal scores are chances."""
    side, left, top = 300.0, 44.0, 12.0

    def place(score: float, share: float) -> str:
        return f"{digits(left + side * score)},{digits(top + side * (1 - share))}"

    parts = [
        Markup('<line class="grid" x1="{}" y1="{y}" x2="{}" y2="{y}"/>'
               '<text x="{}" y="{t}" class="label soft small end">{v:.0%}</text>').format(
            digits(left), digits(left + side), digits(left - 6), y=digits(top + side * (1 - level)),
            t=digits(top + side * (1 - level) + 4), v=level)
        for level in (0.0, 0.5, 1.0)
    ]  # fmt: skip
    parts.append(
        Markup('<line class="marker" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
            digits(left), digits(top + side), digits(left + side), digits(top)
        )
    )
    for groups, cls in ((before, "curve-before"), (now, "curve-now")):
        points = " ".join(place(score, share) for score, share, _ in groups)
        parts.append(Markup('<polyline class="{}" points="{}"/>').format(cls, points))
        parts += [
            Markup('<circle class="{}-dot" cx="{}" cy="{}" r="3.5"/>').format(
                cls, *place(score, share).split(",")
            )
            for score, share, _ in groups
        ]
    parts.append(
        Markup('<text x="{}" y="{}" class="label soft small middle">score</text>').format(
            digits(left + side / 2), digits(top + side + 20)
        )
    )
    return picture(
        left + side + 12, top + side + 26, "Scores and what came true", parts, small=True
    )


# ---- parts ----


def picture(
    width: float, height: float, label: str, parts: Iterable[Markup], *, small: bool = False
) -> Markup:
    """Parts as one picture with a name for those who do not see it."""
    return Markup(
        '<svg class="picture{}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(" half" if small else "", digits(width), digits(height), label, Markup("").join(parts))


def _known(status: str) -> str:
    return status if status in _STATUS_CLASSES else "unknown"


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def digits(number: float) -> str:
    """A place in a picture, to a tenth."""
    return f"{number:.1f}".rstrip("0").rstrip(".")


def _n2(number: float) -> str:
    return f"{number:.2f}"
