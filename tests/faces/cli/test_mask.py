"""`strongroom mask`, through the entry point: what comes out, where, and what is never touched."""

import json
import os
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
from tests.faces.cli import privacy_files
from tests.faces.cli.conftest import Offline
from tests.faces.cli.test_discover import Piped

POLICY = """
[types]
person_name = "redact"
email = "hash"
[shapes]
number = "keep"
"""


@pytest.fixture
def key(tmp_path: Path, offline: Offline) -> str:
    """A key file, as the command itself makes it."""
    assert offline("mask", "--new-key", "key")[0] == 0
    assert (tmp_path / "key").stat().st_mode & 0o077 == 0
    return "key"


def values(file: Path, column: str) -> list[object]:
    return [row[column] for row in privacy_files.read_back(file)]


@pytest.mark.parametrize("to", ["csv", "tsv", "jsonl", "json", "parquet", "arrow"])
@pytest.mark.parametrize("form", ["csv", "json", "parquet"])
def test_every_form_into_every_form(offline: Offline, tmp_path: Path, form: str, to: str) -> None:
    privacy_files.write(tmp_path, f"people.{form}")
    code, _, err = offline("mask", f"people.{form}", "-o", f"out.{to}")
    assert code == 0, err
    assert "email: hash (type email)" in err
    found = privacy_files.read_back(tmp_path / f"out.{to}")
    assert len(found) == len(privacy_files.NAMES)
    assert {str(row["name"]) for row in found} == {"[redacted]"}
    assert [int(str(row["visits"])) for row in found] == [r["visits"] for r in privacy_files.rows()]
    assert "example.org" not in str(found)


def test_stdout_and_stdin(
    offline: Offline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    privacy_files.write(tmp_path, "people.csv")
    code, out, err = offline("mask", "people.csv")
    assert code == 0
    assert out.splitlines()[0].replace('"', "") == "name,email,visits"
    assert "Jane" not in out
    assert "random key" in err
    monkeypatch.setattr(sys, "stdin", Piped(privacy_files.as_csv().encode()))
    code, piped, _ = offline("mask", "-")
    assert code == 0
    assert len(piped.splitlines()) == len(out.splitlines())
    privacy_files.write(tmp_path, "people.parquet")
    assert offline("mask", "people.parquet")[1].startswith('"name"')


def test_nothing_is_overwritten(offline: Offline, tmp_path: Path) -> None:
    source = privacy_files.write(tmp_path, "people.csv")
    before = source.read_bytes()
    (tmp_path / "there.csv").write_text("mine")
    (tmp_path / "alias.csv").symlink_to("people.csv")
    os.link(source, tmp_path / "hard.csv")
    for to in ("people.csv", "there.csv", "alias.csv", "hard.csv", "./people.csv"):
        code, _, err = offline("mask", "people.csv", "-o", to)
        assert code == 1, to
        assert "there already" in err
    assert source.read_bytes() == before
    assert (tmp_path / "there.csv").read_text() == "mine"
    assert offline("mask", "people.csv", "-o", "there.csv", "--force")[0] == 0
    assert (tmp_path / "there.csv").read_text() != "mine"
    assert offline("mask", "people.csv", "-o", "people.csv", "--force")[0] == 0
    assert "Jane" not in source.read_text()
    assert len(source.read_text().splitlines()) == len(before.splitlines())


@pytest.mark.parametrize(
    "content", [b"", b"a,a\n1,2\n", b"PK\x03\x04\x00", b"PAR1" + b"x" * 50, b"a,b\n1,2\n1,2,3\n"]
)
def test_a_bad_table_leaves_nothing_behind(
    offline: Offline, tmp_path: Path, content: bytes
) -> None:
    (tmp_path / "t.csv").write_bytes(content)
    code, _, err = offline("mask", "t.csv", "-o", "out.csv")
    assert code == 1, err
    assert {path.name for path in tmp_path.iterdir()} <= {"t.csv", "home"}


def test_an_error_late_in_the_file_leaves_nothing_behind(offline: Offline, tmp_path: Path) -> None:
    rows = "".join(f"{at},x\n" for at in range(200_000))
    (tmp_path / "t.csv").write_text("n,m\n" + rows + "1,2,3,4\n")
    assert offline("mask", "t.csv", "-o", "out.csv")[0] == 1
    assert {path.name for path in tmp_path.iterdir()} <= {"t.csv", "home"}


def test_pseudonyms_meet_under_one_key_and_purpose(
    offline: Offline, tmp_path: Path, key: str
) -> None:
    privacy_files.write(tmp_path, "people.csv")
    privacy_files.write(tmp_path, "visits.parquet")

    def masked(source: str, *more: str) -> list[object]:
        assert offline("mask", source, "-o", "out.jsonl", "--force", *more)[0] == 0
        return values(tmp_path / "out.jsonl", "email")

    first = masked("people.csv", "--key-file", key)
    assert first == masked("visits.parquet", "--key-file", key)
    assert len(set(first)) == len(privacy_files.NAMES)
    other = masked("people.csv", "--key-file", key, "--purpose", "billing")
    assert not set(first) & set(other)
    assert other == masked("people.csv", "--key-file", key, "--purpose", "billing")
    assert not set(first) & set(masked("people.csv"))


def test_keys_are_made_once_and_never_thought_up(
    offline: Offline, tmp_path: Path, key: str
) -> None:
    privacy_files.write(tmp_path, "people.csv")
    kept = (tmp_path / key).read_text()
    assert offline("mask", "--new-key", key)[0] == 1
    assert (tmp_path / key).read_text() == kept
    (tmp_path / "mine").write_text("correct horse battery staple, and a few more words")
    (tmp_path / "mine").chmod(0o600)
    code, out, err = offline("mask", "people.csv", "--key-file", "mine")
    assert code == 1
    assert "horse" not in out + err
    (tmp_path / key).chmod(0o644)
    assert offline("mask", "people.csv", "--key-file", key)[0] == 1


def test_a_policy_of_ones_own(offline: Offline, tmp_path: Path) -> None:
    privacy_files.write(tmp_path, "people.csv")
    (tmp_path / "p.toml").write_text('[columns]\nname = { method = "partial", keep_first = 1 }\n')
    assert offline("mask", "people.csv", "--policy", "p.toml", "-o", "out.jsonl")[0] == 0
    assert values(tmp_path / "out.jsonl", "name")[0] == "J*** ***"
    assert set(values(tmp_path / "out.jsonl", "email")) == {"[redacted]"}  # what none names
    (tmp_path / "p.toml").write_text('[columns]\nname = "vanish"\n')
    code, _, err = offline("mask", "people.csv", "--policy", "p.toml", "-o", "out2.jsonl")
    assert code == 1
    assert "vanish" in err or "columns.name" in err
    assert offline("mask", "people.csv", "--policy", "missing.toml")[0] == 2


def test_the_built_in_policy_is_one_that_can_be_given(offline: Offline, tmp_path: Path) -> None:
    privacy_files.write(tmp_path, "people.csv")
    code, out, _ = offline("mask", "--default-policy")
    assert code == 0
    (tmp_path / "p.toml").write_text(out)
    assert offline("mask", "people.csv", "--policy", "p.toml", "-o", "out.jsonl")[0] == 0
    assert set(values(tmp_path / "out.jsonl", "name")) == {"[redacted]"}


def test_a_folder_keeps_its_structure_and_its_links(
    offline: Offline, tmp_path: Path, key: str
) -> None:
    folder = tmp_path / "in"
    privacy_files.write(folder, "a.csv")
    privacy_files.write(folder, "sub/b.parquet")
    (folder / "sub/letter.txt").write_text(
        "This is a letter to somebody whom we know well.\n\nWrite to jane.roe@example.org please.\n"
    )
    (folder / "damaged.parquet").write_bytes(b"PAR1" + b"x" * 100)
    (folder / "picture.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    code, out, err = offline("mask", "in", "-o", "out", "--key-file", key, "--json")
    assert code == 1  # one of the files could not be masked
    assert "damaged.parquet" in err
    made = {str(p.relative_to(tmp_path / "out")) for p in (tmp_path / "out").rglob("*")}
    assert made == {"a.csv", "sub", "sub/b.parquet", "sub/letter.txt"}
    assert values(tmp_path / "out/a.csv", "email") == values(
        tmp_path / "out/sub/b.parquet", "email"
    )
    assert "jane.roe" not in (tmp_path / "out/sub/letter.txt").read_text()
    answer = {Path(one["input"]).name: one for one in json.loads(out)["files"]}
    assert answer["a.csv"]["columns"]["email"] == "hash"
    assert answer["damaged.parquet"]["problem"]
    assert offline("mask", "in", "-o", "out", "--key-file", key)[0] == 1  # not empty
    assert offline("mask", "in")[0] == 2
    for inside in ("in", "in/out", "."):
        assert offline("mask", "in", "-o", inside)[0] == 2


def test_several_tables_of_one_file_get_a_folder(offline: Offline, tmp_path: Path) -> None:
    import zipfile

    with zipfile.ZipFile(tmp_path / "both.zip", "w") as archive:
        archive.writestr("one.csv", privacy_files.as_csv())
        archive.writestr("../two.csv", privacy_files.as_csv())
    code, _, err = offline("mask", "both.zip", "-o", "out.csv")
    assert code == 2
    assert "2 tables" in err
    code, _, err = offline("mask", "both.zip", "-o", "out")
    assert code == 0, err
    made = sorted(path.name for path in (tmp_path / "out").iterdir())
    assert len(made) == 2
    assert all(path.parent == tmp_path / "out" for path in (tmp_path / "out").rglob("*"))
    assert all("Jane" not in path.read_text() for path in (tmp_path / "out").iterdir())


@pytest.mark.parametrize("encoding", ["utf-8", "utf-16", "latin-1"])
def test_a_text_stays_but_for_what_is_found(
    offline: Offline, tmp_path: Path, encoding: str
) -> None:
    text = (
        "Sehr geehrte Frau Müller,\r\n\r\nIhre Adresse jane.roe@example.org ist notiert.\r\n"
        "\r\n\r\n(§ 7: äöü)\r\n"
    )
    (tmp_path / "letter.txt").write_bytes(text.encode(encoding))
    code, _, err = offline("mask", "letter.txt", "-o", "out.txt")
    assert code == 0, err
    masked = (tmp_path / "out.txt").read_bytes().decode()
    assert "jane.roe" not in masked
    assert masked.count("\r\n") == text.count("\r\n")
    assert masked.startswith("Sehr geehrte")
    assert masked.endswith("\r\n\r\n\r\n(§ 7: äöü)\r\n")
    assert "misses stays in clear" in err


def test_formulas_do_not_survive(offline: Offline, tmp_path: Path) -> None:
    lines = "".join(f"=HYPERLINK(1),{at}\n" for at in range(20))
    (tmp_path / "t.csv").write_text("group,n\n" + lines)
    (tmp_path / "p.toml").write_text('[shapes]\nconstant = "keep"\nnumber = "keep"\n')
    for to in ("out.csv", "out.tsv"):
        assert offline("mask", "t.csv", "--policy", "p.toml", "-o", to)[0] == 0
        assert values(tmp_path / to, "group")[0] == "'=HYPERLINK(1)"


def test_explaining_writes_nothing_and_shows_values_to_people_only(
    offline: Offline, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    privacy_files.write(tmp_path, "people.csv")
    code, out, err = offline("mask", "people.csv", "--explain", "-o", "out.csv")
    assert code == 0
    assert "Jane" not in out + err
    assert "type email" in out
    assert "--show-values" in err
    as_json = offline("mask", "people.csv", "--explain", "--json")[1]
    assert json.loads(as_json)["files"][0]["columns"]["email"] == "hash"
    assert "Jane" not in as_json
    assert "Jane Roe" in offline("mask", "people.csv", "--explain", "--show-values")[1]
    monkeypatch.setattr("strongroom.faces.cli.explaining.sys", SimpleNamespace(
        stdout=SimpleNamespace(isatty=lambda: True)))  # fmt: skip
    monkeypatch.setenv("COLUMNS", "200")
    shown = offline("mask", "people.csv", "--explain")[1]
    assert all(name in shown for name in privacy_files.NAMES)
    assert shown.count("[redacted]") == len(privacy_files.NAMES)
    assert not (tmp_path / "out.csv").exists()


def test_a_table_without_personal_data_is_said_to_be_one(offline: Offline, tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("height,width\n" + "".join(f"{a}.5,{a}\n" for a in range(30)))
    assert "no personal data was found in t.csv" in offline("mask", "t.csv", "-o", "o.csv")[2]
    privacy_files.write(tmp_path, "people.csv")
    assert "no personal data" not in offline("mask", "people.csv", "-o", "p.csv")[2]


def test_tokens_are_kept_in_a_sealed_file(offline: Offline, tmp_path: Path, key: str) -> None:
    privacy_files.write(tmp_path, "people.csv")
    (tmp_path / "p.toml").write_text('[types]\nemail = "tokenize"\n')
    with_policy = ("mask", "people.csv", "--policy", "p.toml", "--force", "-o", "out.jsonl")
    assert offline(*with_policy)[0] == 2
    assert offline(*with_policy, "--token-vault", "vault")[0] == 2
    with_vault = (*with_policy, "--key-file", key, "--token-vault", "vault")
    assert offline(*with_vault)[0] == 0
    first = values(tmp_path / "out.jsonl", "email")
    assert all(str(token).startswith("tok_") for token in first)
    sealed = (tmp_path / "vault").read_bytes()
    assert (tmp_path / "vault").stat().st_mode & 0o077 == 0
    assert b"jane.roe" not in sealed
    assert str(first[0]).encode() not in sealed
    assert offline(*with_vault)[0] == 0
    assert values(tmp_path / "out.jsonl", "email") == first
    assert offline(*with_vault, "--purpose", "billing")[0] == 5
    (tmp_path / "vault").write_bytes(sealed[:-1] + bytes([sealed[-1] ^ 1]))
    assert offline(*with_vault)[0] == 5


def test_a_report_of_before_and_after(offline: Offline, tmp_path: Path) -> None:
    privacy_files.write(tmp_path, "people.csv")
    assert offline("mask", "people.csv", "-o", "out.csv", "--html", "r.html")[0] == 0
    page = (tmp_path / "r.html").read_text()
    assert "Before and after masking" in page
    assert "Jane" not in page


def test_what_is_missing_is_said(offline: Offline, tmp_path: Path) -> None:
    assert offline("mask")[0] == 2
    assert offline("mask", "missing.csv")[0] == 2
    privacy_files.write(tmp_path, "people.csv")
    code, _, err = offline("mask", "people.csv", "-o", "out.docx")
    assert code == 2
    assert ".parquet" in err
    assert not (tmp_path / "out.docx").exists()


def test_stdin_is_not_read_for_two_things(offline: Offline) -> None:
    code, _, err = offline("mask", "-", "--key-file", "-")
    assert code == 2
    assert "not both" in err


MESSAGE = """From: Jane Roe <jane.roe@example.org>
To: office@example.com
Subject: Your visit
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="x"

--x
Content-Type: text/plain; charset=utf-8

Please write to mary.major@example.org before you come to the hospital.

--x
Content-Type: text/csv; name="list.csv"
Content-Disposition: attachment; filename="../list.csv"

{table}
--x--
"""


def test_a_message_and_its_attachment(offline: Offline, tmp_path: Path) -> None:
    text = MESSAGE.format(table=privacy_files.as_csv()).replace("\n", "\r\n")
    (tmp_path / "m.eml").write_text(text, newline="")
    report = json.loads(offline("discover", "m.eml", "--json")[1])
    mail = next(table for table in report["files"][0]["tables"] if not table["name"])
    body = next(column for column in mail["columns"] if column["column"] == "body")
    assert "email" in {one["type"] for one in body["inside"]}
    assert offline("mask", "m.eml", "-o", "out", "--to", "jsonl")[0] == 0
    made = {path.name: path.read_text() for path in (tmp_path / "out").iterdir()}
    assert len(made) == 2
    assert all("/" not in name and name.count(".csv") <= 1 for name in made)
    assert offline("mask", "m.eml", "-o", "mail")[0] == 0
    made |= {path.name: path.read_text() for path in (tmp_path / "mail").iterdir()}
    assert "before you come to the hospital" in made["m.eml"]
    assert "before you come to the hospital" in made["m.jsonl"]
    for secret in ("mary.major", "jane.roe", "Mary Major"):
        assert all(secret not in content for content in made.values())


@pytest.mark.parametrize("to", ["csv", "json", "parquet"])
def test_tokens_are_turned_back_by_vault_key_and_purpose(
    offline: Offline, tmp_path: Path, key: str, to: str
) -> None:
    privacy_files.write(tmp_path, "people.csv")
    (tmp_path / "p.toml").write_text('[types]\nemail = "tokenize"\n')
    sealed = ("--key-file", key, "--token-vault", "vault")
    masked = f"masked.{to}"
    assert offline("mask", "people.csv", "--policy", "p.toml", "-o", masked, *sealed)[0] == 0
    code, _, err = offline("mask", masked, "--reveal", "-o", f"clear.{to}", *sealed)
    assert code == 0, err
    assert f"turned back: {len(privacy_files.NAMES)}; not of this vault: 0" in err
    assert values(tmp_path / f"clear.{to}", "email") == [r["email"] for r in privacy_files.rows()]
    assert (tmp_path / f"clear.{to}").stat().st_mode & 0o077 == 0
    assert offline("mask", masked, "--reveal", *sealed, "--purpose", "billing")[0] == 5
    assert offline("mask", masked, "--reveal", "--token-vault", "vault")[0] == 2
    assert offline("mask", masked, "--reveal", "--key-file", key)[0] == 2
    assert offline("mask", masked, "--reveal", "--key-file", key, "--token-vault", "no")[0] == 2
    assert not (tmp_path / "no").exists()
    assert offline("mask", ".", "--reveal", *sealed)[0] == 2


def test_tokens_in_texts_are_turned_back(offline: Offline, tmp_path: Path, key: str) -> None:
    text = "Write to jane.roe@example.org, please.\n\nThen wait: tok_" + "a" * 24 + ".\n"
    (tmp_path / "note.txt").write_text(text)
    (tmp_path / "p.toml").write_text('[types]\nemail = "tokenize"\n[spans]\nemail = "tokenize"\n')
    sealed = ("--key-file", key, "--token-vault", "vault")
    masked = offline("mask", "note.txt", "--policy", "p.toml", "-o", "masked.txt", *sealed)
    assert masked[0] == 0, masked
    assert "jane.roe" not in (tmp_path / "masked.txt").read_text()
    code, out, err = offline("mask", "masked.txt", "--reveal", *sealed)
    assert (code, out) == (0, text), err
    assert "turned back: 1; not of this vault: 1" in err


def test_a_policy_that_keeps_datasets_apart_is_refused(offline: Offline, tmp_path: Path) -> None:
    privacy_files.write(tmp_path, "people.csv")
    (tmp_path / "p.toml").write_text('[keys]\nlink = "dataset"\n')
    code, _, err = offline("mask", "people.csv", "--policy", "p.toml", "-o", "out.csv")
    assert code == 2
    assert "--purpose" in err
    (tmp_path / "p.toml").write_text('[keys]\nlink = "purpose"\n')
    assert offline("mask", "people.csv", "--policy", "p.toml", "-o", "out.csv")[0] == 0
