"""When a level changed: the detectors of `detectors.py` over values in order of time.

Nothing is assumed of the unit: values are scaled by their own spread and range, so that a chance of
a false alarm can be asked for. Values that hang together over time (yesterday's like today's) alarm
more often than that.

Source: the threshold of Page-Hinkley comes from the mean time between false alarms of a CUSUM with
drift, (exp(2 d h) - 1 - 2 d h) / (2 d^2), Siegmund, "Sequential Analysis", 1985, section 2.6.
"""

import math
from dataclasses import dataclass, replace

import numpy as np

from strongroom.engines.drift.detectors import Adwin, PageHinkley
from strongroom.engines.drift.findings import Change, Series
from strongroom.engines.drift.plan import Floats
from strongroom.engines.drift.wording import clean, moment, number

LEAST_VALUES = 100
"""Fewer values in order tell little of when they changed."""
MAX_CHANGES = 100
_MOST_FED = 100_000
"""Values that a detector is fed; of more, means of neighbours."""
_TOLERANCE = 0.1
"""Change of the mean, in standard deviations, that Page-Hinkley does not look for."""
_LEVELS = 160
_RANGE = (0.005, 0.995)


def changes_of(
    name: str, seconds: Floats, values: Floats, rate: float = 0.05, *, minimum: int = 10
) -> Series:
    """Where the level of a series changed.

    Args:
        name: of the series.
        seconds: when each value was, since 1970 UTC; NaN where that is not known.
        values: of the same rows, in any order; of one time, in the order they are given.
        rate: chance of a false alarm in the whole series where nothing changes.
        minimum: values below which no mean of them is given.
    """
    good = np.isfinite(seconds) & np.isfinite(values)
    left_out = int((~good).sum())
    order = np.argsort(seconds[good], kind="stable")
    when, what = seconds[good][order], values[good][order]
    series = Series(name, len(what), left_out)
    if len(what) < LEAST_VALUES:
        says = f"{len(what):,} values with a time: {LEAST_VALUES} are needed"
        return replace(series, says=_sentence(name, says))
    if what[0] == what[-1] and (what == what[0]).all():
        return replace(series, says=_sentence(name, "all values are alike"))
    series = replace(series, levels=_levels(when, what, minimum))
    size = -(-len(what) // _MOST_FED)
    fed = _scaled(_means(what, size))
    places = _merged([*_adwin(fed, rate / 2), *_page_hinkley(fed, rate / 2)])[:MAX_CHANGES]
    begins = _begins(fed, places)
    starts = [0, *(one * size for one in begins), len(what)]
    changes = tuple(
        Change(
            one.detectors, _minute(when[starts[at + 1]]),
            _minute(when[min((one.noticed + 1) * size, len(what)) - 1]),
            _mean(what[starts[at] : starts[at + 1]], minimum),
            _mean(what[starts[at + 1] : starts[at + 2]], minimum),
        )
        for at, one in enumerate(places)
    )  # fmt: skip
    return replace(series, changes=changes, says=_says(name, changes))


def _means(values: Floats, size: int) -> Floats:
    if size == 1:
        return values
    found: Floats = np.add.reduceat(values, np.arange(0, len(values), size))
    counts = np.full(len(found), size)
    counts[-1] = len(values) - size * (len(found) - 1)
    found /= counts
    return found


def _scaled(values: Floats) -> Floats:
    """From 0 to 1, what is far outside at the ends: one value alone shall not alarm."""
    low, high = np.quantile(values, _RANGE)
    if high <= low:
        low, high = values.min(), values.max()
    with np.errstate(over="ignore"):
        width = high / 2 - low / 2
        scaled: Floats = np.clip((values / 2 - low / 2) / width, 0.0, 1.0)
    return scaled


@dataclass(frozen=True, slots=True)
class _Alarm:
    """Places of a change: where it began by its detector, and where it was noticed."""

    detectors: tuple[str, ...]
    began: int
    noticed: int


def _adwin(fed: Floats, rate: float) -> list[_Alarm]:
    detector = Adwin(delta=rate)
    return [
        _Alarm(("ADWIN",), at + 1 - detector.width, at)
        for at, value in enumerate(fed.tolist())
        if detector.update(value)
    ]


def _page_hinkley(fed: Floats, rate: float) -> list[_Alarm]:
    spread = float(np.std(fed))
    threshold = math.log1p(2 * _TOLERANCE**2 * 2 * len(fed) / rate) / (2 * _TOLERANCE)
    detector = PageHinkley(tolerance=_TOLERANCE * spread, threshold=threshold * spread, alpha=1.0)
    return [
        _Alarm(("Page-Hinkley",), at + 1 - detector.age, at)
        for at, value in enumerate(fed.tolist())
        if detector.update(value)
    ]


def _merged(alarms: list[_Alarm]) -> list[_Alarm]:
    """One alarm a change: those that overlap, of both detectors or of one that alarms again."""
    found: list[_Alarm] = []
    for one in sorted(alarms, key=lambda one: one.noticed):
        if found and one.began <= found[-1].noticed:
            last = found.pop()
            named = tuple(dict.fromkeys(last.detectors + one.detectors))
            found.append(_Alarm(named, max(last.began, one.began), last.noticed))
        else:
            found.append(one)
    return found


def _begins(fed: Floats, alarms: list[_Alarm]) -> list[int]:
    """Where each change began: where the sum of what lies above the mean turns.

    All values are there, so that this is known better than by a detector that has seen the stream
    only up to its alarm. Source: Hinkley, "Inference about the change-point", Biometrika 57, 1970.
    """
    begins: list[int] = []
    for at, one in enumerate(alarms):
        first = begins[-1] if begins else 0
        last = alarms[at + 1].began if at + 1 < len(alarms) else len(fed)
        part = fed[first : max(last, one.noticed + 1)]
        sums = np.cumsum(part - part.mean())
        until = max(one.noticed - first, 1)
        begins.append(first + int(np.argmax(np.abs(sums[:until]))) + 1)
    return begins


def _minute(seconds: float) -> float:
    """The whole minute: the exact moment would point at one row."""
    return float(seconds // 60 * 60)


def _mean(values: Floats, minimum: int) -> float | None:
    if len(values) < max(minimum, 1):
        return None
    return float((values / len(values)).sum())  # does not overflow


def _levels(when: Floats, what: Floats, minimum: int) -> tuple[tuple[float, float], ...]:
    """Means of neighbours, equally many each, with the time of their first."""
    size = max(-(-len(what) // _LEVELS), minimum, 1)
    starts = range(0, len(what) - size + 1, size)
    ends = [*starts[1:], len(what)]
    means = (what[a:b] / (b - a) for a, b in zip(starts, ends, strict=True))
    return tuple(
        (_minute(when[at]), float(mean.sum())) for at, mean in zip(starts, means, strict=True)
    )


def _says(name: str, changes: tuple[Change, ...]) -> str:
    if not changes:
        return _sentence(name, "no change of its level that chance does not explain")
    parts = []
    for one in changes[:3]:
        levels = ""
        if one.before is not None and one.after is not None:
            levels = f", from {number(one.before)} to {number(one.after)} on average"
        parts.append(
            f"began about {moment(one.began)}{levels}, and was noticed "
            f"{moment(one.noticed)} by {' and '.join(one.detectors)}"
        )
    count = "1 change" if len(changes) == 1 else f"{len(changes)} changes"
    return _sentence(name, f"{count}: " + "; ".join(parts))


def _sentence(name: str, says: str) -> str:
    return f"`{clean(name)}` over time: {says}."
