"""The state of a model as part of what is written: see `packing.py`.

Where the plan keeps small groups out, rows with scores are written in tens (its minimum count):
along the bins of each kind of row (predicted, label) every ten rows become one count where they lie
on average, and what is left goes on to the next bins. Sums are those of the counts then. So no
count is small, none can be reckoned from the others, and curves stay where they were.
"""

import math
import zlib

import msgspec

from strongroom.engines.drift.error_model import RegressionState
from strongroom.engines.drift.model_state import ModelState
from strongroom.engines.drift.multiclass import MAX_CLASSES, MulticlassState
from strongroom.engines.drift.plan import MAX_CATEGORY, MAX_NAME
from strongroom.engines.drift.scores import SCORE_BINS, ScoreState
from strongroom.engines.drift.slices import MAX_SLICES, OTHERS, SliceScores
from strongroom.engines.drift.state_packing import MAX_ROWS, in_tens, packed, unpacked
from strongroom.errors import DriftStateError

ROLES = ("prediction", "score", "label", "positive")
_MAX_SLICED = 100
"""Columns that rows are sliced by."""
_INTEGER_BYTES = 32
_ERROR_MINIMA = 100
"""Minimum counts that the rows of a private regression must be for its sums to be written."""


class ScorePart(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A state of scores; `step`: what its counts are multiples of, 0 where they are exact."""

    counts: bytes
    sums: bytes
    left_out: int
    step: int


class ErrorPart(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """Sums of a regression's errors, as bytes: they may pass 64 bits."""

    unit: float
    rows: int
    left_out: int
    sums: tuple[bytes, ...]


class ClassesPart(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A state of several classes: their names, a state each, and that of the chosen one."""

    names: tuple[str, ...]
    by_class: tuple[ScorePart, ...]
    chosen: ScorePart
    unlisted: int


class ModelPart(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """A state of a model."""

    columns: dict[str, str]
    scores: ScorePart
    slices: dict[str, dict[str, ScorePart]]
    errors: ErrorPart | None
    classes: ClassesPart | None = None


# ---- writing ----


def model_part(model: ModelState, minimum: int) -> ModelPart:
    """What is written of a model; `minimum`: of a count, 0 where all are."""
    slices = {
        column: {
            name: _score_part(one, minimum)
            for name, one in sliced.states.items()
            if name == OTHERS or (one.rows >= minimum and len(name) <= MAX_CATEGORY)
        }
        for column, sliced in list(model.slices.items())[:_MAX_SLICED]
    }
    columns = {role: model.columns[role][:MAX_NAME] for role in ROLES if model.columns.get(role)}
    return ModelPart(
        columns, _score_part(model.scores, minimum), slices, _error_part(model.errors, minimum),
        None if model.classes is None else _classes_part(model.classes, minimum),
    )  # fmt: skip


def _classes_part(state: MulticlassState, minimum: int) -> ClassesPart:
    return ClassesPart(
        state.classes, tuple(_score_part(one, minimum) for one in state.by_class.values()),
        _score_part(state.chosen, minimum),
        _nearest(state.unlisted, minimum) if minimum > 1 else state.unlisted,
    )  # fmt: skip


def _score_part(state: ScoreState, minimum: int) -> ScorePart:
    kept = scores_in_tens(state, minimum) if minimum > 1 else state
    return ScorePart(packed(kept.counts), packed(kept.sums), kept.left_out, kept.step)


def scores_in_tens(state: ScoreState, minimum: int) -> ScoreState:
    """The same scores with every count a multiple of `minimum`, and nothing finer in the sums."""
    found = ScoreState()
    for said in range(2):
        for label in range(3):
            counts = state.counts[said, label]
            found.counts[said, label] = in_tens(counts, minimum, to_nearest=True)
    found.recount_sums()
    found.left_out = _nearest(state.left_out, minimum)
    found.step = minimum
    return found


def _nearest(count: int, minimum: int) -> int:
    return (count + minimum // 2) // minimum * minimum


def _error_part(state: RegressionState | None, minimum: int) -> ErrorPart | None:
    """Sums of so many rows that one among them hardly shows, and no count of few."""
    if state is None or state.rows < _ERROR_MINIMA * minimum:
        return None
    rows = _nearest(state.rows, minimum) if minimum > 1 else state.rows
    left_out = _nearest(state.left_out, minimum) if minimum > 1 else state.left_out
    sums = state.sums
    if minimum > 1:
        # To what the mean row adds: of a thousand rows a thousandth.
        sums = [_coarse(one * rows // state.rows, rows) for one in sums]
    return ErrorPart(
        state.unit, rows, left_out,
        tuple(one.to_bytes(_INTEGER_BYTES, "little", signed=True) for one in sums),
    )  # fmt: skip


def _coarse(value: int, rows: int) -> int:
    step = 1 << max((abs(value) // rows).bit_length() - 1, 0)
    return value // step * step


# ---- reading ----


def model_of(part: ModelPart) -> ModelState:
    """The model that was written. Raises: DriftStateError: it makes no sense."""
    sound = (
        set(part.columns) <= set(ROLES)
        and len(part.slices) <= _MAX_SLICED
        and all(len(one) <= MAX_NAME for one in [*part.columns.values(), *part.slices])
        and all(
            OTHERS in states
            and len(states) <= MAX_SLICES + 1
            and all(len(name) <= MAX_CATEGORY for name in states)
            for states in part.slices.values()
        )
    )
    if not sound:
        raise DriftStateError("what the state keeps of a model makes no sense")
    slices = {}
    for column, states in part.slices.items():
        sliced = SliceScores(column, [name for name in states if name != OTHERS])
        sliced.states = {name: _scores_of(states[name]) for name in sliced.states}
        slices[column] = sliced
    return ModelState(
        part.columns, _scores_of(part.scores), slices, _errors_of(part.errors),
        None if part.classes is None else _classes_of(part.classes),
    )  # fmt: skip


def _classes_of(part: ClassesPart) -> MulticlassState:
    sound = (
        2 <= len(part.names) == len(part.by_class) <= MAX_CLASSES
        and len(set(part.names)) == len(part.names)
        and all(len(name) <= MAX_CATEGORY for name in part.names)
        and 0 <= part.unlisted <= MAX_ROWS
    )
    if not sound:
        raise DriftStateError("the classes of the state make no sense")
    found = MulticlassState(part.names)
    states = (_scores_of(one) for one in part.by_class)
    found.by_class = dict(zip(part.names, states, strict=True))
    found.chosen, found.unlisted = _scores_of(part.chosen), part.unlisted
    return found


def _scores_of(part: ScorePart) -> ScoreState:
    found = ScoreState()
    found.counts = unpacked(part.counts, found.counts.size).reshape(found.counts.shape)
    found.sums = unpacked(part.sums, found.sums.size).reshape(found.sums.shape)
    found.left_out, found.step = part.left_out, part.step
    counts = found.counts
    if not (
        ((counts >= 0) & (counts <= MAX_ROWS // (6 * SCORE_BINS))).all()
        and 0 <= part.left_out <= MAX_ROWS
        and 0 <= part.step <= 1_000_000
        and found.sums_fit()
    ):
        raise DriftStateError("the counts of scores make no sense")
    return found


def _errors_of(part: ErrorPart | None) -> RegressionState | None:
    if part is None:
        return None
    sums = [int.from_bytes(one, "little", signed=True) for one in part.sums]
    if not (math.isfinite(part.unit) and 0 < part.unit < math.inf):
        raise DriftStateError("the sums of errors make no sense")
    found = RegressionState(part.unit)
    found.rows, found.left_out = part.rows, part.left_out
    if not (
        found.unit == part.unit
        and len(sums) == len(found.sums)
        and all(len(one) == _INTEGER_BYTES for one in part.sums)
        and 0 < part.rows <= MAX_ROWS
        and 0 <= part.left_out <= MAX_ROWS
        and all(abs(one) <= part.rows << 50 for one in sums[:3])
        and all(0 <= one <= part.rows << 100 for one in sums[3:])
        and abs(sums[0]) <= sums[1]
    ):
        raise DriftStateError("the sums of errors make no sense")
    found.sums = sums
    return found


# ---- classes on their own ----

CLASSES_MAGIC = b"strongroom classes\x00"
CLASSES_VERSION = 1
_MAX_CLASSES_BYTES = 8 << 20
"""Unpacked: a hundred classes take some two million."""


def classes_to_bytes(state: MulticlassState, minimum: int) -> bytes:
    """The state of several classes by itself; `minimum`: rows of the smallest count, 0 for any."""
    body = msgspec.msgpack.encode(_classes_part(state, minimum))
    return CLASSES_MAGIC + bytes([CLASSES_VERSION]) + zlib.compress(body, 6)


def classes_from_bytes(data: bytes) -> MulticlassState:
    """What `classes_to_bytes` wrote. Raises: DriftStateError: it is none, or damaged."""
    start = CLASSES_MAGIC + bytes([CLASSES_VERSION])
    if not data.startswith(start):
        raise DriftStateError("these bytes are no state of classes that this program knows")
    reader = zlib.decompressobj()
    try:
        body = reader.decompress(data[len(start) :], _MAX_CLASSES_BYTES)
        if not reader.eof or reader.unused_data:
            raise DriftStateError("the state is cut off, too large, or has something after it")
        return _classes_of(msgspec.msgpack.decode(body, type=ClassesPart))
    except (zlib.error, msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise DriftStateError("the state is damaged") from None
