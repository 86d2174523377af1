"""Images that an attack changed, as pictures for a report: before, after, and the difference.

They are values of rows. A plan has to ask for them, for pictures of people are personal data.
"""

import struct
import zlib
from base64 import b64decode, b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Shades = NDArray[np.uint8]
_GREY, _COLOURS = 1, 3


@dataclass(frozen=True, slots=True)
class Shown:
    """One image.

    Attributes:
        row: its place among the rows attacked from, from 1 on.
        before, after, difference: `data:` addresses of PNG files; of the difference, grey is no
            change, and the largest change is black or white.
        largest: change of a cell, a share of the range.
    """

    row: int
    distance: float
    before: str
    after: str
    difference: str
    largest: float


def shown(listed: Sequence[dict[str, Any]], shape: Sequence[int]) -> list[Shown]:
    """The pictures that a test listed; none where they are not of this shape.

    Args:
        listed: as an outcome lists them under `pictures`: cells as base64, a byte each.
        shape: rows, columns, and channels before or behind them.
    """
    made = []
    for one in listed:
        before, after = (_cells(str(one[name]), shape) for name in ("before", "after"))
        if before is None or after is None:
            return []
        moves = after.astype(np.float64) - before
        largest = float(np.abs(moves).max(initial=0.0))
        difference = np.round(127.5 + 127.5 * moves / (largest or 1.0)).astype(np.uint8)
        made.append(
            Shown(
                int(one["row"]) + 1, float(one["distance"]), _address(before), _address(after),
                _address(difference), largest / 255,
            )
        )  # fmt: skip
    return made


def _cells(text: str, shape: Sequence[int]) -> Shades | None:
    """Rows, columns, channels: one or three of these; None where the text does not fit."""
    try:
        flat = np.frombuffer(b64decode(text, validate=True), np.uint8)
        cells = flat.reshape(tuple(shape))
    except ValueError:
        return None
    if cells.ndim == 2:
        return cells[:, :, None]
    if cells.shape[2] not in {_GREY, _COLOURS} and cells.shape[0] in {_GREY, _COLOURS}:
        cells = cells.transpose(1, 2, 0)
    if cells.shape[2] not in {_GREY, _COLOURS}:  # some other number of channels: their mean
        cells = cells.mean(axis=2, keepdims=True).astype(np.uint8)
    return cells


def _address(cells: Shades) -> str:
    return f"data:image/png;base64,{b64encode(png(cells)).decode()}"


def png(cells: Shades) -> bytes:
    """A PNG file (W3C, "Portable Network Graphics", third edition) of rows, columns, channels.

    Args:
        cells: one channel, grey, or three, red, green and blue.
    """
    rows, columns, channels = cells.shape
    kind = 0 if channels == _GREY else 2
    lines = np.zeros((rows, 1 + columns * channels), np.uint8)  # no filter before each line
    lines[:, 1:] = cells.reshape(rows, -1)
    head = struct.pack(">IIBBBBB", columns, rows, 8, kind, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(lines.tobytes())), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))
        for name, body in parts
    )
