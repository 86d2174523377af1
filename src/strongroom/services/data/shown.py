"""From rows and findings to what is given out."""

from datetime import timedelta

from strongroom.engines.privacy.discover.findings import ColumnFinding
from strongroom.engines.privacy.discover.rulebook import role_named, rule_named
from strongroom.engines.privacy.report.wording import guarantee_sentence
from strongroom.services.data.catalog import Held
from strongroom.services.data.types import (
    ColumnShown,
    DatasetDetail,
    DatasetVersion,
    EvidenceShown,
    InsideShown,
    QuasiIdentifierShown,
)


def version(held: Held, *, clear: bool, reader: str, existed: bool = False) -> DatasetVersion:
    """One version, without its columns.

    The digest of the content, by which a guess of it can be tested, is for who may see it in
    clear (`clear`) and for who sent it (`reader`).
    """
    row = held.row
    knows = clear or row.created_by == reader
    until = row.created_at + timedelta(days=row.retention_days) if row.retention_days else None
    return DatasetVersion(
        workspace=held.dataset.workspace,
        name=held.dataset.name,
        version=row.version,
        digest=held.record.digest if knows else held.commitment,
        commitment=held.commitment,
        rows=row.rows,
        columns=row.columns,
        personal_columns=row.personal_columns,
        source_format=held.record.source_format,
        source_bytes=held.record.source_bytes,
        purpose=row.purpose,
        legal_basis=row.legal_basis,
        retention_days=row.retention_days,
        retain_until=until,
        subject_column=held.record.subject_column,
        created_at=row.created_at,
        created_by=row.created_by,
        existed=existed,
    )


def column(held: Held, finding: ColumnFinding) -> ColumnShown:
    """One column with its finding and its mask."""
    rule, reason = held.policy.policy.rule_for(finding, held.dataset.name)
    profile = finding.profile
    return ColumnShown(
        name=finding.column,
        arrow_type=profile.arrow_type,
        type=finding.type,
        title=_title(held, finding.type),
        role=finding.role.value,
        confidence=finding.confidence,
        decided_by=finding.decided_by,
        shape=profile.shape.value,
        rows=profile.rows,
        nulls=profile.nulls,
        distinct=profile.distinct,
        unique_share=round(profile.unique_share, 4),
        evidence=[
            EvidenceShown(source=item.source, detail=item.detail, share=item.share)
            for item in finding.evidence
        ],
        alternatives=list(finding.alternatives),
        inside=[
            InsideShown(
                type=one.type,
                title=_title(held, one.type),
                role=role_named(one.type, held.types.types).value,
                share=round(one.share, 4),
            )
            for one in finding.inside
        ],
        masked_by=rule.method.value,
        mask_reason=reason,
    )


def _title(held: Held, type_name: str | None) -> str:
    rule = rule_named(type_name, held.types.types)
    return rule.title if rule is not None else ""


def detail(
    held: Held, versions: list[Held], *, clear: bool, reader: str, has_budget: bool
) -> DatasetDetail:
    """A dataset with all its versions and the columns of one of them; who asks, as in `version`."""
    guarantee = held.findings.guarantee
    return DatasetDetail(
        shown=version(held, clear=clear, reader=reader),
        versions=[version(other, clear=clear, reader=reader) for other in versions],
        columns=[column(held, finding) for finding in held.findings.columns],
        quasi_identifiers=[
            QuasiIdentifierShown(
                columns=list(item.columns),
                unique_share=item.unique_share,
                population_share=item.population_share,
                added=list(item.added),
                smallest_group=item.smallest_group,
            )
            for item in held.findings.quasi_identifiers
        ],
        rows_sampled=guarantee.rows_sampled,
        detectable_share=guarantee.detectable_share,
        miss_probability=guarantee.miss_probability,
        guarantee=guarantee_sentence(guarantee),
        people_alone=None if held.findings.uniqueness is None else held.findings.uniqueness.share,
        policy="default" if held.policy.set_by is None else held.policy.digest,
        has_budget=has_budget,
    )
