"""A recipe for a table that nobody has described, with the reason for each choice."""

import re
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import pyarrow as pa

from strongroom.engines.privacy.anonymize.coding import texts_of
from strongroom.engines.privacy.anonymize.dates import is_dated
from strongroom.engines.privacy.anonymize.hierarchy import MISSING
from strongroom.engines.privacy.anonymize.recipe import (
    ColumnRecipe,
    ColumnRole,
    DemandsRecipe,
    MethodRecipe,
    Recipe,
    Tree,
)
from strongroom.engines.privacy.discover.findings import ColumnFinding, Role, Shape, TableFindings
from strongroom.errors import ValidationError

MANY_QUASI = 15
"""More quasi-identifiers than this leave little of a table; the guide says so."""
_LOOKED_AT = 1_000
_LIKE_A_CODE = re.compile(r"(?=.*\d)[\w -]{3,10}")
_MOSTLY = 0.95
"""Share of the values looked at that are dates in a column of dates."""
_HIDDEN_SHAPES = {
    Shape.UNIQUE_TEXT: "nearly every row has its own text",
    Shape.UNIQUE_INTEGER: "nearly every row has its own number, as a key",
    Shape.FREE_TEXT: "sentences may say anything",
    Shape.BINARY: "bytes may hold anything",
    Shape.NESTED: "lists and structs cannot be generalized",
}
_VISIBLE = frozenset({"ethnicity"})
"""Special categories that others mostly know of a person: rather by what one is found."""


def recipe_for(
    schema: pa.Schema,
    findings: TableFindings,
    demands: DemandsRecipe,
    method: MethodRecipe,
    *,
    quasi: Iterable[str] = (),
    sensitive: Iterable[str] = (),
    keep: Iterable[str] = (),
    drop: Iterable[str] = (),
    weights: Mapping[str, float] | None = None,
    dated: Collection[str] = (),
) -> Recipe:
    """A recipe from what discovery found; what a person named comes first.

    Args:
        weights: of quasi-identifiers, where they are not 1.
        dated: columns of texts or numbers that are dates: `dated_columns`.
    Raises: ValidationError: a column is named that is not there, or for two roles, or has a weight
        and is no quasi-identifier.
    """
    named: dict[str, ColumnRole] = {}
    for role, names in (
        (ColumnRole.QUASI, quasi), (ColumnRole.SENSITIVE, sensitive),
        (ColumnRole.KEEP, keep), (ColumnRole.DROP, drop),
    ):  # fmt: skip
        for name in names:
            if name not in schema.names:
                raise ValidationError(f"the table has no column `{name[:100]}`")
            if named.setdefault(name, role) is not role:
                raise ValidationError(f"`{name[:100]}` is named for two roles")
    in_sets = {name for one in findings.quasi_identifiers for name in one.columns}
    by_column = {finding.column: finding for finding in findings.columns}
    columns = {}
    for field in schema:
        finding = by_column.get(field.name)
        if finding is None:  # nested: its parts have findings, it has none
            chosen = ColumnRecipe(ColumnRole.DROP, reason=_HIDDEN_SHAPES[Shape.NESTED])
        else:
            is_date = _is_time(field.type) or field.name in dated
            chosen = _chosen(finding, is_date=is_date, is_in_set=field.name in in_sets)
        if field.name in named:
            chosen = replace(chosen, role=named[field.name], reason="named on the command line")
        if chosen.role in (ColumnRole.QUASI, ColumnRole.SENSITIVE):
            tree = Tree.DATES if field.name in dated else _tree(finding, field.type)
            chosen = replace(chosen, hierarchy=tree)
        columns[field.name] = chosen
    return Recipe(demands, method, _weighted(columns, weights or {}))


def _weighted(
    columns: dict[str, ColumnRecipe], weights: Mapping[str, float]
) -> dict[str, ColumnRecipe]:
    for name, weight in weights.items():
        if name not in columns:
            raise ValidationError(f"the table has no column `{name[:100]}`")
        if columns[name].role is not ColumnRole.QUASI:
            raise ValidationError(
                f"`{name[:100]}` has a weight and is not generalized: it is of the role "
                f"{columns[name].role}",
                next_step="give weights to quasi-identifiers only",
            )
        columns[name] = replace(columns[name], weight=weight)
    return columns


def columns_to_find(table: pa.Table, named: Collection[str]) -> list[str]:
    """Columns about which discovery can say what no person has said.

    Of those that were given a role it is only whether they hold postcodes.
    """
    found = []
    for name in table.column_names:
        kind = table.schema.field(name).type
        if name not in named:
            found.append(name)
        elif pa.types.is_string(kind) or pa.types.is_integer(kind):
            values = texts_of(name, table.column(name)).values
            codes = sum(_LIKE_A_CODE.fullmatch(one) is not None for one in values)
            if codes * 2 > len(values):
                found.append(name)
    return found


def dated_columns(table: pa.Table) -> frozenset[str]:
    """Columns of texts, or of eight-digit numbers such as 19800312, that read as dates."""
    found = set()
    for name in table.column_names:
        kind = table.schema.field(name).type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)
                or pa.types.is_integer(kind)):  # fmt: skip
            continue
        values = [one for one in texts_of(name, table.column(name)).values if one != MISSING]
        if is_dated(values[:_LOOKED_AT], least=_MOSTLY):
            found.add(name)
    return frozenset(found)


def _chosen(finding: ColumnFinding, *, is_date: bool, is_in_set: bool) -> ColumnRecipe:
    shape = finding.profile.shape
    kind = f"found to hold {(finding.type or '').replace('_', ' ')}"
    if finding.type == "date_of_birth" and is_date:
        return ColumnRecipe(ColumnRole.QUASI, reason=f"{kind}, which many know: made coarser")
    if finding.role in (Role.DIRECT, Role.SECRET):
        return ColumnRecipe(ColumnRole.DROP, reason=f"{kind}, which leads straight to a person")
    if is_date and finding.role is not Role.SPECIAL:
        return ColumnRecipe(ColumnRole.QUASI, reason="dates of events are often known to others")
    if shape in _HIDDEN_SHAPES and finding.role is not Role.QUASI:
        return ColumnRecipe(ColumnRole.DROP, reason=_HIDDEN_SHAPES[shape])
    if finding.type in _VISIBLE:
        return ColumnRecipe(ColumnRole.QUASI, reason=f"{kind}, which others see or know")
    if finding.role is Role.SPECIAL:
        return ColumnRecipe(ColumnRole.SENSITIVE, reason=f"{kind}, which must not be found out")
    if finding.inside:
        return ColumnRecipe(ColumnRole.DROP, reason="personal data stands within its texts")
    if finding.role is Role.QUASI:
        return ColumnRecipe(ColumnRole.QUASI, reason=f"{kind}, which others may know")
    if is_in_set:
        return ColumnRecipe(ColumnRole.QUASI, reason="singles people out together with others")
    if shape in (Shape.CATEGORY, Shape.SHORT_TEXT):
        return ColumnRecipe(ColumnRole.QUASI, reason="others may know it, so far as can be told")
    if shape is Shape.NUMBER:
        return ColumnRecipe(ColumnRole.KEEP, reason="a measurement that hardly anybody else knows")
    return ColumnRecipe(ColumnRole.KEEP, reason="says nothing by which a person is known")


def _tree(finding: ColumnFinding | None, kind: pa.DataType) -> Tree:
    """The hierarchy that fits what the column holds."""
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        is_code = finding is not None and finding.type in _CODES
        return Tree.PREFIXES if is_code else Tree.NUMBERS
    if _is_time(kind):
        return Tree.DATES
    if finding is not None and finding.type in _CODES:
        return Tree.PREFIXES
    return Tree.FREQUENCY


def _is_time(kind: pa.DataType) -> bool:
    return bool(pa.types.is_date(kind) or pa.types.is_timestamp(kind))


_CODES = frozenset({"postcode", "us_zip", "zip_code", "postal_code"})


def is_crowded(recipe: Recipe) -> bool:
    """Whether there are so many quasi-identifiers that little will be left."""
    return len(recipe.of_role(ColumnRole.QUASI)) > MANY_QUASI
