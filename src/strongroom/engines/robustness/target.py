"""A model as an attacker sees it: rows in, answers out, and every row counted."""

import builtins
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar, Literal

import numpy as np
from numpy.typing import NDArray

from strongroom.errors import UnavailableError, ValidationError

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


_FAULTS = (MemoryError, RecursionError, ArithmeticError, SystemError)


class ModelError(UnavailableError):
    """A model that runs elsewhere raised something; its words stay there, they may quote a row.

    Attributes:
        kind: name of Python's own class of the error, `ENDED` or `SERVER`.
        is_fault: the model is gone, or ran out of something, instead of refusing.
    """

    ENDED: ClassVar[str] = "the end of its process"
    SERVER: ClassVar[str] = "a fault of its server"
    next_step = "ask the model for such rows where it runs, and see what it says"

    def __init__(self, kind: str) -> None:
        """Keep a kind that Python has; any other name could be a message."""
        found = getattr(builtins, kind, None)
        known = found if isinstance(found, type) and issubclass(found, Exception) else None
        is_gone = kind in {self.ENDED, self.SERVER}
        self.kind = kind if known or is_gone else "Exception"
        self.is_fault = is_gone or (known is not None and is_fault(known))
        super().__init__(f"the model answered with {self.kind}")


def is_fault(kind: type) -> bool:
    """Whether a class of errors is a fault (memory, recursion, arithmetic) and no refusal."""
    return issubclass(kind, _FAULTS)


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

    def labelled(self, scores: Scores) -> Scores:
        """The same, in which the likeliest class stays the first of the largest.

        An endpoint gives the label beside the numbers. Where rounding made a tie that another class
        would win, that class gives one step away: the answer is a function of what is shown and of
        the label, so it tells no more than both.
        """
        shown = self.shown(scores)
        label, now = scores.argmax(axis=1), shown.argmax(axis=1)
        at = np.flatnonzero(label != now)
        if len(at):
            shown = shown.copy()
            step = 10.0 ** -(self.decimals or 0)
            for row in at:
                tied = np.flatnonzero(shown[row] >= shown[row, label[row]])
                shown[row, tied[tied < label[row]]] -= step
            shown = np.maximum(np.round(shown, self.decimals or 0), 0.0)
            stuck = at[shown[at].argmax(axis=1) != label[at]]
            shown[stuck, label[stuck]] = shown[stuck].max(axis=1) + step
        return shown


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
        return self.form.labelled(answer) if self.classes > 1 else self.form.shown(answer)
