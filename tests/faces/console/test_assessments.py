"""The attacks on a model version, on its page: for this version, for those who may see them."""

from collections.abc import Mapping
from typing import Any

import pytest

from strongroom.faces.console.pages import _assessments
from strongroom.faces.console.rendering import page

FOUND = [
    {"version": 2, "kind": "robustness", "state": "done", "verdict": "passed", "reason": "",
     "counts": True, "asked_at": "2026-11-27T10:00:00Z"},
    {"version": 2, "kind": "robustness", "state": "done", "verdict": "failed", "reason": "",
     "counts": False, "asked_at": "2026-11-26T10:00:00Z"},
    {"version": 2, "kind": "a/b", "state": "broken", "verdict": "", "reason": "<b>it ended</b>",
     "counts": False, "asked_at": "2026-11-25T10:00:00Z"},
    {"version": 1, "kind": "robustness", "state": "done", "verdict": "passed", "reason": "",
     "counts": True, "asked_at": "2026-11-24T10:00:00Z"},
]  # fmt: skip


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
    return _assessments(Visitor(*may), "clinic", {"name": "risk", "version": "2"})  # type: ignore[arg-type] # as a visit


def test_only_those_of_this_version_are_shown_and_the_newest_of_a_kind_has_its_report() -> None:
    shown = seen("model.assessments", "model.assessment")
    assert [one["report"] for one in shown] == [
        "/w/clinic/models/risk/2/assessment/robustness", "", "",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("may", "rows", "links"),
    [((), 0, 0), (("model.assessment",), 0, 0), (("model.assessments",), 3, 0)],
)
def test_who_may_not_sees_less(may: tuple[str, ...], rows: int, links: int) -> None:
    shown = seen(*may)
    assert (len(shown), sum(bool(one["report"]) for one in shown)) == (rows, links)


def test_the_page_shows_them_escaped() -> None:
    class Kind:
        one, word = "Model", "models"

    shown = seen("model.assessments", "model.assessment")
    answer = page(
        "thing.html", title="x", person=None, crumbs=(), made=[], kind=Kind, name="risk 2",
        value={"name": "risk"}, buttons=[], pictures=[], report="", budget=None, shown_columns={},
        workspace="clinic", tab="models", here="", assessments=shown, guard=None,
    )  # fmt: skip
    text = bytes(answer.body).decode()
    assert 'href="/w/clinic/models/risk/2/assessment/robustness"' in text
    assert "&lt;b&gt;it ended" in text
    assert "<b>it" not in text
