"""Findings in words: what happened to a column, how sure that is, and names safe to show."""

import itertools
import math
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

from strongroom.engines.drift.findings import (
    ColumnDrift,
    Distribution,
    Report,
    Status,
    Thresholds,
    Window,
)
from strongroom.engines.drift.multivariate import Mover, Together
from strongroom.engines.drift.plan import ColumnPlan, Floats, Kind
from strongroom.engines.drift.significance import most_bins
from strongroom.engines.drift.state import State

REST_LABEL = "all others"
MEASURE_TITLES = {
    "jensen_shannon": "Jensen-Shannon distance",
    "wasserstein": "normalized Wasserstein distance",
    "psi": "population stability index",
    "hellinger": "Hellinger distance",
    "kolmogorov_smirnov": "Kolmogorov-Smirnov distance",
}
STATUS_WORDS = {
    Status.DRIFTED: "surely changed, and by more than a threshold, or broken",
    Status.MOVED: "surely changed, but by less than every threshold",
    Status.STABLE: "no change that chance does not explain",
    Status.UNKNOWN: "not compared",
}
MAX_NAME = 64
NOTHING = "\u2013"
"""Stands in a table where there is no value."""


def clean(text: str, most: int = MAX_NAME) -> str:
    """A name without characters that would steer a terminal or turn the reading direction."""
    shown = "".join(c if c.isprintable() else " " for c in text)
    return shown if len(shown) <= most else shown[: most - 1] + "…"


def percent(share: float) -> str:
    """A share in percent: no more digits than mean something, never 0 % or 100 % by rounding."""
    if math.isnan(share):
        return NOTHING
    if share in {0.0, 1.0}:
        return f"{share:.0%}".replace("%", " %")
    if share < 0.0001:
        return "<0.01 %"
    if share > 0.999:
        return ">99.9 %"
    digits = 0 if 0.1 <= share <= 0.99 else 1 if share >= 0.01 else 2
    return f"{share * 100:.{digits}f} %"


def number(value: float) -> str:
    """A number with four digits that count."""
    if not math.isfinite(value):
        return NOTHING
    if value == 0 or 1e-3 <= abs(value) < 1e6:
        shown = f"{value:,.{max(3 - math.floor(math.log10(abs(value))), 0)}f}" if value else "0"
        return shown.rstrip("0").rstrip(".") if "." in shown else shown
    return f"{value:.3g}"


def chance(p: float) -> str:
    """A p-value."""
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def moment(seconds: float) -> str:
    """A time to the minute, UTC."""
    try:
        found = datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)
    except OverflowError:
        return NOTHING
    return f"{found:%Y-%m-%d %H:%M}"


def named(found: ColumnDrift) -> str:
    """The name of a column, and what it is beside a feature."""
    role = " (prediction)" if found.is_prediction else " (label)" if found.is_label else ""
    return clean(found.name) + role


def some(count: int, thing: str) -> str:
    """A count of things: 1 column, 2 columns."""
    return f"{count:,} {thing}" if count == 1 else f"{count:,} {thing}s"


def bin_labels(edges: Floats, kind: Kind, *, whole: bool = False) -> tuple[str, ...]:
    """What each bin holds; of whole numbers the first and the last."""
    if whole and len(edges):
        # A bin begins at its edge, which lies a little below the first of its numbers.
        starts = [math.ceil(edge) for edge in edges.tolist()]
        inner = [
            number(a) if b - a < 2 else f"{number(a)} to {number(b - 1)}"
            for a, b in itertools.pairwise(starts)
        ]
        return (f"below {number(starts[0])}", *inner, f"{number(starts[-1])} or more")
    shown = [moment(edge) if kind is Kind.TIME else number(edge) for edge in edges.tolist()]
    if not shown:
        return ("all",)
    inner = [f"{a} to {b}" for a, b in itertools.pairwise(shown)]
    return (f"below {shown[0]}", *inner, f"from {shown[-1]}")


# ---- one column ----


def column_says(
    found: ColumnDrift, plan: ColumnPlan, thresholds: Thresholds, *, is_absent: bool
) -> str:
    """What happened to a column, in one or a few sentences."""
    if is_absent:
        return "The column is missing."
    parts = [_broken(found)]
    if found.status is Status.UNKNOWN and not parts[0]:
        return _not_compared(found, thresholds)
    if found.q_value <= thresholds.rate and found.test:
        parts = [_change(found, plan), *parts, _evidence(found)]
    elif found.test:
        parts.append(_UNCHANGED_TEXT if plan.kind is Kind.TEXT else _UNCHANGED)
    elif not parts[0] and plan.kind is Kind.TEXT:
        parts.append(_UNCHANGED_TEXT)
    elif not parts[0]:
        parts.append("All values are alike in both samples, or too close to be told apart.")
    return " ".join(part for part in parts if part)


_UNCHANGED = "No change of the values that chance does not explain."
_UNCHANGED_TEXT = (
    "Values hardly repeat: only the length of the texts is compared, and shows no change that "
    "chance does not explain."
)


def _not_compared(found: ColumnDrift, thresholds: Thresholds) -> str:
    if found.kind is Kind.TIME:
        return "Times move on; they are not compared."
    if found.kind is Kind.OTHER:
        return "Nested or binary values are not compared, only whether they are there."
    if found.kind is Kind.EMPTY:
        return "The reference holds nothing but missing values or infinities."
    fewest = min(found.values)
    where = "reference" if found.values[0] == fewest else "current sample"
    if not fewest:
        return f"The {where} has no values."
    return f"The {where} has {some(fewest, 'value')}, and {thresholds.minimum_rows} are needed."


_BROKEN = {
    "missing": "Missing values",
    "type": "Values of another type",
    "outside": "Values outside the reference's range",
    "new": "Categories that the reference does not list",
    "infinite": "Infinite values",
}


def _broken(found: ColumnDrift) -> str:
    parts = []
    for change in found.quality:
        if change.exceeds:
            grew = f"went from {percent(change.reference)} to {percent(change.current)}"
            parts.append(f"{_BROKEN[change.what]} {grew}.")
    if found.frequent_new and any(one.what == "new" and one.exceeds for one in found.quality):
        named = ", ".join(f"`{clean(name)}`" for name, _ in found.frequent_new[:3])
        parts.append(f"Most frequent among the new: {named}.")
    return " ".join(parts)


def _change(found: ColumnDrift, plan: ColumnPlan) -> str:
    shown = found.distribution
    if shown is None:
        return ""
    if plan.grid is None:
        return _shifted_category(shown.labels, shown.reference, shown.current)
    before, now = shown.quartiles
    if plan.kind is Kind.NUMBER and plan.is_whole and plan.inside[1] - plan.inside[0] <= _FEW:
        return _shifted_category(shown.labels, shown.reference, shown.current)
    if not before or not now or any(map(math.isnan, (*before, *now))):
        return ""
    moved = _moved(plan, shown, before, now)
    if moved:
        return moved
    if plan.is_whole:
        return _shifted_category(shown.labels, shown.reference, shown.current)
    gap = [b - a for a, b in zip(shown.reference, shown.current, strict=True)]
    at = max(range(len(gap)), key=lambda place: abs(gap[place]))
    way = "more" if gap[at] > 0 else "fewer"
    where = shown.labels[at]
    of = "" if where.startswith(("from ", "below ")) else "of "
    return f"The shape changed; there are {way} values {of}{where}."


def _moved(
    plan: ColumnPlan, shown: Distribution, before: Sequence[float], now: Sequence[float]
) -> str:
    """Where the middle went and how its width changed, the more telling first; maybe neither."""
    is_text = plan.kind is Kind.TEXT
    shift = abs(now[1] - before[1]) / max(before[2] - before[0], plan.spread, 1e-300)
    width = max(now[2] - now[0], 1e-300) / max(before[2] - before[0], 1e-300)
    turn = abs(math.log(width))
    said = []
    if shift > 0.02 and shift * _BESIDE >= turn:
        subject, what, up, down = _TEXTS if is_text else _VALUES
        way = up if now[1] > before[1] else down
        went = f"from {_level(before[1], shown.edges)} to {_level(now[1], shown.edges)}"
        said.append((shift, f"{subject} are {way}: the {what} went {went}."))
    if (width > 1.1 or width < 0.9) and turn * _BESIDE >= shift:
        spans = f"{number(now[2] - now[0])}, before {number(before[2] - before[0])}"
        what, way = "Lengths" if is_text else "Values", "more" if width > 1 else "less"
        said.append((turn, f"{what} scatter {way}: the middle half spans {spans}."))
    return " ".join(text for _, text in sorted(said, reverse=True))


_BESIDE = 3.0
"""Times by which one change outweighs another that is then not told."""
_FEW = 5
"""Distinct whole numbers that are told like categories: 0 and 1 have no telling median."""
_VALUES = ("Values", "median", "higher", "lower")
_TEXTS = ("Texts", "median length", "longer", "shorter")


def _level(value: float, edges: Sequence[float]) -> str:
    """A quantile; beyond the outermost edges no more is known than that."""
    if value <= edges[0]:
        return f"below {number(edges[0])}"
    return f"above {number(edges[-1])}" if value >= edges[-1] else number(value)


def _shifted_category(labels: Sequence[str], before: Sequence[float], now: Sequence[float]) -> str:
    gain = [round(b - a, 9) for a, b in zip(before, now, strict=True)]
    at = max(range(len(labels)), key=lambda place: (abs(gain[place]), gain[place]))
    way = "more" if now[at] > before[at] else "less"
    shares = f"{percent(now[at])}, before {percent(before[at])}"
    return f"`{clean(labels[at])}` is {way} frequent: {shares}."


def _evidence(found: ColumnDrift) -> str:
    over = [one for one in found.measures if one.exceeds and one.threshold is not None]
    shown = over or list(found.measures[:1])
    distances = ", ".join(
        f"{MEASURE_TITLES[one.name]} {one.value:.3f}"
        + (f" (threshold {one.threshold:g})" if one.exceeds else "")
        for one in shown
    )
    started = distances[:1].upper() + distances[1:]
    return f"{started}; {chance(found.q_value)} after correction for all columns."


# ---- the whole ----


def together_says(found: Together | None, thresholds: Thresholds) -> str:
    """What the columns do together."""
    if found is None:
        return "Columns were not compared together: there are too few of them, or of rows."
    parts = []
    if found.location_p <= thresholds.rate:
        parts.append(
            f"The centre of all columns moved by {found.distance:.2f} standard deviations "
            f"({chance(found.location_p)}); a line through it tells {percent(found.separability)} "
            "of pairs of rows apart, where chance tells 50 %."
        )
    if found.pairs:
        first = found.pairs[0]
        parts.append(
            f"The dependence of {some(len(found.pairs), 'pair')} of columns changed, most surely "
            f"of `{clean(first.first)}` and `{clean(first.second)}`: rank correlation "
            f"{first.reference:.2f} before, {first.current:.2f} now."
        )
    is_sure = found.reconstruction_p <= thresholds.rate
    if is_sure and found.reconstruction >= thresholds.reconstruction:
        parts.append(
            "Rows put together again from the reference's main components are off by "
            f"{found.reconstruction:.2f} times as much."
        )
    return " ".join(parts) or "Together the columns show no change that chance does not explain."


def verdict(report: Report) -> str:
    """The report in one sentence."""
    drifted = [clean(one.name) for one in report.drifted]
    compared = sum(1 for one in report.columns if one.status is not Status.UNKNOWN)
    moved = sum(1 for one in report.columns if one.status is Status.MOVED)
    if not report.rows[1]:
        return "The current sample has no rows."
    if not report.rows[0]:
        return "The reference has no rows."
    if not compared:
        return "No column could be compared."
    if not drifted:
        text = f"No drift in {some(compared, 'column')}"
    else:
        named = ", ".join(f"`{name}`" for name in drifted[:6])
        more = f" and {len(drifted) - 6} more" if len(drifted) > 6 else ""
        text = f"Drift in {len(drifted)} of {some(compared, 'column')}: {named}{more}"
    return text + (f"; {moved} more changed a little." if moved else ".")


def power_says(report: Report) -> str:
    """What would not have been found."""
    if not math.isfinite(report.detectable):
        return ""
    return (
        f"A shift of a mean by {report.detectable:.2g} standard deviations would be found in four "
        "of five cases; a smaller one less often."
    )


def window_says(window: Window) -> str:
    """What drifted in a window."""
    if not window.against:
        return "not compared: the reference has no window like it"
    if not window.compared:
        return "not compared: too few values"
    return ", ".join(clean(name) for name in window.drifted[:6]) or "no drift"


def movers_say(found: Sequence[Mover]) -> str:
    """What moved the prediction."""
    named = ", ".join(f"`{clean(one.name)}` ({one.share:+.2f})" for one in found[:3])
    whole = sum(one.share for one in found)
    return (
        f"By a linear model the columns move the prediction by {whole:+.2f} standard deviations, "
        f"most of all {named}."
    )


def remarks(reference: State, current: State) -> tuple[str, ...]:
    """What was odd about the samples."""
    found = [f"reference: {clean(one, 400)}" for one in sorted(reference.remarks)]
    found += [f"current: {clean(one, 400)}" for one in sorted(current.remarks)]
    parts = _parts_told_apart(reference, current)
    if parts < _FINE:
        found.append(
            f"a state from a file holds no count below {reference.plan.minimum_count}: with so few "
            f"rows no more than {parts} parts of a column's values are told apart, and small "
            "changes are missed; --exact keeps all counts"
        )
    return tuple(found)


_FINE = 48
"""Bins that a column has, about."""


def _parts_told_apart(reference: State, current: State) -> int:
    """Bins that the tests join a column's to, for what files rounded; see `significance.py`."""
    noise = reference.noise + current.noise
    return most_bins(min(reference.rows, current.rows), noise) if noise else _FINE
