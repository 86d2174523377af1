"""Rows of a table as samples of a space: numbers, categories, labels, and what is left out."""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from strongroom.engines.robustness.assessment.plan import (
    ColumnRoles,
    FeatureRule,
    Images,
    Plan,
)
from strongroom.engines.robustness.assessment.subject import Sample
from strongroom.engines.robustness.space import MAX_LEVELS, Columns, Feature, Space
from strongroom.errors import ValidationError

MISSING = ""
"""The level of a category that is missing."""
MAX_CLASSES = 1_000


@dataclass(frozen=True, slots=True)
class Features:
    """What of a table goes into the model.

    Attributes:
        names: in the order of the model's inputs.
        texts: those that are categories.
    """

    names: tuple[str, ...]
    texts: frozenset[str]


def features_of(table: pa.Table, roles: ColumnRoles, names: Sequence[str] = ()) -> Features:
    """The features of a table.

    Args:
        names: as the model knows them; empty: every column without another role, in order.
    Raises: ValidationError: one is missing, or of a type that is neither number nor text.
    """
    others = {roles.label, roles.source, roles.pseudonym, *roles.left_out}
    chosen = tuple(names) or tuple(one for one in table.column_names if one not in others)
    if not chosen:
        raise ValidationError("no column is left as a feature")
    if missing := [one for one in chosen if one not in table.column_names]:
        raise ValidationError(
            f"the rows have no column `{missing[0][:100]}`, which the model takes",
            next_step="give rows with the columns that the model was trained on",
        )
    texts = set()
    for name in chosen:
        kind = table.schema.field(name).type
        if _is_text(kind):
            texts.add(name)
        elif not (_is_number(kind) or pa.types.is_boolean(kind) or pa.types.is_null(kind)):
            raise ValidationError(
                f"`{name}` holds {kind}, neither numbers nor categories",
                next_step="leave it out: --leave-out, or `left_out` in the plan",
            )
    return Features(chosen, frozenset(texts))


def space_of(tables: Sequence[pa.Table], features: Features, plan: Plan) -> Space:
    """The space that the rows span, narrowed or widened by the plan.

    A number is a whole one where all its values are. Raises: ValidationError: too many levels, or
    the plan speaks of a feature that is not there.
    """
    if unknown := sorted(set(plan.features) - set(features.names)):
        raise ValidationError(f"the plan, at `features`: the model takes no `{unknown[0][:100]}`")
    if plan.images is not None:
        if plan.features or plan.relations:
            raise ValidationError("the plan says `images`: their cells have no rules of their own")
        return Space(_cells(tables, features, plan.images))
    made = []
    for name in features.names:
        rule = plan.features.get(name, FeatureRule())
        if name in features.texts:
            made.append(_category(name, tables, rule))
        else:
            made.append(_number(name, tables, rule))
    return Space(made, plan.relations)


def _cells(tables: Sequence[pa.Table], features: Features, images: Images) -> list[Feature]:
    """Cells of images: one range for all, no steps."""
    if features.texts:
        raise ValidationError("the plan says `images`, and a column holds texts")
    if math.prod(images.shape) != len(features.names):
        shape = " x ".join(str(one) for one in images.shape)
        raise ValidationError(
            f"the plan says images of {shape}, the rows have {len(features.names):,} columns",
            next_step="name the label and the columns that are left out",
        )
    low, high = images.low, images.high
    if low is None or high is None:
        ends = [_ends(_numbers(table, name)) for table in tables for name in features.names]
        low = min(one for one, _ in ends) if low is None else low
        high = max(one for _, one in ends) if high is None else high
    if not low < high:
        raise ValidationError("the cells of the images are all alike: there is no range")
    return [Feature(name, low, high) for name in features.names]


def _ends(values: NDArray[np.float64]) -> tuple[float, float]:
    there = values[np.isfinite(values)]
    return float(there.min(initial=np.inf)), float(there.max(initial=-np.inf))


def _category(name: str, tables: Sequence[pa.Table], rule: FeatureRule) -> Feature:
    levels = sorted({value for table in tables for value in set(_texts(table, name).tolist())})
    if len(levels) > MAX_LEVELS:
        raise ValidationError(
            f"`{name}` has {len(levels):,} different texts; at most {MAX_LEVELS:,} are categories",
            next_step="leave the column out of what the model takes, or group its values",
        )
    return Feature(name, levels=tuple(levels) or (MISSING,), is_mutable=rule.is_mutable)


def _number(name: str, tables: Sequence[pa.Table], rule: FeatureRule) -> Feature:
    values = np.concatenate([_numbers(table, name) for table in tables])
    there = values[np.isfinite(values)]
    low = float(there.min()) if len(there) else 0.0
    high = float(there.max()) if len(there) else 0.0
    low = low if rule.low is None else rule.low
    high = high if rule.high is None else rule.high
    if low > high:
        raise ValidationError(f"the plan, at `features.{name}`: no row lies in this range")
    is_whole = len(there) > 0 and bool((there == np.floor(there)).all())
    step = (1.0 if is_whole else 0.0) if rule.step is None else rule.step
    return Feature(name, low, high, is_mutable=rule.is_mutable, direction=rule.direction, step=step)


def classes_of(tables: Sequence[pa.Table], label: str) -> tuple[str, ...]:
    """The classes of a label column, in the order of their text, numbers by size."""
    found = {value for table in tables for value in _texts(table, label).tolist()} - {MISSING}
    if len(found) > MAX_CLASSES:
        raise ValidationError(f"`{label}` has more than {MAX_CLASSES:,} classes")
    try:
        return tuple(sorted(found, key=float))
    except ValueError:
        return tuple(sorted(found))


def sample_of(
    table: pa.Table, space: Space, features: Features, roles: ColumnRoles, classes: Sequence[str],
    *, whole_only: bool = True,
) -> tuple[Sample, list[str]]:  # fmt: skip
    """The rows of a table as a sample, and what was left out of it.

    Args:
        classes: of the model, in the order of its answers; empty for a regression.
        whole_only: rows that lack a number are left out; else they hold NaN there.
    Raises: ValidationError: a column of the plan is missing, or no row is left.
    """
    for name in (roles.label, roles.source, roles.pseudonym, *roles.groups):
        if name and name not in table.column_names:
            raise ValidationError(f"the rows have no column `{name[:100]}`, which the plan names")
    columns: Columns = {
        name: _texts(table, name) if name in features.texts else _numbers(table, name)
        for name in features.names
    }
    whole = _complete(columns, table.num_rows)
    remarks = []
    if not whole_only:
        whole = np.ones_like(whole)
    if left := int((~whole).sum()):
        remarks.append(f"{left:,} of {table.num_rows:,} rows lack a number and were left out")
    labels, numbers, known = _labels(table, roles.label, classes)
    if left := int((whole & ~known).sum()):
        remarks.append(f"{left:,} rows have a label that the model does not know: left out")
    chosen = whole & known
    if not chosen.any():
        raise ValidationError("no row is left that has all its numbers and a known label")
    at = np.flatnonzero(chosen)
    kept: Columns = {name: values[at] for name, values in columns.items()}
    sample = Sample(
        space.encode(kept),
        labels[at] if len(labels) else labels,
        numbers[at] if len(numbers) else numbers,
        at.astype(np.int64),
        _named(table, roles.pseudonym, at),
        _named(table, roles.source, at),
        {name: _named(table, name, at) for name in roles.groups},
    )
    return sample, remarks


def _complete(columns: Columns, rows: int) -> NDArray[np.bool_]:
    whole = np.ones(rows, dtype=bool)
    for values in columns.values():
        if values.dtype != object:
            whole &= np.isfinite(values.astype(np.float64))
    return whole


def _labels(
    table: pa.Table, label: str, classes: Sequence[str]
) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.bool_]]:
    nothing = np.empty(0, dtype=np.int64), np.empty(0)
    if not label:
        return *nothing, np.ones(table.num_rows, dtype=bool)
    if not classes:
        try:
            numbers = _numbers(table, label)
        except ValidationError:
            raise ValidationError(
                "the model names no classes, so it answers with numbers: the label column has none",
                next_step="give the label as numbers, or the model with the names of its classes",
            ) from None
        return nothing[0], numbers, np.isfinite(numbers)
    places = {_bare(name): place for place, name in enumerate(classes)}
    found = np.array([places.get(_bare(one), -1) for one in _texts(table, label)], dtype=np.int64)
    return found, nothing[1], found >= 0


def _bare(name: str) -> str:
    """`1.0` and `1` are one class."""
    return name.removesuffix(".0")


def _named(table: pa.Table, name: str, at: NDArray[np.intp]) -> tuple[str, ...]:
    return tuple(_texts(table, name)[at].tolist()) if name else ()


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)
    )


def _is_number(kind: pa.DataType) -> bool:
    return bool(
        pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind)
    )


def _texts(table: pa.Table, name: str) -> NDArray[np.object_]:
    column = table.column(name)
    if pa.types.is_dictionary(column.type):
        column = column.cast(column.type.value_type)
    found = [MISSING if one is None else one for one in column.cast(pa.string()).to_pylist()]
    return np.array(found, dtype=object)


def _numbers(table: pa.Table, name: str) -> NDArray[np.float64]:
    try:
        column = table.column(name).cast(pa.float64(), safe=False)
    except pa.ArrowException:  # its text quotes a value
        raise ValidationError(
            f"`{name[:100]}` holds numbers in one table, and in another what is none",
            next_step="give it as numbers in all of them",
        ) from None
    return np.asarray(column.to_numpy(), dtype=np.float64)
