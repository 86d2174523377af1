"""A table as codes: each value a leaf of its column's hierarchy."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from strongroom.engines.privacy.anonymize.building import (
    dates_hierarchy,
    frequency_hierarchy,
    numbers_hierarchy,
    ordered_hierarchy,
    prefixes_hierarchy,
)
from strongroom.engines.privacy.anonymize.hierarchy import (
    MISSING,
    TOP,
    Codes,
    Hierarchy,
    codes_of,
    hierarchy_from_rows,
    named,
    parse_hierarchy,
    with_missing,
)
from strongroom.engines.privacy.anonymize.recipe import ColumnRecipe, ColumnRole, Recipe, Tree
from strongroom.errors import ValidationError

# The stubs' overloads know fewer argument types than the functions take.
pc: Any = pyarrow.compute


@dataclass(frozen=True)
class Texts:
    """A column as numbered texts.

    Attributes:
        values: the distinct values as text; a missing one as `MISSING`.
        codes: the number of each row's value.
        counts: rows with each value.
    """

    values: tuple[str, ...]
    codes: Codes
    counts: Codes


def texts_of(name: str, column: "pa.ChunkedArray[Any] | pa.Array[Any]") -> Texts:
    """The values of a column as text: null, NaN and blanks are missing.

    Raises: ValidationError: lists, structs and bytes have no values that could be generalized.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.combine_chunks()
    if pa.types.is_nested(column.type) or pa.types.is_binary(column.type):
        raise ValidationError(
            f"`{name}` holds values of type {column.type}, which cannot be generalized",
            next_step="give it the role drop or keep",
        )
    if pa.types.is_floating(column.type):
        column = pc.if_else(pc.is_nan(column), None, column)
    encoded: Any = pc.dictionary_encode(column, null_encoding="mask")
    if isinstance(encoded, pa.ChunkedArray):
        encoded = encoded.combine_chunks()
    found = [_text(value) for value in encoded.dictionary.to_pylist()]
    index: dict[str, int] = {}
    to = np.array([index.setdefault(text, len(index)) for text in [*found, MISSING]])
    codes = to[pc.fill_null(encoded.indices, len(found)).to_numpy(zero_copy_only=False)]
    counts = np.bincount(codes, minlength=len(index))
    values = tuple(index)
    if not counts[index[MISSING]]:
        # The last place is the missing one's, and nobody is there.
        at = index[MISSING]
        values = values[:at] + values[at + 1 :]
        codes = codes - (codes > at)
        counts = np.delete(counts, at)
    return Texts(values, codes.astype(np.int64), counts.astype(np.int64))


def _text(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float) and value.is_integer() and abs(value) < 1 << 53:
        return str(int(value))
    return str(value).strip() or MISSING


def hierarchy_of(
    name: str, texts: Texts, column: ColumnRecipe, files: Mapping[str, str]
) -> Hierarchy:
    """The hierarchy that a recipe names, over the values of a table.

    Args:
        files: texts of hierarchy files by the names that recipes give.
    Raises: ValidationError, among it that a file misses values.
    """
    present = [value for value in texts.values if value != MISSING]
    if column.hierarchy is Tree.FILE:
        if column.file not in files:
            raise ValidationError(f"the hierarchy file `{column.file}` of `{name}` is not there")
        found = parse_hierarchy(name, files[column.file])
    elif not present:
        found = hierarchy_from_rows(name, [(MISSING, TOP)])
    elif column.hierarchy is Tree.NUMBERS:
        found = numbers_hierarchy(name, present, steps=column.steps)
    elif column.hierarchy is Tree.DATES:
        found = dates_hierarchy(name, present, order=column.date_order)
    elif column.hierarchy is Tree.PREFIXES:
        found = prefixes_hierarchy(name, present)
    elif column.hierarchy is Tree.ORDERED:
        found = ordered_hierarchy(name, _in_order(name, present, column.order))
    elif column.hierarchy is Tree.FREQUENCY:
        counts = {v: int(n) for v, n in zip(texts.values, texts.counts, strict=True)}
        counts.pop(MISSING, None)
        found = frequency_hierarchy(name, counts)
    else:
        found = hierarchy_from_rows(name, [(value, TOP) for value in sorted(present)])
    return with_missing(found) if len(present) < len(texts.values) else found


def _in_order(name: str, present: Sequence[str], order: Sequence[str]) -> list[str]:
    if not order:
        raise ValidationError(f"`columns.{name}`: an ordered hierarchy needs the `order`")
    gaps = sorted(set(present) - set(order))
    if gaps:
        raise ValidationError(f"the order of `{name}` misses {named(gaps)}")
    if len(set(order)) < len(order):
        raise ValidationError(f"the order of `{name}` has a value twice")
    return list(order)


@dataclass(frozen=True)
class Sensitive:
    """A sensitive column.

    Attributes:
        codes: value of each row.
        hierarchy: over its values, in an order that means something where there is one.
    """

    codes: Codes
    hierarchy: Hierarchy


@dataclass(frozen=True)
class Coded:
    """A table as codes.

    Attributes:
        names: quasi-identifiers.
        hierarchies: of each.
        codes: leaf of each row, for each.
        sensitive: by column.
        rows: of the table.
        times: how many rows each coded one stands for; None: for itself.
    """

    names: tuple[str, ...]
    hierarchies: tuple[Hierarchy, ...]
    codes: tuple[Codes, ...]
    sensitive: Mapping[str, Sensitive]
    rows: int
    times: Codes | None = None


def coded_table(
    table: pa.Table, recipe: Recipe, files: Mapping[str, str], population: pa.Table | None = None
) -> Coded:
    """The quasi-identifiers and sensitive columns of a table as codes.

    Args:
        population: whose values hierarchies that are built have leaves for, too.
    Raises: ValidationError.
    """
    names = recipe.of_role(ColumnRole.QUASI)
    hierarchies, codes = [], []
    for name in names:
        texts, hierarchy = _column(table, name, recipe.columns[name], files, population)
        hierarchies.append(hierarchy)
        codes.append(codes_of(hierarchy, texts.values)[texts.codes])
    sensitive = {}
    for name in recipe.of_role(ColumnRole.SENSITIVE):
        texts, hierarchy = _column(table, name, recipe.columns[name], files)
        sensitive[name] = Sensitive(codes_of(hierarchy, texts.values)[texts.codes], hierarchy)
    return Coded(names, tuple(hierarchies), tuple(codes), sensitive, table.num_rows)


def _column(
    table: pa.Table, name: str, column: ColumnRecipe, files: Mapping[str, str],
    population: pa.Table | None = None,
) -> tuple[Texts, Hierarchy]:  # fmt: skip
    texts = texts_of(name, clipped(name, table.column(name), column))
    everybody = texts
    if population is not None:
        if name not in population.column_names:
            raise ValidationError(f"the population has no column `{name[:100]}`")
        others = texts_of(name, clipped(name, population.column(name), column))
        everybody = _together(texts, others)
    return texts, hierarchy_of(name, everybody, column, files)


def _together(texts: Texts, others: Texts) -> Texts:
    """The values of both, those of `texts` first and its codes."""
    index = {value: at for at, value in enumerate(texts.values)}
    to = np.array([index.setdefault(value, len(index)) for value in others.values], dtype=np.int64)
    counts = np.zeros(len(index), dtype=np.int64)
    counts[: len(texts.values)] = texts.counts
    np.add.at(counts, to, others.counts)
    return Texts(tuple(index), texts.codes, counts)


def clipped(
    name: str, values: "pa.ChunkedArray[Any]", column: ColumnRecipe
) -> "pa.ChunkedArray[Any]":
    """The column with top and bottom coding: numbers beyond become the bound itself.

    Raises: ValidationError: the column holds no numbers.
    """
    if column.bottom is None and column.top is None:
        return values
    if column.bottom is not None and column.top is not None and column.bottom > column.top:
        raise ValidationError(f"`columns.{name}`: bottom is above top")
    try:
        numbers = values if _is_number(values.type) else pc.cast(values, pa.float64())
    except pa.ArrowInvalid:
        raise ValidationError(f"`{name}` is cut at a number and holds others") from None
    for bound, pick in ((column.bottom, pc.max_element_wise), (column.top, pc.min_element_wise)):
        if bound is not None:
            numbers = pc.cast(pick(numbers, bound, skip_nulls=False), numbers.type, safe=False)
    clipped_values: pa.ChunkedArray[Any] = numbers
    return clipped_values


def _is_number(kind: pa.DataType) -> bool:
    return pa.types.is_integer(kind) or pa.types.is_floating(kind)
