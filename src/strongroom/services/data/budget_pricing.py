"""What a spend would cost, whether it fits into a budget, and what would instead."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime

import msgspec

from strongroom.engines.privacy.dp.accounting import Composition, Cost
from strongroom.engines.privacy.dp.adaptive import SHARE
from strongroom.errors import BudgetError, ValidationError
from strongroom.services.data.budget_document import Budget, Terms, checked_purpose


class Spend(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One spend, as it is sealed.

    Attributes:
        cost: as JSON of its own.
        epsilon: of the spend alone, at the budget's delta then.
        spent: of the period, with this one.
        kind: `query`, `training` or `release`.
        what: a digest or reference by which the answer can be found; never data.
    """

    cost: str
    epsilon: float
    spent: float
    purpose: str
    by: str
    at: datetime
    kind: str
    what: str


@dataclass(frozen=True, slots=True)
class NewSpend:
    """What somebody is about to spend; the fields are those of `Spend`.

    Attributes:
        asked: the epsilon that the person named, if any: a refusal says which would still fit.
        smaller: the cost of the same question with so many times that epsilon; None: of events
            that are scaled.
    """

    cost: Cost
    purpose: str
    by: str
    kind: str
    what: str
    asked: float | None = None
    smaller: Callable[[float], Cost] | None = None

    def cost_at(self, factor: float) -> Cost:
        """What the same would cost with `factor` times the epsilon that was asked for."""
        return self.cost.scaled(factor) if self.smaller is None else self.smaller(factor)


@dataclass(frozen=True)
class Tally:
    """What the spends of a period are together."""

    start: datetime
    whole: Composition = field(default_factory=Composition)
    purposes: dict[str, Composition] = field(default_factory=dict)

    def plus(self, purpose: str, cost: Cost) -> "Tally":
        """With one more."""
        one = self.purposes.get(purpose, Composition()).plus(cost)
        return Tally(self.start, self.whole.plus(cost), {**self.purposes, purpose: one})


@dataclass(frozen=True, slots=True)
class Priced:
    """What a spend would be.

    Attributes:
        epsilon: of it alone.
        before, after: of the period, without and with it.
        remaining: for its purpose, with it; 0 where it does not fit.
        refusal: why it does not fit; None: it does.
        fits: the largest factor by which its epsilon may be multiplied and fit, at most 1.
        is_allotted: whether it is the part for its purpose that it does not fit into.
    """

    epsilon: float
    before: float
    after: float
    remaining: float
    refusal: str | None = None
    fits: float = 1.0
    is_allotted: bool = False


def price(budget: Budget, earlier: Tally, new: NewSpend) -> tuple[Priced, Tally]:
    """What a spend costs after earlier ones of its period, and what all are together then.

    Raises:
        ValidationError: there is no such purpose, or nothing to spend.
    """
    purpose = checked_purpose(new.purpose)
    if not new.cost.events:
        raise ValidationError("nothing is spent, so nothing is to be asked for")
    if budget.allotments and purpose not in budget.allotments:
        named = ", ".join(f"`{each}`" for each in sorted(budget.allotments))
        raise ValidationError(
            f"nothing of the budget is allotted to `{purpose}`",
            next_step=f"name one of the purposes {named}, or have something allotted",
        )
    terms, tally = budget.terms, earlier.plus(purpose, new.cost)
    delta, rule, most = terms.delta, terms.composition, terms.epsilon
    alone = Composition.of(new.cost).epsilon(delta, rule)
    before, after = earlier.whole.epsilon(delta, rule), tally.whole.epsilon(delta, rule)
    of_purpose = earlier.purposes.get(purpose, Composition())
    allotted = budget.allotments.get(purpose, math.inf)
    if after > most:
        refusal = (
            f"with it {_figure(after)} would be spent, and the budget is {_figure(most)}"
            if math.isfinite(after)
            else _without_epsilon(terms, earlier.whole, new.cost)
        )
        fits = earlier.whole.fitting(new.cost_at, most, delta, rule)
        if budget.allotments:  # what is told to fit must fit into both
            fits = min(fits, of_purpose.fitting(new.cost_at, allotted, delta, rule))
        return Priced(alone, before, after, 0.0, refusal, fits), tally
    remaining = most - after
    if budget.allotments:
        used = tally.purposes[purpose].epsilon(delta, rule)
        if used > allotted:
            refusal = (
                f"with it {_figure(used)} would be spent for `{purpose}`, and "
                f"{_figure(allotted)} is allotted to it"
            )
            fits = of_purpose.fitting(new.cost_at, allotted, delta, rule)
            return Priced(alone, before, after, 0.0, refusal, fits, is_allotted=True), tally
        remaining = min(remaining, allotted - used)
    return Priced(alone, before, after, remaining), tally


def _without_epsilon(terms: Terms, earlier: Composition, cost: Cost) -> str:
    """Why a spend, or all with it, have no epsilon."""
    alone = Composition.of(cost)
    if terms.composition == "adaptive":
        if math.isinf(earlier.concentrated):
            return "earlier spends of the period have no rho, so they cannot be counted adaptively"
        if math.isinf(alone.concentrated):
            return "noise on samples has no rho, so it cannot be counted adaptively"
        share = SHARE * terms.delta
        if earlier.given + alone.given > share:
            return (
                f"answers would have deltas of {earlier.given + alone.given:.3g} together, and "
                f"{share:.3g} of the budget's delta is for them"
            )
    return f"it has no epsilon at the budget's delta of {terms.delta:g}"


def refused(priced: Priced, new: NewSpend) -> BudgetError:
    """The error for a spend that does not fit."""
    asked = priced.epsilon if new.asked is None else new.asked
    fitting = rounded_down(asked * priced.fits) if math.isfinite(asked) else 0.0
    more = "ask for a raise with `strongroom data ask-raise`"
    if priced.is_allotted:  # a raise leaves the parts as they are
        more = "have more allotted to its purpose with `strongroom data allot-budget`"
    instead = (
        f"ask for an epsilon of at most {fitting:g}, or {more}"
        if fitting
        else f"nothing of the kind fits any more: {more}"
    )
    return BudgetError(f"the privacy budget does not allow it: {priced.refusal}", next_step=instead)


def rounded_down(number: float) -> float:
    """To three digits, never more than it was: to be shown as what still fits."""
    if number <= 0 or not math.isfinite(number):
        return 0.0
    step = 10.0 ** (math.floor(math.log10(number)) - 2)
    return float(f"{math.floor(number / step) * step:.12g}")


def tallied(spends: tuple[Spend, ...], start: datetime) -> Tally:
    """Those since `start`, equal costs composed at once."""
    by_purpose: dict[str, list[Cost]] = {}
    for spend in spends:
        if spend.at >= start:
            by_purpose.setdefault(spend.purpose, []).append(Cost.from_json(spend.cost))
    purposes = {purpose: Composition.of_all(costs) for purpose, costs in by_purpose.items()}
    whole = Composition.of_all(cost for costs in by_purpose.values() for cost in costs)
    return Tally(start, whole, purposes)


def finite(epsilon: float) -> float | None:
    """Itself; None where it is infinite, which JSON has no number for."""
    return epsilon if math.isfinite(epsilon) else None


def _figure(epsilon: float) -> str:
    return f"epsilon {epsilon:.4g}"
