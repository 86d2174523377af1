"""The one way from rows to answers, whatever face they come through: admit, ask the model, judge.

    for outcome in answers(live, [Question(caller, batch, rows)]): …

Questions of several callers share one call of the model and one look of the guard; what comes of
one question is nothing to the others.
"""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import structlog

from strongroom.errors import StrongroomError, UnavailableError
from strongroom.services.endpoints.guarding import Question
from strongroom.services.endpoints.runners import Live, Prediction

Outcome = Prediction | StrongroomError

_log = structlog.get_logger(__name__)


def answers(live: Live, questions: Sequence[Question]) -> list[Outcome]:
    """What comes of each question, in their order."""
    outcomes: list[Outcome | None] = [_refusal(live, one) for one in questions]
    admitted = [at for at, outcome in enumerate(outcomes) if outcome is None]
    if admitted:
        asked = [questions[at] for at in admitted]
        for at, outcome in zip(admitted, _asked(live, asked), strict=True):
            outcomes[at] = outcome
    return [one for one in outcomes if one is not None]


def answer(live: Live, question: Question) -> Prediction:
    """What comes of one question. Raises: StrongroomError: there is no answer."""
    [outcome] = answers(live, [question])
    if isinstance(outcome, StrongroomError):
        raise outcome
    return outcome


def _refusal(live: Live, question: Question) -> StrongroomError | None:
    try:
        live.guarding.admit(question.caller)
    except StrongroomError as error:
        return error
    return None


def _asked(live: Live, questions: Sequence[Question]) -> Sequence[Outcome]:
    try:
        predictions = _predicted(live, questions)
    except StrongroomError as error:
        return [error] * len(questions)
    except Exception as error:  # noqa: BLE001 # a model may fail in any way; the server lives on
        # Its kind alone: the words of a model may quote a row.
        _log.error("model_failed", endpoint=live.endpoint, kind=type(error).__name__)
        return [UnavailableError("the model could not answer")] * len(questions)
    judged = live.guarding.judge(questions, predictions, live.runner.predict)
    return [
        outcome if isinstance(outcome, StrongroomError) else _flagged(prediction, outcome)
        for prediction, outcome in zip(predictions, judged, strict=True)
    ]


def _flagged(prediction: Prediction, rows: int) -> Prediction:
    return prediction if rows == 0 else replace(prediction, flagged=rows)


def _predicted(live: Live, questions: Sequence[Question]) -> list[Prediction]:
    """Predictions in the order asked. Raises: the error that all of them share."""
    tables = [one.batch for one in questions if not isinstance(one.batch, list)]
    if len(questions) == 1 or len(tables) < len(questions):
        return [live.runner.predict(one.batch) for one in questions]
    together = live.runner.predict(np.concatenate(tables))
    predictions, start = [], 0
    for question in questions:
        predictions.append(together.part(start, start + question.rows))
        start += question.rows
    return predictions
