"""Columns of a model, in `strongroom drift`: scores, predictions and labels out of a batch."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from strongroom.engines.drift.multiclass import MAX_CLASSES
from strongroom.engines.drift.plan import MAX_CATEGORY, Floats, Kind
from strongroom.engines.drift.values import (
    Texts,
    kind_of_type,
    numbers,
    parsed_numbers,
    pc,
    texts,
    whole,
)
from strongroom.errors import UsageError


@dataclass(frozen=True, slots=True)
class ModelColumns:
    """Names of columns; empty for none.

    Attributes:
        prediction: what the model said: a class or a number.
        score: probability of the positive class.
        label: what came true.
        positive: text of the label that is the positive class.
        slices: columns whose values make parts of the rows.
        classes: of several: name, and the column of its probability.
    """

    prediction: str = ""
    score: str = ""
    label: str = ""
    positive: str = ""
    slices: tuple[str, ...] = ()
    classes: tuple[tuple[str, str], ...] = ()

    @property
    def is_given(self) -> bool:
        """Whether any column of the model was named."""
        return bool(self.said or self.classes)

    @property
    def is_regression(self) -> bool:
        """Whether predictions are numbers that labels are compared with."""
        return bool(self.prediction and self.label and not self.score and not self.classes)

    @property
    def said(self) -> str:
        """The column of what the model said; of several the score."""
        return self.score or self.prediction

    def names(self) -> tuple[str, ...]:
        """Columns that the model made."""
        every = (self.score, self.prediction, *(column for _, column in self.classes))
        return tuple(one for one in every if one)

    def roles(self) -> dict[str, str]:
        """What was named, by its option."""
        every = {"prediction": self.prediction, "score": self.score, "label": self.label,
                 "positive": self.positive}  # fmt: skip
        return {role: name for role, name in every.items() if name}

    def truths(self) -> tuple[str, ...]:
        """Columns that say what came true."""
        return (self.label,) if self.label else ()


def parsed_classes(given: Sequence[str]) -> tuple[tuple[str, str], ...]:
    """Classes as `name=column`, or the name alone where the column has it. Raises: UsageError."""
    found = []
    for text in given:
        name, _, column = text.partition("=")
        found.append((name.strip(), column.strip() or name.strip()))
    names = {name for name, _ in found}
    if found and not (
        2 <= len(names) == len(found) <= MAX_CLASSES
        and all(0 < len(name) <= MAX_CATEGORY for name in names)
    ):
        raise UsageError(
            f"--class is given once for each of 2 to {MAX_CLASSES} classes",
            next_step="e.g. --class red=p_red --class green=p_green --class blue=p_blue",
        )
    return tuple(found)


def column_numbers(batch: pa.RecordBatch, name: str) -> Floats | None:
    """A column of a batch as numbers; NaN for what is none; None where there is no such column.

    Raises: UsageError: it holds times, lists or the like, or there are two.
    """
    if name not in batch.schema.names:
        return None
    if batch.schema.names.count(name) > 1:
        raise UsageError(f"there are two columns `{name}`")
    values = whole(batch.column(name))
    kind = kind_of_type(values.type)
    if kind is Kind.EMPTY:
        return np.full(len(values), np.nan)
    if pa.types.is_boolean(values.type):
        return numbers(values.cast(pa.int8()))
    if kind is Kind.CATEGORY:
        return parsed_numbers(values)[0]
    if kind is not Kind.NUMBER:
        raise UsageError(
            f"`{name}` holds no numbers but {values.type}", next_step="name a column of numbers"
        )
    return numbers(values)


def column_texts(batch: pa.RecordBatch, name: str) -> Texts:
    """A column of a batch as texts. Raises: UsageError: it holds lists or the like, or is twice."""
    if batch.schema.names.count(name) != 1:
        raise UsageError(f"there is no column `{name}`, or two")
    values = batch.column(name)
    if kind_of_type(values.type) is Kind.OTHER:
        raise UsageError(
            f"`{name}` holds neither texts nor numbers but {values.type}",
            next_step="name a column of plain values",
        )
    return texts(values)


def label_numbers(batch: pa.RecordBatch, columns: ModelColumns) -> Floats | None:
    """1 for the positive class, 0 for another, NaN where there is no label."""
    if not columns.label or columns.label not in batch.schema.names:
        return None
    values = column_texts(batch, columns.label)
    met = whole(batch.column(columns.label))
    if pa.types.is_floating(met.type):
        values = pc.if_else(pc.is_nan(met), None, values)
    found: NDArray[np.object_] = np.array(values.to_pylist(), object)
    present = np.array([one is not None and one != "" for one in found], bool)
    if columns.positive:
        is_positive = found == columns.positive
    else:
        if set(found[present].tolist()) - _YES - _NO:
            raise UsageError(
                "the labels are not 0 and 1, nor true and false",
                next_step="say which is the positive class: --positive VALUE",
            )
        is_positive = np.isin(found.astype(str), list(_YES))
    return np.where(present, is_positive.astype(np.float64), np.nan)


def errors_of(batch: pa.RecordBatch, columns: ModelColumns) -> Floats | None:
    """How wrong the model was in each row: 0 or 1 for a class, the distance for a number.

    None where the batch lacks what the model said, or the labels; NaN where a row does.
    """
    if columns.is_regression:
        said = column_numbers(batch, columns.prediction)
        known = column_numbers(batch, columns.label)
        if said is None or known is None:
            return None
        with np.errstate(invalid="ignore", over="ignore"):
            distance: Floats = np.abs(said - known)
        return distance
    if columns.classes:
        return _wrong_classes(batch, columns)
    if not columns.score:
        return None
    scores, labels = column_numbers(batch, columns.score), label_numbers(batch, columns)
    if scores is None or labels is None:
        return None
    wrong = ((scores >= _DECIDED) != (labels == 1)).astype(np.float64)
    return np.where(np.isfinite(scores) & np.isfinite(labels), wrong, np.nan)


def class_scores(batch: pa.RecordBatch, columns: ModelColumns) -> Floats | None:
    """Probabilities, rows by classes; None where the batch lacks the column of one."""
    found = [column_numbers(batch, column) for _, column in columns.classes]
    there = [one for one in found if one is not None]
    return np.column_stack(there) if there and len(there) == len(found) else None


def class_labels(batch: pa.RecordBatch, columns: ModelColumns) -> list[str | None] | None:
    """The class that came true of each row, None where there is no label; None without labels."""
    if not columns.label or columns.label not in batch.schema.names:
        return None
    values = column_texts(batch, columns.label)
    if pa.types.is_floating(whole(batch.column(columns.label)).type):
        values = pc.if_else(pc.is_nan(whole(batch.column(columns.label))), None, values)
    return [one or None for one in values.to_pylist()]


def _wrong_classes(batch: pa.RecordBatch, columns: ModelColumns) -> Floats | None:
    scores, labels = class_scores(batch, columns), class_labels(batch, columns)
    if scores is None or labels is None:
        return None
    place = {name: at for at, (name, _) in enumerate(columns.classes)}
    known = np.array([np.nan if one is None else place.get(one, np.nan) for one in labels])
    usable = np.isfinite(scores).all(axis=1) & np.isfinite(known)
    chosen = np.nan_to_num(scores, nan=-1.0).argmax(axis=1)
    return np.where(usable, (chosen != known).astype(np.float64), np.nan)


_YES = {"1", "true", "True", "TRUE", "yes", "t"}
_NO = {"0", "false", "False", "FALSE", "no", "f"}
_DECIDED = 0.5
