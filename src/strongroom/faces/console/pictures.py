"""The pictures on the page of a dataset, drawn as in its report, from what `data.show` answers."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from strongroom.engines.privacy.report import drawing, wording
from strongroom.engines.privacy.report.drawing import Bar

_MAX_INSIDE, _MAX_TEXTS = 8, 12


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture and what it says; the tables of the page hold the same numbers."""

    svg: Markup
    caption: str


def of_dataset(answer: Mapping[str, Any]) -> list[Picture]:
    """Columns by role, people who stand alone, and what stands inside texts."""
    columns = answer.get("columns") or []
    if not columns:
        return []
    bars = [
        Bar(_name(column["name"]), _height(column), _role(column), _says(column))
        for column in columns[: drawing.MAX_BARS]
    ]
    more = len(columns) - len(bars)
    caption = "The columns of the table. Height: how sure a finding is; of texts, the share."
    if more > 0:
        caption += f" {more} more columns are in the table below."
    pictures = [Picture(drawing.columns_picture(bars), caption)]
    sets = answer.get("quasi_identifiers") or []
    if sets:
        top = sets[0]
        names = " + ".join(_name(name) for name in top["columns"])
        said = f"{wording.percent(top['unique_share'])} of the people looked at"
        pictures.append(
            Picture(
                drawing.people(top["unique_share"], f"{said} stand alone"),
                f"A hundred people; in colour the only ones with their {names}: {said}.",
            )
        )
    texts = [(_name(c["name"]), _inside(c)) for c in columns if c.get("inside")]
    if texts:
        svg = drawing.inside_bars(texts[:_MAX_TEXTS])
        pictures.append(Picture(svg, "Share of the texts of a column that hold each type."))
    return pictures


def _name(name: str) -> str:
    """A column's name; the tables of the page show it as it is."""
    return wording.clean(name, wording.MAX_NAME)


def _role(column: Mapping[str, Any]) -> str:
    """The column's role, else the gravest that stands inside its texts."""
    if column["role"] != "plain" or column["decided_by"] == "person":
        return str(column["role"])
    if column["shape"] in {"number", "unique_integer"}:
        return "plain"
    held = {one["role"] for one in column["inside"] if one["share"] >= wording.LEAST_INSIDE}
    return next((role.value for role in wording.PERSONAL if role.value in held), "plain")


def _height(column: Mapping[str, Any]) -> float:
    """How sure the finding is; of texts the share that holds such data."""
    if column["type"] or _role(column) == "plain":
        return float(column["confidence"])
    return max(float(one["share"]) for one in column["inside"])


def _says(column: Mapping[str, Any]) -> str:
    if not column["type"]:
        return "no type found"
    title = column["title"] or column["type"]
    return f"{title}, {wording.percent(column['confidence'])} sure"


def _inside(column: Mapping[str, Any]) -> list[Bar]:
    return [
        Bar(one["title"] or one["type"], one["share"], one["role"],
            f"in {wording.percent(one['share'])} of the texts")
        for one in column["inside"][:_MAX_INSIDE]
    ]  # fmt: skip
