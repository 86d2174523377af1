"""A dataset's page shows its privacy budget, and what was spent of it over time."""

import re
from xml.etree import ElementTree as ET

from tests.faces.house import CSV, House

from strongroom.faces.console.budget_picture import of_budget

QUESTION = {"sql": "SELECT COUNT(*) FROM data", "epsilon": 0.5, "purpose": "<b>study</b>"}


def answer(*spends: tuple[str, float]) -> dict[str, object]:
    """A budget as `data.budget` gives it, newest spend first."""
    shown = [{"at": at, "spent": spent} for at, spent in spends]
    return {"epsilon": 1.0, "spends": shown[::-1]}


def test_the_page_of_a_dataset_shows_what_was_spent(house: House) -> None:
    about = {"workspace": "clinic", "name": "budgeted"}
    house.call("data.add", **about, body=CSV)
    with house.signed_in() as web:
        assert "Privacy budget" not in web.get("/w/clinic/data/budgeted").text
        house.call("data.set_budget", **about, epsilon=2.0)
        page = web.get("/w/clinic/data/budgeted").text
        assert "Privacy budget" in page
        assert "over time" not in page  # nothing to draw yet
        for _ in range(2):
            house.call("data.query", **about, **QUESTION)
        page = web.get("/w/clinic/data/budgeted").text
        drawing = re.search(r"<svg[^>]*Privacy budget over time.*?</svg>", page, re.DOTALL)
        assert drawing is not None
        assert "2 spends" in drawing[0]
        assert "style=" not in drawing[0]
        assert "<b>study" not in page
        assert "&lt;b&gt;study" in page
        assert "strongroom data budget budgeted" in page
        assert "polylogarithmic" in page  # for whose choices the figures hold
        twin = web.get("/w/clinic/data/budgeted?format=json").json()
        assert [call["operation"] for call in twin["calls"]] == ["data.show", "data.budget"]


def test_who_may_not_see_the_dataset_sees_no_budget(house: House) -> None:
    with house.signed_in("stranger") as web:
        refused = web.get("/w/clinic/data/budgeted")
        assert refused.status_code == 403
        assert "Privacy budget" not in refused.text


def test_steps_rise_to_what_is_spent_and_fall_with_a_refill() -> None:
    picture = of_budget(
        answer(("2026-01-01T00:00:00Z", 0.5), ("2026-01-11T00:00:00Z", 1.0),
               ("2026-01-21T00:00:00Z", 0.25))
    )  # fmt: skip
    assert picture is not None
    curve = ET.fromstring(str(picture.svg)).find("polyline")  # noqa: S314 # our own
    assert curve is not None
    points = [tuple(map(float, one.split(","))) for one in curve.attrib["points"].split()]
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    bottom, top = max(y for _, y in points), min(y for _, y in points)
    heights = [round((bottom - y) / (bottom - top), 2) for _, y in points]
    assert heights == [0.0, 0.5, 0.5, 1.0, 1.0, 0.25]


def test_one_spend_is_drawn_and_none_is_not() -> None:
    assert of_budget(answer()) is None
    assert of_budget(answer(("2026-01-01T00:00:00Z", 3.0))) is not None  # above a lowered budget
