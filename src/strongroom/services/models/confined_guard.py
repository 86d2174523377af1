"""The part of the fitting of a guard that runs inside the sandbox, over rows that came in.

Called by `guard_fitting`, never in the server. The model runs in a sandbox of its own, and is asked
as `confined_dialogue` says.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from strongroom.engines.robustness.assessment.plan import DEFAULT_TEXT, ColumnRoles, parse_plan
from strongroom.engines.robustness.assessment.subject import Sample
from strongroom.engines.robustness.assessment.table import (
    classes_of,
    features_of,
    sample_of,
    space_of,
)
from strongroom.engines.robustness.guards import guard, traffic
from strongroom.engines.robustness.guards.conformal import fewest_rows
from strongroom.engines.robustness.guards.guard import Guard, Settings
from strongroom.engines.robustness.space import Space
from strongroom.engines.robustness.target import Labels, Predict, Rows
from strongroom.errors import ValidationError
from strongroom.services.models.confined_dialogue import Answer, ConfinedDialogue, Handle
from strongroom.services.models.fitted_guard import FittedGuard
from strongroom.services.models.subjects import AssessedModel

Part = tuple[Rows, Labels]

PERSON = "strongroom person"
"""Name of the column that tells people apart, in the place of their own key."""
_CALIBRATION = 0.3
"""Share of the rows, or of the people, that set the rate where no others are given."""


def start(argument: dict[str, Any], _folder: Path) -> Handle:
    """Begin a fitting; each call of what is returned brings it one step on.

    Args:
        argument: `label`, `values`, `rates`, `group`, `squeezing` and `seed`, of what was asked
            for; `features`, `texts`, `classes` and `digest`, of the signed version; `private`.
    """
    return _Fitting(argument).answer


class _Fitting(ConfinedDialogue):
    """Fits a guard; its last answer has `rate` and the guard itself."""

    def __init__(self, argument: dict[str, Any]) -> None:
        super().__init__()
        self._argument = argument

    def work(self) -> Answer:
        """Fit the guard."""
        asked = self._argument
        tables = [one for name in ("trained", "held_out") if (one := self.table(name)) is not None]
        model = AssessedModel(self.ask)
        if model.about.is_regression:
            raise ValidationError("a guard compares labels: a regression has none")
        roles = ColumnRoles(label=str(asked["label"]), left_out=(PERSON,))
        known = [name for name in asked["features"] if name in tables[0].column_names]
        names = asked["features"] if len(known) == len(asked["features"]) else ()
        features = features_of(tables[0], roles, names)
        if len(features.names) != len(asked["features"]):
            raise ValidationError(
                f"the model takes {len(asked['features'])} features, the rows have "
                f"{len(features.names)} columns that could be some",
                next_step="give rows with the columns that the model was trained on",
            )
        texts = [name in features.texts for name in features.names]
        if texts != list(asked["texts"]):
            raise ValidationError(
                "the model takes numbers where the rows have words, or words for numbers",
                next_step="give rows with the columns that the model was trained on",
            )
        space = space_of(tables, features, parse_plan(DEFAULT_TEXT))
        classes = tuple(asked["classes"]) or classes_of(tables, roles.label)
        values = tuple(asked["values"]) or classes
        if len(values) != len(classes):
            raise ValidationError(
                f"the model has {len(classes)} classes, and {len(values)} values of the label "
                "were named"
            )
        samples = [sample_of(one, space, features, roles, values)[0] for one in tables]
        predict = model.predict(space, len(classes))
        reference, calibration = self._parts(samples, tables[0])
        made = self._guard(reference, calibration, predict, len(classes))
        rows, labels = calibration
        seen = None
        if len(rows) >= traffic.FEWEST_ROWS:
            seen = traffic.fit(rows, labels, predict(rows), seed=int(asked["seed"]))
        # A model without names of its own has those of its signed statement.
        named = zip(space.features, asked["features"], strict=True)
        space = Space([replace(one, name=name) for one, name in named])
        fitted = FittedGuard(
            str(asked["digest"]), space, classes, bool(asked["private"]), made, seen
        )
        head = {
            "rate": made.settings.rate, "reference": len(reference[0]), "calibration": len(rows),
            "monitors": seen is not None,
        }  # fmt: skip
        return head, fitted.to_bytes()

    def _guard(self, reference: Part, calibration: Part, predict: Predict, classes: int) -> Guard:
        """A guard at the first rate that the rows suffice for."""
        asked = self._argument
        answers = predict(calibration[0]).argmax(axis=1)
        right = int((answers == calibration[1]).sum())
        rate = next(
            (one for one in asked["rates"] if fewest_rows(one) <= right), asked["rates"][-1]
        )
        settings = Settings(
            rate=float(rate), group=int(asked["group"]), is_squeezing=bool(asked["squeezing"])
        )
        return guard.fit(
            reference, calibration, predict, classes=classes, settings=settings,
            seed=int(asked["seed"]),
        )  # fmt: skip

    def _parts(self, samples: list[Sample], table: pa.Table) -> tuple[Part, Part]:
        """Rows that neighbours are sought among, and rows that set the rate.

        Of one table some are kept apart, whole people where these are known: the rows of one person
        are alike, and would make strangers look odd.
        """
        if len(samples) > 1:
            first, second = samples
            return (first.rows, first.labels), (second.rows, second.labels)
        [sample] = samples
        rng = np.random.default_rng(int(self._argument["seed"]))
        people: NDArray[Any] = sample.places
        if PERSON in table.column_names:
            people = np.asarray(table.column(PERSON).to_numpy())[sample.places]
        known, own = np.unique(people, return_inverse=True)
        apart = rng.random(len(known)) < _CALIBRATION
        is_apart = apart[own]
        return (
            (sample.rows[~is_apart], sample.labels[~is_apart]),
            (sample.rows[is_apart], sample.labels[is_apart]),
        )
