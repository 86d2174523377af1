"""The guard of a version or an endpoint, on its page: for those who may see it."""

from typing import Any

import pytest

from strongroom.errors import NotFoundError, StrongroomError, TamperedError, UnavailableError
from strongroom.faces.console.pages import KINDS, SHOWN_COLUMNS, _guard
from strongroom.faces.console.rendering import page

SHOWN = {
    "endpoint": "risk", "mode": "observe", "flagged": 3,
    "callers": [
        {"caller": "c-0123456789ab", "rows": 120, "flagged": 3, "refused": 0,
         "because": "<b>uniform</b>", "raised_at": None, "is_alarmed": True},
    ],
}  # fmt: skip


class Visitor:
    """A visit of somebody who may do some things, to a server that answers or does not."""

    def __init__(self, *may: str, error: StrongroomError | None = None) -> None:
        self._may = may
        self._error = error
        self.asked: list[str] = []

    def may(self, name: str, /, **_: object) -> bool:
        return name in self._may

    def call(self, name: str, /, **_: object) -> Any:  # noqa: ANN401 # JSON
        self.asked.append(name)
        if self._error is not None:
            raise self._error
        return SHOWN


def seen(visitor: Visitor, word: str) -> Any:  # noqa: ANN401 # JSON
    return _guard(visitor, "clinic", KINDS[word], {"endpoint": "risk"})  # type: ignore[arg-type] # as a visit


@pytest.mark.parametrize(
    ("word", "operation"), [("models", "model.guard"), ("endpoints", "endpoint.guard")]
)
def test_those_who_may_see_it(word: str, operation: str) -> None:
    visitor = Visitor(operation)
    assert seen(visitor, word) == SHOWN
    assert visitor.asked == [operation]


@pytest.mark.parametrize("word", ["models", "endpoints", "data", "jobs"])
def test_others_do_not_and_nothing_is_asked(word: str) -> None:
    visitor = Visitor("model.show", "endpoint.show")
    assert seen(visitor, word) is None
    assert visitor.asked == []


@pytest.mark.parametrize("error", [NotFoundError("none"), UnavailableError("nothing deployed")])
def test_where_there_is_none_the_page_says_nothing(error: StrongroomError) -> None:
    assert seen(Visitor("endpoint.guard", error=error), "endpoints") is None


def test_a_changed_guard_is_told_beside_the_rest() -> None:
    error = TamperedError("the guard of the model version was taken away")
    found = seen(Visitor("model.guard", error=error), "models")
    assert found == {"is_tampered": True, "reason": error.message}


def test_the_page_shows_callers_escaped() -> None:
    answer = page(
        "thing.html", title="x", person=None, crumbs=(), made=[], kind=KINDS["endpoints"],
        name="risk", value={"name": "risk"}, buttons=[], pictures=[], report="", budget=None,
        shown_columns=SHOWN_COLUMNS, workspace="clinic", tab="endpoints", here="", assessments=[],
        guard=SHOWN,
    )  # fmt: skip
    text = bytes(answer.body).decode()
    assert '<h2 id="guard">Guard</h2>' in text
    assert "c-0123456789ab" in text
    assert "&lt;b&gt;uniform" in text
    assert "<b>uniform" not in text
