"""A report as JSON: names, counts and shares, never a value."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from strongroom.engines.privacy.discover.findings import ColumnFinding, Role, Uniqueness
from strongroom.engines.privacy.report import wording
from strongroom.engines.privacy.report.contents import FileReport, MaskEffect, Report, TableReport

FORMAT = 1
"""Grows when the document changes in a way that readers notice."""


def report_json(report: Report) -> dict[str, Any]:
    """The whole report."""
    tables = [table for file in report.files for table in file.tables]
    counts = wording.role_counts(table.findings for table in tables)
    types = Counter(
        column.type
        for table in tables
        for column in table.findings.columns
        if column.type is not None and column.role is not Role.PLAIN
    )
    return {
        "format": FORMAT,
        "summary": {
            "files": len(report.files),
            "tables": len(tables),
            "columns": sum(counts.values()),
            "personal_columns": sum(counts.values()) - counts[Role.PLAIN],
            "columns_by_role": {role.value: count for role, count in counts.items()},
            "columns_by_type": dict(sorted(types.items(), key=lambda item: (-item[1], item[0]))),
            "files_with_problems": sum(1 for file in report.files if file.problem),
            "left_out": len(report.left_out),
        },
        "files": [_file(file, report.titles) for file in report.files],
        "left_out": [
            {"path": wording.clean(one.path, wording.MAX_PATH), "reason": one.reason}
            for one in report.left_out
        ],
    }


def _file(file: FileReport, titles: Mapping[str, str]) -> dict[str, Any]:
    return {
        "path": wording.clean(file.path, wording.MAX_PATH),
        "form": file.form,
        "problem": file.problem,
        "tables": [_table(table, titles) for table in file.tables],
    }


def _table(table: TableReport, titles: Mapping[str, str]) -> dict[str, Any]:
    findings = table.findings
    return {
        "name": wording.shown_name(table.name),
        "sample": {
            **asdict(findings.guarantee),
            "sentence": wording.guarantee_sentence(findings.guarantee),
        },
        "columns": [_column(column, titles) for column in findings.columns],
        "quasi_identifiers": [
            {**asdict(one), "columns": wording.shown_names(one.columns)}
            for one in findings.quasi_identifiers
        ],
        "uniqueness": None if findings.uniqueness is None else _uniqueness(findings.uniqueness),
        "masking": None if table.effect is None else _effect(table.effect),
    }


def _column(column: ColumnFinding, titles: Mapping[str, str]) -> dict[str, Any]:
    profile = column.profile
    return {
        "column": wording.shown_name(column.column),
        "type": column.type,
        "title": wording.type_title(column.type, titles),
        "role": wording.role_of_column(column).value,
        "confidence": round(column.confidence, 3),
        "decided_by": column.decided_by,
        "shape": profile.shape.value,
        "rows": profile.rows,
        "missing": profile.nulls,
        "distinct": profile.distinct,
        "unique_share": round(profile.unique_share, 4),
        "evidence": [asdict(one) for one in column.evidence],
        "inside": [
            {
                "type": name,
                "title": wording.type_title(name, titles),
                "role": wording.roles_inside(column)[name].value,
                "share": round(share, 4),
            }
            for name, share in wording.inside(column)
        ],
        "alternatives": [list(one) for one in column.alternatives],
    }


def _uniqueness(found: Uniqueness) -> dict[str, Any]:
    return {
        "people": found.people,
        "population": found.population,
        "share": found.share,
        "is_complete": found.is_complete,
        "columns": [
            {**asdict(one), "column": wording.shown_name(one.column)} for one in found.columns
        ],
    }


def _effect(effect: MaskEffect) -> dict[str, Any]:
    return {
        "policy": effect.policy,
        "columns": [
            {**asdict(one), "column": wording.shown_name(one.column)} for one in effect.columns
        ],
        "singled_out": [
            {**asdict(one), "columns": wording.shown_names(one.columns)} for one in effect.sets
        ],
    }
