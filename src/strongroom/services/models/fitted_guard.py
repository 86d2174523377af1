"""The guard of a model version as one sealed piece: what it was fitted for, and its fitted parts.

It holds rows, or means of a few, so it is as sensitive as the data that it was fitted on: it leaves
the blob store into the memory of the server, and nowhere else.
"""

from dataclasses import dataclass
from typing import Any

import msgspec
import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.guards import arrays, packing, traffic_packing
from strongroom.engines.robustness.guards.guard import Guard
from strongroom.engines.robustness.guards.traffic import Traffic
from strongroom.engines.robustness.space import Feature, Space
from strongroom.engines.robustness.target import Rows
from strongroom.errors import ValidationError

MAX_BYTES = 512 << 20
"""Of a guard with its traffic, unpacked."""
_MAGIC = b"strongroom model guard\x00"
_VERSION = 1


Batch = NDArray[Any] | list[NDArray[Any]]
"""Rows as an endpoint takes them: a table, or a column for each feature."""


class _Number(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    name: str
    low: float
    high: float
    levels: tuple[str, ...]


class _Document(msgspec.Struct, frozen=True, array_like=True, forbid_unknown_fields=True):
    """What is written."""

    digest: str
    features: tuple[_Number, ...]
    classes: tuple[str, ...]
    tells_of_private: bool
    guard: bytes
    traffic: bytes


@dataclass(frozen=True, slots=True)
class FittedGuard:
    """A guard and what it belongs to.

    Attributes:
        digest: of the model version whose answers it was fitted to.
        space: how rows become its coordinates.
        classes: in the order of the model's answers.
        tells_of_private: it was fitted on rows of a dataset that the model was trained on with
            differential privacy: what it refuses is no part of what was paid.
        traffic: None where there were too few rows to know honest callers by.
    """

    digest: str
    space: Space
    classes: tuple[str, ...]
    tells_of_private: bool
    guard: Guard
    traffic: Traffic | None

    def to_bytes(self) -> bytes:
        """The guard, to be sealed."""
        features = tuple(
            _Number(one.name, float(one.low), float(one.high), one.levels) for one in self.features
        )
        document = _Document(
            self.digest, features, self.classes, self.tells_of_private,
            packing.to_bytes(self.guard),
            b"" if self.traffic is None else traffic_packing.to_bytes(self.traffic),
        )  # fmt: skip
        return arrays.packed(msgspec.msgpack.encode(document), _MAGIC, _VERSION)

    @classmethod
    def from_bytes(cls, data: bytes) -> "FittedGuard":
        """The guard that was written.

        Raises: ValidationError: it is none, damaged, too large, or its parts do not fit together.
        """
        body = arrays.unpacked(data, _MAGIC, _VERSION, MAX_BYTES, "guard of a model")
        try:
            found = msgspec.msgpack.decode(body, type=_Document)
        except (msgspec.DecodeError, RecursionError, UnicodeDecodeError):
            raise ValidationError("the guard of the model is damaged") from None
        space = Space([Feature(one.name, one.low, one.high, one.levels) for one in found.features])
        guard = packing.from_bytes(found.guard)
        traffic = traffic_packing.from_bytes(found.traffic) if found.traffic else None
        widths = {space.width, len(guard.middles)}
        widths |= set() if traffic is None else {len(traffic.middles)}
        if len(widths) > 1 or guard.classes != len(found.classes):
            raise ValidationError("the parts of the guard do not fit together")
        return cls(found.digest, space, found.classes, found.tells_of_private, guard, traffic)

    @property
    def features(self) -> tuple[Feature, ...]:
        """What a row holds, in order."""
        return self.space.features


class Coder:
    """Values as an endpoint takes them → coordinates of a guard's space.

    It knows no error: a category that nobody saw has no coordinate, and so lies far from every row.
    """

    def __init__(self, space: Space) -> None:
        self._space = space
        self._width = space.width
        lows = [one.low for one in space.features]
        spans = [one.high - one.low or 1.0 for one in space.features]
        self._lows, self._spans = np.array(lows), np.array(spans)
        self._features = [
            (space.places[one.name].start, {level: at for at, level in enumerate(one.levels)})
            for one in space.features
        ]
        self._is_numbers = all(not one.levels for one in space.features)

    def rows(self, batch: Batch) -> Rows:
        """A table, (rows, features), or a column for each feature, as points."""
        if not isinstance(batch, list):
            if self._is_numbers:
                with np.errstate(over="ignore"):  # what is far off is cut later
                    return np.asarray((batch - self._lows) / self._spans)
            batch = list(batch.T)
        points = np.zeros((len(batch[0]), self._width))
        for place, (start, levels) in enumerate(self._features):
            if levels:
                at = np.array([levels.get(str(one), -1) for one in batch[place].tolist()])
                known = np.flatnonzero(at >= 0)
                points[known, start + at[known]] = 1.0
            else:
                values = np.asarray(batch[place], dtype=np.float64)
                with np.errstate(over="ignore"):
                    points[:, start] = (values - self._lows[place]) / self._spans[place]
        return points

    def values(self, points: Rows, like: Batch) -> Batch:
        """Points as values, in the form of `like`, which may have other rows."""
        found = self._space.decode(points)
        columns = [found[one.name] for one in self._space.features]
        if isinstance(like, list):
            return [
                made if own.dtype == object else _as(made, own.dtype)
                for made, own in zip(columns, like, strict=True)
            ]
        return np.column_stack(columns).astype(like.dtype)


def _as(values: NDArray[Any], kind: np.dtype[Any]) -> NDArray[Any]:
    """Numbers of another kind: whole ones are the nearest."""
    return (np.rint(values) if kind.kind in "iub" else values).astype(kind)
