"""Does a trainer keep its promise? Canaries are planted, and somebody guesses which ones.

Each canary is a row with a category of its own, and takes part by the toss of a coin. After one
training, those whose category moved the score most their way are guessed to have been there, those
that moved it least not. Who keeps epsilon small makes such guesses right little more often than the
coin: a share of right guesses gives a lower bound on epsilon that holds with a stated confidence
(Steinke, Nasr & Jagielski 2023, "Privacy auditing with one training run", theorem 5.2). A bound
above the claim proves that the claim is false; one below it proves nothing.

Where a trainer puts rare values together, so that canaries would hide each other, many trainings
have one each (Jagielski, Ullman & Oprea 2020): together they are one mechanism on that many bits,
to which the same theorem applies.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.privacy.dp.training.coding import TARGET_UNIT, Coded
from strongroom.engines.privacy.dp.training.domain import Category, Domain
from strongroom.errors import ValidationError

CANARY = "canary"
_MOST = 50.0
"""An epsilon beyond which no audit of this size can see."""

Train = Callable[[Coded, Domain], NDArray[np.float64]]
"""Trains on rows, and gives for each canary what its category adds to a score."""
Try = Callable[[bool], float]
"""Trains with or without a canary, and gives its score: the higher, the more it seems there."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What was found.

    Attributes:
        claimed: the epsilon that was promised.
        epsilon: the lower bound that the guesses prove.
        right: of `guesses`.
    """

    claimed: float
    epsilon: float
    canaries: int
    guesses: int
    right: int
    confidence: float

    @property
    def refutes(self) -> bool:
        """Whether the promise was broken."""
        return self.epsilon > self.claimed


def audit(
    train: Train, coded: Coded, domain: Domain, epsilon: float, delta: float,
    *, canaries: int, coins: np.random.Generator, confidence: float = 0.95,
) -> Audit:  # fmt: skip
    """Audit one training.

    Args:
        coded: rows among which the canaries hide; each of them a person.
        epsilon: the claim.
        canaries: how many, even; half as many guesses are made.
        coins: tossed for who takes part.
    """
    takes_part = _tossed(canaries, coins)
    planted, wider = with_canaries(coded, domain, takes_part)
    scores = train(planted, wider) * _signs(canaries)
    return _guessed(takes_part, scores, epsilon, delta, confidence)


def audit_by_repeating(
    trial: Try, epsilon: float, delta: float,
    *, trials: int, coins: np.random.Generator, confidence: float = 0.95,
) -> Audit:  # fmt: skip
    """Audit many trainings with one canary each, present by the toss of a coin.

    Args:
        trials: how many; a multiple of 4. Half as many guesses are made.
    """
    takes_part = _tossed(trials, coins)
    scores = np.array([trial(bool(is_there)) for is_there in takes_part])
    return _guessed(takes_part, scores, epsilon, delta, confidence)


def _tossed(count: int, coins: np.random.Generator) -> NDArray[np.bool_]:
    if count < 4 or count % 4:  # halves of halves
        raise ValidationError("the number of canaries is a multiple of 4")
    return coins.integers(0, 2, count).astype(bool)


def _guessed(
    takes_part: NDArray[np.bool_], scores: NDArray[np.float64],
    epsilon: float, delta: float, confidence: float,
) -> Audit:  # fmt: skip
    """The surest half is guessed: a quarter that seems there, a quarter that seems not."""
    count = len(takes_part)
    order, quarter = np.argsort(scores, kind="stable"), count // 4
    right = int(takes_part[order[-quarter:]].sum() + (~takes_part[order[:quarter]]).sum())
    found = lower_bound(count, 2 * quarter, right, delta, 1 - confidence)
    return Audit(epsilon, found, count, 2 * quarter, right, confidence)


def with_canaries(
    coded: Coded, domain: Domain, takes_part: NDArray[np.bool_]
) -> tuple[Coded, Domain]:
    """Rows and domain with one column more, in which each canary has a value of its own."""
    count = len(takes_part)
    at = np.flatnonzero(takes_part)
    names = tuple(f"c{number}" for number in range(count))
    own = np.append(np.full(coded.rows, count), at).astype(np.int32)
    # In all other columns a canary has no value, so that it speaks for its own category alone.
    others = tuple(
        np.append(codes, np.full(len(at), places - 1)).astype(np.int32)
        for codes, places in zip(coded.codes, coded.places, strict=True)
    )
    own_target = np.where(_signs(count)[at] > 0, TARGET_UNIT, 0)
    target = np.append(coded.target, own_target).astype(np.int64)
    planted = Coded((*others, own), (*coded.places, count + 1), target)
    return planted, replace(domain, features=(*domain.features, Category(CANARY, names)))


def _signs(count: int) -> NDArray[np.float64]:
    """Every other canary pulls scores down: were all to pull up, the model would expect it."""
    return np.where(np.arange(count) % 2, 1.0, -1.0)


def lower_bound(canaries: int, guesses: int, right: int, delta: float, risk: float) -> float:
    """The largest epsilon that so many right guesses refute, with a chance of error of `risk`."""
    low, high = 0.0, _MOST
    if p_value(canaries, guesses, right, low, delta) > risk:
        return 0.0
    while high - low > 1e-4:  # of epsilon
        middle = (low + high) / 2
        is_refuted = p_value(canaries, guesses, right, middle, delta) <= risk
        low, high = (middle, high) if is_refuted else (low, middle)
    return low


def p_value(canaries: int, guesses: int, right: int, epsilon: float, delta: float) -> float:
    """The greatest chance that an (epsilon, delta) trainer lets so many guesses be right.

    Source: Steinke, Nasr & Jagielski 2023, theorem 5.2: a binomial tail, and what delta adds.
    """
    from scipy.stats import binom

    chance = 1 / (1 + math.exp(-epsilon))
    tail = float(binom.sf(right - 1, guesses, chance))
    if not right:
        return 1.0
    below = np.cumsum(binom.pmf(right - np.arange(1, right + 1), guesses, chance))
    most = float(np.max(below / np.arange(1, right + 1)))
    return min(1.0, tail + 2 * canaries * delta * most)
