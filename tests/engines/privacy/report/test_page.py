"""The page and the JSON of a report: no value of the data, no way in for a script."""

import hashlib
import json
import re
from base64 import b64encode
from html.parser import HTMLParser

import pyarrow as pa
import pytest
from tests.engines.privacy.report.planted import finding, findings, people

from strongroom.engines.privacy.discover.findings import QuasiIdentifier, Role, TypeInside
from strongroom.engines.privacy.discover.tables import discover_table
from strongroom.engines.privacy.mask.default_policy import default_policy
from strongroom.engines.privacy.mask.plan import mask_batches, plan_masks
from strongroom.engines.privacy.report.contents import FileReport, LeftOut, Report, TableReport
from strongroom.engines.privacy.report.document import report_json
from strongroom.engines.privacy.report.effect import mask_effect
from strongroom.engines.privacy.report.page import content_security_policy, report_page

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(1)>{{7*7}}'


def report_of(table: pa.Table, path: str = "people.csv") -> Report:
    """A report with the effect of the built-in policy, from the table to the page."""
    found = discover_table(table)
    plan = plan_masks(table.schema, found, default_policy())
    masked = pa.Table.from_batches(mask_batches(table.to_batches(), plan, b"k" * 32), plan.schema)
    effect = mask_effect(
        table, masked, found, discover_table(masked),
        {mask.column: (mask.rule.method.value, mask.reason) for mask in plan.masks},
        policy="the built-in policy", made_up=frozenset({"hash"}),
    )  # fmt: skip
    return Report("people.csv", (FileReport(path, "csv", (TableReport("", found, effect),)),))


def test_no_planted_value_is_in_the_page_or_the_document() -> None:
    table = people()
    # The same table without a heading: its first row became the names of the columns.
    headless = table.rename_columns(
        [str(table[name][0]) for name in table.column_names[:4]] + ["5"]
    )
    for shown in (table, headless):
        report = report_of(shown)
        texts = (report_page(report), json.dumps(report_json(report)))
        for column in ("email", "ssn"):
            for value in table[column].to_pylist():
                assert all(str(value) not in text for text in texts), value
        if shown is table:
            for value in table["name"].to_pylist() + table["postcode"].to_pylist():
                assert all(str(value) not in text for text in texts), value


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: list[tuple[str, list[tuple[str, str | None]]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, attrs))


def test_names_are_escaped_wherever_they_stand() -> None:
    table = findings(
        finding(HOSTILE, "email", Role.DIRECT),
        finding("note", inside=(TypeInside("person_name", 0.5, 5),)),
        sets=(QuasiIdentifier((HOSTILE, "b"), 0.5, 1),),
    )
    files = tuple(
        FileReport(HOSTILE, HOSTILE, (TableReport(HOSTILE, table),), HOSTILE) for _ in range(2)
    )
    report = Report(HOSTILE, files, (LeftOut(HOSTILE, HOSTILE),), {"email": HOSTILE})
    page = report_page(report, made=HOSTILE)
    reader = _Tags()
    reader.feed(page)
    assert {tag for tag, _ in reader.tags}.isdisjoint({"script", "img", "iframe", "object", "link"})
    for _, attributes in reader.tags:
        for name, _ in attributes:
            assert not name.startswith("on")
            assert name != "style"
    assert "49" not in re.findall(r"\{\{.*?\}\}", page)


def test_the_page_allows_its_own_style_sheet_and_nothing_else() -> None:
    page = report_page(Report("t", ()))
    (style,) = re.findall(r"<style>(.*?)</style>", page, re.DOTALL)
    digest = b64encode(hashlib.sha256(style.encode()).digest()).decode()
    assert f"'sha256-{digest}'" in content_security_policy()
    assert "unsafe" not in content_security_policy()
    assert content_security_policy().startswith("default-src 'none'")
    assert "http" not in re.sub(r"http-equiv", "", page)


def test_every_picture_has_its_table() -> None:
    table = findings(
        finding("city", "city", Role.QUASI), finding("note", inside=(TypeInside("email", 0.5, 5),)),
        sets=(QuasiIdentifier(("city",), 0.37, 1),), seen=10_000,
    )  # fmt: skip
    report = Report("t", (FileReport("t.csv", "csv", (TableReport("", table),)),) * 2)
    page = report_page(report)
    pictures = page.count('class="picture')
    assert pictures == 1 + 2 * 4  # the map of files; columns, texts, people and curve of each
    for caption in ("Types by file", "Columns and what was found", "Columns that single people out",
                    "type in this share of the rows"):  # fmt: skip
        assert caption in page
    assert page.count("37 %") >= 2


@pytest.mark.parametrize("count", [1, 3_000])
def test_wide_tables_are_bounded(count: int) -> None:
    table = findings(*(finding(f"c{at}", "email", Role.DIRECT) for at in range(count)))
    report = Report("t", (FileReport("t.csv", "csv", (TableReport("", table),)),))
    assert len(report_page(report)) < 3_000_000
    assert len(report_json(report)["files"][0]["tables"][0]["columns"]) == count


def test_the_document_counts_what_it_lists() -> None:
    document = report_json(report_of(people()))
    summary, columns = document["summary"], document["files"][0]["tables"][0]["columns"]
    assert summary["columns"] == len(columns) == 5
    assert summary["personal_columns"] == sum(1 for c in columns if c["role"] != "plain")
    assert sum(summary["columns_by_role"].values()) == 5
    assert summary["columns_by_type"]["email"] == 1
    masking = document["files"][0]["tables"][0]["masking"]
    assert {one["column"] for one in masking["columns"]} == set(people().column_names)
