"""The least epsilon that an attack's success is compatible with: a check on claims of privacy."""

from collections.abc import Sequence

import numpy as np
from scipy import stats

from strongroom.engines.robustness.intervals import clopper_pearson
from strongroom.engines.robustness.membership.pool import Flags
from strongroom.engines.robustness.membership.signals import Signal
from strongroom.errors import ValidationError

GUESSED = (0.01, 0.02, 0.05, 0.1, 0.25, 0.5)
"""Parts of the rows, at each end of the scores, that an auditor guesses about."""
MOST_EPSILON = 50.0


def epsilon_of_rates(
    found: tuple[int, int], false: tuple[int, int], delta: float, confidence: float = 0.95
) -> float:
    """From hits and tries over members, and over others: of independent runs, or as a hint.

    Any (epsilon, delta) mechanism has TPR <= exp(epsilon) FPR + delta, and the same of the misses
    (Kairouz et al., 2015); with Clopper-Pearson bounds as in Jagielski, Ullman & Oprea, "Auditing
    differentially private machine learning", 2020, and Nasr et al., "Tight auditing of
    differentially private machine learning", 2023. Both bounds hold together with `confidence`.

    Raises:
        ValidationError: a delta outside 0 to 1, or no tries.
    """
    _require_delta(delta)
    if not found[1] or not false[1]:
        raise ValidationError("an audit needs members and others")
    hit = clopper_pearson(*found, confidence)[0]
    alarm = clopper_pearson(*false, confidence)[1]
    best = 0.0
    for over, under in ((hit, alarm), (1 - alarm, 1 - hit)):
        if over - delta > 0 and under > 0:
            best = max(best, float(np.log((over - delta) / under)))
    return min(best, MOST_EPSILON)


def epsilon_of_guesses(
    right: int, guesses: int, examples: int, delta: float, confidence: float = 0.95
) -> float:
    """From right guesses about the rows of one run, each of which was in it with a chance of 1/2.

    Steinke, Nasr & Jagielski, "Privacy auditing with one (1) training run", 2023, theorem 5.2:
    right guesses are no more than binomial with exp(epsilon) / (1 + exp(epsilon)), up to a term
    that grows with delta.

    Args:
        examples: rows that could have been guessed about.

    Raises:
        ValidationError: counts that cannot be, or a delta outside 0 to 1.
    """
    _require_delta(delta)
    if not 0 <= right <= guesses <= examples or not examples:
        raise ValidationError("right guesses, guesses and rows must not grow less in this order")
    if guesses == 0 or _refuted(0.0, right, guesses, examples, delta) > 1 - confidence:
        return 0.0
    low, high = 0.0, MOST_EPSILON
    for _ in range(40):
        middle = (low + high) / 2
        if _refuted(middle, right, guesses, examples, delta) <= 1 - confidence:
            low = middle
        else:
            high = middle
    return low


def audited_epsilon(
    scores: Signal, is_member: Flags, delta: float, confidence: float = 0.95,
    guessed: Sequence[float] = GUESSED,
) -> float:  # fmt: skip
    """The best of `epsilon_of_guesses` over several numbers of guesses, all of which hold together.

    The surest rows at both ends are guessed, as many at one as at the other.

    Args:
        scores, is_member: (rows,), each a member with a chance of a half.
    """
    order = np.argsort(scores, kind="stable")
    best = 0.0
    for part in guessed:
        at = max(1, int(part * len(scores)))
        if 2 * at > len(scores):
            continue
        right = int(is_member[order[-at:]].sum() + (~is_member[order[:at]]).sum())
        level = 1 - (1 - confidence) / len(guessed)
        best = max(best, epsilon_of_guesses(right, 2 * at, len(scores), delta, level))
    return best


def _refuted(epsilon: float, right: int, guesses: int, examples: int, delta: float) -> float:
    """How likely so many right guesses are at most, if the claim holds."""
    share = 1.0 / (1.0 + np.exp(-epsilon))
    beta = float(stats.binom.sf(right - 1, guesses, share))
    if delta == 0:
        return beta
    fewer = np.arange(1, right + 1)
    gained = stats.binom.sf(right - fewer - 1, guesses, share) - beta
    alpha = float((gained / fewer).max(initial=0.0))
    return beta + 2 * alpha * delta * examples


def _require_delta(delta: float) -> None:
    if not 0 <= delta < 1:
        raise ValidationError("a delta lies between 0 and 1")
