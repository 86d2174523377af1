"""A model as an attacker sees it: rows in, answers out, and every row counted."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from strongroom.errors import ValidationError

Rows = NDArray[np.float64]
"""(rows, width): points in the coordinates of a `Space`."""
Scores = NDArray[np.float64]
"""(rows, classes): probabilities; of a regression (rows, 1): its numbers."""
Labels = NDArray[np.int64]
"""(rows,): places of classes."""
Truth = Labels | NDArray[np.float64]
"""(rows,): what is true of rows: places of classes, or the numbers of a regression."""
Predict = Callable[[Rows], Scores]

_BATCH = 1 << 16


class QueriesSpent(Exception):  # noqa: N818 # it ends an attack; nothing is wrong
    """The next question would cost more rows than the attacker has left; none was asked."""


@dataclass(frozen=True, slots=True)
class OutputForm:
    """What of an answer leaves the endpoint.

    Attributes:
        shows: with `labels`, the likeliest class gets 1 and all others 0.
        top: only so many of the largest probabilities; all others are 0.
        decimals: to which the numbers are rounded.
    """

    shows: Literal["probabilities", "labels"] = "probabilities"
    top: int | None = None
    decimals: int | None = None

    def shown(self, scores: Scores) -> Scores:
        """The answer as it leaves."""
        if self.shows == "labels":
            bare = np.zeros_like(scores)
            bare[np.arange(len(scores)), scores.argmax(axis=1)] = 1.0
            return bare
        if self.top is not None and self.top < scores.shape[1]:
            left_out = np.argsort(-scores, axis=1, kind="stable")[:, self.top :]
            scores = scores.copy()
            np.put_along_axis(scores, left_out, 0.0, axis=1)
        return scores if self.decimals is None else np.round(scores, self.decimals)


class Target:
    """Answers rows in the form of an endpoint, as many as the attacker may ask.

    Attributes:
        classes: how many; 1 for a regression.
        form: of its answers.
        queries: rows answered so far.
    """

    def __init__(
        self,
        predict: Predict,
        *,
        classes: int,
        form: OutputForm = OutputForm(),
        budget: int | None = None,
    ) -> None:
        """Stand before a model.

        Args:
            predict: scores of rows, (n, classes).
            classes: how many; 1 for a regression.
            form: what of the scores is shown.
            budget: most rows that are answered.
        """
        self.classes = classes
        self.form = form if classes > 1 else OutputForm(decimals=form.decimals)
        self.queries = 0
        self._predict = predict
        self._budget = budget

    @property
    def left(self) -> int | None:
        """Rows that will still be answered; None: without end."""
        return None if self._budget is None else self._budget - self.queries

    def scores(self, rows: Rows) -> Scores:
        """What the endpoint shows for each row.

        Raises:
            QueriesSpent: fewer rows are left than these. ValidationError: the model's answer has
            another shape, or something in it is no number.
        """
        if self._budget is not None and self.queries + len(rows) > self._budget:
            raise QueriesSpent
        self.queries += len(rows)
        pieces = [
            self._checked(rows[start : start + _BATCH]) for start in range(0, len(rows), _BATCH)
        ]
        return np.concatenate(pieces) if pieces else np.empty((0, self.classes))

    def labels(self, rows: Rows) -> Labels:
        """The likeliest class of each row; of equals the first.

        Raises: as `scores`.
        """
        return np.asarray(self.scores(rows).argmax(axis=1), dtype=np.int64)

    def again(self, *, form: OutputForm | None = None, budget: int | None = None) -> "Target":
        """The same model before another attacker, who starts to count anew."""
        return Target(self._predict, classes=self.classes, form=form or self.form, budget=budget)

    def _checked(self, rows: Rows) -> Scores:
        answer = np.asarray(self._predict(rows), dtype=np.float64)
        if answer.shape != (len(rows), self.classes):
            raise ValidationError(
                f"the model answered {len(rows)} rows with an array of shape {answer.shape}; "
                f"{(len(rows), self.classes)} was expected"
            )
        if not np.isfinite(answer).all():
            raise ValidationError("the model answered with something that is not a number")
        return self.form.shown(answer)
