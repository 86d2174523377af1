"""Training rows in bytes: numbers that stand beside each other in a file as they do in a row.

No format is parsed: whatever layout keeps a row, its numbers lie side by side (or one column
apart), as 64- or 32-bit floats or as text, as they were or scaled. What is packed is unpacked.
"""

import bz2
import io
import lzma
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Rows

MAX_BYTES = 64 << 20
"""Looked at, of all files together, unpacked."""
MAX_ROWS = 2_000
FEWEST_FEATURES = 3
_MOST_FEATURES = 6
FEWEST_VALUES = 20
"""Of the column that has most: rows of fewer are not told from other numbers."""
_DEPTH = 2
_MOST_TRIES = 20_000_000
_EXACT, _ROUGH = 1e-9, 1e-5
"""By which a number may differ, in shares of its column's range: as it was, and scaled."""
_NUMBER = re.compile(rb"-?\d+(?:\.\d+)?(?:[eE][-+]?\d+)?")
_TEXT_SAMPLE = 4_096
_MOST_TEXT = 4 << 20
_BROKEN = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, OSError, EOFError, ValueError, RuntimeError,
    NotImplementedError, struct.error, OverflowError, KeyError,
)  # fmt: skip
Numbers = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Rows that are looked for.

    Attributes:
        forms: (rows, features) as they were, and as usual scalers make them; with how far a
            number may differ.
        stride: rows of the table they come from, of which columns may lie apart.
    """

    forms: tuple[tuple[Numbers, float], ...]
    stride: int


def number_run(space: Space) -> list[int]:
    """Places of the features that are looked for: numbers that stand beside each other."""
    runs: list[list[int]] = [[]]
    for place, one in enumerate(space.features):
        if one.levels or one.high <= one.low:
            runs.append([])
        else:
            runs[-1].append(place)
    return max(runs, key=len)[:_MOST_FEATURES]


def wanted(values: Numbers, chosen: NDArray[np.intp]) -> Wanted:
    """Some rows of a table of numbers, in the forms in which models keep them.

    Args:
        values: (rows, features), finite, no column constant.
        chosen: places of the rows that are looked for.
    """
    low, high = values.min(axis=0), values.max(axis=0)
    spread = values.std(axis=0)
    forms = [(values, _EXACT)]
    forms += [
        ((values - values.mean(axis=0)) / spread, _ROUGH),
        ((values - low) / (high - low), _ROUGH),
    ]
    return Wanted(tuple((one[chosen], exact) for one, exact in forms), len(values))


def found_in(
    files: Mapping[str, bytes], looked_for: Wanted, tell: Callable[[], None] = lambda: None
) -> dict[int, str]:
    """Place in `looked_for` → the first file that holds the row.

    Args:
        tell: called now and then; what it raises ends the search.
    """
    found: dict[int, str] = {}
    left = MAX_BYTES
    for name, data in files.items():
        for piece in _opened(data, left):
            left -= len(piece)
            for numbers, stride, is_single in _numbers(piece, looked_for.stride):
                tell()
                for place in _matched(numbers, looked_for, stride, is_single=is_single):
                    found.setdefault(place, name)
            if left <= 0:
                return found
    return found


def can_be_told(values: Numbers) -> bool:
    """Whether rows are of such numbers that one is not met by chance."""
    return (
        values.shape[1] >= FEWEST_FEATURES
        and bool(np.ptp(values, axis=0).all())
        and max(len(np.unique(column)) for column in values.T) >= FEWEST_VALUES
    )


def shuffled(values: Numbers, rng: np.random.Generator) -> Numbers:
    """Rows that nobody has: each column's values in another order."""
    return np.column_stack([rng.permutation(column) for column in values.T])


# ---- bytes ----


def _opened(data: bytes, left: int, depth: int = 0) -> Iterator[bytes]:
    """The bytes, and what is packed in them; never more than `left` of a piece."""
    yield data[:left]
    if depth == _DEPTH:
        return
    for piece in _unpacked(data, left):
        if piece:
            yield from _opened(piece, left, depth + 1)


def _unpacked(data: bytes, left: int) -> Iterator[bytes]:
    try:
        if data.startswith(b"PK"):
            with zipfile.ZipFile(io.BytesIO(data)) as archive:
                for entry in archive.infolist()[:10_000]:
                    with archive.open(entry) as member:
                        yield member.read(left)
            return
        opened = _stream(data)
        if opened is not None:
            yield opened(data, left)
    except _BROKEN:
        return


def _stream(data: bytes) -> Callable[[bytes, int], bytes] | None:
    if data[:1] == b"\x78" or data[:2] == b"\x1f\x8b":
        return lambda packed, most: zlib.decompressobj(47).decompress(packed, most)
    if data.startswith(b"BZh"):
        return lambda packed, most: bz2.BZ2Decompressor().decompress(packed, most)
    if data[:6] == b"\xfd7zXZ\x00" or data[:3] == b"\x5d\x00\x00":
        return lambda packed, most: lzma.LZMADecompressor().decompress(packed, most)
    return None


# ---- numbers ----


def _numbers(data: bytes, stride: int) -> Iterator[tuple[Numbers, int, bool]]:
    """Runs of numbers as they may lie in bytes, how far apart a row's are, if they have 32 bits."""
    if b"\0" not in data[:_TEXT_SAMPLE]:
        words = _NUMBER.findall(data[:_MOST_TEXT])
        if len(words) >= FEWEST_FEATURES:
            yield np.array([float(one) for one in words]), 1, False
    for kind, size in (("<f8", 8), ("<f4", 4)):
        for offset in range(size):
            count = (len(data) - offset) // size
            if count < FEWEST_FEATURES:
                continue
            with np.errstate(all="ignore"):
                numbers = np.frombuffer(data, kind, count, offset).astype(np.float64)
            for apart in {1, stride}:
                yield numbers, apart, size == 4


def _matched(numbers: Numbers, looked_for: Wanted, stride: int, *, is_single: bool) -> set[int]:
    """Rows that stand in a run of numbers, `stride` apart."""
    found: set[int] = set()
    for rows, slack in looked_for.forms:
        width = rows.shape[1]
        length = len(numbers) - stride * (width - 1)
        if length <= 0:
            continue
        span = np.ptp(rows, axis=0)
        near = slack * span
        if is_single:  # seven digits of the whole, which may be few of the range
            near = np.maximum(near, 1.2e-7 * abs(rows).max(axis=0))
        # The column of the most values first: hardly a number of another file is one of them.
        pivot = int(np.argmax([len(np.unique(column)) for column in rows.T]))
        order = np.argsort(rows[:, pivot], kind="stable")
        keys = rows[order, pivot]
        part = numbers[pivot * stride : pivot * stride + length]
        at = np.flatnonzero((part >= keys[0] - near[pivot]) & (part <= keys[-1] + near[pivot]))
        first = np.searchsorted(keys, part[at] - near[pivot], side="left")
        last = np.searchsorted(keys, part[at] + near[pivot], side="right")
        at, first, last = (one[last > first] for one in (at, first, last))
        if len(at):
            most = _MOST_TRIES // int((last - first).max())
            at, first, last = at[:most], first[:most], last[:most]
        # Rows that share this number are tried one after the other.
        while len(at):
            places = order[first]
            fits = np.ones(len(at), dtype=bool)
            for column in range(width):
                with np.errstate(all="ignore"):  # what stands beside it may be no number
                    apart = numbers[at + column * stride] - rows[places, column]
                    fits &= abs(apart) <= near[column]
            found.update(places[fits].tolist())
            first = first + 1
            at, first, last = (one[last > first] for one in (at, first, last))
    return found


def values_of(space: Space, rows: Rows, places: list[int]) -> Numbers:
    """The numbers of rows, in their own units, of the features that are looked for."""
    return space.matrix(rows)[:, places]
