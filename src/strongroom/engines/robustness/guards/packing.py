"""A guard as bytes: versioned, without a pickle, and read with suspicion.

The magic words and a version, then compressed MessagePack. Numbers are little-endian bytes whose
count follows from the sizes written before them; nothing is taken that is not finite.
"""

from dataclasses import asdict
from itertools import pairwise
from typing import Literal

import msgspec
import numpy as np

from strongroom.engines.robustness.guards import arrays
from strongroom.engines.robustness.guards.gaussians import Gaussians
from strongroom.engines.robustness.guards.guard import Guard, Marginal, Settings
from strongroom.engines.robustness.guards.neighbours import MAX_POINTS, Neighbours
from strongroom.engines.robustness.guards.squeezing import BINS, Squeezer
from strongroom.engines.robustness.space import MAX_LEVELS, MAX_WIDTH
from strongroom.errors import ValidationError

MAGIC = b"strongroom guard\x00"
VERSION = 1
"""Grows when the bytes change; a reader knows those up to its own."""
MAX_BYTES = 256 << 20
"""Of a guard, unpacked."""
_MARGINALS = {False: 4, True: 5}


class _Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    rate: float
    over: Literal["right", "all"]
    group: int
    is_squeezing: bool
    distance_share: float


class _Document(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is written."""

    settings: _Settings
    width: int
    classes: int
    known: int
    starts: tuple[int, ...]
    middles: bytes
    points: bytes
    whitener: bytes
    centres: bytes
    edges: bytes
    bins: bytes
    marginals: tuple[tuple[float, bytes], ...]
    calibration: bytes


def to_bytes(guard: Guard) -> bytes:
    """The guard; it holds what `Guard` says it keeps of data, so seal it."""
    document = _Document(
        _Settings(**asdict(guard.settings)), len(guard.middles), guard.classes,
        len(guard.gaussians.centres), tuple(guard.neighbours.starts.tolist()),
        arrays.single(guard.middles), arrays.single(guard.neighbours.points),
        arrays.single(guard.gaussians.whitener), arrays.single(guard.gaussians.centres),
        arrays.single(guard.squeezer.edges), arrays.single(guard.squeezer.middles),
        tuple((one.scale, arrays.double(one.scores)) for one in guard.marginals),
        arrays.double(guard.calibration),
    )  # fmt: skip
    return arrays.packed(msgspec.msgpack.encode(document), MAGIC, VERSION)


def from_bytes(data: bytes) -> Guard:
    """The guard that was written.

    Raises: ValidationError: it is no guard, damaged, too large, or of a later version.
    """
    document = _read(data)
    width, classes, starts = document.width, document.classes, document.starts
    if not (0 < width <= MAX_WIDTH and 2 <= classes <= MAX_LEVELS and len(starts) == classes + 1):
        raise ValidationError("the sizes of the guard make no sense")
    if not (1 <= document.known <= classes and _is_ascending(starts)):
        raise ValidationError("the sizes of the guard make no sense")
    settings = Settings(**msgspec.structs.asdict(document.settings))
    _require_settings(settings)
    if len(document.marginals) != _MARGINALS[settings.is_squeezing]:
        raise ValidationError("the guard has another number of signals than it says")
    return Guard(
        settings,
        classes,
        arrays.singles(document.middles, width),
        Neighbours.of(
            arrays.singles(document.points, starts[-1], width), np.array(starts, dtype=np.int64),
            settings.group,
        ),
        Gaussians(
            arrays.singles(document.whitener, width, width),
            arrays.singles(document.centres, document.known, width),
        ),
        Squeezer(
            arrays.ascending(arrays.singles(document.edges, width, BINS - 1)),
            arrays.singles(document.bins, width, BINS),
        ),
        tuple(_marginal(scale, scores) for scale, scores in document.marginals),
        arrays.scores(document.calibration),
    )  # fmt: skip


def _read(data: bytes) -> _Document:
    body = arrays.unpacked(data, MAGIC, VERSION, MAX_BYTES, "guard")
    try:
        return msgspec.msgpack.decode(body, type=_Document)
    except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
        raise ValidationError("the guard is damaged") from None


def _require_settings(settings: Settings) -> None:
    sound = (
        0 < settings.rate <= 0.5
        and 0 < settings.distance_share < 0.5
        and 1 <= settings.group <= 100
    )
    if not sound:
        raise ValidationError("the settings of the guard make no sense")


def _is_ascending(starts: tuple[int, ...]) -> bool:
    return (
        starts[0] == 0
        and 0 < starts[-1] <= 2 * MAX_POINTS
        and all(a <= b for a, b in pairwise(starts))
    )


def _marginal(scale: float, scores: bytes) -> Marginal:
    if not 0 < scale < 1e300:
        raise ValidationError("a scale of the guard makes no sense")
    return Marginal(arrays.scores(scores), scale)
