"""Nested columns, free text and mixed columns; and that no finding holds a value."""

import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict

import pyarrow as pa

from strongroom.engines.privacy.discover.findings import Role, Shape, TableFindings
from strongroom.engines.privacy.discover.inside import SEARCHED
from strongroom.engines.privacy.discover.tables import discover_batches, discover_table
from strongroom.engines.privacy.discover.text.spans import Span


class WordFinder:
    """Finds one word."""

    def __init__(self, word: str, kind: str) -> None:
        self.word, self.kind = word, kind

    def find_all(self, texts: Iterable[str]) -> Iterator[Sequence[Span]]:
        """The first place of the word in each text."""
        for text in texts:
            at = text.find(self.word)
            end = at + len(self.word)
            yield [] if at < 0 else [Span(at, end, self.kind, 0.9, "dictionary")]


def test_each_part_of_a_nested_column_is_looked_into() -> None:
    rows = [
        {
            "person": {"mail": f"p{i}@example.org", "visits": i},
            "orders": [{"ip": f"192.0.2.{i}"}, {"ip": f"198.51.100.{i}"}],
            "tags": [("card", "4111 1111 1111 1111"), ("kind", "x")],
        }
        for i in range(60)
    ]
    tags = pa.map_(pa.string(), pa.string())
    columns = {name: [row[name] for row in rows] for name in ("person", "orders")}
    table = pa.table(columns).append_column("tags", pa.array([row["tags"] for row in rows], tags))
    findings = discover_table(table)
    assert [finding.column for finding in findings.columns] == [
        "person.mail", "person.visits", "orders[].ip", "tags[].key", "tags[].value",
    ]  # fmt: skip
    assert findings.column("person.mail").type == "email"
    assert findings.column("orders[].ip").type == "ip_address"
    assert findings.column("orders[].ip").profile.rows == 120
    assert [one.type for one in findings.column("tags[].value").inside] == ["payment_card"]
    streamed = discover_batches(table.to_batches(), table.schema, seed=1, rows=40)
    assert streamed.column("person.mail").type == "email"


def test_free_text_tells_which_types_it_holds() -> None:
    notes = [
        f"The patient {'Miller came back' if i % 4 == 0 else 'did not come'} on time this week {i}"
        for i in range(80)
    ]
    finder = WordFinder("Miller", "family_name")
    finding = discover_table(pa.table({"note": notes}), finder=finder).columns[0]
    assert (finding.type, finding.profile.shape) == (None, Shape.FREE_TEXT)
    [inside] = finding.inside
    assert inside.type == "family_name"
    assert inside.share == inside.count / SEARCHED
    assert 0.1 < inside.share < 0.5
    plain = WordFinder("patient", "uuid")
    assert discover_table(pa.table({"note": notes}), finder=plain).columns[0].inside == ()


def test_the_languages_of_texts_are_told_with_the_share_of_the_texts_in_them() -> None:
    english = "The order was sent to the office and they have it with them: number"
    german = "Die Ware ist bei uns angekommen und wird von einer Kollegin gebracht, Nummer"
    notes = [f"{german if i % 4 == 0 else english} {i}" for i in range(40)]
    table = pa.table({"note": notes, "n": [str(i) for i in range(40)]})
    note, number = discover_table(table, finder=WordFinder("nobody", "person_name")).columns
    reasons = {one.source: one.detail for one in note.evidence}
    assert reasons["language"] == "written in English 75 %, German 25 %"
    assert "language" not in {one.source for one in number.evidence}


def test_the_built_in_finder_sees_addresses_in_notes() -> None:
    notes = [f"Please write to p{i}@example.org about the order of last week" for i in range(40)]
    finding = discover_table(pa.table({"note": notes})).columns[0]
    assert "email" in {one.type for one in finding.inside}


def test_a_column_of_mixed_content_is_not_silent() -> None:
    values = [f"p{i}@example.org" if i % 3 == 0 else f"code{i}" for i in range(90)]
    finding = discover_table(pa.table({"ref": values})).columns[0]
    assert finding.type is None
    assert [one.type for one in finding.inside] == ["email"]
    assert 0.2 < finding.inside[0].share < 0.5  # a third of them


def test_versions_are_not_told_as_addresses() -> None:
    versions = [f"{i % 9}.{i % 7}.{i % 40}.{i}" for i in range(90)]
    mixed = [value if i % 3 else f"build {i}" for i, value in enumerate(versions)]
    for values, types in ((versions, []), (mixed, ["ip_address"])):
        finding = discover_table(pa.table({"version": values})).columns[0]
        assert finding.type is None
        assert [one.type for one in finding.inside] == types


PLANTED = ("Zanderbrook", "zq9@hidden.example", "943 476 5919", "4111111111111111", "SW9Z 9ZZ")


def test_no_finding_holds_a_value() -> None:
    rows = 40
    table = pa.table(
        {
            "name": [f"Anna Zanderbrook{chr(97 + i % 26)}" for i in range(rows)],
            "mail": [f"{i}zq9@hidden.example" for i in range(rows)],
            "note": [f"Ms Zanderbrook wrote from zq9@hidden.example again, day {i}"
                     for i in range(rows)],
            "nhs": ["943 476 5919"] * rows,
            "mixed": ["4111111111111111" if i % 3 else f"Zanderbrook {i}" for i in range(rows)],
            "nested": [{"zip": "SW9Z 9ZZ", "of": ["Zanderbrook"]} for _ in range(rows)],
            "town": [f"Zanderbrook {i % 9}" for i in range(rows)],
        }
    )  # fmt: skip
    findings = discover_table(
        table, overrides={"town": "city"}, subject_column="mail",
    )  # fmt: skip
    assert findings.column("mail").type == "email"
    said = repr(findings) + json.dumps(asdict(findings))
    assert not [value for value in PLANTED if value.lower() in said.lower()]
    assert isinstance(findings, TableFindings)
    assert findings.column("town").role is Role.QUASI
