"""What an assessment does and what must hold, set before it runs: a small TOML text, read strictly.

version = 1
name = "robustness"            # the kind that rules of promotion name
seed = 1
minutes = 10                   # of processor time
rows = 300                     # attacked by each test, at most
tests = ["evasion.decision", "membership.lira"]    # all where left out
require = ["membership.lira"]  # does not apply: not passed

[columns]
label = "outcome"
left_out = ["id"]
source = "uploader"            # who brought a training row
groups = ["sex"]               # for whom exposure is also told apart
pseudonym = "case"             # how reports name a row; else by its place

[answers]                      # as the endpoint gives them
decimals = 3

[limits]                       # of one caller
per_minute = 60
per_day = 5000

[features.age]
direction = "up"
[features.sex]
mutable = false

[[relations]]
factors = { spent = 1.0, income = -1.0 }
at_most = 0.0

[[gates]]
test = "evasion.decision"
measure = "robust accuracy at 0.1"
at_least = 0.7
judged = "worst"
"""

import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Literal

from strongroom.engines.robustness.outcome import Gate
from strongroom.engines.robustness.space import Relation
from strongroom.engines.robustness.target import OutputForm
from strongroom.errors import TooLargeError, ValidationError

MAX_CHARACTERS = 256 << 10
MAX_NAMES = 10_000
MAX_GATES = 200
MAX_ROWS = 10_000
MAX_MINUTES = 24 * 60.0
DEFAULT_TEXT = 'version = 1\nname = "robustness"\n'

Directions = Literal[-1, 0, 1]
_DIRECTIONS: dict[str, Directions] = {"up": 1, "down": -1, "both": 0}


@dataclass(frozen=True, slots=True)
class FeatureRule:
    """What a plan says of a feature; None: as the rows show it.

    Attributes:
        low, high, step: in its own unit.
    """

    is_mutable: bool = True
    direction: Directions = 0
    low: float | None = None
    high: float | None = None
    step: float | None = None


@dataclass(frozen=True, slots=True)
class ColumnRoles:
    """Names of columns; empty for none."""

    label: str = ""
    left_out: tuple[str, ...] = ()
    source: str = ""
    groups: tuple[str, ...] = ()
    pseudonym: str = ""


@dataclass(frozen=True, slots=True)
class CallerLimits:
    """How many rows one caller may ask of the endpoint; None: as many as they like."""

    per_minute: int | None = None
    per_day: int | None = None


@dataclass(frozen=True, slots=True)
class Plan:
    """A plan.

    Attributes:
        text: TOML, as it was set.
        name: the kind of the assessment.
        minutes: of processor time, for all tests together.
        rows: attacked by each test, at most.
        tests: their ids; empty: all.
        required: ids of tests that must apply.
        gates: test id → its gates; a test that is not named here has its default ones.
    """

    text: str
    name: str = "robustness"
    seed: int = 1
    minutes: float = 10.0
    rows: int = 300
    tests: tuple[str, ...] = ()
    required: tuple[str, ...] = ()
    columns: ColumnRoles = field(default_factory=ColumnRoles)
    answers: OutputForm = field(default_factory=OutputForm)
    limits: CallerLimits = field(default_factory=CallerLimits)
    features: Mapping[str, FeatureRule] = field(default_factory=dict)
    relations: tuple[Relation, ...] = ()
    gates: Mapping[str, tuple[Gate, ...]] = field(default_factory=dict)

    @property
    def digest(self) -> str:
        """`sha256:` and the hex digest of the text."""
        return f"sha256:{sha256(self.text.encode()).hexdigest()}"


def parse_plan(text: str) -> Plan:
    """The plan that a text states.

    Raises:
        TooLargeError: over `MAX_CHARACTERS`. ValidationError: it is not TOML, lacks something, or
        says something that a plan does not know; names the place.
    """
    if len(text) > MAX_CHARACTERS:
        raise TooLargeError(f"a plan has at most {MAX_CHARACTERS:,} characters")
    try:
        top = _Table(tomllib.loads(text), "the plan")
    except tomllib.TOMLDecodeError as error:
        raise ValidationError(f"the plan is not TOML: {str(error)[:200]}") from None
    except RecursionError:
        raise ValidationError("the plan is nested too deeply") from None
    if top.whole("version", 1, 1, 1 << 30) != 1:
        raise ValidationError("the plan has another version than 1")
    plan = Plan(
        text=text,
        name=top.word("name", "robustness"),
        seed=top.whole("seed", 1, 0, (1 << 63) - 1),
        minutes=top.number("minutes", 10.0, 0.01, MAX_MINUTES),
        rows=top.whole("rows", 300, 1, MAX_ROWS),
        tests=top.names("tests"),
        required=top.names("require"),
        columns=_columns(top.table("columns")),
        answers=_answers(top.table("answers")),
        limits=_limits(top.table("limits")),
        features=_features(top.table("features")),
        relations=tuple(_relation(one) for one in top.tables("relations")),
        gates=_gates(top),
    )
    top.end()
    if not plan.name or len(plan.name) > 64:
        raise ValidationError("the plan: `name` has 1 to 64 characters")
    return plan


def _columns(table: "_Table") -> ColumnRoles:
    roles = ColumnRoles(
        table.word("label"), table.names("left_out"), table.word("source"), table.names("groups"),
        table.word("pseudonym"),
    )  # fmt: skip
    table.end()
    return roles


def _answers(table: "_Table") -> OutputForm:
    shows = table.word("shows", "probabilities")
    if shows not in {"probabilities", "labels"}:
        raise ValidationError("the plan, at `answers.shows`: probabilities or labels")
    top = table.whole("top", 0, 1, 1_000_000)
    decimals = table.whole("decimals", -1, 0, 17)
    table.end()
    return OutputForm(
        "labels" if shows == "labels" else "probabilities",
        top or None,
        None if decimals < 0 else decimals,
    )


def _limits(table: "_Table") -> CallerLimits:
    limits = [table.whole(name, 0, 1, 1 << 53) or None for name in ("per_minute", "per_day")]
    table.end()
    return CallerLimits(*limits)


def _features(table: "_Table") -> dict[str, FeatureRule]:
    rules: dict[str, FeatureRule] = {}
    for name in table.rest():
        one = table.table(name)
        direction = one.word("direction", "both")
        if direction not in _DIRECTIONS:
            raise ValidationError(f"{one.where}: `direction` is up, down or both")
        low, high = one.maybe("low"), one.maybe("high")
        if low is not None and high is not None and low >= high:
            raise ValidationError(f"{one.where}: `low` is not below `high`")
        rules[name] = FeatureRule(
            one.flag("mutable", default=True), _DIRECTIONS[direction], low, high, one.maybe("step")
        )
        one.end()
    return rules


def _relation(table: "_Table") -> Relation:
    factors = table.table("factors")
    terms = {name: factors.number(name, 0.0, -1e12, 1e12) for name in factors.rest()}
    at_most, equals = table.maybe("at_most"), table.maybe("equals")
    table.end()
    if not terms or (at_most is None) == (equals is None):
        raise ValidationError(f"{table.where}: needs `factors`, and either `at_most` or `equals`")
    bound = equals if at_most is None else at_most
    assert bound is not None  # noqa: S101 # one of them is there
    return Relation(terms, bound, is_equality=equals is not None)


def _gates(top: "_Table") -> dict[str, tuple[Gate, ...]]:
    gates: dict[str, list[Gate]] = {}
    found = top.tables("gates")
    if len(found) > MAX_GATES:
        raise ValidationError(f"the plan has more than {MAX_GATES} gates")
    for one in found:
        test, measure = one.word("test"), one.word("measure")
        most, least = one.maybe("at_most"), one.maybe("at_least")
        judged = one.word("judged", "value")
        one.end()
        if not test or not measure or (most is None) == (least is None):
            raise ValidationError(
                f"{one.where}: needs `test`, `measure`, and either `at_most` or `at_least`"
            )
        if judged not in {"value", "worst"}:
            raise ValidationError(f"{one.where}: `judged` is value or worst")
        bound = least if most is None else most
        assert bound is not None  # noqa: S101 # one of them is there
        gates.setdefault(test, []).append(
            Gate(
                measure,
                "at least" if most is None else "at most",
                bound,
                "worst" if judged == "worst" else "value",
            )
        )
    return {test: tuple(ones) for test, ones in gates.items()}


class _Table:
    """A TOML table that is read to the end: what nobody asked for is an error."""

    def __init__(self, values: Mapping[str, Any], where: str) -> None:
        self._values = dict(values)
        self.where = where

    def rest(self) -> Iterator[str]:
        """Names that were not asked for yet."""
        if len(self._values) > MAX_NAMES:
            raise ValidationError(f"{self.where} has more than {MAX_NAMES:,} names")
        yield from list(self._values)

    def word(self, name: str, default: str = "") -> str:
        value = self._values.pop(name, default)
        if not isinstance(value, str) or len(value) > 1_000:
            raise self._wrong(name, "a text")
        return value

    def flag(self, name: str, *, default: bool) -> bool:
        value = self._values.pop(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, "true or false")
        return value

    def whole(self, name: str, default: int, low: int, high: int) -> int:
        if name not in self._values:
            return default
        value = self._values.pop(name)
        if type(value) is not int or not low <= value <= high:
            raise self._wrong(name, f"a whole number, {low:,} to {high:,}")
        return value

    def number(self, name: str, default: float, low: float, high: float) -> float:
        value = self._values.pop(name, default)
        if type(value) not in {int, float} or not low <= value <= high:
            raise self._wrong(name, f"a number, {low:g} to {high:g}")
        return float(value)

    def maybe(self, name: str) -> float | None:
        return self.number(name, 0.0, -1e30, 1e30) if name in self._values else None

    def names(self, name: str) -> tuple[str, ...]:
        value = self._values.pop(name, [])
        if not isinstance(value, list) or len(value) > MAX_NAMES:
            raise self._wrong(name, "a list of texts")
        if not all(isinstance(one, str) and len(one) <= 1_000 for one in value):
            raise self._wrong(name, "a list of texts")
        return tuple(value)

    def table(self, name: str) -> "_Table":
        value = self._values.pop(name, {})
        if not isinstance(value, dict):
            raise self._wrong(name, "a table")
        return _Table(value, f"{self.where}, at `{name[:100]}`")

    def tables(self, name: str) -> list["_Table"]:
        value = self._values.pop(name, [])
        if not isinstance(value, list) or not all(isinstance(one, dict) for one in value):
            raise self._wrong(name, "a list of tables")
        return [
            _Table(one, f"{self.where}, at `{name}` {place}") for place, one in enumerate(value, 1)
        ]

    def end(self) -> None:
        if self._values:
            raise ValidationError(f"{self.where}: nothing is called `{min(self._values)[:100]}`")

    def _wrong(self, name: str, wanted: str) -> ValidationError:
        return ValidationError(f"{self.where}: `{name[:100]}` is {wanted}")
