"""The rows a model is fitted on, as the searches of this room take them."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Labels, Rows
from strongroom.errors import ValidationError

MISSING = -1.0
"""Stands for a missing number: outside of the range, so that it is a value of its own. A row is
never left out for it: an attacker would make use of that."""
MAX_ROWS = 1_000_000
MAX_CELLS = 200_000_000
MAX_CLASSES = 200
LEAST_ROWS = 20
"""Fewer rows tell nothing of each other."""

Mask = NDArray[np.bool_]
Places = NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Table:
    """Rows with their labels.

    Attributes:
        rows: points of `space`; a missing number is NaN when it comes in, `MISSING` here.
        labels: places of classes, 0 to `classes` - 1.
        sources: of each row who or what brought it, as a place in `source_names`.
        has_missing: whether some numbers are `MISSING`.
    """

    space: Space
    rows: Rows
    labels: Labels
    classes: int
    sources: Places | None = None
    source_names: tuple[str, ...] = ()
    has_missing: bool = False

    @classmethod
    def of(
        cls,
        space: Space,
        rows: Rows,
        labels: Labels,
        *,
        classes: int | None = None,
        sources: Sequence[str] | None = None,
    ) -> "Table":
        """Take rows in.

        Raises:
            ValidationError: shapes that do not fit, too many rows, an infinite number, a label
            that is no class.
        """
        rows = np.asarray(rows, dtype=np.float64)
        labels = np.asarray(labels)
        if rows.ndim != 2 or rows.shape[1] != space.width or labels.shape != (len(rows),):
            raise ValidationError(
                f"rows of shape {rows.shape} and labels of shape {labels.shape} do not fit a space "
                f"of width {space.width}"
            )
        if len(rows) > MAX_ROWS or rows.size > MAX_CELLS:
            raise ValidationError(f"more than {MAX_ROWS:,} rows or {MAX_CELLS:,} numbers")
        if np.isinf(rows).any():
            raise ValidationError("a row holds a number that is infinite")
        if not np.issubdtype(labels.dtype, np.integer):
            raise ValidationError("labels are places of classes: whole numbers")
        many = int(labels.max(initial=0)) + 1 if classes is None else classes
        if (
            not 1 <= many <= MAX_CLASSES
            or labels.min(initial=0) < 0
            or labels.max(initial=0) >= many
        ):
            raise ValidationError(
                f"labels must be 0 to {many - 1}, of {MAX_CLASSES:,} classes at most"
            )
        names: tuple[str, ...] = ()
        places = None
        if sources is not None:
            if len(sources) != len(rows):
                raise ValidationError("there is not one source for each row")
            found, at = np.unique(
                np.asarray(sources, dtype=object).astype(str), return_inverse=True
            )
            names, places = tuple(found.tolist()), at.astype(np.int64)
        filled = np.where(np.isnan(rows), MISSING, rows)
        is_missing = bool(np.isnan(rows).any())
        return cls(space, filled, labels.astype(np.int64), many, places, names, is_missing)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def values(self) -> NDArray[np.float64]:
        """One column a feature: the coordinate of a number, the place of a level."""
        made = np.empty((len(self.rows), len(self.space.features)))
        for column, one in enumerate(self.space.features):
            block = self.rows[:, self.space.places[one.name]]
            made[:, column] = block.argmax(axis=1) if one.levels else block[:, 0]
        return made

    def part(self, where: Mask | Places) -> "Table":
        """Some of the rows."""
        sources = None if self.sources is None else self.sources[where]
        return replace(self, rows=self.rows[where], labels=self.labels[where], sources=sources)

    def with_labels(self, labels: Labels) -> "Table":
        """The same rows under other labels."""
        return replace(self, labels=labels)

    def lacks(self) -> str:
        """Why nothing can be searched here; empty where something can."""
        if len(self.rows) < LEAST_ROWS:
            return f"fewer than {LEAST_ROWS} rows"
        counts = np.bincount(self.labels, minlength=self.classes)
        if (counts >= 2).sum() < 2:
            return "fewer than two classes with two rows or more"
        return ""

    def require(self) -> None:
        """Raise where nothing can be searched.

        Raises:
            ValidationError: as `lacks` says.
        """
        if lack := self.lacks():
            raise ValidationError(f"nothing can be searched: {lack}")
