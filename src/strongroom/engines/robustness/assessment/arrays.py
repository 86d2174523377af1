"""NumPy's files as tables of rows: `.npy`, one array, and `.npz`, an archive of some.

Bytes are read as numbers and nothing else. An array of objects is a pickle inside, which would be
code, and is refused by its header.

Source: NumPy, "A simple file format for NumPy arrays" (NEP 1), versions 1.0 and 2.0.
"""

import io
import math
import struct
import warnings
import zipfile
import zlib
from collections.abc import Mapping
from tokenize import TokenError

import numpy as np
import pyarrow as pa
from numpy.lib import format as npy
from numpy.typing import NDArray

from strongroom.errors import TooLargeError, ValidationError

ENDINGS = (".npy", ".npz")
MAX_BYTES = 2 << 30
"""Of one array."""
MAX_WIDTH = 10_000
"""Numbers of a row."""
MAX_ARRAYS = 20
LABEL = "label"
"""Column of labels, where the archive names them in one of the usual ways."""
_USUAL = ("label", "labels", "y", "target", "targets")
_MAX_HEADER = 10_000


def table_of(data: bytes, label: str = "") -> pa.Table:
    """The rows of a file: columns `x0`, `x1`, … in the order of the array, and labels where it has.

    An archive holds the array of rows, and may hold one of labels, by the name `label` or a usual
    one. Everything behind the first axis is a row.

    Args:
        label: name of the array of labels, and of their column; empty: a usual one.
    Raises: ValidationError: it is no such file, or holds something else than numbers.
        TooLargeError: it is too large, or its rows are too wide.
    """
    arrays = _archive(data) if data[:2] == b"PK" else {"": _array(data)}
    if label not in {"", LABEL, *arrays}:
        raise ValidationError(f"the archive has no column `{label[:100]}`, and no array of it")
    name = label if label in arrays else next((one for one in _USUAL if one in arrays), "")
    others = [one for one in arrays if one != name or not name]
    if len(others) != 1:
        raise ValidationError(
            f"the archive holds {len(others)} arrays beside the labels, one is needed",
            next_step="keep the rows and their labels in it, and nothing else",
        )
    rows = arrays[others[0]]
    if rows.ndim < 2 or not len(rows):
        raise ValidationError("an array of rows has two axes or more, and one row at least")
    flat = rows.reshape(len(rows), -1).astype(np.float64)
    if not 0 < flat.shape[1] <= MAX_WIDTH:
        raise TooLargeError(f"a row has 1 to {MAX_WIDTH:,} numbers, these have {flat.shape[1]:,}")
    columns: dict[str, NDArray[np.generic]] = {f"x{at}": flat[:, at] for at in range(flat.shape[1])}
    if name:
        labels = arrays[name].reshape(-1)
        if len(labels) != len(rows):
            raise ValidationError(f"there are {len(rows):,} rows and {len(labels):,} labels")
        columns[label or LABEL] = labels
    return pa.table(columns)


def _archive(data: bytes) -> Mapping[str, NDArray[np.generic]]:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            members = archive.infolist()
            if len(members) > MAX_ARRAYS:
                raise TooLargeError(f"the archive holds more than {MAX_ARRAYS} arrays")
            made, left = {}, MAX_BYTES
            for one in members:
                with archive.open(one) as file:
                    content = file.read(left + 1)
                left -= len(content)
                if left < 0:
                    raise TooLargeError(f"the arrays hold more than {MAX_BYTES:,} bytes")
                made[one.filename.removesuffix(".npy")] = _array(content)
    except (
        zipfile.BadZipFile, NotImplementedError, RuntimeError, OSError, EOFError, ValueError,
        KeyError, struct.error, zlib.error,
    ):  # fmt: skip
        raise ValidationError("the archive of arrays cannot be read") from None
    return made


def _array(data: bytes) -> NDArray[np.generic]:
    if len(data) > MAX_BYTES:
        raise TooLargeError(f"an array has more than {MAX_BYTES:,} bytes")
    file = io.BytesIO(data)
    try:
        shape, is_fortran, kind = _header(file)
        count = math.prod(shape)
        fits = kind.kind in "biuf" and kind.itemsize <= 8 and min(shape, default=1) >= 0
        if not fits or len(shape) > 8 or count * kind.itemsize != len(data) - file.tell():
            raise ValueError
        found = np.frombuffer(data, kind, count, file.tell())
        return found.reshape(shape, order="F" if is_fortran else "C")
    except (
        ValueError, TypeError, SyntaxError, TokenError, OverflowError, RecursionError, MemoryError,
    ):  # fmt: skip
        raise ValidationError(
            "this is no array of plain numbers in NumPy's format",
            next_step="save it with numpy.save or numpy.savez, of a dtype that is no object",
        ) from None


def _header(file: io.BytesIO) -> tuple[tuple[int, ...], bool, np.dtype[np.generic]]:
    """Shape, order, kind. Raises: ValueError, and what Python says of a text that is no header."""
    version = npy.read_magic(file)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of files as old as Python 2
        if version == (1, 0):
            return npy.read_array_header_1_0(file, _MAX_HEADER)
        if version == (2, 0):
            return npy.read_array_header_2_0(file, _MAX_HEADER)
    raise ValueError
