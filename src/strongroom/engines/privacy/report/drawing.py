"""The pictures of a report, as SVG without script or style attributes.

Every function is pure, escapes what it is given, and draws with classes that `drawing.css` paints,
so that the same picture serves a page of its own and the console. Colour is never alone: roles
have a sign and a pattern too. A page that shows pictures holds `inks()` once.
"""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from strongroom.engines.privacy.discover.findings import Role

WIDTH = 960
MAX_BARS = 120
"""Columns that one picture shows; a page says how many more there are."""
_NAMED_BARS = 36
_LABEL = 17

_ORDER = (Role.SECRET, Role.DIRECT, Role.SPECIAL, Role.QUASI, Role.PLAIN)


@dataclass(frozen=True, slots=True)
class Bar:
    """One bar: what it stands for, its length in [0, 1], and the words beside it."""

    label: str
    share: float
    role: str
    says: str = ""


def inks() -> Markup:
    """The patterns and signs that the pictures refer to; once a page, before them."""
    patterns = Markup("").join(
        Markup(
            '<pattern id="ink-{role}" width="8" height="8" patternUnits="userSpaceOnUse">'
            '<rect width="8" height="8" class="tone {role}"/>{lines}</pattern>'
        ).format(role=role.value, lines=_LINES[role])
        for role in _ORDER
    )
    return Markup(
        '<svg class="inks" width="0" height="0" aria-hidden="true" focusable="false"><defs>{}'
        '<symbol id="person" viewBox="0 0 16 20"><circle cx="8" cy="4.6" r="3.6"/>'
        '<path d="M1.6 20c0-6.6 2.2-10 6.4-10s6.4 3.4 6.4 10z"/></symbol></defs></svg>'
    ).format(patterns)


_LINES = {
    Role.SECRET: Markup('<path class="lines" d="M0 4H8M4 0V4M0 8V4"/>'),
    Role.DIRECT: Markup(""),
    Role.SPECIAL: Markup(
        '<circle class="dots" cx="2" cy="2" r="1.2"/><circle class="dots" cx="6" cy="6" r="1.2"/>'
    ),
    Role.QUASI: Markup('<path class="lines" d="M-2 2L2 -2M0 8L8 0M6 10L10 6"/>'),
    Role.PLAIN: Markup(""),
}  # what is laid over the tone of a role


def sign(role: str) -> Markup:
    """The sign of a role, 16 by 16, for a line of text."""
    return Markup('<svg class="sign" viewBox="0 0 16 16" aria-hidden="true">{}</svg>').format(
        _sign(role, 8, 8, 6)
    )


def _sign(role: str, x: float, y: float, r: float) -> Markup:
    """Circle: direct. Triangle: special. Diamond: quasi. Square: secret. Ring: the rest."""
    if role == Role.DIRECT:
        shape = Markup('<circle cx="{}" cy="{}" r="{}"').format(_n(x), _n(y), _n(r))
    elif role == Role.SECRET:
        shape = Markup('<rect x="{}" y="{}" width="{}" height="{}"').format(
            _n(x - r * 0.88), _n(y - r * 0.88), _n(r * 1.76), _n(r * 1.76)
        )
    elif role in (Role.SPECIAL, Role.QUASI):
        corners = (
            [(x, y - r), (x + r, y + r * 0.8), (x - r, y + r * 0.8)]
            if role == Role.SPECIAL
            else [(x, y - r), (x + r, y), (x, y + r), (x - r, y)]
        )
        points = " ".join(f"{_n(a)},{_n(b)}" for a, b in corners)
        shape = Markup('<polygon points="{}"').format(points)
    else:
        return Markup('<circle cx="{}" cy="{}" r="{}" class="ring"/>').format(
            _n(x), _n(y), _n(r - 1)
        )
    return shape + Markup(' class="tone {}"/>').format(_known(role))


def columns_picture(bars: Sequence[Bar]) -> Markup:
    """A table's columns in their order: role by ink and sign, confidence by height."""
    shown = bars[:MAX_BARS]
    step = min(WIDTH / max(len(shown), 1), 88.0)
    width = step - min(6.0, step * 0.2)
    named = len(shown) <= _NAMED_BARS
    top, plot = 26, 150
    floor = top + plot
    parts = [_gridline(top + plot * (1 - level), f"{level:.0%}") for level in (0.5, 1.0)]
    left = 44.0
    scale = (WIDTH - left) / WIDTH
    for at, bar in enumerate(shown):
        x, wide = left + at * step * scale, width * scale
        high = max(plot * bar.share, 3.0)
        parts.append(
            Markup("<g><title>{}: {}</title>{}{}{}</g>").format(
                bar.label,
                bar.says,
                _inked(bar.role, x, floor - high, wide, high),
                _sign(bar.role, x + wide / 2, floor - high - 11, min(7.0, max(wide / 2, 2.0))),
                _slanted(bar.label, x + wide / 2, floor + 14) if named else "",
            )
        )
    parts.append(
        Markup('<line class="axis" x1="{}" y1="{}" x2="{}" y2="{}"/>').format(
            _n(left), floor, WIDTH, floor
        )
    )
    return _picture(WIDTH, floor + (104 if named else 12), "Columns by role and confidence", parts)


def inside_bars(rows: Sequence[tuple[str, Sequence[Bar]]]) -> Markup:
    """For each column of texts a bar for each type inside; length: share of texts that hold it."""
    line, left, right, head = 26, 230, 210, 28
    room = WIDTH - left - right
    parts, y = [], 0
    for name, bars in rows:
        parts.append(
            Markup('<text x="0" y="{}" class="label head">{}</text>').format(y + 18, _cut(name, 60))
        )
        y += head
        for bar in bars:
            wide = max(room * min(max(bar.share, 0.0), 1.0), 2.0)
            parts.append(
                Markup(
                    '<g>{}<text x="{}" y="{}" class="label end">{}</text>'
                    '<rect class="rail" x="{}" y="{}" width="{}" height="14"/>{}'
                    '<text x="{}" y="{}" class="label">{}</text></g>'
                ).format(
                    _sign(bar.role, 10, y + 11, 6), left - 12, y + 15, _cut(bar.label, 26), left,
                    y + 4, room, _inked(bar.role, left, y + 4, wide, 14), left + room + 10, y + 15,
                    _cut(bar.says, 26),
                )
            )  # fmt: skip
            y += line
        y += 8
    return _picture(WIDTH, max(y, 8), "What stands inside texts", parts)


def people(share: float, label: str) -> Markup:
    """A hundred people; as many stand out as a share says, at least one where it is above 0."""
    alone = min(100, math.ceil(share * 100 - 1e-9)) if share > 0 else 0
    parts = []
    for at in range(100):
        x, y = at % 20 * 18, at // 20 * 24
        parts.append(
            Markup('<use href="#person" x="{}" y="{}" width="13" height="18" class="{}"/>').format(
                x, y, "alone" if at < alone else "crowd"
            )
        )
    return _picture(20 * 18 - 4, 5 * 24 - 4, label, parts, small=True)


def miss_curve(sampled: int, detectable: float, missed: float) -> Markup:
    """How likely a type of a given frequency is missed by the sample; log scale of frequency."""
    left, top, wide, high = 56, 16, WIDTH - 76, 150
    lowest, highest = -5.0, -1.0

    def place(log_share: float) -> tuple[float, float]:
        chance = math.exp(sampled * math.log1p(-(10.0**log_share)))
        x = left + wide * (log_share - lowest) / (highest - lowest)
        return x, top + high * (1 - chance)

    points = [place(lowest + (highest - lowest) * at / 160) for at in range(161)]
    line = " ".join(f"{_n(x)},{_n(y)}" for x, y in points)
    parts = [_gridline(top + high * (1 - level), f"{level:.0%}", left) for level in (0, 0.5, 1)]
    for power in range(-5, 0):
        x = left + wide * (power - lowest) / (highest - lowest)
        parts.append(
            Markup('<text x="{}" y="{}" class="label soft middle">{}</text>').format(
                _n(x), top + high + 18, f"{10.0 ** (power + 2):g} %"
            )
        )
    parts.append(Markup('<polyline class="curve" points="{}"/>').format(line))
    if lowest <= math.log10(detectable) <= highest:
        x, y = place(math.log10(detectable))
        parts.append(
            Markup(
                '<line class="marker" x1="{x}" y1="{top}" x2="{x}" y2="{low}"/>'
                '<circle class="marker-dot" cx="{x}" cy="{y}" r="5"/>'
                '<text x="{text}" y="{over}" class="label">{share:.2g} % of the rows: missed'
                " with {missed:.2g} %</text>"
            ).format(
                x=_n(x), y=_n(y), top=top, low=top + high, text=_n(min(x + 10, WIDTH - 330)),
                over=top + 14, share=detectable * 100, missed=missed * 100,
            )
        )  # fmt: skip
    return _picture(WIDTH, top + high + 28, "Probability that the sample misses a type", parts)


def heat_map(
    files: Sequence[str],
    types: Sequence[tuple[str, str]],
    counts: Mapping[tuple[int, int], int],
) -> Markup:
    """Files against types: a sign where a type was found, with the number of columns.

    Args:
        files: names of the rows.
        types: title and role of each column.
        counts: (row, column) → columns of that file with that type.
    """
    longest = max((len(_cut(name, 40)) for name in files), default=0)
    left, top, line, right = 30 + 7.6 * longest, 128, 28, 100
    step = min(44.0, (WIDTH - left - right) / max(len(types), 1))
    parts = []
    for at, (title, _role) in enumerate(types):
        x = left + step * (at + 0.5)
        parts.append(
            Markup('<g transform="rotate(-45 {x} {y})"><text x="{x}" y="{y}" class="label">{t}'
                   "</text></g>").format(x=_n(x), y=top - 12, t=_cut(title, 20))
        )  # fmt: skip
    for row, name in enumerate(files):
        y = top + line * row
        parts.append(
            Markup(
                '<rect class="band{}" x="0" y="{}" width="{}" height="{}"/>'
                '<text x="{}" y="{}" class="label end">{}</text>'
            ).format(
                " odd" if row % 2 else "", y, WIDTH, line, _n(left - 12), y + 19, _cut(name, 40)
            )
        )
        for column, (title, role) in enumerate(types):
            count = counts.get((row, column), 0)
            if not count:
                continue
            x = left + step * (column + 0.5)
            many = (
                Markup('<text x="{}" y="{}" class="label small">{}</text>').format(
                    _n(x + 8), y + 24, count
                )
                if count > 1
                else ""
            )
            parts.append(
                Markup("<g><title>{}: {}, {}</title>{}{}</g>").format(
                    name, title, count, _sign(role, x, y + line / 2, 8), many
                )
            )
    return _picture(WIDTH, top + line * len(files) + 4, "Types by file", parts)


def meter(share: float, role: str) -> Markup:
    """A small bar for the cell of a table, beside the number that it shows."""
    return Markup(
        '<svg class="meter" viewBox="0 0 64 10" aria-hidden="true">'
        '<rect class="rail" width="64" height="10"/>{}</svg>'
    ).format(_inked(role, 0, 0, 64 * min(max(share, 0.0), 1.0), 10))


# ---- parts ----


def _picture(
    width: float, height: float, label: str, parts: Iterable[Markup], *, small: bool = False
) -> Markup:
    return Markup(
        '<svg class="picture{}" viewBox="0 0 {} {}" role="img" aria-label="{}">{}</svg>'
    ).format(" half" if small else "", _n(width), _n(height), label, Markup("").join(parts))


def _inked(role: str, x: float, y: float, width: float, height: float) -> Markup:
    known = _known(role)
    return Markup(
        '<rect class="inked {}" x="{}" y="{}" width="{}" height="{}" fill="url(#ink-{})"/>'
    ).format(known, _n(x), _n(y), _n(width), _n(height), known)


def _gridline(y: float, label: str, left: float = 44.0) -> Markup:
    return Markup(
        '<line class="grid" x1="{}" y1="{}" x2="{}" y2="{}"/>'
        '<text x="{}" y="{}" class="label soft end">{}</text>'
    ).format(_n(left), _n(y), WIDTH, _n(y), _n(left - 8), _n(y + 4), label)


def _slanted(text: str, x: float, y: float) -> Markup:
    return Markup(
        '<text x="{x}" y="{y}" class="label end" transform="rotate(-40 {x} {y})">{t}</text>'
    ).format(x=_n(x), y=_n(y), t=_cut(text, _LABEL))


def _known(role: str) -> str:
    """The role as a class; what is no role is drawn as the plain one."""
    return role if role in {known.value for known in Role} else Role.PLAIN.value


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else text[: limit - 1] + "…"


def _n(number: float) -> str:
    return f"{number:.1f}".rstrip("0").rstrip(".")
