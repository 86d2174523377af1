"""The default for tables: an additive model, learned by noisy gradient descent on all rows.

The loss is the logistic one (squared for amounts). In each round, every row says by how much its
score is off; these are summed for each bin and category; noise is added to all sums at once; the
model takes a step with momentum. Nothing but the noisy sums leaves the data (differentially private
gradient descent: Song, Chaudhuri & Sarwate 2013; Bassily, Smith & Thakurta 2014; with full batches
and zCDP: Lee & Kifer 2018). Numbers are binned at several widths at once, each twice as fine as the
one before, as Hay et al. 2010 count ranges: coarse bins learn fast, fine ones late.

All that touches rows is whole numbers. Scores are sums of whole numbers, the logistic function is a
table of whole numbers, and so each row's share in the sums depends on that row alone and is
bounded exactly: an error is at most `UNIT`, a row is in one bin of each block of weights, so the
length of its share is at most `UNIT` times the length of the block weights. One person has at most
`rows_each` rows. The noise is OpenDP's discrete Gaussian (`noise.py`); rounds compose as zCDP.

How many rows there are is private too: it is asked for first, with noise, at a small share of rho.
"""

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from strongroom.engines.privacy.dp.accounting import Cost
from strongroom.engines.privacy.dp.training.coding import TARGET_UNIT, Coded
from strongroom.engines.privacy.dp.training.contributions import bounded
from strongroom.engines.privacy.dp.training.domain import LEVELS, Amount, Category, Domain
from strongroom.engines.privacy.dp.training.model import AdditiveModel, Term
from strongroom.engines.privacy.dp.training.noise import Whole, gaussian, rho_for
from strongroom.errors import ValidationError

UNIT = TARGET_UNIT
"""An error of 1."""
MAX_ROWS = 100_000_000
_SCORE_UNIT = 1 << 12
"""A score of 1, as the table of the logistic function counts."""
_FARTHEST = 16
"""A score beyond it counts as it: a chance of 1e-7."""
_WEIGHT = 256
"""A block weight of 1."""


@dataclass(frozen=True, slots=True)
class Plan:
    """How it is learned. Fixed before the data is seen: choosing by the data would cost as well.

    Attributes:
        rounds: of the descent.
        rate: of a step, against the largest that is safe without momentum.
        momentum: of the step before, what is kept.
    """

    rounds: int
    rate: float
    momentum: float = 0.9

    def __post_init__(self) -> None:
        if not (1 <= self.rounds <= 10_000 and 0 < self.rate <= 100 and 0 <= self.momentum < 1):
            raise ValidationError("the plan of the training is out of its ranges")


COUNT_SHARE = 0.02
"""Of rho, for the number of rows."""
_PLANS = ((15.0, Plan(30, 1)), (40.0, Plan(60, 1)), (60.0, Plan(60, 2)), (math.inf, Plan(100, 2)))
"""Below which clearness which plan; chosen on other public tables, not on the data that is trained
on (docs/adr/0026-training-with-privacy.md)."""


def plan_for(clearness: float) -> Plan:
    """The plan that serves where the sums stand out so far from the noise.

    Args:
        clearness: rows (as told by noise) times the root of rho, over the length of a row and the
            root of the number of sums. Little noise bears more and longer steps.
    """
    return next(plan for below, plan in _PLANS if clearness < below)


@dataclass(frozen=True, slots=True)
class Block:
    """Sums that are asked for together: one width of the bins of a feature.

    Attributes:
        feature: its number; -1 for the intercept.
        run: neighbouring places that are one bin.
        weight: whole, `_WEIGHT` being 1.
        size: how many sums.
    """

    feature: int
    run: int
    weight: int
    size: int


@dataclass(frozen=True, slots=True)
class Trained:
    """A model and what it cost.

    Attributes:
        rows: how many there are about, as told by noise.
        plan: that it was learned by; None where a library has its own.
    """

    model: AdditiveModel
    cost: Cost
    rho: float
    rows: int
    plan: Plan | None = None


def train_additive(
    coded: Coded, domain: Domain, epsilon: float, delta: float,
    *, rows_each: int = 1, plan: Plan | None = None,
) -> Trained:  # fmt: skip
    """Learn a model that keeps (epsilon, delta) for each person.

    Args:
        coded: the table by `domain`.
        rows_each: the most rows of one person; more are left out by chance.
        plan: how; without one it follows from the noisy number of rows, epsilon and the domain.
    Raises: ValidationError, for numbers out of range and for more than 100 million rows.
    """
    rho = rho_for(epsilon, delta)
    if coded.rows > MAX_ROWS:
        raise ValidationError(f"the table has more than {MAX_ROWS:,} rows")
    kept = bounded(coded, rows_each)
    blocks = blocks_of(domain, kept.places)
    length = rows_each * row_length(blocks)
    descent = _Descent(kept, blocks, is_choice=not isinstance(domain.target, Amount))
    count = gaussian(rows_each, rho * COUNT_SHARE)
    rows = max(int(count(np.array([kept.rows], np.int64))[0]), 10)
    clearness = rows * math.sqrt(rho / descent.size) * UNIT * _WEIGHT / length
    plan = plan or plan_for(clearness)
    noisy = gaussian(length, rho * (1 - COUNT_SHARE) / plan.rounds)
    # The steepest that the loss can curve: a quarter for the logistic one, 1 for the squared one.
    curve = 1.0 if isinstance(domain.target, Amount) else 0.25
    step = plan.rate * _WEIGHT**2 / (curve * rows * sum(block.weight**2 for block in blocks))
    speed = np.zeros(descent.size)
    average = np.zeros(descent.size)
    for turn in range(plan.rounds):
        sums = noisy(descent.sums())
        speed = plan.momentum * speed + step * sums / (UNIT * _WEIGHT)
        descent.move(speed)
        if turn >= plan.rounds // 2:
            average += descent.weights
    average /= plan.rounds - plan.rounds // 2
    model = _model(domain, descent.tables(average))
    return Trained(model, Cost.zcdp(rho), rho, rows, plan)


def price(epsilon: float, delta: float) -> Cost:
    """What a training costs. Raises: ValidationError."""
    return Cost.zcdp(rho_for(epsilon, delta))


def blocks_of(domain: Domain, places: tuple[int, ...]) -> tuple[Block, ...]:
    """The intercept, a block for each category, and one for each width of the bins of a number.

    The widths of a number share the weight of one block.
    """
    weight = round(_WEIGHT / math.sqrt(LEVELS))
    blocks = [Block(-1, 1, _WEIGHT, 1)]
    for at, (feature, count) in enumerate(zip(domain.features, places, strict=True)):
        if isinstance(feature, Category):
            blocks.append(Block(at, 1, _WEIGHT, count))
            continue
        for level in range(1, LEVELS + 1):
            run = 1 << (LEVELS - level)
            # Missing values are a bin of every width: the place after the last.
            blocks.append(Block(at, run, weight, (1 << level) + 1))
    return tuple(blocks)


def row_length(blocks: tuple[Block, ...]) -> int:
    """The most that one row changes all sums, as Euclidean length, rounded up."""
    return math.isqrt(UNIT**2 * sum(block.weight**2 for block in blocks)) + 1


class _Descent:
    """The weights, and the sums of errors that they lead to."""

    def __init__(self, coded: Coded, blocks: tuple[Block, ...], *, is_choice: bool) -> None:
        self._coded = coded
        self._blocks = blocks
        self._is_choice = is_choice
        ends = np.cumsum([block.size for block in blocks])
        self._parts = [slice(int(e) - b.size, int(e)) for e, b in zip(ends, blocks, strict=True)]
        self.size = int(ends[-1])
        self.weights: NDArray[np.float64] = np.zeros(self.size)
        edge = _FARTHEST * _SCORE_UNIT
        scores = np.arange(-edge, edge + 1) / _SCORE_UNIT
        self._logistic = np.rint(UNIT / (1 + np.exp(-scores))).astype(np.int64)

    def move(self, by: NDArray[np.float64]) -> None:
        """Take a step; a weight beyond what a score may be is of no use and stays there."""
        self.weights = np.clip(self.weights + by, -1e4, 1e4)

    def tables(self, weights: NDArray[np.float64]) -> list[NDArray[np.float64]]:
        """The intercept, then for each feature what each of its places adds."""
        found = [np.zeros(1), *(np.zeros(count) for count in self._coded.places)]
        for block, part in zip(self._blocks, self._parts, strict=True):
            table, own = found[block.feature + 1], weights[part] * (block.weight / _WEIGHT)
            if block.run == 1:
                table += own
            else:
                table[:-1] += np.repeat(own[:-1], block.run)
                table[-1] += own[-1]
        return found

    def sums(self) -> Whole:
        """Of each weight, the errors of the rows that it speaks to. Exact."""
        errors = self._errors()
        found = np.empty(self.size, np.int64)
        by_feature: dict[int, Whole] = {}
        for block, part in zip(self._blocks, self._parts, strict=True):
            if block.feature < 0:
                found[part] = block.weight * int(errors.sum())
                continue
            if block.feature not in by_feature:
                by_feature[block.feature] = _summed(
                    self._coded.codes[block.feature], errors, self._coded.places[block.feature]
                )
            fine = by_feature[block.feature]
            if block.run > 1:
                fine = np.append(fine[:-1].reshape(-1, block.run).sum(axis=1), fine[-1])
            found[part] = block.weight * fine
        return found

    def _errors(self) -> Whole:
        """By how much the score of each row is off, within `UNIT`."""
        tables = [np.rint(one * _SCORE_UNIT).astype(np.int64) for one in self.tables(self.weights)]
        scores = np.full(self._coded.rows, tables[0][0], np.int64)
        for codes, table in zip(self._coded.codes, tables[1:], strict=True):
            scores += table[codes]
        if self._is_choice:
            edge = _FARTHEST * _SCORE_UNIT
            said = self._logistic[np.clip(scores, -edge, edge) + edge]
        else:
            said = scores * (UNIT // _SCORE_UNIT)
        errors: Whole = np.clip(self._coded.target - said, -UNIT, UNIT)
        return errors


def _summed(codes: NDArray[np.int32], errors: Whole, places: int) -> Whole:
    """The sum of the errors at each place; exact, for they stay below 2 ** 53."""
    return np.rint(np.bincount(codes, weights=errors, minlength=places)).astype(np.int64)


def _model(domain: Domain, tables: list[NDArray[np.float64]]) -> AdditiveModel:
    """The weights as a model; of an amount, in its own unit."""
    target, unit, low = domain.target, 1.0, 0.0
    if isinstance(target, Amount):
        unit, low = target.high - target.low, target.low
    terms = tuple(
        Term(feature.name, scores, (), feature.values)
        if isinstance(feature, Category)
        else Term(feature.name, scores, tuple(float(one) for one in feature.cuts()))
        for feature, scores in (
            (feature, tuple((table * unit).tolist()))
            for feature, table in zip(domain.features, tables[1:], strict=True)
        )
    )
    return AdditiveModel(float(tables[0][0]) * unit + low, terms, target)
