"""The picture of a series over time, as SVG; see `drawing.py` for how pictures are made."""

from markupsafe import Markup

from strongroom.engines.drift import drawing
from strongroom.engines.drift.findings import Series
from strongroom.engines.drift.wording import moment, number

_LEFT, _TOP, _HIGH = 90.0, 18.0, 170.0


def levels(series: Series, name: str) -> Markup:
    """Its level over time, and where a new one begins."""
    begin, end = series.levels[0][0], series.levels[-1][0]
    means = [mean for _, mean in series.levels]
    low, high = min(means), max(means)
    room = drawing.WIDTH - _LEFT - 20
    # Halves, for the width of a range of floats may be none.
    tall = max(high / 2 - low / 2, 1e-300)

    def across(seconds: float) -> float:
        share = (seconds - begin) / (end - begin) if end > begin else 0.0
        return _LEFT + room * min(max(share, 0.0), 1.0)

    def up(mean: float) -> float:
        return _TOP + _HIGH * (1 - (mean / 2 - low / 2) / tall)

    floor = _TOP + _HIGH
    parts = [
        Markup('<line class="axis" x1="{}" y1="{y}" x2="{}" y2="{y}"/>').format(
            drawing.digits(_LEFT), drawing.digits(_LEFT + room), y=drawing.digits(floor)
        )
    ]
    parts += [
        Markup('<text x="{}" y="{}" class="label soft small end">{}</text>').format(
            drawing.digits(_LEFT - 8), drawing.digits(up(mean) + 4), number(mean)
        )
        for mean in sorted({low, high})
    ]
    points = " ".join(
        f"{drawing.digits(across(at))},{drawing.digits(up(mean))}" for at, mean in series.levels
    )
    parts.append(Markup('<polyline class="level" points="{}"/>').format(points))
    for one in series.changes:
        x = across(one.began)
        parts.append(
            Markup(
                '<g><title>{says}</title><line class="began" x1="{x}" y1="{t}" x2="{x}" y2="{b}"/>'
                "{sign}</g>"
            ).format(
                says=f"began about {moment(one.began)}", x=drawing.digits(x),
                t=drawing.digits(_TOP), b=drawing.digits(floor),
                sign=drawing.mark("drifted", x, _TOP - 8, 6),
            )
        )  # fmt: skip
    parts.append(
        Markup(
            '<text x="{}" y="{y}" class="label soft small">{}</text>'
            '<text x="{}" y="{y}" class="label soft small end">{}</text>'
        ).format(
            drawing.digits(_LEFT), moment(begin), drawing.digits(_LEFT + room), moment(end),
            y=drawing.digits(floor + 16),
        )
    )  # fmt: skip
    return drawing.picture(drawing.WIDTH, floor + 22, f"{name} over time", parts)
