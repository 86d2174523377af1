"""One state as part of what is written: its counts, without those that would tell of few rows.

Counts are written as the bytes of their numbers, all lowest bytes first, which compress to little
more than they tell. Where the plan keeps small groups out, no count below its minimum is written.
Along the bins, and among rare categories, small counts are put together until they are as many,
where they lie on average; leaving them out would thin the tails, and tests would find that. Other
small counts are written as 0; where their sum, which is what a column lacks
to all rows, would tell one of them, it goes to the largest count. Sums of products are rounded to
more than so few rows can add.

Windows hold fewer rows, in which too many counts would be small. Their bins of numbers are written
in tens (the minimum count): along the bins every ten rows become one count where they lie on
average, and what is left goes on to the next bins. Tests know how far either can be off.
"""

import msgspec
import numpy as np

from strongroom.engines.drift import unseen
from strongroom.engines.drift.plan import HALF_RANK, MAX_NAME, REST, WIDTH, Counts, Plan
from strongroom.engines.drift.state import MAX_REMARKS, State
from strongroom.errors import DriftStateError

MAX_ROWS = 1 << 53
PAIRED_MINIMA = 100
"""Minimum counts that a private state's rows must be for its pairs to be written: in fewer, what is
rounded away would weigh like the scatter of the rows."""


class StatePart(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is written of a state; `step`: rows that a bin's end may be off, 0 where it is exact."""

    rows: int
    counts: bytes
    absent: bytes
    products: bytes
    unseen: dict[int, bytes]
    remarks: tuple[str, ...]
    step: int = 0


def state_part(state: State, *, is_window: bool = False) -> StatePart:
    """What is written of a state, or of a window of one.

    By a private plan the small counts and the sketches of unlisted values stay behind, and a state
    of fewer rows than the minimum is written as an empty one.
    """
    plan = state.plan
    rows, counts, absent, products = state.rows, state.counts, state.absent, state.products
    sketches, step = dict(state.sketches), 0
    if plan.is_private:
        sketches = {}
        if plan.minimum_count > 1:
            exact, counts = counts, _without_small_bins(counts, plan, is_window=is_window)
            step = 0 if np.array_equal(exact, counts) else plan.minimum_count
        if rows < plan.minimum_count:
            rows = 0
            counts, absent = np.zeros_like(counts), np.zeros_like(absent)
        everywhere = suppressed(np.column_stack([counts, absent]), plan.minimum_count)
        counts, absent = everywhere[:, :-1], everywhere[:, -1]
        products = _rounded(products, rows, plan.minimum_count)
    upper = np.triu_indices(len(products))
    return StatePart(
        rows, packed(counts), packed(absent), packed(products[upper]),
        {at: packed(one) for at, one in sketches.items()}, tuple(sorted(state.remarks)),
        step,
    )  # fmt: skip


def _without_small_bins(counts: Counts, plan: Plan, *, is_window: bool) -> Counts:
    kept, write = counts.copy(), in_tens if is_window else carried
    for at, column in enumerate(plan.columns):
        if column.grid is not None:
            kept[at, : column.bins] = write(counts[at, : column.bins], plan.minimum_count)
        else:
            kept[at] = _rare_together(counts[at], column.bins, plan.minimum_count)
    return kept


def _rare_together(counts: Counts, categories: int, minimum: int) -> Counts:
    """Counts of categories with the small ones put together, or with the rest; the others stay."""
    kept = counts.copy()
    named = kept[:categories]
    small = named < minimum
    together = carried(np.where(small, named, 0), minimum)
    if together.any():
        named[small] = together[small]
    elif (rest := int(kept[REST] + named[small].sum())) >= minimum:
        kept[REST], named[small] = rest, 0
    return kept


def carried(counts: Counts, minimum: int) -> Counts:
    """Ordered counts with those below `minimum` put together until they are as many.

    What is left at the end goes to the last count there is; fewer rows than the minimum altogether
    are dropped.
    """
    kept = counts.copy()
    held, place, last = 0, 0.0, -1
    for at in np.flatnonzero(counts).tolist():
        count = int(counts[at])
        if count >= minimum:
            kept[at] += held
            last, held = at, 0
            continue
        kept[at] = 0
        place = (held * place + count * at) / (held + count)
        held += count
        if held >= minimum:
            last = round(place)
            kept[last] += held
            held = 0
    if last >= 0:
        kept[last] += held
    return kept


def in_tens(counts: Counts, minimum: int, *, to_nearest: bool = False) -> Counts:
    """Ordered counts as multiples of `minimum`, each near where its rows lie.

    What is left at the end, fewer rows than the minimum, is dropped.

    Args:
        to_nearest: it is rounded instead, up from the half of the minimum on.
    """
    kept = np.zeros_like(counts)
    held, place = 0, 0.0
    for at in np.flatnonzero(counts).tolist():
        tens, left = divmod(int(counts[at]), minimum)
        kept[at] += tens * minimum
        if left:
            place = (held * place + left * at) / (held + left)
            held += left
        if held >= minimum:
            kept[round(place)] += minimum
            held -= minimum
    if to_nearest and held >= minimum / 2:
        kept[round(place)] += minimum
    return kept


def suppressed(counts: Counts, minimum: int) -> Counts:
    """Rows of counts without those from 1 to `minimum - 1`, nor what would tell one of them.

    Where fewer than `minimum` are lost in a row of counts, its largest one gets them: leaving out
    another count instead would tell them to whoever knows what that one can have been.
    """
    kept = np.where(counts < minimum, 0, counts)
    lost = (counts - kept).sum(axis=1)
    largest = kept.argmax(axis=1)
    found = np.flatnonzero((lost < minimum) & kept.any(axis=1))
    kept[found, largest[found]] += lost[found]
    return kept


def _rounded(products: Counts, rows: int, minimum: int) -> Counts:
    """Sums of products without what a small group adds: exact ones would tell its rows.

    `multivariate.py` knows how far off they are.
    """
    if rows < PAIRED_MINIMA * minimum:
        return np.zeros_like(products)
    step = minimum * HALF_RANK**2
    return np.rint(products / step).astype(np.int64) * step


def state_of(part: StatePart, plan: Plan) -> State:
    """The state that was written. Raises: DriftStateError: it makes no sense."""
    columns, paired = len(plan.columns), len(plan.paired)
    counts = unpacked(part.counts, columns * WIDTH).reshape(columns, WIDTH)
    absent = unpacked(part.absent, columns)
    upper = np.triu_indices(paired)
    products = np.zeros((paired, paired), np.int64)
    products[upper] = unpacked(part.products, len(upper[0]))
    products = np.triu(products) + np.triu(products, 1).T
    sketches = {
        at: unpacked(one, int(np.prod(unseen.SHAPE))).reshape(unseen.SHAPE)
        for at, one in part.unseen.items()
    }
    sound = (
        0 <= part.rows <= MAX_ROWS
        and ((counts >= 0) & (counts <= part.rows)).all()  # their sum cannot overflow then
        and ((absent >= 0) & (absent <= part.rows)).all()
        and (np.abs(products.astype(np.float64)) <= 2.0 * part.rows * HALF_RANK**2).all()
        and (counts.sum(axis=1) + absent <= part.rows).all()
        and all(0 <= at < columns for at in sketches)
        and all(((one >= 0) & (one <= part.rows)).all() for one in sketches.values())
        and len(part.remarks) <= MAX_REMARKS
        and all(len(one) <= 4 * MAX_NAME for one in part.remarks)
        and 0 <= part.step <= 1_000_000
    )
    if not sound:
        raise DriftStateError("the counts of the state make no sense")
    state = State(plan)
    state.restore(part.rows, counts, absent, products, sketches, part.remarks)
    state.noise = part.step**2 / 6  # two ends, each a uniform error
    return state


def packed(numbers: Counts) -> bytes:
    """The eight bytes of each number, lowest first, sorted by their place; signs folded in."""
    flat = np.ascontiguousarray(numbers).ravel()
    folded = (flat << 1) ^ (flat >> 63)
    return folded.astype("<i8").view(np.uint8).reshape(-1, 8).T.tobytes()


def unpacked(data: bytes, count: int) -> Counts:
    """Numbers of `packed`. Raises: DriftStateError: they are not `count`."""
    if len(data) != count * 8:
        raise DriftStateError("the state does not have as many counts as its plan")
    folded = np.frombuffer(data, np.uint8).reshape(8, -1).T.copy().view("<i8").ravel()
    unfolded: Counts = ((folded.view(np.uint64) >> 1).view(np.int64) ^ -(folded & 1)).astype(
        np.int64
    )
    return unfolded
