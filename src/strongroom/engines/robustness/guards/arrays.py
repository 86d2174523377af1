"""Numbers as bytes and back, for what is kept of guards: little-endian, finite, as many as told."""

import zlib
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.guards.conformal import MAX_KEPT
from strongroom.errors import ValidationError


def packed(data: bytes, magic: bytes, version: int) -> bytes:
    """The magic words, a version, and the data compressed."""
    return magic + bytes([version]) + zlib.compress(data, 6)


def unpacked(data: bytes, magic: bytes, version: int, most: int, name: str) -> bytes:
    """What `packed` was given.

    Args:
        most: bytes that are taken. name: what it should be, for errors.
    Raises: ValidationError: it is none, damaged, cut off, too large or of a later version.
    """
    if not data.startswith(magic) or len(data) <= len(magic):
        raise ValidationError(f"these bytes are no {name}")
    if data[len(magic)] != version:
        raise ValidationError(
            f"the {name} is of version {data[len(magic)]}, and this program knows {version}",
            next_step="use a newer Strongroom, or make it again",
        )
    reader = zlib.decompressobj()
    try:
        body = reader.decompress(data[len(magic) + 1 :], most)
    except zlib.error:
        raise ValidationError(f"the {name} is damaged") from None
    if not reader.eof or reader.unused_data:
        raise ValidationError(f"the {name} is cut off, too large, or has something after it")
    return body


def single(numbers: NDArray[np.float32]) -> bytes:
    """Numbers of four bytes."""
    return numbers.astype("<f4").tobytes()


def double(numbers: NDArray[np.float64]) -> bytes:
    """Numbers of eight bytes."""
    return numbers.astype("<f8").tobytes()


def singles(data: bytes, *shape: int) -> NDArray[np.float32]:
    """Finite numbers of a shape. Raises: ValidationError."""
    if len(data) != 4 * int(np.prod(shape)):
        raise ValidationError("there are not as many numbers as was said")
    return finite(np.frombuffer(data, "<f4").astype(np.float32)).reshape(shape)


def doubles(data: bytes, most: int) -> NDArray[np.float64]:
    """From 1 to `most` finite numbers. Raises: ValidationError."""
    if len(data) % 8 or not 0 < len(data) <= 8 * most:
        raise ValidationError("there are too few or too many numbers")
    return finite(np.frombuffer(data, "<f8").astype(np.float64))


def scores(data: bytes) -> NDArray[np.float64]:
    """Scores of a calibration: sorted and not too many. Raises: ValidationError."""
    return ascending(doubles(data, MAX_KEPT))


def finite(numbers: NDArray[Any]) -> NDArray[Any]:
    """The same. Raises: ValidationError: one is no number."""
    if not np.isfinite(numbers).all():
        raise ValidationError("something that is no number is among the numbers")
    return numbers


def ascending(numbers: NDArray[Any]) -> NDArray[Any]:
    """The same. Raises: ValidationError: they are not in order, along the last axis."""
    if (np.diff(numbers, axis=-1) < 0).any():
        raise ValidationError("numbers that should ascend do not")
    return numbers
