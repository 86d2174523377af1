"""From rows and findings to what is given out."""

from datetime import timedelta

from strongroom.engines.privacy.discover.findings import ColumnFinding
from strongroom.engines.privacy.discover.rules.registry import RULES_BY_NAME
from strongroom.engines.privacy.mask.default_policy import default_policy
from strongroom.services.data.catalog import Held
from strongroom.services.data.types import (
    ColumnShown,
    DatasetDetail,
    DatasetVersion,
    EvidenceShown,
    QuasiIdentifierShown,
)


def version(held: Held, *, existed: bool = False) -> DatasetVersion:
    """One version, without its columns."""
    row = held.row
    until = row.created_at + timedelta(days=row.retention_days) if row.retention_days else None
    return DatasetVersion(
        workspace=held.dataset.workspace,
        name=held.dataset.name,
        version=row.version,
        digest=held.record.digest,
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
    del held  # every dataset has the default policy so far
    rule, reason = default_policy().rule_for(finding)
    profile = finding.profile
    return ColumnShown(
        name=finding.column,
        arrow_type=profile.arrow_type,
        type=finding.type,
        title=_title(finding.type),
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
        masked_by=rule.method.value,
        mask_reason=reason,
    )


def _title(type_name: str | None) -> str:
    rule = RULES_BY_NAME.get(type_name or "")
    return rule.title if rule is not None else ""


def detail(held: Held, versions: list[Held]) -> DatasetDetail:
    """A dataset with all its versions and the columns of one of them."""
    guarantee = held.findings.guarantee
    return DatasetDetail(
        shown=version(held),
        versions=[version(other) for other in versions],
        columns=[column(held, finding) for finding in held.findings.columns],
        quasi_identifiers=[
            QuasiIdentifierShown(
                columns=list(item.columns),
                unique_share=item.unique_share,
                smallest_group=item.smallest_group,
            )
            for item in held.findings.quasi_identifiers
        ],
        rows_sampled=guarantee.rows_sampled,
        detectable_share=guarantee.detectable_share,
        miss_probability=guarantee.miss_probability,
    )
