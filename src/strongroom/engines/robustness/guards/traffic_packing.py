"""Natural traffic as bytes, as `packing.py` writes guards: versioned, read with suspicion."""

from dataclasses import asdict

import msgspec
import numpy as np

from strongroom.engines.robustness.guards import arrays
from strongroom.engines.robustness.guards.callers import CELLS, SKETCH
from strongroom.engines.robustness.guards.gaussians import Gaussians
from strongroom.engines.robustness.guards.guard import Marginal
from strongroom.engines.robustness.guards.traffic import (
    MAX_LENGTH,
    SIGNALS,
    Habits,
    Traffic,
    require_habits,
)
from strongroom.engines.robustness.space import MAX_LEVELS, MAX_WIDTH
from strongroom.errors import ValidationError

MAGIC = b"strongroom traffic\x00"
VERSION = 1
"""Grows when the bytes change; a reader knows those up to its own."""
MAX_BYTES = 256 << 20
"""Of a traffic, unpacked."""


class _Habits(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    repeats: float
    edits: float
    length: int
    streams: int
    rate: float


class _Document(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is written."""

    habits: _Habits
    width: int
    known: int
    middles: bytes
    projection: bytes
    cells: bytes
    whitener: bytes
    centres: bytes
    oddness: bytes
    close: float
    usual: float
    edge: float
    touched: bytes
    honest: tuple[tuple[float, bytes], ...]
    streams: bytes


def to_bytes(traffic: Traffic) -> bytes:
    """The traffic: means of rows, a scatter, quantiles and scores; seal it like its data."""
    document = _Document(
        _Habits(**asdict(traffic.habits)), len(traffic.middles), len(traffic.gaussians.centres),
        arrays.single(traffic.middles), arrays.single(traffic.projection),
        arrays.single(traffic.cells), arrays.single(traffic.gaussians.whitener),
        arrays.single(traffic.gaussians.centres), arrays.double(traffic.oddness), traffic.close,
        traffic.usual,
        traffic.edge, arrays.double(traffic.touched),
        tuple((one.scale, arrays.double(one.scores)) for one in traffic.honest),
        arrays.double(traffic.streams),
    )  # fmt: skip
    return arrays.packed(msgspec.msgpack.encode(document), MAGIC, VERSION)


def from_bytes(data: bytes) -> Traffic:
    """The traffic that was written.

    Raises: ValidationError: it is none, damaged, too large, or of a later version.
    """
    document = _read(data)
    width, known = document.width, document.known
    cells = len(document.cells) // (4 * SKETCH)
    if not (0 < width <= MAX_WIDTH and 0 < known <= MAX_LEVELS and 0 < cells <= CELLS):
        raise ValidationError("the sizes of the traffic make no sense")
    if len(document.honest) != len(SIGNALS):
        raise ValidationError("the traffic has another number of signals")
    habits = Habits(**msgspec.structs.asdict(document.habits))
    require_habits(habits)
    numbers = [document.close, document.edge, *(scale for scale, _ in document.honest)]
    if not (
        np.isfinite(numbers).all()
        and min(numbers) >= 0
        and min(numbers[2:]) > 0
        and 0 < document.usual < 1
    ):
        raise ValidationError("a number of the traffic makes no sense")
    return Traffic(
        habits,
        arrays.singles(document.middles, width),
        arrays.singles(document.projection, width, SKETCH),
        arrays.singles(document.cells, cells, SKETCH),
        Gaussians(
            arrays.singles(document.whitener, width, width),
            arrays.singles(document.centres, known, width),
        ),
        arrays.scores(document.oddness),
        document.close,
        document.usual,
        document.edge,
        arrays.ascending(arrays.doubles(document.touched, MAX_LENGTH + 1)),
        tuple(Marginal(arrays.scores(scores), scale) for scale, scores in document.honest),
        arrays.scores(document.streams),
    )


def _read(data: bytes) -> _Document:
    body = arrays.unpacked(data, MAGIC, VERSION, MAX_BYTES, "traffic")
    try:
        return msgspec.msgpack.decode(body, type=_Document)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise ValidationError("the traffic is damaged") from None
