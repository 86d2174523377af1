"""`strongroom mask --explain`: what would happen to a table, on ten of its rows."""

import sys
from typing import Any

from strongroom.engines.privacy.mask.explain import ColumnExplained, Explanation
from strongroom.engines.privacy.mask.explain import explain as explain_plan
from strongroom.engines.privacy.mask.policy import Method
from strongroom.engines.privacy.report import wording
from strongroom.faces.cli import output
from strongroom.faces.cli.masking import Masking
from strongroom.faces.cli.study import TableStudy

_VALUE = 40


def explain(
    shown: str, looked: TableStudy, masking: Masking, *, show_values: bool, as_json: bool
) -> None:
    """Show the plan, and ten rows before and after where a person looks on.

    Values in clear go to a terminal only, or where they were asked for: stdout may be a file.
    """
    plan = masking.plan(looked)
    if as_json:
        return  # the plan is in the answer, and values are in no JSON
    with_values = sys.stdout.isatty() or show_values
    place = output.clean(shown) + (f": {wording.shown_name(looked.name)}" if looked.name else "")
    if not with_values:
        output.words("values are shown on a terminal only: --show-values shows them here")
    rows: list[dict[str, Any]] = [
        {
            "file": place,
            "column": wording.shown_name(mask.column),
            "holds": wording.type_title(mask.type, {}),
            "method": str(mask.rule.method),
            "because": mask.reason,
        }
        for mask in plan.masks
    ]
    if not with_values:
        output.data(rows, as_json=False)
        return
    # Tokens are drawn for this only: none of them is kept.
    finder = masking.study.finder() if plan.uses_finder else None
    explanation = explain_plan(plan, looked.sample, masking.key, finder=finder)
    if sys.stdout.isatty():
        _draw(place, explanation)
        return
    for row, column in zip(rows, explanation.columns, strict=True):
        pairs = _pairs(column)
        row |= {"before": [b for b, _ in pairs], "after": [a for _, a in pairs]}
    output.data(rows, as_json=False)


def _draw(place: str, explanation: Explanation) -> None:
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(highlight=False)
    console.print(Text(place, style="bold"))
    drawn = Table(box=SIMPLE_HEAD, pad_edge=False, show_lines=False)
    for name in ("column", "before", "after", "method", "because"):
        is_value = name in {"before", "after"}
        drawn.add_column(name, no_wrap=is_value, overflow="ellipsis" if is_value else "fold")
    for column in explanation.columns:
        pairs = _pairs(column)
        kept = column.method is Method.KEEP
        for at, (old, new) in enumerate(pairs or [("", "")]):
            first = at == 0
            drawn.add_row(
                Text(wording.shown_name(column.column) if first else "", style="bold"),
                Text(old), Text(new, style="dim" if kept else "green"),
                Text(str(column.method) if first else ""),
                Text(column.reason if first else "", style="dim"),
                end_section=at == len(pairs) - 1,
            )  # fmt: skip
    console.print(drawn)


def _pairs(column: ColumnExplained) -> list[tuple[str, str]]:
    """Values of a column, or of a part of it, before and after."""
    news = column.after or ["(left out)"] * len(column.before)
    return [(_shown(old), _shown(new)) for old, new in zip(column.before, news, strict=True)]


def _shown(value: str | None) -> str:
    return "" if value is None else wording.clean(value, _VALUE)
