"""Rows that come one by one: they wait until a few can be coded together, column by column."""

import math
from collections.abc import Mapping
from operator import itemgetter
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from strongroom.engines.drift.coding import ColumnCoder, Scratch, Source, coders_of, text_of
from strongroom.engines.drift.plan import (
    MISSING,
    NEGATIVE_INFINITE,
    POSITIVE_INFINITE,
    REST,
    TYPE_ERROR,
    WIDTH,
    Kind,
    Plan,
)

WAITING_ROWS = 128
"""Rows that wait at most: the cost of a call is shared by so many."""
_ABSENT = object()
_PLAIN = frozenset({float, int, type(None)})


class RowBuffer:
    """A few rows, held as they came, and their codes.

    Attributes:
        absent: places of columns that a row lacked, once for each row; emptied by who reads it.
    """

    def __init__(self, plan: Plan) -> None:
        names = [column.name for column in plan.columns]
        self._names = names
        self._values = itemgetter(*names)
        self._coders = coders_of(plan)
        self._scratch = Scratch(WAITING_ROWS)
        self._linear = _Linear(plan)
        self._rows: list[tuple[Any, ...]] = []
        self.absent: list[int] = []

    def __len__(self) -> int:
        return len(self._rows)

    def add(self, row: Mapping[str, Any]) -> None:
        """Hold a row."""
        try:
            values = self._values(row)
        except KeyError:
            values = tuple(row.get(name, _ABSENT) for name in self._names)
            self.absent += [at for at, value in enumerate(values) if value is _ABSENT]
        else:
            if len(self._names) == 1:
                values = (values,)
        self._rows.append(values)

    def take(self) -> tuple[NDArray[np.intp], dict[int, list[str]]]:
        """Codes, rows by columns, and the unlisted texts by column; the buffer is empty then.

        A column that a row lacked has the code `WIDTH`.
        """
        rows, self._rows = self._rows, []
        codes = np.empty((len(rows), len(self._coders)), np.intp)
        unlisted: dict[int, list[str]] = {}
        columns = list(zip(*rows, strict=True))
        together = self._linear.fill(columns, codes)
        for at, column in enumerate(columns):
            if at in together:
                continue
            found = self._column(self._coders[at], column)
            codes[:, at] = found
            if self._coders[at].plan.kind is Kind.CATEGORY and REST in found:
                unlisted[at] = [
                    (text_of(value) or "").encode("utf-8", "replace").decode()
                    for value, code in zip(column, found, strict=True)
                    if code == REST
                ]
        return codes, unlisted

    def _column(self, coder: ColumnCoder, column: tuple[Any, ...]) -> Any:  # noqa: ANN401 # of NumPy or a list
        types = set(map(type, column))
        if coder.plan.kind is Kind.NUMBER and types <= _PLAIN:
            values = _floats(column)
            if values is not None:
                cells = np.empty(len(column), np.intp)
                coder.fill(Source(values), 0, len(column), cells, self._scratch)
                return coder.codes[cells]
        if coder.plan.kind is Kind.CATEGORY and types == {str}:
            return [REST if code is None else code for code in map(coder.index.get, column)]
        return [WIDTH if value is _ABSENT else _code(coder, value) for value in column]


def _code(coder: ColumnCoder, value: object) -> int:
    """The code of a value; one that has no text or number, e.g. a signalling NaN, is an error."""
    try:
        return coder.code(value)
    except (ValueError, ArithmeticError, pa.ArrowException):
        return TYPE_ERROR


def _floats(columns: object) -> NDArray[np.float64] | None:
    """Numbers as floats, None as NaN; None where a whole number lies beyond all floats."""
    try:
        return np.array(columns, np.float64)
    except OverflowError:
        return None


class _Linear:
    """All columns of numbers in cells of equal width, coded at once as `NumberCoder` does."""

    def __init__(self, plan: Plan) -> None:
        self._places = [
            at
            for at, column in enumerate(plan.columns)
            if column.kind is Kind.NUMBER and column.grid is not None
            and column.grid.form == "linear"
        ]  # fmt: skip
        grids = [grid for at in self._places if (grid := plan.columns[at].grid) is not None]
        self._origins = np.array([grid.origin for grid in grids])[:, None]
        self._inverses = np.array([1.0 / grid.step for grid in grids])[:, None]
        self._last = np.array([grid.cells - 1.0 for grid in grids])[:, None]
        sizes = [grid.cells for grid in grids]
        self._offsets = (np.cumsum(sizes) - sizes).astype(np.intp)[:, None]
        bins = [np.repeat(np.arange(grid.bins), np.diff([*grid.starts, grid.cells]))
                for grid in grids]  # fmt: skip
        self._codes: NDArray[np.intp] = (
            np.concatenate(bins).astype(np.intp) if bins else np.zeros(0, np.intp)
        )

    def fill(self, columns: list[tuple[Any, ...]], codes: NDArray[np.intp]) -> frozenset[int]:
        """Write the codes of such columns; gives their places, none where values are odd."""
        able = [at for at in self._places if set(map(type, columns[at])) <= _PLAIN]
        if len(able) < len(self._places) or not able:
            return frozenset()
        values = _floats([columns[at] for at in able])
        if values is None:
            return frozenset()
        with np.errstate(all="ignore"):
            cells = np.clip((values - self._origins) * self._inverses, 0.0, self._last)
            found = self._codes[np.nan_to_num(cells).astype(np.intp) + self._offsets]
        odd = ~np.isfinite(values)
        if odd.any():
            found[np.isnan(values)] = MISSING
            found[values == math.inf] = POSITIVE_INFINITE
            found[values == -math.inf] = NEGATIVE_INFINITE
        codes[:, able] = found.T
        return frozenset(able)
