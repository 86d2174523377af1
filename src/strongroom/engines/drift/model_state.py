"""What is kept of a model's rows: counts of its scores, of parts of them, and of errors."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from strongroom.engines.drift.error_model import RegressionState
from strongroom.engines.drift.multiclass import MulticlassState
from strongroom.engines.drift.scores import ScoreState
from strongroom.engines.drift.slices import SliceScores


@dataclass(slots=True)
class ModelState:
    """What was counted of a model in one sample.

    Attributes:
        columns: role → name of the column, or the text of the positive class; what was counted
            means something for these only.
        slices: by column.
        errors: of a regression.
        classes: scores of several classes.
    """

    columns: Mapping[str, str] = field(default_factory=dict)
    scores: ScoreState = field(default_factory=ScoreState)
    slices: dict[str, SliceScores] = field(default_factory=dict)
    errors: RegressionState | None = None
    classes: MulticlassState | None = None
