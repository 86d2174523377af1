"""What is done to which values: methods, their options, and the rules that bind them.

A policy is written as TOML (`policy_file.py`). The first rule that names a column decides:
`[tables.NAME.columns]`, `[columns]`, `[types]`, `[roles]`, `[shapes]`. What none names is redacted.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from strongroom.engines.privacy.discover.findings import ColumnFinding, Role, Shape


class Method(StrEnum):
    """What is done to the values of a column, or to a span of a text."""

    KEEP = "keep"
    KEEP_COMMON = "keep_common"  # values of many rows stay, rare ones become one
    REDACT = "redact"  # one constant for every value
    PARTIAL = "partial"  # some characters stay, the others become stars
    HASH = "hash"  # keyed: equal values stay equal under one key and cannot be guessed without it
    TOKENIZE = "tokenize"  # random tokens; the vault that drew them can give the values back
    GENERALIZE = "generalize"  # dates to years, texts to prefixes, numbers to bins, or up a tree
    SHIFT_DATE = "shift_date"  # by days that are the same for all rows of one subject
    NOISE = "noise"  # a number moved at random; not differential privacy
    STAND_IN = "stand_in"  # an invented value that looks like one of its kind
    MASK_SPANS = "mask_spans"  # texts stay, but for what is found in them
    DROP = "drop"  # the column is left out


class LinkScope(StrEnum):
    """How far equal values stay equal: what one key covers."""

    DATASET = "dataset"
    PURPOSE = "purpose"


@dataclass(frozen=True, slots=True)
class MaskRule:
    """A method with its options; which method takes which, and their bounds: `OPTIONS`."""

    method: Method
    domain: str = ""
    keep_first: int = 0
    keep_last: int = 0
    at_least: int = 5
    prefix: int = 3
    bin_width: float = 10.0
    top: float = 0.0
    unit: str = "year"
    hierarchy: str = ""
    level: int = 1
    max_days: int = 365
    spread: float = 1.0
    decimals: int = -1
    per: str = "value"
    locale: str = ""
    keep_gender: bool = True
    checksum: str = "invalid"
    form: str = "opaque"
    min_confidence: float = 0.0


@dataclass(frozen=True, slots=True)
class Option:
    """An option of a method.

    Attributes:
        methods: that take it.
        does: in words.
        least, most: bounds of a number.
        choices: of a text; empty: any text, checked elsewhere.
    """

    methods: tuple[Method, ...]
    does: str
    least: float = 0
    most: float = 1e9
    choices: tuple[str, ...] = ()


LOCALES = (
    "en_US", "en_GB", "de_DE", "fr_FR", "es_ES", "it_IT", "nl_NL", "pt_BR", "sv_SE", "da_DK",
    "no_NO", "fi_FI",
)  # fmt: skip
"""Locales that stand-ins know."""

UNITS = ("month", "quarter", "year", "five_years", "decade")

OPTIONS: Mapping[str, Option] = {
    "domain": Option(
        (Method.HASH, Method.TOKENIZE, Method.STAND_IN, Method.NOISE),
        "columns of one domain mask equal values alike, so that tables can be joined; empty: the "
        "type of the column, or else its name",
    ),
    "keep_first": Option((Method.PARTIAL,), "characters that stay at the start", 0, 100),
    "keep_last": Option((Method.PARTIAL,), "characters that stay at the end", 0, 100),
    "at_least": Option(
        (Method.KEEP_COMMON,), "rows, or subjects where they are known, that hold a value", 3, 1e6
    ),
    "prefix": Option((Method.GENERALIZE,), "characters that stay of a text", 0, 100),
    "bin_width": Option((Method.GENERALIZE,), "width of the bins of numbers", 1e-9),
    "top": Option((Method.GENERALIZE,), "numbers above it are given as it; 0: none are"),
    "unit": Option((Method.GENERALIZE,), "what stays of a date", choices=UNITS),
    "hierarchy": Option((Method.GENERALIZE,), "a tree in [hierarchies]: value → what it is in"),
    "level": Option((Method.GENERALIZE,), "steps up that tree", 1, 20),
    "max_days": Option((Method.SHIFT_DATE,), "days that a date moves at most", 1, 36_525),
    "spread": Option((Method.NOISE,), "standard deviation, in the column's unit", 1e-9),
    "decimals": Option((Method.NOISE,), "digits after the point; -1: as many as there are", -1, 15),
    "per": Option(
        (Method.NOISE,), "equal values move alike, or each row by itself",
        choices=("value", "row"),
    ),
    "locale": Option(
        (Method.STAND_IN,), "where names and places come from; empty: as the value",
        choices=("", *LOCALES),
    ),
    "keep_gender": Option((Method.STAND_IN,), "a given name of the same gender, where it is known"),
    "checksum": Option(
        (Method.STAND_IN,), "of ids: wrong on purpose, so that none is anybody's, or right",
        choices=("invalid", "valid"),
    ),
    "form": Option(
        (Method.TOKENIZE,), "`tok_…`, or letters and digits where the value has them",
        choices=("opaque", "same"),
    ),
    "min_confidence": Option((Method.MASK_SPANS,), "finds below it stay in the text", 0, 1),
}  # fmt: skip
"""Every option of every method."""


@dataclass(frozen=True, slots=True)
class MaskPolicy:
    """Rules by table and column, type, role and shape, and for spans of texts.

    Attributes:
        tables: table → column or path → rule.
        columns: column or path → rule, in any table.
        spans: type → rule within texts; else the type's own rule counts.
        hierarchies: name → value → what it is generalized to.
        link: what one key covers; whoever makes the keys obeys it.
    """

    types: Mapping[str, MaskRule] = field(default_factory=dict)
    roles: Mapping[Role, MaskRule] = field(default_factory=dict)
    shapes: Mapping[Shape, MaskRule] = field(default_factory=dict)
    columns: Mapping[str, MaskRule] = field(default_factory=dict)
    tables: Mapping[str, Mapping[str, MaskRule]] = field(default_factory=dict)
    spans: Mapping[str, MaskRule] = field(default_factory=dict)
    hierarchies: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    link: LinkScope = LinkScope.DATASET

    def named_rule(self, column: str, table: str = "") -> tuple[MaskRule, str] | None:
        """The rule that names a column or path, and in words why it applies."""
        if (rule := self.tables.get(table, {}).get(column)) is not None:
            return rule, f"the policy names this column of {table}"
        if (rule := self.columns.get(column)) is not None:
            return rule, "the policy names this column"
        return None

    def rule_for(self, finding: ColumnFinding, table: str = "") -> tuple[MaskRule, str]:
        """The rule for a column, and in words why it applies."""
        if (named := self.named_rule(finding.column, table)) is not None:
            return named
        if finding.type is not None:
            if finding.type in self.types:
                return self.types[finding.type], f"type {finding.type}"
            if finding.role is not Role.PLAIN:
                rule = self.roles.get(finding.role, REDACT)
                return rule, f"type {finding.type}, role {finding.role}"
        if finding.decided_by == "person" and finding.type is None:
            return MaskRule(Method.KEEP), "a person decided that it is not personal"
        shape = finding.profile.shape
        if finding.type is not None:
            # Recognised and not personal, yet a value of its own for each row leads to the row.
            return self.shapes.get(shape, REDACT), f"type {finding.type}, shape {shape}"
        return self.shapes.get(shape, REDACT), f"no type recognised, shape {shape}"

    def span_rule(self, type_name: str, role: Role) -> MaskRule:
        """The rule for a span of that type within a text."""
        for rules in (self.spans, self.types):
            if (rule := rules.get(type_name)) is not None:
                return rule
        return self.roles.get(role, REDACT)

    @property
    def uses_tokens(self) -> bool:
        """True where some rule asks for tokens."""
        return any(rule.method is Method.TOKENIZE for rule in self.all_rules())

    def all_rules(self) -> list[MaskRule]:
        """Every rule, wherever it stands."""
        sections: list[Mapping[object, MaskRule]] = [
            self.types, self.roles, self.shapes, self.columns, self.spans,  # type: ignore[list-item] # keys differ
            *self.tables.values(),  # type: ignore[list-item] # as above
        ]  # fmt: skip
        return [rule for section in sections for rule in section.values()]


REDACT = MaskRule(Method.REDACT)
