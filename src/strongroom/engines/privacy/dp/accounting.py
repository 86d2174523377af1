"""What differentially private answers cost, alone and together.

A cost is a list of events: what noise was drawn, how often. Costs add up; their sum has an epsilon
for each delta, which `epsilon` finds through privacy loss distributions (dp-accounting; Koskela et
al. 2020; Doroshenko et al. 2022, "Connect the Dots"). Two tables are neighbours when one holds
all that the other holds, and one person more. Every figure is an upper bound: losses lie on a grid
of 0.0005, and what falls between two points of it is counted as the worse.

What is known of an event decides what it costs:

- `laplace`, `gaussian`, `sampled_gaussian`: noise of continuous distributions.
- `geometric`: Laplace noise on whole numbers, whose losses depend on the sensitivity. At
  sensitivity 1 it costs as much as any mechanism of its epsilon; `laplace` would undercount it.
- `pure`, `approximate`: nothing is known but the promise, so the worst that keeps it is counted
  (Kairouz et al. 2015).
- `zcdp`: nothing is known but the promise. A Gaussian of the same rho does not stand for it, since
  it keeps more than that; see `losses_of_zcdp` for what does.

Events of one kind merge where that is exact: Gaussians by their precision, zCDP by rho, equal
ones by their number. So a decision after thousands of costs takes one or two convolutions.

Which composition is right depends on who chooses the costs: "pld", the above, is proven for costs
that are fixed beforehand; "adaptive" holds for those that are chosen as one goes (`adaptive.py`).
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Literal, Self, TypeAlias

import msgspec

from strongroom.engines.privacy.dp.adaptive import adaptive_epsilon, promise_of
from strongroom.engines.privacy.dp.losses import (
    COUNTABLE,
    Losses,
    convolved,
    losses_of,
    losses_of_gaussians,
    losses_of_zcdp,
    reach_of,
)
from strongroom.errors import CallerError, ValidationError

VERSION = 1
"""Of the form that `to_json` writes."""
MAX_JSON = 1 << 20
"""Bytes of a cost as text."""
MAX_EVENTS = 10_000
MAX_COUNT = 10_000_000
MIN_NOISE, MAX_NOISE = 0.01, 1e9
"""Of a noise multiplier: the scale of the noise over the sensitivity."""
MAX_EPSILON = 100.0
MAX_RHO = 50.0
MIN_DELTA = 1e-12
"""Below this the rounding of the convolutions would be what is measured."""

Kind: TypeAlias = Literal[
    "laplace", "geometric", "gaussian", "sampled_gaussian", "pure", "approximate", "zcdp"
]
"""What was drawn, or what was promised."""
Rule: TypeAlias = Literal["pld", "adaptive"]
"""By which costs are composed."""

_RANGES: dict[Kind, tuple[tuple[str, float, float], ...]] = {
    "laplace": (("noise_multiplier", MIN_NOISE, MAX_NOISE),),
    "geometric": (("scale", MIN_NOISE, MAX_NOISE), ("sensitivity", 1, 1_000_000)),
    "gaussian": (("noise_multiplier", MIN_NOISE, MAX_NOISE),),
    "sampled_gaussian": (("noise_multiplier", 0.1, MAX_NOISE), ("sampling", 1e-9, 1)),
    "pure": (("epsilon", 1e-9, MAX_EPSILON),),
    "approximate": (("epsilon", 0, MAX_EPSILON), ("delta", 0, 1 - 1e-9)),
    "zcdp": (("rho", 1e-18, MAX_RHO),),
}
"""Of each kind its parameters in order, with the least and the greatest value."""


class Event(msgspec.Struct, frozen=True, order=True, forbid_unknown_fields=True):
    """One kind of noise, and how often it was drawn."""

    kind: str
    values: tuple[float, ...]
    count: int = 1


class _Document(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What `to_json` writes."""

    version: int
    events: tuple[Event, ...]


@dataclass(frozen=True)
class Cost:
    """What an answer costs, as events in a fixed order. `Cost()` costs nothing."""

    events: tuple[Event, ...] = ()

    @classmethod
    def laplace(cls, noise_multiplier: float) -> Self:
        """Continuous Laplace noise. Args: noise_multiplier: scale over sensitivity, 1/epsilon."""
        return cls._one("laplace", noise_multiplier)

    @classmethod
    def geometric(cls, scale: float, sensitivity: int = 1) -> Self:
        """Laplace noise on whole numbers.

        Args:
            scale: of the noise; epsilon is `sensitivity / scale`.
            sensitivity: the most by which one person changes the number.
        """
        return cls._one("geometric", scale, sensitivity)

    @classmethod
    def gaussian(cls, noise_multiplier: float) -> Self:
        """Gaussian noise. Args: noise_multiplier: standard deviation over L2 sensitivity."""
        return cls._one("gaussian", noise_multiplier)

    @classmethod
    def subsampled_gaussian(cls, noise_multiplier: float, sampling: float, steps: int) -> Self:
        """Gaussian noise on a Poisson sample, as DP-SGD draws it.

        Args:
            sampling: the chance of each person to be in the sample of a step, in (0, 1].
        """
        if sampling == 1:
            return cls._one("gaussian", noise_multiplier, count=steps)
        return cls._one("sampled_gaussian", noise_multiplier, sampling, count=steps)

    @classmethod
    def pure(cls, epsilon: float) -> Self:
        """Anything that is epsilon-differentially private."""
        return cls._one("pure", epsilon)

    @classmethod
    def approximate(cls, epsilon: float, delta: float) -> Self:
        """Anything that is (epsilon, delta)-differentially private."""
        return cls._one("approximate", epsilon, delta)

    @classmethod
    def zcdp(cls, rho: float) -> Self:
        """Anything that is rho-zCDP (Bun & Steinke 2016), discrete Gaussian noise among it."""
        return cls._one("zcdp", rho)

    @classmethod
    def _one(cls, kind: Kind, *values: float, count: int = 1) -> Self:
        event = Event(kind, tuple(float(value) for value in values), count)
        _check(event)
        return cls((event,))

    @classmethod
    def total(cls, costs: Iterable[Self]) -> Self:
        """All of them together. Raises: ValidationError."""
        found = _counted(costs)
        if len(found) > MAX_EVENTS:
            message = f"a cost has at most {MAX_EVENTS:,} different events"
            raise ValidationError(message)
        for event in found:
            _check(event)
        return cls(found)

    def __add__(self, other: Self) -> Self:
        return self.total((self, other))

    def scaled(self, factor: float) -> Self:
        """The same events with `factor` times the epsilon. Raises: ValidationError."""
        return self.total(type(self)((_scaled(event, factor),)) for event in self.events)

    def to_json(self) -> str:
        """As text, which `from_json` reads."""
        return msgspec.json.encode(_Document(VERSION, self.events)).decode()

    @classmethod
    def from_json(cls, text: str | bytes) -> Self:
        """What `to_json` wrote. Raises: ValidationError, whatever else the text holds."""
        if len(text) > MAX_JSON:
            message = f"a cost is at most {MAX_JSON:,} bytes"
            raise ValidationError(message)
        try:
            document = msgspec.json.decode(text, type=_Document)
        except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
            message = "not a cost, as this program writes it"
            raise ValidationError(message) from error
        if document.version != VERSION:
            message = f"a cost of version {document.version}; known is {VERSION}"
            raise ValidationError(message)
        cost = cls.total((cls(document.events),))
        if cost.events != document.events:
            message = "a cost whose events are out of order or stand twice"
            raise ValidationError(message)
        return cost


def _counted(costs: Iterable[Cost]) -> tuple[Event, ...]:
    """The events of all, equal ones as one, in their order."""
    counts: Counter[tuple[str, tuple[float, ...]]] = Counter()
    for cost in costs:
        for event in cost.events:
            counts[event.kind, event.values] += event.count
    return tuple(sorted(Event(kind, values, count) for (kind, values), count in counts.items()))


def _check(event: Event) -> None:
    """Each parameter in its range, or ValidationError."""
    ranges = _RANGES.get(event.kind)  # type: ignore[call-overload] # any text may come
    if ranges is None or len(ranges) != len(event.values):
        message = f"no event {event.kind[:40]!r} with {len(event.values)} parameters"
        raise ValidationError(message)
    for value, (name, least, greatest) in zip(event.values, ranges, strict=True):
        if not (math.isfinite(value) and least <= value <= greatest):
            message = f"{name} of {event.kind} is in [{least:g}, {greatest:g}]"
            raise ValidationError(message)
    if event.kind == "geometric" and not event.values[1].is_integer():
        message = "the sensitivity of whole numbers is a whole number"
        raise ValidationError(message)
    if not 1 <= event.count <= MAX_COUNT:
        message = f"an event happens 1 to {MAX_COUNT:,} times"
        raise ValidationError(message)


def _scaled(event: Event, factor: float) -> Event:
    first, *rest = event.values
    values: tuple[float, ...]
    match event.kind:
        case "pure":
            values = (first * factor,)
        case "approximate":
            values = (first * factor, rest[0] * factor)
        case "zcdp":
            values = (first * factor * factor,)
        case _:
            values = (first / factor, *rest)
    return Event(event.kind, values, event.count)


def _pure(event: Event) -> float:
    """The epsilon of an event that has one without a delta; infinite for others."""
    first, *rest = event.values
    match event.kind:
        case "pure":
            return first
        case "laplace":
            return 1 / first
        case "geometric":
            return rest[0] / first
        case _:
            return math.inf


@dataclass(frozen=True)
class Composition:
    """The losses of many costs together, to which one more is added in one convolution.

    Attributes:
        precision: of all Gaussians: the sum of `1 / noise_multiplier**2`.
        rho: of all zCDP together.
        span: about how far the losses reach.
        addition: sum of what each costs alone, where all are pure; infinite where one is not.
        concentrated: rhos of all events, added; infinite where one has none.
        given: deltas of approximate events, added.
    """

    precision: float = 0.0
    rho: float = 0.0
    span: float = 0.0
    addition: float = 0.0
    concentrated: float = 0.0
    given: float = 0.0
    _losses: "Losses | None" = field(default=None, repr=False, compare=False)
    _found: dict[tuple[Rule, float], float] = field(default_factory=dict, repr=False, compare=False)

    @classmethod
    def of(cls, cost: Cost) -> Self:
        """All of a cost. Equal events and small ones are convolved first, which is quickest."""
        return cls().plus(cost)

    @classmethod
    def of_all(cls, costs: Iterable[Cost]) -> Self:
        """All of many costs, however many different events they have."""
        return cls()._with(_counted(costs))  # noqa: SLF001 # its own kind

    def plus(self, cost: Cost) -> Self:
        """With one more cost."""
        return self._with(cost.events)

    def _with(self, events: Sequence[Event]) -> Self:
        gaussians = [each for each in events if each.kind == "gaussian"]
        promised = [each for each in events if each.kind == "zcdp"]
        others = [each for each in events if each.kind not in {"gaussian", "zcdp"}]
        precision = self.precision + sum(each.count / each.values[0] ** 2 for each in gaussians)
        rho = self.rho + sum(each.count * each.values[0] for each in promised)
        span = self.span
        span += sum(reach_of(each.kind, each.values, each.count) for each in others)
        losses = None
        if span <= COUNTABLE:
            each_of = (losses_of(each.kind, each.values, each.count) for each in others)
            losses = convolved([self._losses, *each_of])
        addition = self.addition + math.fsum(each.count * _pure(each) for each in events)
        promises = [(each.count, *promise_of(each.kind, each.values)) for each in events]
        concentrated = self.concentrated + math.fsum(count * rho for count, rho, _ in promises)
        given = self.given + math.fsum(count * delta for count, _, delta in promises)
        return type(self)(precision, rho, span, addition, concentrated, given, losses)

    @property
    def is_countable(self) -> bool:
        """Whether the losses are small enough to be laid on the grid."""
        reach = self.span
        reach += self.precision / 2 + 8 * math.sqrt(self.precision)
        reach += self.rho + 12 * math.sqrt(self.rho)
        return reach <= COUNTABLE

    def epsilon(self, delta: float, rule: Rule = "pld") -> float:
        """The least epsilon that holds with `delta`; infinite where there is none below some 400.

        Args:
            rule: "adaptive", where each cost may have been chosen by earlier answers.

        Raises: ValidationError, for a delta outside [1e-12, 1).
        """
        check_delta(delta)
        known = self._found.get((rule, delta))
        if known is not None:
            return known
        if rule == "adaptive":
            found = adaptive_epsilon(self.concentrated, self.given, delta)
        else:
            found = self._composed(delta) if self.is_countable else math.inf
        self._found[rule, delta] = found
        return found

    def _composed(self, delta: float) -> float:
        parts = [self._losses]
        if self.precision:
            parts.append(losses_of_gaussians(self.precision))
        if self.rho:
            parts.append(losses_of_zcdp(self.rho))
        losses = convolved(parts)
        found = 0.0 if losses is None else float(losses.get_epsilon_for_delta(delta))
        # A single answer between two points of the grid costs no more than it promises.
        return min(found, self.addition)

    def fitting(
        self, cost_at: Callable[[float], Cost], epsilon: float, delta: float, rule: Rule = "pld"
    ) -> float:
        """The largest factor in [0, 1] whose cost still fits, rounded down to a part in 1,024.

        Args:
            cost_at: the cost at a factor, which grows with it; `cost.scaled` is one such. Where
                it raises CallerError, there is no smaller cost.
            epsilon: that the whole may have at `delta`.
        """
        low, high = 0.0, 1.0
        for _ in range(10):
            middle = (low + high) / 2
            try:
                fits = self.plus(cost_at(middle)).epsilon(delta, rule) <= epsilon
            except CallerError:
                break
            low, high = (middle, high) if fits else (low, middle)
        return low


def check_delta(delta: float) -> None:
    """Raises: ValidationError, for a delta outside [1e-12, 1)."""
    if not (math.isfinite(delta) and MIN_DELTA <= delta < 1):
        message = f"delta is at least {MIN_DELTA:g} and below 1"
        raise ValidationError(message)


def epsilon(costs: Cost | Iterable[Cost], delta: float) -> float:
    """The epsilon of one cost or of all together: an upper bound, infinite where there is none.

    Args:
        delta: in [1e-12, 1).

    Raises: ValidationError.
    """
    cost = costs if isinstance(costs, Cost) else Cost.total(costs)
    return Composition.of(cost).epsilon(delta)
