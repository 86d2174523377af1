"""How the values of a column become more general, level by level, up to `*`."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from strongroom.errors import ValidationError

Codes: TypeAlias = npt.NDArray[np.int64]
Shares: TypeAlias = npt.NDArray[np.float64]

TOP = "*"
"""What stands where everything is hidden."""
MISSING = "(missing)"
"""The leaf of a missing value: a value of its own, which only the top joins with others."""
MAX_LEVELS = 64
MAX_LEAVES = 2_000_000
MAX_FILE_CHARACTERS = 256 << 20
_NAMED = 5


@dataclass(frozen=True)
class Hierarchy:
    """A tree of equal height over the values of one column.

    Leaves stand in an order in which each node covers neighbours, so that any node is a range of
    leaf numbers.

    Attributes:
        labels: of each level the names of its nodes; level 0 are the values, the last is `*`.
        codes: of each level the node above each leaf, never falling; shape (leaves,).
        is_ordered: the order of the leaves means something (numbers, dates, grades).
        positions: where each leaf lies on a line, for ranges of numbers; None: one step each.
        note: what a person should know of how it was made, in words without values.
    """

    column: str
    labels: tuple[tuple[str, ...], ...]
    codes: tuple[Codes, ...]
    is_ordered: bool = False
    positions: Shares | None = None
    note: str = ""

    @property
    def height(self) -> int:
        """The number of the top level; 0 where there is one value only."""
        return len(self.labels) - 1

    @property
    def leaves(self) -> tuple[str, ...]:
        """The values, in the order of the tree."""
        return self.labels[0]

    @cached_property
    def index(self) -> dict[str, int]:
        """The number of each value."""
        return {label: at for at, label in enumerate(self.leaves)}

    def between(self, finer: int, coarser: int) -> Codes:
        """For each node of level `finer`, the node above it on level `coarser`."""
        above = np.zeros(len(self.labels[finer]), dtype=np.int64)
        above[self.codes[finer]] = self.codes[coarser]
        return above

    @cached_property
    def losses(self) -> tuple[Shares, ...]:
        """Of each level the certainty that each node loses, in [0, 1] (NCP, Xu et al. 2006).

        A node over m of n values loses (m - 1) / (n - 1): nothing for one value, all for `*`.
        """
        count = len(self.leaves)
        if count == 1:
            return tuple(np.zeros(1) for _ in self.labels)
        return tuple(
            (np.bincount(codes, minlength=len(labels)) - 1) / (count - 1)
            for codes, labels in zip(self.codes, self.labels, strict=True)
        )

    @cached_property
    def places(self) -> Shares:
        """Where each leaf lies in [0, 1]."""
        count = len(self.leaves)
        if self.positions is None:
            return np.arange(count) / max(count - 1, 1)
        low, high = float(self.positions.min()), float(self.positions.max())
        return (self.positions - low) / (high - low if high > low else 1.0)


def hierarchy_from_rows(
    column: str, rows: Iterable[Sequence[str]], *, is_ordered: bool = False
) -> Hierarchy:
    """A hierarchy from rows: the value, then what stands for it on each level.

    Where the last level has more than one name, `*` is added on top.

    Raises:
        ValidationError: no rows, rows of different length, a value twice, or a name that belongs
            to two names of the next level: levels must nest, or a coarser table would not be safe
            where a finer one is.
    """
    table = [tuple(cell.strip() for cell in row) for row in rows]
    place = f"the hierarchy of `{column}`"
    if not table:
        raise ValidationError(f"{place} is empty")
    height = len(table[0])
    if height > MAX_LEVELS or len(table) > MAX_LEAVES:
        raise ValidationError(f"{place} may have {MAX_LEVELS} levels and {MAX_LEAVES:,} values")
    for number, row in enumerate(table, 1):
        if len(row) != height:
            raise ValidationError(f"{place}: row {number} has {len(row)} levels, not {height}")
    _require_distinct(place, [row[0] for row in table])
    _require_nested(place, table)
    if len({row[-1] for row in table}) > 1:
        table = [(*row, TOP) for row in table]
    return _built(column, _neighbours_together(table, is_ordered=is_ordered), is_ordered)


def _require_distinct(place: str, values: list[str]) -> None:
    twice = sorted(value for value, count in Counter(values).items() if count > 1)
    if twice:
        raise ValidationError(f"{place} has values twice: {named(twice)}")


def _require_nested(place: str, table: list[tuple[str, ...]]) -> None:
    for level in range(1, len(table[0]) - 1):
        above: dict[str, str] = {}
        for row in table:
            if above.setdefault(row[level], row[level + 1]) != row[level + 1]:
                raise ValidationError(
                    f"{place}: `{row[level][:80]}` on level {level} belongs to several names of "
                    f"level {level + 1}",
                    next_step="give each of its meanings a name of its own",
                )


def _neighbours_together(
    table: list[tuple[str, ...]], *, is_ordered: bool
) -> list[tuple[str, ...]]:
    """Rows so that each node covers neighbours, as near to the order given as that allows."""
    first: dict[tuple[str, ...], int] = {}
    for at, row in enumerate(table):
        for level in range(1, len(row)):
            first.setdefault(row[level:], at)
    order = sorted(
        range(len(table)),
        key=lambda at: [
            *(first[table[at][level:]] for level in range(len(table[at]) - 1, 0, -1)), at,
        ],
    )  # fmt: skip
    if is_ordered and order != list(range(len(table))):
        raise ValidationError("an ordered hierarchy has nodes that do not cover neighbours")
    return [table[at] for at in order]


def _built(column: str, table: list[tuple[str, ...]], is_ordered: bool) -> Hierarchy:
    """The hierarchy of nested rows with neighbours together."""
    labels, codes = [], []
    for level in range(len(table[0])):
        # A name may come back under another parent only on level 0, where it is refused.
        names: dict[str, int] = {}
        codes.append(
            np.array([names.setdefault(row[level], len(names)) for row in table], dtype=np.int64)
        )
        labels.append(tuple(names))
    positions = _numbers(table) if is_ordered or _numbers(table) is not None else None
    if positions is not None and not is_ordered:
        is_ordered = bool(np.all(np.diff(positions) > 0))
        positions = positions if is_ordered else None
    return Hierarchy(column, tuple(labels), tuple(codes), is_ordered, positions)


def _numbers(table: list[tuple[str, ...]]) -> Shares | None:
    """The values as numbers, where all are."""
    try:
        found = np.array([float(row[0]) for row in table])
    except ValueError:
        return None
    return found if bool(np.all(np.isfinite(found))) else None


def parse_hierarchy(column: str, text: str, *, delimiter: str = "") -> Hierarchy:
    """A hierarchy in ARX's form: CSV without a header, one row a value, levels from left to right.

    Args:
        delimiter: between levels; `;`, `,` or a tab where not given, as the first row shows.

    Raises: ValidationError, as `hierarchy_from_rows`.
    """
    import csv
    import io

    if len(text) > MAX_FILE_CHARACTERS:
        raise ValidationError(f"a hierarchy may have {MAX_FILE_CHARACTERS:,} characters")
    text = text.removeprefix("\ufeff")
    first = text.split("\n", 1)[0]
    found = delimiter or max(";,\t", key=first.count)
    try:
        rows = [row for row in csv.reader(io.StringIO(text), delimiter=found) if row]
    except csv.Error as error:
        raise ValidationError(f"the hierarchy of `{column}` is no CSV: {error}") from None
    return hierarchy_from_rows(column, rows)


def hierarchy_text(hierarchy: Hierarchy) -> str:
    """The hierarchy in ARX's form, `;` between levels."""
    import csv
    import io

    written = io.StringIO()
    writer = csv.writer(written, delimiter=";", lineterminator="\n")
    for leaf in range(len(hierarchy.leaves)):
        writer.writerow(
            labels[codes[leaf]]
            for labels, codes in zip(hierarchy.labels, hierarchy.codes, strict=True)
        )
    return written.getvalue()


def with_missing(hierarchy: Hierarchy) -> Hierarchy:
    """The hierarchy with a leaf for missing values, which stays apart up to the top."""
    if MISSING in hierarchy.index:
        return hierarchy
    labels, codes = [], []
    for level, (names, above) in enumerate(zip(hierarchy.labels, hierarchy.codes, strict=True)):
        is_top = level == hierarchy.height and level > 0
        labels.append(names if is_top else (*names, MISSING))
        codes.append(np.append(above, 0 if is_top else len(names)))
    if hierarchy.height == 0:
        labels.append((TOP,))
        codes.append(np.zeros(2, dtype=np.int64))
    positions = hierarchy.positions
    if positions is not None:
        positions = np.append(positions, positions.max() + max(float(np.ptp(positions)), 1.0))
    return Hierarchy(
        hierarchy.column, tuple(labels), tuple(codes), hierarchy.is_ordered, positions,
        hierarchy.note,
    )  # fmt: skip


def codes_of(hierarchy: Hierarchy, values: Sequence[str]) -> Codes:
    """The leaf of each of some distinct values.

    Raises:
        ValidationError: the hierarchy misses values; the message names the first of them.
    """
    index: Mapping[str, int] = hierarchy.index
    gaps = [value for value in values if value not in index]
    if gaps:
        raise ValidationError(
            f"the hierarchy of `{hierarchy.column}` misses {len(gaps)} of {len(values)} values: "
            f"{named(gaps)}",
            next_step="add a row for each of them, or take the built hierarchy",
        )
    return np.array([index[value] for value in values], dtype=np.int64)


def named(values: Sequence[str]) -> str:
    """The first few of some values, in backticks."""
    shown = ", ".join(f"`{value[:40]}`" for value in values[:_NAMED])
    return shown if len(values) <= _NAMED else f"{shown} and {len(values) - _NAMED} more"
