"""Findings of a table or of a stream of batches: the entrance to discovery."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa
import pyarrow.compute

from strongroom.engines.privacy.discover.columns import find_in_column
from strongroom.engines.privacy.discover.custom import CustomType
from strongroom.engines.privacy.discover.findings import (
    ColumnFinding,
    Evidence,
    Role,
    SampleGuarantee,
    TableFindings,
    Uniqueness,
)
from strongroom.engines.privacy.discover.headers import words_of
from strongroom.engines.privacy.discover.inside import (
    Finder,
    languages_inside,
    may_hold_text,
    mixed_forms,
    types_inside,
)
from strongroom.engines.privacy.discover.profile import ColumnSample, sample_column
from strongroom.engines.privacy.discover.rulebook import Rulebook, role_named, rulebook
from strongroom.engines.privacy.discover.sampling import DEFAULT_ROWS, RowSampler
from strongroom.engines.privacy.discover.text.finder import text_finder
from strongroom.engines.privacy.discover.uniqueness import find_uniqueness, is_candidate
from strongroom.engines.privacy.nested import Leaf, leaves, values_in

# The stubs' overloads know fewer argument types than the functions take.
pc: Any = pyarrow.compute

MAX_LEAF_VALUES = 50_000
"""Elements of lists that are looked at, from the first row on."""
_POSITION_WORDS = {
    "lat": "latitude", "latitude": "latitude", "lon": "longitude", "lng": "longitude",
    "long": "longitude", "longitude": "longitude",
}  # fmt: skip


def discover_table(
    table: pa.Table,
    *,
    overrides: Mapping[str, str | None] | None = None,
    guarantee: SampleGuarantee | None = None,
    custom: Sequence[CustomType] = (),
    subject_column: str = "",
    finder: Finder | None = None,
) -> TableFindings:
    """What each column of `table` holds. All rows are looked at: give a sample of a large one.

    Columns with structs, lists or maps get a finding for each leaf, under its path.

    Args:
        table: column names must be unique.
        overrides: column → type that a person decided on, None for "nothing personal".
        guarantee: of the sampler that made `table`; None: `table` is all there is.
        custom: types beside the built-in ones.
        subject_column: whom a row is about, so that people are counted and not rows.
        finder: searches free text; None: the built-in one, with the same custom types.
    """
    book = rulebook(tuple(custom))
    search = _Finder(finder, tuple(custom))
    findings = []
    for leaf in leaves(table.schema):
        values = _leaf_column(table, leaf)
        finding = _finding(sample_column(leaf.path, values), search, book)
        if overrides and leaf.path in overrides:
            finding = overridden(finding, overrides[leaf.path], custom)
        findings.append(finding)
    columns = _with_positions(tuple(findings))
    whole = SampleGuarantee(table.num_rows, table.num_rows, 0.0, 0.0)
    seen = guarantee or whole
    uniqueness = _uniqueness(table, columns, subject_column, seen)
    return TableFindings(columns, uniqueness.sets, seen, uniqueness)


def discover_batches(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    *,
    seed: int,
    rows: int = DEFAULT_ROWS,
    overrides: Mapping[str, str | None] | None = None,
    custom: Sequence[CustomType] = (),
    subject_column: str = "",
    finder: Finder | None = None,
) -> TableFindings:
    """Findings of a stream, from a uniform sample of `rows` rows in bounded memory."""
    sampler = RowSampler(schema, seed, rows)
    for batch in batches:
        sampler.add(batch)
    return discover_table(
        sampler.table(), overrides=overrides, guarantee=sampler.guarantee(), custom=custom,
        subject_column=subject_column, finder=finder,
    )  # fmt: skip


class _Finder:
    """The finder of free text, made when the first such column comes."""

    def __init__(self, given: Finder | None, custom: tuple[CustomType, ...]) -> None:
        self._given = given
        self._custom = custom

    def get(self) -> Finder:
        if self._given is None:
            self._given = text_finder(custom=self._custom)
        return self._given


def _leaf_column(table: pa.Table, leaf: Leaf) -> "pa.ChunkedArray[Any]":
    column = table.column(leaf.column)
    if not leaf.is_inside:
        return column
    parts: list[Any] = [values_in(chunk, leaf).values for chunk in column.chunks]
    kind: Any = leaf.type
    values: pa.ChunkedArray[Any] = pa.chunked_array(parts, type=kind)
    return values.slice(0, MAX_LEAF_VALUES)


def _finding(sample: ColumnSample, search: _Finder, book: Rulebook) -> ColumnFinding:
    finding = find_in_column(sample, book)
    if finding.type is None and sample.values:
        if may_hold_text(sample):
            return replace(
                finding,
                inside=types_inside(sample, search.get(), book),
                evidence=finding.evidence + languages_inside(sample),
            )
        return replace(finding, inside=mixed_forms(sample, book))
    return finding


def _uniqueness(
    table: pa.Table,
    findings: tuple[ColumnFinding, ...],
    subject_column: str,
    seen: SampleGuarantee,
) -> Uniqueness:
    """How far people are singled out by the columns that others may know."""
    by_path = {leaf.path: leaf for leaf in leaves(table.schema)}
    chosen = [
        finding
        for finding in findings
        if is_candidate(finding)
        and finding.column != subject_column
        # The elements of lists are not one for each row.
        and -1 not in by_path[finding.column].steps
    ]
    # Where there are too many, what is known to set people apart comes first.
    chosen.sort(key=lambda finding: (finding.role is not Role.QUASI, -finding.profile.distinct))
    people = table.column(subject_column) if subject_column in table.column_names else None
    population = 0
    if seen.rows_seen > seen.rows_sampled:
        # Of how many people a sample of rows is, its rows can only tell roughly.
        named = table.num_rows if people is None else pc.count_distinct(people).as_py()
        population = round(named * seen.rows_seen / seen.rows_sampled)
    return find_uniqueness(
        {item.column: _leaf_column(table, by_path[item.column]) for item in chosen},
        people=people, population=population,
    )  # fmt: skip


def overridden(
    finding: ColumnFinding, type_name: str | None, custom: Sequence[CustomType] = ()
) -> ColumnFinding:
    """`finding` as a person decided it; what the engine thought becomes an alternative."""
    before = finding.alternatives
    if finding.type is not None and finding.type != type_name:
        before = ((finding.type, finding.confidence), *before)
    return replace(
        finding,
        type=type_name,
        role=role_named(type_name, custom),
        confidence=1.0 if type_name else 0.0,
        evidence=(Evidence("person", "a person decided it"),),
        decided_by="person",
        alternatives=before[:3],
    )


def _with_positions(findings: tuple[ColumnFinding, ...]) -> tuple[ColumnFinding, ...]:
    """Mark a latitude and a longitude that stand together: either alone locates nobody."""
    found: dict[str, list[int]] = {"latitude": [], "longitude": []}
    for index, finding in enumerate(findings):
        if finding.type is None and finding.decided_by == "engine":
            for word in words_of(finding.column)[-2:]:
                if word in _POSITION_WORDS:
                    found[_POSITION_WORDS[word]].append(index)
    if not (found["latitude"] and found["longitude"]):
        return findings
    marked = list(findings)
    for index in {*found["latitude"], *found["longitude"]}:
        marked[index] = replace(
            marked[index],
            type="coordinates",
            role=Role.DIRECT,
            confidence=0.85,
            evidence=(Evidence("name", "a latitude and a longitude stand together"),),
        )
    return tuple(marked)
