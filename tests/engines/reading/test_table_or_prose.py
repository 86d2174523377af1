"""Prose with commas is text, tables are tables, whatever the file is called."""

import io

import pytest

from strongroom.engines.reading.reading import read
from strongroom.engines.reading.types import Form

PROSE = [
    "Hello, Bob lives at 12 Main Street, Springfield.\n",
    "Yesterday, I met Dr. Turing, who lives in London.\nHe said, rightly, that it rains.\n",
    "Anna Schmidt\nHauptstr. 5\n10115 Berlin\n\nDear Mr. Jones,\n\nthank you.\nYours,\nAnna\n",
    "Dear Mr. Jones,\nthank you for the call.\nYours,\nAnna Schmidt\n",
    "[10:01] Anna: hi, how are you?\n[10:02] Bob: fine, thanks, and you?\n",
    "12/03/2024, 10:15 - Anna: Hi, all\n12/03/2024, 10:16 - Bob: hello, my mail is bob@x.org\n",
    "The sun, it sets,\nThe moon, it glows,\nThe wind, it frets,\n",
    "int main(int a, char **b) {\n  f(a, b);\n  return g(a, b);\n}\n",
    "<html><body><p>Ada, hello</p></body></html>\n",
    "In 2020, 1,000 people came, and 5,000 left.\nIn 2021, 3,000 people came, none left.\n",
]
TABLES = [
    ("name,mail\nAda,ada@example.org\nBob,bob@example.org\n", ["name", "mail"]),
    ("name, born\nAda, 1815-12-10\nAlan, 1912-06-23\n", ["name", " born"]),
    ("name;note\nAda;a, b\nBob;c, d, e\n", ["name", "note"]),
    ("name|n\nAda|1\nBob|2\n", ["name", "n"]),
    ('name,note\n"Lovelace, Ada","well, yes"\n"Hopper, Grace","no"\n', ["name", "note"]),
    ("a,b\n1,2\n", ["a", "b"]),
]


def form_of(text: str, name: str) -> Form:
    """What a text is read as."""
    [table] = read(io.BytesIO(text.encode()), name=name)
    return table.form


@pytest.mark.parametrize("text", PROSE)
def test_prose_is_text(text: str) -> None:
    assert form_of(text, "letter.txt") is Form.TEXT
    assert form_of(text, "stdin") is Form.TEXT


@pytest.mark.parametrize(("text", "names"), TABLES)
@pytest.mark.parametrize("name", ["table.txt", "stdin", "table.csv"])
def test_tables_are_tables(text: str, names: list[str], name: str) -> None:
    [table] = read(io.BytesIO(text.encode()), name=name)
    assert (table.form, table.schema.names) == (Form.CSV, names)


@pytest.mark.parametrize("name", ["a.py", "a.md", "a.yaml", "a.html", "a.ini"])
def test_the_ending_of_code_and_documents_says_text(name: str) -> None:
    assert form_of("a,b\n1,2\n3,4\n", name) is Form.TEXT


def test_only_what_is_json_is_read_as_json() -> None:
    assert form_of("[main]\nuser = ada\n", "settings") is Form.CSV  # one column: nothing says more
    assert form_of("{% if a %}, then, well, yes {% endif %}\n", "a.txt") is Form.TEXT
    assert form_of('[{"a": 1}]', "a.txt") is Form.JSON
    assert form_of('{"a": 1}\n{"a": 2}\n', "a.txt") is Form.JSONL
