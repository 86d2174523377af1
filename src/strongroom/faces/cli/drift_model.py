"""How the model does, in `strongroom drift`: scores, predictions and labels out of the batches."""

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from strongroom.engines.drift.calibration import reliability
from strongroom.engines.drift.error_model import ErrorModel, RegressionState
from strongroom.engines.drift.estimation import estimated
from strongroom.engines.drift.findings import ModelReport
from strongroom.engines.drift.matrices import comparable, matrix
from strongroom.engines.drift.plan import Floats, Plan
from strongroom.engines.drift.scores import ScoreState, performance
from strongroom.engines.drift.slices import MAX_SLICES, SliceScores, worse_slices
from strongroom.engines.drift.values import numbers, parsed_numbers, texts, whole
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

    def names(self) -> tuple[str, ...]:
        """Columns that the model made."""
        return tuple(one for one in (self.score, self.prediction) if one)

    def truths(self) -> tuple[str, ...]:
        """Columns that say what came true."""
        return (self.label,) if self.label else ()


@dataclass(slots=True)
class _Side:
    """What was counted of one sample."""

    scores: ScoreState = field(default_factory=ScoreState)
    slices: dict[str, SliceScores] = field(default_factory=dict)
    errors: RegressionState | None = None


class ModelWatch:
    """Told of every batch, it counts what the model did."""

    def __init__(self, columns: ModelColumns) -> None:
        self._columns = columns
        if columns.slices and not (columns.score and columns.label):
            raise UsageError("--slice needs --score and --label")
        self._first, self._second = _Side(), _Side()
        self._remarks: dict[str, None] = {}
        self._unit: float | None = None

    @property
    def needs_rows(self) -> bool:
        """Whether the errors of a regression must be learned from rows."""
        return self._is_regression

    @property
    def _is_regression(self) -> bool:
        columns = self._columns
        return bool(columns.prediction and columns.label and not columns.score)

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

    def _count(self, batch: pa.RecordBatch, side: _Side) -> None:
        columns = self._columns
        if self._is_regression:
            said = self._numbers(batch, columns.prediction)
            known = self._numbers(batch, columns.label)
            if said is not None and known is not None:
                side.errors = side.errors or RegressionState(self._unit_of(known))
                side.errors.update(said, known)
            return
        if not columns.score:
            return
        scores = self._numbers(batch, columns.score)
        if scores is None:
            return
        labels = self._labels(batch)
        side.scores.update(scores, labels)
        for name in columns.slices:
            self._slice(batch, side, name, scores, labels)

    def _unit_of(self, known: Floats) -> float:
        """Of both samples the one that the first labels suggest."""
        if self._unit is None:
            size = np.abs(known[np.isfinite(known)])
            self._unit = max(float(np.median(size)), 1e-12) if len(size) else 1.0
        return self._unit

    def _slice(
        self, batch: pa.RecordBatch, side: _Side, name: str, scores: Floats,
        labels: Floats | None,
    ) -> None:  # fmt: skip
        if name not in batch.schema.names:
            self._remarks[f"there is no column `{name}` to slice by"] = None
            return
        values = texts(batch.column(name))
        if name not in side.slices:
            counted = values.value_counts()
            order = np.argsort(-counted.field("counts").to_numpy(), kind="stable")[:MAX_SLICES]
            named = [
                one for one in counted.field("values").take(pa.array(order)).to_pylist() if one
            ]
            side.slices[name] = SliceScores(name, named)
        side.slices[name].update(values.to_pylist(), scores, labels)

    def _numbers(self, batch: pa.RecordBatch, name: str) -> Floats | None:
        if name not in batch.schema.names:
            return None
        values = whole(batch.column(name))
        if pa.types.is_string(values.type) or pa.types.is_large_string(values.type):
            return parsed_numbers(values)[0]
        return numbers(values)

    def _labels(self, batch: pa.RecordBatch) -> Floats | None:
        """1 for the positive class, 0 for another, NaN where there is no label."""
        columns = self._columns
        if not columns.label or columns.label not in batch.schema.names:
            return None
        values = texts(batch.column(columns.label))
        positive = columns.positive
        found: NDArray[np.object_] = np.array(values.to_pylist(), object)
        present = np.array([one is not None and one != "" for one in found], bool)
        if not positive:
            held = set(found[present].tolist())
            if held - _YES - _NO:
                raise UsageError(
                    "the labels are not 0 and 1, nor true and false",
                    next_step="say which is the positive class: --positive VALUE",
                )
            is_positive = np.isin(found.astype(str), list(_YES))
        else:
            is_positive = found == positive
        return np.where(present, is_positive.astype(np.float64), np.nan)

    # ---- the report ----

    def report(
        self, first: pa.Table | None, second: pa.Table | None, plan: Plan, made: tuple[str, ...]
    ) -> ModelReport | None:
        """What was found; None where no column of the model was named."""
        if self._is_regression:
            return self._regression(first, second, plan, made)
        if not self._columns.score:
            return None
        before, now = self._first.scores, self._second.scores
        remarks = list(self._remarks)
        for name, side in (("reference", before), ("current", now)):
            if side.left_out:
                remarks.append(f"{name}: {side.left_out:,} scores are missing or not in [0, 1]")
        estimate = estimated(before, now)
        if estimate is None:
            remarks.append("performance cannot be estimated: the reference has too few labels")
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
                errors=(before, now), remarks=("errors are estimated from tables, not from states",)
            )
        columns = self._columns
        left_out = {*made, *columns.truths()}
        names = [name for name in comparable(plan) if name not in left_out]
        parts = [
            (matrix(one, plan, names), self._numbers_of(one, columns.prediction),
             self._numbers_of(one, columns.label))
            for one in (first, second)
        ]  # fmt: skip
        if np.isfinite(parts[0][1] - parts[0][2]).sum() < _LEAST_LABELS:
            return ModelReport(
                errors=(before, now), remarks=("the reference has too few labels to learn errors",)
            )
        model = ErrorModel(*parts[0])
        return ModelReport(errors=(before, now), error_estimate=model.estimate(*parts[1]))

    def _numbers_of(self, table: pa.Table, name: str) -> Floats:
        found = [self._numbers(one, name) for one in table.to_batches()]
        held = [one for one in found if one is not None]
        return np.concatenate(held) if held else np.full(table.num_rows, np.nan)


_YES = {"1", "true", "True", "TRUE", "yes", "t"}
_NO = {"0", "false", "False", "FALSE", "no", "f"}
_LEAST_LABELS = 200
