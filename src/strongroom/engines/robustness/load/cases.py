"""Inputs that nobody sends by accident."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.space import Columns, Space
from strongroom.engines.robustness.target import Rows

MANY = 4_096
"""Rows of a large question."""
LONG = 1 << 20
"""Characters of a long text."""
_DEEP = 10_000


@dataclass(frozen=True, slots=True)
class Case:
    """Rows of one kind.

    Attributes:
        name: stable, in words.
    """

    name: str
    rows: Rows


def row_cases(space: Space, rows: Rows) -> Iterator[Case]:
    """Hostile rows, made of natural ones: as many as were given, but for the large and the empty.

    Args:
        rows: finite, one at least.
    """
    for name, value in (
        ("all missing", np.nan), ("all infinite", np.inf), ("all minus infinite", -np.inf),
        ("all huge", 1e308), ("all minus huge", -1e308), ("all denormal", 5e-324),
        ("all minus zero", -0.0), ("all zero", 0.0), ("all at the top", 1.0),
        ("all a million ranges out", 1e6), ("all beyond single precision", 1e39),
    ):  # fmt: skip
        yield Case(name, np.full_like(rows, value))
    for name, value in (("one missing", np.nan), ("one infinite", np.inf), ("one huge", 1e308)):
        made = rows.copy()
        made[np.arange(len(rows)), np.arange(len(rows)) % space.width] = value
        yield Case(name, made)
    made = rows.copy()
    made[:, ::2], made[:, 1::2] = 1e308, -1e308
    yield Case("huge of both signs", made)
    blocks = [space.places[one.name] for one in space.features if one.levels]
    if blocks:
        for name, value in (("no category", 0.0), ("all categories at once", 1.0)):
            made = rows.copy()
            for block in blocks:
                made[:, block] = value
            yield Case(name, made)
    yield Case("no row", rows[:0])
    yield Case("many rows", rows[np.arange(MANY) % len(rows)])


_TEXTS: Mapping[str, str] = {
    "empty text": "",
    "unseen category": "a category that no row ever had",
    "long text": "x" * LONG,
    "deep text": "[" * _DEEP + "]" * _DEEP,
    "nearly matching text": "a" * 30_000 + "!",
    "zero characters": "\x00" * 64,
    "marks on marks": "a" + "\u0301" * 10_000,
    "right to left": "\u202e" + "txt.exe" + "\u2066" * 100,
    "not in the alphabet": "\U0010ffff\ufffe" * 100,
    "number too large": "9" * 4_000,
    "formula": "=cmd|' /C calc'!A0",
}


def column_cases(columns: Columns) -> Iterator[tuple[str, Columns]]:
    """Names and hostile columns, for models that take text: each text column in turn.

    Args:
        columns: natural ones; numbers stay as they are.
    """
    texts = [name for name, values in columns.items() if values.dtype == object]
    for name in texts:
        for case, text in _TEXTS.items():
            made: dict[str, NDArray[np.float64] | NDArray[np.object_]] = dict(columns)
            made[name] = np.full(len(columns[name]), text, dtype=object)
            yield case, made
