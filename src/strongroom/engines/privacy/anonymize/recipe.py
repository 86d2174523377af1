"""One small file that says how a table is anonymized, and repeats it.

[demands]
k = 5
l = 2                      # of each sensitive column
diversity = "distinct"     # or "entropy", "recursive" (with c)
t = 0.2
distance = "equal"         # or "ordered", "hierarchical"
suppression = 0.05         # share of the rows that may be left out

[method]
recoding = "global"        # or "local", "microaggregate"
measure = "gcp"

[columns.age]
role = "quasi"             # or "sensitive", "keep", "drop"
hierarchy = "numbers"      # or "dates", "prefixes", "ordered", "frequency", "file", "none"
steps = [5, 10, 20]        # of numbers; `date_order = "day_first"` of dates, or "month_first"
weight = 2.0
top = 90                   # 90 and above become one value

[files]                    # hierarchies in ARX's form, where they shall not lie beside the recipe
"age.csv" = '''17;<30;*…'''
"""

import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, fields
from difflib import get_close_matches
from enum import StrEnum
from typing import Any

from strongroom.engines.privacy.anonymize.criteria import Distance
from strongroom.engines.privacy.anonymize.dates import DateOrder
from strongroom.engines.privacy.anonymize.objective import Measure
from strongroom.errors import ValidationError

MAX_RECIPE_CHARACTERS = 1_000_000
MAX_COLUMNS = 10_000


class ColumnRole(StrEnum):
    """What a column is taken for."""

    QUASI = "quasi"  # others may know it: generalized
    SENSITIVE = "sensitive"  # must not be found out: stays, and l and t hold for it
    KEEP = "keep"  # stays as it is, and no demand looks at it
    DROP = "drop"  # left out


class Tree(StrEnum):
    """Where the hierarchy of a column comes from."""

    NUMBERS = "numbers"
    DATES = "dates"
    PREFIXES = "prefixes"
    ORDERED = "ordered"
    FREQUENCY = "frequency"
    FILE = "file"
    NONE = "none"  # the values themselves, or `*`


class Recoding(StrEnum):
    """How values are made equal."""

    GLOBAL = "global"  # a column has one level for all rows
    LOCAL = "local"  # each group its own ranges
    MICROAGGREGATE = "microaggregate"  # each group its mean


class Diversity(StrEnum):
    """Which l-diversity."""

    DISTINCT = "distinct"
    ENTROPY = "entropy"
    RECURSIVE = "recursive"


@dataclass(frozen=True, slots=True)
class ColumnRecipe:
    """What is done with one column.

    Attributes:
        file: of `hierarchy = "file"`, beside the recipe.
        steps: widths of the levels of numbers.
        order: values from low to high, for `ordered`.
        date_order: of day and month in `dates`; None: as the values show.
        bottom, top: numbers below or above become these.
        reason: why the guide chose so; a comment in the file.
    """

    role: ColumnRole
    hierarchy: Tree = Tree.NONE
    file: str = ""
    steps: tuple[float, ...] = ()
    order: tuple[str, ...] = ()
    date_order: DateOrder | None = None
    weight: float = 1.0
    bottom: float | None = None
    top: float | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class DemandsRecipe:
    """What must hold; 0 or None asks nothing."""

    k: int = 5
    k_map: int = 0
    l: float = 0.0  # noqa: E741 # its name everywhere
    diversity: Diversity = Diversity.DISTINCT
    c: float = 4.0
    t: float | None = None
    distance: Distance = Distance.EQUAL
    beta: float | None = None
    delta_disclosure: float | None = None
    presence_low: float = 0.0
    presence_high: float = 1.0
    average_risk: float = 1.0
    suppression: float = 0.05

    @property
    def asks_values(self) -> bool:
        """Whether a sensitive column is needed."""
        return self.l > 1 or any(
            one is not None for one in (self.t, self.beta, self.delta_disclosure)
        )

    @property
    def asks_population(self) -> bool:
        """Whether a population table is needed."""
        return self.k_map > 0 or self.presence_low > 0 or self.presence_high < 1


@dataclass(frozen=True, slots=True)
class MethodRecipe:
    """How it is reached.

    Attributes:
        seconds: after which a search ends with the best so far; 0 for never.
    """

    recoding: Recoding = Recoding.GLOBAL
    measure: Measure = Measure.GCP
    seconds: float = 60.0


@dataclass(frozen=True, slots=True)
class Recipe:
    """Everything that decides the outcome, the table aside.

    Attributes:
        files: texts of hierarchy files that the recipe holds itself, by name.
    """

    demands: DemandsRecipe = field(default_factory=DemandsRecipe)
    method: MethodRecipe = field(default_factory=MethodRecipe)
    columns: Mapping[str, ColumnRecipe] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)

    def of_role(self, role: ColumnRole) -> tuple[str, ...]:
        """Columns of a role."""
        return tuple(name for name, column in self.columns.items() if column.role is role)


def parse_recipe(text: str) -> Recipe:
    """A recipe from its file.

    Raises:
        ValidationError: not TOML, an unknown name, or a value out of its range; with the place.
    """
    if len(text) > MAX_RECIPE_CHARACTERS:
        raise ValidationError(f"a recipe may have {MAX_RECIPE_CHARACTERS:,} characters")
    try:
        document = tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValidationError(f"the recipe is not valid TOML: {error}") from None
    _known("the recipe", document, ("demands", "method", "columns", "files"))
    columns = document.get("columns", {})
    if not isinstance(columns, dict) or len(columns) > MAX_COLUMNS:
        raise ValidationError(f"`columns` must be at most {MAX_COLUMNS:,} tables of the recipe")
    return Recipe(
        DemandsRecipe(**_values("demands", document.get("demands", {}), DemandsRecipe)),
        MethodRecipe(**_values("method", document.get("method", {}), MethodRecipe)),
        {name: _column(name, content) for name, content in columns.items()},
        _files(document.get("files", {})),
    )


def demands_from(values: Mapping[str, object]) -> DemandsRecipe:
    """Demands from what would stand under `[demands]`; None leaves one as it is unless said.

    Raises: ValidationError, as `parse_recipe`.
    """
    said = {name: value for name, value in values.items() if value is not None}
    if float(str(said.get("presence_low", 0))) > 0:
        # Who is left out would be known absent, which a lower bound of presence forbids.
        said.setdefault("suppression", 0.0)
    return DemandsRecipe(**_values("demands", said, DemandsRecipe))


def method_from(values: Mapping[str, object]) -> MethodRecipe:
    """The method from what would stand under `[method]`. Raises: ValidationError."""
    said = {name: value for name, value in values.items() if value is not None}
    return MethodRecipe(**_values("method", said, MethodRecipe))


def _files(content: object) -> dict[str, str]:
    if not isinstance(content, dict) or not all(isinstance(one, str) for one in content.values()):
        raise ValidationError("`files` must be a table of texts by name")
    return content


def _column(name: str, content: object) -> ColumnRecipe:
    place = f"columns.{name[:100]}"
    values = _values(place, content, ColumnRecipe)
    if "role" not in values:
        raise ValidationError(f"`{place}` needs a role: quasi, sensitive, keep or drop")
    if values.get("hierarchy") is Tree.FILE and not values.get("file"):
        raise ValidationError(f"`{place}`: the hierarchy is a file, and no file is named")
    return ColumnRecipe(**values)


_ENUMS: dict[str, type[StrEnum]] = {
    "role": ColumnRole, "hierarchy": Tree, "recoding": Recoding, "diversity": Diversity,
    "distance": Distance, "measure": Measure, "date_order": DateOrder,
}  # fmt: skip
_RANGES = {
    "k": (1, 1e9), "k_map": (0, 1e9), "l": (0, 1e9), "c": (1e-9, 1e9), "t": (0, 1),
    "beta": (1e-9, 1e9), "delta_disclosure": (1e-9, 1e9), "presence_low": (0, 1),
    "presence_high": (0, 1), "average_risk": (1e-9, 1), "suppression": (0, 1),
    "seconds": (0, 1e6), "weight": (0, 1e6), "bottom": (-1e308, 1e308), "top": (-1e308, 1e308),
}  # fmt: skip
_WHOLE = frozenset({"k", "k_map"})
_TEXTS = frozenset({"file", "reason"})


def _values(place: str, content: object, kind: type[Any]) -> dict[str, Any]:
    if not isinstance(content, dict):
        raise ValidationError(f"`{place}` must be a table of the recipe")
    _known(f"`{place}`", content, [one.name for one in fields(kind)])
    return {name: _value(f"{place}.{name}", name, value) for name, value in content.items()}


def _value(place: str, name: str, value: object) -> object:
    if name in _ENUMS:
        known = [one.value for one in _ENUMS[name]]
        if value not in known:
            raise ValidationError(f"`{place}` is one of {', '.join(known)}")
        return _ENUMS[name](value)
    if name in _TEXTS:
        if not isinstance(value, str):
            raise ValidationError(f"`{place}` is a text")
        return value
    if name == "steps":
        if not isinstance(value, list) or not all(_is_number(one) for one in value):
            raise ValidationError(f"`{place}` is a list of numbers")
        return tuple(float(one) for one in value)
    if name == "order":
        if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
            raise ValidationError(f"`{place}` is a list of texts")
        return tuple(value)
    low, high = _RANGES[name]
    if not _is_number(value) or not low <= float(str(value)) <= high:
        raise ValidationError(f"`{place}` is a number from {low:g} to {high:g}")
    if name in _WHOLE and not isinstance(value, int):
        raise ValidationError(f"`{place}` is a whole number")
    return value


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _known(place: str, content: Mapping[str, object], names: Iterable[str]) -> None:
    known = list(names)
    for name in content:
        if name not in known:
            near = get_close_matches(name[:100], known, n=1)
            guess = f"; did you mean `{near[0]}`?" if near else ""
            raise ValidationError(f"{place} knows no `{name[:100]}`{guess}")


# ---- writing ----


def recipe_text(recipe: Recipe) -> str:
    """The recipe as a file that a person can edit; `parse_recipe` reads it back."""
    lines = ["# How this table is anonymized. Edit it and run again with --recipe.", ""]
    lines += ["[demands]", *_lines(recipe.demands, DemandsRecipe()), ""]
    lines += ["[method]", *_lines(recipe.method, MethodRecipe()), ""]
    for name, column in recipe.columns.items():
        lines.append(f"[columns.{_quoted(name)}]")
        if column.reason:
            lines.append(f"# {_one_line(column.reason)}")
        lines += [line for line in _lines(column, ColumnRecipe(column.role)) if line]
        lines.append("")
    if recipe.files:
        lines.append("[files]")
        lines += [f"{_quoted(name)} = {_text(text)}" for name, text in recipe.files.items()]
        lines.append("")
    return "\n".join(lines)


_ALWAYS = frozenset({"k", "suppression", "recoding", "measure", "role"})


def _lines(part: Any, default: Any) -> list[str]:  # noqa: ANN401 # one of three dataclasses
    lines = []
    for one in fields(part):
        value = getattr(part, one.name)
        if one.name == "reason" or value is None:
            continue
        if value != getattr(default, one.name) or one.name in _ALWAYS:
            lines.append(f"{one.name} = {_written(value)}")
    return lines


def _written(value: object) -> str:
    if isinstance(value, StrEnum):
        return _quoted(value.value)
    if isinstance(value, tuple):
        return f"[{', '.join(_written(one) for one in value)}]"
    return _quoted(value) if isinstance(value, str) else str(value)


def _quoted(text: str) -> str:
    """A TOML basic string; also a key."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(
        c if c.isprintable() or c == " " else f"\\u{ord(c):04X}" if ord(c) < 0x10000
        else f"\\U{ord(c):08X}" for c in escaped
    ) + '"'  # fmt: skip


def _text(text: str) -> str:
    """A TOML string of many lines, as it stands where that is possible."""
    is_plain = "'''" not in text and not text.endswith("'")
    if is_plain and all(c.isprintable() or c == "\n" for c in text):
        return f"'''\n{text}'''"
    return _quoted(text)


def _one_line(text: str) -> str:
    return "".join(c if c.isprintable() else " " for c in text)
