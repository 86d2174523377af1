"""How classes do that a model only names, in `strongroom drift --prediction`: without scores."""

import math
from dataclasses import replace

import numpy as np
import pyarrow as pa

from strongroom.engines.drift.findings import ModelReport
from strongroom.engines.drift.multiclass import MulticlassState, multiclass_report
from strongroom.engines.drift.plan import Plan
from strongroom.faces.cli.drift_columns import ModelColumns, class_labels, column_texts


def choices_report(
    first: pa.Table, second: pa.Table, columns: ModelColumns, plan: Plan
) -> ModelReport:
    """Accuracy, F1 and each class against the rest, where there are labels.

    Classes are those that the plan lists of the prediction. What a choice without a score expects
    of itself is not known, so that nothing is said for rows without labels.
    """
    names = plan.columns[plan.index()[columns.prediction]].categories
    if len(names) < 2:
        return ModelReport(remarks=("the reference has fewer than two frequent classes",))
    sides = _counted(first, columns, names), _counted(second, columns, names)
    remarks = ["without labels, how classes do is told from probabilities: --score or --class"]
    for name, side in zip(("reference", "current"), sides, strict=True):
        if side.chosen.left_out:
            remarks.append(f"{name}: {side.chosen.left_out:,} predictions are none of the classes")
        if side.unlisted:
            remarks.append(f"{name}: {side.unlisted:,} labels are none of the classes")
    found = multiclass_report(*sides)
    measured = replace(
        found, accuracy=(*found.accuracy[:2], math.nan), error=math.nan,
        macro_f1=(*found.macro_f1[:2], math.nan), warnings=(),
        classes=tuple(replace(one, estimate=None) for one in found.classes),
    )  # fmt: skip
    return ModelReport(remarks=tuple(remarks), classes=measured)


def _counted(table: pa.Table, columns: ModelColumns, names: tuple[str, ...]) -> MulticlassState:
    """The chosen class as one that has the score 1, all others 0."""
    state = MulticlassState(names)
    if columns.prediction not in table.schema.names:
        return state
    place = {name: at for at, name in enumerate(names)}
    for batch in table.to_batches():
        said = [place.get(one, -1) for one in column_texts(batch, columns.prediction).to_pylist()]
        chosen = np.array(said, np.intp)
        scores = np.equal.outer(chosen, np.arange(len(names))).astype(np.float64)
        scores[chosen < 0] = np.nan  # counted as left out
        state.update(scores, class_labels(batch, columns))
    return state
