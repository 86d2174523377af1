"""The pictures on a dataset's page, and its report to download."""

import html
import re
from xml.etree import ElementTree as ET

from tests.faces.house import House

from strongroom.faces.console.pictures import of_dataset

HOSTILE = "<script>alert(1)</script>"


def test_a_dataset_shows_its_pictures_under_the_pages_own_policy(house: House) -> None:
    with house.signed_in() as web:
        page = web.get("/w/clinic/data/patients")
        assert "style-src 'self'" in page.headers["content-security-policy"]
        drawings = re.findall(r"<svg.*?</svg>", page.text, re.DOTALL)
        assert any("Columns by role and confidence" in drawing for drawing in drawings)
        assert all("style=" not in drawing for drawing in drawings)
        css = web.get("/console/console.css").text
        assert ".tone.direct" in css
        assert "url(http" not in css
        assert "rows were looked at" in page.text
        for other in ("/w/clinic/models/trap/1", "/w/clinic/data"):
            assert "Columns by role" not in web.get(other).text


def test_the_report_is_a_file_with_a_policy_of_its_own(house: House) -> None:
    with house.signed_in() as web:
        answer = web.get("/w/clinic/data/patients/report")
        assert answer.status_code == 200
        assert answer.headers["content-disposition"].startswith("attachment; filename=")
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert "default-src 'none'; style-src 'sha256-" in html.unescape(answer.text)
        assert "<script" not in answer.text
        assert web.get("/w/clinic/data/missing/report").status_code == 404
        listed = web.get("/w/clinic/log?action=readDataset").text
        assert "data.report" in listed
    with house.web() as stranger:
        assert stranger.get("/w/clinic/data/patients/report").status_code == 401


def test_who_may_not_see_findings_gets_no_report(house: House) -> None:
    with house.signed_in("stranger") as web:
        assert web.get("/w/clinic/data/patients/report").status_code == 403


def column(name: str, **more: object) -> dict[str, object]:
    fields: dict[str, object] = {
        "name": name, "type": None, "title": "", "role": "plain", "confidence": 0.0,
        "decided_by": "engine", "shape": "free_text", "inside": [],
    }  # fmt: skip
    return fields | more


def test_names_are_escaped_and_texts_count() -> None:
    held = [{"type": "email", "title": HOSTILE, "role": "direct", "share": 0.4}]
    pictures = of_dataset(
        {
            "columns": [
                column(HOSTILE, inside=held),
                column("said", inside=held, decided_by="person"),
                column("score", inside=held, shape="number"),
            ],
            "quasi_identifiers": [{"columns": [HOSTILE], "unique_share": 0.25}],
        }
    )
    assert len(pictures) == 3
    for picture in pictures:
        assert all(
            element.tag.rpartition("}")[2] != "script"
            for element in ET.fromstring(picture.svg).iter()  # noqa: S314 # our own drawing
        )
    signs = re.findall(r'class="inked (\w+)"', str(pictures[0].svg))
    assert signs == ["direct", "plain", "plain"]
    assert str(pictures[1].svg).count('class="alone"') == 25
    assert of_dataset({"columns": []}) == []
