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

_MANY = 16
"""Rows from which an array is faster than plain Python."""
_EXACT_DECIMALS = 9
_NEAR = 1e-5
_LARGEST_STEP = 1e10
"""Up to here a number has five decimals more than are looked at."""


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
    if len(probabilities) >= _MANY and decimals <= _EXACT_DECIMALS:
        return labels, _all_kept(probabilities.astype(np.float64), decimals)
    return labels, [_kept(row, decimals) for row in probabilities.tolist()]


def _all_kept(probabilities: NDArray[np.float64], decimals: int) -> list[list[float]]:
    """The same as `_kept` of each row, for many: an array is faster, and no number differs."""
    if not np.isfinite(probabilities).all():
        raise UnavailableError("the model did not answer with a number")
    with np.errstate(over="ignore", invalid="ignore"):
        steps = probabilities * 10.0**decimals
        rounded = np.rint(steps) / 10.0**decimals + 0.0
        # The product is rounded, too: what may be the middle of two steps is looked at exactly.
        off = np.abs(steps - np.floor(steps) - 0.5)
        is_sure = (off > _NEAR) & (np.abs(steps) < _LARGEST_STEP)
    unsure = ~is_sure
    if probabilities.shape[1]:
        moved = rounded.argmax(axis=1) != probabilities.argmax(axis=1)
        unsure |= moved[:, None]
    kept: list[list[float]] = rounded.tolist()
    for place in np.flatnonzero(unsure.any(axis=1)).tolist():
        kept[place] = _kept(probabilities[place].tolist(), decimals)
    return kept


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
    # 0.0 is added because rounding makes -0.0 of a little less than nothing.
    return [round(number, decimals) + 0.0 for number in numbers]


def _shown(probabilities: NDArray[Any], top: int | None, decimals: int) -> NDArray[Any]:
    if not np.isfinite(probabilities).all():
        raise UnavailableError("the model did not answer with a number")
    shown = labelled(OutputForm(top=top, decimals=decimals), probabilities.astype(np.float64))
    return shown + 0.0
