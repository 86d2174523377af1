"""What was counted as bytes: versioned, compact, and read with suspicion.

The magic words and a version, then a compressed MessagePack array: the plan, the state, and where
there are any its windows and the state of the model. See `state_packing.py` and `model_packing.py`
for how small counts stay behind.

The state of all rows is not written beside its windows: the difference would tell what they hide.
It is their sum, and that of the rows in no window. By a private plan a window with too few rows for
its counts to mean much goes to these.
"""

import zlib
from dataclasses import dataclass

import msgspec

from strongroom.engines.drift.model_packing import ModelPart, model_of, model_part
from strongroom.engines.drift.model_state import ModelState
from strongroom.engines.drift.plan import MAX_COLUMNS, Plan
from strongroom.engines.drift.state import MAX_REMARKS, State, merged
from strongroom.engines.drift.state_packing import PAIRED_MINIMA, StatePart, state_of, state_part
from strongroom.engines.drift.windows import Every, Windows
from strongroom.errors import DriftStateError

MAGIC = b"strongroom drift\x00"
VERSION = 3
"""Grows when the bytes change; a reader knows those up to its own. The first had no windows, the
second no classes."""
MAX_BYTES = 64 << 20
"""Of a state, unpacked."""
MAX_WINDOWS = 1_000
_MAX_NUMBER = 1 << 40


@dataclass(slots=True)
class Kept:
    """A sample as it is kept.

    Attributes:
        state: of all rows.
        windows: parts of it, by number or by phase; None where it was not split.
        by_phase: windows are numbered by their place in the season.
        untimed: rows in no window.
        model: what was counted of a model.
    """

    state: State
    windows: Windows | None = None
    by_phase: bool = False
    untimed: State | None = None
    model: ModelState | None = None


class _First(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What the first version wrote."""

    digest: bytes
    plan: Plan | None
    rows: int
    counts: bytes
    absent: bytes
    products: bytes
    unseen: dict[int, bytes]
    remarks: tuple[str, ...]


class _Document(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is written; `rest` is of all rows, or of those in no window."""

    digest: bytes
    plan: Plan | None
    rest: StatePart
    every: str = ""
    by_phase: bool = False
    windows: tuple[tuple[int, StatePart], ...] = ()
    model: ModelPart | None = None


def to_bytes(sample: State | Kept, *, with_plan: bool = True) -> bytes:
    """The sample, and its plan unless that is kept elsewhere; see `state_part` for what stays.

    Raises: DriftStateError: it would be larger than a reader takes.
    """
    kept = Kept(sample) if isinstance(sample, State) else sample
    plan = kept.state.plan
    rest, every = kept.state, ""
    windows: list[tuple[int, StatePart]] = []
    if kept.windows is not None:
        every = kept.windows.every.value
        rest = merged([kept.untimed] if kept.untimed is not None else [], plan)
        for at, one in kept.windows:
            if _is_thin(one):
                rest.merge(one)
            else:
                windows.append((at, state_part(one, is_window=True)))
    document = _Document(
        plan.digest(), plan if with_plan else None, state_part(rest), every, kept.by_phase,
        tuple(windows), None if kept.model is None else model_part(kept.model, plan.minimum_count),
    )  # fmt: skip
    body = msgspec.msgpack.encode(document)
    if len(body) > MAX_BYTES or len(windows) > MAX_WINDOWS:
        raise DriftStateError("the state is too large", next_step="take fewer or longer windows")
    return MAGIC + bytes([VERSION]) + zlib.compress(body, 6)


def thin_windows(kept: Kept) -> int:
    """Windows with rows that `to_bytes` does not keep apart."""
    return sum(1 for _, one in kept.windows or () if one.rows and _is_thin(one))


def _is_thin(window: State) -> bool:
    return window.rows < PAIRED_MINIMA * window.plan.minimum_count


def is_state(start: bytes) -> bool:
    """Whether a file that begins so is a state."""
    return start.startswith(MAGIC)


def from_bytes(data: bytes, plan: Plan | None = None) -> State:
    """The state of all rows that was written; see `kept_from_bytes`."""
    return kept_from_bytes(data, plan).state


def kept_from_bytes(data: bytes, plan: Plan | None = None) -> Kept:
    """The sample that was written.

    Args:
        plan: where it was written without one; it must be the same.

    Raises: DriftStateError: it is no state, damaged, of a later version, or of another plan.
    """
    if not is_state(data) or len(data) <= len(MAGIC):
        raise DriftStateError("these bytes are no drift state")
    version = data[len(MAGIC)]
    if not 1 <= version <= VERSION:
        raise DriftStateError(
            f"the state is of version {version}, and this program knows {VERSION}",
            next_step="use a newer Strongroom, or make the state again",
        )
    document = _read(data[len(MAGIC) + 1 :], version)
    plan = _plan_of(document, plan)
    rest = state_of(_with_doubt(document.rest) if version < _WHOLE_TAILS and plan.is_private
                    else document.rest, plan)  # fmt: skip
    model = None if document.model is None else model_of(document.model)
    if not document.every:
        if document.windows:
            raise DriftStateError("the state has windows of no length")
        return Kept(rest, model=model)
    windows = _windows_of(document, plan)
    whole = merged([rest, *(one for _, one in windows)], plan)
    return Kept(whole, windows, document.by_phase, rest, model)


_WHOLE_TAILS = 3
"""Version from which small counts go to their neighbours instead of being left out."""


def _with_doubt(part: StatePart) -> StatePart:
    """A part that lacks its small counts, with a remark that says what follows from it."""
    told = "an earlier version left small counts out of this state: of few rows it may tell changes"
    remarks = (*part.remarks[: MAX_REMARKS - 1], f"{told} that are none; make it again")
    return msgspec.structs.replace(part, remarks=remarks)


def _windows_of(document: _Document, plan: Plan) -> Windows:
    numbers = [at for at, _ in document.windows]
    if (
        document.every not in set(Every)
        or len(numbers) > MAX_WINDOWS
        or numbers != sorted(set(numbers))
        or any(abs(at) > _MAX_NUMBER for at in numbers)
    ):
        raise DriftStateError("the windows of the state make no sense")
    windows = Windows(plan, Every(document.every))
    for at, part in document.windows:
        windows.add(at, state_of(part, plan))
    return windows


def _read(packed: bytes, version: int) -> _Document:
    reader = zlib.decompressobj()
    try:
        body = reader.decompress(packed, MAX_BYTES)
        if not reader.eof or reader.unused_data:
            raise DriftStateError("the state is cut off, too large, or has something after it")
        if version > 1:
            return msgspec.msgpack.decode(body, type=_Document)
        first = msgspec.msgpack.decode(body, type=_First)
    except (zlib.error, msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise DriftStateError("the state is damaged") from None
    rest = StatePart(
        first.rows, first.counts, first.absent, first.products, first.unseen, first.remarks
    )
    return _Document(first.digest, first.plan, rest)


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
