"""Makes the plan of a reference from its rows, or from a sample of them."""

import itertools
import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import pyarrow as pa

from strongroom.engines.drift.plan import (
    HALF_RANK,
    MAX_CATEGORY,
    MAX_COLUMNS,
    MAX_NAME,
    MAX_PAIRED,
    ColumnPlan,
    Counts,
    Floats,
    Grid,
    Kind,
    Plan,
)
from strongroom.engines.drift.threads import processors
from strongroom.engines.drift.values import Column, Texts, kind_of_type, lengths, numbers, pc, texts
from strongroom.errors import TableError, TooLargeError

DEFAULT_MINIMUM_COUNT = 10
_BINS = 48
"""Bins within the reference's range, of equal share of the reference."""
_FAR_SHARES = (0.001, 0.005, 0.995, 0.999)
"""Where the outermost of these are cut once more, for they are wide."""
_CELLS = 4_096
_TAILS = (0.125, 0.5)
"""Edges beyond the range of the reference, as shares of its width."""
MAX_CATEGORIES = 56
_TEXT_SHARE = 0.5
"""Distinct values to rows from which a column of strings is texts and not categories."""
_TEXT_DISTINCT = 1_000
_THREADED_VALUES = 1 << 19


@dataclass(frozen=True, slots=True)
class PlanOptions:
    """How a plan is made.

    Attributes:
        minimum_count: rows below which a category is not listed and no bin is cut, and below
            which counts are not written; 0 for a plan that is exact and tells rare values.
        pairs: pairs of columns are counted too, for what changes between columns.
    """

    minimum_count: int = DEFAULT_MINIMUM_COUNT
    pairs: bool = True


def plan_of(table: pa.Table, options: PlanOptions | None = None) -> Plan:
    """The plan of a reference, from all of its rows or a sample that was drawn evenly.

    Raises:
        TableError: it has no columns, or two of one name.
        TooLargeError: it has more than `MAX_COLUMNS`.
    """
    options = options or PlanOptions()
    names = table.schema.names
    if not names:
        raise TableError("the reference has no columns")
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise TableError(f"the reference has two columns `{twice[:MAX_NAME]}`")
    if len(names) > MAX_COLUMNS:
        raise TooLargeError(f"the reference has more than {MAX_COLUMNS:,} columns")
    threads = processors() if table.num_rows * len(names) >= _THREADED_VALUES else 1
    with ThreadPoolExecutor(threads) as pool:  # sorting is most of the work, and needs no lock
        columns = tuple(
            pool.map(lambda name: _column(name, table.column(name), options.minimum_count), names)
        )
    paired: tuple[int, ...] = ()
    if options.pairs:
        able = [at for at, column in enumerate(columns) if len(set(column.scores)) > 1]
        paired = tuple(able[:MAX_PAIRED]) if len(able) > 1 else ()
    return Plan(columns, options.minimum_count, paired)


def _column(name: str, values: Column, minimum: int) -> ColumnPlan:
    name, kind, shown = name[:MAX_NAME], kind_of_type(values.type), str(values.type)[:MAX_NAME]
    if kind is Kind.OTHER:
        return ColumnPlan(name, kind, shown)
    if values.null_count == len(values):
        return ColumnPlan(name, Kind.EMPTY, shown)
    if kind is Kind.CATEGORY:
        listed = _categories(name, texts(values), shown, minimum)
        if listed is not None:
            return listed
        kind = Kind.TEXT
    sample = lengths(values) if kind is Kind.TEXT else numbers(values)
    sample = np.sort(sample)  # infinities come first and last, and NaN after them
    begin = int(np.searchsorted(sample, -math.inf, "right"))
    sample = sample[begin : int(np.searchsorted(sample, math.inf, "left"))]
    if not len(sample):
        return ColumnPlan(name, Kind.EMPTY, shown)
    grid, inside = _grid(sample, minimum)
    low, high = _range(sample, minimum)
    spread = float(f"{_spread(np.clip(sample, low, high)):.6g}")
    scores = _scores(_shares(grid, sample)) if kind is Kind.NUMBER else ()
    return ColumnPlan(name, kind, shown, grid, inside, (), scores, spread)


def _spread(sample: Floats) -> float:
    with np.errstate(over="ignore", invalid="ignore"):
        spread = float(np.std(sample))
    return spread if math.isfinite(spread) else 0.0


# ---- categories ----


def _categories(name: str, values: Texts, shown: str, minimum: int) -> ColumnPlan | None:
    """The plan of a column of categories; None where its values hardly repeat."""
    counted = pc.value_counts(values.drop_null())
    counts = counted.field("counts").to_numpy(zero_copy_only=False)
    kept = np.argsort(-counts, kind="stable")[:MAX_CATEGORIES]
    rows = int(counts.sum())
    covered = int(counts[kept].sum())
    many = len(counts) > max(_TEXT_SHARE * rows, MAX_CATEGORIES)
    if many or (len(counts) > _TEXT_DISTINCT and covered < rows / 2):
        return None
    kept = kept[counts[kept] >= max(minimum, 1)]
    listed = counted.field("values").take(pa.array(kept)).to_pylist()
    chosen = sorted(
        ((-int(counts[at]), text) for at, text in zip(kept, listed, strict=True)
         if len(text) <= MAX_CATEGORY)
    )  # fmt: skip  # ties by name, so that equal rows give an equal plan
    categories = tuple(text for _, text in chosen)
    shares = np.array([-count / rows for count, _ in chosen])
    known = sum(-count for count, _ in chosen) < rows
    return ColumnPlan(
        name, Kind.CATEGORY, shown, None, (0, len(categories)), categories,
        _scores_by_name(categories, shares) if categories else (), 0.0, known,
    )  # fmt: skip


def _scores_by_name(categories: tuple[str, ...], shares: Floats) -> tuple[int, ...]:
    """Scores of categories in the order of their names, the rest of them in the middle.

    In the order of their counts those that the reference has more of by chance would all lie on one
    side, and the centre of another sample on the other, however large both are.
    """
    order = np.argsort(np.array(categories, object), kind="stable")
    ranks = np.cumsum(shares[order]) - shares[order] / 2
    ranks[ranks > shares.sum() / 2] += 1 - shares.sum()
    middle = np.empty(len(shares))
    middle[order] = ranks
    return _as_scores(middle)


def _scores(shares: Floats) -> tuple[int, ...]:
    """The middle rank of each code in the reference, from -HALF_RANK to HALF_RANK."""
    return _as_scores(np.cumsum(shares) - shares / 2)


def _as_scores(middle: Floats) -> tuple[int, ...]:
    scores = np.rint((np.clip(middle, 0.0, 1.0) - 0.5) * 2 * HALF_RANK)
    return tuple(int(score) for score in scores)


# ---- numbers ----


def _shares(grid: Grid, sample: Floats) -> Floats:
    return _held(grid, sample) / len(sample)


def _held(grid: Grid, sample: Floats) -> Counts:
    """How many of a sorted sample each bin holds."""
    begins = np.searchsorted(sample, grid.edges(), side="left")
    return np.diff(begins, prepend=0, append=len(sample))


def _grid(sample: Floats, minimum: int) -> tuple[Grid, tuple[int, int]]:
    """Bins of about equal share of a sorted sample, and which of them lie inside its range.

    With a minimum count the range leaves out that many of the smallest and largest values, unless
    they are equal to others, and no bin holds fewer of the sample.
    """
    low, high = _range(sample, minimum)
    wanted = _wanted(sample, low, high)
    candidates = [grid for grid in (_linear(low, high, wanted), _log(low, high, wanted)) if grid]
    for grid, _ in candidates:
        if grid.bins >= 0.9 * len(wanted):
            break
    else:
        candidates.append(_cuts(low, high, wanted))
    grid, inside = max(candidates, key=lambda one: one[0].bins)
    return _joined(grid, inside, sample, minimum)


def _range(sample: Floats, minimum: int) -> tuple[float, float]:
    """The ends of a sorted sample, without the `minimum` smallest and largest values."""
    trim = min(minimum, (len(sample) - 1) // 2)
    low, high = float(sample[trim]), float(sample[len(sample) - 1 - trim])
    if trim:
        low = float(sample[0]) if _count(sample, sample[0]) >= minimum else low
        high = float(sample[-1]) if _count(sample, sample[-1]) >= minimum else high
    return low, high


def _count(sample: Floats, value: float) -> int:
    return int(np.searchsorted(sample, value, "right") - np.searchsorted(sample, value, "left"))


def _wanted(sample: Floats, low: float, high: float) -> Floats:
    """Where bins should begin: each distinct value where there are few, else quantiles."""
    begin, end = np.searchsorted(sample, low, "left"), np.searchsorted(sample, high, "right")
    within: Floats = sample[int(begin) : int(end)]
    is_new = np.append(True, within[1:] != within[:-1])
    if np.count_nonzero(is_new) <= _BINS:
        distinct: Floats = within[is_new]
        return distinct
    shares = np.concatenate([np.arange(1, _BINS) / _BINS, _FAR_SHARES])
    ranks = (shares * len(within)).astype(np.intp)
    return np.unique(np.concatenate([[low], within[ranks]]))


def _linear(low: float, high: float, wanted: Floats) -> tuple[Grid, tuple[int, int]] | None:
    """Cells of equal width: a third of them for the range, a third for each side."""
    width = high - low
    if width == 0:
        width = max(abs(low), 1.0) * 2.0**-10
    if not math.isfinite(width * 4) or width < 1e-300:
        return None
    step = 2.0 ** math.ceil(math.log2(width * 3 / (_CELLS - 8)))
    if abs(low) + 2 * width > step * 2.0**50:
        return None  # neighbouring numbers would fall into one cell
    origin = math.floor((low - width) / step) * step
    first = math.floor((low - origin) / step)
    last = math.floor((high - origin) / step) + 1
    inner = np.unique(np.floor((wanted - origin) / step).astype(np.int64))
    tails = [round(share * width / step) for share in _TAILS]
    return _assembled("linear", origin, step, _CELLS, (first, last, inner), tails)


def _log(low: float, high: float, wanted: Floats) -> tuple[Grid, tuple[int, int]] | None:
    """Cells of equal ratio, for positive numbers over several powers of ten."""
    if low <= 0 or not math.isfinite(high * 16) or high <= low * 4:
        return None
    bits = np.array([low, high]).view(np.int64)
    shift = 40
    while int(bits[1] >> shift) - int(bits[0] >> shift) > _CELLS // 3:
        shift += 1
    keys = bits >> shift
    width = int(keys[1] - keys[0])
    start = max(int(keys[0]) - width, 1)
    first, last = int(keys[0]) - start, int(keys[1]) - start + 1
    inner = np.unique((np.ascontiguousarray(wanted).view(np.int64) >> shift) - start)
    origin = float(np.array([start << shift], np.int64).view(np.float64)[0])
    tails = [max(round(share * width), 1) for share in _TAILS]
    return _assembled("log", origin, float(shift), last + width + 1, (first, last, inner), tails)


def _assembled(
    form: str,
    origin: float,
    step: float,
    cells: int,
    places: tuple[int, int, "np.ndarray[tuple[int], np.dtype[np.int64]]"],
    tails: list[int],
) -> tuple[Grid, tuple[int, int]]:
    """A grid with bins at the places wanted, and a few on both sides of the range."""
    first, last, inner = places
    below = sorted({0, *(first - tail for tail in tails if 0 < first - tail < first)})
    above = sorted({last, *(last + tail for tail in tails if last + tail < cells)})
    within = sorted({first, *(int(one) for one in inner if first < one < last)})
    starts = below + within + above
    grid = Grid(form, origin, step, cells, tuple(starts))
    return grid, (len(below), len(below) + len(within))


def _cuts(low: float, high: float, wanted: Floats) -> tuple[Grid, tuple[int, int]]:
    """Edges between the values themselves, each as short as it can be and still tell them apart."""
    margin = max((high / 2 - low / 2) / 50, abs(low) * 1e-12, abs(high) * 1e-12, 1e-300)
    begin, end = _short(low - margin, low), _short(high, high + margin)
    between = {_short(a, b) for a, b in itertools.pairwise(wanted)}
    chosen = sorted({begin, end, *between})
    return Grid("cuts", cuts=tuple(chosen)), (1, len(chosen))


def _short(low: float, high: float) -> float:
    """A number in (low, high] with few digits, so that no edge is a value of the data."""
    for digits in range(1, 17):
        middle = float(f"{low / 2 + high / 2:.{digits}g}")
        if low < middle <= high:
            return middle
    return high


def _joined(
    grid: Grid, inside: tuple[int, int], sample: Floats, minimum: int
) -> tuple[Grid, tuple[int, int]]:
    """The grid with bins inside the range joined until each holds enough of the sample."""
    if not minimum:
        return grid, inside
    counts = _held(grid, sample)
    first, last = inside
    kept, held = [first], 0
    for at in range(first, last):
        if at > first and held >= minimum and int(counts[at:last].sum()) >= minimum:
            kept.append(at)
            held = 0
        held += int(counts[at])
    bins = [*range(first), *kept, *range(last, grid.bins)]
    if grid.form == "cuts":
        edges = tuple(grid.cuts[at - 1] for at in bins if at)
        joined = Grid("cuts", cuts=edges)
    else:
        joined = Grid(
            grid.form, grid.origin, grid.step, grid.cells, tuple(grid.starts[at] for at in bins)
        )
    return joined, (first, first + len(kept))
