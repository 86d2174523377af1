"""How the model does, in `strongroom drift`: what it said and what came true, counted."""

import math

import numpy as np
import pyarrow as pa

from strongroom.engines.drift.calibration import reliability
from strongroom.engines.drift.error_model import ErrorModel, RegressionState
from strongroom.engines.drift.estimation import estimated
from strongroom.engines.drift.findings import ModelReport
from strongroom.engines.drift.matrices import comparable, matrix
from strongroom.engines.drift.model_state import ModelState
from strongroom.engines.drift.multiclass import MulticlassState, multiclass_report
from strongroom.engines.drift.plan import Floats, Kind, Plan
from strongroom.engines.drift.scores import POSITIVE, ScoreState, performance
from strongroom.engines.drift.slices import MAX_SLICES, SliceScores, worse_slices
from strongroom.errors import UsageError
from strongroom.faces.cli.drift_choices import choices_report
from strongroom.faces.cli.drift_columns import (
    ModelColumns,
    class_labels,
    class_scores,
    column_numbers,
    column_texts,
    label_numbers,
)


class ModelWatch:
    """Told of every batch, it counts what the model did."""

    def __init__(self, columns: ModelColumns) -> None:
        self._columns = columns
        if columns.slices and not (columns.score and columns.label):
            raise UsageError("--slice needs --score and --label")
        if columns.classes and (columns.score or columns.positive):
            raise UsageError("--class names the scores of several classes: leave out --score")
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
        if not self._columns.is_given:
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
        if not self._columns.is_given:
            return ModelState()
        if saved is None:
            self._remarks[f"the state of the {where} keeps nothing of the model: save it with "
                          "--score, --class or --prediction"] = None  # fmt: skip
            return ModelState(asked)
        if dict(saved.columns) != asked:
            told = ", ".join(f"--{role} {name[:_SHOWN]}" for role, name in saved.columns.items())
            raise UsageError(f"the state of the {where} was saved with {told}")
        names = tuple(name for name, _ in self._columns.classes)
        if names != (() if saved.classes is None else saved.classes.classes):
            told = "" if saved.classes is None else ", ".join(saved.classes.classes)[:_LISTED]
            raise UsageError(
                f"the state of the {where} was saved with other classes: {told or 'none'}",
                next_step="name the same ones with --class, in the same order",
            )
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
        if columns.classes:
            self._classes(batch, side)
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

    def _classes(self, batch: pa.RecordBatch, side: ModelState) -> None:
        if side.classes is None:
            side.classes = MulticlassState([name for name, _ in self._columns.classes])
        scores = class_scores(batch, self._columns)
        if scores is None:
            self._remarks["a column of --class is missing in one of the samples"] = None
            return
        side.classes.update(scores, class_labels(batch, self._columns))

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
        if self._columns.classes:
            return self._of_classes()
        if not self._columns.score:
            return None
        before, now = self._first.scores, self._second.scores
        remarks = list(self._remarks)
        for name, side in (("reference", before), ("current", now)):
            if side.left_out:
                remarks.append(f"{name}: {side.left_out:,} scores are missing or not in [0, 1]")
            remarks += _roughness(name, side)
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

    def _of_classes(self) -> ModelReport:
        before, now = self._first.classes, self._second.classes
        remarks = list(self._remarks)
        if before is None or now is None:
            return ModelReport(remarks=(*remarks, "a sample has no scores of the classes"))
        for name, side in (("reference", before), ("current", now)):
            if side.chosen.left_out:
                remarks.append(
                    f"{name}: {side.chosen.left_out:,} rows lack a score, or have one not in [0, 1]"
                )
            remarks += _roughness(name, side.chosen)
            if side.unlisted:
                remarks.append(f"{name}: {side.unlisted:,} labels are none of the classes")
        found = multiclass_report(before, now)
        if math.isnan(found.accuracy[2]):
            remarks.append(
                "performance cannot be estimated: the reference has too few labels, or the current "
                "sample no scores"
            )
        return ModelReport(
            reliability=(reliability(before.chosen), reliability(now.chosen)),
            remarks=tuple(remarks), classes=found,
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
            return choices_report(first, second, columns, plan)
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


def _roughness(name: str, side: ScoreState) -> list[str]:
    """What to say of few labels that a file keeps in tens only."""
    if not side.step or side.labelled >= _ROUGH_STEPS * side.step:
        return []
    told = (
        f"{name}: the state keeps its {side.labelled:,} labelled rows by {side.step:,} only, so "
        "that what is measured on them is rough; --exact keeps all counts"
    )
    return [told]


_ROUGH_STEPS = 100


def _numbers_of(table: pa.Table, name: str) -> Floats:
    found = [column_numbers(one, name) for one in table.to_batches()]
    held = [one for one in found if one is not None]
    return np.concatenate(held) if held else np.full(table.num_rows, np.nan)


_SHOWN = 64
"""Characters of a value that is quoted."""
_LISTED = 200
_LEAST_LABELS = 200
