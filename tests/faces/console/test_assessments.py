"""Assessments on the page of a model version or a dataset: for those who may see them."""

from collections.abc import Mapping
from typing import Any

import pytest

from strongroom.faces.console.assessments import of
from strongroom.faces.console.rendering import page


def one(version: int, day: int, kind: str = "robustness", **fields: object) -> dict[str, object]:
    return {
        "id": f"{version}-{day}", "version": version, "kind": kind, "state": "done",
        "verdict": "passed", "reason": "", "counts": True, "in_force": True,
        "asked_at": f"2026-11-{day}T10:00:00Z", **fields,
    }  # fmt: skip


FOUND = [
    one(2, 27),
    one(2, 26, verdict="failed", counts=False, in_force=False),
    one(2, 25, "a/b", state="broken", verdict="", reason="<b>it ended</b>", counts=False),
    one(1, 24),
]


class Visitor:
    """A visit of somebody who may do some things."""

    def __init__(self, *may: str) -> None:
        self._may = may
        self.asked: list[Mapping[str, object]] = []

    def may(self, name: str, /, **_: object) -> bool:
        return name in self._may

    def call(self, _name: str, /, **fields: object) -> Any:  # noqa: ANN401 # JSON
        self.asked.append(fields)
        return {"assessments": FOUND}


def seen(*may: str) -> list[Mapping[str, Any]]:
    return of(Visitor(*may), "clinic", "models", {"name": "risk", "version": "2"})  # type: ignore[arg-type] # as a visit


def test_only_those_of_this_version_are_shown_and_the_newest_of_a_kind_has_its_report() -> None:
    shown = seen("model.assessments", "model.assessment")
    assert [row["report"] for row in shown] == [
        "/w/clinic/models/risk/2/assessment/robustness", "", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("may", "rows", "links"),
    [((), 0, 0), (("model.assessment",), 0, 0), (("model.assessments",), 3, 0)],
)
def test_who_may_not_sees_less(may: tuple[str, ...], rows: int, links: int) -> None:
    shown = seen(*may)
    assert (len(shown), sum(bool(row["report"]) for row in shown)) == (rows, links)


def test_a_dataset_shows_those_of_all_its_versions_each_newest_with_what_it_found() -> None:
    may = ("data.assessments", "data.assessment")
    shown = of(Visitor(*may), "clinic", "data", {"name": "visits"})  # type: ignore[arg-type] # as a visit
    assert [(row["report"], row["suspects"]) for row in shown] == [
        ("/w/clinic/data/visits/2/assessment/robustness",
         "/w/clinic/data/visits/2/quarantine/robustness"),
        ("", ""), ("", ""),
        ("/w/clinic/data/visits/1/assessment/robustness",
         "/w/clinic/data/visits/1/quarantine/robustness"),
    ]  # fmt: skip
    for less, rows in (((), 0), (("data.assessments",), 4), (("data.assessment",), 0)):
        shown = of(Visitor(*less), "clinic", "data", {"name": "visits"})  # type: ignore[arg-type] # as a visit
        assert (len(shown), sum(bool(row["report"] or row["suspects"]) for row in shown)) == (
            rows, 0,
        )  # fmt: skip
    assert of(Visitor(*may), "clinic", "endpoints", {"name": "visits"}) == []  # type: ignore[arg-type] # as a visit


@pytest.mark.parametrize("word", ["models", "data"])
def test_the_page_shows_them_escaped(word: str) -> None:
    class Kind:
        one = "Thing"

    may = ("model.assessments", "model.assessment", "data.assessments", "data.assessment")
    shown = of(Visitor(*may), "clinic", word, {"name": "risk", "version": "2"})  # type: ignore[arg-type] # as a visit
    answer = page(
        "thing.html", title="x", person=None, crumbs=(), made=[], kind=Kind, name="risk 2",
        value={"name": "risk"}, buttons=[], pictures=[], report="", budget=None, shown_columns={},
        workspace="clinic", tab=word, here="", assessments=shown, guard=None,
    )  # fmt: skip
    text = bytes(answer.body).decode()
    at = "models/risk/2" if word == "models" else "data/risk/2"
    assert f'href="/w/clinic/{at}/assessment/robustness"' in text
    assert ('href="/w/clinic/data/risk/2/quarantine/robustness"' in text) == (word == "data")
    assert "&lt;b&gt;it ended" in text
    assert "<b>it" not in text
