"""How the model does, in `strongroom drift`: scores, predictions and labels out of the batches."""

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from strongroom.engines.drift.calibration import reliability
from strongroom.engines.drift.error_model import ErrorModel, RegressionState
from strongroom.engines.drift.estimation import estimated
from strongroom.engines.drift.findings import ModelReport
from strongroom.engines.drift.matrices import comparable, matrix
from strongroom.engines.drift.model_state import ModelState
from strongroom.engines.drift.plan import Floats, Kind, Plan
from strongroom.engines.drift.scores import POSITIVE, performance
from strongroom.engines.drift.slices import MAX_SLICES, SliceScores, worse_slices
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
    """

    prediction: str = ""
    score: str = ""
    label: str = ""
    positive: str = ""
    slices: tuple[str, ...] = ()

    @property
    def is_regression(self) -> bool:
        """Whether predictions are numbers that labels are compared with."""
        return bool(self.prediction and self.label and not self.score)

    @property
    def said(self) -> str:
        """The column of what the model said; of several the score."""
        return self.score or self.prediction

    def names(self) -> tuple[str, ...]:
        """Columns that the model made."""
        return tuple(one for one in (self.score, self.prediction) if one)

    def roles(self) -> dict[str, str]:
        """What was named, by its option."""
        every = {"prediction": self.prediction, "score": self.score, "label": self.label,
                 "positive": self.positive}  # fmt: skip
        return {role: name for role, name in every.items() if name}

    def truths(self) -> tuple[str, ...]:
        """Columns that say what came true."""
        return (self.label,) if self.label else ()


class ModelWatch:
    """Told of every batch, it counts what the model did."""

    def __init__(self, columns: ModelColumns) -> None:
        self._columns = columns
        if columns.slices and not (columns.score and columns.label):
            raise UsageError("--slice needs --score and --label")
        named = columns.roles()
        self._first, self._second = ModelState(named), ModelState(named)
        self._remarks: dict[str, None] = {}
        self._unit: float | None = None

    @property
    def needs_rows(self) -> bool:
        """Whether the errors of a regression must be learned from rows."""
        return self._columns.is_regression

    @property
    def counted(self) -> tuple[ModelState | None, ModelState | None]:
        """What was counted of reference and current sample; None where no column was named."""
        if not self._columns.said:
            return None, None
        return self._first, self._second

    def read_reference(self, saved: ModelState | None) -> None:
        """Go on from what the state of the reference keeps."""
        self._first = self._checked(saved, "reference")
        if self._first.errors is not None:
            self._unit = self._first.errors.unit

    def read_current(self, saved: ModelState | None) -> None:
        """Go on from what the state of the current sample keeps."""
        self._second = self._checked(saved, "current sample")

    def _checked(self, saved: ModelState | None, where: str) -> ModelState:
        asked = self._columns.roles()
        if not self._columns.said:
            return ModelState()
        if saved is None:
            self._remarks[f"the state of the {where} keeps nothing of the model: save it with "
                          "--score or --prediction"] = None  # fmt: skip
            return ModelState(asked)
        if dict(saved.columns) != asked:
            told = ", ".join(f"--{role} {name[:_SHOWN]}" for role, name in saved.columns.items())
            raise UsageError(f"the state of the {where} was saved with {told}")
        if missing := [name for name in self._columns.slices if name not in saved.slices]:
            self._remarks[f"the state of the {where} has no parts by `{missing[0]}`"] = None
        return saved

    def reference(self, batch: pa.RecordBatch) -> None:
        """A batch of the reference."""
        self._count(batch, self._first)

    def current(self, batch: pa.RecordBatch) -> None:
        """A batch of the current sample."""
        if not self._second.slices:
            self._second.slices = {
                name: SliceScores(name, list(one.states)[:-1])
                for name, one in self._first.slices.items()
            }
        self._count(batch, self._second)

    def _count(self, batch: pa.RecordBatch, side: ModelState) -> None:
        columns = self._columns
        if self._columns.is_regression:
            said = column_numbers(batch, columns.prediction)
            known = column_numbers(batch, columns.label)
            if said is not None and known is not None:
                side.errors = side.errors or RegressionState(self._unit_of(said, known))
                side.errors.update(said, known)
            return
        if not columns.score:
            return
        scores = column_numbers(batch, columns.score)
        if scores is None:
            return
        labels = label_numbers(batch, columns)
        side.scores.update(scores, labels)
        for name in columns.slices:
            self._slice(batch, side, name, scores, labels)

    def _unit_of(self, said: Floats, known: Floats) -> float:
        """Of both samples the one that the first rows suggest; many labels may be 0."""
        if self._unit is None:
            size = np.abs(np.concatenate([said, known]))
            size = size[np.isfinite(size) & (size > 0)]
            self._unit = max(float(np.median(size)), 1e-300) if len(size) else 1.0
        return self._unit

    def _slice(
        self, batch: pa.RecordBatch, side: ModelState, name: str, scores: Floats,
        labels: Floats | None,
    ) -> None:  # fmt: skip
        if name not in batch.schema.names:
            self._remarks[f"there is no column `{name}` to slice by"] = None
            return
        values = column_texts(batch, name)
        if name not in side.slices:
            counted = values.value_counts()
            order = np.argsort(-counted.field("counts").to_numpy(), kind="stable")[:MAX_SLICES]
            named = [
                one for one in counted.field("values").take(pa.array(order)).to_pylist() if one
            ]
            side.slices[name] = SliceScores(name, named)
        side.slices[name].update(values.to_pylist(), scores, labels)

    # ---- the report ----

    def report(
        self, first: pa.Table | None, second: pa.Table | None, plan: Plan, made: tuple[str, ...]
    ) -> ModelReport | None:
        """What was found; None where no column of the model was named."""
        if self._columns.is_regression:
            return self._regression(first, second, plan, made)
        if not self._columns.score:
            return None
        before, now = self._first.scores, self._second.scores
        remarks = list(self._remarks)
        for name, side in (("reference", before), ("current", now)):
            if side.left_out:
                remarks.append(f"{name}: {side.left_out:,} scores are missing or not in [0, 1]")
        estimate = estimated(before, now)
        if not now.rows:
            remarks.append("performance cannot be estimated: the current sample has no scores")
        elif estimate is None:
            remarks.append("performance cannot be estimated: the reference has too few labels")
        positive = self._columns.positive
        if positive and before.labelled and not before.counts[:, POSITIVE].any():
            remarks.append(f"no label of the reference is `{positive[:_SHOWN]}`")
        slices = self._second.slices if now.labelled else self._first.slices
        return ModelReport(
            performance(before) if before.labelled else None,
            performance(now) if now.labelled else None,
            estimate, (reliability(before), reliability(now)), worse_slices(slices),
            remarks=tuple(remarks),
        )  # fmt: skip

    def _regression(
        self, first: pa.Table | None, second: pa.Table | None, plan: Plan, made: tuple[str, ...]
    ) -> ModelReport:
        before, now = (
            None if side.errors is None else side.errors.performance()
            for side in (self._first, self._second)
        )
        if first is None or second is None:
            return ModelReport(
                errors=(before, now),
                remarks=(*self._remarks, "errors are estimated from tables, not from states"),
            )
        columns = self._columns
        if plan.columns[plan.index()[columns.prediction]].kind is Kind.CATEGORY:
            return ModelReport(remarks=("how classes do is told from --score: a probability",))
        told = tuple(
            f"{name}: {side.errors.left_out:,} rows lack a prediction or a label that is a number"
            for name, side in (("reference", self._first), ("current", self._second))
            if side.errors is not None and side.errors.left_out
        )
        left_out = {*made, *columns.truths()}
        names = [name for name in comparable(plan) if name not in left_out]
        parts = [
            (matrix(one, plan, names), _numbers_of(one, columns.prediction),
             _numbers_of(one, columns.label))
            for one in (first, second)
        ]  # fmt: skip
        if np.isfinite(parts[0][1] - parts[0][2]).sum() < _LEAST_LABELS:
            return ModelReport(
                errors=(before, now),
                remarks=(*told, "the reference has too few labels to learn errors"),
            )
        model = ErrorModel(*parts[0])
        return ModelReport(
            errors=(before, now), error_estimate=model.estimate(*parts[1]), remarks=told
        )


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
    if not columns.score:
        return None
    scores, labels = column_numbers(batch, columns.score), label_numbers(batch, columns)
    if scores is None or labels is None:
        return None
    wrong = ((scores >= _DECIDED) != (labels == 1)).astype(np.float64)
    return np.where(np.isfinite(scores) & np.isfinite(labels), wrong, np.nan)


def _numbers_of(table: pa.Table, name: str) -> Floats:
    found = [column_numbers(one, name) for one in table.to_batches()]
    held = [one for one in found if one is not None]
    return np.concatenate(held) if held else np.full(table.num_rows, np.nan)


_YES = {"1", "true", "True", "TRUE", "yes", "t"}
_NO = {"0", "false", "False", "FALSE", "no", "f"}
_DECIDED = 0.5
_SHOWN = 64
"""Characters of a value that is quoted."""
_LEAST_LABELS = 200
