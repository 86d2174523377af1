"""A dataset's page shows its privacy budget, and what was spent of it over time."""

import re
from xml.etree import ElementTree as ET

from tests.faces.house import CSV, House

from strongroom.faces.console.budget_picture import of_budget
from strongroom.faces.console.pictures import Picture

QUESTION = {"sql": "SELECT COUNT(*) FROM data", "epsilon": 0.5, "purpose": "<b>study</b>"}


def answer(
    *spends: tuple[str, float], first: int = 1, refilled: str = "2026-01-01T00:00:00Z"
) -> dict[str, object]:
    """A budget as `data.budget` gives it, newest spend first."""
    shown = [
        {"number": number, "at": at, "spent": spent}
        for number, (at, spent) in enumerate(spends, first)
    ]
    is_over = bool(spends) and refilled > spends[-1][0]
    return {
        "epsilon": 1.0, "spends": shown[::-1], "period_began_at": refilled,
        "spent": 0.0 if is_over else shown[-1]["spent"] if shown else 0.0,
    }  # fmt: skip


def heights(picture: Picture | None) -> list[float]:
    """Of the corners of the curve, from 0 at the lowest to 1 at the highest."""
    assert picture is not None
    curve = ET.fromstring(str(picture.svg)).find("polyline")  # noqa: S314 # our own
    assert curve is not None
    points = [tuple(map(float, one.split(","))) for one in curve.attrib["points"].split()]
    assert [x for x, _ in points] == sorted(x for x, _ in points)
    bottom, top = max(y for _, y in points), min(y for _, y in points)
    return [round((bottom - y) / (bottom - top), 2) for _, y in points]


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
        assert [call["operation"] for call in twin["calls"]] == [
            "data.show", "data.budget", "data.assessments",
        ]  # fmt: skip


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
    assert heights(picture) == [0.0, 0.5, 0.5, 1.0, 1.0, 0.25]


def test_a_period_that_ended_since_is_drawn_to_its_end() -> None:
    days = ("2026-01-01T00:00:00Z", 0.5), ("2026-01-11T00:00:00Z", 1.0)
    picture = of_budget(answer(*days, refilled="2026-01-31T00:00:00Z"))
    assert heights(picture) == [0.0, 0.5, 0.5, 1.0, 1.0, 0.0]
    assert picture is not None
    assert "2 spends; 0 of epsilon 1 spent" in picture.svg
    assert "2026-01-31<" in picture.svg
    hours = of_budget(answer(("2026-01-01T08:00:00Z", 0.5), ("2026-01-01T09:30:00Z", 1.0)))
    assert hours is not None
    assert "2026-01-01 09:30 UTC" in hours.svg


def test_the_newest_of_many_begin_where_the_older_ones_ended() -> None:
    days = ("2026-01-01T00:00:00Z", 0.5), ("2026-01-11T00:00:00Z", 1.0)
    assert heights(of_budget(answer(*days, first=501))) == [0.0, 0.0, 0.0, 1.0]


def test_a_budget_below_what_is_spent_is_not_said_to_be_larger() -> None:
    picture = of_budget(answer(("2026-01-01T00:00:00Z", 3.0)))
    assert picture is not None
    assert "1 spends; 3 of epsilon 1 spent" in picture.svg


def test_one_spend_is_drawn_and_none_is_not() -> None:
    assert of_budget(answer()) is None
    assert of_budget(answer(("2026-01-01T00:00:00Z", 3.0))) is not None  # above a lowered budget
