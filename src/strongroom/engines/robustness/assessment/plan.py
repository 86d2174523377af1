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

[evasion]
norm = "l2"                    # over all features; or "linf": of the one that moves most
declared = 0.1                 # the distance that `robust accuracy` is told at, in shares of ranges
budgets = [0.05, 0.1, 0.2]     # of the curves
tolerance = 2.5                # of a regression: a change of more than that is a wrong answer

[images]                       # each row is one: all columns are its cells, in the model's order
shape = [28, 28, 1]
low = 0.0
high = 255.0
shown = 0                      # so many are drawn in the report, with what was done to them

[[gates]]
test = "evasion.decision"
measure = "robust accuracy"
at_least = 0.7
judged = "worst"
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Literal

from strongroom.engines.robustness.assessment.toml_table import TomlTable
from strongroom.engines.robustness.outcome import Gate
from strongroom.engines.robustness.space import Relation
from strongroom.engines.robustness.target import OutputForm
from strongroom.errors import TooLargeError, ValidationError

MAX_CHARACTERS = 256 << 10
MAX_GATES = 200
MAX_ROWS = 10_000
MAX_SIDE = 4_096
MAX_SHOWN = 20
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
class EvasionRules:
    """How evasion is measured; None, or nothing: as the tests do where nobody says.

    Attributes:
        declared: distance that the model should stand, a share of ranges.
        budgets: distances of the curves, ascending.
        tolerance: of a regression, in its unit.
    """

    norm: Literal["l2", "linf"] = "l2"
    declared: float | None = None
    budgets: tuple[float, ...] = ()
    tolerance: float | None = None


@dataclass(frozen=True, slots=True)
class Images:
    """That each row is an image.

    Attributes:
        shape: rows and columns of cells, and channels before or behind them, as the model has it.
        low, high: of every cell; None: as the rows show it.
        shown: how many a report draws.
    """

    shape: tuple[int, ...]
    low: float | None = None
    high: float | None = None
    shown: int = 0


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
        images: None: rows are no images.
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
    evasion: EvasionRules = field(default_factory=EvasionRules)
    images: Images | None = None

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
        top = TomlTable(tomllib.loads(text), "the plan")
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
        evasion=_evasion(top.table("evasion")),
        images=_images(top.table("images")),
    )
    top.end()
    if not plan.name or len(plan.name) > 64:
        raise ValidationError("the plan: `name` has 1 to 64 characters")
    return plan


def _columns(table: TomlTable) -> ColumnRoles:
    roles = ColumnRoles(
        table.word("label"), table.names("left_out"), table.word("source"), table.names("groups"),
        table.word("pseudonym"),
    )  # fmt: skip
    table.end()
    return roles


def _answers(table: TomlTable) -> OutputForm:
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


def _limits(table: TomlTable) -> CallerLimits:
    limits = [table.whole(name, 0, 1, 1 << 53) or None for name in ("per_minute", "per_day")]
    table.end()
    return CallerLimits(*limits)


def _features(table: TomlTable) -> dict[str, FeatureRule]:
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


def _evasion(table: TomlTable) -> EvasionRules:
    norm = table.word("norm", "l2")
    declared, tolerance = table.maybe("declared"), table.maybe("tolerance")
    budgets = table.numbers("budgets", 1e-6, 99.0)
    table.end()
    if norm not in {"l2", "linf"}:
        raise ValidationError(f"{table.where}: `norm` is l2 or linf")
    if declared is not None and not 0 < declared < 100:
        raise ValidationError(f"{table.where}: `declared` is above 0 and below 100")
    if tolerance is not None and tolerance <= 0:
        raise ValidationError(f"{table.where}: `tolerance` is above 0")
    if list(budgets) != sorted(set(budgets)):
        raise ValidationError(f"{table.where}: `budgets` ascend")
    return EvasionRules("linf" if norm == "linf" else "l2", declared, budgets, tolerance)


def _images(table: TomlTable) -> Images | None:
    sides = table.numbers("shape", 1, MAX_SIDE)
    shape = tuple(int(one) for one in sides)
    low, high = table.maybe("low"), table.maybe("high")
    shown = table.whole("shown", 0, 0, MAX_SHOWN)
    table.end()
    if not shape and (low, high, shown) == (None, None, 0):
        return None
    if len(shape) not in {2, 3} or shape != sides:
        raise ValidationError(f"{table.where}: `shape` has two or three whole numbers")
    if low is not None and high is not None and low >= high:
        raise ValidationError(f"{table.where}: `low` is not below `high`")
    return Images(shape, low, high, shown)


def _relation(table: TomlTable) -> Relation:
    factors = table.table("factors")
    terms = {name: factors.number(name, 0.0, -1e12, 1e12) for name in factors.rest()}
    at_most, equals = table.maybe("at_most"), table.maybe("equals")
    table.end()
    if not terms or (at_most is None) == (equals is None):
        raise ValidationError(f"{table.where}: needs `factors`, and either `at_most` or `equals`")
    bound = equals if at_most is None else at_most
    assert bound is not None  # noqa: S101 # one of them is there
    return Relation(terms, bound, is_equality=equals is not None)


def _gates(top: TomlTable) -> dict[str, tuple[Gate, ...]]:
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
