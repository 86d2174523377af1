"""Page and JSON: everything escaped, nothing loaded, a table for each picture."""

import hashlib
import json
import re
from base64 import b64encode
from dataclasses import replace
from html.parser import HTMLParser

import numpy as np
import pyarrow as pa
import pytest
from tests.engines.drift.samples import counted, table

from strongroom.engines.drift.attribution import attribution_drift
from strongroom.engines.drift.changes import changes_of
from strongroom.engines.drift.comparison import Roles, compare
from strongroom.engines.drift.document import report_json
from strongroom.engines.drift.findings import Report
from strongroom.engines.drift.page import report_page
from strongroom.engines.drift.planning import plan_of

EVIL = "<script>alert(1)</script>\u202e\"'&"


def report() -> Report:
    rows = table(2_000, 1).append_column(EVIL, pa.array([EVIL, "plain"] * 1_000))
    now = table(2_000, 2, 1.0).append_column(EVIL, pa.array([EVIL] * 2_000))
    plan = plan_of(rows)
    first, second = counted(rows, plan), counted(now, plan)
    found = compare(first, second, roles=Roles(frozenset({"said"})), windows={EVIL: second})
    values = np.repeat([0.0, 1.0], 500) + np.random.default_rng(1).normal(size=1_000) / 9
    series = changes_of(EVIL, np.arange(0, 1_000, dtype=np.float64), values)
    attribution = attribution_drift({EVIL: 1.0, "x": 0.1}, {"x": 1.0})
    return replace(found, series=(series,), attribution=attribution)


class _Met(HTMLParser):
    """Elements and attributes of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str | None]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes += attrs


def test_nothing_runs_and_nothing_is_loaded() -> None:
    page = report_page(report(), made="Made today.")
    met = _Met()
    met.feed(page)
    assert "script" not in met.tags
    names = {name for name, _ in met.attributes}
    assert not names & {"style", "src", "href", "onload", "onclick"}
    assert "\u202e" not in page
    css = page.split("<style>")[1].split("</style>")[0]
    digest = b64encode(hashlib.sha256(css.encode()).digest()).decode()
    policy = next(value or "" for name, value in met.attributes if name == "content")
    assert f"style-src 'sha256-{digest}'" in policy
    assert "default-src 'none'" in policy
    assert "script-src" not in policy
    assert "alert(1)" in page  # shown as text


def test_every_kind_of_picture_is_there() -> None:
    page = report_page(report())
    for label in ("Distance of each column", "Distribution of x", "What moved the prediction",
                  "Distance by window", "Shares of letter", "Shares of importances"):  # fmt: skip
        assert f'aria-label="{label}"' in page, label
    assert page.count("<table>") >= 3
    assert page.count('class="began"') == 1
    assert not re.search(r"\b(nan|inf)\b", re.sub(r"<style>.*</style>", "", page, flags=re.DOTALL))


def test_json_is_json_and_says_the_same() -> None:
    found = report()
    document = json.loads(json.dumps(report_json(found), allow_nan=False))
    assert document["verdict"] == found.says
    assert document["format"] == 1
    by_name = {one["column"]: one for one in document["columns"]}
    assert by_name["x"]["status"] == "drifted"
    assert by_name["x"]["measures"]["jensen_shannon"]["exceeds"] is True
    assert sum(by_name["x"]["distribution"]["current"]) == pytest.approx(1)
    assert document["windows"][0]["drifted"]
    assert document["over_time"][0]["changes"][0]["detectors"]
    assert document["attribution"]["moved"]


def test_extreme_numbers_are_drawn() -> None:
    values = np.array([1e-300, 1e300] * 500)
    plan = plan_of(pa.table({"wide": values, "far": -values}))
    first = counted({"wide": values, "far": -values}, plan)
    second = counted({"wide": values[::-1] / 7, "far": values}, plan)
    page = report_page(compare(first, second))
    assert "nan" not in page.split("</style>")[1]


def test_headings_and_signs_tell_what_was_found() -> None:
    found = report()
    page = report_page(found)
    assert "<h2>When " in page
    assert '<g class="heat-mark">' in page  # its triangles are light: the cells are dark
    calm = changes_of("x", np.arange(400.0), np.random.default_rng(2).normal(size=400))
    assert not calm.changes
    page = report_page(replace(found, series=(calm,)))
    assert "<h2>x over time</h2>" in page
    assert "<h2>When " not in page
