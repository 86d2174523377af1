"""The encoding is found or stated, said, and never bent: what does not decode is an error."""

import codecs
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.engines.reading.files import tables

from strongroom.engines.reading.encodings import find_encoding
from strongroom.engines.reading.reading import read
from strongroom.engines.reading.types import Form
from strongroom.errors import EncodingError

GERMAN = "Name;Straße;Ort\nJürgen Müller;Schöne Straße 3;Köln\nKäthe Groß;Gänsegasse 4;Bad Öl\n"
FRENCH = "nom,ville,note\nHélène Lefèvre,Besançon,très bien\nFrançois Dupré,Orléans,à revoir\n"
RUSSIAN = "имя,город\nИван Петров,Москва\nАнна Смирнова,Казань\n"  # noqa: RUF001 # as written there
JAPANESE = "名前,住所\n山田太郎,東京都千代田区\n佐藤花子,大阪市\n"  # as written there
GREEK = "όνομα,πόλη\nΓιώργος Παπαδόπουλος,Αθήνα\nΜαρία Νικολάου,Πάτρα\n"  # noqa: RUF001 # as written there
QUOTED = "name,price\nCafé “Zürich”,5 €\nl’Étoile,7 €\n"  # noqa: RUF001 # as written there


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32", "utf-16-le",
                                      "utf-16-be", "cp1252", "latin-1"])  # fmt: skip
@pytest.mark.parametrize("text", [GERMAN, FRENCH])
def test_western_text_in_all_its_encodings(text: str, encoding: str) -> None:
    rows = tables(text.encode(encoding))["file"]
    lines = [line.split(";" if ";" in text else ",") for line in text.splitlines()]
    assert rows == [dict(zip(lines[0], line, strict=True)) for line in lines[1:]]


@pytest.mark.parametrize(
    ("text", "encoding"),
    [(RUSSIAN, "cp1251"), (RUSSIAN, "koi8_r"), (JAPANESE, "cp932"), (GREEK, "cp1253"),
     (QUOTED, "cp1252")],
)  # fmt: skip
def test_other_alphabets(text: str, encoding: str) -> None:
    content = text.encode(encoding)
    assert content.decode(find_encoding(content)) == text


def test_the_encoding_is_said() -> None:
    for content, encoding, is_guess in ((GERMAN.encode(), "utf-8", False),
                                        (GERMAN.encode("cp1252"), "cp1252", True),
                                        (GERMAN.encode("utf-16"), "utf-16", False)):  # fmt: skip
        [table] = read(io.BytesIO(content), name="f")
        assert table.encoding == encoding
        assert bool(table.remarks) == is_guess


def test_a_stated_encoding_holds() -> None:
    content = "n\nŁódź\n".encode("cp1250")
    assert tables(content, encoding="cp1250", form=Form.CSV) == {"file": [{"n": "Łódź"}]}
    with pytest.raises(EncodingError, match="UTF-8"):
        tables(content, encoding="utf-8", form=Form.CSV)
    for unknown in ("utf-9", "rot13", "hex", "x" * 99):
        with pytest.raises(EncodingError, match="no encoding"):
            tables(content, encoding=unknown)


def test_bytes_that_do_not_belong_have_a_place() -> None:
    late = b"a,b\n" + b"1,x\n" * 1_100_000 + b"2,\xff\n"
    with pytest.raises(EncodingError, match=r"UTF-8.*column 2"):
        tables(late)
    for form in (Form.TEXT, Form.LOG):
        with pytest.raises(EncodingError, match="UTF-8: line 1100002"):
            tables(late, form=form)
    surrogate = "a,b\n1,x\n2,".encode("utf-16-le") + b"\x00\xdc" + "\n".encode("utf-16-le")
    with pytest.raises(EncodingError, match=r"utf-16-le.*line 3"):
        tables(codecs.BOM_UTF16_LE + surrogate, encoding="utf-16-le")


@given(st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1), st.data())
def test_utf_text_is_never_mistaken(text: str, data: st.DataObject) -> None:
    content = data.draw(st.sampled_from(["utf-8", "utf-16", "utf-32"]))
    assert text.encode(content).decode(find_encoding(text.encode(content))).lstrip("\ufeff") == (
        text.lstrip("\ufeff")
    )
