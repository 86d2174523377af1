"""What of an answer leaves an endpoint: rounded, few of its numbers, or the label alone."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.robustness.guards.outputs import labelled
from strongroom.engines.robustness.target import OutputForm
from strongroom.errors import UnavailableError
from strongroom.services.endpoints.guard_policies import GuardPolicy
from strongroom.services.endpoints.guarding import Answered


def in_form(
    answered: Answered, policy: GuardPolicy, decimals: int
) -> tuple[list[Any], list[list[float]] | None]:
    """Labels and probabilities as they may leave.

    The likeliest class stays the first of the largest, whatever rounding does.

    Raises: UnavailableError when a model answers with what is no number.
    """
    labels, probabilities = answered.labels.tolist(), answered.probabilities
    if answered.labels.dtype.kind == "f":
        labels = _rounded(labels, decimals)
    if probabilities is None or policy.shows == "labels":
        return labels, None
    if policy.top is not None:
        return labels, _shown(probabilities, policy.top, decimals).tolist()
    return labels, [_kept(row, decimals) for row in probabilities.tolist()]


def _kept(row: list[float], decimals: int) -> list[float]:
    rounded = _rounded(row, decimals)
    if row and rounded.index(max(rounded)) != row.index(max(row)):
        made: list[float] = _shown(np.array([row]), None, decimals)[0].tolist()
        return made
    return rounded


def _rounded(numbers: list[float], decimals: int) -> list[float]:
    # For the few numbers of a row plain Python is faster than an array.
    if not all(map(math.isfinite, numbers)):
        raise UnavailableError("the model did not answer with a number")
    return [round(number, decimals) for number in numbers]


def _shown(probabilities: NDArray[Any], top: int | None, decimals: int) -> NDArray[Any]:
    if not np.isfinite(probabilities).all():
        raise UnavailableError("the model did not answer with a number")
    return labelled(OutputForm(top=top, decimals=decimals), probabilities.astype(np.float64))
