"""Findings in words: titles, shares, the guarantee of a sample, and names that are safe to show."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from functools import lru_cache

import re2

from strongroom.engines.privacy.discover.findings import (
    ColumnFinding,
    QuasiIdentifier,
    Role,
    SampleGuarantee,
    Shape,
    TableFindings,
)
from strongroom.engines.privacy.discover.rules.registry import RULES_BY_NAME, role_of
from strongroom.engines.privacy.discover.text.finder import TextFinder, text_finder
from strongroom.engines.privacy.report.contents import Report

MAX_NAME = 64
"""Characters of a column's, sheet's or attachment's name that are shown."""
MAX_PATH = 240
LEAST_INSIDE = 0.02
"""Share of a column's texts that must hold a type to make the column personal."""
PERSONAL = (Role.SECRET, Role.DIRECT, Role.SPECIAL, Role.QUASI)
"""Roles of personal columns, the gravest first."""

ROLE_WORDS = {
    Role.SECRET: "credentials",
    Role.DIRECT: "lead straight to a person",
    Role.SPECIAL: "must not be linked to a person",
    Role.QUASI: "set people apart together",
    Role.PLAIN: "nothing personal found",
}
"""What columns of a role do, in words."""

_NUMBERS = frozenset({Shape.NUMBER, Shape.UNIQUE_INTEGER})
_ORDINARY = re2.compile(r"[\pL\pN_.\[\]/-]*|[\p{Ll}\pN_ ()-]*")
"""One word of letters and digits, or several without a capital: `date_of_birth`, `mean radius`."""
_MANY_DIGITS = 6
_NAMES_A_PERSON = frozenset({Role.DIRECT, Role.SECRET})
_SURE = 0.5


def type_title(name: str | None, titles: Mapping[str, str]) -> str:
    """A type in words; empty where none was found."""
    if name is None:
        return ""
    if name in titles:
        return clean(titles[name], MAX_NAME)
    rule = RULES_BY_NAME.get(name)
    return rule.title if rule is not None else clean(name.replace("_", " "), MAX_NAME)


def percent(share: float) -> str:
    """A share in percent: no more digits than mean something, and never 0 % or 100 % by rounding.

    0.0023 → `0.23 %`, 0.9996 → `>99.9 %`, 0.00004 → `<0.01 %`.
    """
    if share <= 0.0:
        return "0 %"
    if share >= 1.0:
        return "100 %"
    if share < 0.0001:
        return "<0.01 %"
    if share > 0.999:
        return ">99.9 %"
    hundred = share * 100
    digits = 2 if hundred < 1 else (1 if hundred < 10 or hundred > 99 else 0)
    return f"{hundred:.{digits}f} %"


def guarantee_sentence(guarantee: SampleGuarantee) -> str:
    """What the sample can have missed, in one sentence."""
    seen, sampled = guarantee.rows_seen, guarantee.rows_sampled
    if not seen:
        return "There were no rows to look at."
    if sampled >= seen:
        return f"All {seen:,} rows were looked at." if seen > 1 else "The only row was looked at."
    return (
        f"{sampled:,} of {seen:,} rows were looked at: a type in "
        f"{percent(guarantee.detectable_share)} of the rows or more was missed "
        f"with a probability of at most {percent(guarantee.miss_probability)}; what is rarer may "
        "have been missed."
    )


def alone_sentence(one: QuasiIdentifier) -> str:
    """How many people a set of columns singles out."""
    names = " + ".join(shown_names(one.columns))
    whole = one.population_share
    if whole is None or whole == one.unique_share:
        return f"{names}: {percent(one.unique_share)} of the people stand alone"
    return (
        f"{names}: {percent(one.unique_share)} of the people looked at stand alone, of all some "
        f"{percent(whole)}"
    )


def clean(text: str, limit: int) -> str:
    """`text` on one line, without signs that steer a terminal or a page, cut to `limit`.

    Unprintable characters (Unicode's "other", among them those that turn the reading direction)
    become blanks; a cut is marked.
    """
    line = "".join(character if character.isprintable() else " " for character in text[: limit + 1])
    return line if len(line) <= limit else line[: limit - 1] + "…"


def shown_names(names: Iterable[str]) -> list[str]:
    """Names of columns or sheets, safe to show in a report."""
    return [shown_name(name) for name in names]


@lru_cache(maxsize=4096)
def shown_name(name: str) -> str:
    """The name of a column, sheet or attachment, safe to show.

    A name that holds what leads to a person is hidden: where a file has no heading, its first
    row is taken for one.
    """
    shown = clean(name, MAX_NAME)
    if holds_a_value(name):
        return f"[name hidden, {len(name)} characters]"
    return shown


def holds_a_value(name: str) -> bool:
    """Whether a name of something holds an address, a number or another value of a person."""
    if _ORDINARY.fullmatch(name) and sum(map(str.isdigit, name)) < _MANY_DIGITS:
        return False  # most names: no need to look them up
    return any(
        role_of(span.type) in _NAMES_A_PERSON and span.confidence >= _SURE
        for span in _finder().find(name[:1024])
    )


@lru_cache(maxsize=1)
def _finder() -> TextFinder:
    return text_finder(model=False)


def inside(column: ColumnFinding) -> list[tuple[str, float]]:
    """Types that stand inside a column's texts, with the share of its values that hold them."""
    return [(one.type, one.share) for one in column.inside if one.share > 0]


def roles_inside(column: ColumnFinding) -> dict[str, Role]:
    """Roles of the types inside a column's texts; a type of one's own has the role it was given."""
    return {one.type: one.role or role_of(one.type) for one in column.inside}


def telling_inside(column: ColumnFinding) -> list[tuple[str, float]]:
    """Of `inside`, what makes a column personal: enough of the values hold it, and they are texts.

    Of plain numbers one in ten has a right check digit by chance.
    """
    if column.profile.shape in _NUMBERS:
        return []
    return [(name, share) for name, share in inside(column) if share >= LEAST_INSIDE]


def role_of_column(column: ColumnFinding) -> Role:
    """What a column does to privacy: its own role, else the gravest of what stands in its texts."""
    if column.role is not Role.PLAIN or column.decided_by == "person":
        return column.role
    roles = roles_inside(column)
    held = {roles[name] for name, _ in telling_inside(column)}
    return next((role for role in PERSONAL if role in held), Role.PLAIN)


def types_of(column: ColumnFinding, titles: Mapping[str, str]) -> list[tuple[str, Role]]:
    """Personal types of a column in words, those in its texts among them, with their roles."""
    found = [(column.type, column.role)] if column.type is not None else []
    roles = roles_inside(column)
    found += [(name, roles[name]) for name, _ in telling_inside(column)]
    return [(type_title(name, titles), role) for name, role in found if role is not Role.PLAIN]


def surer_than(findings: TableFindings, least: float) -> TableFindings:
    """`findings` without types that are less sure than `least`; what persons said stays."""
    return replace(
        findings,
        columns=tuple(
            column
            if column.type is None or column.confidence >= least or column.decided_by == "person"
            else replace(column, type=None, role=Role.PLAIN, confidence=0.0)
            for column in findings.columns
        ),
    )


def role_counts(findings: Iterable[TableFindings]) -> dict[Role, int]:
    """Columns by role, every role present."""
    counts = dict.fromkeys((*PERSONAL, Role.PLAIN), 0)
    for table in findings:
        for column in table.columns:
            counts[role_of_column(column)] += 1
    return counts


def personal(findings: TableFindings) -> list[ColumnFinding]:
    """The columns that are personal, in the order of the table."""
    return [column for column in findings.columns if role_of_column(column) is not Role.PLAIN]


def verdict(report: Report) -> str:
    """A report in one or two sentences."""
    tables = [table.findings for file in report.files for table in file.tables]
    counts = role_counts(tables)
    columns = sum(counts.values())
    found = columns - counts[Role.PLAIN]
    if not columns:
        return "Nothing could be looked at."
    if not found:
        return f"No personal data was found in {_many(columns, 'column')}."
    parts = [f"{counts[role]} {ROLE_WORDS[role]}" for role in PERSONAL if counts[role]]
    where = f" in {_many(len(report.files), 'file')}" if len(report.files) > 1 else ""
    return (
        f"{found} of {_many(columns, 'column')}{where} {_are(found)} personal: {', '.join(parts)}."
    )


def _many(number: int, thing: str) -> str:
    return f"{number:,} {thing}{'' if number == 1 else 's'}"


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
