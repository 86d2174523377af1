"""The guard of one endpoint at work: between the model's answer and the caller.

Rows are judged together with whatever else arrived; what is decided is decided for each caller.
Whoever is refused hears the same words, whether a row of theirs was odd or all they ask is.
"""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import numpy as np
import structlog
from numpy.typing import NDArray

from strongroom.engines.robustness.guards.guard import DETECTORS
from strongroom.engines.robustness.target import Rows, Scores
from strongroom.errors import GuardRefusedError, StrongroomError, UnavailableError, ValidationError
from strongroom.services.endpoints.callers import Callers, Place, Raised
from strongroom.services.endpoints.guard_policies import GuardPolicy
from strongroom.services.models.fitted_guard import Batch, Coder, FittedGuard

_log = structlog.get_logger(__name__)


class Answered(Protocol):
    """What a model said: `runners.Prediction`."""

    @property
    def labels(self) -> NDArray[Any]:
        """(rows,)."""
        ...

    @property
    def probabilities(self) -> NDArray[Any] | None:
        """(rows, classes)."""
        ...


Ask = Callable[[Batch], Answered]


@dataclass(frozen=True, slots=True)
class Question:
    """Some rows of one caller."""

    caller: str
    batch: Batch
    rows: int


@dataclass(slots=True)
class Tally:
    """What a guard has counted since the server was started.

    Attributes:
        rows: looked at. flags: by detector, rows. refused: requests. alarms: raised.
    """

    rows: int = 0
    flags: Counter[str] = field(default_factory=Counter)
    refused: int = 0
    alarms: int = 0


@dataclass(frozen=True, slots=True)
class Loaded:
    """A guard in memory.

    Attributes:
        name: what the guard is known by.
        rate: of false alarms, of single rows.
    """

    name: str
    fitted: FittedGuard
    coder: Coder
    rate: float


class Guarding:
    """What guards one deployment. The guard may be exchanged while it is at work.

    Attributes:
        policy: in force.
        fault: why the guard cannot be used though there should be one; or empty.
    """

    def __init__(
        self, place: Place, *, callers: Callers | None = None, tally: Tally | None = None,
        tell: Callable[[Raised], None] = lambda _raised: None,
    ) -> None:  # fmt: skip
        """Without a guard.

        Args:
            tell: told of alarms, in whatever thread; must not wait.
        """
        self._place = place
        self._callers = callers or Callers()
        self.tally = tally or Tally()
        self._tell = tell
        self.policy = GuardPolicy()
        self.loaded: Loaded | None = None
        self.fault = ""

    @property
    def is_looking(self) -> bool:
        """Whether rows are looked at, which takes a while."""
        return self.loaded is not None and self.policy.mode != "off"

    @property
    def is_usable(self) -> bool:
        """Whether questions can be answered: who refuses by a guard has one."""
        return self.policy.mode != "refuse" or self.loaded is not None

    def equip(self, policy: GuardPolicy, loaded: Loaded | None, fault: str = "") -> None:
        """From now on work by this policy, with this guard."""
        before = self.loaded
        if before is not None and (loaded is None or loaded.name != before.name):
            self._callers.forget_rows(self._place)
        self.policy, self.loaded, self.fault = policy, loaded, fault

    def require_usable(self) -> None:
        """Return if questions can be answered under the policy.

        Raises: UnavailableError: the endpoint refuses by its guard, and there is none to be used.
        """
        if not self.is_usable:
            raise UnavailableError(
                "the guard of this endpoint cannot be used for now",
                next_step="see `strongroom endpoint guard` for the reason",
            )

    def admit(self, caller: str) -> None:
        """Return if a caller may ask at all.

        Raises: UnavailableError, GuardRefusedError.
        """
        if self.policy.mode != "refuse":
            return
        self.require_usable()
        if self._callers.is_alarmed(self._place, caller):
            self._callers.note(self._place, caller, rows=0, flagged=0, refused=True)
            raise self._refused()

    def judge(
        self, questions: Sequence[Question], answers: Sequence[Answered], ask: Ask
    ) -> list[int | StrongroomError]:
        """What comes of questions that were answered: rows flagged, or why the answer stays here.

        Args:
            ask: the model, for detectors that ask it again.
        """
        loaded, policy = self.loaded, self.policy
        lost = UnavailableError("the guard of this endpoint cannot be used for now")
        if policy.mode == "refuse" and loaded is None:  # it was lost since they were admitted
            return [lost] * len(questions)
        if loaded is None or policy.mode == "off":
            return [0] * len(questions)
        try:
            pieces = [loaded.coder.rows(one.batch) for one in questions]
            rows = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
            scores = _scores(answers, loaded.fitted.classes)
            is_flagged, detectors = _judged(loaded, rows, scores, questions[0].batch, ask)
        except Exception as error:  # noqa: BLE001 # whatever it is, the answer must not hang on it
            # The model answers otherwise than the guard knows it, or does not answer again.
            told = error.message if isinstance(error, StrongroomError) else type(error).__name__
            self.fault = f"it could not judge: {told}"
            _log.error("guard_failed", endpoint=self._place[1], kind=type(error).__name__)
            return [lost if policy.mode == "refuse" else 0 for _ in questions]
        self.tally.rows += len(rows)
        if is_flagged.any():
            self.tally.flags.update(DETECTORS[place] for place in detectors[is_flagged].tolist())
        outcomes: list[int | StrongroomError] = []
        start = 0
        for question in questions:
            part = slice(start, start + question.rows)
            start += question.rows
            flagged = int(np.count_nonzero(is_flagged[part]))
            if not self._remember(loaded, question, rows[part], scores[part]):
                outcomes.append(lost if policy.mode == "refuse" else flagged)
                continue
            is_refused = policy.mode == "refuse" and flagged > 0
            self._callers.note(
                self._place, question.caller, rows=question.rows, flagged=flagged,
                refused=is_refused,
            )  # fmt: skip
            outcomes.append(self._refused() if is_refused else flagged)
        return outcomes

    def _remember(self, loaded: Loaded, question: Question, rows: Rows, scores: Scores) -> bool:
        """Whether the caller could be watched."""
        traffic = loaded.fitted.traffic
        if traffic is None:
            return True
        try:
            raised = self._callers.look(self._place, question.caller, traffic, rows, scores)
        except Exception as error:  # noqa: BLE001 # what watches callers takes no answer along
            self.fault = f"it could not watch a caller: {type(error).__name__}"
            _log.error("guard_failed", endpoint=self._place[1], kind=type(error).__name__)
            return False
        if raised is not None:
            self.tally.alarms += 1
            self._tell(raised)
        return True

    def _refused(self) -> GuardRefusedError:
        self.tally.refused += 1
        return GuardRefusedError("the guard of this endpoint does not let this be answered")


def _judged(
    loaded: Loaded, rows: Rows, scores: Scores, like: Batch, ask: Ask
) -> tuple[NDArray[np.bool_], NDArray[np.intp]]:
    guard = loaded.fitted.guard
    squeezed = None
    if guard.settings.is_squeezing:
        again = ask(loaded.coder.values(guard.coarser(rows), like))
        squeezed = _scores([again], loaded.fitted.classes)
    verdicts = guard.check(rows, scores, squeezed)
    return verdicts.p <= loaded.rate + 1e-12, verdicts.detector


def _scores(answers: Sequence[Answered], classes: tuple[str, ...]) -> Scores:
    """Probabilities of all rows; of a model that names a class only, 1 for it.

    Raises: ValidationError: the model answers other classes.
    """
    pieces = [_score(one, classes) for one in answers]
    return pieces[0] if len(pieces) == 1 else np.concatenate(pieces)


def _score(answer: Answered, classes: tuple[str, ...]) -> Scores:
    if answer.probabilities is not None:
        found = np.asarray(answer.probabilities, dtype=np.float64)
        if found.shape[1] != len(classes):
            raise ValidationError("the model answers other classes than its guard knows")
        return found if np.isfinite(found).all() else np.nan_to_num(found)
    places = {name: place for place, name in enumerate(classes)}
    made = np.zeros((len(answer.labels), len(classes)))
    try:
        at = [places[str(label)] for label in answer.labels.tolist()]
    except KeyError:
        raise ValidationError("the model answers other classes than its guard knows") from None
    made[np.arange(len(at)), at] = 1.0
    return made
