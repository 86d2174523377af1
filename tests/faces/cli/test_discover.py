"""`strongroom discover`, through the entry point: what is shown, what is not, and how it ends."""

import gzip
import io
import json
import sys
import zipfile
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.faces.cli import privacy_files
from tests.faces.cli.conftest import Offline

FORMS = ["csv", "tsv", "jsonl", "json", "parquet", "arrow"]


def columns_of(out: str) -> dict[str, dict[str, object]]:
    """The columns of the first table of a report in JSON, by name."""
    table = json.loads(out)["files"][0]["tables"][0]
    return {column["column"]: column for column in table["columns"]}


@pytest.mark.parametrize("form", FORMS)
def test_every_form_gives_the_same_findings_and_no_value(
    offline: Offline, tmp_path: Path, form: str
) -> None:
    privacy_files.write(tmp_path, f"people.{form}")
    code, out, err = offline("discover", f"people.{form}", "--json")
    assert code == 0, err
    found = columns_of(out)
    assert {name: column["type"] for name, column in found.items()} == privacy_files.TYPES
    assert found["email"]["role"] == "direct"
    lines = offline("discover", f"people.{form}", "--trusted")[1]
    for row in privacy_files.rows():
        assert str(row["name"]) not in out + lines
        assert str(row["email"]) not in out + lines


def test_lines_for_programs_and_words_for_people(offline: Offline, tmp_path: Path) -> None:
    privacy_files.write(tmp_path, "people.csv")
    code, out, err = offline("discover", "people.csv")
    assert code == 0
    heads, *lines = (line.split("\t") for line in out.splitlines())
    assert heads[:6] == ["file", "table", "column", "type", "role", "confidence"]
    assert [line[2] for line in lines] == ["name", "email", "visits"]
    assert "2 of 3 columns are personal" in err
    assert "All 10 rows were looked at." in err


def test_a_terminal_gets_a_table(
    offline: Offline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    privacy_files.write(tmp_path, "people.csv")
    (tmp_path / "letter.txt").write_text("Dear Mr John Smith,\n\nwrite to john@example.org.\n")
    monkeypatch.setattr("strongroom.faces.cli.findings_shown.sys", SimpleNamespace(
        stdout=SimpleNamespace(isatty=lambda: True), stderr=sys.stderr))  # fmt: skip
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = offline("discover", ".")
    assert code == 0
    assert "e-mail address" in out
    assert "● direct" in out
    assert "in its text" in out
    assert "John" not in out


def test_a_folder_is_walked_and_the_bad_are_said(offline: Offline, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    privacy_files.write(folder, "a.csv")
    privacy_files.write(folder, "sub/b.parquet")
    (folder / "damaged.parquet").write_bytes(b"PAR1" + b"x" * 100)
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    (folder / "empty.csv").write_bytes(b"")
    (folder / "link").symlink_to("a.csv")
    code, out, err = offline("discover", "folder", "--json")
    assert code == 1
    report = json.loads(out)
    by_name = {Path(file["path"]).name: file for file in report["files"]}
    assert by_name.keys() == {"a.csv", "b.parquet", "damaged.parquet"}
    assert by_name["damaged.parquet"]["problem"]
    assert not by_name["a.csv"]["problem"]
    assert report["summary"]["files_with_problems"] == 1
    left = {Path(one["path"]).name: one["reason"] for one in report["left_out"]}
    assert left.keys() == {"picture.png", "empty.csv", "link"}
    assert "damaged.parquet" in err
    (folder / "damaged.parquet").unlink()
    assert offline("discover", "folder")[0] == 0


@pytest.mark.parametrize(
    ("name", "content", "code"),
    [
        ("nul.csv", b"name,mail\nAda,ada@example.org\n\0", 1),
        ("scan.csv", b"%PDF-1.7", 1),
        ("nul.log.gz", gzip.compress(b"2026-01-01 10:00:00 ada@example.org\0", mtime=0), 1),
        ("mixed.json", b'[{"mail": "ada@example.org"}, 1]', 1),
        ("picture.bin", b"\0\1\2", 0),
        ("scan.pdf", b"%PDF-1.7", 0),
        ("empty.csv", b"", 0),
    ],
)
@pytest.mark.parametrize("packed", [False, True])
def test_what_should_have_been_read_and_was_not_fails_a_run(
    offline: Offline, tmp_path: Path, name: str, content: bytes, code: int, packed: bool
) -> None:
    """A gate that lets pass what it could not look at is none."""
    folder = tmp_path / "folder"
    privacy_files.write(folder, "a.csv")
    if packed:
        with zipfile.ZipFile(folder / "all.zip", "w") as archive:
            archive.writestr("b.csv", "x,y\n1,2\n")
            archive.writestr(name, content)
    else:
        (folder / name).write_bytes(content)
    for command in (["discover", "folder", "--fail-on", "secret"], ["mask", "folder", "-o", "out"]):
        found, _, err = offline(*command)
        assert (found, name in err) == (code, True), err


def test_an_encrypted_file_in_an_archive_fails_a_run(offline: Offline, tmp_path: Path) -> None:
    made = io.BytesIO()
    with zipfile.ZipFile(made, "w") as archive:
        archive.writestr("people.csv", privacy_files.as_csv())
    content = bytearray(made.getvalue())
    content[content.index(b"PK\1\2") + 8] |= 1  # general purpose flag: encrypted (APPNOTE 4.4.4)
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "people.zip").write_bytes(bytes(content))
    code, _, err = offline("discover", "folder", "--fail-on", "direct")
    assert code == 1
    assert "encrypted" in err


def test_a_file_that_was_named_must_be_readable(offline: Offline, tmp_path: Path) -> None:
    (tmp_path / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    assert offline("discover", "picture.png")[0] == 1
    (tmp_path / "empty").mkdir()
    assert offline("discover", "empty")[0] == 1
    assert offline("discover", "missing.csv")[0] == 2


@pytest.mark.parametrize("content", [b"", b"a,a\n1,2\n", b"PK\x03\x04\x00", b"\x1f\x8b\x08broken"])
def test_a_bad_table_is_said(offline: Offline, tmp_path: Path, content: bytes) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    code, _, err = offline("discover", "t.csv")
    assert code == 1
    assert "t.csv" in err


def test_stdin(offline: Offline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    parquet = privacy_files.write(tmp_path, "people.parquet").read_bytes()
    for form, content in (("csv", privacy_files.as_csv().encode()), ("parquet", parquet)):
        monkeypatch.setattr(sys, "stdin", Piped(content))
        code, out, err = offline("discover", "-", "--as", form, "--json")
        assert code == 0, err
        assert columns_of(out)["email"]["type"] == "email"
    assert offline("discover", "-", "--as", "nonsense")[0] == 2


class Piped:
    """Standard input that is a pipe: read once, from the start on."""

    def __init__(self, content: bytes) -> None:
        self.buffer = self
        self._content = io.BytesIO(content)

    def isatty(self) -> bool:
        return False

    def seekable(self) -> bool:
        return False

    def read(self, size: int = -1) -> bytes:
        return self._content.read(size)


@pytest.mark.parametrize(
    ("fail_on", "code"),
    [("direct", 6), ("secret,direct", 6), ("any", 6), ("email", 6), ("secret", 0), ("quasi", 0),
     ("never", 0), ("iban", 0), ("nonsense", 2)],
)  # fmt: skip
def test_the_threshold_decides(offline: Offline, tmp_path: Path, fail_on: str, code: int) -> None:
    privacy_files.write(tmp_path, "people.csv")
    assert offline("discover", "people.csv", "--fail-on", fail_on)[0] == code


def test_unsure_findings_do_not_fail_a_run_unless_asked(offline: Offline, tmp_path: Path) -> None:
    """Four numbers that look like telephones, in a column that says nothing: shown, not failed."""
    privacy_files.write(tmp_path, "people.csv")
    assert offline("discover", "people.csv", "--fail-on", "any", "--min-confidence", "1")[0] == 0
    found = offline("discover", "people.csv", "--min-confidence", "1", "--json")[1]
    assert all(column["type"] is None for column in columns_of(found).values())


def test_what_stands_in_texts_fails_a_run_too(offline: Offline, tmp_path: Path) -> None:
    notes = [f"Please call Mr John Smith about case {at}, or write to j{at}@example.org."
             for at in range(20)]  # fmt: skip
    (tmp_path / "notes.jsonl").write_text("".join(json.dumps({"note": n}) + "\n" for n in notes))
    code, out, _ = offline("discover", "notes.jsonl", "--json", "--fail-on", "email")
    assert code == 6
    inside = {one["type"]: one["share"] for one in columns_of(out)["note"]["inside"]}  # type: ignore[attr-defined] # JSON
    assert inside["email"] == 1.0
    assert "example.org" not in out


def test_a_page_with_pictures(offline: Offline, tmp_path: Path) -> None:
    privacy_files.write(tmp_path, "people.csv")
    code, _, err = offline("discover", "people.csv", "--html", "report.html")
    assert code == 0
    assert "report.html" in err
    page = (tmp_path / "report.html").read_text()
    assert "<svg" in page
    assert "Before and after masking" in page
    assert all(str(row["name"]) not in page for row in privacy_files.rows())
    assert offline("discover", "people.csv", "--html", "report.html")[0] == 1
    assert (tmp_path / "report.html").read_text() == page
    assert offline("discover", "people.csv", "--html", "report.html", "--force")[0] == 0
    before = (tmp_path / "people.csv").read_bytes()
    for command in ("discover", "mask"):
        code, _, err = offline(command, "people.csv", "--html", "people.csv", "--force")
        assert (code, "is a file that is read" in err) == (1, True)
        assert (tmp_path / "people.csv").read_bytes() == before


def test_languages_of_texts_are_shown_in_every_form(offline: Offline, tmp_path: Path) -> None:
    note = "The parcel was sent to the office and they have it with them: number"
    (tmp_path / "notes.csv").write_text("note\n" + "".join(f"{note} {i}\n" for i in range(30)))
    code, out, _ = offline("discover", "notes.csv", "--json")
    assert code == 0
    reason = {"source": "language", "detail": "written in English 100 %", "share": None}
    assert json.dumps(reason) in json.dumps(columns_of(out)["note"])
    assert "written in English 100 %" in offline("discover", "notes.csv")[1]
    assert offline("discover", "notes.csv", "--html", "report.html")[0] == 0
    assert "written in English 100 %" in (tmp_path / "report.html").read_text()


def test_types_of_ones_own(offline: Offline, tmp_path: Path) -> None:
    (tmp_path / "types.toml").write_text(
        '[ward_code]\ntitle = "code of a ward"\npattern = \'W[0-9]{3}\'\nkeywords = ["ward"]\n'
        'role = "quasi"\n'
    )
    lines = "".join(f"W{at:03}\n" for at in range(20))
    (tmp_path / "wards.csv").write_text("ward\n" + lines)
    found = columns_of(offline("discover", "wards.csv", "--types", "types.toml", "--json")[1])
    assert (found["ward"]["type"], found["ward"]["role"]) == ("ward_code", "quasi")
    assert found["ward"]["title"] == "code of a ward"
    arguments = ("discover", "wards.csv", "--types", "types.toml", "--fail-on")
    assert offline(*arguments, "ward_code")[0] == 6
    assert offline(*arguments, "direct")[0] == 0
    assert offline("discover", "wards.csv", "--types", "missing.toml")[0] == 2
    (tmp_path / "types.toml").write_text("[ward_code]\npattern = '('\n")
    assert offline("discover", "wards.csv", "--types", "types.toml")[0] == 1


def test_a_sample_says_what_it_may_have_missed(offline: Offline, tmp_path: Path) -> None:
    lines = "".join(f"{at},x{at % 7}\n" for at in range(5_000))
    (tmp_path / "t.csv").write_text("id,group\n" + lines)
    err = offline("discover", "t.csv", "--sample", "500")[2]
    assert "500 of 5,000 rows were looked at" in err
    assert "All 5,000 rows" in offline("discover", "t.csv", "--sample", "all")[2]
    assert offline("discover", "t.csv", "--sample", "none")[0] == 2
    assert offline("discover", "t.csv", "--sample", "0")[0] == 2


def test_limits_of_a_walk(offline: Offline, tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    privacy_files.write(folder, "a.csv")
    privacy_files.write(folder, "b.csv")
    assert offline("discover", "folder", "--max-files", "1")[0] == 1
    code, _, err = offline("discover", "folder", "--max-bytes", "10")
    assert code == 1
    assert "more than 10 bytes" in err
