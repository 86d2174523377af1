"""Findings of a table or of a stream of batches: the entrance to discovery."""

from collections.abc import Iterable, Mapping
from dataclasses import replace

import pyarrow as pa

from strongroom.engines.privacy.discover.columns import find_in_column
from strongroom.engines.privacy.discover.findings import (
    ColumnFinding,
    Evidence,
    Role,
    SampleGuarantee,
    TableFindings,
)
from strongroom.engines.privacy.discover.profile import sample_column
from strongroom.engines.privacy.discover.rules.registry import role_of
from strongroom.engines.privacy.discover.sampling import DEFAULT_ROWS, RowSampler
from strongroom.engines.privacy.discover.uniqueness import quasi_identifiers

_POSITION_WORDS = {
    "lat": "latitude", "latitude": "latitude", "lon": "longitude", "lng": "longitude",
    "long": "longitude", "longitude": "longitude",
}  # fmt: skip


def discover_table(
    table: pa.Table,
    *,
    overrides: Mapping[str, str | None] | None = None,
    guarantee: SampleGuarantee | None = None,
) -> TableFindings:
    """What each column of `table` holds. All rows are looked at: give a sample of a large one.

    Args:
        table: column names must be unique.
        overrides: column → type that a person decided on, None for "nothing personal".
        guarantee: of the sampler that made `table`; None: `table` is all there is.
    """
    findings = []
    for name, column in zip(table.column_names, table.columns, strict=True):
        finding = find_in_column(sample_column(name, column))
        if overrides and name in overrides:
            finding = overridden(finding, overrides[name])
        findings.append(finding)
    columns = _with_positions(tuple(findings))
    whole = SampleGuarantee(table.num_rows, table.num_rows, 0.0, 0.0)
    return TableFindings(columns, quasi_identifiers(table, columns), guarantee or whole)


def discover_batches(
    batches: Iterable[pa.RecordBatch],
    schema: pa.Schema,
    *,
    seed: int,
    rows: int = DEFAULT_ROWS,
    overrides: Mapping[str, str | None] | None = None,
) -> TableFindings:
    """Findings of a stream, from a uniform sample of `rows` rows in bounded memory."""
    sampler = RowSampler(schema, seed, rows)
    for batch in batches:
        sampler.add(batch)
    return discover_table(sampler.table(), overrides=overrides, guarantee=sampler.guarantee())


def overridden(finding: ColumnFinding, type_name: str | None) -> ColumnFinding:
    """`finding` as a person decided it; what the engine thought becomes an alternative."""
    before = finding.alternatives
    if finding.type is not None and finding.type != type_name:
        before = ((finding.type, finding.confidence), *before)
    return replace(
        finding,
        type=type_name,
        role=role_of(type_name),
        confidence=1.0 if type_name else 0.0,
        evidence=(Evidence("person", "a person decided it"),),
        decided_by="person",
        alternatives=before[:3],
    )


def _with_positions(findings: tuple[ColumnFinding, ...]) -> tuple[ColumnFinding, ...]:
    """Mark a latitude and a longitude that stand together: either alone locates nobody."""
    from strongroom.engines.privacy.discover.headers import words_of

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
