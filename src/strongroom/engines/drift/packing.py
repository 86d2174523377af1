"""A state as bytes: versioned, compact, and read with suspicion.

The magic words and a version, then a compressed MessagePack array. Counts are written as the bytes
of their numbers, all lowest bytes first, which compress to little more than they tell. Where the
plan keeps small groups out, counts below its minimum are written as 0; where their sum, which is
what a column lacks to all rows, would tell one of them, it goes to the largest count. Sums of
products are rounded to more than so few rows can add.
"""

import zlib

import msgspec
import numpy as np

from strongroom.engines.drift import unseen
from strongroom.engines.drift.plan import HALF_RANK, MAX_COLUMNS, MAX_NAME, WIDTH, Counts, Plan
from strongroom.engines.drift.state import MAX_REMARKS, State
from strongroom.errors import DriftStateError

MAGIC = b"strongroom drift\x00"
VERSION = 1
"""Grows when the bytes change; a reader knows those up to its own."""
MAX_BYTES = 64 << 20
"""Of a state, unpacked."""
_MAX_ROWS = 1 << 53
_PAIRED_MINIMA = 100
"""Minimum counts that a private state's rows must be for its pairs to be written: in fewer, what is
rounded away would weigh like the scatter of the rows."""


class _Document(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is written."""

    digest: bytes
    plan: Plan | None
    rows: int
    counts: bytes
    absent: bytes
    products: bytes
    unseen: dict[int, bytes]
    remarks: tuple[str, ...]


def to_bytes(state: State, *, with_plan: bool = True) -> bytes:
    """The state, and its plan unless that is kept elsewhere.

    By a private plan the small counts and the sketches of unlisted values stay behind, and a state
    of fewer rows than the minimum is written as an empty one.
    """
    plan = state.plan
    rows, counts, absent, products = state.rows, state.counts, state.absent, state.products
    sketches = dict(state.sketches)
    if plan.is_private:
        sketches = {}
        if rows < plan.minimum_count:
            rows = 0
            counts, absent = np.zeros_like(counts), np.zeros_like(absent)
        everywhere = suppressed(np.column_stack([counts, absent]), plan.minimum_count)
        counts, absent = everywhere[:, :-1], everywhere[:, -1]
        products = _rounded(products, rows, plan.minimum_count)
    upper = np.triu_indices(len(products))
    document = _Document(
        plan.digest(), plan if with_plan else None, rows, _packed(counts), _packed(absent),
        _packed(products[upper]), {at: _packed(one) for at, one in sketches.items()},
        tuple(sorted(state.remarks)),
    )  # fmt: skip
    return MAGIC + bytes([VERSION]) + zlib.compress(msgspec.msgpack.encode(document), 6)


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
    if rows < _PAIRED_MINIMA * minimum:
        return np.zeros_like(products)
    step = minimum * HALF_RANK**2
    return np.rint(products / step).astype(np.int64) * step


def is_state(start: bytes) -> bool:
    """Whether a file that begins so is a state."""
    return start.startswith(MAGIC)


def from_bytes(data: bytes, plan: Plan | None = None) -> State:
    """The state that was written.

    Args:
        plan: where it was written without one; it must be the same.

    Raises: DriftStateError: it is no state, damaged, of a later version, or of another plan.
    """
    if not is_state(data) or len(data) <= len(MAGIC):
        raise DriftStateError("these bytes are no drift state")
    version = data[len(MAGIC)]
    if version != VERSION:
        raise DriftStateError(
            f"the state is of version {version}, and this program knows {VERSION}",
            next_step="use a newer Strongroom, or make the state again",
        )
    document = _read(data[len(MAGIC) + 1 :])
    plan = _plan_of(document, plan)
    columns, paired = len(plan.columns), len(plan.paired)
    counts = _unpacked(document.counts, columns * WIDTH).reshape(columns, WIDTH)
    absent = _unpacked(document.absent, columns)
    upper = np.triu_indices(paired)
    products = np.zeros((paired, paired), np.int64)
    products[upper] = _unpacked(document.products, len(upper[0]))
    products = np.triu(products) + np.triu(products, 1).T
    sketches = {
        at: _unpacked(one, int(np.prod(unseen.SHAPE))).reshape(unseen.SHAPE)
        for at, one in document.unseen.items()
    }
    sound = (
        0 <= document.rows <= _MAX_ROWS
        and ((counts >= 0) & (counts <= document.rows)).all()  # their sum cannot overflow then
        and ((absent >= 0) & (absent <= document.rows)).all()
        and (np.abs(products.astype(np.float64)) <= 2.0 * document.rows * HALF_RANK**2).all()
        and (counts.sum(axis=1) + absent <= document.rows).all()
        and all(0 <= at < columns for at in sketches)
        and all(((one >= 0) & (one <= document.rows)).all() for one in sketches.values())
        and len(document.remarks) <= MAX_REMARKS
        and all(len(one) <= 4 * MAX_NAME for one in document.remarks)
    )
    if not sound:
        raise DriftStateError("the counts of the state make no sense")
    state = State(plan)
    state.restore(document.rows, counts, absent, products, sketches, document.remarks)
    return state


def _read(packed: bytes) -> _Document:
    reader = zlib.decompressobj()
    try:
        body = reader.decompress(packed, MAX_BYTES)
        if not reader.eof or reader.unused_data:
            raise DriftStateError("the state is cut off, too large, or has something after it")
        return msgspec.msgpack.decode(body, type=_Document)
    except (zlib.error, msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise DriftStateError("the state is damaged") from None


def _plan_of(document: _Document, known: Plan | None) -> Plan:
    plan = document.plan or known
    if plan is None:
        raise DriftStateError(
            "the state was written without its plan", next_step="give its reference as well"
        )
    if len(plan.columns) > MAX_COLUMNS or plan.digest() != document.digest:
        raise DriftStateError("the state belongs to another plan")
    if document.plan is not None:
        plan.require_sound()
        if known is not None and known != plan:
            raise DriftStateError("the state belongs to another plan")
    return plan


def _packed(numbers: Counts) -> bytes:
    """The eight bytes of each number, lowest first, sorted by their place; signs folded in."""
    flat = np.ascontiguousarray(numbers).ravel()
    folded = (flat << 1) ^ (flat >> 63)
    return folded.astype("<i8").view(np.uint8).reshape(-1, 8).T.tobytes()


def _unpacked(data: bytes, count: int) -> Counts:
    if len(data) != count * 8:
        raise DriftStateError("the state does not have as many counts as its plan")
    folded = np.frombuffer(data, np.uint8).reshape(8, -1).T.copy().view("<i8").ravel()
    unfolded: Counts = ((folded.view(np.uint64) >> 1).view(np.int64) ^ -(folded & 1)).astype(
        np.int64
    )
    return unfolded
