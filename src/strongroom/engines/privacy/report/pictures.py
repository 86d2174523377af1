"""From the findings of one table to what a page shows of it: pictures and the rows of tables."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from strongroom.engines.privacy.discover.findings import ColumnFinding, Role, TableFindings
from strongroom.engines.privacy.report import drawing, wording
from strongroom.engines.privacy.report.contents import MaskEffect, TableReport
from strongroom.engines.privacy.report.drawing import Bar
from strongroom.engines.privacy.report.effect import DROPPED, REPLACED

MAX_ROWS = 1_000
"""Columns listed on a page, personal ones first where there are more."""
MAX_SETS = 12
MAX_INSIDE, MAX_TEXTS = 8, 12
"""Types of a text column that are drawn, and text columns."""
_ROLE_ORDER = (Role.SECRET, Role.DIRECT, Role.SPECIAL, Role.QUASI)


@dataclass(frozen=True, slots=True)
class TableDrawn:
    """One table as a page shows it; a picture is None where there is nothing to draw."""

    sentence: str
    guarantee: str
    columns: list[dict[str, Any]]
    more_columns: int
    picture: Markup | None
    sets: list[dict[str, Any]]
    alone: Markup | None
    alone_says: str
    misses: list[tuple[str, str]]
    curve: Markup | None
    masking: dict[str, Any] | None
    texts: Markup | None


def drawn_table(table: TableReport, titles: Mapping[str, str]) -> TableDrawn:
    """What a page shows of `table`."""
    findings = table.findings
    listed = _listed(findings)
    sets, alone, says = _alone(findings)
    misses, curve = _misses(findings)
    return TableDrawn(
        sentence=_sentence(findings),
        guarantee=wording.guarantee_sentence(findings.guarantee),
        columns=[_row(column, titles) for column in listed],
        more_columns=len(findings.columns) - len(listed),
        picture=columns_picture(findings, titles),
        sets=sets,
        alone=alone,
        alone_says=says,
        misses=misses,
        curve=curve,
        masking=None if table.effect is None else _masking(table.effect, titles),
        texts=texts_picture(findings, titles),
    )


def columns_picture(findings: TableFindings, titles: Mapping[str, str]) -> Markup | None:
    """The table's columns by role and confidence; None where there is no column."""
    if not findings.columns:
        return None
    shown = findings.columns
    if len(shown) > drawing.MAX_BARS:
        shown = tuple(wording.personal(findings))[: drawing.MAX_BARS] or shown[: drawing.MAX_BARS]
    return drawing.columns_picture(
        [
            Bar(
                wording.shown_name(column.column),
                _height(column),
                wording.role_of_column(column).value,
                _says(column, titles),
            )
            for column in shown
        ]
    )  # fmt: skip


def texts_picture(findings: TableFindings, titles: Mapping[str, str]) -> Markup | None:
    """What stands inside the texts of columns, a bar for each type; None where nothing does."""
    rows = [
        (
            wording.shown_name(column.column),
            [
                Bar(
                    wording.type_title(name, titles), share,
                    wording.roles_inside(column)[name].value,
                    f"in {wording.percent(share)} of the texts",
                )
                for name, share in wording.inside(column)[:MAX_INSIDE]
            ],
        )
        for column in findings.columns
        if wording.inside(column)
    ]  # fmt: skip
    return drawing.inside_bars(rows[:MAX_TEXTS]) if rows else None


def _height(column: ColumnFinding) -> float:
    """How sure the finding is; of texts the share that holds what makes the column personal."""
    if column.type is not None:
        return column.confidence
    return max((share for _, share in wording.telling_inside(column)), default=0.0)


def _says(column: ColumnFinding, titles: Mapping[str, str]) -> str:
    if column.type is None:
        held = wording.types_of(column, titles)
        return f"texts with {held[0][0]}" if held else "no type found"
    return f"{wording.type_title(column.type, titles)}, {wording.percent(column.confidence)} sure"


def _listed(findings: TableFindings) -> list[ColumnFinding]:
    if len(findings.columns) <= MAX_ROWS:
        return list(findings.columns)
    plain = [column for column in findings.columns if wording.role_of_column(column) is Role.PLAIN]
    return (wording.personal(findings) + plain)[:MAX_ROWS]


def _sentence(findings: TableFindings) -> str:
    found = len(wording.personal(findings))
    return f"{found} of {len(findings.columns)} columns personal"


def _row(column: ColumnFinding, titles: Mapping[str, str]) -> dict[str, Any]:
    profile = column.profile
    return {
        "column": wording.shown_name(column.column),
        "title": wording.type_title(column.type, titles) or "no type found",
        "found": column.type is not None,
        "role": wording.role_of_column(column).value,
        "confidence": column.confidence,
        "decided_by": column.decided_by,
        "inside": [
            (
                wording.type_title(name, titles),
                wording.roles_inside(column)[name].value,
                wording.percent(share),
            )
            for name, share in wording.inside(column)
        ],
        "shape": profile.shape.value.replace("_", " "),
        "unique": profile.unique_share,
        "missing": profile.nulls / profile.rows if profile.rows else 0.0,
        "evidence": list(
            dict.fromkeys(
                (one.source, one.detail, "" if one.share is None else wording.percent(one.share))
                for one in column.evidence
            )
        ),
    }


def _alone(findings: TableFindings) -> tuple[list[dict[str, Any]], Markup | None, str]:
    """Sets that single people out, a picture of the one that does most, and its sentence."""
    sets = [
        {
            "columns": " + ".join(wording.shown_names(one.columns)),
            "share": one.unique_share,
            "whole": one.population_share,
            "smallest": one.smallest_group,
        }
        for one in findings.quasi_identifiers[:MAX_SETS]
    ]
    if not sets:
        return [], None, ""
    top = findings.quasi_identifiers[0]
    says = wording.alone_sentence(top)
    return sets, drawing.people(top.unique_share, says), says


def _misses(findings: TableFindings) -> tuple[list[tuple[str, str]], Markup | None]:
    """How likely the sample misses what stands in a share of the rows."""
    guarantee = findings.guarantee
    sampled = guarantee.rows_sampled
    if not sampled or sampled >= guarantee.rows_seen or guarantee.detectable_share <= 0:
        return [], None
    rows = [
        (wording.percent(share), wording.percent((1 - share) ** sampled))
        for share in (0.01, 0.005, 0.001, 0.0005, 0.0001)
    ]
    curve = drawing.miss_curve(sampled, guarantee.detectable_share, guarantee.miss_probability)
    return rows, curve


def _masking(effect: MaskEffect, titles: Mapping[str, str]) -> dict[str, Any]:
    """Before and after."""
    roles = [role.value for role in _ROLE_ORDER]
    before = dict.fromkeys(roles, 0)
    after = dict.fromkeys(roles, 0)
    rows = []
    for one in effect.columns:
        if one.role_before in before:
            before[one.role_before] += 1
        if one.role_after in after:
            after[one.role_after] += 1
        rows.append(
            {
                "column": wording.shown_name(one.column),
                "method": one.method,
                "reason": wording.clean(one.reason, 200),
                "before": wording.type_title(one.type_before, titles) or "no type found",
                "role_before": one.role_before,
                "after": _left(one.role_after, wording.type_title(one.type_after, titles)),
                "role_after": one.role_after if one.role_after in before else Role.PLAIN.value,
            }
        )
    most = max([1, *before.values()])
    sets = [
        {
            "columns": " + ".join(wording.shown_names(one.columns)),
            "before": one.before,
            "after": one.after,
        }
        for one in effect.sets
    ]
    top = effect.sets[0] if effect.sets else None
    return {
        "policy": effect.policy,
        "rows": rows[:MAX_ROWS],
        "sets": sets,
        "roles": [
            {
                "role": role, "before": before[role], "after": after[role],
                "before_share": before[role] / most, "after_share": after[role] / most,
            }
            for role in roles
            if before[role] or after[role]
        ],
        "top": sets[0]["columns"] if sets else "",
        "people_before": _people(top.before, "before masking") if top else None,
        "people_after": _people(top.after, "after masking") if top else None,
    }  # fmt: skip


def _people(share: float, when: str) -> Markup:
    return drawing.people(share, f"{wording.percent(share)} of the people stand alone {when}")


def _left(role_after: str, title: str) -> str:
    if role_after == DROPPED:
        return "left out"
    if role_after == REPLACED:
        return "made-up values"
    return title or "no type found"
